"""pycorr's set of GeoTIFFs of a pair, one a layer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import file_sets, pycorr_layers, rasters, writing
from xoffset.formats.pycorr_layers import Given, title_of

_CALLER = "pycorr.write_geotiffs"
# Layers of its set; those of the curvature, the offsets and the ground are in netCDF alone.
LAYERS = ("vx", "vx_masked", "vy", "vy_masked", "vv", "vv_masked", "corr", "del_corr")


def write_geotiffs(
    shifts: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    unmasked: xr.Dataset | None = None,
    per: Literal["day", "year"] = "day",
    base: str | None = None,
    log: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """GeoTIFFs in the layout of pycorr, `<reference>_<secondary>_vx.tif` and so on, in any projection.

    Of each pair `vx`, `vy`, `vv` as they were matched and, what the masks leave, `vx_masked`, `vy_masked`, `vv_masked`,
    east and north positive along the axes of the grid, nodata -9999; `corr` and `del_corr`, nodata -2. Each is under
    its own name; pycorr itself writes the masked speed over the masked `vx`.

    Parameters
    ----------
    shifts, folder, unmasked, per, base, overwrite
        As of `pycorr.write`; a CRS is not needed.
    log
        First lines of the tag `processing_log`, such as a command; below them it tells what was done of the pair.

    Returns
    -------
    list of pathlib.Path
        The files, pair by pair.

    Raises
    ------
    TypeError, ValueError, FileExistsError, OSError
        As of `pycorr.write`.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     xoffset.formats.pycorr.write_geotiffs(shifts, folder)[0].name
    '20200101_20210101_vx.tif'
    """
    target = _options.as_path(folder, "folder", _CALLER)
    is_asked = _options.as_switch(overwrite, "overwrite", _CALLER)
    pycorr_layers.check_log(log, _CALLER)
    sheets = pycorr_layers.prepared(shifts, Given(unmasked, per, base=base), _CALLER)
    options = rasters.profile(sheets.masked.place, sheets.masked.step)
    kept = [name for name in LAYERS if not name.endswith("corr") or pycorr_layers.OURS[name] in sheets.raw.fields]
    names = [f"{stem}_{name}.tif" for stem in sheets.names for name in kept]
    with writing.replaced_all(target, names, overwrite=is_asked, caller=_CALLER) as scratch:
        for pair, stem in enumerate(sheets.names):
            tags = file_sets.tags_of(sheets.masked, pair) | (
                {} if log is None else {"processing_log": sheets.log(pair, log)}
            )
            correction = {key: str(value) for key, value in sheets.offset_correction(pair).items()}
            for name, layer in sheets.layers(pair).items():
                if name in kept:
                    values = np.where(np.isfinite(layer.values), layer.values, layer.fill).astype(np.float32)
                    about = tags | correction | {"long_name": title_of(name)}
                    place = scratch / f"{stem}_{name}.tif"
                    rasters.write(
                        place, {name: values}, options | {"nodata": layer.fill}, about, _CALLER, units=layer.units
                    )
    return [target / name for name in names]
