"""Grids: spacing and coordinate reference system."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset._arrays.frame import Frame
from xoffset._arrays.frame import Spacing as Spacing
from xoffset.model.dates import as_dates
from xoffset.model.declared import Data, fills_of

if TYPE_CHECKING:
    import pyproj

# From x and y in one CRS to those in another.
Turn = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

# Attributes and coordinates in which loaders other than rioxarray leave the CRS, in lower case: rasterio's and xarray's
# former ones, stackstac, the STAC projection extension and what is made of it.
_STATEMENTS = (
    "crs", "crs_wkt", "spatial_ref", "epsg", "epsg_code", "crs_epsg", "proj:epsg", "proj:code", "proj:wkt2",
    "proj:projjson", "spatial_epsg", "wkt", "esri_pe_string", "spatialref",
)  # fmt: skip
# Such that hold other texts too, or less than a whole CRS: a text of PROJ may leave out the datum.
_VAGUE = ("proj4", "proj4text", "proj4_string", "pyproj_srs", "projection", "srs", "proj", "coordinate_system")
_IS_CRS = re.compile(r"\s*(\d{4,6}$|[A-Za-z]+:\d+$|\+proj=|\+init=|[A-Z0-9]+\[)")


def frame_of(stack: xr.DataArray, caller: str) -> Frame:
    """What a stack that was checked says of itself, to be passed down instead of asked again."""
    return Frame(
        shape=(stack.sizes["y"], stack.sizes["x"]),
        spacing=spacing(stack, caller),
        dates=as_dates(stack["time"].values),
        nodata=fills_of(stack),
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

    It is that of the grid mapping (CF, rioxarray), and of whatever else loaders leave: attributes such as `crs`, and
    scalar coordinates such as `epsg` (stackstac) or `proj:code`.

    Raises
    ------
    ValueError
        If the data name a grid mapping that is not there, what they state is no CRS, or two statements disagree: a CRS
        that is not seen would make metres of anything.
    """
    named = _named_mapping(data)
    if named is not None and named not in data.coords:
        raise ValueError(
            f"a CRS is needed where one is named; got grid_mapping '{named}' without that coordinate. "
            "Open the file with decode_coords='all', or with xoffset.open_result()."
        )
    found: tuple[str, pyproj.CRS] | None = None
    for place, statement in _statements(data, named):
        crs = _parsed(statement, place)
        if found is not None and not agree(found[1], crs):
            raise ValueError(
                f"one CRS is needed; got {found[1].name} from {found[0]} and {crs.name} from {place}. "
                "Remove the one that is out of date: data.drop_vars(...), or del data.attrs[...]."
            )
        found = found or (place, crs)
    return None if found is None else found[1]


def with_crs(data: Data) -> Data:
    """Data whose CRS, if there is any, is that of a coordinate, as rioxarray and CF have it."""
    crs = crs_of(data)
    if crs is None or any(not each.ndim and _has_text(each) for each in data.coords.values()):
        return data
    return data.assign_coords(spatial_ref=spatial_ref(crs))


def _named_mapping(data: xr.DataArray | xr.Dataset) -> str | None:
    """Name of the grid mapping; of several ("crs: x y wgs: lat lon") that of x and y."""
    named = data.encoding.get("grid_mapping", data.attrs.get("grid_mapping"))
    if named is None or ":" not in str(named):
        return None if named is None else str(named)
    parts = re.split(r"(\S+):", str(named))[1:]
    of_grid = [name for name, axes in zip(parts[::2], parts[1::2], strict=True) if {"x", "y"} & set(axes.split())]
    return of_grid[0] if of_grid else str(named)


def _statements(data: xr.DataArray | xr.Dataset, named: Any) -> Iterator[tuple[str, Any]]:
    """Where a CRS is stated and what it says, the grid mapping first."""
    variables = data.variables if isinstance(data, xr.Dataset) else data.coords
    # arithmetic loses the name of the grid mapping, not the coordinate
    mappings = [named] if named is not None else sorted(variables, key=lambda name: name != "spatial_ref")
    is_found, parameters = False, None
    for name in mappings:
        statement = _of_mapping(variables[name])
        if isinstance(statement, dict) and "grid_mapping_name" in statement:
            parameters = parameters or (f"'{name}'", statement)
        elif statement is not None:
            yield f"'{name}'", statement
            is_found = True
            break
    for name in data.coords:
        if str(name).lower() in _STATEMENTS and _of_mapping(data.coords[name]) is None:
            # 0 is what rioxarray writes into a coordinate that lost its attributes
            values = [value for value in pd.unique(np.ravel(data.coords[name].values)) if not pd.isna(value)]
            stated = [value for value in values if str(value) not in ("0", "")]
            yield from ((f"the coordinate '{name}'", value) for value in stated)
            is_found = is_found or bool(stated)
    bearers = {"the attribute": data.attrs}
    if isinstance(data, xr.Dataset):
        bearers |= {f"the attribute of '{name}',": each.attrs for name, each in data.data_vars.items() if each.ndim}
    for bearer, attrs in bearers.items():
        for name, value in attrs.items():
            if str(name).lower() in _STATEMENTS and value is not None and str(value) != "":
                yield f"{bearer} '{name}'", value
                is_found = True
    for bearer, attrs in bearers.items():
        for name, value in attrs.items():
            if not is_found and str(name).lower() in _VAGUE and _IS_CRS.match(str(value)):
                yield f"{bearer} '{name}'", value
                parameters = None
    # nor do the parameters of CF need a datum
    if parameters is not None and not is_found:
        yield parameters


