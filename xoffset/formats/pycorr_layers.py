"""Layers of pycorr: what its files hold of a pair, in its numbers, under its names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypedDict

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border
from xoffset.formats.border import Theirs
from xoffset.formats.names import SYSTEMS
from xoffset.model import checks, grids, products
from xoffset.model.dates import as_dates
from xoffset.model.tables import IS_CORRECTED

_SYSTEM = "pycorr"
NAMES = SYSTEMS[_SYSTEM].names
OURS = {theirs: ours for ours, theirs in NAMES.items()}
# Numbers for no value: of velocities and shifts, of correlations, of curvatures, of the classes of the ground.
FILL, NO_SCORE, NO_CURVATURE, NO_CLASS = -9999.0, -2.0, -999.0, -1
# By the word for the time: units of velocities as pycorr writes them, its plural, and its days.
UNITS = {"day": ("m/d", "days", 1.0), "year": ("m/yr", "years", 365.25)}
_UNKNOWN_CLASS = 255
# How layers are titled.
_TITLES = {
    "vx": "x component of velocity", "vy": "y component of velocity", "vv": "magnitude of velocity",
    "corr": "peak correlation value", "del_corr": "peak correlation value minus that of the second peak",
    "d2idx2": "curvature of the correlation peak along x", "d2jdx2": "curvature of the correlation peak along y",
    "del_i": "offset along the rows, positive to the right, not corrected",
    "del_j": "offset along the columns, positive downwards, not corrected",
    "lgo_mask": "land(1) glacier(0) ocean(2) mask",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer (y, x) of a pair: values, NaN where there is none, unit, and the number that stands for none."""

    values: np.ndarray
    units: str
    fill: float


class About(TypedDict, total=False):
    """What may be told beside shifts.

    `classes` is land, glacier or water of `masking.land_classes`, `images` the stack that was matched; `base` what the
    names of the files begin with, `log` a text.
    """

    classes: xr.DataArray | None
    images: xr.DataArray | None
    base: str | None
    log: str | None


@dataclass(frozen=True, eq=False)
class Given:
    """What a caller gives beside shifts: as of `pycorr.write`."""

    unmasked: xr.Dataset | None = None
    per: str = "day"
    classes: xr.DataArray | None = None
    images: xr.DataArray | None = None
    base: str | None = None
    log: str | None = None


