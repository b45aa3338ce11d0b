"""Raster files, one or a folder of them: grid, CRS, bands and dates, before they are opened as a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from xoffset.inspection import datasets
from xoffset.inspection.info_text import Facts, Info, listed
from xoffset.model.variables import TABLES
from xoffset.readers import dates, grids, raster_files
from xoffset.readers.raster_files import RasterFile

# Images of a folder of which some pixels are looked at.
_COUNTED = 8


def of_images(path: str, files: Sequence[str]) -> Info:
    """Info of raster files; those that cannot be read are problems, or the error of a single one."""
    found: dict[str, RasterFile] = {}
    problems: list[str] = []
    picked = {files[k] for k in np.linspace(0, len(files) - 1, min(len(files), _COUNTED)).astype(int)}
    for file in files:
        try:
            found[file] = raster_files.read(file, is_counted=file in picked)
        except (OSError, ValueError) as error:
            problems.append(str(error))
            first = error
    if not found:
        raise first
    every = list(found.values())
    facts: Facts = {} if len(files) == 1 else {"files": len(files)}
    grid, told = _grid(every), _dates(found)
    notes = [*grid.pop("note", ()), *told.pop("note", ()), *_notes(every)]
    facts |= grid | told
    bands = list(dict.fromkeys(name for each in every for name in each.bands))
    facts["bands"] = dict.fromkeys(bands)
    facts |= _valid(every)
    facts["note"] = notes
    n_dates = facts["dates"]["number"]
    kind = "image" if len(files) == 1 and n_dates < 2 else "images"
    return Info(path, kind, facts, problems=tuple(problems))


def of_exported(path: str, files: Sequence[str]) -> Info:
    """Info of the GeoTIFF files of a product, one a variable, as `to_geotiff` writes them."""
    found = of_images(path, files)
    made = datasets.history_of(raster_files.read(files[0], is_counted=False).tags)
    names = [Path(file).stem for file in files]
    kind = next((kind for name, kind in (("vx", "rate"), ("dx", "displacement")) if name in names), "product")
    facts = {name: value for name, value in found.facts.items() if name not in ("bands", "note", "dates")}
    facts |= {"dates": found.facts["dates"]} if found.facts["dates"]["number"] else {}
    facts |= {"variables": dict.fromkeys(names), "note": ["GeoTIFF files"]} | made
    return replace(found, kind=kind, facts=facts)


def is_exported(file: Path) -> bool:
    """Whether a file is called as a variable of ours and tells how it was made."""
    if file.suffix.lower() != ".tif" or not any(file.stem in table for table in TABLES):
        return False
    return bool(datasets.history_of(raster_files.read(str(file), is_counted=False).tags))


def of_header(file: str) -> Facts:
    """Grid and CRS of one file."""
    return _grid([raster_files.read(file, is_counted=False)])


def _grid(every: Sequence[RasterFile]) -> Facts:
    """Grid that most of the files have, and how many have another."""
    keys = [(each.shape, each.extent, each.spacing) for each in every]
    k = max(range(len(keys)), key=lambda k: keys.count(keys[k]))
    one = every[k]
    crs = grids.as_pyproj(one.crs)
    names = {datasets.named(grids.as_pyproj(each.crs)) for each in every}
    unit = "pixels" if not one.is_placed else "degrees" if crs is not None and crs.is_geographic else "m"
    grid = {
        "columns": one.shape[1],
        "rows": one.shape[0],
        "unit_of_grid": "pixels",
        "spacing": list(one.spacing) if one.is_placed else None,
        "units": unit,
        "extent": None if one.extent is None else list(one.extent),
    }
    found: Facts = {"grid": grid, "crs": datasets.named(crs)}
    different = len(keys) - keys.count(keys[k])
    notes = [f"{different} of {len(keys)} files are on other grids than this one"] if different else []
    if len(names) > 1:
        notes.append(f"there are several CRS: {listed(sorted(map(str, names)))}")
    if not one.is_placed:
        notes.append("no georeference: open_stack() needs pixel_size=, the side of a pixel in metres")
    return found | ({"note": notes} if notes else {})


def _dates(found: dict[str, RasterFile]) -> Facts:
    """Dates that the files tell themselves, or by their names."""
    inside = [date for each in found.values() for date in each.dates]
    silent = [file for file, each in found.items() if not each.dates]
    try:
        named = dates.scenes(silent, None) if silent else []
    except ValueError:
        told = [scene for file in silent if dates.is_told(file) and (scene := dates.scenes([file], None)[0])]
        names = [Path(file).name for file in silent if not dates.is_told(file)] or [Path(file).name for file in silent]
        note = [f"{len(names)} of {len(found)} files tell no date ({listed(names, 3)}): open_stack() needs date="]
        return {"dates": datasets.dates([*inside, *(scene.date for scene in told)]), "note": note}
    return {"dates": datasets.dates([*inside, *(scene.date for scene in named)])}


def _valid(every: Sequence[RasterFile]) -> Facts:
    counted = [each for each in every if each.valid is not None]
    if not counted:
        why = "images of this format and size are not looked at"
        return {"valid": {"share": None, "of": "pixels", "counted": why}}
    share = float(np.mean([each.valid for each in counted]))
    looked_at = float(np.mean([each.looked_at for each in counted]))
    how = "all of them" if looked_at == 1.0 else f"{100 * looked_at:.2g} % of them"
    if len(every) > len(counted):
        n_images = f"{len(counted)} of {len(every)} images"
        how = n_images if looked_at == 1.0 else f"{how} in {n_images}"
    return {"valid": {"share": share, "of": "the pixels", "counted": how}}


def _notes(every: Sequence[RasterFile]) -> list[str]:
    """Format, type of the pixels, and what stands for no data."""
    kinds = [f"{driver} of {dtype}" for driver, dtype in dict.fromkeys((each.driver, each.dtype) for each in every)]
    fills = listed(sorted({"none" if each.nodata is None else f"{each.nodata:g}" for each in every}))
    return [f"{listed(kinds)}; declared nodata value: {fills}"]
