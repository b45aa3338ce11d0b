"""What the scene as a whole says of an inversion: the errors that stable ground shows, and the reference date."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import solver, strips
from xoffset._arrays.networks.observations import Observations
from xoffset._blocks import pixels, whole
from xoffset._kernels.networks import groups
from xoffset._kernels.networks.chains import SHARES
from xoffset.model.stable import on_nodes

# Vectors that a pair needs on stable ground for its spread to count.
LEAST = 20
# Vectors of all pairs together that are looked at, at most: of a larger scene every so many nodes are.
SAMPLE = 4_000_000
# Stable ground tells the variance of a date with little noise poorly, so it may lower it to this share at most.
LEAST_FACTOR = 0.1
# Table of a scene (layer, date): factors of the variances along x and y, displacement of stable ground as a whole [m],
# 1 at the reference dates, and, at every date, how probable the shares of the pairs are.
TABLE = Layers(factor=2, geolocation_dx=(), geolocation_dy=(), is_home=(), shares=len(SHARES))


def table(
    stable: xr.DataArray | None, shifts: xr.Dataset, order: Any, setup: solver.Setup, shares: Any, kept: Any = None
) -> Any:
    """Table as `TABLE` says, NumPy or dask.

    order: of the shifts in that of the ends. shares: from `pair_shares`. kept (2, date) from `solver.kept`: the
    reference is the date that it tells; None: that of the setup is.
    """
    shape = (TABLE.count, setup.times.size)
    counts = [shares] if kept is None else [shares, kept]
    if stable is None:
        return whole.at_once(partial(_of_reference, setup=setup), counts, np.dtype(np.float64), shape)
    mask = on_nodes(stable, shifts, "invert")
    fields = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    fit = partial(_of_stable_ground, setup=setup)
    sample = whole.sample([*fields, mask], shifts["dx"].size, SAMPLE)
    return whole.at_once(fit, [*sample, *counts], np.dtype(np.float64), shape)


def solve(fields: list[Any], table: Any, setup: solver.Setup, shared: Any = None) -> Any:
    """`solver.solve` pixel by pixel, with the factors, the shares and the reference of a table, NumPy or dask.

    shared (match,): variance of each that all pixels share, from `shift_errors.uneven`, NumPy or dask; None: none.
    """
    if shared is not None:
        shape = (TABLE.count * setup.times.size + len(setup.ends),)
        table = whole.at_once(_in_one, [table, shared], np.dtype(np.float64), shape)
    if isinstance(table, np.ndarray):
        # the network is laid out once for all pixels
        return pixels.per_pixel(partial(solver.solve, setup=_told(table, setup)), fields, setup.layers)
    return pixels.per_pixel_of(partial(_solve_block, setup=setup), fields, table, setup.layers)


def _solve_block(table: np.ndarray, *fields: np.ndarray, setup: solver.Setup) -> np.ndarray:
    return solver.solve(*fields, setup=_told(table, setup))


def _in_one(table: np.ndarray, shared: np.ndarray) -> np.ndarray:
    return np.concatenate([table.ravel(), shared])


def _told(told: np.ndarray, setup: solver.Setup) -> solver.Setup:
    dates = setup.times.size
    table, shared = np.split(told.ravel(), [TABLE.count * dates])
    table = table.reshape(TABLE.count, dates)
    factor, shares = np.ascontiguousarray(table[TABLE["factor"]]), table[TABLE["shares"], 0].copy()
    return replace(setup, factor=factor, shares=shares, home=_home(table), shared=shared if shared.any() else None)


def _home(table: np.ndarray) -> tuple[int, ...]:
    return tuple(int(k) for k in np.flatnonzero(table[TABLE.at("is_home")]))


def _of_reference(shares: np.ndarray, *kept: np.ndarray, setup: solver.Setup) -> np.ndarray:
    """Table without stable ground."""
    table = np.ones((TABLE.count, setup.times.size))
    table[TABLE["shares"]] = shares[:, np.newaxis]
    home = [solver.best_reference(kept[0], setup.ends)] if kept else list(setup.home)
    table[TABLE.at("is_home")] = 0.0
    table[TABLE.at("is_home"), home] = 1.0
    return table


def _of_stable_ground(*fields: np.ndarray, setup: solver.Setup) -> np.ndarray:
    """Table with stable ground. fields: those of the shifts, mask, shares, and maybe the counts of the reference."""
    observed = Observations.of(setup.ends)
    ends = observed.ends
    merged = observed.merge(*(field[:, fields[4]][:, np.newaxis] for field in fields[:4]))
    known = np.asarray(np.isfinite(merged[:, :, 0]).all(axis=0))
    enough = known.sum(axis=1) >= LEAST
    if not enough.any() and not np.isfinite(merged[2:]).any() and np.isfinite(merged[:2]).any():
        raise ValueError(
            "invert() needs standard errors of the shifts to scale them to stable ground; got none. Leave stable out."
        )
    if not enough.any():
        raise ValueError(
            f"invert() needs {LEAST} vectors on stable ground in at least one pair; got at most "
            f"{known.sum(axis=1).max(initial=0)}, without pairs that correct() left as they were. Enlarge stable, "
            "lower min_nodes of correct(), or leave stable out."
        )
    median, seen, expected = np.full((3, 2, len(ends)), np.nan)
    for pair in np.flatnonzero(enough):
        vectors = merged[:, pair, 0][:, known[pair]]
        median[:, pair] = np.median(vectors[:2], axis=1)
        spread = 1.4826 * np.median(np.abs(vectors[:2] - median[:, pair, np.newaxis]), axis=1)
        seen[:, pair], expected[:, pair] = spread**2, np.median(vectors[2:], axis=1)
    table = _of_reference(*fields[5:], setup=setup)
    stable = TABLE.split(table)
    for axis in range(2):
        of_dates = np.empty((2, setup.times.size, 1, 1))
        for variance, out in zip((seen[axis], expected[axis]), of_dates, strict=True):
            solver.date_variance(ends, variance[:, np.newaxis, np.newaxis], out)
        factor = np.maximum(of_dates[0] / of_dates[1], LEAST_FACTOR)[:, 0, 0]
        stable["factor"][axis] = np.where(np.isfinite(factor), factor, 1.0)
    # the whole moves as one pixel would
    whole = replace(setup, ends=ends, base=np.ones(len(ends)), is_relative=False, has_field=False, has_prior=False,
                    smooth=0.0, islands=groups.NAN, home=_home(table))  # fmt: skip
    pixel = [array[:, np.newaxis, np.newaxis] for array in (*median, *np.ones_like(median))]
    moved = strips.SeriesLayers.of(solver.solve(*pixel, setup=whole), setup.times.size).displacement
    stable["geolocation_dx"][:], stable["geolocation_dy"][:] = moved[:, :, 0, 0]
    return table
