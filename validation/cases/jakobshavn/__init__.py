"""Outlet glacier in Greenland on a pair of Landsat 8, 16 days apart: errors on ground that hardly moves."""

from __future__ import annotations

import numpy as np

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import row
from xoffset.masking import stable_ground


def run(found: Found) -> dict[str, Rows]:
    """Median absolute deviation of velocities on stable ground, as the text counts them, and the fastest ice."""
    stack = xoffset.open_stack(found.all("images"), band="B8")
    network = stack.offset.pairs(max_gap=1)
    shifts = stack.offset.correlate(network, template=32, search=xoffset.Pyramid(64), step=8).offset.screen()
    rock = stable_ground(shifts, polygons=found.one("rock"))
    rate = shifts.offset.correct(stable=rock, min_nodes=30).offset.velocity().load()
    on_rock = {name: rate[name].where(rock).values for name in ("vx", "vy")}
    speed = np.hypot(rate.vx, rate.vy)
    return {
        "table": [
            row("error on stable ground (MAD), x", _mad(on_rock["vx"]), "m/yr"),
            row("error on stable ground (MAD), y", _mad(on_rock["vy"]), "m/yr"),
            row("speed of the fastest 1 %", float(speed.quantile(0.99)), "m/yr"),
            row("nodes with a value", 100.0 * float(speed.notnull().mean()), "%"),
        ]
    }


def _mad(values: np.ndarray) -> float:
    """Median absolute deviation, without the factor that makes it a standard deviation."""
    return float(np.nanmedian(np.abs(values - np.nanmedian(values))))
