"""GDM-OPT services: displacements and scores of every pair in their folders, both ways, and their other products."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import xarray as xr

from xoffset import _options
from xoffset.formats import border, file_sets, looks
from xoffset.formats.file_sets import Given
from xoffset.formats.gdm_maps import as_tile
from xoffset.formats.gdm_maps import write_analysis as write_analysis
from xoffset.formats.gdm_maps import write_chord as write_chord
from xoffset.formats.gdm_maps import write_previews as write_previews
from xoffset.formats.gdm_masks import write_classes as write_classes
from xoffset.formats.gdm_masks import write_decorrelation as write_decorrelation
from xoffset.formats.gdm_masks import write_slopes as write_slopes
from xoffset.formats.gdm_series import write_series as write_series
from xoffset.formats.names import SYSTEMS

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["gdm"].names
# How the names of displacements end, by stage.
_ENDS = {"corrected": "corrected", "filtered": "FILTER_Displmax"}
_DAY = r"\d{8}(?:T\d{6})?"
_FILE = re.compile(
    rf"MM_(?P<field>{_NAMES['dx']}|{_NAMES['dy']})_(?P<tile>.+)_(?P<first>{_DAY})_vs_(?P<second>{_DAY})"
    rf"(?P<again>_\d+)?_(?P<end>{'|'.join(_ENDS.values())})\.tiff?"
)
# Folder of the displacements among those of the service.
_FOLDER = "Displacements"


def recognises(look: looks.Look) -> bool:
    """Whether a folder is that of the service, or of its displacements, or a file is a displacement."""
    if look.kind == "folder":
        return _FOLDER in look.names or any(_FILE.fullmatch(name) for name in look.names)
    return look.kind == "tiff" and _FILE.fullmatch(look.name) is not None


def main(place: str) -> str:
    """The file of the component along x that another one of the pair belongs to; a folder as it is."""
    path = Path(place)
    return place if path.is_dir() else str(_of_pair(path, "gdm.read")["dx"])


def read(
    path: str | os.PathLike[str],
    *,
    stage: Literal["corrected", "filtered"] = "corrected",
    pixel_size: float | tuple[float, float] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts of all pairs of a GDM-OPT service, ETQ, SLIDE or ICE.

    Displacements are in pixels toward east and south: dy has the other sign. Scores count from 128 to 255, which become
    0 to 1; where they are 0 there is no value.

    Parameters
    ----------
    path
        Folder of the results, or that of the displacements in it, or a file
        `MM_EW_displ_TILE_DATE1_vs_DATE2_corrected.tif` or so of one pair. `MM_Corr_TILE_DATE1_DATE2.tif` is looked for
        beside it and in the folders beside and below.
    stage
        Which displacements of a folder: `"corrected"`, or `"filtered"`, of which those above the largest amplitude are
        gone.
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
        If the folder has no displacements of that stage, or one of the two components is not there.
    ValueError
        If the size of pixels lacks, or the files are not on one grid.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.gdm.write(shifts, folder)
    ...     xoffset.formats.gdm.read(folder).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "gdm.read"
    place = _options.as_path(path, "path", caller)
    end = _options.one_of(stage, _ENDS, "stage", caller)
    sets = [_of_pair(each, caller) for each in (_components(place, end, caller) if place.is_dir() else [place])]
    return file_sets.read_scored_sets("gdm", sets, Given(None, pixel_size, crs), caller)


def write(
    shifts: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    tile: str = "local",
    stage: Literal["corrected", "filtered"] = "corrected",
    scores: bool = True,
) -> list[Path]:
    """Write shifts into the folder `Displacements`, named and counted as a GDM-OPT service has them.

    Displacements are in pixels of these files, toward east and south, NaN where there is none; scores are 128 to 255
    for 0 to 1, 128 for negative ones, and 0 where there is none. Names tell days; standard errors are not kept.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x); lazy ones are computed pair by pair.
    folder
        Folder of the results, in which `Displacements` is made.
    overwrite
        Replace files of the same names.
    tile
        Name of the area in the names of the files, such as "31TGK".
    stage
        Which displacements these are: `"corrected"` or `"filtered"`.
    scores
        Whether to write the scores, too, which both stages share.

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
    ...     files = xoffset.formats.gdm.write(shifts, folder)
    ...     xoffset.formats.gdm.read(folder).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "gdm.write"
    target = _options.as_path(folder, "folder", caller) / _FOLDER
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    end = _options.one_of(stage, _ENDS, "stage", caller)
    as_tile(tile, caller)
    with_scores = _options.as_switch(scores, "scores", caller)
    theirs = file_sets.by_day(file_sets.in_own_pixels("gdm", shifts, caller), caller)
    stems = border.stems(theirs, "_vs_")
    files = [{name: f"MM_{_NAMES[name]}_{tile}_{pair}_{end}.tif" for name in ("dx", "dy")} for pair in stems]
    if with_scores:
        for names, pair in zip(files, stems, strict=True):
            names["score"] = f"MM_{_NAMES['score']}_{tile}_{pair.replace('_vs_', '_')}.tif"
    return file_sets.write_files(theirs, files, target, "pixel", overwrite=is_free, caller=caller)


def _components(folder: Path, end: str, caller: str) -> list[Path]:
    """Files along x of a stage, in a folder or in that of the displacements in it."""
    inside = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
    found = [
        each for each in sorted(inside.rglob("*.tif*"))
        if (match := _FILE.fullmatch(each.name)) and (match["field"], match["end"]) == (_NAMES["dx"], end)
    ]  # fmt: skip
    if not found:
        raise FileNotFoundError(
            f"{caller}() needs files MM_{_NAMES['dx']}_TILE_DATE1_vs_DATE2_{end}.tif; got none in {inside}. Give the "
            "folder of the results, or another stage: stage='corrected' or stage='filtered'."
        )
    return found


def _of_pair(path: Path, caller: str) -> dict[str, Path]:
    """Files of the pair that a displacement belongs to, by our names; the score only if it is there."""
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise ValueError(
            f"{caller}() needs a file MM_{_NAMES['dx']}_TILE_DATE1_vs_DATE2_corrected.tif; got {path}. Rename it."
        )
    files = {ours: path.with_name(path.name.replace(match["field"], _NAMES[ours], 1)) for ours in ("dx", "dy")}
    name = f"MM_{_NAMES['score']}_{match['tile']}_{match['first']}_{match['second']}{match['again'] or ''}.tif"
    places = (path.parent.glob(name), path.parent.glob(f"*/{name}"), path.parent.parent.glob(f"*/{name}"))
    score = next((each for found in places for each in sorted(found)), None)
    return files if score is None else files | {"score": score}
