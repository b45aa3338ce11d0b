"""Landslide in France that sped up in 2016, with the images and parameters of the tutorial of MPIC-OPT."""

from __future__ import annotations

import numpy as np

from validation.case import Rows
from validation.data import Found
from validation.measures import of_recipe, row


def run(found: Found) -> dict[str, Rows]:
    """Largest displacement of a pair on average and fastest motion, by the service's recipe."""
    displacement, velocity = of_recipe(found, "mpic-opt", "displacement", "velocity")
    length, speed = np.hypot(displacement.dx, displacement.dy), np.hypot(velocity.vx, velocity.vy)
    return {
        "table": [
            row("mean displacement of the fastest 1 in 1000", float(length.quantile(0.999)), "m"),
            row("mean velocity of the fastest 1 in 1000", float(speed.quantile(0.999)), "m/yr"),
            row("nodes with a value", 100.0 * float(length.notnull().mean()), "%"),
        ]
    }
