"""explore(): the map of a product in a notebook, where each node can be read and its series drawn."""

from __future__ import annotations

import html
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import grids
from xoffset.model.kinds import KINDS, kind_of, why_not
from xoffset.pipeline.places import as_place, write_whole
from xoffset.plotting.style import check_extra
from xoffset.report.layers import maps_of, poster, vectors_of
from xoffset.report.nodes import nodes_of
from xoffset.report.page import map_page

_CALLER = "explore"
# What a product is called among those of a run.
_NAMES = {"rate": "velocity", "displacement": "displacement", "series": "series", "shifts": "shifts"}
# Least height of the frame [px].
_LEAST = 200


class Explorer:
    """A page with a map, which a notebook shows; it holds all that it needs and works offline."""

    def __init__(self, page: str, height: int) -> None:
        self.page, self.height = page, height

    def __repr__(self) -> str:
        return (
            f"a map of {len(self.page) / 1e6:.1f} MB, which a notebook shows. Elsewhere write it, and open the file in "
            "a browser: explore(...).save('map.html')"
        )

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="Map" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )

    def save(self, path: str | os.PathLike[str]) -> Path | str:
        """Write the page to a file, which any browser opens, and return its name.

        Raises
        ------
        OSError
            If it cannot be written.
        TypeError
            If `path` is no path.
        """
        _options.as_path(path, "path", "save")
        place = as_place(path, "save")
        if isinstance(place, Path) and place.is_dir():
            raise IsADirectoryError(f"save() needs the name of a file; got the folder {place}. Add map.html.")
        write_whole(place, self.page)
        return place if isinstance(place, Path) else str(place)


def explore(
    product: xr.Dataset, *, series: xr.Dataset | None = None, shifts: xr.Dataset | None = None, height: int = 900
) -> Explorer:
    """Map of a product for a notebook, as the one of `report`: each node can be read, and its series drawn.

    The cursor reads value ± standard error; a click draws the displacement through time of the nearest node that has a
    series. Layers are the length, the components and their standard error, of a rate the direction, and of maps (y, x)
    the reasons of the flags.

    Parameters
    ----------
    product
        Shifts, a series, a rate such as `velocity` gives, or a displacement, on a grid (y, x). Of pairs and dates the
        last one with values is shown. What is lazy is computed, layer by layer.
    series
        Series (time, y, x) on the grid of the product, which a click draws. None: the product itself, if it is one.
    shifts
        Pairs (pair, y, x) on the same grid, drawn under the series. None: the product itself, if it has pairs.
    height
        Height of the map and the series below it in the notebook [px], 200 or more.

    Returns
    -------
    Explorer
        What a notebook shows; ``save("map.html")`` writes it to a file that any browser opens.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If the product, the series or the shifts are none.
    ValueError
        If there is no grid, the series or the shifts are on another one, or `height` is no whole number of 200 or more.

    Notes
    -----
    Of grids of more than 1500 nodes along a side every second, third and so on is shown, which the page says; series
    are held at 64 x 64 nodes at most. Values are rounded to a quarter of their median standard error.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> shifts = stack.offset.correlate(stack.offset.pairs(), search=4)
    >>> series = shifts.offset.invert()
    >>> view = series.offset.velocity().offset.explore(series=series, shifts=shifts)
    >>> view  # doctest: +SKIP
    """
    kind = kind_of(product)
    if kind not in _NAMES:
        raise TypeError(why_not(_CALLER, tuple(_NAMES), product))
    for name, given in {"series": series, "shifts": shifts}.items():
        if given is not None and kind_of(given) != name:
            raise TypeError(why_not(_CALLER, (name,), given).replace("needs ", f"needs as {name} ", 1))
    height = _options.as_whole_number(height, "height", _CALLER, least=_LEAST, example=900)
    check_extra(_CALLER)
    series = product if kind == "series" else series
    shifts = product if kind == "shifts" else shifts
    for name, given in {"series": series, "shifts": shifts}.items():
        if given is not None:
            _check_grid(product, given, name)
    found = vectors_of({_NAMES[kind]: product})
    if not found:
        raise ValueError(
            f"{_CALLER}() needs vectors on a grid (y, x); got dims {tuple(map(str, product.sizes))}. Scattered points "
            "have no map: put them on a grid first."
        )
    maps = maps_of({_NAMES[kind]: product}, found)
    title = KINDS[kind][0].removeprefix("a ")
    page = map_page(title, maps, nodes_of(series, shifts), poster(found[0]), version("xoffset"))
    return Explorer(page, height)


def _check_grid(product: xr.Dataset, given: xr.Dataset, name: str) -> None:
    """Refuse a series or shifts on other ground: a click would draw what belongs elsewhere."""
    for axis in ("y", "x"):
        if given.sizes.get(axis) != product.sizes.get(axis) or not np.array_equal(given[axis], product[axis]):
            raise ValueError(
                f"{_CALLER}() needs {name} on the grid of the product; got other coordinates '{axis}'. Pass what the "
                "product was made of, cropped alike."
            )
    own, other = grids.crs_of(product), grids.crs_of(given)
    if own is not None and other is not None and own != other:
        raise ValueError(
            f"{_CALLER}() needs {name} in the CRS of the product, {grids.name_of(own)}; got {grids.name_of(other)}. "
            "Pass what the product was made of."
        )
