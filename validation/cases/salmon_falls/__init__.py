"""Landslide in Idaho that is slower than what 10 m images tell from zero: an upper limit is asked for, not a map."""

from __future__ import annotations

import numpy as np

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import of_recipe, row
from xoffset.masking import stable_ground


def run(found: Found) -> dict[str, Rows]:
    """Mean velocity of the landslide with its standard error, and what is told from zero."""
    outline = found.one("outline")
    (rate,) = of_recipe(found, "landslide", "velocity", moving=str(outline), buffer=300.0)
    mean = xoffset.area_mean(rate, outline, stable=stable_ground(rate, moving=outline, buffer=300.0))
    speed = float(np.hypot(mean.vx, mean.vy))
    sigma = float(np.hypot(mean.sigma_vx, mean.sigma_vy))
    return {
        "table": [
            row("speed of the landslide", speed, "m/yr"),
            row("its standard error", sigma, "m/yr"),
            row("speed that is told from zero at 95 %", 1.96 * sigma, "m/yr"),
            row("motion toward the west", -float(mean.vx), "m/yr"),
        ]
    }
