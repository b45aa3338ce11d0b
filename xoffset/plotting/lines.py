"""What pictures with lines share: two colours, the range of an axis, the legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from xoffset.plotting.look import Look
from xoffset.plotting.style import FIRST, NOTE, SECOND, colour_map, say_empty

Colour = str | tuple[float, float, float, float]


def two_colours(look: Look) -> tuple[Colour, Colour]:
    """Colours of the component along x, or parallel, and of the other: dark and light."""
    if look.cmap is None:
        return FIRST, SECOND
    colours = colour_map(look.cmap, look.caller)
    return colours(0.15), colours(0.7)


def set_range(axes: Axes, values: Sequence[np.ndarray], look: Look) -> None:
    """Range of the vertical axis that holds all values, whatever their errors; or what the caller asks for."""
    known = np.concatenate([np.ravel(each)[np.isfinite(np.ravel(each))] for each in values] or [np.empty(0)])
    if not known.size:
        say_empty(axes)
        known = np.array([0.0, 1.0])
    low, high = float(known.min()), float(known.max())
    margin = 0.12 * (high - low) or 0.5 * abs(high) or 0.5
    bottom = low - margin if look.vmin is None else look.vmin
    top = high + margin if look.vmax is None else look.vmax
    axes.set_ylim(bottom, top if top > bottom else bottom + 1.0)
    axes.grid(visible=True, color="0.92", linewidth=0.5)
    axes.set_axisbelow(True)


def add_legend(axes: Axes, columns: int = 1) -> None:
    """Legend above the panel, where it hides nothing."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=NOTE, ncols=columns, frameon=False, borderpad=0.1,
        handlelength=1.4, labelspacing=0.2, columnspacing=1.0,
    )  # fmt: skip
