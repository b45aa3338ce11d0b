"""How good shifts are: stable ground, corrections, losses."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset import _options
from xoffset.model import grids
from xoffset.model.declared import with_decoded
from xoffset.model.stable import on_nodes
from xoffset.plotting.fields import VECTORS, as_product, components_of, index_of, notes_of, one_layer
from xoffset.plotting.lines import add_legend, two_colours
from xoffset.plotting.look import look_of
from xoffset.plotting.mapping import shape_of
from xoffset.plotting.style import (
    FIRST,
    MODEL,
    NOTE,
    clip_note,
    colour_map,
    draw,
    period,
    say_empty,
    scale_of,
    set_title,
    thinned,
    unit_text,
)

# Bins of a histogram, and spreads to both sides of the medians that it shows.
_BINS, _SPREADS = 41, 5.0
_TO_SIGMA = 1.4826  # spread of a normal distribution over its median absolute deviation


def stable(
    dataset: xr.Dataset,
    stable: xr.DataArray,
    *,
    layer: int = -1,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Histogram of the vectors on stable ground, which would all be zero without errors.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x), a series (time, y, x), a displacement or a rate (y, x).
    stable
        True where the ground does not move (y, x), boolean, on the grid of the dataset or the finer one of the stack.
    layer
        Number of the pair or date, if there are several; -1 is the last.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the axis of the
        vectors; of the colours two are taken.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: both components, each with its median and its spread (NMAD, 1.4826 times the median absolute
        deviation) in the legend, and their normal curve. A note counts what lies beyond the axis.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If there are no vectors on a grid, or `stable` is elsewhere or True nowhere.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((128, 128), snr=4.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=6)
    >>> figure = shifts.offset.plot.stable(abs(truth.vx) + abs(truth.vy) == 0.0)
    >>> figure.axes[0].get_ylabel()
    'nodes'
    """
    look = look_of("stable", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    names = components_of(dataset, "stable")
    vectors = _layer(dataset, names, layer, "stable")
    is_stable = xr.DataArray(np.asarray(on_nodes(stable, vectors, "stable")), dims=("y", "x"))
    where = thinned(is_stable).values
    values = [thinned(vectors[name]).values.astype("float64")[where] for name in names]
    values = [each[np.isfinite(each)] for each in values]
    panels = look.panels(height=2.5)
    axes, units = panels[0], unit_text(VECTORS[names][2])
    low, high = _range_of(values, look.vmin, look.vmax)
    bins = np.linspace(low, high, _BINS)
    for name, each, colour, is_filled in zip(names, values, two_colours(look), (False, True), strict=True):
        middle, spread = _robust(each)
        text = (
            f"{name}: median {_rounded(middle, spread)}, NMAD {spread:.2g} {units}"
            if each.size
            else f"{name}: no values"
        )
        axes.hist(
            each, bins.tolist(), color=colour, label=text, histtype="stepfilled" if is_filled else "step", alpha=0.85,
            linewidth=1.3, zorder=2.0 if is_filled else 3.0,
        )  # fmt: skip
        if spread > 0.0:
            curve = np.exp(-0.5 * ((bins - middle) / spread) ** 2) / (spread * np.sqrt(2.0 * np.pi))
            style = "--" if is_filled else "-"
            axes.plot(bins, curve * each.size * (bins[1] - bins[0]), style, color=MODEL, linewidth=0.8, zorder=4.0)
    axes.axvline(0.0, color="0.5", linewidth=0.6)
    axes.set(xlim=(low, high), xlabel=f"{VECTORS[names][1]} on stable ground [{units}]", ylabel="nodes")
    if not any(each.size for each in values):
        say_empty(axes)
    add_legend(axes)
    set_title(axes, title, "stable ground", period(vectors), below=2)
    beyond = max((100.0 * float(((each < low) | (each > high)).mean()) for each in values if each.size), default=0.0)
    notes = [f"up to {beyond:.2g} % of a component beyond the axis"] * (beyond > 0.0)
    return look.finish(panels, notes + notes_of(dataset))


def correction(
    shifts: xr.Dataset,
    *,
    component: str = "dx",
    layer: int = -1,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Maps of a component before and after corrections, and of what they took off.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correct`, with `removed_dx`, `removed_dy` in metres. NaN is drawn grey.
    component
        `"dx"` or `"dy"`.
    layer
        Number of the pair; -1 is the last.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture, three panels with one scale of colours. Before and removed are drawn without their median, which
        the titles tell: a shift of the whole image would hide all else.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If nothing was removed from the shifts, or there is no such component or pair.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((128, 128), misregistration=4.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=8)
    >>> stable = abs(truth.vx) + abs(truth.vy) == 0.0
    >>> figure = shifts.offset.correct(stable=stable, min_nodes=10).offset.plot.correction()
    >>> [panel.get_title(loc="left").split(",")[0] for panel in figure.axes]
    ['before', 'after', 'removed']
    """
    look = look_of("correction", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    _options.check_name(component, ("dx", "dy"), "component", "correction")
    vectors = one_layer(shifts, (component, f"removed_{component}"), layer, "correction")
    after, removed = vectors[component], vectors[f"removed_{component}"].rename(component)
    fields = {"before": after.copy(data=after.values + removed.values), "after": after, "removed": removed}
    titles = {"after": "after"}
    for name in ("before", "removed"):
        known = fields[name].values[np.isfinite(fields[name].values)]
        middle = float(np.median(known)) if known.size else 0.0
        fields[name] = fields[name].copy(data=fields[name].values - fields[name].dtype.type(middle))
        titles[name] = f"{name}, less {middle:.2f} m"
    panels = look.panels(3, shape=shape_of(after), is_column=True)
    scale = scale_of(fields["before"], look)
    notes = []
    for (name, field), axes in zip(fields.items(), panels, strict=True):
        draw(axes, field, scale)
        dates = period(vectors) if name == "before" else ""
        set_title(axes, title if name == "before" else None, titles[name], dates)
        notes += [f"{name}: {note}" for note in clip_note(field, scale)]
    for axes in panels[:-1]:
        axes.set_xlabel("")
    return look.finish(panels, notes + notes_of(shifts), below=panels[-1])


def losses(
    found: xr.Dataset,
    *,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Bars of how many vectors each stage took, and how many are left.

    Parameters
    ----------
    found
        Result of `xoffset.losses`: `lost`, `left` (stage, pair). All pairs count together; select some to see
        them alone.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the axis, in
        percent.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: a bar for each stage that took something, in the order in which matches pass them, and one for what
        is left. Numbers of vectors stand beside the bars.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If it is no result of `losses`.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=8)
    >>> figure = shifts.offset.screen().offset.losses().offset.plot.losses()
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()][-1]
    'left'
    """
    look = look_of("losses", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    names, counts = _stages(found)
    total = max(int(counts.sum()), 1)
    shares = 100.0 * counts / total
    panels = look.panels(height=0.7 + 0.22 * len(names))
    axes = panels[0]
    taken, left = ("0.55", FIRST) if look.cmap is None else map(colour_map(look.cmap, "losses"), (0.7, 0.15))
    places = np.arange(len(names))
    axes.barh(places, shares, color=[taken] * (len(names) - 1) + [left], edgecolor="black", linewidth=0.4, height=0.75)
    for place, share, count in zip(places, shares, counts.tolist(), strict=True):
        axes.annotate(
            f"{count:,}", (share, place), xytext=(2.0, 0.0), textcoords="offset points", va="center", fontsize=NOTE,
            clip_on=True,
        )  # fmt: skip
    axes.set_yticks(places, labels=names)
    axes.invert_yaxis()
    low = 0.0 if vmin is None else vmin
    high = 1.18 * max(float(shares.max()), 1.0) if vmax is None else vmax
    axes.set(xlim=(low, high if high > low else low + 1.0), xlabel="share of all vectors [%]")
    set_title(axes, title, f"{total:,} vectors" if counts.sum() else "no vectors")
    return look.finish(panels)


def _layer(dataset: xr.Dataset, names: tuple[str, str], layer: int, caller: str) -> xr.Dataset:
    """Components of one pair or date, as they lie on the grid, every node of them."""
    few = as_product(dataset, caller)[list(names)]
    for dim in [str(dim) for dim in few[names[0]].dims if dim not in ("y", "x")]:
        few = few.isel({dim: index_of(layer, few.sizes[dim], dim, caller)})
    if set(few[names[0]].dims) != {"y", "x"}:
        raise ValueError(
            f"{caller}() needs vectors on y and x; got dims {few[names[0]].dims}. Pass shifts, a series or a rate."
        )
    grids.check_crs(grids.crs_of(dataset), dataset, caller)
    return grids.with_crs(with_decoded(few, caller)).transpose("y", "x")


def _robust(values: np.ndarray) -> tuple[float, float]:
    """Median and spread, NaN without values."""
    if not values.size:
        return np.nan, np.nan
    middle = float(np.median(values))
    return middle, _TO_SIGMA * float(np.median(np.abs(values - middle)))


def _rounded(value: float, spread: float) -> str:
    """Number with as many decimals as its spread makes sense of."""
    if not spread > 0.0:
        return f"{value:.3g}"
    decimals = max(0, 2 - math.floor(math.log10(spread)))
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def _range_of(values: list[np.ndarray], vmin: float | None, vmax: float | None) -> tuple[float, float]:
    """Ends of the axis: five spreads to both sides of both medians, or what the caller asks for."""
    ends = [
        middle + side * (_SPREADS * spread or 1e-3 + 0.1 * abs(middle))
        for middle, spread in map(_robust, values)
        if np.isfinite(middle)
        for side in (-1.0, 1.0)
    ] or [-1.0, 1.0]
    low, high = (min(ends) if vmin is None else vmin), (max(ends) if vmax is None else vmax)
    return low, high if high > low else low + 1.0


def _stages(found: xr.Dataset) -> tuple[list[str], np.ndarray]:
    """Names of the stages that took vectors, and of what is left, with numbers over all pairs."""
    product = as_product(found, "losses")
    if not {"lost", "left"} <= set(product.data_vars) or not product["lost"].sizes.get("stage"):
        raise ValueError(
            f"losses() needs lost and left on (stage, pair); got {dict(product.sizes)} and "
            f"{sorted(map(str, product.data_vars))[:12]}. Pass the result of xoffset.losses()."
        )
    others = [dim for dim in product["lost"].dims if dim != "stage"]
    lost = product["lost"].sum(others).values
    left = int(product["left"].isel(stage=-1).sum().values)
    took = np.flatnonzero(lost)
    names = [str(name).replace("_", " ") for name in product["stage"].values[took]]
    return [*names, "left"], np.array([*lost[took].tolist(), left])
