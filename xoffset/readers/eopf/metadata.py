"""What the root of a Sentinel-2 product in the EOPF Zarr format tells: acquisition, processing, CRS, and its bands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xoffset._options import is_number
from xoffset.model.dates import as_instants
from xoffset.readers.eopf.zarr_stores import as_mapping
from xoffset.readers.scenes import Scene
from xoffset.readers.sentinel2.metadata import elevation_model, generation

if TYPE_CHECKING:
    import pyproj

# Of each band by pixel size [m] its name as it is stored and the path of its group.
Bands = dict[str, dict[int, tuple[str, str]]]

_COMMON = {
    "coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge1": "B05", "rededge2": "B06",
    "rededge3": "B07", "nir": "B08", "nir08": "B8A", "nir09": "B09", "cirrus": "B10", "swir16": "B11", "swir22": "B12",
}  # fmt: skip
_NATIVE = (
    dict.fromkeys(("B02", "B03", "B04", "B08"), 10)
    | dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20)
    | dict.fromkeys(("B01", "B09", "B10"), 60)
)
_BAND = re.compile(r"b(\d{1,2}|8a)(?:_r?(\d{2})m)?", re.IGNORECASE)
_NAME = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?P<level>L1C|L2A)_(?P<date>\d{8}T\d{6})_(?:N(?P<baseline>\d{4})_)?R(?P<orbit>\d{3})"
    r"_T(?P<tile>\d{2}[A-Z]{3})_(?P<processed>\d{8}T\d{6})"
)
_BASELINE = re.compile(r"_N(\d{2})\.?(\d{2})(?!\d)")


def band_of(name: object) -> str | None:
    """Name of a band as products have it, "B04", of "b04" or "B4"; None of what is none."""
    found = _BAND.fullmatch(str(name).strip())
    if found is None or found[2]:
        return None
    band = "B8A" if found[1].lower() == "8a" else f"B{int(found[1]):02}"
    return band if band in _NATIVE else None


def names_of_bands(offered: Bands) -> str:
    """Names of bands with their pixel sizes, for messages."""
    common = {band: name for name, band in _COMMON.items()}
    return ", ".join(
        f"{band} ({common[band] + ', ' if band in common else ''}{' and '.join(map(str, sorted(steps)))} m)"
        for band, steps in sorted(offered.items())
    )


def last_of(place: str) -> str:
    """Last part of a path or address."""
    return re.split(r"[/\\]", place.rstrip("/"))[-1]


def choose(band: int | str | None, offered: Bands, place: str) -> tuple[str, str]:
    """Name of a band as it is stored, and the path of its group."""
    wanted, step = _asked(band)
    steps = offered.get(wanted or "", {})
    if wanted is None or not steps or (step is not None and step not in steps):
        need = "the name of a band" if band is None else f"band {band!r}"
        raise ValueError(
            f"open_stack() needs {need}; {last_of(place)} has {names_of_bands(offered) or 'none'}. Pass band='B04', or "
            "'B04_20m' for other pixels than its native ones."
        )
    if step is None and _NATIVE[wanted] not in steps:
        # others are copies: finer ones enlarged, coarser ones smoothed
        raise ValueError(
            f"open_stack() needs the group 'measurements/reflectance/r{_NATIVE[wanted]}m' with band {wanted}; "
            f"{last_of(place)} has it in {' and '.join(f'r{each}m' for each in sorted(steps))} alone. Fetch the whole "
            f"product, or ask for such pixels: band='{wanted}_{min(steps)}m'."
        )
    return steps[_NATIVE[wanted] if step is None else step]


def _asked(band: int | str | None) -> tuple[str | None, int | None]:
    """Band and pixel size [m] that are asked for."""
    if not isinstance(band, str):
        return None, None
    name, _, size = band.strip().partition("_")
    found = re.fullmatch(r"r?(\d{2})m", size, re.IGNORECASE)
    if size and found is None:
        return None, None
    return _COMMON.get(name.lower(), band_of(name)), int(found[1]) if found else None


# ---------------------------------------------------------------------------------------------------------------- scene


def properties(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Properties of the STAC item of the product."""
    return as_mapping(as_mapping(attrs.get("stac_discovery")).get("properties"))


