"""Maps of motion: velocity, displacement, speed on a logarithmic scale, direction."""

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
from xoffset.plotting.arrows import draw_directions
from xoffset.plotting.beneath import draw_beneath
from xoffset.plotting.fields import VECTORS, components_of, length_of, notes_of, one_layer, sigma_of_length
from xoffset.plotting.look import look_of
from xoffset.plotting.mapping import draw_vectors, shape_of, since, span_of
from xoffset.plotting.style import clip_note, draw, period, scale_of, set_title

# Standard errors that a speed is to exceed before its direction is drawn.
_SIGMAS = 2.0


def velocity(
    rate: xr.Dataset,
    *,
    layer: int = -1,
    arrows: bool = True,
    relief: xr.DataArray | None = None,
    image: xr.DataArray | None = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the speed, with arrows along the motion and a key that tells how long they are.

    Parameters
    ----------
    rate
        Velocity `vx`, `vy` (y, x) in metres a year, positive toward increasing x and y, or one a year or interval. NaN
        is drawn grey.
    layer
        Number of the year or interval, if there are several; -1 is the last.
    arrows
        Whether to draw arrows. There are none where the speed is below 15 % of the end of the colours, and those beyond
        it are as long as at its end.
    relief, image
        Elevations, drawn as relief under light from the north-west, or an image, drawn in grey, beneath the map:
        (y, x), on any grid of the same CRS. The map then lets some of it through. None: nothing.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture. Its title has the first and the last date that took part, if the rate knows them.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If `vx` or `vy` are not there or not on a grid, the background lies elsewhere, or an option is out of range.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> figure = truth[["vx", "vy"]].offset.plot.velocity(vmax=20.0)
    >>> figure.axes[0].images[0].norm.vmax
    20.0
    """
    look = look_of("velocity", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    has_arrows = _options.as_switch(arrows, "arrows", "velocity")
    vectors = one_layer(rate, ("vx", "vy"), layer, "velocity")
    panels = look.panels(shape=shape_of(vectors["vx"]))
    notes = draw_vectors(panels[0], vectors, ("vx", "vy"), look, below=(relief, image), has_arrows=has_arrows)
    set_title(panels[0], title, "velocity", span_of(rate) or period(vectors), below=int(has_arrows))
    return look.finish(panels, notes + notes_of(rate))


def displacement(
    dataset: xr.Dataset,
    *,
    layer: int = -1,
    arrows: bool = True,
    relief: xr.DataArray | None = None,
    image: xr.DataArray | None = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the length of the displacement of a pair or at a date, with arrows and their key.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x), a series (time, y, x), or a displacement (y, x): `dx`, `dy` in metres, positive toward
        increasing x and y. NaN is drawn grey.
    layer
        Number of the pair or the date; -1 is the last.
    arrows
        Whether to draw arrows, as in `velocity`.
    relief, image
        What lies beneath, as in `velocity`.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture, with both dates of a pair, or the date and the reference date of a series, in its title.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If `dx` or `dy` are not there or not on a grid, the background lies elsewhere, or an option is out of range.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> figure = truth[["dx", "dy"]].offset.plot.displacement()
    >>> figure.axes[0].get_title(loc="left").splitlines()[1]
    '2021-01-01'
    """
    look = look_of("displacement", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    has_arrows = _options.as_switch(arrows, "arrows", "displacement")
    vectors = one_layer(dataset, ("dx", "dy"), layer, "displacement")
    panels = look.panels(shape=shape_of(vectors["dx"]))
    notes = draw_vectors(panels[0], vectors, ("dx", "dy"), look, below=(relief, image), has_arrows=has_arrows)
    set_title(panels[0], title, "displacement", since(dataset, period(vectors)), below=int(has_arrows))
    return look.finish(panels, notes + notes_of(dataset))


def log_speed(
    rate: xr.Dataset,
    *,
    layer: int = -1,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the speed on a logarithmic scale, which shows slow and fast ground in one picture.

    Parameters
    ----------
    rate
        Velocity `vx`, `vy` (y, x) in metres a year, or one a year or interval. NaN is drawn grey.
    layer
        Number of the year or interval, if there are several; -1 is the last.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. `vmin` is above zero; by default it is the speed that 5 % of the
        map are below, and at least a thousandth of the upper end.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If `vx` or `vy` are not there or not on a grid, or an end of the colours is not above zero.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> figure = truth[["vx", "vy"]].offset.plot.log_speed(vmin=0.1)
    >>> figure.axes[0].images[0].norm.vmin
    0.1
    """
    look = look_of("log_speed", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    for name, end in (("vmin", vmin), ("vmax", vmax)):
        if end is not None:
            _options.as_positive(end, name, "log_speed", unit="m yr-1", example=0.1)
    vectors = one_layer(rate, ("vx", "vy"), layer, "log_speed")
    speed = length_of(vectors, ("vx", "vy"))
    panels = look.panels(shape=shape_of(speed))
    scale = scale_of(speed, look, is_log=True)
    # zero has no logarithm, but it is known to be slow
    seen = speed.copy(data=np.maximum(speed.values, speed.dtype.type(1e-6 * scale.low)))
    draw(panels[0], seen, scale, is_log=True)
    set_title(panels[0], title, "speed, logarithmic scale", span_of(rate) or period(vectors))
    return look.finish(panels, clip_note(speed, scale) + notes_of(rate))


def direction(
    rate: xr.Dataset,
    *,
    layer: int = -1,
    sigmas: float = _SIGMAS,
    relief: xr.DataArray | None = None,
    image: xr.DataArray | None = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the direction of motion, where it is faster than its error.

    Parameters
    ----------
    rate
        Velocity `vx`, `vy` with `sigma_vx`, `sigma_vy` (y, x) in metres a year; without standard errors all directions
        are drawn and a note says so. Or displacements `dx`, `dy`, of one pair or date.
    layer
        Number of the pair, date, year or interval, if there are several; -1 is the last.
    sigmas
        Number of standard errors that the speed is to exceed; below it the direction of noise would be drawn. The
        standard error is that along the motion, without the covariance of both components.
    relief, image
        What lies beneath, as in `velocity`.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are degrees; the colours should end as they begin.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: degrees clockwise from grid north, with arrows of one length, which tell it in grey too.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If the components are not there or not on a grid, or an option is out of range.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64), direction=120.0)
    >>> figure = truth[["vx", "vy"]].offset.plot.direction()
    >>> round(float(figure.axes[0].images[0].get_array().max()))
    120
    """
    look = look_of("direction", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    least = _options.as_number(sigmas, "sigmas", "direction")
    names = components_of(rate, "direction")
    errors = tuple(f"sigma_{name}" for name in names)
    is_known = set(errors) <= set(rate.data_vars)
    vectors = one_layer(rate, (*names, *errors) if is_known else names, layer, "direction")
    x, y = (vectors[name].values for name in names)
    length = np.hypot(x, y)
    beyond = length > least * sigma_of_length(vectors, names) if is_known else length > 0.0
    field = vectors[names[0]].copy(data=np.where(beyond, np.degrees(np.arctan2(x, y)) % 360.0, np.nan))
    field = field.rename("direction").assign_attrs(units="degree", long_name="direction")
    panels = look.panels(shape=shape_of(field))
    opaque = draw_beneath(panels[0], field, relief, image, "direction")
    draw(panels[0], field, scale_of(field, look), alpha=opaque)
    draw_directions(panels[0], vectors.where(xr.DataArray(beyond, dims=("y", "x"))), names)
    dates = (span_of(rate) or period(vectors)) if names == ("vx", "vy") else period(vectors)
    set_title(panels[0], title, "direction, clockwise from grid north", dates)
    note = (
        f"only where the {VECTORS[names][0]} exceeds {least:g} sigma" if is_known else "no standard errors: all drawn"
    )
    return look.finish(panels, [note, *notes_of(rate)])