def _of_mapping(variable: Any) -> Any:
    """What a grid mapping says: its text, a code, or the parameters of CF; None of anything else."""
    if {"x", "y"} & set(variable.dims):
        return None
    attrs = {str(name).lower(): value for name, value in variable.attrs.items() if value is not None}
    # joining along time makes a list of it; other variables with dims are none
    if variable.ndim and not {"crs_wkt", "grid_mapping_name"} & set(attrs):
        return None
    codes = [attrs[name] for name in ("crs_wkt", "spatial_ref", *_STATEMENTS) if attrs.get(name)]
    texts = [attrs[name] for name in _VAGUE if _IS_CRS.match(str(attrs.get(name)))]
    return next(iter([*codes, *texts, *([attrs] if "grid_mapping_name" in attrs else [])]), None)


def _has_text(variable: Any) -> bool:
    """Whether it holds the well-known text of a CRS, which is all that rioxarray reads."""
    return bool(variable.attrs.get("crs_wkt") or variable.attrs.get("spatial_ref"))


def turn(source: pyproj.CRS, target: pyproj.CRS) -> Turn:
    """Way from x and y in one CRS to those in another, infinite where it has none; tasks can carry it."""
    return partial(_turned, source.to_wkt(), target.to_wkt())


def _turned(source: str, target: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    turned_x, turned_y = _transformer(source, target).transform(x, y)
    return turned_x, turned_y


@lru_cache(maxsize=8)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    import pyproj

    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def agree(first: pyproj.CRS | None, second: pyproj.CRS | None) -> bool:
    """Whether two descriptions are of one CRS, whatever the order of its axes and the names of its parts."""
    if first is None or second is None:
        return first is second
    if first == second or first.equals(second, ignore_axis_order=True):
        return True
    code = first.to_epsg()
    return code is not None and code == second.to_epsg()


def name_of(crs: pyproj.CRS | None) -> str:
    """Short name of a CRS, for messages."""
    if crs is None:
        return "no CRS"
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def is_same(first: xr.Dataset, second: xr.Dataset) -> bool:
    """Whether two products have one grid: nodes at the same places, to a thousandth of a step, of one CRS if known."""
    for name in ("y", "x"):
        ours, theirs = (np.asarray(data[name].values, dtype=np.float64) for data in (first, second))
        step = np.abs(np.diff(theirs)).min(initial=1.0)
        if ours.shape != theirs.shape or np.abs(ours - theirs).max(initial=0.0) > 1e-3 * step:
            return False
    crs = crs_of(first), crs_of(second)
    return None in crs or agree(*crs)


def _parsed(statement: Any, place: str) -> pyproj.CRS:
    """CRS of a code, a text, a mapping or an object."""
    import pyproj

    value = statement.item() if isinstance(statement, (np.ndarray, np.generic)) else statement
    if isinstance(value, str):
        value = value.strip()
        value = value[len("+init=") :] if value.startswith("+init=") else value
        value = int(value) if value.isdecimal() else value
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        if isinstance(value, dict) and {"grid_mapping_name", "crs_wkt"} & set(value):
            return pyproj.CRS.from_cf(value)
        # objects of other libraries, such as rasterio, tell their text
        return pyproj.CRS.from_user_input(value if isinstance(value, (str, int, dict)) else _text_of(value))
    except (pyproj.exceptions.CRSError, KeyError) as error:  # KeyError: CF without a parameter
        raise ValueError(
            f"a CRS is needed where one is stated; got {str(statement)[:80]!r} from {place}, which pyproj does not "
            "know. Correct it, or remove it and name the CRS: data.rio.write_crs('EPSG:...')."
        ) from error


def _text_of(crs: Any) -> Any:
    return crs.to_wkt() if hasattr(crs, "to_wkt") else crs


def check_crs(crs: pyproj.CRS | None, data: xr.DataArray | xr.Dataset, caller: str) -> None:
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
    directions = [axis.direction for axis in crs.axis_info[:2]]
    # around a pole both axes may run along meridians, north or south
    if "west" in directions or ("south" in directions and set(directions) != {"south"}):
        raise ValueError(
            f"{caller}() needs a CRS whose axes point east and north; got {crs.name}, whose axes point "
            f"{' and '.join(directions)}: motion would be turned round. Reproject first: "
            "stack.rio.reproject(stack.rio.estimate_utm_crs())."
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


def spatial_ref(crs: pyproj.CRS) -> xr.Variable:
    """Scalar coordinate that holds a CRS the way rioxarray and CF do."""
    return xr.Variable((), 0, attrs=crs.to_cf() | {"spatial_ref": crs.to_wkt()})
