"""Products of scattered points, dim `point` with the coordinates x and y: what looks at no neighbours takes them.

Such a function sees the points as the nodes of one row. That they lie apart and not in a row, it must not need to know.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import numpy as np
import xarray as xr

from xoffset.model.declared import in_metres

P = ParamSpec("P")

# Names, on the row, of the coordinates that tell where each point lies.
_PLACES = ("point_x", "point_y")
# Arguments of which nothing but their dates counts, wherever else they lie.
_OF_DATES = ("sun",)


def are_points(data: Any) -> bool:
    """Whether it is a product of scattered points: each has its x and y."""
    return isinstance(data, xr.Dataset) and all(
        name in data.coords and data[name].dims == ("point",) for name in ("x", "y")
    )


def check_dim_of_points(data: xr.Dataset, caller: str) -> None:
    """Refuse scattered points whose dim has another name."""
    dims = {data[name].dims for name in ("x", "y") if name in data.coords}
    if len(dims) == 1 and len(own := dims.pop()) == 1 and own != ("point",):
        raise ValueError(
            f"{caller}() needs scattered points along the dim 'point'; got them along '{own[0]}'. "
            f"Rename it: dataset.rename({own[0]}='point')."
        )


def takes_points(function: Callable[P, xr.Dataset]) -> Callable[P, xr.Dataset]:
    """Let a function of a product on a grid take one of points, and whatever else it is given at these points."""
    first = next(iter(inspect.signature(function).parameters))

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> xr.Dataset:
        subject = args[0] if args else options.get(first)
        if not are_points(subject):
            return function(*args, **options)
        assert isinstance(subject, xr.Dataset)
        subject = in_metres(subject, function.__name__)
        asked = functools.partial(_on_row, subject=subject, caller=function.__name__)
        # the signature stays: each argument that holds points becomes another of its type
        named = {name: each if name in _OF_DATES else asked(each) for name, each in options.items()}
        given: Any = [asked(each) for each in args], named
        return off_row(function(*given[0], **given[1]), _of_points(subject))

    call.takes_points = True  # type: ignore[attr-defined]
    return call


def places_of(row: xr.Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """Coordinates x and y (1, point) of the points in a row; None of a grid."""
    if any(name not in row.coords for name in _PLACES):
        return None
    x, y = (np.asarray(row[name].values, dtype=np.float64)[np.newaxis] for name in _PLACES)
    return x, y


def off_row(row: xr.Dataset, coords: Mapping[Any, Any]) -> xr.Dataset:
    """Product of points from one on their row, with the coordinates of the points."""
    variables = {name: _with_dims(each, to_row=False) for name, each in row.variables.items()}
    data = xr.Dataset(attrs=row.attrs)
    # coordinates first, as a product has them
    kept = [name for name in row.coords if name not in ("x", "y", *_PLACES)]
    data = data.assign_coords({name: variables[name] for name in kept} | dict(coords))
    return data.assign({name: variables[name] for name in row.data_vars})


def _of_points(subject: xr.Dataset) -> dict[Any, xr.Variable]:
    """Coordinates that belong to the points."""
    return {name: each.variable.copy() for name, each in subject.coords.items() if each.dims == ("point",)}


def _on_row(given: Any, subject: xr.Dataset, caller: str) -> Any:
    """Points as the nodes of one row; whatever else it is comes back as it is."""
    if not isinstance(given, (xr.Dataset, xr.DataArray)):
        return given
    if {"y", "x"} & set(given.dims):
        raise ValueError(
            f"{caller}() needs all that it takes at the points of its subject; got dims {tuple(given.dims)}. Pick the "
            "nodes: data.sel(x=shifts.x, y=shifts.y, method='nearest').assign_coords(x=shifts.x, y=shifts.y)."
        )
    if "point" not in given.dims:
        return given
    given = given.assign_coords(in_metres(given.coords.to_dataset(), caller).coords)
    for name in ("x", "y"):
        if name not in given.coords or not np.array_equal(given[name].values, subject[name].values):
            raise ValueError(
                f"{caller}() needs all that it takes at the points of its subject; got {given.sizes['point']} points "
                f"{'at other places' if name in given.coords else 'without ' + name} for {subject.sizes['point']}. "
                "Take the same points: data.assign_coords(x=shifts.x, y=shifts.y)."
            )
    if isinstance(given, xr.Dataset):
        return _row_of(given)
    row = _row_of(given.rename("values").to_dataset())["values"]
    return row.drop_vars(_PLACES).rename(given.name)


def _row_of(data: xr.Dataset) -> xr.Dataset:
    """Dataset whose dim `point` is the row of a grid with one row."""
    own, data = _of_points(data), data.transpose(..., "point")
    row = xr.Dataset(
        {name: _with_dims(data.variables[name], to_row=True) for name in data.data_vars},
        coords={name: _with_dims(data.variables[name], to_row=True) for name in data.coords if name not in own},
        attrs=data.attrs,
    )
    places = {label: ("x", own[name].values) for label, name in zip(_PLACES, ("x", "y"), strict=True)}
    row = row.assign_coords(x=np.arange(data.sizes["point"], dtype=np.float64), y=[0.0])
    row = row.assign_coords(places)
    row.encoding = data.encoding
    return row


def _with_dims(variable: xr.Variable, *, to_row: bool) -> xr.Variable:
    """Variable whose dim `point` is two, (y, x) with one y, or the other way round."""
    dims, values = list(variable.dims), variable.data
    if to_row and "point" in dims:
        axis = dims.index("point")
        dims[axis : axis + 1] = ["y", "x"]
        values = np.expand_dims(values, axis)
    elif not to_row and "x" in dims:
        if "y" in dims:
            values = np.squeeze(values, dims.index("y"))
            dims.remove("y")
        dims[dims.index("x")] = "point"
    else:
        return variable
    return xr.Variable(dims, values, variable.attrs, variable.encoding)
