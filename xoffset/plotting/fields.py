"""What is drawn of a product: one layer, in memory, in metres, no larger than a picture can show."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import grids
from xoffset.model.dates import DAYS, in_days
from xoffset.model.declared import decoded, in_metres, with_decoded
from xoffset.plotting.style import MOST_PIXELS, thinned

# Components, what the length of both is called, what they are, and their units.
VECTORS = {("vx", "vy"): ("speed", "velocity", "m yr-1"), ("dx", "dy"): ("displacement", "displacement", "m")}


def as_field(field: xr.DataArray, caller: str) -> xr.DataArray:
    """Return the field in memory, thinned to what a picture can show, rows from south to north."""
    if not isinstance(field, xr.DataArray) or set(field.dims) != {"y", "x"} or not {"y", "x"} <= set(field.coords):
        is_array = isinstance(field, xr.DataArray)
        got = f"dims {field.dims} and coords {sorted(map(str, field.coords))}" if is_array else type(field).__name__
        raise ValueError(
            f"{caller}() needs a DataArray on y and x with both coordinates; got {got}. "
            "Select one date or pair first: data.isel(time=-1)."
        )
    if not field.size:
        raise ValueError(f"{caller}() needs at least one node; got shape {field.shape}. Check the selection.")
    grids.check_crs(grids.crs_of(field), field, caller)
    field = in_metres(thinned(field).transpose("y", "x").sortby(["y", "x"]).compute(), caller)
    if field.dtype.kind == "b":
        return field.astype(np.uint8)
    if field.dtype.kind in "iuf":
        found = decoded(field, f"'{field.name}'", caller, wanted=None)
        return found if found.dtype.kind != "f" else found.where(np.isfinite(found)).assign_attrs(found.attrs)
    if field.dtype.kind == "M":
        return field.copy(data=in_days(field.values)).assign_attrs(units=DAYS)
    raise TypeError(
        f"{caller}() needs numbers, dates or yes and no; got '{field.name}' of type {field.dtype}. Convert it: "
        "data.astype('float32')."
    )


def as_product(dataset: xr.Dataset, caller: str) -> xr.Dataset:
    """Return the product decoded, refusing what is none and what lies on no grid."""
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"{caller}() needs a Dataset; got {type(dataset).__name__}. Draw one field with plotting.variable(): "
            "field.to_dataset(name='speed')."
        )
    if 0 in (dataset.sizes.get("y"), dataset.sizes.get("x")):
        raise ValueError(f"{caller}() needs at least one node; got {dict(dataset.sizes)}. Check the selection.")
    return dataset


def one_layer(dataset: xr.Dataset, names: tuple[str, ...], layer: int, caller: str) -> xr.Dataset:
    """Variables (y, x) of one pair, date or year, each as `as_field` has it; the label of the layer stays."""
    product = as_product(dataset, caller)
    lacking = [name for name in names if name not in product.data_vars]
    if lacking:
        raise ValueError(
            f"{caller}() needs {' and '.join(names)} on y and x; got variables "
            f"{sorted(map(str, product.data_vars))[:12]}. {_maker(names)}."
        )
    few = product[list(names)]
    dims = [str(dim) for dim in few[names[0]].dims if dim not in ("y", "x")]
    if not {"y", "x"} <= set(few[names[0]].dims) or len(dims) > 1:
        raise ValueError(
            f"{caller}() needs '{names[0]}' on y and x, with one dim more at most; got dims {few[names[0]].dims}. "
            "Select first, such as data.isel(pair=0); scattered points have no map."
        )
    if dims:
        few = few.isel({dims[0]: index_of(layer, few.sizes[dims[0]], dims[0], caller)})
    few = grids.with_crs(with_decoded(thinned(few), caller))
    return xr.Dataset({name: as_field(few[name], caller) for name in names}, attrs=product.attrs)


def index_of(layer: int, count: int, dim: str, caller: str) -> int:
    """Number of a layer, counted from the end if it is negative."""
    if not _options.is_whole(layer) or not -count <= layer < count:
        raise ValueError(
            f"{caller}() needs the number of a layer along '{dim}', of which there are {count}; got {layer!r}. "
            "Pass layer=0 for the first or layer=-1 for the last."
        )
    return int(layer) % count


def components_of(dataset: xr.Dataset, caller: str) -> tuple[str, str]:
    """Names of the components that a product has."""
    product = as_product(dataset, caller)
    found = [pair for pair in VECTORS if set(pair) <= set(product.data_vars)]
    if not found:
        raise ValueError(
            f"{caller}() needs dx and dy, or vx and vy; got variables {sorted(map(str, product.data_vars))[:12]}. "
            "Pass shifts, a series or a rate."
        )
    return found[-1] if "pair" not in product.dims and "time" not in product.dims else found[0]


def length_of(vectors: xr.Dataset, names: tuple[str, str]) -> xr.DataArray:
    """Length of vectors (y, x), in their units."""
    x, y = (vectors[name] for name in names)
    called, _, units = VECTORS[names]
    return x.copy(data=np.hypot(x.values, y.values)).rename(called).assign_attrs(units=units, long_name=called)


def sigma_of_length(vectors: xr.Dataset, names: tuple[str, str]) -> np.ndarray:
    """Standard error of the length along the vector itself; the covariance of both components is left out."""
    x, y = (vectors[name].values.astype("float64") for name in names)
    sigma_x, sigma_y = (vectors[f"sigma_{name}"].values.astype("float64") for name in names)
    length = np.hypot(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.hypot(x / length * sigma_x, y / length * sigma_y)
    return np.asarray(np.where(length > 0.0, along, np.hypot(sigma_x, sigma_y)))


def notes_of(dataset: xr.Dataset | xr.DataArray) -> list[str]:
    """Say that not every node is drawn, if so."""
    every = [math.ceil(dataset.sizes[dim] / MOST_PIXELS) for dim in ("y", "x") if dim in dataset.sizes]
    return [f"thinned: 1 node of {max(every)} drawn along each axis"] if every and max(every) > 1 else []


def _maker(names: tuple[str, ...]) -> str:
    if "vx" in names:
        return "Pass the result of velocity()"
    if "e1" in names:
        return "Pass the result of strain()"
    if "closure" in names:
        return "Pass the result of closure()"
    return "Pass a product that has it, or name another variable"
