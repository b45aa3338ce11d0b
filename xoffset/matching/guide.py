"""Where to look for every pair and node: the grid of windows, the search around them and the priors it is about."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.frame import Frame, Spacing
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset._arrays.matching.search import Pair, as_half_range
from xoffset.model import checks, grids
from xoffset.model.dates import as_dates, in_years
from xoffset.model.declared import decoded, in_metres, units_of

# Length to which a prior is limited, px or px per year: anything as long is far beyond the image.
BEYOND = 1e9
# What to do about a map that does not fit, for messages.
_MAP_ADVICE = "Check its coordinates, or leave it out."


class Grid(NamedTuple):
    """Centres of the windows, in metres."""

    y: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, stack: xr.DataArray, spacing: Spacing, template: int, step: int) -> Grid:
        """Every `step` pixels from the first window that fits."""
        centre = 0.5 * (template - 1)
        first = {name: stack[name].values[0] + centre * getattr(spacing, name) for name in ("y", "x")}
        count = {name: max((stack.sizes[name] - template) // step + 1, 0) for name in ("y", "x")}
        return cls(*(first[name] + step * getattr(spacing, name) * np.arange(count[name]) for name in ("y", "x")))


class Guide(NamedTuple):
    """What `search.candidates` asks for, and the largest half-ranges (y, x) and prior shift in it, in pixels."""

    fields: np.ndarray
    pairs: list[Pair]
    half: tuple[int, int]
    prior: int
    levels: int
    is_blind: np.ndarray  # (1 or pair, rows, columns) nodes without a prior, though there is one


def make_guide(
    frame: Frame,
    network: xr.Dataset,
    search: int | tuple[int, int] | xr.DataArray | Pyramid,
    prior: xr.Dataset | None,
    grid: Grid,
) -> Guide:
    """Search ranges and priors on the nodes of the grid, after checking them."""
    levels = search.levels or 0 if isinstance(search, Pyramid) else 0
    if isinstance(search, Pyramid):
        search = search.search
    shape = (grid.y.size, grid.x.size)
    if isinstance(search, xr.DataArray):
        ranges = np.stack(2 * [_half_ranges(search, frame, grid)])
        half = (int(ranges.max(initial=0)), int(ranges.max(initial=0)))
    else:
        half = as_half_range(search, "correlate")
        ranges = np.broadcast_to(np.reshape(half, (2, 1, 1)), (2, *shape))
    ends = [np.searchsorted(frame.dates, as_dates(network[name].values)) for name in ("reference", "secondary")]
    if prior is None:
        fields = ranges.astype(np.float32) if isinstance(search, xr.DataArray) else np.empty((0, *shape), np.float32)
        pairs = [Pair(int(first), int(second)) for first, second in zip(*ends, strict=True)]
        return Guide(fields, pairs, half, 0, levels, np.zeros((1, 1, 1), dtype=bool))
    shifts, scales = _prior_shifts(prior, frame, network, grid)
    # what leaves the image is not searched, and needs no pixels
    largest = min(float(np.abs(scales).max(initial=0.0) * np.nanmax(np.abs(shifts), initial=0.0)), max(frame.shape))
    return Guide(
        np.concatenate([ranges, shifts.reshape(-1, *shape)]).astype(np.float32),
        [
            Pair(int(first), int(second), k if len(shifts) > 1 else 0, float(scale))
            for k, (first, second, scale) in enumerate(zip(*ends, scales, strict=True))
        ],
        half,
        math.ceil(largest),
        levels,
        ~np.isfinite(shifts).all(axis=1),
    )


def _half_ranges(search: xr.DataArray, frame: Frame, grid: Grid) -> np.ndarray:
    """Half-range of the nearest value of a map at every node, 0 where there is none."""
    nearest = search = _as_map(search, frame, "search", units="pixel")
    checks.check_dims(search, ("y", "x"), "correlate")
    for name in ("y", "x"):
        # half of a pixel more, that of a map belongs to its centre
        reach = 0.501 * float(np.abs(np.diff(search[name].values)).max())
        nearest = nearest.reindex({name: getattr(grid, name)}, method="nearest", tolerance=reach, fill_value=np.nan)
    values = nearest.values.astype(np.float64)
    if not np.isfinite(values).any():
        raise ValueError(f"correlate() needs a search that overlaps the stack; got {_extent(search)}. {_MAP_ADVICE}")
    values = np.where(np.isfinite(values), values, 0.0)
    if (values < 0).any() or (values % 1 != 0).any() or not values.any():
        raise ValueError(
            "correlate() needs whole numbers of pixels from 0 on in the map of search, some of them above 0; got "
            f"{values.min():g} to {values.max():g}. Round it up: np.ceil(search)."
        )
    return values


def _prior_shifts(prior: xr.Dataset, frame: Frame, network: xr.Dataset, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Prior (1 or pair, 2, rows, columns) along y and x, in pixels per unit of the scale of a pair, and the scales."""
    if not isinstance(prior, xr.Dataset):
        raise TypeError(
            f"correlate() needs a Dataset as prior; got {type(prior).__name__}. Pass a Dataset with vx and vy, or dx "
            "and dy."
        )
    kinds = [names for names in (("vy", "vx"), ("dy", "dx")) if set(names) <= set(prior.data_vars)]
    if len(kinds) > 1:
        raise ValueError(
            "correlate() needs a prior of velocities or of displacements; got one with both. Leave two variables "
            "out: prior[['vx', 'vy']]."
        )
    if not kinds:
        raise ValueError(
            f"correlate() needs a prior with vx and vy [m yr-1] or dx and dy [m]; got "
            f"{sorted(map(str, prior.data_vars))}. Rename its variables: prior.rename(...)."
        )
    (names,) = kinds
    fields = []
    for name, pixel in zip(names, (frame.spacing.y, frame.spacing.x), strict=True):
        layer = _as_map(_of_prior(prior, name), frame, "prior", units=units_of(name))
        if not _overlaps(layer, grid):
            raise ValueError(f"correlate() needs a prior that overlaps the stack; got {_extent(layer)}. {_MAP_ADVICE}")
        field = _of_pairs(layer, network)
        known = field.where(np.isfinite(field))
        at_nodes = known.interp(y=grid.y, x=grid.x, method="linear").transpose("pair", "y", "x")
        fields.append(at_nodes.values.astype(np.float64) / pixel)
    shifts = np.stack(fields, axis=1)
    # far beyond any image, but whole pixels of single precision
    shifts = np.clip(np.where(np.isfinite(shifts), shifts, np.nan), -BEYOND, BEYOND)
    baseline = network["secondary"].values - network["reference"].values
    scales = in_years(baseline) if names == ("vy", "vx") else np.ones(baseline.size)
    return shifts, scales


