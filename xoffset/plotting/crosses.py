"""Crosses of principal extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from xoffset.plotting.arrows import coarse, places
from xoffset.plotting.style import NOTE, above, nice, unit_text

# Extensions below this share of the longest have no arm.
_SHORTEST = 0.1


def draw_crosses(axes: Axes, fields: xr.Dataset) -> None:
    """Draw `e1` along its azimuth and `e2` across it, black where the ground extends and white where it contracts."""
    from matplotlib.collections import LineCollection

    few, spacing = coarse(fields, fields["e1"])
    x, y = places(few, fields["e1"])
    sizes = np.abs(np.concatenate([few[name].values.ravel() for name in ("e1", "e2")]).astype("float64"))
    sizes = sizes[np.isfinite(sizes)]
    longest = float(np.percentile(sizes, 98.0)) if sizes.size else 0.0
    if not longest > 0.0:
        return
    turn = np.radians(few["azimuth"].values.astype("float64"))
    for name, east, north in (("e1", np.sin(turn), np.cos(turn)), ("e2", np.cos(turn), -np.sin(turn))):
        size = few[name].values.astype("float64")
        half = 0.55 * spacing * np.clip(np.abs(size) / longest, 0.0, 1.0)
        arms = np.stack([x - half * east, y - half * north, x + half * east, y + half * north], axis=-1)
        is_drawn = np.isfinite(arms).all(axis=-1) & (np.abs(size) > _SHORTEST * longest)
        for colour, width, which in (
            ("black", 1.9, size < 0.0),
            ("white", 1.1, size < 0.0),
            ("white", 1.9, size > 0.0),
            ("black", 1.1, size > 0.0),
        ):
            lines = arms[is_drawn & which].reshape(-1, 2, 2)
            axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=width, zorder=3.0), autolim=False)
    _draw_key(axes, longest, 1.1 * spacing, str(fields["e1"].attrs.get("units", "1")))


def _draw_key(axes: Axes, longest: float, length: float, units: str) -> None:
    """Black arm of a round extension above the upper right corner."""
    from matplotlib.transforms import blended_transform_factory

    size = nice(longest)
    left, right = axes.get_xlim()
    where = blended_transform_factory(axes.transData, axes.transAxes)
    start = right - length * size / longest
    axes.plot(
        [start, right], [above(axes)] * 2, color="black", linewidth=1.1, transform=where, clip_on=False, scalex=False
    )
    text = f"{size:g}" if units in ("", "1") else f"{size:g} {unit_text(units)}"
    axes.text(start - 0.01 * (right - left), above(axes), text, transform=where, ha="right", va="center", fontsize=NOTE)
