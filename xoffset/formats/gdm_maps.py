"""Maps of the GDM-OPT services: means, velocities and pictures, by their names, signs, units and folders."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import service_maps, writing
from xoffset.formats.service_maps import YEAR_DAYS, Sheet
from xoffset.model.dates import as_dates

# Folders of the services that maps and pictures are in.
ANALYSIS, PREVIEW = "Analysis", "Preview"


class Row(NamedTuple):
    """A map of the services: what its file is called, its unit, and the factor that makes its numbers of ours."""

    name: str
    units: str
    factor: float
    what: str


# By our variables. South is positive, velocities are of days.
ROWS: Mapping[str, Row] = {
    "magnitude": Row("Mean_displ_magnitude", "m", 1.0, "length of the mean displacement"),
    "dx": Row("Mean_displacement_EW", "m", 1.0, "mean displacement, east positive"),
    "dy": Row("Mean_displacement_NS", "m", -1.0, "mean displacement, south positive"),
    "v": Row("Mean_velocity_magnitude", "m d-1", 1.0 / YEAR_DAYS, "length of the mean velocity"),
    "vx": Row("Mean_velocity_EW", "m d-1", 1.0 / YEAR_DAYS, "mean velocity, east positive"),
    "vy": Row("Mean_velocity_NS", "m d-1", -1.0 / YEAR_DAYS, "mean velocity, south positive"),
    "quality": Row("Quality", "percent", 1.0, "share of the pairs whose score exceeds the threshold"),
    "vector_coherence": Row("Vector_coherence", "1", 1.0, "vector coherence"),
}


def write_analysis(
    product: xr.Dataset,
    network: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    tile: str = "local",
    of_inversion: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Write maps into the folder `Analysis`, named and counted as a GDM-OPT service has them.

    Names hold the tile, the first and the last date. North-south components are positive toward the south, velocities
    in metres a day, the quality in percent; NaN where there is no value.

    Parameters
    ----------
    product
        Result of `mean_displacement`, `mean_velocity`, `velocity`, `quality` or `vector_coherence` (y, x).
    network
        Pairs that it was made of, or shifts, whose dates the names tell.
    folder
        Folder of the results, in which `Analysis` is made.
    tile
        Name of the area in the names of the files, such as "31TGK".
    of_inversion
        Whether velocities are those of a series, which the names tell by `TIO`.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    TypeError
        If a product is no Dataset.
    ValueError
        If it has none of the variables of the service on (y, x), or the tile has other signs than letters and digits.
    FileExistsError
        If a file is there and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> network = xoffset.pairs(stack, max_gap=1)
    >>> mean = xoffset.mean_displacement(xoffset.correlate(stack, network, search=4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.gdm.write_analysis(mean, network, folder, tile="31TGK")][0]
    'MM_Mean_displ_magnitude_31TGK_20200101_to_20210101.tif'
    """
    caller = "gdm.write_analysis"
    target = _options.as_path(folder, "folder", caller) / ANALYSIS
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    sheets, like = _sheets(product, network, tile, of_inversion, caller)
    return service_maps.write(sheets, like, target, overwrite=is_free, caller=caller)


def write_previews(
    product: xr.Dataset,
    network: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    tile: str = "local",
    of_inversion: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Draw the maps of `write_analysis` into the folder `Preview`, a PNG each.

    Parameters
    ----------
    product, network, folder, tile, of_inversion, overwrite
        As in `write_analysis`.

    Returns
    -------
    list of pathlib.Path
        The pictures.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError, ValueError, FileExistsError
        As of `write_analysis`.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> network = xoffset.pairs(stack, max_gap=1)
    >>> quality = xoffset.quality(xoffset.correlate(stack, network, search=4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.gdm.write_previews(quality, network, folder)]
    ['MM_Quality_local_20200101_to_20210101.png']
    """
    caller = "gdm.write_previews"
    target = _options.as_path(folder, "folder", caller) / PREVIEW
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    sheets, like = _sheets(product, network, tile, of_inversion, caller)
    return service_maps.preview(sheets, like, target, overwrite=is_free, caller=caller)


def write_chord(
    network: xr.Dataset, folder: str | os.PathLike[str], *, tile: str = "local", overwrite: bool = False
) -> list[Path]:
    """Draw the chord diagram of the pairs into the folder `Analysis`.

    Parameters
    ----------
    network
        Pairs, or shifts, of which the chords have the colour of the share of valid vectors.
    folder
        Folder of the results, in which `Analysis` is made.
    tile
        Name of the area in the name of the file, such as "31TGK".
    overwrite
        Replace a file of the same name.

    Returns
    -------
    list of pathlib.Path
        The picture.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError, ValueError
        If there are no pairs, or the tile has other signs than letters and digits.
    FileExistsError
        If the file is there and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.gdm.write_chord(xoffset.pairs(stack), folder)]
    ['MM_Chord_diagram_local_20200101_to_20210101.png']
    """
    caller = "gdm.write_chord"
    target = _options.as_path(folder, "folder", caller) / ANALYSIS
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    name = f"MM_Chord_diagram_{as_tile(tile, caller)}_{span(network, caller)}.png"
    from xoffset.plotting.networks import chord

    with writing.replaced_all(target, [name], overwrite=is_free, caller=caller) as scratch:
        chord(network, save=scratch / name)
    return [target / name]


def as_tile(tile: Any, caller: str) -> str:
    """Name of an area, checked: what a name of a file may hold, and no more."""
    if not (isinstance(tile, str) and re.fullmatch(r"[A-Za-z0-9-]+", tile)):
        raise ValueError(f"{caller}() needs letters and digits as tile; got {tile!r}. Pass one such as '31TGK'.")
    return tile


def span(network: xr.Dataset, caller: str) -> str:
    """First and last day of pairs, as names of accumulated products have them."""
    return "_to_".join(service_maps.span_of(network, caller))


def day(date: np.datetime64) -> str:
    """Day as names of files have it."""
    return str(as_dates(np.asarray(date)).item().strftime("%Y%m%d"))


def _sheets(
    product: xr.Dataset, network: xr.Dataset, tile: str, of_inversion: bool, caller: str
) -> tuple[list[Sheet], xr.Dataset]:
    """Maps of a product in the numbers of the services, and the product that they lie on the grid of."""
    is_inverted = _options.as_switch(of_inversion, "of_inversion", caller)
    area, (first, last) = as_tile(tile, caller), service_maps.span_of(network, caller)
    product = service_maps.prepared(product, caller)
    found = [name for name in ROWS if name in product and product[name].dims == ("y", "x")]
    if not found:
        raise ValueError(
            f"{caller}() needs one of {', '.join(ROWS)} on (y, x); got {list(map(str, product.data_vars))[:8]}. Pass "
            "the result of mean_displacement(), mean_velocity(), velocity(), quality() or vector_coherence()."
        )
    # all at once, since what is lazy is computed once for all of them
    product = product[found].compute()
    sheets = []
    for name in found:
        row = ROWS[name]
        values = product[name].values * np.asarray(row.factor, dtype=product[name].dtype)
        stem = f"MM_{'TIO_' * is_inverted}{row.name}_{area}_{first}_to_{last}"
        sheets.append(Sheet(stem, values, row.units, row.what, {"first": first, "last": last}))
    return sheets, product
