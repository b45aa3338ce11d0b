"""Grids: spacing, coordinate reference system, declared nodata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xoffset._arrays.frame import Frame
from xoffset._arrays.frame import Spacing as Spacing
from xoffset.model.dates import as_dates

if TYPE_CHECKING:
    import pyproj


def frame_of(stack: xr.DataArray, caller: str) -> Frame:
    """What a stack that was checked says of itself, to be passed down instead of asked again."""
    return Frame(
        shape=(stack.sizes["y"], stack.sizes["x"]),
        spacing=spacing(stack, caller),
        dates=as_dates(stack["time"].values),
        nodata=nodata_of(stack),
        dtype=stack.dtype,
        crs=crs_of(stack),
    )


def spacing(data: xr.DataArray | xr.Dataset, caller: str) -> Spacing:
    """Signed pixel spacing [m] of uniform x and y coordinates; an axis of one pixel borrows from the other."""
    steps: dict[str, float] = {}
    for name in ("x", "y"):
        if name not in data.coords:
            raise ValueError(
                f"{caller}() needs coordinates x and y [m]; got none on '{name}'. Assign the pixel centres: "
                "stack.assign_coords(x=pixel_size * numpy.arange(nx), y=-pixel_size * numpy.arange(ny))."
            )
        values = np.asarray(data[name].values, dtype=np.float64)
        if str(data[name].attrs.get("units", "")).startswith("degree"):
            raise ValueError(
                f"{caller}() needs x and y in metres; got '{name}' in degrees. "
                "Reproject first: stack.rio.reproject(stack.rio.estimate_utm_crs())."
            )
        if values.size < 2:
            continue
        step = float(values[-1] - values[0]) / (values.size - 1)
        if not np.isfinite(step) or step == 0 or np.abs(np.diff(values) - step).max() > 1e-3 * abs(step):
            raise ValueError(
                f"{caller}() needs evenly spaced '{name}' coordinates; got steps from {np.diff(values).min():g} to "
                f"{np.diff(values).max():g} m. Resample to a regular grid: stack.rio.reproject(...)."
            )
        steps[name] = step
    if not steps:
        raise ValueError(f"{caller}() needs more than one pixel; got one. Check the selection.")
    return Spacing(steps.get("x", abs(steps.get("y", 0.0))), steps.get("y", -abs(steps.get("x", 0.0))))


def crs_of(data: xr.DataArray | xr.Dataset) -> pyproj.CRS | None:
    """Coordinate reference system of the grid, None if there is none.

    Raises
    ------
    ValueError
        If the data name a grid mapping that is not there: it would be taken for a grid without a CRS.
    """
    named = data.encoding.get("grid_mapping", data.attrs.get("grid_mapping"))
    if named is not None and named not in data.coords:
        raise ValueError(
            f"a CRS is needed where one is named; got grid_mapping '{named}' without that coordinate. "
            "Open the file with decode_coords='all', or with xoffset.open_result()."
        )
    # arithmetic loses the name of the grid mapping, not the coordinate
    candidates = [named] if named is not None else ["spatial_ref", *data.coords]
    for name in candidates:
        if name in data.coords and data.coords[name].ndim == 0:
            attrs = data.coords[name].attrs
            text = attrs.get("crs_wkt", attrs.get("spatial_ref"))
            if text:
                import pyproj

                return pyproj.CRS.from_wkt(text)
    return None


def check_crs(crs: pyproj.CRS | None, data: xr.DataArray, caller: str) -> None:
    """Refuse a CRS whose grid is not in metres of ground: geographic, Web Mercator, feet."""
    if crs is None:
        return
    if crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    if crs.is_geographic:
        centre = (float(data["x"].values.mean()), float(data["y"].values.mean()))
        raise ValueError(geographic_message(crs, centre, caller))
    method = getattr(crs.coordinate_operation, "method_name", "")
    if crs.is_geocentric:
        raise ValueError(
            f"{caller}() needs a projected CRS in metres; got the geocentric CRS {crs.name}. "
            "Reproject first: stack.rio.reproject('EPSG:326..')."
        )
    if "Pseudo Mercator" in method or method.startswith("Mercator (variant A)"):
        kind = "Web Mercator" if "Pseudo" in method else "a Mercator projection"
        raise ValueError(
            f"{caller}() needs a CRS with metres of ground; got {kind} ({crs.name}), which stretches distances "
            "by 1/cos(latitude). Reproject first: stack.rio.reproject(stack.rio.estimate_utm_crs())."
        )
    units = {axis.unit_name for axis in crs.axis_info[:2]}
    if units - {"metre", "meter"}:
        raise ValueError(
            f"{caller}() needs a CRS in metres; got {crs.name} in {', '.join(sorted(units))}. "
            "Reproject first: stack.rio.reproject(stack.rio.estimate_utm_crs())."
        )


def geographic_message(crs: pyproj.CRS, centre: tuple[float, float], caller: str) -> str:
    """Error text for a longitude/latitude grid, with the UTM zone of its centre (longitude, latitude)."""
    longitude, latitude = centre
    zone = int((longitude + 180) % 360 // 6) + 1
    code = (32600 if latitude >= 0 else 32700) + zone
    return (
        f"{caller}() needs a projected CRS in metres; got the geographic CRS {crs.name}. "
        f"Reproject to UTM zone {zone}{'N' if latitude >= 0 else 'S'} first: EPSG:{code}."
    )


def nodata_of(data: xr.DataArray) -> float | None:
    """Value that a loader declared to mean "no data", in attributes or encoding; None if there is none."""
    # floats whose encoding has a fill value were decoded with it: it is a value of the file, not of the array
    places = [data.attrs] if data.dtype.kind == "f" else [data.attrs, data.encoding]
    for place in places:
        for name in ("_FillValue", "missing_value", "fill_value", "nodata"):
            value = place.get(name)
            # what Zarr calls so in the encoding stands for chunks that are not there, and may well be a pixel
            if value is None or (name == "fill_value" and place is not data.attrs):
                continue
            try:
                return float(value)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"one number is needed as the declared nodata value; got {name}={value!r}. "
                    f"Correct it: stack.attrs['{name}'] = 0, or remove it."
                ) from error
    return None


def spatial_ref(crs: pyproj.CRS) -> xr.Variable:
    """Scalar coordinate that holds a CRS the way rioxarray and CF do."""
    return xr.Variable((), 0, attrs=crs.to_cf() | {"spatial_ref": crs.to_wkt()})
