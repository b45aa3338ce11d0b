"""Metadata of Landsat scenes: the MTL file of every collection, as text, XML or JSON, and the angle coefficients.

Group and key names have changed with every generation of the processing system; what is used of them is read into one
small record.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from xoffset.readers import xml

# Values of every group: {group: {key: text}}. Groups do not nest but for the root.
Groups = dict[str, dict[str, str]]

_ROOTS = ("LANDSAT_METADATA_FILE", "L1_METADATA_FILE", "LPGS_METADATA_FILE")
# An MTL file has some 20 thousand characters, an angle coefficient file some 2 million.
LIMIT = 16 * 2**20
_SENSORS = {"OLI_TIRS": "C", "OLI": "O", "TIRS": "T", "ETM": "E", "ETM+": "E", "TM": "T", "MSS": "M"}
# The mirror that made the scan lines of Landsat 7 parallel failed on that day.
_SLC_FAILED = np.datetime64("2003-05-31T21:42:35", "us")


@dataclass(frozen=True)
class Metadata:
    """What is used of the metadata of a scene.

    `files` names the file of every band, `scales` the factor and the addend that make reflectance of its values.
    """

    name: str
    date: np.datetime64
    platform: str
    path: int
    row: int
    level: str  # "L1TP", "L2SP"
    correction: str  # the geometric one, "L1TP", also of a product of level 2
    collection: str  # "C2", "C1", "pre-collection"
    elevation: str | None = None  # source of the elevations
    processed: np.datetime64 | None = None
    sun_azimuth: float | None = None
    sun_elevation: float | None = None
    has_gaps: bool = False  # lines missing for want of the scan line corrector
    files: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    angle_file: str | None = None
    clouds: str | None = None

    @property
    def tile(self) -> str:
        """Path and row."""
        return f"{self.path:03}{self.row:03}"

    @property
    def geometry(self) -> str:
        """Class of processing geometry."""
        elevation = (self.elevation or "").upper()
        return " ".join(part for part in (self.collection, self.correction.upper(), elevation) if part)


def read(content: bytes, name: str) -> Metadata:
    """Metadata of a scene from the content of its MTL file; `name` is that of the file, for messages."""
    groups = _groups(content, name)
    return _Reader(groups, name).metadata()


# ------------------------------------------------------------------------------------------------------------- layouts


def _groups(content: bytes, name: str) -> Groups:
    """Groups of an MTL file in one of the three notations, told by its first character."""
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        root = xml.parse(content, name)
        roots = {root.tag: {group.tag: _of_element(group, name) for group in _unique(root, name)}}
    elif start == b"{":
        roots = _of_json(content, name)
    else:
        roots = odl(content, name)
    if len(roots) != 1:
        raise failure(name, f"{len(roots)} of them in one" if roots else "none")
    (title, groups), *_ = roots.items()
    if title not in _ROOTS or not groups or not all(isinstance(values, dict) for values in groups.values()):
        raise failure(name, f"a file of {title}")
    return groups


def _unique(root: Iterable[Any], name: str) -> list[Any]:
    groups = list(root)
    if len({group.tag for group in groups}) < len(groups):
        raise failure(name, "a group that comes twice")
    return groups


def _of_element(group: Iterable[Any], name: str) -> dict[str, str]:
    return {value.tag: (value.text or "").strip() for value in _unique(group, name)}


def _of_json(content: bytes, name: str) -> dict[str, Groups]:
    def pairs(values: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(values)
        if len(found) < len(values):
            raise failure(name, "a group or a key that comes twice")
        return found

    try:
        roots = json.loads(content, object_pairs_hook=pairs)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise failure(name, f"what is no whole JSON ({error})") from error
    is_nested = isinstance(roots, dict) and all(
        isinstance(groups, dict) and all(isinstance(group, dict) for group in groups.values())
        for groups in roots.values()
    )
    if not is_nested:
        raise failure(name, "JSON of another kind")
    return {
        title: {group: {key: str(value) for key, value in values.items()} for group, values in groups.items()}
        for title, groups in roots.items()
    }


def odl(content: bytes, name: str) -> dict[str, Groups]:
    """Groups of a text of lines such as `KEY = VALUE`, by the group around them; lists may go over many lines."""
    roots: dict[str, Groups] = {}
    path: list[str] = []
    for key, value in _assignments(content, name):
        if key == "GROUP":
            path.append(value)
            groups = roots if len(path) == 1 else roots[path[0]]
            if len(path) > 2 or value in groups:
                raise failure(name, f"the group {value} twice or within another")
            groups[value] = {}
        elif key == "END_GROUP":
            if not path or path.pop() != value:
                raise failure(name, f"an end of {value} where there is none")
        elif not path:
            raise failure(name, f"{key} outside of any group")
        else:
            # the groups of an angle coefficient file have no root around them
            values: dict[str, Any] = roots[path[0]] if len(path) == 1 else roots[path[0]][path[1]]
            if key in values:
                raise failure(name, f"{key} twice in {path[-1]}")
            values[key] = value
    if path:
        raise failure(name, f"a file that ends within {path[-1]}")
    return roots


def _assignments(content: bytes, name: str) -> Iterable[tuple[str, str]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # as some programs of Windows write all texts
        content = content.decode("utf-16", errors="replace").encode()
    content = content.rstrip(b"\0")  # some old files are filled up
    if len(content) > LIMIT or b"\0" in content:
        raise failure(name, "a binary file" if b"\0" in content else f"{len(content)} bytes")
    # letters of other alphabets stand in notes alone, whatever their encoding
    lines = iter(content.decode("utf-8-sig", errors="replace").splitlines())
    for line in lines:
        if not line.strip() or line.strip().upper() == "END":
            continue
        key, sign, value = (part.strip() for part in line.partition("="))
        if value.startswith("("):
            value = " ".join(_listed(value, lines))
        is_whole = value.endswith(")") if value.startswith("(") else (value[:1] == '"') == (value[1:][-1:] == '"')
        key = key.upper()
        if not sign or not value or not is_whole or not re.fullmatch(r"[A-Z0-9_]+", key):
            raise failure(name, f"a line {line.strip()[:40]!r}")
        value = value.strip('"').strip()
        yield key, value.upper() if key in ("GROUP", "END_GROUP") else value


def _listed(start: str, lines: Iterator[str]) -> Iterator[str]:
    """Parts of a list up to the one that closes it."""
    yield start
    while not start.endswith(")"):
        start = next(lines, ")").strip()
        yield start


def failure(name: str, got: str) -> ValueError:
    """Error of a metadata file that is not what it should be."""
    return ValueError(
        f"open_stack() needs whole metadata of a Landsat scene; got {got} in {name}. Fetch the file again, or leave "
        "the scene out."
    )


# --------------------------------------------------------------------------------------------------------------- values

# Keys by generation, the newest first. Groups that repeat keys of the product itself, such as those of its level-1
# input, are never searched.
_NAME = ("LANDSAT_PRODUCT_ID", "LANDSAT_SCENE_ID")
_DATE = ("DATE_ACQUIRED", "ACQUISITION_DATE")
_TIME = ("SCENE_CENTER_TIME", "SCENE_CENTER_SCAN_TIME")
_LEVEL = ("PROCESSING_LEVEL", "DATA_TYPE", "PRODUCT_TYPE")
_ROW = ("WRS_ROW", "STARTING_ROW")
_MADE = ("DATE_PRODUCT_GENERATED", "FILE_DATE", "PRODUCT_CREATION_TIME")
_ELEVATION = ("DATA_SOURCE_ELEVATION", "ELEVATION_SOURCE")
_ANGLES = ("FILE_NAME_ANGLE_COEFFICIENT", "ANGLE_COEFFICIENT_FILE_NAME")
_OWN_NAME = ("METADATA_FILE_NAME", "METADATA_L1_FILE_NAME", "FILE_NAME_METADATA_ODL")
_OF_INPUT = "LEVEL1_"  # groups of a product of level 2 that speak of that of level 1


class _Reader:
    """Reads what is used of the groups of an MTL file."""

    def __init__(self, groups: Groups, name: str) -> None:
        self.groups, self.name = groups, name
        input_groups = {group for group in groups if group.startswith(_OF_INPUT)}
        self.level = self.required(_LEVEL, set(groups) - input_groups).upper()
        # of a product of level 1 the groups of level 1 are its own
        self.own = set(groups) - (input_groups if self.level.startswith("L2") else set())

    def metadata(self) -> Metadata:
        name = self.scene_name()
        date, platform = self.date(), self.platform(name)
        path, row = self.number(("WRS_PATH",), 1, 251), self.number(_ROW, 1, 251)
        if path is None or row is None:
            raise failure(self.name, "no WRS_PATH or no row")
        self.check_name(name, date, int(path), int(row))
        azimuth = self.number(("SUN_AZIMUTH",), -360, 360)
        return Metadata(
            name=name,
            date=date,
            platform=platform,
            path=int(path),
            row=int(row),
            level=self.level,
            correction=self.groups.get("LEVEL1_PROCESSING_RECORD", {}).get("PROCESSING_LEVEL", self.level),
            collection=self.collection(name),
            elevation=self.optional(_ELEVATION, set(self.groups)),
            processed=self.processed(),
            sun_azimuth=None if azimuth is None else azimuth % 360,
            sun_elevation=self.number(("SUN_ELEVATION",), -90, 90),
            has_gaps=self.has_gaps(platform, date),
            files=self.files(name),
            scales=self.scales(),
            angle_file=self.optional(_ANGLES),
            clouds=self.optional(("CLOUD_COVER",)),
        )

    def optional(self, keys: Iterable[str], groups: set[str] | None = None) -> str | None:
        """Value of the first of the keys that is there."""
        within = self.own if groups is None else groups
        for key in keys:
            for group, values in self.groups.items():
                if group in within and values.get(key):
                    return values[key]
        return None

    def required(self, keys: tuple[str, ...], groups: set[str] | None = None) -> str:
        value = self.optional(keys, groups)
        if value is None:
            raise failure(self.name, f"no {keys[0]}")
        return value

    def number(self, keys: tuple[str, ...], low: float, high: float) -> float | None:
        text = self.optional(keys)
        return None if text is None else _number(text, keys[0], self.name, low, high)

    def date(self) -> np.datetime64:
        day, time = self.required(_DATE), self.required(_TIME).rstrip("Z")
        clock, _, fraction = time.partition(".")  # of up to 7 digits
        try:
            return np.datetime64(datetime.strptime(f"{day} {clock}.{fraction[:6] or 0}", "%Y-%m-%d %H:%M:%S.%f"), "us")
        except ValueError as error:
            raise failure(self.name, f"the time {day} {time}") from error

    def processed(self) -> np.datetime64 | None:
        text = self.optional(_MADE)
        if text is None:
            return None
        try:
            return np.datetime64(datetime.strptime(text[:19].rstrip("Z"), "%Y-%m-%dT%H:%M:%S"), "us")
        except ValueError as error:
            raise failure(self.name, f"the time {text}") from error

    def platform(self, name: str) -> str:
        """Sensor and number of the satellite, such as "LC08", which most names of scenes have too."""
        craft = re.fullmatch(r"LANDSAT_?([1-9])", self.required(("SPACECRAFT_ID",)).upper())
        sensor = _SENSORS.get(self.required(("SENSOR_ID",)).upper())
        if craft is None or sensor is None:
            raise failure(self.name, "a SPACECRAFT_ID or SENSOR_ID of another satellite")
        told = re.match(r"L([COTEM])0?([1-9])(?=_|\d{13})", name)
        if told and told[2] != craft[1]:
            raise failure(self.name, f"Landsat {craft[1]} for {name}")
        return f"L{told[1] if told else sensor}0{craft[1]}"

    def scene_name(self) -> str:
        found = self.optional(_NAME) or re.sub(r"_MTL\..*", "", self.required(_OWN_NAME), flags=re.IGNORECASE)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", found):
            raise failure(self.name, f"the name {found[:60]!r}")
        return found.upper()

    def collection(self, name: str) -> str:
        number = self.optional(("COLLECTION_NUMBER",))
        if number is None:
            match = re.search(r"_(\d\d)_(?:T1|T2|RT|A1|A2)$", name)
            number = match[1] if match else None
        return "pre-collection" if number is None or not number.isdigit() else f"C{int(number)}"

    def check_name(self, name: str, date: np.datetime64, path: int, row: int) -> None:
        """Refuse metadata that contradict the name of the scene, such as those of two scenes in one."""
        day = date.astype(datetime)
        for expression, layout in (
            (r"L[COTEM]0\d_[A-Z0-9]{4}_(\d{6})_(\d{8})_.*", "%Y%m%d"),
            (r"L[COTEM]\d(\d{6})(\d{7})[A-Z]{3}\d\d", "%Y%j"),
        ):
            match = re.fullmatch(expression, name)
            if match and match.groups() != (f"{path:03}{row:03}", day.strftime(layout)):
                raise failure(self.name, f"path {path}, row {row} and {day:%Y-%m-%d} for {name}")

    def has_gaps(self, platform: str, date: np.datetime64) -> bool:
        if platform != "LE07":
            return False
        told = self.optional(("SENSOR_MODE_SLC",))
        return bool(date >= _SLC_FAILED) if told is None else told.upper() == "OFF"

    def files(self, name: str) -> dict[str, str]:
        """Files of bands and layers by their names in the product: what follows the name of the scene."""
        found: dict[str, str] = {}
        group = self.groups.get("PRODUCT_CONTENTS") or self.groups.get("PRODUCT_METADATA") or {}
        # of level 1 the angles stand in the record of the processing in some files
        record = {} if self.level.startswith("L2") else self.groups.get("LEVEL1_PROCESSING_RECORD", {})
        for key, file in (record | group).items():
            is_name = key.startswith("FILE_NAME_") or key.endswith("_FILE_NAME")
            if not is_name or not file.lower().endswith((".tif", ".tiff")):
                continue
            if "/" in file or "\\" in file or file.startswith("."):
                raise failure(self.name, f"the file name {file!r}")
            stem = file.rsplit(".", 1)[0].upper()
            # names of files say of the layers what keys do not; before 2012 they say "B10" of band 1
            is_named = stem.startswith(name + "_") and not re.fullmatch(r"BAND\d+_FILE_NAME", key)
            found[stem[len(name) + 1 :] if is_named else self.band_of(key)] = file
        if not found:
            raise failure(self.name, "no file of any band")
        return found

    def band_of(self, key: str) -> str:
        """Name of a band by its key, for files that are not named after the scene."""
        number = key.removeprefix("FILE_NAME_").removesuffix("_FILE_NAME")
        gain = re.fullmatch(r"BAND6([12])", number)
        number = f"6_VCID_{gain[1]}" if gain else re.sub(r"^BAND_?", "", number)
        if not number[:1].isdigit():
            return number
        return f"SR_B{number}" if self.level.startswith("L2") else f"B{number}"

    def scales(self) -> dict[str, tuple[float, float]]:
        """Factor and addend of every band, by the number of the band."""
        found: dict[str, tuple[float, float]] = {}
        for group, values in self.groups.items():
            for key, text in values.items():
                band = key.removeprefix("REFLECTANCE_MULT_BAND_")
                if group not in self.own or band == key:
                    continue
                added = values.get(f"REFLECTANCE_ADD_BAND_{band}")
                if added is None:
                    raise failure(self.name, f"{key} without what is to be added")
                factor = _number(text, key, self.name, 0, 1)
                found[band] = (factor, _number(added, key, self.name, -10, 10))
                if not factor:
                    raise failure(self.name, f"{key} = 0")
        return found


def _number(text: str, key: str, name: str, low: float, high: float) -> float:
    """Number of a text, which must lie in a range."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # NaN too
        raise failure(name, f"{key} = {text[:40]}")
    return value