@dataclass(frozen=True, eq=False)
class Sheets:
    """Shifts in the numbers of pycorr, pair by pair, and what else it tells of them.

    `masked` is what the masks leave, `raw` all that was matched, both corrected; `removed` (pair, 2) is what was taken
    off along x and y [m], `pixel` the side of the pixels of the images [m], NaN if unknown.
    """

    masked: Theirs
    raw: Theirs
    removed: np.ndarray
    pixel: float
    per: str
    names: list[str]
    n_stable: np.ndarray | None
    is_corrected: np.ndarray | None
    land: np.ndarray | None
    images: Mapping[str, Any]

    def layers(self, pair: int) -> dict[str, Layer]:
        """Layers of a pair, by the names of pycorr; computed if they are lazy."""
        unit, _, days = UNITS[self.per]
        found: dict[str, Layer] = {}
        for ending, theirs in (("", self.raw), ("_masked", self.masked)):
            vx, vy = (np.asarray(theirs.fields[name][pair]) * np.float32(days) for name in ("dx", "dy"))
            for name, values in (("vx", vx), ("vy", vy), ("vv", np.hypot(vx, vy))):
                found[f"{name}{ending}"] = Layer(values, unit, FILL)
        for ours in ("score", "peak_gap", "curvature_x", "curvature_y"):
            if ours in self.raw.fields:
                units, fill = ("1", NO_SCORE) if ours in ("score", "peak_gap") else ("pixel-2", NO_CURVATURE)
                found[NAMES[ours]] = Layer(np.asarray(self.raw.fields[ours][pair]), units, fill)
        return found | (self._offsets(pair) if np.isfinite(self.pixel) else {})

    def _offsets(self, pair: int) -> dict[str, Layer]:
        """Offsets as they were matched [px], to the right and downwards."""
        found = {}
        for axis, (name, ours, sign) in enumerate((("del_i", "dx", 1.0), ("del_j", "dy", -1.0))):
            metres = np.asarray(self.raw.fields[ours][pair]) * np.float32(self.raw.days[pair])
            found[name] = Layer(
                (metres + np.float32(self.removed[pair, axis])) * np.float32(sign / self.pixel), "pixel", FILL
            )
        return found

    def offset_correction(self, pair: int) -> dict[str, Any]:
        """What was added to the offsets of a pair, in the words of pycorr, and of how many vectors on land."""
        told: dict[str, Any] = {"final_offset_correction_units": "pixels"}
        count = None if self.n_stable is None else int(self.n_stable[pair])
        is_done = count is not None and (self.is_corrected is None or bool(self.is_corrected[pair]))
        if count is not None:
            told |= {"number_of_land_pixels": count, "is_corrected": int(is_done)}
        if not is_done:
            why = "None" if count is None else f"None: {count} valid pixels on land are too few, or too far off"
            words = ["None", why, "None", "None"]
        else:
            added = -self.removed[pair] / self.pixel * np.array([1.0, -1.0])
            name = "lgo_masked_correction"
            words = [name, f"{name} for land pixels, {count} valid pixels", *(f"{each:.6f}" for each in added)]
        names = ("type_applied", "type_descritption", "i", "j")
        keys = [f"{'final_' if len(name) == 1 else ''}offset_correction_{name}" for name in names]
        return told | dict(zip(keys, words, strict=True))

    def times(self, pair: int) -> dict[str, str]:
        """Dates of a pair and the time between them."""
        first, second = self.masked.reference[pair].item(), self.masked.secondary[pair].item()
        unit, time, days = UNITS[self.per]
        dates = {"start": first, "mid": first + (second - first) / 2, "end": second}
        return (
            {"del_t": str(self.masked.days[pair] / days), "del_t_units": time, "del_t_speed_units": unit}
            | {f"{name}_time_decimal_year": str(_decimal_year(date)) for name, date in dates.items()}
            | {f"{name}_date": date.isoformat() for name, date in dates.items()}
        )

    def image_details(self, pair: int) -> dict[str, Any]:
        """What is told of the two images of a pair."""
        told: dict[str, Any] = {}
        for number, dates in enumerate((self.masked.reference, self.masked.secondary), start=1):
            date = dates[pair].item()
            about = {name: value for name, value in self.images.items() if name != "names"}
            about |= {"filename": self.images["names"].get(date, "")} if self.images else {}
            about["decimal_year"] = str(_decimal_year(date))
            told |= {f"image{number}_{name}": value for name, value in about.items()}
        return told

    def log(self, pair: int, first: str) -> str:
        """What was done of a pair, line by line, below the lines that the caller says."""
        unit = UNITS[self.per][0]
        layers, place = self.layers(pair), self.masked.place
        matched, left = (int(np.isfinite(layers[name].values).sum()) for name in ("vx", "vx_masked"))
        times, correction = self.times(pair), self.offset_correction(pair)
        dates = {"1": times["start_date"], "2": times["end_date"]}
        names = {number: self.image_details(pair).get(f"image{number}_filename", "") for number in dates}
        lines = [
            *first.replace("\r\n", "\n").removesuffix("\n").split("\n"),
            f"xoffset {version('xoffset')}",
            *(f"image {number}: {f'{names[number]}, ' if names[number] else ''}{dates[number]}" for number in dates),
            f"time between them: {times['del_t']} {times['del_t_units']}",
            f"grid: {place.y.size} rows, {place.x.size} columns, {abs(self.masked.step.y):g} m apart",
            f"matched: {matched} of {place.y.size * place.x.size} chips, velocities in {unit}",
            f"offset correction: {correction['offset_correction_type_descritption']}, in pixels "
            f"i {correction['final_offset_correction_i']}, j {correction['final_offset_correction_j']}",
            f"left by the masks: {left} of {matched}",
        ]
        return "\n".join(lines) + "\n"


