"""Displacements of other systems, as far as their files tell."""

from __future__ import annotations

from pathlib import Path

from xoffset import _options
from xoffset.formats.looks import look
from xoffset.formats.names import SYSTEMS
from xoffset.formats.open_shifts import known_by, open_shifts, systems_in
from xoffset.inspection import datasets, rasters
from xoffset.inspection.info_text import Facts, Info
from xoffset.inspection.stores import CALLER, counted
from xoffset.readers.files import state

# Files without parts that can be read alone are opened up to this size, bytes together.
_OPENED = 256 * 2**20
# Things in a folder that are told one by one.
MOST_PARTS = 12


def is_of_system(folder: Path) -> bool:
    """Whether a folder as a whole is one of a system."""
    return bool(known_by(look(str(folder), CALLER), None))


def systems_of(path: Path) -> dict[str, list[str]]:
    """Systems that know a file, or files of a folder, and these; none if nothing is known, or not which of several."""
    found: dict[str, list[str]] = {}
    try:
        with _options.speaking_as(CALLER, "open_shifts"):
            for system, place in systems_in(str(path), None):
                if place not in found.setdefault(system, []):
                    found[system].append(place)
    except ValueError:
        return {}
    return found


def of_systems(path: Path, systems: dict[str, list[str]]) -> Info:
    """Info of the shifts of other systems in a file or folder."""
    places = [place for each in systems.values() for place in each]
    facts: Facts = {"system": ", ".join(SYSTEMS[name].title for name in systems)}
    if len(places) > 1:
        facts["files"] = len(places)
    problems: list[str] = []
    size = sum(found[2] for place in places if (found := state(place)) and Path(place).is_file())
    if size > _OPENED and not _are_arrays(places):
        facts |= rasters.of_header(places[0])
        facts["note"] = [f"only the header of {Path(places[0]).name} was read: the files have {size / 1e9:.1f} GB"]
        return Info(str(path), "shifts", facts)
    try:
        with _options.speaking_as(CALLER, "open_shifts"):
            data = open_shifts(places)
    except (ValueError, ImportError) as error:
        if len(places) > 1:
            return _each(path, systems)
        # what their files do not tell: dates, size of pixels, CRS
        facts |= rasters.of_header(places[0]) if Path(places[0]).suffix.lower() in (".tif", ".tiff") else {}
        return Info(str(path), "shifts", facts | {"needs": str(error).replace(f"{CALLER}() ", "open_shifts() ", 1)})
    try:
        facts |= datasets.of_dataset(data) | counted(data, {}, str(path), problems)
    finally:
        data.close()
    facts.pop("history", None)
    facts.pop("version", None)
    return Info(str(path), "shifts", facts, problems=tuple(problems))


def _each(path: Path, systems: dict[str, list[str]]) -> Info:
    """Info of files that make no one network, or of which some do not tell enough."""
    parts = [of_systems(Path(place), {name: [place]}) for name, places in systems.items() for place in places]
    return Info(str(path), "folder", {"holds": {"files of other systems": len(parts)}}, tuple(parts[:MOST_PARTS]))


def _are_arrays(places: list[str]) -> bool:
    """Whether files are stores or HDF5, of which values are read when they are asked for."""
    return all(Path(place).is_dir() or Path(place).suffix.lower() in (".nc", ".h5", ".hdf5") for place in places)
