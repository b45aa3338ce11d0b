"""Displacement through time at points, with standard errors, model and pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset.model import checks
from xoffset.plotting.fields import as_product
from xoffset.plotting.lines import Colour, add_legend, set_range, two_colours
from xoffset.plotting.look import Look, look_of
from xoffset.plotting.models import at_dates
from xoffset.plotting.style import MODEL, REJECTED, days, set_dates, set_title

# Points that fit on a page, one panel each.
_MOST_POINTS = 6
_COMPONENTS = ("dx", "dy")


class _Place(NamedTuple):
    """What is known at a point: Datasets without y and x, None where they were not given."""

    series: xr.Dataset
    model: xr.Dataset | None
    pairs: xr.Dataset | None
    raw: xr.Dataset | None


def series(
    series: xr.Dataset,
    points: Sequence[tuple[float, float]] | np.ndarray,
    *,
    model: xr.Dataset | None = None,
    pairs: xr.Dataset | None = None,
    raw: xr.Dataset | None = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Displacement through time at points, with standard errors, model, and pairs that were used and rejected.

    Parameters
    ----------
    series
        Series (time, y, x): `dx`, `dy` in metres since the reference date, best with `sigma_dx`, `sigma_dy`. NaN is
        left out.
    points
        `(x, y)` of up to six points, in metres of the grid; the nearest node is drawn, a panel for each point.
    model
        What was fitted to the series, drawn as a line: a rate, the result of `decompose`, `coseismic` or `onset`, or
        another series, on a grid that has the points. Its constant is that which suits the series. None: no line.
    pairs
        Shifts (pair, y, x) that the series comes from: each pair is a dot at its second date, as far from the series at
        its first date as the pair says. None: no pairs.
    raw
        The same shifts before `screen`: pairs that have a value there and none in `pairs` are drawn as crosses. None:
        no rejected pairs. It needs `pairs`.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the axis of the
        displacement; of the colours two are taken.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; bars are 1 standard error of the date. The axis holds the series, its pairs and the model, not what
        was rejected; a note counts what lies beyond.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If it is no series, points lie outside the grid or are too many, or the model has terms that are not known.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> middle = (float(truth.x.mean()), float(truth.y.mean()))
    >>> figure = truth[["dx", "dy"]].offset.plot.series([middle], model=truth[["vx", "vy"]])
    >>> figure.axes[0].get_ylabel()
    'displacement [m]'
    """
    look = look_of("series", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    data = as_product(series, "series")
    if not all(name in data and set(data[name].dims) == {"time", "y", "x"} for name in _COMPONENTS):
        raise ValueError(
            f"series() needs dx and dy on (time, y, x); got {dict(data.sizes)} and "
            f"{sorted(map(str, data.data_vars))[:12]}. Pass the result of invert()."
        )
    checks.check_times(data["time"], "series")
    if raw is not None and pairs is None:
        raise ValueError("series() needs pairs with raw; got raw alone. Pass the screened shifts as pairs.")
    places = [_at(point, data, model, pairs, raw) for point in _as_points(points)]
    panels = look.panels(len(places), height=2.3, is_column=True)
    notes = []
    for k, (axes, place) in enumerate(zip(panels, places, strict=True)):
        beyond = _draw(axes, place, look)
        notes += [f"panel {k + 1}: {beyond}" if len(places) > 1 else beyond] if beyond else []
        where = f"x {float(place.series['x']):.0f}, y {float(place.series['y']):.0f}"
        set_title(axes, title if k == 0 else None, where, below=int(k == 0))
    add_legend(panels[0], columns=4)
    has_bars = "sigma_dx" in data
    return look.finish(panels, ["bars: ± 1 sigma of the date"] * has_bars + notes, below=panels[-1])


def _as_points(points: Any) -> np.ndarray:
    advice = "Pass a list such as [(503200.0, 5170800.0)]."
    try:
        places = np.array(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"series() needs points (x, y) in metres; got {type(points).__name__}. {advice}") from error
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise ValueError(f"series() needs points (x, y) in metres; got an array of shape {places.shape}. {advice}")
    if not 1 <= len(places) <= _MOST_POINTS:
        raise ValueError(
            f"series() needs 1 to {_MOST_POINTS} points; got {len(places)}. Draw several pictures, or one point in "
            "each of your own panels: ax=."
        )
    return places


def _at(point: np.ndarray, *products: xr.Dataset | None) -> _Place:
    """All products at the node of each that is nearest to a point."""
    series, model, pairs, raw = (None if each is None else _node(each, point) for each in products)
    assert series is not None
    return _Place(series, model, pairs, raw)


def _node(data: xr.Dataset, point: np.ndarray) -> xr.Dataset:
    product = as_product(data, "series")
    if not {"y", "x"} <= set(product.coords):
        raise ValueError(
            f"series() needs products on y and x; got {dict(product.sizes)}. Pass those that the series comes from."
        )
    indices = {}
    for dim, place in zip(("x", "y"), point, strict=True):
        centres = product[dim].values.astype("float64")
        side = abs(centres[-1] - centres[0]) / max(centres.size - 1, 1)
        nearest = int(np.abs(centres - place).argmin())
        if centres.size > 1 and abs(centres[nearest] - place) > side:
            raise ValueError(
                f"series() needs points on the grid, {dim} from {centres.min():.0f} to {centres.max():.0f}; got "
                f"{dim}={place:.0f}. Pass (x, y) in metres of the grid."
            )
        indices[dim] = nearest
    return product.isel(indices).compute()


def _draw(axes: Axes, place: _Place, look: Look) -> str:
    """Draw both components at a point, and return what lies beyond the axis."""
    held, outside = [], []
    time = days(place.series["time"].values)
    for name, colour, marker in zip(_COMPONENTS, two_colours(look), "os", strict=True):
        values = place.series[name].values.astype("float64")
        held.append(values)
        if place.pairs is not None:
            used, rejected = _of_pairs(place, name)
            axes.plot(
                days(used[0]), used[1], linestyle="", marker=".", markersize=3.0, color=colour, alpha=0.5, zorder=2.0
            )
            held.append(used[1])
            outside.append(rejected[1])
            axes.plot(
                days(rejected[0]), rejected[1], linestyle="", marker="x", markersize=3.0, color=REJECTED, zorder=1.5,
                markeredgewidth=0.7, label="rejected pairs" if name == "dy" else None,
            )  # fmt: skip
        _draw_dates(axes, time, place.series, name, colour, marker)
        if place.model is not None:
            held.append(_draw_model(axes, place, name, has_label=name == "dy"))
    set_range(axes, held, look)
    axes.set_ylabel("displacement [m]")
    set_dates(axes)
    low, high = axes.get_ylim()
    count = sum(int(((each < low) | (each > high)).sum()) for each in outside)
    return f"{count} rejected values beyond the axis" if count else ""


def _draw_dates(axes: Axes, time: np.ndarray, at: xr.Dataset, name: str, colour: Colour, marker: str) -> None:
    sigma = at[f"sigma_{name}"].values.astype("float64") if f"sigma_{name}" in at else None
    bars = None if sigma is None else np.where(np.isfinite(sigma) & (sigma >= 0.0), sigma, 0.0)
    axes.errorbar(
        time, at[name].values.astype("float64"), yerr=bars, fmt=marker, markersize=4.0, color=colour, ecolor=colour,
        elinewidth=0.8, capsize=1.5, markeredgecolor="black", markeredgewidth=0.4, label=name, zorder=3.0,
    )  # fmt: skip


def _draw_model(axes: Axes, place: _Place, name: str, *, has_label: bool) -> np.ndarray:
    """Draw the model with the constant that suits the series, and return its values."""
    assert place.model is not None
    time = place.series["time"].values
    dense = np.sort(np.concatenate([time, time[0] + (time[-1] - time[0]) * np.arange(201) // 200]))
    at_own = at_dates(place.model, name, time, "series")
    rest = place.series[name].values.astype("float64") - at_own
    constant = float(np.median(rest[np.isfinite(rest)])) if np.isfinite(rest).any() else 0.0
    values = at_dates(place.model, name, dense, "series") + constant
    axes.plot(days(dense), values, color=MODEL, linewidth=0.9, zorder=2.5, label="model" if has_label else None)
    return values


def _of_pairs(place: _Place, name: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Second dates of pairs, and where they lead to from the series at their first dates: used, rejected."""
    assert place.pairs is not None
    series = place.series[name].values.astype("float64")
    times = place.series["time"].values
    out = []
    kept = place.pairs[name].values.astype("float64")
    given = [(place.pairs, kept)]
    if place.raw is not None:
        known = {tuple(ends) for ends, value in zip(_ends(place.pairs), kept, strict=True) if np.isfinite(value)}
        lost = np.array([tuple(ends) not in known for ends in _ends(place.raw)])
        given.append((place.raw, np.where(lost, place.raw[name].values.astype("float64"), np.nan)))
    for product, values in given:
        where = np.searchsorted(times, product["reference"].values).clip(0, times.size - 1)
        start = np.where(times[where] == product["reference"].values, series[where], np.nan)
        arrived = start + values
        seen = np.isfinite(arrived)
        out.append((product["secondary"].values[seen], arrived[seen]))
    return out[0], out[1] if len(out) > 1 else (times[:0], np.empty(0))


def _ends(pairs: xr.Dataset) -> np.ndarray:
    return np.stack([pairs["reference"].values, pairs["secondary"].values], axis=1).astype("int64")
