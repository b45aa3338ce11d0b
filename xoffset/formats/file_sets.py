"""Pairs whose components lie in files of their own, or in the bands of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.formats import border, pair_names, rasters, writing
from xoffset.formats.border import Theirs
from xoffset.formats.names import SYSTEMS
from xoffset.formats.rasters import Raster
from xoffset.model import checks, declared, grids
from xoffset.model.dates import Date

# Correlation in 8 bit, as MicMac and its services have it: 128 to 255, 0 where there is no value.
LEAST_SCORE, MOST_SCORE = 128, 255
# What tags of their files tell beside units and dates.
TAGS: Mapping[str, Mapping[str, str]] = {
    "dx": {"long_name": "displacement, east positive"},
    "dy": {"long_name": "displacement, south positive"},
    "score": {
        "long_name": "correlation",
        "legend": "0=no value 128..255=correlation 0..1, 128 also below 0",
    },
}


@dataclass(frozen=True)
class Given:
    """What a caller says of files that do not tell it."""

    dates: tuple[Date, Date] | None = None
    pixel_size: float | tuple[float, float] | None = None
    crs: Any = None


def read_files(
    system: str,
    files: Mapping[str, Path],
    given: Given,
    caller: str,
    *,
    change: Callable[[dict[str, np.ndarray]], Any] | None = None,
) -> xr.Dataset:
    """Shifts of one pair from the first bands of files, by our names; those of the two components must be there.

    `change` may set values to NaN, and answers the flags to set.
    """
    read = {
        name: rasters.read(path, caller, pixel_size=given.pixel_size, crs=given.crs) for name, path in files.items()
    }
    check_same_grid(list(read.values()), list(files.values()), caller)
    fields = {name: in_units(system, name, each, 0, caller) for name, each in read.items()}
    return _shifts(system, fields, read["dx"], files["dx"], given, caller, change)


def read_scored_sets(system: str, sets: Sequence[Mapping[str, Path]], given: Given, caller: str) -> xr.Dataset:
    """Shifts of the pairs of a service whose scores are in 8 bit, each pair a set of files by our names."""
    change = partial(without_low_scores, caller=caller)
    return border.joined([read_files(system, files, given, caller, change=change) for files in sets], caller)


def read_bands(
    system: str,
    path: Path,
    bands: Callable[[Raster], Mapping[str, int]],
    given: Given,
    caller: str,
    *,
    change: Callable[[dict[str, np.ndarray]], Any] | None = None,
) -> xr.Dataset:
    """Shifts of one pair from the bands of a file; `bands` tells their numbers, from 0, by our names."""
    read = rasters.read(path, caller, pixel_size=given.pixel_size, crs=given.crs)
    fields = {name: in_units(system, name, read, number, caller) for name, number in bands(read).items()}
    return _shifts(system, fields, read, path, given, caller, change)


def _shifts(
    system: str, fields: dict[str, np.ndarray], read: Raster, path: Path, given: Given, caller: str, change: Any
) -> xr.Dataset:
    first, second = pair_names.dates(path.name, given.dates, caller)
    flags = None if change is None else change(fields)
    return border.to_shifts(
        system, fields, [first], [second], read.place, source=[path.name], caller=caller, pixel=read.pixel, flags=flags
    )


def in_units(system: str, name: str, read: Raster, band: int, caller: str) -> np.ndarray:
    """Values of a band, those of a component or its error in the units of the system, where the file states others.

    Raises
    ------
    ValueError
        If they are those of another quantity.
    """
    if name.removeprefix("sigma_") not in ("dx", "dy"):
        return np.asarray(read.values[band])
    row = SYSTEMS[system]
    # numbers for no value go before units turn them into others
    values = xr.DataArray(border.without(read.values[band], row.nodata), attrs={"units": read.units[band]})
    return np.asarray(declared.decoded(values, f"'{name}'", caller, wanted=row.units))


def check_same_grid(read: Sequence[Raster], paths: Sequence[Path], caller: str) -> None:
    """Refuse files of one pair that do not lie on one grid."""
    first = read[0]
    for other, path in zip(read[1:], paths[1:], strict=True):
        is_same = other.values.shape[1:] == first.values.shape[1:] and all(
            np.abs(ours - theirs).max() < 1e-3 * abs(side)
            for ours, theirs, side in zip(
                (first.place.x, first.place.y), (other.place.x, other.place.y), first.pixel, strict=True
            )
        )
        if not is_same:
            raise ValueError(
                f"{caller}() needs the files of a pair on one grid; got {paths[0].name} of {first.values.shape[1:]} "
                f"and {path.name} of {other.values.shape[1:]} pixels, or at other places. Are they of one pair?"
            )


def without_low_scores(fields: dict[str, np.ndarray], caller: str) -> None:
    """Set values to NaN where a score in 8 bit says that there is none, and that score too.

    Raises
    ------
    ValueError
        If scores are from 0 to 1, none of which is one in 8 bit.
    """
    if "score" not in fields:
        return
    most = np.nanmax(fields["score"], initial=0.0)
    if 0.0 < most <= 1.0:
        raise ValueError(
            f"{caller}() needs scores in 8 bit, {LEAST_SCORE} to {MOST_SCORE}, 0 where there is no value; got none "
            f"above {most:g}. Save them so, 128 + 127 * score, or leave that file out."
        )
    is_missing = ~(fields["score"] >= LEAST_SCORE)
    for name in fields:
        fields[name] = np.where(is_missing, np.float32(np.nan), fields[name])


def packed_score(score: Any) -> np.ndarray:
    """Scores in the numbers of 8 bit: from 128, also where they are negative, to 255; 0 where there is none."""
    numbers = np.clip(np.rint(np.asarray(score)), LEAST_SCORE, MOST_SCORE)
    return np.where(np.isfinite(numbers), numbers, 0).astype(np.uint8)


def by_day(theirs: Theirs, caller: str) -> Theirs:
    """Values with the days alone of their dates, as names of files have them."""
    days = [dates.astype("M8[D]") for dates in (theirs.reference, theirs.secondary)]
    same = np.flatnonzero(days[0] == days[1])
    if same.size:
        raise ValueError(
            f"{caller}() needs dates of two days a pair, which is all that names of files tell; got two of "
            f"{days[0][same[0]]} in pair {same[0]}. Leave such pairs out, or save them with to_zarr()."
        )
    return replace(theirs, reference=days[0].astype("M8[us]"), secondary=days[1].astype("M8[us]"))


def write_files(
    theirs: Theirs, files: Sequence[Mapping[str, str]], folder: Path, units: str, *, overwrite: bool, caller: str
) -> list[Path]:
    """Write GeoTIFFs, one a field, named by our names for each pair; lazy values are computed pair by pair."""
    options = rasters.profile(theirs.place, theirs.step)
    kept = [[name for name in names if name in theirs.fields] for names in files]
    every = [names[name] for names, present in zip(files, kept, strict=True) for name in present]
    with writing.replaced_all(folder, every, overwrite=overwrite, caller=caller) as scratch:
        for pair, (names, present) in enumerate(zip(files, kept, strict=True)):
            tags = tags_of(theirs, pair)
            for name in present:
                values = np.asarray(theirs.fields[name][pair])
                values = packed_score(values) if name == "score" else values.astype(np.float32)
                about = {"units": "1" if name == "score" else units, **TAGS.get(name, {}), **tags}
                rasters.write(scratch / names[name], {"": values}, options, about, caller)
    return [folder / name for name in every]


def tags_of(theirs: Theirs, pair: int) -> dict[str, str]:
    """Dates of a pair for the tags of a file, ISO 8601."""
    return {
        name: dates[pair].item().isoformat()
        for name, dates in (("reference", theirs.reference), ("secondary", theirs.secondary))
    }


def in_own_pixels(system: str, shifts: xr.Dataset, caller: str) -> Theirs:
    """Values of shifts in the numbers of a system whose pixels are those of its files."""
    step = grids.spacing(checks.as_shifts(shifts, caller), caller)
    return border.from_shifts(
        system, shifts, caller=caller, pixel=(abs(step.x), abs(step.y)), fields=("dx", "dy", "score")
    )
