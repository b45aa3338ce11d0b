"""Stable ground, marked on the pixels of a stack, the nodes of its shifts or any other grid, brought to the nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import masks
from xoffset.model.declared import in_metres


def on_nodes(stable: xr.DataArray, shifts: xr.Dataset, caller: str) -> Any:
    """Nodes (rows, columns) that are stable, boolean: all pixels of their cells are True; NumPy or dask like the mask.

    The mask has its dims in any order; along one that it lacks it holds for all nodes. The cell of a node is as large
    as the step of the grid.

    Raises
    ------
    TypeError
        If the mask is no boolean DataArray.
    ValueError
        If its dims or coordinates are not those of a grid, it lies elsewhere, was made of values with a fill, or is
        one in memory that is True on no node.
    """
    values = masks.on_cells(_as_map(stable, shifts, caller), shifts, masks.STABLE, caller).values
    check_somewhere(values, masks.STABLE.name, caller)
    return values


def check_somewhere(mask: Any, name: str, caller: str) -> None:
    """Refuse a mask of nodes in memory that is True on none; what a lazy one holds is not known yet."""
    if isinstance(mask, np.ndarray) and not mask.any():
        raise ValueError(
            f"{caller}() needs {name} to be True on at least one node; got none. A node counts where all pixels of its "
            "cell are True: enlarge the mask, or check that it lies on the grid."
        )


def _as_map(stable: xr.DataArray, shifts: xr.Dataset, caller: str) -> xr.DataArray:
    """Return the mask (y, x), after checking what it is."""
    masks.check_boolean(stable, masks.STABLE, caller)
    others = [str(dim) for dim in stable.dims if dim not in ("y", "x")]
    if others or not stable.dims:
        advice = f"Join them: stable.all({others})" if others else "Mark the ground on its grid: stable = slope < 20"
        raise ValueError(f"{caller}() needs dims ('y', 'x') of stable, or one of them; got {stable.dims}. {advice}.")
    if not stable.size:
        raise ValueError(
            f"{caller}() needs stable on at least one pixel; got shape {stable.shape}. Check the selection; a mask on "
            "another grid leaves none where the two are combined."
        )
    missing = {dim: shifts[dim] for dim in ("y", "x") if dim not in stable.dims}
    if not missing:
        return stable.transpose("y", "x")
    return in_metres(stable, caller).drop_vars(missing, errors="ignore").expand_dims(missing).transpose("y", "x")
