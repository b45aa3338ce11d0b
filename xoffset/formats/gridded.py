"""What exports of maps share: the variables on the grid, north up, dates as numbers, and which values have a mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from xoffset.model import checks, grids
from xoffset.model.dates import DAYS, as_dates, in_days
from xoffset.model.declared import with_decoded
from xoffset.model.renamed import with_new_names
from xoffset.model.variables import is_cyclic

# Coordinates that say what a layer stands for.
LABELS = ("reference", "secondary", "time", "year", "step", "exponential", "logarithmic")


def as_gridded(dataset: xr.Dataset, caller: str) -> xr.Dataset:
    """Product with variables on y and x, decoded, in the units of the registry, whose CRS is a coordinate."""
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"{caller}() needs a Dataset; got {type(dataset).__name__}. "
            "Make a DataArray one: data.to_dataset(name='image')."
        )
    if not any({"y", "x"} <= set(variable.dims) for variable in dataset.data_vars.values()):
        raise ValueError(
            f"{caller}() needs variables with dims y and x; got dims {tuple(dataset.dims)} and variables "
            f"{list(map(str, dataset.data_vars))}. {_advice(dataset)}."
        )
    return decoded(dataset, caller)


def decoded(dataset: xr.Dataset, caller: str) -> xr.Dataset:
    """Any product, decoded, in the units of the registry, whose CRS is a coordinate."""
    if "spatial_ref" in dataset.data_vars:  # opened without decode_coords="all": the CRS must not be lost for that
        dataset = dataset.set_coords("spatial_ref")
    if "GeoTransform" in dataset.get("spatial_ref", xr.DataArray()).attrs:  # that of other pixels since a selection
        attrs = {name: value for name, value in dataset["spatial_ref"].attrs.items() if name != "GeoTransform"}
        dataset = dataset.assign_coords(spatial_ref=dataset["spatial_ref"].drop_attrs().assign_attrs(attrs))
    return with_decoded(with_new_names(dataset), caller)


def _advice(dataset: xr.Dataset) -> str:
    if {"distance", "point"} & set(dataset.dims):
        return "Profiles, trajectories and points are no maps: save them with to_zarr(), or as a table, to_dataframe()"
    return "Pass shifts, a series or a rate"


def names_of(dataset: xr.Dataset, variables: str | Sequence[str] | None, caller: str) -> list[str]:
    """Names of the variables to write, checked; all on the grid if none are given."""
    gridded = [str(name) for name, data in dataset.data_vars.items() if {"y", "x"} <= set(data.dims)]
    if variables is None:
        names = gridded
    else:
        given = [variables] if isinstance(variables, str) else variables
        if not isinstance(given, (list, tuple)):
            raise TypeError(
                f"{caller}() needs a list of names as variables; got {type(given).__name__}. Choose from {gridded}."
            )
        names = list(given)
        wrong = [name for name in names if not isinstance(name, str) or name not in gridded]
        if wrong or not names:
            raise ValueError(
                f"{caller}() needs names of variables with dims y and x; got {wrong or names}. Choose from {gridded}."
            )
    for name in names:
        _check_variable(dataset[name], caller)
    return names


def _check_variable(data: xr.DataArray, caller: str) -> None:
    others = [dim for dim in data.dims if dim not in ("y", "x")]
    if len(others) > 1:
        raise ValueError(
            f"{caller}() needs at most one dim besides y and x; got {data.dims} in '{data.name}'. "
            f"Select along one of them: dataset.isel({others[0]}=0)."
        )
    if data.size == 0:
        raise ValueError(
            f"{caller}() needs at least one band and pixel; got shape {data.shape} in '{data.name}'. "
            f"{checks.WHY_EMPTY}."
        )
    if data.dtype.kind not in "biufM":
        raise TypeError(
            f"{caller}() needs real numbers or dates; got dtype {data.dtype} in '{data.name}'. "
            f"Convert it, or leave it out: dataset.drop_vars('{data.name}')."
        )


def with_days(dataset: xr.Dataset) -> xr.Dataset:
    """Dataset whose dates are numbers, for files that hold no others."""
    days = {
        name: data.copy(data=in_days(data.data)).assign_attrs(units=DAYS)
        for name, data in dataset.data_vars.items()
        if data.dtype.kind == "M"
    }
    return dataset.assign(days)


def north_up(dataset: xr.Dataset, caller: str) -> xr.Dataset:
    """Put rows north to south, columns west to east, layers first."""
    steps = grids.spacing(dataset, caller)
    flips = {name: slice(None, None, -1) for name, flip in (("y", steps.y > 0), ("x", steps.x < 0)) if flip}
    return dataset.isel(flips).transpose(..., "y", "x")


def transform_of(dataset: xr.Dataset, caller: str) -> tuple[float, float, float, float, float, float]:
    """Affine transform (a, b, c, d, e, f) from column and row of a corner to x and y, in the order of the rows."""
    steps = grids.spacing(dataset, caller)
    left, top = float(dataset["x"][0]) - steps.x / 2, float(dataset["y"][0]) - steps.y / 2
    return steps.x, 0.0, left, 0.0, steps.y, top


def bounds_of(dataset: xr.Dataset, caller: str) -> tuple[float, float, float, float]:
    """West, south, east and north edge of the outer pixels [m]."""
    a, _, left, _, e, top = transform_of(dataset, caller)
    right, bottom = left + a * dataset.sizes["x"], top + e * dataset.sizes["y"]
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def has_mean(data: xr.DataArray) -> bool:
    """Whether overviews may average: not flags, dates and what goes round: 359 and 1 degrees are not 180 together."""
    units = data.attrs.get("units")
    return (
        data.dtype.kind == "f" and not is_cyclic(data.name, units) and units != DAYS and "flag_masks" not in data.attrs
    )


def text_of(value: object) -> str:
    """ISO 8601 for dates, to the second unless they have a fraction; spaces between the items of a list."""
    if isinstance(value, np.datetime64):
        return "NaT" if np.isnat(value) else str(as_dates(np.asarray(value)).item().isoformat())
    if isinstance(value, (list, tuple, np.ndarray)):
        return " ".join(map(str, value))
    return str(value)


def check_has_crs(dataset: xr.Dataset, caller: str, why: str) -> None:
    """Refuse a product without a CRS where the format needs one."""
    if grids.crs_of(dataset) is None:
        raise ValueError(
            f"{caller}() needs a CRS, since {why}; got local metres. Name it: dataset.rio.write_crs('EPSG:...')."
        )


def to_wgs84(dataset: xr.Dataset, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [degree] of places in the CRS of a product that has one."""
    import pyproj

    crs = grids.crs_of(dataset)
    assert crs is not None
    turn = grids.turn(crs, pyproj.CRS.from_epsg(4326))
    return turn(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
