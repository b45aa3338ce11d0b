"""Arrows of a map, and the key that tells how long they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from xoffset.plotting.fields import VECTORS
from xoffset.plotting.style import NOTE, above, axis_unit, edges, nice, unit_text

# Most arrows along the longer side of a map.
_ARROWS_ACROSS = 18
# Arrows of less than this share of the longest are left out: they would be dots.
_SHORTEST = 0.15
# Share of the end of the colours beyond which a sign is marked.
_FAR = 0.3


def draw_arrows(
    axes: Axes, vectors: xr.Dataset, names: tuple[str, str], longest: float, *, has_key: bool = True
) -> None:
    """Draw arrows on a coarse grid, as long as their spacing at the top of the colour scale, none where it is slow."""
    few, spacing = coarse(vectors, vectors[names[0]])
    along_x, along_y = (few[name].values.astype("float64") for name in names)
    length = np.hypot(along_x, along_y)
    is_drawn = length > _SHORTEST * longest
    if not is_drawn.any():
        return
    # what is beyond the colours would cross its neighbours
    shortened = np.minimum(1.0, longest / np.where(is_drawn, length, longest))
    x, y = places(few, vectors[names[0]])
    arrows = axes.quiver(
        x[is_drawn], y[is_drawn], (along_x * shortened)[is_drawn], (along_y * shortened)[is_drawn],
        scale=longest / (1.15 * spacing), **_style(spacing),
    )  # fmt: skip
    if has_key:
        size = nice(longest)
        unit = unit_text(VECTORS[names][2])
        axes.quiverkey(
            arrows,
            0.93,
            above(axes),
            size,
            f"{size:g} {unit}",
            labelpos="W",
            labelsep=0.05,
            fontproperties={"size": NOTE},
        )


def draw_directions(axes: Axes, vectors: xr.Dataset, names: tuple[str, str]) -> None:
    """Draw arrows of one length on a coarse grid, where vectors are known."""
    few, spacing = coarse(vectors, vectors[names[0]])
    along_x, along_y = (few[name].values.astype("float64") for name in names)
    length = np.hypot(along_x, along_y)
    is_drawn = length > 0.0
    if not is_drawn.any():
        return
    x, y = (each[is_drawn] for each in places(few, vectors[names[0]]))
    along_x, along_y = along_x[is_drawn] / length[is_drawn], along_y[is_drawn] / length[is_drawn]
    axes.quiver(x, y, along_x, along_y, scale=1.0 / (0.8 * spacing), **_style(spacing))


def draw_signs(axes: Axes, field: xr.DataArray, high: float) -> None:
    """Mark what is far above and below zero with + and -, which grey does not tell apart."""
    from matplotlib.patheffects import withStroke

    few, _ = coarse(field.to_dataset(name="values"), field)
    x, y = places(few, field)
    values = few["values"].values
    for marker, is_marked in (("+", values > _FAR * high), ("_", values < -_FAR * high)):
        axes.plot(
            x[is_marked], y[is_marked], linestyle="", marker=marker, color="black", markersize=3.0,
            markeredgewidth=0.6, zorder=2.0, scalex=False, scaley=False,
            path_effects=[withStroke(linewidth=2.0, foreground="white")],
        )  # fmt: skip


def coarse(vectors: xr.Dataset, field: xr.DataArray) -> tuple[xr.Dataset, float]:
    """Every so many nodes, and the distance between them in the unit of the axes."""
    step = math.ceil(max(field.sizes.values()) / _ARROWS_ACROSS)
    few = vectors.isel(y=slice(step // 2, None, step), x=slice(step // 2, None, step))
    left, right, bottom, top = edges(field)
    side = max((right - left) / field.sizes["x"], (top - bottom) / field.sizes["y"])
    return few, step * side / axis_unit(field)[1]


def places(few: xr.Dataset, field: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of nodes in the unit of the axes."""
    """Coordinates of nodes in the unit of the axes."""
    _, divisor = axis_unit(field)
    x, y = np.meshgrid(few["x"].values / divisor, few["y"].values / divisor)
    return x, y


def _style(spacing: float) -> dict[str, Any]:
    """White with a dark edge, which is seen on every colour and in grey."""
    return {
        "angles": "xy",
        "units": "xy",
        "scale_units": "xy",
        "pivot": "mid",
        "minlength": 0,
        "color": "white",
        "edgecolor": "black",
        "linewidth": 0.4,
        "width": 0.09 * spacing,
        "zorder": 3.0,
    }
