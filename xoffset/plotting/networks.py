"""Networks of pairs: baseline against date, chords, and what is left of each pair."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
from xoffset._arrays.networks import graph
from xoffset.model import checks
from xoffset.model.dates import as_dates
from xoffset.plotting.fields import notes_of
from xoffset.plotting.look import Look, look_of
from xoffset.plotting.style import FIRST, NOTE, add_bar, colour_map, days, set_dates, set_title, thinned

# Dates that have room for a label around a circle, or along a side of a square.
_AROUND, _ALONG = 24, 8
_DAY = np.timedelta64(1, "D")


class _Pairs(NamedTuple):
    """Ends of pairs, and the share of valid vectors of each, in percent; None of a network without vectors."""

    reference: np.ndarray
    secondary: np.ndarray
    dates: np.ndarray  # in order, each once
    ends: np.ndarray  # (pair, 2) indices of dates
    valid: np.ndarray | None


def network(
    dataset: xr.Dataset,
    *,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Baseline of each pair against its dates.

    Parameters
    ----------
    dataset
        Network or shifts, with `reference` and `secondary` on (pair). Of shifts each pair has the colour of the share
        of its vectors that are valid.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the colours, in
        percent.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: a line from the first date of a pair to its second, at the height of its baseline, which is
        negative for backward pairs; ticks at the bottom for all dates. A note tells of dates that no pair connects.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If there are no pairs.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, truth = xoffset.synthetic.stack((64, 64), dates=dates)
    >>> xoffset.pairs(stack).offset.plot.network().axes[0].get_ylabel()
    'baseline [days]'
    """
    look = look_of("network", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    found = _pairs_of(dataset, "network")
    panels = look.panels(height=2.6)
    axes = panels[0]
    colours, bar = _colours(found, look)
    baseline = (found.secondary - found.reference) / _DAY
    middle = days(found.reference + (found.secondary - found.reference) / 2)
    axes.hlines(
        baseline,
        days(found.reference),
        days(found.secondary),
        colors=list(map(tuple, colours)),
        linewidth=0.8,
        alpha=0.6,
    )
    axes.scatter(middle, baseline, c=colours, s=14.0, edgecolors="black", linewidths=0.4, zorder=3.0)
    axes.plot(
        days(found.dates), np.zeros(found.dates.size), linestyle="", marker="|", color="black", markersize=5.0,
        transform=axes.get_xaxis_transform(), clip_on=False,
    )  # fmt: skip
    axes.set_ylabel("baseline [days]")
    axes.grid(visible=True, axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    set_dates(axes)
    _add_bar(axes, bar)
    set_title(axes, title, _counts(found))
    return look.finish(panels, _islands(found) + notes_of(dataset))


def chord(
    dataset: xr.Dataset,
    *,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Chord diagram: dates around a circle, a chord for each pair.

    Parameters
    ----------
    dataset
        Network or shifts, with `reference` and `secondary` on (pair). Of shifts each chord has the colour of the share
        of the pair's vectors that are valid, and the best are on top.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the colours, in
        percent.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; dates run clockwise from the top, spaced by time.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If there are no pairs.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, truth = xoffset.synthetic.stack((64, 64), dates=dates)
    >>> figure = xoffset.pairs(stack).offset.plot.chord()
    >>> len(figure.axes[0].patches)
    3
    """
    look = look_of("chord", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    found = _pairs_of(dataset, "chord")
    panels = look.panels(height=3.7)
    axes = panels[0]
    axes.set_aspect("equal")
    axes.set(xlim=(-1.9, 1.9), ylim=(-1.9, 1.9))
    axes.axis("off")
    # a gap at the top tells the last date from the first
    since = (found.dates - found.dates[0]) / _DAY
    angle = np.radians(12.0 + 336.0 * since / max(float(since[-1]), 1e-9))
    x, y = np.sin(angle), np.cos(angle)
    colours, bar = _colours(found, look)
    order = np.arange(found.reference.size) if found.valid is None else np.argsort(np.nan_to_num(found.valid))
    for k in order:
        axes.add_patch(_chord(x[found.ends[k]], y[found.ends[k]], colours[k], zorder=1.0))
    axes.plot(x, y, linestyle="", marker="o", markersize=3.0, color="black", zorder=3.0)
    every = int(np.ceil(found.dates.size / _AROUND))
    for k in range(0, found.dates.size, every):
        turn = 90.0 - np.degrees(angle[k])
        is_left = np.sin(angle[k]) < 0.0
        axes.text(
            1.06 * x[k], 1.06 * y[k], str(found.dates[k])[:10], fontsize=NOTE, rotation_mode="anchor", va="center",
            rotation=turn - 180.0 if is_left else turn, ha="right" if is_left else "left",
        )  # fmt: skip
    if bar is not None:
        add_bar(axes, bar, "valid [%]", is_below=True)
    set_title(axes, title, _counts(found))
    return look.finish(panels, _islands(found) + notes_of(dataset))


def valid(
    shifts: xr.Dataset,
    *,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Share of the vectors of each pair that are valid, as a square of dates by dates.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) or (pair, point) with `dx`, NaN where there is no vector.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the colours, in
        percent.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: the first date of a pair to the right, the second upward; white where there is no pair. Of pairs
        that occur more than once the last.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If there are no pairs, or no vectors.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, truth = xoffset.synthetic.stack((96, 96), dates=dates)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> shifts.offset.plot.valid().axes[0].get_xlabel()
    'reference'
    """
    look = look_of("valid", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    found = _pairs_of(shifts, "valid")
    if found.valid is None:
        raise ValueError(
            f"valid() needs shifts with dx; got variables {sorted(map(str, shifts.data_vars))[:12]}. Pass the result "
            "of correlate() or screen()."
        )
    square = np.full((found.dates.size, found.dates.size), np.nan)
    square[found.ends[:, 1], found.ends[:, 0]] = found.valid
    panels = look.panels(height=3.0)
    axes = panels[0]
    _, bar = _colours(found, look)
    assert bar is not None
    axes.imshow(bar.to_rgba(np.ma.masked_invalid(square)), origin="lower", interpolation="nearest")
    ticks = np.arange(0, found.dates.size, int(np.ceil(found.dates.size / _ALONG)))
    labels = [str(found.dates[k])[:10] for k in ticks]
    axes.set_xticks(ticks, labels=labels, rotation=90)
    axes.set_yticks(ticks, labels=labels)
    axes.set(xlabel="reference", ylabel="secondary")
    _add_bar(axes, bar)
    set_title(axes, title, "valid vectors of each pair")
    return look.finish(panels, notes_of(shifts))


def _pairs_of(dataset: xr.Dataset, caller: str) -> _Pairs:
    checks.check_pairs(dataset, caller)
    reference, secondary = (as_dates(dataset[name].values) for name in ("reference", "secondary"))
    dates, ends = graph.incidence(reference, secondary)
    share = None
    if "dx" in dataset and "pair" in dataset["dx"].dims and dataset["dx"].size:
        field = thinned(dataset["dx"])
        share = np.asarray(100.0 * field.notnull().mean([dim for dim in field.dims if dim != "pair"]).values)
    return _Pairs(reference, secondary, dates, np.asarray(ends), share)


def _colours(found: _Pairs, look: Look) -> tuple[np.ndarray, ScalarMappable | None]:
    """Colours of the pairs (pair, 4), and what makes them of shares, if shares are known."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgba

    if found.valid is None:
        given = to_rgba(FIRST) if look.cmap is None else colour_map(look.cmap, look.caller)(0.2)
        return np.tile(given, (found.reference.size, 1)), None
    low, high = (0.0 if look.vmin is None else look.vmin), (100.0 if look.vmax is None else look.vmax)
    scale = Normalize(min(low, high), high if high > low else low + 1.0)
    bar = ScalarMappable(scale, colour_map("batlow_r" if look.cmap is None else look.cmap, look.caller))
    return np.asarray(bar.to_rgba(found.valid)), bar


def _counts(found: _Pairs) -> str:
    """How many dates and pairs a picture has."""
    pairs = found.reference.size
    return f"{found.dates.size} dates, {pairs} pair{'' if pairs == 1 else 's'}"


def _add_bar(axes: Axes, bar: ScalarMappable | None) -> None:
    if bar is not None:
        add_bar(axes, bar, "valid [%]")


def _chord(x: np.ndarray, y: np.ndarray, colour: np.ndarray, zorder: float) -> PathPatch:
    """Curve between two places on the circle, bent toward its centre."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    curve = Path(
        [(x[0], y[0]), (0.2 * (x[0] + x[1]), 0.2 * (y[0] + y[1])), (x[1], y[1])],
        [Path.MOVETO, Path.CURVE3, Path.CURVE3],
    )
    return PathPatch(curve, facecolor="none", edgecolor=tuple(colour), linewidth=0.9, zorder=zorder)


def _islands(found: _Pairs) -> list[str]:
    """Say that dates fall into groups that no pair connects, if so."""
    groups = int(graph.components(found.dates.size, found.ends).max()) + 1
    return [f"{groups} groups of dates that no pair connects"] if groups > 1 else []
