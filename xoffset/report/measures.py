"""What is measured of the products of a run for its report: losses, closure, stable ground, the network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset.masking.stable_ground import stable_ground
from xoffset.model.stable import on_nodes
from xoffset.network.diagnose import diagnose
from xoffset.readers.polygons import Polygons
from xoffset.recipes.base import Result
from xoffset.report.folder import CALLER, Run
from xoffset.screening.losses import losses
from xoffset.uncertainty.closure import closure
from xoffset.uncertainty.stable_statistics import stable_statistics

# Products that may hold shifts, the last step last, and those of motion, best first.
SHIFTS = ("matches", "shifts", "inside", "corrected", "deramped")
MOTION = ("velocity", "displacement", "series")
# Vectors that closure is measured of at most, and nodes along a side of a map that statistics on stable ground are of.
_VECTORS, _SIDE = 3_000_000, 512
_OF_CLOSURE = (
    "median_closure", "share_beyond", "date_median_closure", "date_share_beyond", "date_error", "is_bad", "spread",
    "date_spread",
)  # fmt: skip


@dataclass(frozen=True)
class Measures:
    """Tables in memory, each None where it cannot be had, and why."""

    shifts: xr.Dataset | None = None
    losses: xr.Dataset | None = None
    closure: xr.Dataset | None = None
    network: xr.Dataset | None = None
    ground: xr.DataArray | None = None
    stable: dict[str, xr.Dataset] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)
    thinned: int = 1  # every so many nodes that closure was measured on


def measure(run: Run, stable: xr.DataArray | Polygons | None) -> Measures:
    """Measure what the products of a run allow; a part that fails is told, and the others are had nonetheless."""
    why_not: dict[str, str] = {}
    shifts = last_shifts(run)
    if shifts is None:
        return Measures(why_not=dict.fromkeys(("losses", "closure", "stable"), "no shifts were written yet"))

    def tried(name: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (ValueError, TypeError, OSError, ImportError) as error:
            why_not[name] = str(error)
            return None

    # what the caller gives is refused if it is wrong
    ground = tried("stable", lambda: _told_ground(run, shifts)) if stable is None else _given_ground(shifts, stable)
    if ground is None:
        why_not.setdefault("stable", "the run names no stable ground")
    every = max(1, math.ceil(math.sqrt(shifts["dx"].size / _VECTORS)))
    of_ground: dict[str, xr.Dataset] = {}
    if ground is not None:
        for name in (each for each in MOTION if each in run.products):
            found = tried("stable", partial(_on_stable, run.products[name], ground))
            of_ground |= {} if found is None else {name: found}
    return Measures(
        shifts=shifts,
        losses=tried("losses", lambda: losses(shifts).compute()),
        closure=tried("closure", lambda: _closed(shifts, ground, every)),
        network=tried("network", lambda: diagnose(shifts)),
        ground=ground,
        stable=of_ground,
        why_not=why_not,
        thinned=every,
    )


def last_shifts(run: Run) -> xr.Dataset | None:
    """Shifts after the last step that was stored."""
    found = [run.products[name] for name in SHIFTS if name in run.products and "pair" in run.products[name].dims]
    return found[-1] if found else None


def _given_ground(like: xr.Dataset, stable: xr.DataArray | Polygons) -> xr.DataArray:
    """Nodes of stable ground, of a mask or of polygons."""
    if isinstance(stable, xr.DataArray):
        return like["dx"].isel(pair=0, drop=True).copy(data=on_nodes(stable, like, CALLER)).drop_attrs()
    return stable_ground(like, polygons=stable)


def _told_ground(run: Run, like: xr.Dataset) -> xr.DataArray | None:
    """Nodes of stable ground as the recipe tells it; None if it tells none."""
    steps = [] if run.recipe is None else [step for step in run.recipe.steps if step.call is stable_ground]
    if not steps or any(isinstance(value, Result) for value in steps[0].options.values()):
        return None
    return stable_ground(like, **steps[0].options)


def _on_stable(product: xr.Dataset, ground: xr.DataArray) -> xr.Dataset | None:
    """Statistics on stable ground of a product of motion, on few enough nodes."""
    names = next((each for each in (("vx", "vy"), ("dx", "dy")) if set(each) <= set(product.data_vars)), None)
    if names is None:
        return None
    wanted = [name for each in names for name in (each, f"sigma_{each}") if name in product]
    like = product[wanted]
    few = {dim: slice(None, None, math.ceil(like.sizes[dim] / _SIDE)) for dim in ("y", "x")}
    return stable_statistics(like.isel(few), ground.isel(few)).compute()


def _closed(shifts: xr.Dataset, ground: xr.DataArray | None, every: int) -> xr.Dataset:
    """Table of `closure`, on every so many nodes; without triplets what can be told without."""
    few = {dim: slice(None, None, every) for dim in ("y", "x")}
    wanted = [name for name in ("dx", "dy", "sigma_dx", "sigma_dy", "flags") if name in shifts]
    with warnings.catch_warnings():
        # a network without triplets is told in the page
        warnings.filterwarnings("ignore", message="closure.. found no three dates", category=UserWarning)
        found = closure(shifts[wanted].isel(few), stable=None if ground is None else ground.isel(few))
    return found[[name for name in _OF_CLOSURE if name in found]].compute().assign_attrs(found.attrs)


def bad_dates(measures: Measures) -> list[str]:
    """Days of the bad dates."""
    found = measures.closure
    if found is None:
        return []
    return [str(each) for each in found["time"].values[found["is_bad"].values.astype(np.bool_)].astype("datetime64[D]")]


def dates_of(measures: Measures) -> np.ndarray:
    """Dates of the network, in order."""
    if measures.network is None:
        return np.empty(0, dtype="datetime64[us]")
    return np.asarray(measures.network["time"].values)
