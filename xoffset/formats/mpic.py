"""MPIC-OPT: `Px1`, `Px2` and `Correl` with the dates of each pair in their names, both ways; masks and means."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, file_sets, looks, mpic_maps, service_maps
from xoffset.formats.file_sets import Given
from xoffset.formats.names import SYSTEMS
from xoffset.formats.service_maps import Sheet
from xoffset.model import checks, masks
from xoffset.model.dates import as_dates

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["mpic"].names
_FILE = re.compile(
    rf"(?P<field>{'|'.join(_NAMES.values())})_(?P<pair>\d{{8}}(?:T\d{{6}})?_\d{{8}}(?:T\d{{6}})?(?:_\d+)?)\.tiff?"
)


def has_pair_dates(name: str) -> bool:
    """Whether a file is named as the service names its own."""
    return _FILE.fullmatch(name) is not None


def recognises(look: looks.Look) -> bool:
    """Whether a file is one of the three of a pair, or a folder has such."""
    return look.kind == "tiff" and has_pair_dates(look.name)


def main(place: str) -> str:
    """The file along x that one of the three belongs to."""
    return str(_of_pair(Path(place), "mpic.read")["dx"])


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | tuple[float, float] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts of one pair of MPIC-OPT, or of all pairs in a folder.

    `Px1` counts pixels toward the east, `Px2` toward the south: dy has the other sign. `Correl` counts from 128 to 255,
    which become scores from 0 to 1; where it is 0 there is no value.

    Parameters
    ----------
    path
        One of the files `Px1_20160101_20160201.tif`, `Px2_...`, `Correl_...` of a pair, or a folder of such files.
    pixel_size
        Side of a pixel in metres, or one along x and one along y, where the files have no georeference.
    crs
        CRS of the files, where they do not tell it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x); standard errors are not known. A pair whose first date is the later one is backward.

    Raises
    ------
    FileNotFoundError
        If `Px1` or `Px2` of a pair is not there, or the folder has none.
    ValueError
        If the name tells no dates, the size of pixels lacks, or the files are not on one grid.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.mpic.write(shifts, folder)
    ...     xoffset.formats.mpic.read(folder).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "mpic.read"
    place = _options.as_path(path, "path", caller)
    sets = [_of_pair(each, caller) for each in (_components(place, caller) if place.is_dir() else [place])]
    return file_sets.read_scored_sets("mpic", sets, Given(None, pixel_size, crs), caller)


def write(shifts: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write shifts as MPIC-OPT has them: `Px1_REFERENCE_SECONDARY.tif`, `Px2_...` and, with a score, `Correl_...`.

    Displacements are in pixels of these files, toward east and south, NaN where there is none; scores are 128 to 255
    for 0 to 1, 128 for negative ones, and 0 where there is none. Names tell days; standard errors are not kept.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x); lazy ones are computed pair by pair.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files, pair by pair.

    Raises
    ------
    TypeError
        If it is no Dataset.
    FileExistsError
        If a file is there and `overwrite` is False.
    ValueError
        If these are no shifts, or the two dates of a pair fall on one day.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.mpic.write(shifts, folder)
    ...     xoffset.formats.mpic.read(folder).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "mpic.write"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    theirs = file_sets.by_day(file_sets.in_own_pixels("mpic", shifts, caller), caller)
    files = [{ours: f"{name}_{stem}.tif" for ours, name in _NAMES.items()} for stem in border.stems(theirs, "_")]
    return file_sets.write_files(theirs, files, target, "pixel", overwrite=is_free, caller=caller)


def write_masks(
    usable: xr.DataArray, network: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> list[Path]:
    """Write masks as MPIC-OPT has them, one a pair: `cloud_masks_assembled_REFERENCE_SECONDARY.tif`.

    8 bit on the pixels of the images: 0 where one of the two images was not to be matched, 255 where both were, as the
    tag `legend` says.

    Parameters
    ----------
    usable
        Pixels that may be matched (time, y, x), boolean, as `masking.usable` returns them; lazy ones are computed pair
        by pair.
    network
        Network (pair), or shifts, whose dates the mask has.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files, pair by pair.

    Raises
    ------
    TypeError
        If the mask is no boolean DataArray.
    FileExistsError
        If a file is there and `overwrite` is False.
    ValueError
        If dims, grid or dates of the mask are not those that are needed.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=["2020-01-01", "2020-02-01"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.mpic.write_masks(stack > 1000, xoffset.pairs(stack), folder)
    ...     [file.name for file in files]
    ['cloud_masks_assembled_20200101_20200201.tif']
    """
    caller = "mpic.write_masks"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    masks.check_boolean(usable, masks.MASK, caller)
    seen = checks.as_stack(usable.astype(np.uint8), caller)
    network = checks.as_network(network, seen, caller)
    layer = service_maps.prepared(seen.to_dataset(name="usable"), caller)
    place = {date: k for k, date in enumerate(as_dates(layer["time"].values).tolist())}
    ends = [[place[date] for date in as_dates(network[name].values).tolist()] for name in ("reference", "secondary")]
    days = [as_dates(network[name].values).astype("M8[D]") for name in ("reference", "secondary")]
    stems = border.stems_of(days[0], days[1], "_")
    sheets = [
        Sheet(
            f"cloud_masks_assembled_{stem}",
            service_maps.Mask(partial(mpic_maps.is_in_both, layer["usable"].data, first, second)),
            "1",
            "pixels that were matched",
            {"legend": service_maps.LEGEND_OF_MASKS},
        )
        for stem, first, second in zip(stems, *ends, strict=True)
    ]
    return service_maps.write(sheets, layer, target, overwrite=is_free, caller=caller)


def write_indicators(
    network: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    coherence: xr.Dataset | None = None,
    displacement: xr.Dataset | None = None,
    velocity: xr.Dataset | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write what all pairs tell together as MPIC-OPT has it, with the first and the last date in the names.

    `vector_coherence_FIRST_LAST.tif` from 0 to 1, `mean_displacement_...` in metres, `mean_veloc_ew_...` and
    `mean_veloc_ns_...` in metres a day, positive toward the east and the south of the grid. NaN where there is none;
    the service has 0 there, which is also random motion.

    Parameters
    ----------
    network
        Network (pair), or shifts, whose first and last date the names tell.
    folder
        Where the files go; made if it is not there.
    coherence, displacement, velocity
        Results (y, x) of `vector_coherence`, `mean_displacement` and `mean_velocity`, on one grid. None: no such file.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    FileExistsError
        If a file is there and `overwrite` is False.
    TypeError, ValueError
        If there is nothing to write, a product is another one or not on the grid of the others, or the network is none.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.mpic.write_indicators(
    ...         shifts, folder, velocity=xoffset.mean_velocity(shifts, estimator="mpic")
    ...     )
    ...     [file.name[:14] for file in files]
    ['mean_veloc_ew_', 'mean_veloc_ns_']
    """
    caller = "mpic.write_indicators"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    given = {"coherence": coherence, "displacement": displacement, "velocity": velocity}
    sheets, like = mpic_maps.indicators(network, given, caller)
    return service_maps.write(sheets, like, target, overwrite=is_free, caller=caller)


def write_previews(
    network: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    shifts: xr.Dataset | None = None,
    coherence: xr.Dataset | None = None,
    displacement: xr.Dataset | None = None,
    velocity: xr.Dataset | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Draw the maps of `write_indicators`, and the displacements of each pair, as PNG of the same names and units.

    Parameters
    ----------
    network
        Network (pair), or shifts, whose first and last date the names tell.
    folder
        Where the pictures go; made if it is not there.
    shifts
        Shifts (pair, y, x), drawn as `Px1_...` and `Px2_...`. None: no such picture.
    coherence, displacement, velocity
        As in `write_indicators`.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The pictures.

    Raises
    ------
    FileExistsError
        If a file is there and `overwrite` is False.
    ImportError
        If the `plot` extra is not installed.
    TypeError, ValueError
        As of `write_indicators` and `write`.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> mean = xoffset.mean_displacement(shifts)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.mpic.write_previews(shifts, folder, displacement=mean)
    ...     [file.name[:18] for file in files]
    ['mean_displacement_']
    """
    caller = "mpic.write_previews"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    given = {"coherence": coherence, "displacement": displacement, "velocity": velocity}
    sheets, like = mpic_maps.indicators(network, given, caller, is_needed=shifts is None)
    if shifts is not None:
        pairs, place = mpic_maps.of_pairs(shifts, caller)
        sheets, like = [*pairs, *sheets], place if like is None else like
    return service_maps.preview(sheets, like, target, overwrite=is_free, caller=caller)


def _components(folder: Path, caller: str) -> list[Path]:
    """Files along x in a folder."""
    found = [each for each in sorted(folder.iterdir()) if (match := _FILE.fullmatch(each.name))
             and match["field"] == _NAMES["dx"]]  # fmt: skip
    if not found:
        raise FileNotFoundError(
            f"{caller}() needs files {_NAMES['dx']}_YYYYMMDD_YYYYMMDD.tif; got none in {folder}. Check the folder."
        )
    return found


def _of_pair(path: Path, caller: str) -> dict[str, Path]:
    """Files of the pair that a file belongs to, by our names."""
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise ValueError(
            f"{caller}() needs a file named {_NAMES['dx']}_YYYYMMDD_YYYYMMDD.tif, or so with {_NAMES['dy']} or "
            f"{_NAMES['score']}; got {path}. Rename it, or use micmac.read(..., dates=...)."
        )
    files = {ours: path.with_name(path.name.replace(match["field"], name, 1)) for ours, name in _NAMES.items()}
    return {ours: each for ours, each in files.items() if ours != "score" or each.exists()}
