"""What an item tells of its acquisition, in the words that products have for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xoffset._options import is_number
from xoffset.model.dates import as_instants
from xoffset.model.platforms import LANDSAT, OLD_LANDSAT, SENTINEL2
from xoffset.readers import bands
from xoffset.readers.eopf.metadata import geometry as sentinel2_geometry
from xoffset.readers.eopf.metadata import platform_of
from xoffset.readers.landsat import bands as landsat_bands
from xoffset.readers.scenes import Scene
from xoffset.readers.stac.items import Item

# Names of products: those of Sentinel-2, with or without their baseline, and of Landsat.
_SENTINEL2 = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?P<level>L1C|L2A)_(?P<date>\d{8}T\d{6})_(?:N(?P<baseline>\d{4})_)?R(?P<orbit>\d{3})"
    r"_T(?P<tile>\d{2}[A-Z]{3})_(?P<processed>\d{8}T\d{6})"
)
_LANDSAT = re.compile(
    r"(?P<platform>L[COTEM]0\d)_(?P<level>[A-Z0-9]{4})_(?P<tile>\d{6})_\d{8}_(?P<processed>\d{8})_(?P<collection>\d\d)"
    r"(?:_(?:T1|T2|RT|A1|A2))?"
)
_EARTH_SEARCH = re.compile(r"(?P<platform>S2[A-D])_T?(?P<tile>\d{1,2}[A-Z]{3})_(?P<date>\d{8}(?:T\d{6})?)_.*")
# Properties that hold the name of a product.
_NAMED = (
    "s2:product_uri", "sentinel:product_id", "sentinel2:product_id", "landsat:landsat_product_id", "landsat:product_id",
    "title",
)  # fmt: skip
_LETTERS = {"oli": "O", "tirs": "T", "etm": "E", "tm": "T", "mss": "M"}
# Since then lines of Landsat 7 have gaps.
_SLC_FAILED = np.datetime64("2003-05-31T21:42:35")
_LONGEST = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Told:
    """What an item tells: its scene without band and scale, its processing baseline, and whether it was refined."""

    scene: Scene
    baseline: str  # "04.00", of Landsat the collection, such as "C2"; empty if nothing tells
    refined: str  # "refined", "not refined" or "unknown"
    cloud_cover: float | None  # of the scene [%]
    has_applied_offset: bool | None  # whether the radiometric offset is in the values already


def told_by(item: Item) -> Told:
    """What an item tells of its acquisition.

    Raises
    ------
    ValueError
        If nothing tells its date.
    """
    told, named = item.properties, _named(item)
    platform = _platform(told, named)
    refined = _refined(told)
    baseline = _baseline(told, named, platform)
    elevation = _number(told, "view:sun_elevation", "eo:sun_elevation")
    zenith = _number(told, "s2:mean_solar_zenith")
    return Told(
        Scene(
            name=named.get("name", item.id),
            date=date_of(item),
            platform=platform,
            relative_orbit=_orbit(told, named),
            tile=_tile(told, named),
            level=_level(told, named, platform),
            geometry=_geometry(platform, baseline, refined, _level(told, named, platform)),
            processed=_processed(told, named),
            strip_start=_stamp(_match(r"_S(\d{8}T\d{6})", told.get("s2:datastrip_id"))),
            sun_azimuth=_number(told, "view:sun_azimuth", "s2:mean_solar_azimuth", "eo:sun_azimuth"),
            sun_elevation=90.0 - zenith if elevation is None and zenith is not None else elevation,
            view_azimuth=_number(told, "view:azimuth"),
            view_zenith=_number(told, "view:incidence_angle"),
            has_gaps=bool(platform == "LE07" and date_of(item) >= _SLC_FAILED),
        ),
        baseline=baseline,
        refined=refined,
        cloud_cover=_number(told, "eo:cloud_cover"),
        has_applied_offset=_applied(told),
    )


def with_refinement(told: Told, is_refined: bool | None) -> Told:
    """What is told, with what the metadata of the data strip add."""
    if is_refined is None or told.refined != "unknown":
        return told
    text = "refined" if is_refined else "not refined"
    known = told.scene.geometry
    scene = replace(told.scene, geometry=known and known.replace("refinement unknown", text))
    return replace(told, scene=scene, refined=text)


def _applied(told: Mapping[str, Any]) -> bool | None:
    """Whether a catalogue says that the radiometric offset was applied; None if it says nothing of it."""
    said = next((told[key] for key in told if str(key).endswith("boa_offset_applied")), None)
    return {"true": True, "false": False}.get(str(said).lower())


def date_of(item: Item) -> np.datetime64:
    """When an item was acquired, UTC: its date, else the middle of a short interval."""
    texts = [item.properties.get(name) for name in ("datetime", "start_datetime", "end_datetime")]
    when, start, end = as_instants([text if isinstance(text, str) else "" for text in texts])
    if np.isnat(when) and not (np.isnat(start) or np.isnat(end)) and abs(end - start) <= _LONGEST:
        when = start + (end - start) // 2
    if np.isnat(when):
        raise ValueError(
            f"open_stac() needs items of one acquisition each; {item.id} tells no datetime, or an interval longer than "
            f"an hour. Leave it out: mosaics of many dates hold no motion."
        )
    return np.datetime64(when)


def _named(item: Item) -> dict[str, str]:
    """What the name of the product tells."""
    texts = [item.id, *(str(item.properties.get(name) or "") for name in _NAMED)]
    for expression in (_SENTINEL2, _LANDSAT, _EARTH_SEARCH):
        for text in texts:
            found = expression.search(text)
            if found:
                parts = {name: value for name, value in found.groupdict().items() if value}
                return parts | {"name": item.id if expression is _EARTH_SEARCH else found[0]}
    return {}


def _platform(told: Mapping[str, Any], named: Mapping[str, str]) -> str | None:
    """Satellite as products name it: "S2A", "LC08"; others as they are."""
    text = str(told.get("platform") or told.get("eo:platform") or "").strip()
    craft = re.fullmatch(r"landsat[-_ ]?0?([1-9])", text, re.IGNORECASE)
    if "platform" in named or not craft:
        return named.get("platform") or platform_of(text) or text or None
    instruments = told.get("instruments") or re.split(r"[_ ]", str(told.get("eo:instrument") or ""))
    sensors = {_LETTERS[name] for each in instruments if (name := str(each).lower().rstrip("+")) in _LETTERS}
    letter = "C" if sensors == {"O", "T"} else next(iter(sensors)) if len(sensors) == 1 else ""
    return f"L{letter}0{craft[1]}" if letter else None


def _orbit(told: Mapping[str, Any], named: Mapping[str, str]) -> int | None:
    texts = (told.get("sat:relative_orbit"), told.get("landsat:wrs_path"), named.get("orbit"))
    found = next((str(text) for text in texts if str(text).isdecimal()), None)
    return None if found is None else int(found)


def _tile(told: Mapping[str, Any], named: Mapping[str, str]) -> str | None:
    """Tile "31TGK", of Landsat path and row "063018"."""
    path, row = (str(told.get(f"landsat:wrs_{each}", "")) for each in ("path", "row"))
    if path.isdecimal() and row.isdecimal():
        return f"{int(path):03}{int(row):03}"
    parts = [
        "".join(str(told.get(f"{space}:{name}", "")) for name in ("utm_zone", "latitude_band", "grid_square"))
        for space in ("mgrs", "sentinel")
    ]
    texts = (told.get("s2:mgrs_tile"), told.get("grid:code"), *parts, named.get("tile"))
    for text in texts:
        found = re.fullmatch(r"(?:MGRS-|T)?(\d{1,2})([C-X][A-Z]{2})|(\d{6})", str(text or ""))
        if found:
            return found[3] or f"{int(found[1]):02}{found[2]}"
    return None


def _level(told: Mapping[str, Any], named: Mapping[str, str], platform: str | None) -> str | None:
    texts = (
        named.get("level"),
        told.get("processing:level"),
        told.get("landsat:correction"),
        told.get("s2:product_type"),
    )
    kind = bands.family(platform) if platform else ""
    for text in texts:
        found = re.search(r"L?(1C|2A)$" if kind == SENTINEL2 else r"^(L[12][A-Z]{2})$", str(text or ""))
        if found:
            return f"L{found[1]}" if kind == SENTINEL2 else found[1]
    return None


def _baseline(told: Mapping[str, Any], named: Mapping[str, str], platform: str | None) -> str:
    """Processing baseline of Sentinel-2, "04.00"; of Landsat the collection, "C2"."""
    if platform and bands.family(platform) in (LANDSAT, OLD_LANDSAT):
        number = str(told.get("landsat:collection_number") or named.get("collection") or "")
        return f"C{int(number)}" if number.isdecimal() else ""
    for text in (
        told.get("s2:processing_baseline"), told.get("processing:version"), told.get("sentinel2:processing_baseline"),
        _match(r"_N(\d\d\.\d\d)$", told.get("s2:granule_id")), named.get("baseline"),
    ):  # fmt: skip
        found = re.fullmatch(r"(\d\d)\.?(\d\d)", str(text or ""))
        if found:
            return f"{found[1]}.{found[2]}"
    return ""


def _refined(told: Mapping[str, Any]) -> str:
    """Whether the geometry was tied to reference images, as some catalogues tell under one name or another."""
    for name, value in told.items():
        if re.search(r"refin", str(name), re.IGNORECASE):
            is_not = value is False or str(value).strip().lower().replace("-", "_") in ("false", "not_refined", "no")
            return "not refined" if is_not else "refined"
    return "unknown"


def _geometry(platform: str | None, baseline: str, refined: str, level: str | None) -> str | None:
    """Class of processing geometry."""
    kind = bands.family(platform) if platform else ""
    if kind == SENTINEL2:
        known = sentinel2_geometry(baseline) if baseline else None
        return known and known.replace("refinement unknown", "refinement unknown" if refined == "unknown" else refined)
    # the correction of the level-1 input, such as L1TP, is in no item of level 2
    return " ".join(filter(None, (baseline, level))) or None if kind in (LANDSAT, OLD_LANDSAT) else None


def _processed(told: Mapping[str, Any], named: Mapping[str, str]) -> np.datetime64 | None:
    texts = [told.get("s2:generation_time"), told.get("processing:datetime"), told.get("odc:processing_datetime")]
    found = as_instants([text if isinstance(text, str) else "" for text in texts])
    known = next((each for each in found if not np.isnat(each)), None)
    if known is None and "processed" in named:
        return _stamp(named["processed"])
    if known is None:
        created = np.datetime64(as_instants([str(told.get("created") or "")])[0])
        return None if np.isnat(created) else created
    return np.datetime64(known)


def _stamp(digits: str | None) -> np.datetime64 | None:
    """Time that an identifier holds in digits alone."""
    found = np.datetime64(as_instants([digits or ""])[0])
    return None if np.isnat(found) else found


def _match(expression: str, text: Any) -> str | None:
    found = re.search(expression, str(text or ""))
    return found and found[1]


def _number(told: Mapping[str, Any], *names: str) -> float | None:
    return next((float(told[name]) for name in names if is_number(told.get(name))), None)


# ---------------------------------------------------------------------------------------------------------------- bands


def scale_of(told: Told, band: str | None, stated: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Offset and quantification of a band, so that reflectance = (value + offset) / quantification.

    From the scale and offset that the item states of the file. A catalogue that says that the radiometric offset was
    applied means that none is left, whatever it states beside that. Of Sentinel-2 the baseline tells where nothing else
    does. None where nothing tells: a catalogue that states a scale alone may have forgotten the offset.
    """
    factor, addend = stated.get("scale"), stated.get("offset")
    is_band = re.fullmatch(r"B(\d\d|8A)", band or "") is not None
    has_offset = is_band and bands.family(told.scene.platform) == SENTINEL2 and told.baseline >= "04"
    if is_number(factor) and factor and is_number(addend if addend is not None else 0):
        if addend is None and has_offset and told.has_applied_offset is None:
            return None, _rounded(1 / factor)
        offset = 0.0 if told.has_applied_offset else _rounded((addend or 0) / factor)
        return offset, _rounded(1 / factor)
    if is_band and bands.family(told.scene.platform) == SENTINEL2 and told.baseline:
        return (-1000.0 if has_offset and not told.has_applied_offset else 0.0), 10_000.0
    return None, None


