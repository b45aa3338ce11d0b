"""Landslide in Colorado that never stops, on images of Sentinel-2 of one orbit."""

from __future__ import annotations

import numpy as np

from validation.case import Rows
from validation.data import Found
from validation.measures import nmad, of_recipe, row, toward_truth
from xoffset.masking import stable_ground


def run(found: Found) -> dict[str, Rows]:
    """Speed of the fastest part, and what the ground beside the landslide shows."""
    told = {"moving": str(found.one("outline")), "buffer": 500.0} if "outline" in found else {}
    (rate,) = of_recipe(found, "landslide", "velocity", **told)
    speed = np.hypot(rate.vx, rate.vy)
    is_sure = speed > 3.0 * np.hypot(rate.sigma_vx, rate.sigma_vy)
    rows = [row("speed of the most active part", float(speed.where(is_sure).quantile(0.98)), "m/yr")]
    if "outline" in found:
        still = stable_ground(rate, moving=found.one("outline"), buffer=500.0)
        spread = np.mean([nmad(rate[name].where(still)) for name in ("vx", "vy")])
        rows.append(row("spread (NMAD) on stable ground", float(spread), "m/yr"))
    if "gnss" in found:
        rows += toward_truth(rate, found.truth())
    return {"table": rows}