def others(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of the product beside its STAC item, whose names changed from mixed letters to small ones."""
    return {str(name).lower(): value for name, value in as_mapping(attrs.get("other_metadata")).items()}


def product_type(attrs: Mapping[str, Any]) -> str:
    """Type of the product, "S02MSIL1C", empty if it is not told."""
    return str(properties(attrs).get("product:type") or "")


def scene(attrs: Mapping[str, Any], place: str) -> Scene:
    """Acquisition and processing of a product, from its attributes, then from its name.

    Raises
    ------
    ValueError
        If nothing tells the date.
    """
    told, more = properties(attrs), others(attrs)
    name, named = _name(attrs, place)
    baseline = _baseline(told, named)
    level = str(told.get("processing:level") or "") or named.get("level")
    return Scene(
        name=name,
        date=_date(told, more, named, place),
        platform=platform_of(told.get("platform")) or named.get("platform"),
        relative_orbit=_whole(told.get("sat:relative_orbit")) or _whole(named.get("orbit")),
        tile=named.get("tile") or _tile(more),
        level=level if level in ("L1C", "L2A") else None,
        geometry=None if baseline is None else geometry(baseline, attrs),
        processed=_first_date(told.get("created"), _as_iso(named.get("processed"))),
    )


def _name(attrs: Mapping[str, Any], place: str) -> tuple[str, dict[str, str]]:
    """Name of a product without suffix, and what it tells, from the place and the STAC item."""
    last = last_of(place)
    identity = str(as_mapping(attrs.get("stac_discovery")).get("id") or "")
    for text in (last, identity):
        found = _NAME.search(text)
        if found:
            return found[0], {key: value for key, value in found.groupdict().items() if value}
    stem = re.sub(r"(\.zarr)?(\.zip)?$", "", last)
    return (stem if last != "the tree" else "") or identity or "product", {}


def _date(told: Mapping[str, Any], more: Mapping[str, Any], named: Mapping[str, str], place: str) -> np.datetime64:
    """When the tile was seen; else when the satellite began to take it."""
    found = _first_date(
        more.get("mean_sensing_time"), told.get("datetime"), told.get("start_datetime"), _as_iso(named.get("date"))
    )
    if found is None:
        raise ValueError(
            f"open_stack() needs the date of every product; {place} tells none, neither as mean_sensing_time nor "
            "in its STAC item nor in its name. It is incomplete: fetch it again."
        )
    return found


def sensed(attrs: Mapping[Any, Any]) -> np.datetime64 | None:
    """When a tile was seen, of attributes that hold those of a product beside its STAC item, None if none tells."""
    return _first_date({str(name).lower(): value for name, value in attrs.items()}.get("mean_sensing_time"))


def _first_date(*texts: Any) -> np.datetime64 | None:
    """The first of some texts that is a date, UTC."""
    dates = as_instants([text if isinstance(text, str) else "" for text in texts])
    return next((np.datetime64(date) for date in dates if not np.isnat(date)), None)


def _as_iso(stamp: str | None) -> str | None:
    """Date of a name, 20220428T100601, as ISO 8601 has it."""
    return stamp and f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}"


def platform_of(text: Any) -> str | None:
    """Platform "S2A" of "sentinel-2a"."""
    found = re.fullmatch(r"s(?:entinel)?-?2([a-d])", str(text or "").strip().lower())
    return f"S2{found[1].upper()}" if found else None


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return int(value) if is_number(value) else None


def _tile(more: Mapping[str, Any]) -> str | None:
    found = re.search(r"_T(\d{2}[A-Z]{3})(?![A-Z0-9])", str(more.get("utm_zone_identification") or ""))
    return found[1] if found else None


def _baseline(told: Mapping[str, Any], named: Mapping[str, str]) -> str | None:
    """Processing baseline, "04.00"."""
    if re.fullmatch(r"\d{2}\.\d{2}", str(told.get("eopf:baseline") or "")):
        return str(told["eopf:baseline"])
    if "baseline" in named:
        return f"{named['baseline'][:2]}.{named['baseline'][2:]}"
    for name in ("eopf:datatake_id", "eopf:data_take_id", "eopf:datastrip_id"):
        found = _BASELINE.search(str(told.get(name) or ""))
        if found:
            return f"{found[1]}.{found[2]}"
    return None


def geometry(baseline: str, attrs: Mapping[str, Any] | None = None) -> str:
    """Class of processing geometry: generation of the baseline, and the elevation model that the history names.

    Whether the geometry was refined is in no metadata of this format.
    """
    history = str(attrs and (attrs.get("processing_history"), others(attrs).get("history")))
    return f"{generation(baseline)}, refinement unknown, {elevation_model(history)}"


def crs(attrs: Mapping[str, Any], place: str) -> pyproj.CRS | None:
    """CRS that the root of a product states, None if it states none."""
    import pyproj

    told = properties(attrs)
    for statement in (told.get("proj:code"), told.get("proj:epsg"), others(attrs).get("horizontal_crs_code")):
        if statement:
            try:
                return pyproj.CRS.from_user_input(statement)
            except pyproj.exceptions.CRSError as error:
                raise ValueError(
                    f"open_stack() needs a CRS that pyproj knows; got {str(statement)[:80]!r} from {place}. It is "
                    "damaged: fetch it again."
                ) from error
    return None
