"""Bands by their common names, in reflectance at the top of the atmosphere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.scenes.spectral import BANDS, CIRRUS, LARGEST, check_counts
from xoffset._blocks import elements
from xoffset.model import declared, platforms
from xoffset.readers.bands import OF_SENTINEL2
from xoffset.readers.landsat.bands import common

# Other names of bands, and bands that stand in where one is missing.
_ALIASES = {"swir1": "swir16", "swir_1": "swir16", "swir_16": "swir16", "nir08": "nir", "nir_1": "nir"}
_NUMBER = re.compile(r"(?P<level>s[rt]_)?b(?:and)?_?(?P<zero>0?)(?P<number>\d{1,2}a?)(?:_\d+m)?", re.IGNORECASE)
# Satellite as product names have it, or in words: LC08, landsat-8, Landsat 8.
_LANDSAT = re.compile(r"l(?:andsat[-_ ]?|(?P<sensor>[a-z]))0?(?P<craft>\d)", re.IGNORECASE)
# Numbers that each of the two has of the bands that are wanted, and those that only Sentinel-2 has.
_FROM_LANDSAT, _FROM_SENTINEL2, _OF_SENTINEL2_ALONE = {"2", "3", "4", "5", "6"}, {"2", "3", "4", "11"}, {"8A", "12"}
# Words that stand for the unit of a reflectance, which has none.
_UNIT = re.compile(r"((toa|boa|surface|top[ _-]of[ _-]atmosphere)[ _-])?reflectance", re.IGNORECASE)
_RENAME = "Rename them to blue, green, red, nir, swir16 and cirrus"


def as_bands(source: Mapping[Any, xr.DataArray] | xr.DataArray) -> dict[str, xr.DataArray]:
    """Bands that the classifier wants by name, in its order, in reflectance."""
    if isinstance(source, xr.DataArray):
        source = source.to_dataset("band")
    arrays: dict[Any, Any] = dict(source.data_vars) if isinstance(source, xr.Dataset) else dict(source)
    for given, band in arrays.items():
        if not isinstance(band, xr.DataArray):
            raise TypeError(
                f"classes() needs a DataArray (time, y, x) for each band; got {type(band).__name__} as {given}. "
                "Open it: open_stack('scenes/*.SAFE', band='B02')."
            )
    matches = {given: _NUMBER.fullmatch(str(given)) for given in arrays}
    names = _numbers(arrays, {given: match for given, match in matches.items() if match})
    found: dict[str, xr.DataArray] = {}
    for given, band in arrays.items():
        match = matches[given]
        name = names.get(match["number"].upper(), "") if match else str(given).lower()
        # a band that bears the name itself goes before one that stands in for it
        if name in (*BANDS, CIRRUS):
            found[name] = band
        elif name in _ALIASES:
            found.setdefault(_ALIASES[name], band)
    missing = [name for name in BANDS if name not in found]
    if missing:
        has = ", ".join(map(str, arrays)) or "none"
        raise ValueError(
            f"classes() needs the bands {', '.join(BANDS)}; got {has}, without {', '.join(missing)}. Add them, one "
            "open_stack(..., band=...) each, or pick a layer of classes: dataset['SCL']."
        )
    return {name: _reflectance(found[name], name) for name in (*BANDS, CIRRUS) if name in found}


def _numbers(arrays: Mapping[Any, xr.DataArray], matches: Mapping[Any, re.Match[str]]) -> dict[str, str]:
    """Common names by the numbers of bands, as the satellite has them; of Sentinel-2 if none is told or likely."""
    told = sorted({name for band in arrays.values() for name in _told(band, "platform")})
    known = [each for each in told if _LANDSAT.match(each)]
    if known and len(known) < len(told):
        raise ValueError(
            f"classes() needs bands of one family of satellites; got {known[0]} beside others. {_RENAME}, or select "
            "the dates of one family."
        )
    if not matches:
        return {}
    if not told:
        _check_numbers(arrays, matches)
    if known:
        kinds = {tuple(sorted(_of_landsat(name).items())) for name in known}
    else:
        others = [each for each in told if platforms.family(each) != platforms.SENTINEL2]
        if others:
            raise ValueError(
                f"classes() needs to know the bands of a satellite by their numbers; got {others[0]}. {_RENAME}."
            )
        kinds = {tuple((name, number.lstrip("B0")) for name, number in OF_SENTINEL2.items())}
    if len(kinds) > 1:
        raise ValueError(
            f"classes() needs bands with the same numbers on all dates; got {' and '.join(known[:3])}. {_RENAME}, or "
            "select the dates of one of them."
        )
    # of several names of one band the first counts
    return {number: name for name, number in reversed(kinds.pop())}


def _of_landsat(platform: str) -> dict[str, str]:
    """Numbers of the bands of a Landsat by their common names."""
    match = _LANDSAT.match(platform)
    assert match is not None  # those that do not match are others
    craft = int(match["craft"])
    sensor = (match["sensor"] or {7: "E", 8: "C", 9: "C"}.get(craft, "T" if craft > 3 else "M")).upper()
    return {name: number.removeprefix("B") for name, number in common(f"L{sensor}{craft:02}").items()}


def _check_numbers(arrays: Mapping[Any, xr.DataArray], matches: Mapping[Any, re.Match[str]]) -> None:
    """Refuse numbers of bands that may be those of two satellites."""
    sides = {match["number"].upper(): _side(arrays[given]) for given, match in matches.items()}
    numbers = set(sides)
    # the near infrared of Sentinel-2 has the pixels of its red band, the panchromatic band of Landsat has finer ones
    is_finer = sides.get("8", 1.0) < 0.75 * sides.get("4", 1.0)
    is_landsat = any(match["level"] for match in matches.values())
    is_sentinel2 = bool(numbers & _OF_SENTINEL2_ALONE) or any(match["zero"] for match in matches.values())
    if is_landsat or (not is_sentinel2 and (is_finer or numbers >= _FROM_LANDSAT | _FROM_SENTINEL2)):
        raise ValueError(
            "classes() needs to know the satellite of bands by their numbers; got "
            f"{', '.join(map(str, matches))[:100]} without a coordinate 'platform'. {_RENAME}, or say it: "
            "band.assign_coords(platform='LC08')."
        )


def _side(band: xr.DataArray) -> float:
    """Width of the pixels of a band; NaN where it is not told."""
    return abs(float(band["x"][1] - band["x"][0])) if "x" in band.coords and band["x"].size > 1 else np.nan


def _reflectance(band: xr.DataArray, name: str) -> xr.DataArray:
    """Band in reflectance, scaled as its coordinates or its attributes tell."""
    if band.dtype.kind not in "iuf":
        raise TypeError(f"classes() needs real numbers in {name}; got dtype {band.dtype}. Convert them first.")
    is_scaled = {"quantification", "radiometric_offset"} <= set(band.coords)
    values = declared.decoded(band, name, "classes", wanted=None if is_scaled or _is_named(band) else "1")
    if not is_scaled and values.dtype.kind != "f":
        raise ValueError(
            f"classes() needs reflectances; got whole numbers in {name} whose scale is not told. Take the bands that "
            "open_stack() made of the products, or scale them: (counts + offset) / quantification."
        )
    values = values.astype(np.float32)
    if is_scaled:
        values = _checked(values, name)
        offset, divisor = (band[each].astype(np.float32) for each in ("radiometric_offset", "quantification"))
        values = (values + offset) / divisor
    platform, level = _told(band, "platform"), {name[:2] for name in _told(band, "level")}
    is_landsat = bool(platform) and all(map(_LANDSAT.match, platform))
    if is_landsat and level == {"L1"} and "sun_elevation" in band.coords:
        # level 1 of Landsat is not corrected for the height of the sun
        sun = declared.decoded(band["sun_elevation"], "'sun_elevation'", "classes", wanted="degree")
        values = values / np.sin(np.deg2rad(sun.astype(np.float32)))
    return values


def _is_named(band: xr.DataArray) -> bool:
    """Whether a word stands in place of the unit of a band."""
    return _UNIT.fullmatch(str(band.attrs.get("units", ""))) is not None


def _checked(values: xr.DataArray, name: str) -> xr.DataArray:
    """Counts, refused if they were scaled before and still tell a scale; lazy ones when they are computed."""
    if not (values["quantification"].values > 100 * LARGEST).all():
        return values
    look = partial(check_counts, name)
    if isinstance(values.data, np.ndarray):
        look(values.data)
        return values
    # nothing needs a change: they are looked at alone
    return values.copy(data=elements.apply_if(look, np.positive, [values.data], values.dtype))


def _told(band: xr.DataArray, name: str) -> list[str]:
    """Texts of a coordinate; none if there is no such."""
    return [str(each) for each in np.ravel(band.coords[name].values)] if name in band.coords else []