def _of_pairs(field: xr.DataArray, network: xr.Dataset) -> xr.DataArray:
    """One layer for all pairs, or one for each pair of the network in its order."""
    if "pair" not in field.dims:
        checks.check_dims(field, ("y", "x"), "correlate")
        return field.expand_dims("pair")
    if not {"reference", "secondary"} <= set(field.coords):
        raise ValueError(
            "correlate() needs the dates of a prior by pair as coordinates reference and secondary; got a prior "
            "without them. Take them from the network: prior.assign_coords(network.coords)."
        )
    given = {pair: k for k, pair in enumerate(_dates_of(field))}
    missing = [pair for pair in _dates_of(network) if pair not in given]
    if missing:
        raise ValueError(
            f"correlate() needs a prior for every pair; got none for {missing[0][0]} to {missing[0][1]}. Add it, NaN "
            "if unknown, or pass a prior without pair."
        )
    return field.isel(pair=[given[pair] for pair in _dates_of(network)]).drop_vars(["reference", "secondary"])


def _dates_of(data: xr.Dataset | xr.DataArray) -> list[tuple[np.datetime64, np.datetime64]]:
    return list(zip(*(as_dates(data[name].values) for name in ("reference", "secondary")), strict=True))


def _overlaps(data: xr.DataArray, grid: Grid) -> bool:
    """Whether any node lies between the values of a map."""
    return all(
        bool(((at >= data[name].values.min()) & (at <= data[name].values.max())).any())
        for name, at in (("y", grid.y), ("x", grid.x))
    )


def _extent(data: xr.DataArray) -> str:
    """Where a map lies, in words."""
    ends = [(float(data[name].values.min()), float(data[name].values.max())) for name in ("x", "y")]
    return f"x {ends[0][0]:g} to {ends[0][1]:g} and y {ends[1][0]:g} to {ends[1][1]:g}"


def _of_prior(prior: xr.Dataset, name: str) -> xr.DataArray:
    """A variable with what the whole Dataset says of its CRS."""
    crs = grids.crs_of(prior)
    return prior[name] if crs is None else prior[name].assign_coords(spatial_ref=grids.spatial_ref(crs))


def _as_map(data: xr.DataArray, frame: Frame, what: str, *, units: str | None) -> xr.DataArray:
    """Map with NaN for its fill values, in the units wanted on coordinates in metres, refusing what is lazy or strange.

    It needs a grid, and the CRS of the stack.
    """
    if not isinstance(data.data, np.ndarray):
        raise ValueError(
            f"correlate() needs the {what} in memory, since its largest value says how far images must overlap; got a "
            f"lazy one. Compute it first: {what}.compute()."
        )
    if not {"y", "x"} <= set(data.dims) or not {"y", "x"} <= set(data.coords):
        raise ValueError(
            f"correlate() needs y and x with coordinates in metres in the {what}; got dims {data.dims}. Give it those "
            "of the stack or of a grid of its CRS."
        )
    if data.dtype.kind not in "iuf":
        raise ValueError(
            f"correlate() needs numbers in the {what}; got {data.dtype}. Convert it: {what}.astype(float)."
        )
    for name in ("y", "x"):
        steps = np.diff(data[name].values.astype(np.float64))
        if steps.size == 0 or not ((steps > 0).all() or (steps < 0).all()):
            raise ValueError(
                f"correlate() needs at least two values along {name} in order, none twice, in the {what}; got "
                f"{steps.size + 1} of them. Sort it, or repeat a single one: {what}.sortby({name!r})."
            )
    theirs, ours = grids.crs_of(data), frame.crs
    if not grids.agree(theirs, ours):
        advice = f"Reproject it: {what}.rio.reproject({grids.name_of(ours)!r})."
        if theirs is None:
            advice = f"Name it if it is the same: {what}.rio.write_crs({grids.name_of(ours)!r})."
        if ours is None:
            advice = f"Name that of the stack: stack.rio.write_crs({grids.name_of(theirs)!r})."
        raise ValueError(
            f"correlate() needs the {what} in the CRS of the stack, {grids.name_of(ours)}; got "
            f"{grids.name_of(theirs)}. {advice}"
        )
    named = f"'{data.name}' of the {what}" if what == "prior" else f"the {what}"
    return in_metres(decoded(data.transpose(..., "y", "x"), named, "correlate", wanted=units), "correlate")
