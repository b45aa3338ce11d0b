"""What ways to match are worth: their noise against what they keep of motion."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset.plotting.fields import as_product
from xoffset.plotting.lines import set_range, two_colours
from xoffset.plotting.look import look_of
from xoffset.plotting.style import NOTE, set_title, unit_text

# Area of the point of a way that finds all of the planted motion, and of one that finds nothing [points squared].
_LARGEST, _SMALLEST = 90.0, 6.0
_NEEDED = ("spread", "retention", "found", "is_chosen")


def tuning(
    table: xr.Dataset,
    *,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Spread on stable ground against the planted motion that is kept, a point for each combination that was tried.

    Parameters
    ----------
    table
        Table of `xoffset.recipes.tune`: `spread` [m yr-1] or [m], `retention`, `found` [1] and `is_chosen` by (trial).
        Combinations without a match (NaN) are left out.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the axis of what is kept, in percent; of
        the colours two are taken.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: the best way is on the upper left. The area of a point is the share of the moving nodes where the
        motion was found. The one that was chosen is dark, and named above; windows are told beside the points that no
        other one beats in both.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If it is no table of `tune`.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xoffset
    >>> columns = {"spread": [9.0, 3.0], "retention": [0.98, 0.4], "found": [0.9, 0.1], "is_chosen": [True, False]}
    >>> table = xr.Dataset({name: ("trial", each) for name, each in columns.items()})
    >>> table = table.assign_coords(window=("trial", ["16", "64"]))
    >>> table.spread.attrs["units"] = "m yr-1"
    >>> figure = table.offset.plot.tuning()
    >>> figure.axes[0].get_ylabel()
    'planted motion that is kept [%]'
    """
    look = look_of("tuning", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    product = as_product(table, "tuning")
    if not set(_NEEDED) <= set(product.data_vars) or product["spread"].dims != ("trial",):
        raise ValueError(
            f"tuning() needs {', '.join(_NEEDED)} on (trial); got {sorted(map(str, product.data_vars))[:12]}. Pass the "
            "table of xoffset.recipes.tune()."
        )
    spread, kept, found = (product[name].values.astype(np.float64) for name in ("spread", "retention", "found"))
    kept = 100.0 * kept
    is_chosen, is_known = product["is_chosen"].values.astype(bool), np.isfinite(spread) & np.isfinite(kept)
    dark, light = two_colours(look)
    panels = look.panels(height=2.6)
    axes = panels[0]
    area = _SMALLEST + (_LARGEST - _SMALLEST) * np.clip(np.nan_to_num(found), 0.0, 1.0)
    for is_of, colour in ((is_known & ~is_chosen, light), (is_known & is_chosen, dark)):
        axes.scatter(spread[is_of], kept[is_of], area[is_of], color=[colour], edgecolor="black", linewidth=0.4)
    set_range(axes, [kept[is_known]], look)
    _name(axes, product, (spread, kept), is_known & (is_chosen | _unbeaten(spread, kept)))
    units = str(product["spread"].attrs.get("units", ""))
    axes.set(
        xlabel=f"spread on stable ground [{unit_text(units)}]" if units else "spread on stable ground",
        ylabel="planted motion that is kept [%]",
    )
    told = _told(product)
    set_title(axes, title, ", ".join(["chosen", *told[int(is_chosen.argmax())]]) if is_chosen.any() else "none chosen")
    return look.finish(panels, ["area of the points: share of moving nodes that are found"])


def _unbeaten(spread: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Whether no other combination is at least as good in both, and better in one."""
    no_worse = (spread[:, None] >= spread) & (kept[:, None] <= kept)
    is_better = (spread[:, None] > spread) | (kept[:, None] < kept)
    return np.asarray(~(no_worse & is_better).any(axis=1))


def _told(product: xr.Dataset) -> list[list[str]]:
    """What each combination tried: the values that are not alike in all of them."""
    told = []
    for name, form, unit in (
        ("window", "", " px"),
        ("prefilter", "", ""),
        ("band", "", ""),
        ("min_motion", "g", " px"),
    ):
        if name in product.coords and np.unique(product[name].values).size > 1:
            told.append([f"{value:{form}}{unit}" for value in product[name].values.tolist()])
    return [list(each) for each in zip(*told, strict=True)] or [[] for _ in range(product.sizes["trial"])]


def _name(axes: Axes, product: xr.Dataset, place: tuple[np.ndarray, np.ndarray], is_named: np.ndarray) -> None:
    """Write the window beside the points that are named, once for each window."""
    windows = product["window"].values.tolist() if "window" in product.coords else []
    first = {windows[k]: k for k in np.flatnonzero(is_named)[::-1].tolist()} if windows else {}
    for text, k in first.items():
        axes.annotate(
            f"{text} px", (place[0][k], place[1][k]), xytext=(0.0, 7.0), textcoords="offset points", ha="center",
            fontsize=NOTE, clip_on=True,
        )  # fmt: skip
