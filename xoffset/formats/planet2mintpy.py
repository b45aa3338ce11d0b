"""Tables of Planet2MintPy: mean disparity of some pixels in every file, whose name tells the pair, as shifts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, looks, pair_names, rows

if TYPE_CHECKING:
    import pyproj

# Column with the names of the files, with its colon.
_FILES = "name:"


def recognises(look: looks.Look) -> bool:
    """Whether a text has its columns."""
    return look.kind == "text" and {_FILES, "dx", "dy"} <= look.names


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | tuple[float, float] | None = None,
    position: tuple[float, float] = (0.0, 0.0),
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    r"""Shifts of one point, a pair a row, from disparities of the Ames Stereo Pipeline in pixels.

    The column `dx` counts toward the right, `dy` downwards: its sign is turned. Dates, with their time of day, are
    those of the names of the files, which are made of the identifiers of two PlanetScope scenes.

    Parameters
    ----------
    path
        CSV file with the columns `name:`, `dx`, `dy`.
    pixel_size
        Side of a pixel of the matched images in metres, or one along x and one along y, such as 3.0.
    position
        Place (x, y) of the point in metres.
    crs
        CRS of the matched images.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one point; standard errors are not known.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If columns hold no numbers.
    ValueError
        If a column or the size of pixels lacks, or a name does not tell two dates.

    Examples
    --------
    >>> import pathlib, tempfile, xoffset
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "points.csv"
    ...     _ = path.write_text("name:,dx,dy\n20180513_135849_0f12_20180817_140218_1042_L3B-F.tif,0.5,-0.25\n")
    ...     shifts = xoffset.formats.planet2mintpy.read(path, pixel_size=3.0)
    >>> shifts.dx.values.ravel(), shifts.dy.values.ravel()
    (array([1.5]), array([0.75]))
    """
    caller = "planet2mintpy.read"
    place = _options.as_path(path, "path", caller)
    table = rows.read(place, caller)
    rows.check_columns(table, [_FILES, "dx", "dy"], place, caller)
    both = np.array([pair_names.dates(str(name), None, caller) for name in table[_FILES]]).reshape(-1, 2)
    table = table.assign(reference=both[:, 0], secondary=both[:, 1])
    pixel = border.sides(pixel_size, caller)
    return rows.to_shifts("planet2mintpy", table, place, caller, crs=crs, position=position, pixel=pixel)
