"""Maps of products as PNG files: at a glance what a product holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import xarray as xr

from xoffset import _options
from xoffset.model import grids
from xoffset.model.declared import with_decoded
from xoffset.model.kinds import kind_of
from xoffset.plotting import look
from xoffset.plotting.arrows import draw_arrows
from xoffset.plotting.fields import as_field, length_of, notes_of
from xoffset.plotting.mapping import draw_variable, draw_vectors, shape_of
from xoffset.plotting.style import check_extra, draw, layer_name, period, scale_of, set_title, thinned

# Dims along which there are few layers, each of which is worth a map.
_LISTS = ("year", "interval", "step", "exponential", "logarithmic")
_VELOCITY = ("vx", "vy")


def save_maps(dataset: xr.Dataset, folder: str | os.PathLike[str], *, truth: xr.Dataset | None = None) -> list[Path]:
    """PNG maps that show at a glance what a product holds, one file each.

    Every variable on y, x, and of a rate `velocity.png` (speed with arrows) too. Of a series the displacement at its
    last date; of shifts the mean score and the share of pairs that have a match; of anything else with dates or pairs,
    such as a strain or the closure of pairs, the last of them. Of what has a value a year, a step or a decay a map for
    each, such as `vx_2020.png` and `step_dx_2021-01-10.png`.

    Parameters
    ----------
    dataset
        Rate (y, x) in metres a year, series (time, y, x) or shifts (pair, y, x) in metres, or any other product on a
        grid. NaN is drawn grey, and so is what has no date.
    folder
        Where the pictures go; made if it is not there. Pictures of the same name are replaced.
    truth
        True `vx`, `vy` (y, x) in metres a year, on any grid with the same CRS; only with a rate. Adds `comparison.png`.

    Returns
    -------
    list of pathlib.Path
        The pictures.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If it is no Dataset.
    ValueError
        If there is nothing on y and x, or `truth` comes with something else than a rate.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> from xoffset import plotting
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in plotting.save_maps(truth[["vx", "vy"]], folder)]
    ['velocity.png', 'vx.png', 'vy.png']
    """
    check_extra("save_maps")
    target = _options.as_path(folder, "folder", "save_maps")
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"save_maps() needs a Dataset; got {type(dataset).__name__}. Draw one field with plotting.map_of()."
        )
    dataset = with_decoded(dataset, "save_maps")
    fields = list(_fields(dataset))
    if not fields:
        raise ValueError(
            f"save_maps() needs variables on y and x; got variables {list(map(str, dataset.data_vars))} with "
            f"dims {tuple(dataset.dims)}. Pass the result of velocity(), invert() or correlate(); draw a profile with "
            "dataset['parallel'].plot()."
        )
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for rate, layer in _rates(dataset):
        name, title = (f"velocity_{layer}", f"velocity, {layer}") if layer else ("velocity", None)
        paths.append(velocity_map(rate, target / f"{name}.png", title=title))
    if truth is not None:
        paths.append(comparison_map(dataset, truth, target / "comparison.png"))
    return paths + [map_of(field, target / f"{name}.png") for name, field in fields]


def map_of(field: xr.DataArray, path: str | os.PathLike[str], *, title: str | None = None) -> Path:
    """PNG map of one field, with a colour bar that leaves out the extreme 0.5 % at both ends.

    Signed quantities (displacements, velocities, strains and the like, or any with values on both sides of zero) get
    colours that are white at zero. Cyclic ones get a scale that ends as it begins: directions and anything in degrees
    after 360 degrees, the azimuth of a strain after 180, the day of a season after a year or half a year. All others
    get a sequential scale, and dates are written out beside it.

    Parameters
    ----------
    field
        Values (y, x) with coordinates in metres; label and unit come from its attributes. NaN is drawn grey.
    path
        Where the picture goes.
    title
        Heading. None: the long name of the field.

    Returns
    -------
    pathlib.Path
        The picture.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    ValueError
        If the dims are not y and x.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> from xoffset import plotting
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plotting.map_of(truth["vx"], f"{folder}/vx.png").name
    'vx.png'
    """
    asked = _look("map_of", path, title)
    draw_variable(as_field(field, "map_of"), asked, field)
    return _place(asked)


def velocity_map(rate: xr.Dataset, path: str | os.PathLike[str], *, title: str | None = None) -> Path:
    """PNG map of speed in colour, with arrows along the motion where it is not slow.

    Parameters
    ----------
    rate
        Velocity `vx`, `vy` (y, x) in metres a year, positive toward increasing x and y. NaN is drawn grey.
    path
        Where the picture goes.
    title
        Heading.

    Returns
    -------
    pathlib.Path
        The picture.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    ValueError
        If `vx` or `vy` are not there, or not on y and x.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> from xoffset import plotting
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plotting.velocity_map(truth, f"{folder}/velocity.png").name
    'velocity.png'
    """
    asked = _look("velocity_map", path, title)
    vectors = _as_velocity(rate, "velocity_map")
    panels = asked.panels(shape=shape_of(vectors["vx"]))
    notes = draw_vectors(panels[0], vectors, _VELOCITY, asked)
    set_title(panels[0], title, "velocity", period(rate), below=1)
    asked.finish(panels, notes + notes_of(rate))
    return _place(asked)


def comparison_map(rate: xr.Dataset, truth: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """PNG map of measured velocity, true velocity and the length of their difference, side by side.

    Parameters
    ----------
    rate
        Measured `vx`, `vy` (y, x) in metres a year. NaN is drawn grey.
    truth
        True `vx`, `vy` (y, x) in metres a year on any grid with the same CRS; interpolated to the grid of `rate`.
    path
        Where the picture goes.

    Returns
    -------
    pathlib.Path
        The picture.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    ValueError
        If `vx` or `vy` are not there, or not on y and x.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> from xoffset import plotting
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plotting.comparison_map(truth * 1.1, truth, f"{folder}/comparison.png").name
    'comparison.png'
    """
    asked = _look("comparison_map", path, None)
    rate = _as_velocity(rate, "comparison_map")
    truth = _as_velocity(truth, "comparison_map", like=rate)
    error = length_of(rate - truth, _VELOCITY).rename("length of the difference")
    panels = asked.panels(3, shape=shape_of(error))
    speeds = [length_of(each, _VELOCITY) for each in (rate, truth)]
    scale = scale_of(speeds[1], asked)
    for axes, velocity, speed, text in zip(panels, (rate, truth), speeds, ("measured", "true"), strict=False):
        draw(axes, speed, scale, has_bar=speed is speeds[1])
        draw_arrows(axes, velocity, _VELOCITY, scale.high, has_key=speed is speeds[1])
        set_title(axes, None, text, below=1)
    draw(panels[2], error, scale_of(error, asked))
    set_title(panels[2], None, "difference", below=1)
    for axes in panels[1:]:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)
    asked.finish(panels)
    return _place(asked)


def _look(caller: str, path: str | os.PathLike[str], title: str | None) -> look.Look:
    check_extra(caller)
    place = _options.as_path(path, "path", caller)
    asked = look.look_of(caller, ax=None, vmin=None, vmax=None, cmap=None, title=title, save=None)
    return asked._replace(place=place)


def _place(asked: look.Look) -> Path:
    assert asked.place is not None
    return asked.place


def _rates(dataset: xr.Dataset) -> Iterator[tuple[xr.Dataset, str]]:
    """Yield velocities (y, x), and what tells each from the others."""
    if not {"vx", "vy"} <= set(dataset.data_vars):
        return
    rate = dataset[["vx", "vy"]]
    if set(rate["vx"].dims) == {"y", "x"}:
        yield rate, ""
    for dim in _LISTS:
        if set(rate["vx"].dims) == {dim, "y", "x"}:
            for k in range(rate.sizes[dim]):
                yield rate.isel({dim: k}), layer_name(rate, dim, k)


def _fields(dataset: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield what there is to see of a product, each (y, x), with the name of its file."""
    of_shifts, of_series = (kind_of(dataset) == kind for kind in ("shifts", "series"))
    for key, data in dataset.data_vars.items():
        name, layers = str(key), set(data.dims) - {"y", "x"}
        if name == "flags" or not {"y", "x"} <= set(data.dims):
            continue
        if not layers:
            yield name, data
        elif layers == {"pair"} and of_shifts:
            if name == "score":
                mean = thinned(data).mean("pair", keep_attrs=True)
                yield name, mean.assign_attrs(long_name="mean score of the pairs", units="1")
            elif name == "dx":
                share = 100 * thinned(data).notnull().mean("pair")
                yield "matched", share.rename("matched").assign_attrs(long_name="pairs with a match", units="%")
        elif len(layers) == 1 and not (of_series and name not in ("dx", "dy")):
            dim = str(layers.pop())
            for k in range(data.sizes[dim]) if dim in _LISTS else [-1]:
                yield f"{name}_{layer_name(data, dim, k)}" if dim in _LISTS else name, data.isel({dim: k})


def _as_velocity(rate: xr.Dataset, caller: str, like: xr.Dataset | None = None) -> xr.Dataset:
    if not isinstance(rate, xr.Dataset):
        raise TypeError(
            f"{caller}() needs a Dataset with vx and vy; got {type(rate).__name__}. Pass the result of velocity()."
        )
    lacking = [name for name in ("vx", "vy") if name not in rate]
    if lacking:
        raise ValueError(
            f"{caller}() needs variables vx and vy [m yr-1]; got none called {' or '.join(lacking)}. "
            "Pass the result of velocity()."
        )
    rate = grids.with_crs(with_decoded(rate[["vx", "vy"]], caller))
    if like is not None:
        crs, wanted = grids.crs_of(rate), grids.crs_of(like)
        if crs is not None and wanted is not None and not grids.agree(crs, wanted):
            raise ValueError(
                f"{caller}() needs the truth in the CRS of the rate, {wanted.name}; got {crs.name}. Give it the CRS "
                "that it has, or measure on that grid: vectors cannot be reprojected value by value."
            )
        rate = rate.interp(x=like["x"], y=like["y"])
    return xr.Dataset({name: as_field(rate[name], caller) for name in ("vx", "vy")})
