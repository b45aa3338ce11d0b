"""pycorr's pictures of the speed of a pair: GeoTIFFs in colours, and KMZ."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import kmz, legends, pycorr_layers, rasters, writing
from xoffset.formats.pycorr_layers import UNITS, Given, Sheets
from xoffset.model import grids
from xoffset.plotting import style

_log = logging.getLogger(__name__)

_CALLER = "pycorr.write_browse"
# Colours from slow to fast, and the speed at which the logarithmic scale begins.
_COLOURS, SLOWEST = "batlow", 0.1
# By whether the scale is logarithmic: what ends the names, and the name of the scale.
_SCALES: dict[bool, tuple[str, Literal["linear", "log"]]] = {False: ("", "linear"), True: ("_log10", "log")}


def write_browse(
    shifts: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    plotvmax: float = 15.0,
    log10: bool = False,
    per: Literal["day", "year"] = "day",
    base: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Pictures of the masked speed of each pair in the layout of pycorr: colours in a GeoTIFF, and KMZ with a bar.

    `<reference>_<secondary>.tif` has red, green, blue and alpha of a linear scale from 0 to `plotvmax`, transparent
    where there is no value, the `.kmz` the same with a colour bar; `_log10` those of a logarithmic scale from 0.1 on.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x), screened; lazy ones are computed pair by pair.
    folder
        Where the files go; made if it is not there.
    plotvmax
        Speed at the upper end of the colours, in the unit of `per`; faster ground has the last colour.
    log10
        Whether to draw the logarithmic scale, too.
    per, base, overwrite
        As of `pycorr.write`.

    Returns
    -------
    list of pathlib.Path
        The files, pair by pair. Of shifts without a CRS, and of maps that hold a pole or cross the antimeridian, there
        is no KMZ, as the log says.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If it is no Dataset, or `log10` neither True nor False.
    ValueError
        If these are no shifts, or the speed is not above 0, with `log10` not above 0.1.
    FileExistsError
        If a file is there and `overwrite` is False.
    OSError
        If the files cannot be written.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.pycorr.write_browse(shifts, folder, plotvmax=0.1)]
    ['20200101_20210101.tif', '20200101_20210101.kmz']
    """
    target = _options.as_path(folder, "folder", _CALLER)
    is_asked = _options.as_switch(overwrite, "overwrite", _CALLER)
    scales = (False, True) if _options.as_switch(log10, "log10", _CALLER) else (False,)
    most = _options.as_positive(plotvmax, "plotvmax", _CALLER, unit="m/d or m/yr", example=15.0)
    if log10 and most <= SLOWEST:
        raise ValueError(
            f"{_CALLER}() needs plotvmax above {SLOWEST:g} for log10=True, where its scale begins; got {plotvmax!r}. "
            "Raise it, or leave log10 out."
        )
    style.check_extra(_CALLER)
    sheets = pycorr_layers.prepared(shifts, Given(per=per, base=base), _CALLER)
    kinds = _kinds(sheets, scales)
    names = [f"{stem}{ending}" for stem in sheets.names for ending in kinds]
    with writing.replaced_all(target, names, overwrite=is_asked, caller=_CALLER) as scratch:
        for pair, stem in enumerate(sheets.names):
            speed = sheets.layers(pair)["vv_masked"].values.astype(np.float64)
            for is_log in scales:
                ending, scale = _SCALES[is_log]
                ends = kmz.Ends(_COLOURS, SLOWEST if is_log else 0.0, most, is_log, "neither")
                _write_colours(speed, ends, sheets, scratch / f"{stem}{ending}.tif")
                if f"{ending}.kmz" in kinds:
                    field = _labelled(speed, sheets, pair)
                    kmz.write(
                        field, scratch / f"{stem}{ending}.kmz", variable="vv", scale=scale, limits=(ends.low, most)
                    )
    return [target / name for name in names]


def _kinds(sheets: Sheets, scales: tuple[bool, ...]) -> list[str]:
    """What the names of the files of a pair end with."""
    try:
        kmz.check_place(
            _labelled(np.zeros((sheets.masked.place.y.size, sheets.masked.place.x.size)), sheets, 0), _CALLER
        )
        kinds = [".tif", ".kmz"]
    except ValueError as error:
        _log.warning("%s() writes no KMZ: %s", _CALLER, error)
        kinds = [".tif"]
    return [f"{_SCALES[is_log][0]}{kind}" for is_log in scales for kind in kinds]


def _labelled(speed: np.ndarray, sheets: Sheets, pair: int) -> xr.Dataset:
    """Speed of a pair as a map, in the unit that is shown."""
    place = sheets.masked.place
    coords = {
        "y": ("y", place.y), "x": ("x", place.x), "reference": sheets.masked.reference[pair],
        "secondary": sheets.masked.secondary[pair],
    }  # fmt: skip
    data = xr.Dataset({"vv": (("y", "x"), speed, {"units": UNITS[sheets.per][0], "long_name": "speed"})}, coords)
    return data if place.crs is None else data.assign_coords(spatial_ref=grids.spatial_ref(place.crs))


def _write_colours(speed: np.ndarray, ends: kmz.Ends, sheets: Sheets, place: Path) -> None:
    """Colours of a map, transparent where there is no value, as a GeoTIFF of four bands."""
    shares = ends.shares(np.minimum(speed, ends.high))
    colours = legends.colours(ends.colours, np.nan_to_num(shares))
    colours[..., 3] = np.where(np.isnan(shares), 0, 255)
    bands = {name: colours[..., k] for k, name in enumerate(("red", "green", "blue", "alpha"))}
    unit = UNITS[sheets.per][0]
    about = {"scale": "log" if ends.is_log else "linear", "limits": f"{ends.low:g} {ends.high:g} {unit}"}
    options = rasters.profile(sheets.masked.place, sheets.masked.step) | {"nodata": None, "photometric": "RGB"}
    rasters.write(place, bands, options | {"alpha": "yes"}, about, _CALLER)
