"""What a path is: a product, a stack, scenes, images, or a run, told without reading whole images."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from xoffset import _options
from xoffset.inspection import others, rasters, scenes, stores
from xoffset.inspection.info_text import Info, listed
from xoffset.readers.open_result import HDF, is_zarr
from xoffset.readers.products import is_product, without_parts
from xoffset.readers.rasters import is_image, products_in, without_sidecars

_CALLER = stores.CALLER
# Names that stand beside others, or tell of them, and are nothing by themselves.
_BESIDE = (
    ".md",
    ".pdf",
    ".html",
    ".xml",
    ".json",
    ".prj",
    ".hdr",
    ".lock",
    ".toml",
    ".ovr",
    ".msk",
    ".aux.xml",
    ".cpg",
)


def info(path: str | os.PathLike[str]) -> Info:
    """What there is at a path, and whether it is whole: to be printed, or taken apart with `to_dict`.

    Metadata are read, and of values as few as tell the share that is valid: of large grids some blocks, which the
    answer says. Nothing is opened as a stack, so that what `open_stack` would refuse is told, too.

    Parameters
    ----------
    path
        Product, stack or unfinished store of ours, Zarr or netCDF; folder of a run; files of other systems that
        `open_shifts` reads; scenes as they are delivered, folder or archive; raster file; folder or pattern of these.

    Returns
    -------
    Info
        `kind`: one of ``"scene"``, ``"scenes"``, ``"image"``, ``"images"``, ``"stack"``, ``"network"``, ``"shifts"``,
        ``"series"``, ``"rate"``, ``"displacement"``, ``"product"``, ``"run"`` and ``"folder"``, which holds several.
        `facts` by name, as far as they are known: `grid` (columns, rows, spacing, extent in the units of the CRS),
        `crs` (None without), `dates` (UTC) with the longest gap, `pairs` with baselines in days, `complete` (state,
        tiles done and failed, what is lacking), `valid` (share from 0 to 1 and in what it was counted), `variables`
        with units, `version`, `history` (functions with their parameters); of scenes `scenes` (counts by sensor, level,
        tile and orbit), `bands` (pixel size in metres), `missing` and `clouds` (per cent, of the metadata). `parts` are
        those of a folder, `problems` say what could not be used.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path, or nothing in the folder.
    ImportError
        If a format needs an extra that is not installed.
    OSError
        If a file is damaged or cut off.
    TypeError
        If it is no path.
    ValueError
        If nothing of what is there is known.

    Examples
    --------
    >>> import tempfile, xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = xoffset.to_zarr(truth[["vx", "vy"]], f"{folder}/rate.zarr")
    ...     found = xoffset.info(f"{folder}/rate.zarr")
    >>> found.kind, found["complete"]["tiles"]["done"], found["valid"]["share"]
    ('rate', 1, 1.0)
    """
    place = _options.as_path(path, "path", _CALLER).expanduser()
    if "://" in os.fspath(path):
        return _of_address(os.fspath(path))
    if not place.exists():
        return _of_absent(place)
    return _described(place)


def _described(place: Path) -> Info:
    """Info of what exists."""
    if stores.is_run(place):
        return stores.of_run(place, _described)
    if is_product(str(place)):
        return _of_product(place)
    if place.is_dir() and not is_zarr(place):
        if others.is_of_system(place):
            return others.of_systems(place, others.systems_of(place))
        return _of_entries(str(place), sorted(place.iterdir()))
    if rasters.is_exported(place):
        return rasters.of_exported(str(place), [str(place)])
    systems = others.systems_of(place)
    if systems:
        return others.of_systems(place, systems)
    if place.is_dir() or _is_hdf(place):
        return stores.of_saved(str(place))
    return _of_file(place)


def _of_product(place: Path) -> Info:
    """Info of what looks like a product; of a folder with a broken one also of what else there is."""
    try:
        return scenes.of_products(str(place), [str(place)])
    except (OSError, ValueError):
        if not place.is_dir():
            raise
        with suppress(OSError, ValueError):
            found = _of_entries(str(place), sorted(place.iterdir()))
            if found.parts:
                return found
        raise


def _is_hdf(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(HDF)) == HDF


def _of_file(file: Path) -> Info:
    """Info of a raster file, whatever its name."""
    try:
        return rasters.of_images(str(file), [str(file)])
    except OSError as error:
        if is_image(str(file)):
            raise
        raise ValueError(
            f"{_CALLER}() needs a product, a stack, scenes, images or a table of displacements; got {file}, which is "
            "none that is known. Look whether it is whole, or read a table of your own with from_table()."
        ) from error


def _of_address(address: str) -> Info:
    """Info of a product or store on a server."""
    return scenes.of_products(address, [address]) if is_product(address) else stores.of_saved(address)


def _of_absent(place: Path) -> Info:
    """Info of a store that is not complete yet, or of the files of a pattern."""
    part = place.with_name(f"{place.name}.part")
    if part.exists():
        return _described(part)
    found = sorted(glob.glob(str(place), recursive=True)) if glob.has_magic(str(place)) else []  # noqa: PTH207
    if found:
        return _of_entries(str(place), [Path(each) for each in found])
    raise FileNotFoundError(
        f"{_CALLER}() needs a file or folder; got {place}, where there is nothing. Check the path; relative ones start "
        f"at {Path.cwd()}."
    )


# ------------------------------------------------------------------------------------------------------------- folders


def _of_entries(path: str, entries: Sequence[Path]) -> Info:
    """Info of what a folder holds: of one kind as a whole, of several kinds each by itself."""
    groups: dict[str, list[Path]] = {}
    problems: list[str] = []
    kept = {*without_parts(without_sidecars([str(each) for each in entries if not each.name.startswith(".")]))}
    for entry in (each for each in entries if str(each) in kept):
        try:
            group = _group_of(entry)
        except (OSError, ImportError) as error:
            problems.append(str(error))
        else:
            inside = [Path(each) for each in products_in(str(entry))] if group == "scenes" else [entry]
            groups.setdefault(group, []).extend(inside)
    rest = groups.pop("other files and folders", [])
    if not groups and not problems:
        held = listed((each.name for each in rest), 5) or "nothing"
        raise (ValueError if rest else FileNotFoundError)(
            f"{_CALLER}() needs a folder with products, scenes or images; got {path}, which holds {held}. Give the "
            "path of what is to be described, or a pattern such as 'folder/**/*_B04.jp2'."
        )
    parts: list[Info] = []
    for group, members in groups.items():
        for each in [members] if group in _TOGETHER else [[member] for member in members[: others.MOST_PARTS]]:
            try:
                parts.append(_of_group(path, group, each, is_alone=len(groups) == 1))
            except (OSError, ValueError, ImportError) as error:
                problems.append(str(error))
    if len(parts) == 1 and len(groups) == 1 and next(iter(groups)) in _TOGETHER:
        return replace(parts[0], problems=(*parts[0].problems, *problems))
    holds = {group: len(members) for group, members in groups.items()}
    holds |= {"other files and folders": len(rest)} if rest else {}
    return Info(path, "folder", {"holds": holds}, tuple(parts), tuple(problems))


# Groups of which all members are one thing.
_TOGETHER = ("scenes", "images", "exported maps", "files of other systems")


def _group_of(entry: Path) -> str:
    """What an entry of a folder is told as."""
    if is_product(str(entry)) or products_in(str(entry)) != [str(entry)]:
        return "scenes"
    if stores.is_run(entry):
        return "runs"
    if entry.is_dir() and not is_zarr(entry):
        return "files of other systems" if others.is_of_system(entry) else "other files and folders"
    if entry.name.lower().endswith(_BESIDE):
        return "other files and folders"
    if rasters.is_exported(entry):
        return "exported maps"
    if others.systems_of(entry):
        return "files of other systems"
    if entry.is_dir() or _is_hdf(entry):
        return "stores"
    return "images" if is_image(str(entry)) else "other files and folders"


def _of_group(path: str, group: str, members: Sequence[Path], *, is_alone: bool) -> Info:
    """Info of the members of a folder that belong together."""
    names = [str(each) for each in members]
    where = path if is_alone else names[0] if len(names) == 1 else f"{path} ({len(names)} of its entries)"
    if group == "scenes":
        return scenes.of_products(where, names)
    if group == "images":
        return rasters.of_images(where, names)
    if group == "exported maps":
        return rasters.of_exported(where, names)
    if group == "files of other systems":
        systems: dict[str, list[str]] = {}
        for each in members:
            for system, places in others.systems_of(each).items():
                known = systems.setdefault(system, [])
                known += [place for place in places if place not in known]
        return others.of_systems(Path(where), systems)
    return _described(members[0])
