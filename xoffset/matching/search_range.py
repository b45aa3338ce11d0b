"""search_range(): how far to search at each node, by the speed that is expected there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.matching.guide import Grid
from xoffset.model import checks, grids, products
from xoffset.model.dates import as_dates, in_years
from xoffset.model.declared import decoded, in_metres
from xoffset.model.masks import Kind, check_boolean
from xoffset.model.variables import TERRAIN

_CALLER = "search_range"
# How many times an expected speed may be exceeded, and the half-range for motion of nothing [px], if not told.
FACTOR, MARGIN = 1.5, 5
_STILL = Kind("still", "on ground that stands still", "slope", "< 20")


def search_range(
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    search: int,
    template: int = 32,
    step: int = 8,
    max_speed: float | None = None,
    speed: xr.DataArray | None = None,
    unknown_speed: float | None = None,
    factor: float | None = None,
    margin: int | None = None,
    still: xr.DataArray | None = None,
) -> xr.DataArray:
    """How far to search at each node by the speed that is expected there, to be passed as `search` of `correlate`.

    Parameters
    ----------
    stack
        Images (time, y, x).
    network
        Pairs of dates, from `pairs`. All are searched as far as that with the longest baseline needs.
    search
        Half-range where nothing else is known [px].
    template, step
        As of `correlate`, of whose nodes the ranges are; of several templates the largest.
    max_speed
        Largest speed to be found [m yr-1]: enlarges the range where `search` is too short for it.
    speed
        Speed that is expected (y, x) [m yr-1], on any grid of the stack's CRS; of it the nearest value counts. Makes
        the range `factor` times what it moves plus `margin` where this is shorter.
    unknown_speed
        Speed [m yr-1] where `speed` is NaN or has no value; None: such nodes are searched as far as without it.
    factor
        How many times `speed` may be exceeded. None: 1.5.
    margin
        Half-range for motion of nothing [px], where `speed` or `still` are told: errors of the images' position, and
        the ring that takes no peak. None: 5.
    still
        True where the ground stands still (y, x), boolean, or the result of `masking.land_classes`, of which land and
        water do; on any grid of the stack's CRS. There the range is `margin`.

    Returns
    -------
    xarray.DataArray
        `search_range` (y, x) [px], whole numbers above 0, at the nodes.

    Raises
    ------
    TypeError
        If stack, network, speed or still are of the wrong type.
    ValueError
        If a number is out of range, nothing is told that a range depends on, or a map is of another CRS or elsewhere.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), velocity=60.0)
    >>> network = xoffset.pairs(stack)
    >>> found = xoffset.search_range(stack, network, search=4, max_speed=60.0)
    >>> int(found.max())
    8
    >>> shifts = xoffset.correlate(stack, network, search=found)
    """
    stack = checks.as_stack(stack, _CALLER)
    network = checks.as_network(network, stack, _CALLER)
    numbers = _numbers(search=search, template=template, step=step, margin=MARGIN if margin is None else margin)
    times = _options.as_positive(FACTOR if factor is None else factor, "factor", _CALLER, unit="1", example=FACTOR)
    if max_speed is None and speed is None and still is None:
        raise ValueError(
            "search_range() needs something that the range depends on; got none. Pass max_speed, speed or still, or "
            f"pass search={search!r} to correlate() as it is."
        )
    _check_used("a speed", speed is not None, unknown_speed=unknown_speed, factor=factor)
    _check_used("a speed or still", speed is not None or still is not None, margin=margin)
    spacing = grids.spacing(stack, _CALLER)
    grid = Grid.of(stack, spacing, numbers["template"], numbers["step"])
    years = float(np.abs(in_years(as_dates(network["secondary"].values) - as_dates(network["reference"].values))).max())
    pixels_a_speed = years / min(abs(spacing.x), abs(spacing.y))
    longest = numbers["search"]
    if max_speed is not None:
        longest = max(longest, math.ceil(_speed(max_speed, "max_speed") * pixels_a_speed) + 1)
    ranges = np.full((grid.y.size, grid.x.size), longest, dtype=np.int64)
    if speed is not None:
        known = _nearest(_speed_map(speed), stack, grid, "speed")
        if unknown_speed is not None:
            known = np.where(np.isnan(known), _speed(unknown_speed, "unknown_speed"), known)
        needed = np.ceil(times * known * pixels_a_speed)
        ranges = np.fmin(ranges, needed + numbers["margin"]).astype(np.int64)
    if still is not None:
        stands = _nearest(_is_still(still).astype(np.float32), stack, grid, "still") == 1.0
        ranges = np.where(stands, np.minimum(ranges, numbers["margin"]), ranges)
    return _labelled(ranges, grid, stack)


def _labelled(ranges: np.ndarray, grid: Grid, stack: xr.DataArray) -> xr.DataArray:
    where = xr.Dataset(coords={"y": ("y", grid.y), "x": ("x", grid.x)})
    crs = grids.crs_of(stack)
    if crs is not None:
        where = where.assign_coords(spatial_ref=grids.spatial_ref(crs))
    fields = {"search_range": (("y", "x"), ranges)}
    return products.product(fields, TERRAIN, like=where, step={"function": _CALLER})["search_range"]


def _check_used(owner: str, is_given: bool, **numbers: float | None) -> None:
    """Refuse numbers that would have no effect."""
    for name, value in numbers.items():
        if value is not None and not is_given:
            raise ValueError(
                f"search_range() needs {owner} where {name} is given; got {name}={value!r} alone. Pass {owner}, or "
                "leave it out."
            )


def _numbers(**given: Any) -> dict[str, int]:
    return {name: _options.as_whole_number(each, name, _CALLER, least=1, example=8) for name, each in given.items()}


def _speed(value: Any, name: str) -> float:
    return _options.as_number(value, name, _CALLER)


def _speed_map(speed: Any) -> xr.DataArray:
    """Speed [m yr-1], NaN where it is not known."""
    if not isinstance(speed, xr.DataArray) or speed.dtype.kind not in "iuf":
        raise TypeError(
            f"search_range() needs a DataArray (y, x) of numbers as speed; got {type(speed).__name__}. Open it: "
            "xoffset.open_speed('vx.tif', 'vy.tif', like=stack)."
        )
    values = decoded(speed, "the speed", _CALLER, wanted="m yr-1")
    return values.where(np.isfinite(values) & (values >= 0.0))


def _is_still(still: Any) -> xr.DataArray:
    """Where the ground stands still, from a mask or from classes of land, glaciers and water."""
    names = str(still.attrs.get("flag_meanings", "")).split() if isinstance(still, xr.DataArray) else []
    if not {"land", "water"} <= set(names):
        check_boolean(still, _STILL, _CALLER)
        mask: xr.DataArray = still
        return mask
    numbers = dict(zip(names, np.ravel(still.attrs["flag_values"]).tolist(), strict=True))
    stands: xr.DataArray = still.isin([numbers["land"], numbers["water"]])
    return stands


def _nearest(data: xr.DataArray, stack: xr.DataArray, grid: Grid, name: str) -> np.ndarray:
    """Value of the nearest pixel of a map at every node, NaN beyond it."""
    if set(data.dims) != {"y", "x"} or not {"y", "x"} <= set(data.coords):
        raise ValueError(
            f"search_range() needs {name} with dims ('y', 'x') and their coordinates; got {data.dims}. Take one layer: "
            f"{name}.isel(...)."
        )
    if not grids.agree(grids.crs_of(data), grids.crs_of(stack)):
        raise ValueError(
            f"search_range() needs {name} in the CRS of the stack, {grids.name_of(grids.crs_of(stack))}; got "
            f"{grids.name_of(grids.crs_of(data))}. Reproject it: {name}.rio.reproject_match(stack)."
        )
    found = in_metres(data, _CALLER)
    steps = grids.spacing(found, _CALLER)
    for label, side in (("y", steps.y), ("x", steps.x)):
        # half of a pixel more: that of a map belongs to its centre
        nodes = {label: getattr(grid, label)}
        found = found.reindex(nodes, method="nearest", tolerance=0.501 * abs(side), fill_value=np.nan)
    values = np.asarray(found.transpose("y", "x").values, dtype=np.float64)
    if not np.isfinite(values).any():
        raise ValueError(
            f"search_range() needs {name} with values where the stack is; got none there. Check its coordinates, or "
            "leave it out."
        )
    return values
