"""Bands by their common names, in reflectance at the top of the atmosphere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.scenes.spectral import BANDS, CIRRUS
from xoffset.model import declared, platforms
from xoffset.readers.bands import OF_SENTINEL2
from xoffset.readers.landsat.bands import common

# Other names of bands, and bands that stand in where one is missing.
_ALIASES = {"swir1": "swir16", "swir_1": "swir16", "swir_16": "swir16", "nir08": "nir", "nir_1": "nir"}
_NUMBER = re.compile(r"(?:sr_)?b(?:and)?_?0?(\d{1,2}a?)(?:_\d+m)?", re.IGNORECASE)


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
    numbers = _numbers(arrays)
    found: dict[str, xr.DataArray] = {}
    for given, band in arrays.items():
        name = str(given).lower()
        match = _NUMBER.fullmatch(name)
        name = numbers.get(match[1].upper(), "") if match else name
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


def _numbers(arrays: Mapping[Any, xr.DataArray]) -> dict[str, str]:
    """Common names by the numbers of bands, which the satellite tells; of Sentinel-2 if none is told."""
    told = [name for band in arrays.values() for name in _told(band, "platform")]
    known = [each for each in told if platforms.family(each) in (platforms.LANDSAT, platforms.OLD_LANDSAT)]
    if known and len(known) < len(told):
        raise ValueError(
            f"classes() needs bands of one family of satellites; got {known[0]} beside others. Rename the bands to "
            "blue, green, red, nir, swir16 and cirrus, or select the dates of one family."
        )
    if known and re.fullmatch(r"L[A-Z]\d\d", known[0]):
        return {number.removeprefix("B"): name for name, number in reversed(common(known[0]).items())}
    return {number.removeprefix("B").lstrip("0"): name for name, number in OF_SENTINEL2.items()}


def _reflectance(band: xr.DataArray, name: str) -> xr.DataArray:
    """Band in reflectance, scaled as its coordinates or its attributes tell."""
    if band.dtype.kind not in "iuf":
        raise TypeError(f"classes() needs real numbers in {name}; got dtype {band.dtype}. Convert them first.")
    is_scaled = {"quantification", "radiometric_offset"} <= set(band.coords)
    values = declared.decoded(band, name, "classes", wanted=None)
    if not is_scaled and values.dtype.kind != "f":
        raise ValueError(
            f"classes() needs reflectances; got whole numbers in {name} whose scale is not told. Take the bands that "
            "open_stack() made of the products, or scale them: (counts + offset) / quantification."
        )
    values = values.astype(np.float32)
    if is_scaled:
        offset, divisor = (band[each].astype(np.float32) for each in ("radiometric_offset", "quantification"))
        values = (values + offset) / divisor
    is_landsat = {platforms.family(name) for name in _told(band, "platform")} == {platforms.LANDSAT}
    if is_landsat and {name[:2] for name in _told(band, "level")} == {"L1"} and "sun_elevation" in band.coords:
        # level 1 of Landsat is not corrected for the height of the sun
        values = values / np.sin(np.deg2rad(band["sun_elevation"].astype(np.float32)))
    return values


def _told(band: xr.DataArray, name: str) -> list[str]:
    """Texts of a coordinate; none if there is no such."""
    return [str(each) for each in np.ravel(band.coords[name].values)] if name in band.coords else []
