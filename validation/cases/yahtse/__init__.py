"""Tidewater glacier on two images of Landsat 8, 16 days apart."""

from __future__ import annotations

import numpy as np

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import in_pixels, row, side_of


def run(found: Found) -> dict[str, Rows]:
    """Windows that correlate, where most of them lie, and how far the tongue moves south."""
    stack = xoffset.open_stack(found.all("images")).load()
    shifts = stack.offset.correlate(stack.offset.pairs(), search=25, step=16)
    x, y = in_pixels(shifts, side_of(stack))
    is_sure = shifts.score.values > 0.5
    tongue = in_pixels(shifts.offset.screen(), side_of(stack))[1]
    return {
        "table": [
            row("windows with a score above 0.5", 100.0 * float(is_sure.mean()), "%"),
            row("median along x", np.nanmedian(x), "px"),
            row("median along y", np.nanmedian(y), "px"),
            row("farthest motion to the south", -float(np.nanmin(tongue)), "px"),
            row("windows that move south by more than 10 px", float((tongue < -10.0).sum()), "windows"),
        ]
    }
