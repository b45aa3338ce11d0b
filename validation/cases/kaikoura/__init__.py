"""Earthquake in New Zealand on images of Sentinel-2, as the tutorial of MPIC-OPT measures it."""

from __future__ import annotations

import numpy as np

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import of_recipe, row, toward_truth

UPLIFT = 8.0  # m, the largest that is published


def run(found: Found) -> dict[str, Rows]:
    """Largest displacement, and how much of a vertical one the view of the sensor turns into a horizontal one."""
    (displacement,) = of_recipe(found, "mpic-opt", "displacement")
    length = np.hypot(displacement.dx, displacement.dy)
    zenith = _largest_view_angle(found)
    rows = [
        row("displacement of the fastest 1 in 1000", float(length.quantile(0.999)), "m"),
        row("horizontal leak of 8 m of uplift, at the largest view angle", UPLIFT * np.tan(np.radians(zenith)), "m"),
        row("nodes with a value", 100.0 * float(displacement.dx.notnull().mean()), "%"),
    ]
    if "gnss" in found:
        rows += toward_truth(displacement, found.truth())
    return {"table": rows}


def _largest_view_angle(found: Found) -> float:
    """Largest angle from the vertical [degrees] at which the first image sees the ground."""
    images = xoffset.open_stack(found.all("images"), band="B04", tile=found.case.options["tile"], chunks=1024)
    coarse = images.isel(time=[0], y=slice(None, None, 20), x=slice(None, None, 20))
    return float(xoffset.angles(found.all("images"), like=coarse, band="B04").view_zenith.max())
