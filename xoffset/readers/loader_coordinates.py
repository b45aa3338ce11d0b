"""What other loaders say of each date, in coordinates named after STAC, in the names of a stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset._options import is_number
from xoffset.model.products import NATIVE_SIZE
from xoffset.readers.eopf.metadata import geometry, platform_of

# Names of Landsat satellites by their number, with the sensor most used.
_LANDSAT = {1: "LM", 2: "LM", 3: "LM", 4: "LT", 5: "LT", 6: "LT", 7: "LE", 8: "LC", 9: "LC"}


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if is_number(value) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _platform(value: Any) -> str | None:
    """Platform "S2A" of "sentinel-2a", "LC08" of "landsat-8"; others as they are."""
    text = _text(value)
    if text is None:
        return None
    found = re.fullmatch(r"landsat[-_ ]?([1-9])", text.strip().lower())
    if found:
        return f"{_LANDSAT[int(found[1])]}0{found[1]}"
    return platform_of(text) or text


def _tile(value: Any) -> str | None:
    found = re.fullmatch(r"(?:MGRS-)?T?(\d{1,2}[C-X][A-Z]{2})", str(value).strip().upper())
    return found[1].zfill(5) if found else None


def _level(value: Any) -> str | None:
    found = re.fullmatch(r"(L1C|L2A|L1TP|L1GT|L1GS|L2SP|L2SR)", str(value).strip().upper())
    return found[1] if found else None


def _name(value: Any) -> str | None:
    text = _text(value)
    return text and re.sub(r"\.SAFE$|\.zarr$", "", text)


def _elevation(value: Any) -> float | None:
    zenith = _number(value)
    return None if zenith is None else 90.0 - zenith


def _geometry(value: Any) -> str | None:
    return geometry(str(value)) if re.fullmatch(r"\d\d\.\d\d", str(value)) else None


# Coordinate of a stack -> names in which loaders leave it, the first that tells of all dates counts.
_NAMES: dict[str, tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    "scene": (("scene", _name), ("s2:product_uri", _name), ("id", _name)),
    "platform": (("platform", _platform),),
    "relative_orbit": (("relative_orbit", _whole), ("sat:relative_orbit", _whole), ("landsat:wrs_path", _whole)),
    "tile": (("tile", _text), ("s2:mgrs_tile", _tile), ("grid:code", _tile)),
    "level": (("level", _text), ("processing:level", _level), ("landsat:correction", _level)),
    "geometry": (("geometry", _text), ("s2:processing_baseline", _geometry)),
    "sun_azimuth": (("sun_azimuth", _number), ("view:sun_azimuth", _number), ("s2:mean_solar_azimuth", _number)),
    "sun_elevation": (
        ("sun_elevation", _number), ("view:sun_elevation", _number), ("s2:mean_solar_zenith", _elevation),
    ),
    "view_azimuth": (("view_azimuth", _number),),
    "view_zenith": (("view_zenith", _number), ("view:incidence_angle", _number)),
    "radiometric_offset": (("radiometric_offset", _number),),
    "quantification": (("quantification", _number),),
    NATIVE_SIZE: ((NATIVE_SIZE, _number),),  # of stacks of ours that were resampled
}  # fmt: skip


def told(data: xr.DataArray) -> dict[str, np.ndarray]:
    """Coordinates on time that a loader tells of all dates of an array (time, y, x)."""
    found = {}
    for name, sources in _NAMES.items():
        for source, read in sources:
            values = _values(data, source, read)
            if values is not None:
                found[name] = values
                break
    if "view_azimuth" not in found and all(platform_of(name) for name in found.get("platform", ("",))):
        # by its definition toward the scene; of Sentinel-2 it is that of the products, toward the satellite
        azimuth = _values(data, "view:azimuth", _number)
        found |= {} if azimuth is None else {"view_azimuth": azimuth}
    if "tile" not in found:
        rows = [_values(data, f"landsat:wrs_{each}", _whole) for each in ("path", "row")]
        if rows[0] is not None and rows[1] is not None:
            pairs = zip(*rows, strict=True)
            found["tile"] = np.array([f"{path:03}{row:03}" for path, row in pairs], dtype=object)
    return found


def _values(data: xr.DataArray, name: str, read: Callable[[Any], Any]) -> np.ndarray | None:
    if name not in data.coords or data[name].dims not in ((), ("time",)):
        return None
    values = np.broadcast_to(data[name].values, data.sizes["time"]).tolist()
    out = [read(value) for value in values]
    if any(each is None or pd.isna(each) for each in out):
        return None
    return np.array(out, dtype=object if isinstance(out[0], str) else None)


def of_values(data: xr.DataArray, *, is_scaled: bool) -> dict[str, np.ndarray]:
    """Offset and quantification of values that came as they were stored, or as they were decoded, where that is told.

    Offsets are never applied here. Loaders that scale do not say so, so that floats tell nothing.
    """
    count = data.sizes["time"]
    if is_scaled:
        return {"radiometric_offset": np.zeros(count), "quantification": np.ones(count)}
    scale, offset = (_attribute(data, names) for names in (("scale_factor", "scales"), ("add_offset", "offsets")))
    if (scale or 1.0) != 1.0 or (offset or 0.0) != 0.0:
        step = scale or 1.0
        return {
            "radiometric_offset": np.full(count, (offset or 0.0) / step),
            "quantification": np.full(count, 1 / step),
        }
    applied = _values(data, "earthsearch:boa_offset_applied", lambda value: 1.0 if value is True else None)
    if applied is not None and data.dtype.kind in "iu":
        return {"radiometric_offset": np.zeros(count)}
    return {}


def _attribute(data: xr.DataArray, names: tuple[str, ...]) -> float | None:
    for name in names:
        value = np.ravel(data.attrs.get(name, ()))
        if value.size == 1:
            return _number(value[0].item())
    return None