def _decimal_year(date: dt.datetime) -> float:
    """Year with the part of it that has passed."""
    start, end = dt.datetime(date.year, 1, 1), dt.datetime(date.year + 1, 1, 1)
    return date.year + (date - start) / (end - start)


def title_of(name: str) -> str:
    """What a layer holds, in words."""
    return _TITLES[name.removesuffix("_masked")] + (" (masked)" if name.endswith("_masked") else "")


def given(unmasked: xr.Dataset | None, per: str, about: Mapping[str, Any], caller: str) -> Given:
    """What a caller gives, after refusing what is not known.

    Raises
    ------
    TypeError
        If a name is none of `About`.
    """
    known = About.__annotations__
    unknown = [name for name in about if name not in known]
    if unknown:
        raise TypeError(f"{caller}() needs one of {', '.join(known)}; got {unknown[0]!r}. Correct the name.")
    check_log(about.get("log"), caller)
    return Given(unmasked, per, **about)


def check_log(log: Any, caller: str) -> None:
    """Refuse first lines of a log that are no text, or that files cannot hold.

    Raises
    ------
    TypeError, ValueError
        If it is none, or holds signs that end a text or are no characters.
    """
    if log is None:
        return
    if not isinstance(log, str):
        raise TypeError(f"{caller}() needs a text as log; got {type(log).__name__}. Pass one such as 'my command'.")
    bad = next((sign for sign in log if sign == "\0" or "\ud800" <= sign <= "\udfff"), None)
    if bad is not None:
        raise ValueError(
            f"{caller}() needs a log that files can hold; got the sign {bad!r} in it. Leave it out, or spell it."
        )


def prepared(shifts: Any, given: Given, caller: str) -> Sheets:
    """Shifts in the numbers of pycorr, after checking all that its files are made of; maps are not computed.

    Raises
    ------
    TypeError, ValueError
        As of `pycorr.write`.
    """
    _options.check_name(given.per, UNITS, "per", caller)
    shifts = checks.as_shifts(shifts, caller)
    removed = np.stack([_of_pairs(shifts, f"removed_{name}", caller) for name in ("dx", "dy")], axis=-1)
    raw = shifts if given.unmasked is None else _corrected(given.unmasked, shifts, removed, caller)
    masked = border.from_shifts(_SYSTEM, shifts, caller=caller, fields=("dx", "dy"))
    sizes = np.unique(raw[products.PIXEL_SIZE].values) if products.PIXEL_SIZE in raw.coords else np.empty(0)
    return Sheets(
        masked,
        border.from_shifts(_SYSTEM, raw, caller=caller, fields=tuple(NAMES)),
        removed,
        float(sizes[0]) if sizes.size == 1 else float("nan"),
        given.per,
        _stems(masked, given.base, caller),
        _counts(shifts, "n_stable"),
        _counts(shifts, IS_CORRECTED),
        None if given.classes is None else _land(given.classes, masked, caller),
        {} if given.images is None else _of_images(given.images, caller),
    )


def is_name(base: Any) -> bool:
    """Whether names of files may begin with it: a text without signs of folders."""
    return isinstance(base, str) and not set(base) & set('/\\:*?"<>|\0') and base not in ("", ".", "..")


def _stems(theirs: Theirs, base: Any, caller: str) -> list[str]:
    """Beginning of the names of the files of each pair: its dates, what the caller says, or both of several pairs."""
    dates = border.stems(theirs, "_")
    if base is None:
        return dates
    if not is_name(base):
        raise ValueError(
            f"{caller}() needs a name without signs of folders as base; got {base!r}. Pass one such as 'L2A_7VEG'."
        )
    return [base] if len(dates) == 1 else [f"{base}_{each}" for each in dates]


