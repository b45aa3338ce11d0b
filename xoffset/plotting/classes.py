"""Maps of why values are missing or doubtful."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset.model.flags import FLAGS
from xoffset.plotting.fields import notes_of, one_layer
from xoffset.plotting.look import look_of
from xoffset.plotting.mapping import shape_of
from xoffset.plotting.style import colour_map, draw_classes, period, set_title

# Reasons that are told apart; those of fewer nodes are one class.
_MOST = 8
_GOOD = "#f4f4f0"


def flags(
    dataset: xr.Dataset,
    *,
    layer: int = -1,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the reasons why values are missing or doubtful.

    Parameters
    ----------
    dataset
        Product with `flags` (y, x), or one for each pair or date.
    layer
        Number of the pair or date, if there are several; -1 is the last.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are the first and the last
        bit to be drawn, 0 to 62; other reasons are left out.

    Returns
    -------
    matplotlib.figure.Figure
        The picture. A node with several reasons has the colour of the first, in the order of the bits; the legend has
        the share of the nodes of each colour, most frequent first, and `others` for all beyond eight.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If there are no flags, or not on a grid.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((128, 128))
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=8)
    >>> legend = shifts.offset.plot.flags().axes[0].get_legend()
    >>> [text.get_text().split(",")[0] for text in legend.get_texts()][0]
    'good'
    """
    look = look_of("flags", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    field = one_layer(dataset, ("flags",), layer, "flags")["flags"]
    if field.dtype.kind not in "iuf":
        raise TypeError(f"flags() needs whole numbers as flags; got {field.dtype}. See correlate().")
    bits = np.nan_to_num(field.values, nan=FLAGS["nodata"]).astype(np.int64)
    low, high = int(vmin or 0), 62 if vmax is None else int(vmax)
    bits &= np.int64(sum(1 << bit for bit in range(max(low, 0), min(high, 62) + 1)))
    first = bits & -bits
    kinds, counts = np.unique(first, return_counts=True)
    order = [kind for kind in kinds[np.argsort(-counts, kind="stable")] if kind != 0]
    shown, names = order[:_MOST], {bit: name for name, bit in FLAGS.items()}
    classes = np.zeros(first.shape, dtype=np.int64)
    for k, kind in enumerate(order):
        classes[first == kind] = 1 + min(k, _MOST)
    labels = ["good", *(names.get(int(kind), "without a name") for kind in shown), *["others"] * (len(order) > _MOST)]
    panels = look.panels(shape=shape_of(field))
    tints = colour_map("batlow" if look.cmap is None else look.cmap, "flags")(np.linspace(0.0, 0.9, len(labels) - 1))
    draw_classes(panels[0], field.copy(data=classes), labels, [_GOOD, *map(tuple, tints)])
    set_title(panels[0], title, "first reason of each value", period(field))
    return look.finish(panels, notes_of(dataset))
