"""Earthquake in California on two images of Sentinel-2, beside GNSS receivers."""

from __future__ import annotations

import numpy as np

from validation.case import Rows
from validation.data import Found
from validation.measures import of_recipe, row, toward_truth


def run(found: Found) -> dict[str, Rows]:
    """Displacement, and beside that of the receivers if there are any."""
    told = {} if "trace" not in found else {"trace": str(found.one("trace"))}
    (displacement,) = of_recipe(found, "earthquake", "displacement", band="B04", **told)
    length = np.hypot(displacement.dx, displacement.dy)
    rows = [
        row("displacement of the fastest 1 %", float(length.quantile(0.99)), "m"),
        row("nodes with a value", 100.0 * float(displacement.dx.notnull().mean()), "%"),
    ]
    if "gnss" in found:
        rows += toward_truth(displacement, found.truth())
    return {"table": rows}