def _corrected(unmasked: Any, shifts: xr.Dataset, removed: np.ndarray, caller: str) -> xr.Dataset:
    """Matches without what was taken off the shifts that were made of them."""
    whole = checks.as_shifts(unmasked, caller)
    labels = ("x", "y", "reference", "secondary")
    if not all(np.array_equal(shifts[name].values, whole[name].values) for name in labels):
        raise ValueError(
            f"{caller}() needs unmasked shifts of the same pairs and nodes; got {dict(whole.sizes)} of other dates or "
            f"places than {dict(shifts.sizes)}. Pass those that the shifts were made of, by screen() and correct()."
        )
    new = {}
    for axis, name in enumerate(("dx", "dy")):
        off = removed[:, axis, np.newaxis, np.newaxis].astype(whole[name].dtype)
        new[name] = whole[name].copy(data=whole[name].data - off)
    return whole.assign(new)


def _of_pairs(shifts: xr.Dataset, name: str, caller: str) -> np.ndarray:
    """What was taken off each pair [m], 0 if nothing was."""
    if name not in shifts:
        return np.zeros(shifts.sizes["pair"])
    least, most = (np.nan_to_num(each.values) for each in (shifts[name].min(("y", "x")), shifts[name].max(("y", "x"))))
    if (most - least > 1e-3 * np.maximum(np.abs(most), 1.0)).any():
        raise ValueError(
            f"{caller}() needs shifts of which one shift a pair was taken off, as pycorr tells it; got '{name}' that "
            f"differs by up to {(most - least).max():g} m within a pair. Correct by a shift alone: correct(order=0)."
        )
    return np.asarray(least, dtype=np.float64)


def _counts(shifts: xr.Dataset, name: str) -> np.ndarray | None:
    return np.asarray(shifts[name].values) if name in shifts and shifts[name].dims == ("pair",) else None


def _land(classes: Any, theirs: Theirs, caller: str) -> np.ndarray:
    """Class of the ground (y, x) int8 at the nearest pixel of a map, -1 where it is not known."""
    if not isinstance(classes, xr.DataArray) or set(classes.dims) != {"y", "x"}:
        raise TypeError(
            f"{caller}() needs a DataArray (y, x) as classes; got {type(classes).__name__}. Pass the result of "
            "xoffset.masking.land_classes()."
        )
    if not grids.agree(grids.crs_of(classes), theirs.place.crs):
        raise ValueError(
            f"{caller}() needs classes in the CRS of the shifts, {grids.name_of(theirs.place.crs)}; got "
            f"{grids.name_of(grids.crs_of(classes))}. Make them of the same stack."
        )
    found = classes.transpose("y", "x")
    for name, at in (("y", theirs.place.y), ("x", theirs.place.x)):
        side = float(np.abs(np.diff(classes[name].values)).max(initial=0.0))
        found = found.reindex({name: at}, method="nearest", tolerance=0.501 * side, fill_value=_UNKNOWN_CLASS)
    values = np.asarray(found.values).astype(np.int16)
    return np.where(values == _UNKNOWN_CLASS, NO_CLASS, values).astype(np.int8)


def _of_images(images: Any, caller: str) -> dict[str, Any]:
    """What is told of images: names by their dates, sides of the pixels, CRS and place."""
    stack = checks.as_stack(images, caller)
    steps, crs = grids.spacing(stack, caller), grids.crs_of(stack)
    names = stack["scene"].values.astype(str) if "scene" in stack.coords else ""
    dates = as_dates(stack["time"].values).tolist()
    corner = float(stack["x"][0]) - steps.x / 2, float(stack["y"][0]) - steps.y / 2
    return {
        "names": dict(zip(dates, np.broadcast_to(names, len(dates)).tolist(), strict=True)),
        "pix_x_size": steps.x, "pix_y_size": steps.y, "proj_WKT": "" if crs is None else crs.to_wkt("WKT1_GDAL"),
        "proj_GeoTransform": [corner[0], steps.x, 0.0, corner[1], 0.0, steps.y],
    }  # fmt: skip
