"""MicMac: `Px1`, `Px2` and `Correl` of one pair as shifts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import file_sets, looks
from xoffset.formats.file_sets import LEAST_SCORE, MOST_SCORE, Given
from xoffset.formats.mpic import has_pair_dates
from xoffset.formats.names import SYSTEMS
from xoffset.model.dates import Date
from xoffset.model.flags import FLAGS

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["micmac"].names
_FILE = re.compile(rf"(?P<field>{'|'.join(_NAMES.values())})(?P<rest>(?:_.*)?\.tiff?)", re.IGNORECASE)


def recognises(look: looks.Look) -> bool:
    """Whether a file is one of the three, without the dates that a service gives them."""
    return look.kind == "tiff" and _FILE.fullmatch(look.name) is not None and not has_pair_dates(look.name)


def main(place: str) -> str:
    """The file along x that one of the three belongs to."""
    return str(_of_pair(Path(place), "micmac.read")["dx"])


def read(
    path: str | os.PathLike[str],
    *,
    dates: tuple[Date, Date] | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts of one pair that MicMac has matched.

    `Px1` counts pixels toward the right, `Px2` downwards: dy has the other sign. `Correl`, where it is there, becomes
    the score, 0 to 1; its least number stands for what lies outside of the mask or does not correlate at all: dx and
    dy, which the regularisation has filled in there, are NaN and flagged `outside` and `nodata`.

    Parameters
    ----------
    path
        One of the files `Px1.tif`, `Px2.tif`, `Correl.tif`, perhaps with more of a name after these; or a folder with
        one set of them.
    dates
        Reference and secondary date; not needed if the names tell two.
    pixel_size
        Side of a pixel in metres, or one along x and one along y, where the files have no georeference. Coordinates are
        metres from the first pixel then, with y decreasing downwards.
    crs
        CRS of the files, where they do not tell it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair; standard errors are not known.

    Raises
    ------
    FileNotFoundError
        If `Px1` or `Px2` is not there.
    ValueError
        If dates or the size of pixels lack, or the files are not on one grid.
    """
    caller = "micmac.read"
    place = _options.as_path(path, "path", caller)
    files = _of_pair(_only_set(place, caller) if place.is_dir() else place, caller)
    return file_sets.read_files("micmac", files, Given(dates, pixel_size, crs), caller, change=_without_outside)


def _without_outside(fields: dict[str, np.ndarray]) -> np.ndarray | None:
    """Set values to NaN where the score has its least number; answer the flags there."""
    if "score" not in fields:
        return None
    score = fields["score"]
    if np.nanmax(score, initial=0.0) <= 1.0:  # as shares of 255
        score = score * np.float32(MOST_SCORE)
    is_outside = ~(score > LEAST_SCORE + 0.01)
    fields["score"] = score
    for name in fields:
        fields[name] = np.where(is_outside, np.float32(np.nan), fields[name])
    return is_outside * np.int64(FLAGS["outside"])


def _only_set(folder: Path, caller: str) -> Path:
    found = [each for each in sorted(folder.iterdir()) if (match := _FILE.fullmatch(each.name)) and _is(match, "dx")]
    if len(found) != 1:
        raise FileNotFoundError(
            f"{caller}() needs one file {_NAMES['dx']}.tif in the folder; got {len(found)} in {folder}. Give the file."
        )
    return found[0]


def _is(match: re.Match[str], field: str) -> bool:
    return match["field"].lower() == _NAMES[field].lower()


def _of_pair(path: Path, caller: str) -> dict[str, Path]:
    """Files of the pair that a file belongs to, by our names."""
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise ValueError(
            f"{caller}() needs a file whose name begins with {', '.join(_NAMES.values())}; got {path}. Rename it."
        )
    beside = {each.name.lower(): each for each in path.parent.iterdir()} if path.parent.is_dir() else {}
    files = {ours: path.with_name(f"{theirs}{match['rest']}") for ours, theirs in _NAMES.items()}
    files = {ours: beside.get(each.name.lower(), each) for ours, each in files.items()}
    return {ours: each for ours, each in files.items() if ours != "score" or each.exists()}