def _rounded(value: float) -> float:
    # as exact as the decimals of the item are: 1 / 2e-5 is 50000
    return float(f"{value:.12g}")


def band_of(names: list[str], common: str | None, platform: str | None) -> str:
    """Name of a band as products of a satellite have it, from its names in an item, the first that of its file."""
    kind = bands.family(platform) if platform else ""
    for name in names:
        if kind == SENTINEL2 and (found := re.match(r"B0?(\d{1,2}|8A)(?:_\d\dm)?$", name, re.IGNORECASE)):
            return "B8A" if found[1].upper() == "8A" else f"B{int(found[1]):02}"
        found = re.match(
            r"(?:(?:OLI|TIRS|TM|ETM|MSS)_)?((?:SR_|ST_)?B\d{1,2}(?:_VCID_\d)?)(?:\.TIF)?$", name, re.IGNORECASE
        )
        if kind in (LANDSAT, OLD_LANDSAT) and found:
            return found[1].upper()
    for name in (*names, common or ""):
        if kind == SENTINEL2 and name in bands.OF_SENTINEL2:
            return bands.OF_SENTINEL2[name]
        if kind in (LANDSAT, OLD_LANDSAT) and platform and name in landsat_bands.common(platform):
            return landsat_bands.common(platform)[name]
    return names[0]
