"""Slow landslide in Peru on an archive of 28 years: what redundancy buys, and displacement beside GPS."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import nmad, row, toward_truth
from xoffset.masking import stable_ground


def run(found: Found) -> dict[str, Rows]:
    """Spread on stable ground of single pairs and of the inversion of all, and displacement beside GPS."""
    stack = xoffset.open_stack(found.all("images"), date="maca_%Y%m%d").load()
    shifts = stack.offset.correlate(stack.offset.pairs(), template=(16, 32), search=16, step=4).offset.screen()
    still = stable_ground(shifts, moving=found.one("outline"), buffer=100.0)
    shifts = shifts.offset.correct(stable=still, by_date=True, min_nodes=30).load()
    series = shifts.offset.invert(stable=still, reference="first").load()
    single, joint = _spreads(shifts, series, still)
    moved = np.hypot(series.dx, series.dy).isel(time=-1)
    rows = [
        row("spread (NMAD) of single pairs on stable ground", single, "m"),
        row("spread (NMAD) of the same from the inversion", joint, "m"),
        row("uncertainty that redundancy takes off", 100.0 * (1.0 - joint / single), "%"),
        row("displacement of the fastest 1 % in all years", float(moved.quantile(0.99)), "m"),
    ]
    if "gps" in found:
        rows += toward_truth(series, found.truth())
    return {"table": rows}


def _spreads(shifts: xr.Dataset, series: xr.Dataset, still: xr.DataArray) -> tuple[float, float]:
    """Median spread of pairs of neighbours on stable ground, as matched and as the series tells them."""
    found = []
    times = series.time.values
    for first, second in itertools.pairwise(times):
        pair = xoffset.pair(shifts, first, second)
        steps = series.sel(time=second) - series.sel(time=first)
        found.append([np.mean([nmad(each[name].where(still)) for name in ("dx", "dy")]) for each in (pair, steps)])
    single, joint = np.median(np.array(found), axis=0)
    return float(single), float(joint)
