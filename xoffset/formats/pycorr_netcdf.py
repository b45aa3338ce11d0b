"""NetCDF file of a pair in the layout of pycorr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.formats import itslive, writing
from xoffset.formats.pycorr_layers import NO_CLASS, Sheets, title_of

_PACKED = {"zlib": True, "complevel": 2, "shuffle": True}


def write(sheets: Sheets, pair: int, log: str | None, place: Path, caller: str) -> None:
    """Write the file of a pair, and into it what was done, below the lines that the caller says; None: without."""
    writing.netcdf(_dataset(sheets, pair), place, caller)
    if log is None:
        return
    import h5netcdf

    letters = np.frombuffer(sheets.log(pair, log).encode("ascii", "backslashreplace"), dtype="S1")
    # xarray would give the letters another dim
    with h5netcdf.File(place, "a") as file:
        file.dimensions["chars"] = letters.size
        index = file.create_variable("chars", ("chars",), "i4", data=np.arange(letters.size, dtype=np.int32))
        index.attrs.update(standard_name="character_index", long_name="character index for log file", units=" ")
        text = file.create_variable("processing_log", ("chars",), "S1", data=letters)
        text.attrs.update(standard_name="sc_pycorr_process_log", long_name="log from feature tracking processing")


def _dataset(sheets: Sheets, pair: int) -> xr.Dataset:
    place, mapping = sheets.masked.place, itslive.mapping(sheets.masked)
    kind = str(mapping.get("grid_mapping_name", "mapping"))
    data = xr.Dataset(
        coords={
            "y": ("y", place.y, {"standard_name": "projection_y_coordinate", "units": "m"}),
            "x": ("x", place.x, {"standard_name": "projection_x_coordinate", "units": "m"}),
        },
        attrs={"GDAL_AREA_OR_POINT": "Area", "Conventions": "CF-1.6"},
    )
    for name, layer in sheets.layers(pair).items():
        about = {"grid_mapping": kind, "units": layer.units, "long_name": title_of(name)}
        data[name] = (("y", "x"), layer.values.astype(np.float32), about)
        data[name].encoding = {"_FillValue": np.float32(layer.fill)} | _PACKED
    if sheets.land is not None:
        about = {"grid_mapping": kind, "units": "1", "long_name": title_of("lgo_mask")}
        data["lgo_mask"] = (("y", "x"), sheets.land, about)
        data["lgo_mask"].encoding = {"_FillValue": np.int8(NO_CLASS)} | _PACKED
    told: dict[str, dict[str, Any]] = {
        kind: mapping, "image_pair_times": sheets.times(pair), "offset_correction": sheets.offset_correction(pair),
        "input_image_details": sheets.image_details(pair),
    }  # fmt: skip
    for name, about in told.items():
        data[name] = ((), np.int8(0), about)
    for variable in data.variables.values():
        variable.encoding.setdefault("_FillValue", None)
    return data
