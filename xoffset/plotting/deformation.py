"""Maps of deformation: strain with its crosses, and paths of points."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset import _options
from xoffset.plotting.beneath import draw_beneath
from xoffset.plotting.crosses import draw_crosses
from xoffset.plotting.fields import as_product, notes_of, one_layer
from xoffset.plotting.look import Look, look_of
from xoffset.plotting.mapping import shape_of
from xoffset.plotting.style import (
    MODEL,
    add_bar,
    axis_unit,
    clip_note,
    colour_map,
    draw,
    frame,
    nice,
    period,
    say_empty,
    scale_of,
    set_title,
)

# Share of a map that the longest path takes.
_LONGEST = 0.3


def strain(
    found: xr.Dataset,
    *,
    layer: int = -1,
    relief: xr.DataArray | None = None,
    image: xr.DataArray | None = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the change of area, with a cross of the principal extensions at every few nodes.

    Parameters
    ----------
    found
        Result of `xoffset.strain`: `dilatation`, `e1`, `e2`, `azimuth` on (y, x), or for each pair or date. NaN is
        drawn grey.
    layer
        Number of the pair or date, if there are several; -1 is the last.
    relief, image
        What lies beneath, as in `velocity`.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture. Black arms are extension, white ones contraction; their length is that of the key.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If it is no result of `strain`, or the background lies elsewhere.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> figure = xoffset.strain(truth[["vx", "vy"]]).offset.plot.strain()
    >>> figure.axes[0].get_title(loc="left").strip()
    'change of area, and principal extensions'
    """
    look = look_of("strain", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    fields = one_layer(found, ("e1", "e2", "azimuth", "dilatation"), layer, "strain")
    area = fields["dilatation"]
    panels = look.panels(shape=shape_of(area))
    scale = scale_of(area, look)
    draw(panels[0], area, scale, alpha=draw_beneath(panels[0], area, relief, image, "strain"))
    draw_crosses(panels[0], fields)
    set_title(panels[0], title, "change of area, and principal extensions", period(area), below=1)
    return look.finish(panels, ["black: extension, white: contraction", *clip_note(area, scale), *notes_of(found)])


def trajectories(
    found: xr.Dataset,
    *,
    times: float | None = None,
    relief: xr.DataArray | None = None,
    image: xr.DataArray | None = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the paths of points.

    Parameters
    ----------
    found
        Result of `xoffset.trajectory`: `x`, `y` (point, time) in metres.
    times
        Factor by which displacements are drawn longer than they are. None: 1, 2 or 5 times a power of ten by which the
        longest path takes up to a third of the map, and at least 1.
    relief, image
        What lies beneath, as in `velocity`.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the colours of the
        dates, in days since the first.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: a circle where each point begins, dots in the colours of the dates, a note with the factor.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If it is no result of `trajectory`, or the background lies elsewhere.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, truth = xoffset.synthetic.stack((96, 96), dates=dates, field="constant")
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    >>> path = series.offset.trajectory([(float(series.x.mean()), float(series.y.mean()))])
    >>> path.offset.plot.trajectories(times=10.0).axes[0].get_title(loc="left").splitlines()[0]
    'paths of 1 point'
    """
    look = look_of("trajectories", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    product = _paths_of(found)
    x, y = (product[name].transpose("point", "time").values.astype("float64") for name in ("x", "y"))
    x, y = (np.where(np.isfinite(each), each, np.nan) for each in (x, y))
    asked = None if times is None else _options.as_positive(times, "times", "trajectories", unit="1", example=10.0)
    field, factor = _room(x, y, asked, product)
    panels = look.panels(shape=shape_of(field))
    draw_beneath(panels[0], field, relief, image, "trajectories")
    frame(panels[0], field)
    panels[0].patch.set(facecolor="white", hatch="")
    _draw_paths(panels[0], product["time"].values, _drawn(x, y, factor, axis_unit(field)[1]), look)
    count = product.sizes["point"]
    first, last = (str(product["time"].values[k])[:10] for k in (0, -1))
    set_title(panels[0], title, f"paths of {count} point{'s' * (count > 1)}", f"{first} to {last}")
    lost = int((~(np.isfinite(x) & np.isfinite(y))).all(axis=1).sum())
    notes = [f"displacements drawn {factor:g} times as long"] if factor != 1.0 else []
    return look.finish(panels, notes + ([f"{lost} of {count} points lie nowhere that is known"] if lost else []))


def _paths_of(found: xr.Dataset) -> xr.Dataset:
    product = as_product(found, "trajectories")
    lacking = [name for name in ("x", "y") if name not in product or set(product[name].dims) != {"point", "time"}]
    if lacking or not product.sizes["point"] or not product.sizes["time"]:
        raise ValueError(
            f"trajectories() needs x and y on (point, time); got {dict(product.sizes)} and "
            f"{sorted(map(str, product.data_vars))[:12]}. Pass the result of trajectory()."
        )
    return product.compute()


def _room(x: np.ndarray, y: np.ndarray, asked: float | None, like: xr.Dataset) -> tuple[xr.DataArray, float]:
    """Field (y, x) that covers the paths, and the factor by which they are drawn longer."""
    middle_x, middle_y = (_starts(each) for each in (x, y))
    known = np.isfinite(middle_x)
    ends = [(float(np.min(each[known])), float(np.max(each[known]))) if known.any() else (0.0, 1.0)
            for each in (middle_x, middle_y)]  # fmt: skip
    lengths = np.hypot(x - middle_x[:, np.newaxis], y - middle_y[:, np.newaxis])
    longest = float(np.nanmax(lengths)) if np.isfinite(lengths).any() else 0.0
    # so wide that edges differ in floating point
    least = max(1.0, *(1e-9 * abs(end) for both in ends for end in both))
    width = max(max(high - low for low, high in ends), 2.0 * longest, least)
    factor = asked or max(nice(_LONGEST * width / longest) if longest > 0.0 else 1.0, 1.0)
    margin = 0.08 * width + 0.7 * factor * longest
    places = {name: [low - margin, high + margin] for name, (low, high) in zip(("x", "y"), ends, strict=True)}
    corners = xr.DataArray(np.zeros((2, 2)), {"y": places["y"], "x": places["x"]}, ("y", "x"))
    return corners.assign_coords({name: each for name, each in like.coords.items() if name == "spatial_ref"}), factor


def _starts(places: np.ndarray) -> np.ndarray:
    """First known place of each point (point,), NaN if none is."""
    first = np.isfinite(places).argmax(axis=1)
    return np.asarray(places[np.arange(len(places)), first])


def _drawn(x: np.ndarray, y: np.ndarray, factor: float, divisor: float) -> tuple[np.ndarray, np.ndarray]:
    """Places as they are drawn, in the unit of the axes."""
    start = (_starts(each)[:, np.newaxis] for each in (x, y))
    drawn = [(begin + factor * (each - begin)) / divisor for each, begin in zip((x, y), start, strict=True)]
    return drawn[0], drawn[1]


def _draw_paths(axes: Axes, time: np.ndarray, places: tuple[np.ndarray, np.ndarray], look: Look) -> None:
    elapsed = (time - time[0]) / np.timedelta64(1, "D")
    low = 0.0 if look.vmin is None else look.vmin
    high = max(float(elapsed[-1]), low + 1.0) if look.vmax is None else look.vmax
    colours = colour_map("batlow_r" if look.cmap is None else look.cmap, look.caller)
    if not np.isfinite(places[0]).any():
        say_empty(axes)
    for x, y in zip(*places, strict=True):
        known = np.isfinite(x) & np.isfinite(y)
        axes.plot(x[known], y[known], color=MODEL, linewidth=0.8, zorder=2.0)
        axes.plot(x[known][:1], y[known][:1], marker="o", markersize=7.0, mfc="none", mec=MODEL, mew=0.8, zorder=3.0)
    dots = axes.scatter(
        places[0].ravel(), places[1].ravel(), c=np.tile(elapsed, len(places[0])), s=12.0, vmin=min(low, high),
        vmax=max(low, high), cmap=colours, edgecolors="black", linewidths=0.3, zorder=4.0, plotnonfinite=False,
    )  # fmt: skip
    add_bar(axes, dots, f"days since {str(time[0])[:10]}")
