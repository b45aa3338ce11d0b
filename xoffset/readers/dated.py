"""Layers of raster files: of one date each, or of many, whose bands or steps in time tell their dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model.dates import NOT_A_DATE, Date, as_instant
from xoffset.readers import cube_dates, cubes, dates, patience, pixels
from xoffset.readers.scenes import Image, Layer, Scene

# Tags of a band that hold its date, in lower case.
_TAGS = (
    "timestamp", "acquisitiondatetime", "acquisition_datetime", "acquisition_date", "date_acquired", "datetime",
    "date", "time", "sensing_time",
)  # fmt: skip

_NUMBER = re.compile(r"[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?")


def layers(
    within: Mapping[str, int | str | None],
    date: str | Iterable[Date] | None,
    nodata: float | None,
    pixel_size: float | None,
) -> list[Layer]:
    """Images of raster files, given with the band wanted of each, in their order, and in that of the dates in each."""
    paths = list(within)
    if isinstance(date, str) or (date is not None and not isinstance(date, Iterable)):  # of file names, or wrong
        images = [
            patience.from_afar(partial(pixels.describe, path, band, nodata, pixel_size), path)
            for path, band in within.items()
        ]
        return [Layer(scene, image) for scene, image in zip(dates.scenes(paths, date), images, strict=True)]
    given = None if date is None else list(date)
    found: list[tuple[str, Image, Scene | None]] = []
    for path, band in within.items():
        cube = partial(cubes.layers, path, band, nodata, pixel_size, has_dates=given is not None)
        layered = patience.from_afar(cube, path)
        if layered is not None:
            found += [(path, layer.image, layer.scene) for layer in layered]
        else:
            bands = _Bands(
                path, band, has_dates=given is not None, are_all=given is not None and len(given) > len(paths)
            )
            images = patience.from_afar(partial(pixels.describe_each, path, bands, nodata, pixel_size), path)
            found += [(path, image, bands.scenes.get(image.band)) for image in images]
    return _with_dates(paths, found, given)


def of_bands(path: str, dataset: Any) -> tuple[np.datetime64, ...]:
    """Dates that the bands of a file tell, none if it has one date, which its name tells."""
    return tuple(scene.date for scene in _Bands(path, None, has_dates=False, are_all=False).dated(dataset).values())


class _Bands:
    """Picks the bands of a file: each that is a date, or the one wanted, and keeps what is known of those dates."""

    def __init__(self, path: str, band: int | str | None, *, has_dates: bool, are_all: bool) -> None:
        self._path, self._band, self._has_dates, self._are_all = path, band, has_dates, are_all
        self.scenes: dict[int, Scene] = {}

    def __call__(self, dataset: Any) -> list[int]:
        if self._band is None:
            self.scenes = self.dated(dataset)
        return list(self.scenes) or [pixels.pick_band(self._path, dataset, self._band)]

    def dated(self, dataset: Any) -> dict[int, Scene]:
        """Scenes of the bands, none if the file has one date, which its name tells."""
        from rasterio.enums import ColorInterp

        kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
        numbers = [number for number, kind in kinds if kind is not ColorInterp.alpha]
        names = {number: (dataset.descriptions[number - 1] or "").strip() for number in numbers}
        if not (all(names.values()) and len(set(names.values())) == len(names)):
            names = {number: f"{Path(self._path).stem}_{number}" for number in numbers}
        if self._has_dates:
            is_several = self._are_all and len(numbers) > 1
            return {number: Scene(names[number], NOT_A_DATE) for number in numbers} if is_several else {}
        if len(numbers) == 1 and dates.is_told(self._path):
            return {}
        whens = {number: _date_of(self._path, number, dataset) for number in numbers}
        known = {number: when for number, when in whens.items() if when is not None}
        if known:
            _check_bands(self._path, numbers, known, names)
        return {number: Scene(names[number], when) for number, when in known.items()}


def _date_of(path: str, number: int, dataset: Any) -> np.datetime64 | None:
    """Date that the description and the tags of a band tell."""
    tags = {**dataset.tags(number), **dataset.tags(number, ns="IMAGERY")}
    texts = [dataset.descriptions[number - 1] or "", *(tags[name] for name in tags if name.lower() in _TAGS)]
    counted = _counted(path, number, dataset)
    found = sorted({when for text in texts if (when := dates.of_text(text)) is not None} | counted)
    if len({when.astype("datetime64[D]") for when in found}) > 1:
        told = " and ".join(str(when) for when in found[:2])
        raise ValueError(
            f"open_stack() needs one date a band; the description and the tags of band {number} of "
            f"{Path(path).name} tell {told}. Correct them, or give one date a band: date=['2020-07-17', ...]."
        )
    # a day alone is its first instant: the other text adds the time
    return found[-1] if found else None


def _counted(path: str, number: int, dataset: Any) -> set[np.datetime64]:
    """Date of a band that GDAL has copied from netCDF, as the number and the unit that it leaves in the tags; or none.

    Of netCDF itself dates are read with their values as it declares them, or not at all.
    """
    if dataset.driver == "netCDF":
        return set()
    tags, told = dataset.tags(), f"band {number} of {Path(path).name}"
    found: set[np.datetime64] = set()
    for name, value in dataset.tags(number).items():
        axis = name.removeprefix("NETCDF_DIM_")
        attrs = {what: tags[f"{axis}#{what}"] for what in ("units", "calendar") if f"{axis}#{what}" in tags}
        if axis != name and " since " in attrs.get("units", "") and _NUMBER.fullmatch(value):
            found.add(cube_dates.decoded(xr.Variable(axis, [float(value)], attrs), axis, told, axis)[0])
    return found


def _check_bands(path: str, numbers: Sequence[int], known: dict[int, np.datetime64], names: dict[int, str]) -> None:
    """Refuse bands of which only some tell dates, or two the same."""
    unknown = [number for number in numbers if number not in known]
    if unknown:
        first, other = next(iter(known)), unknown[0]
        raise ValueError(
            f"open_stack() needs bands of which each tells one date, or none; of {Path(path).name} band {first} "
            f"('{names[first]}') tells one and band {other} ('{names[other]}') does not. Pass band=, the number of one "
            "of them, or one date a band: date=['2020-07-17', ...]."
        )
    seen: dict[np.datetime64, int] = {}
    for number, when in known.items():
        if when in seen:
            raise ValueError(
                f"open_stack() needs every date once; got {when} from bands {seen[when]} and {number} of "
                f"{Path(path).name}. If these are bands of one image, pass band=, the number of one; else give the "
                "times of day: date=['2020-07-17T10:30', ...], one a band."
            )
        seen[when] = number


def _with_dates(
    paths: Sequence[str], found: Sequence[tuple[str, Image, Scene | None]], given: Sequence[Date] | None
) -> list[Layer]:
    """Layers of images, with the dates that the caller gives, or that their files or the names of these tell."""
    singles = [path for path, _, scene in found if scene is None]
    if len(singles) == len(found):
        return [Layer(scene, image) for scene, (_, image, _) in zip(dates.scenes(paths, given), found, strict=True)]
    if given is None:
        named = iter(dates.scenes(singles, None) if singles else [])
        return [Layer(scene or next(named), image) for _, image, scene in found]
    if len(given) != len(found):
        raise ValueError(
            f"open_stack() needs one date an image; got {len(given)} dates for {len(found)} images in "
            f"{len(paths)} files, from {Path(paths[0]).name} on. Give one for each band or step in time, in order."
        )
    whens = [as_instant(value, "each entry of date", "open_stack") for value in given]
    return [
        Layer(replace(scene or Scene(Path(path).stem, when), date=when), image)
        for when, (path, image, scene) in zip(whens, found, strict=True)
    ]
