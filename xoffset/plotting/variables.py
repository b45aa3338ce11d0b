"""Maps of what is known of a motion: standard errors, misclosure, residuals, any other variable."""

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
from xoffset.plotting.fields import VECTORS, components_of, notes_of, one_layer
from xoffset.plotting.look import look_of
from xoffset.plotting.mapping import draw_variable, shape_of, span_of
from xoffset.plotting.style import clip_note, draw, period, scale_of, set_title


def sigma(
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
    """Map of the standard error of a vector, the root of the sum of the squares of both components'.

    Parameters
    ----------
    dataset
        Rate with `sigma_vx`, `sigma_vy` (y, x) in metres a year, or shifts, a series or a displacement with `sigma_dx`,
        `sigma_dy` in metres. NaN is drawn grey.
    layer
        Number of the pair, date, year or interval, if there are several; -1 is the last.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

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
        If there are no standard errors, or not on a grid.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> figure = shifts.offset.plot.sigma()
    >>> figure.axes[0].get_title(loc="left").splitlines()[1]
    '2020-01-01 to 2021-01-01'
    """
    look = look_of("sigma", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    names = components_of(dataset, "sigma")
    x, y = (f"sigma_{name}" for name in names)
    vectors = one_layer(dataset, (x, y), layer, "sigma")
    field = vectors[x].copy(data=np.hypot(vectors[x].values, vectors[y].values)).rename("sigma")
    field = field.assign_attrs(units=VECTORS[names][2])
    panels = look.panels(shape=shape_of(field))
    scale = scale_of(field, look)
    draw(panels[0], field, scale)
    dates = (span_of(dataset) or period(vectors)) if names == ("vx", "vy") else period(vectors)
    set_title(panels[0], title, f"standard error of the {VECTORS[names][1]}", dates)
    return look.finish(panels, clip_note(field, scale) + notes_of(dataset))


def variable(
    dataset: xr.Dataset,
    name: str,
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
    """Map of any variable of a product, in colours that suit it.

    Signed quantities (displacements, velocities, strains and the like, or any with values on both sides of zero) get
    colours that are white at zero. Cyclic ones get a scale that ends as it begins: directions after 360 degrees, the
    azimuth of a strain after 180, the day of a season after a year or half a year. All others get a sequential scale,
    and dates are written out beside it.

    Parameters
    ----------
    dataset
        Any product on a grid. NaN is drawn grey, and so is what has no date.
    name
        Name of a variable on (y, x), with one dim more at most.
    layer
        Number along that dim, such as that of the pair or the date; -1 is the last.
    relief, image
        What lies beneath, as in `velocity`.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

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
        If there is no such variable, or it is not on a grid.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> truth.offset.plot.variable("vx").axes[0].images[0].get_cmap().name
    'vik'
    """
    look = look_of("variable", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    if not isinstance(name, str):
        raise TypeError(
            f"variable() needs the name of a variable; got {type(name).__name__}. Pass a name such as 'vx'."
        )
    field = one_layer(dataset, (name,), layer, "variable")[name]
    return draw_variable(field, look, dataset, below=(relief, image))


def closure(
    found: xr.Dataset,
    *,
    layer: int = -1,
    by_date: bool = False,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of the misclosure of a pair or of a date.

    Parameters
    ----------
    found
        Result of `xoffset.closure`: `closure` (pair, y, x) and `date_closure` (time, y, x) in metres. NaN, where no
        triplet is complete, is drawn grey.
    layer
        Number of the pair or date; -1 is the last.
    by_date
        Draw the misclosure of a date instead of that of a pair.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

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
        If it is no result of `closure`.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, truth = xoffset.synthetic.stack((96, 96), dates=dates)
    >>> found = xoffset.correlate(stack, xoffset.pairs(stack), search=4).offset.closure()
    >>> found.offset.plot.closure(layer=0).axes[0].get_title(loc="left").splitlines()[-1]
    '2020-01-01 to 2020-07-01'
    """
    look = look_of("closure", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    name = "date_closure" if _options.as_switch(by_date, "by_date", "closure") else "closure"
    field = one_layer(found, (name,), layer, "closure")[name]
    return draw_variable(field, look, found, text="misclosure of a date" if by_date else "misclosure of a pair")


def residual(
    fitted: xr.Dataset,
    *,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Map of how far data are from what was fitted to them.

    Parameters
    ----------
    fitted
        Anything with `rms` (y, x) in metres: a series, of which it is the misclosure of the pairs, or the result of
        `decompose` or `coseismic`. NaN is drawn grey.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`.

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
        If there is no `rms`, or not on a grid.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, truth = xoffset.synthetic.stack((96, 96), dates=dates)
    >>> series = xoffset.correlate(stack, xoffset.pairs(stack), search=4).offset.invert()
    >>> series.offset.plot.residual().axes[0].child_axes[0].get_ylabel()
    'rms [m]'
    """
    look = look_of("residual", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    return draw_variable(one_layer(fitted, ("rms",), -1, "residual")["rms"], look, fitted)
