"""Stable ground, marked on the pixels of a stack or on the nodes of its shifts, brought to the nodes."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._blocks import whole
from xoffset.model import grids
from xoffset.model.declared import fills_of, in_metres


class Cells(NamedTuple):
    """Pixels of a mask around each node along one axis: the first of each node, and their number."""

    first: np.ndarray
    width: int


def on_nodes(stable: xr.DataArray, shifts: xr.Dataset, caller: str) -> Any:
    """Nodes (rows, columns) that are stable, boolean: all pixels of their cells are True; NumPy or dask like the mask.

    The mask has its dims in any order; along one that it lacks it holds for all nodes.

    Raises
    ------
    TypeError
        If the mask is no boolean DataArray.
    ValueError
        If its dims, its CRS or its grid are not those of the shifts or of their stack.
    """
    stable = _as_map(stable, shifts, caller)
    rows, columns = _cells(stable, shifts, caller)
    of_nodes = partial(_of_nodes, rows=rows, columns=columns)
    return whole.at_once(of_nodes, [stable.data], np.dtype(np.bool_), (shifts.sizes["y"], shifts.sizes["x"]))


def _as_map(stable: xr.DataArray, shifts: xr.Dataset, caller: str) -> xr.DataArray:
    """Return the mask (y, x), after checking what it is."""
    if not isinstance(stable, xr.DataArray) or stable.dtype != np.bool_:
        got = f"dtype {stable.dtype}" if isinstance(stable, xr.DataArray) else type(stable).__name__
        raise TypeError(
            f"{caller}() needs a boolean DataArray (y, x) as stable, True on stable ground; got {got}. "
            "Compare: stable = slope < 20."
        )
    others = [str(dim) for dim in stable.dims if dim not in ("y", "x")]
    if others or not stable.dims:
        advice = f"Join them: stable.all({others})" if others else "Mark the ground on its grid: stable = slope < 20"
        raise ValueError(f"{caller}() needs dims ('y', 'x') of stable, or one of them; got {stable.dims}. {advice}.")
    if not stable.size:
        raise ValueError(
            f"{caller}() needs stable on at least one pixel; got shape {stable.shape}. Check the selection; a mask on "
            "another grid leaves none where the two are combined."
        )
    _check_undeclared(stable, caller)
    stable = in_metres(stable, caller)
    missing = {dim: shifts[dim] for dim in ("y", "x") if dim not in stable.dims}
    return stable.drop_vars(missing, errors="ignore").expand_dims(missing).transpose("y", "x")


def _cells(stable: xr.DataArray, shifts: xr.Dataset, caller: str) -> tuple[Cells, Cells]:
    """Rows and columns of the mask around each node, after checking its grid."""
    crs, wanted = grids.crs_of(stable), grids.crs_of(shifts)
    if crs is not None and wanted is not None and not grids.agree(crs, wanted):
        raise ValueError(
            f"{caller}() needs stable in the CRS of the shifts, {wanted.name}; got {crs.name}. "
            "Reproject: stable.astype('uint8').rio.reproject_match(stack[0]) == 1."
        )
    of_mask, of_nodes = (grids.spacing(data, caller) for data in (stable, shifts))
    cells = []
    for axis in ("y", "x"):
        side = getattr(of_mask, axis)
        ratio = getattr(of_nodes, axis) / side
        # twice the position of the nodes in pixels of the mask: centres of even windows lie between two of them
        halves = 2.0 * (shifts[axis].values - stable[axis].values[0]) / side
        nodes, step = np.rint(halves).astype(np.int64), round(ratio)
        if step < 1 or abs(ratio - step) > 1e-3 or np.abs(halves - nodes).max() > 0.1:
            raise ValueError(
                f"{caller}() needs stable on the grid of the shifts or of their stack; got pixels of {side:g} m along "
                f"{axis} for nodes of {getattr(of_nodes, axis):g} m that do not fit. Bring it there: "
                "stable.astype(float).interp_like(stack[0], method='nearest') == 1."
            )
        first = -((step - nodes) // 2)
        cells.append(Cells(first, int((nodes[0] + step) // 2 - first[0]) + 1))
    return cells[0], cells[1]


def _check_undeclared(stable: xr.DataArray, caller: str) -> None:
    """Refuse a mask made of values with a fill: a comparison makes ground of it."""
    fills = [value for value in fills_of(stable) if value not in (0.0, 1.0)]
    if fills:
        raise ValueError(
            f"{caller}() needs stable without a nodata value, which a boolean cannot hold; got one made of values "
            f"whose nodata value is {fills[0]:g}. Mask those first and drop the attribute: "
            f"stable = (slope.where(slope != {fills[0]:g}) < 20).drop_attrs(deep=False)."
        )


def _of_nodes(mask: np.ndarray, *, rows: Cells, columns: Cells) -> np.ndarray:
    """Nodes (rows, columns) whose cell is True throughout; what lies outside the mask is not."""
    for axis, cells in enumerate((rows, columns)):
        size = mask.shape[axis]
        inside = (cells.first >= 0) & (cells.first + cells.width <= size)
        found = np.expand_dims(inside, 1 - axis)
        for k in range(cells.width):
            found = found & np.take(mask, np.clip(cells.first + k, 0, size - 1), axis=axis)
        mask = found
    return mask
