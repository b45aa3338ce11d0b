"""Displacements that other systems measured, as shifts: the system is told from the files."""

from __future__ import annotations

import glob
import importlib
import inspect
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from xoffset import _options
from xoffset.formats import joining, looks
from xoffset.formats.names import SYSTEMS
from xoffset.model.dates import Date

if TYPE_CHECKING:
    import pyproj

_LOGGER = logging.getLogger(__name__)
_CALLER = "open_shifts"
# Files that stand beside others, or hold no displacements, and are passed over without a word.
_BESIDE = (".hdr", ".aux.xml", ".ovr", ".msk", ".prj", ".xml", ".json", ".md", ".pdf", ".png", ".jpg", ".jpeg", ".kmz")


def open_shifts(
    source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    system: str | None = None,
    dates: tuple[Date, Date] | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts from the files of other systems, with our signs and units, so that they invert together.

    Parameters
    ----------
    source
        File, folder, store, URL of a store, pattern with `*`, or a list of these. All pairs become one network, on
        the least grid that holds all; their grids must be of one CRS and step, with nodes at the same places. Of a
        folder or a pattern, files that no system knows are passed over, which is logged.
    system
        Name of the system, a key of `xoffset.formats.names.SYSTEMS`, where files do not tell, or of all files if
        there are several. None: told from names, variables and attributes of each file.
    dates
        Reference and secondary date, of one pair whose files do not tell them.
    pixel_size
        Side of a pixel of the matched images in metres, or one along x and one along y, of files that count pixels and
        do not tell their size.
    crs
        CRS of files that do not tell it, in any form that pyproj takes.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x), lazy where the format allows: `dx`, `dy` in metres of the grid, positive toward increasing
        x and y from the reference to the secondary date; `sigma_dx`, `sigma_dy` in metres, NaN where the system tells
        none; `flags` (`nodata` where there is no value); `score` and others where the system has them. Coordinates
        `system` and `source` on `pair` tell where each pair is from. Pairs of the same two dates are all kept.

    Raises
    ------
    TypeError
        If the source is no path and no list of paths.
    FileNotFoundError
        If there is nothing at a path.
    ImportError
        If a format needs an extra that is not installed.
    ValueError
        If no system knows a file, or several do; dates, sizes or CRS lack, or are given where files tell them; or
        grids do not fit each other.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.itslive.write(shifts, folder)
    ...     xoffset.open_shifts(folder).load().sizes == shifts.sizes
    True
    """
    options: dict[str, Any] = {"dates": dates, "pixel_size": pixel_size, "crs": crs}
    options = {name: value for name, value in options.items() if value is not None}
    if system is not None:
        _options.check_name(system, tuple(SYSTEMS), "system", _CALLER)
    units = dict.fromkeys(unit for entry in _entries(source) for unit in systems_in(entry, system))
    if not units:
        raise ValueError(
            f"{_CALLER}() needs files of a system that is known; got none at {_shown(source)}. "
            f"Name their system: system= one of {', '.join(SYSTEMS)}."
        )
    if dates is not None and len(units) > 1:
        raise ValueError(
            f"{_CALLER}() needs one pair where dates are given; got {len(units)} at {_shown(source)}, which cannot all "
            "be of these dates. Open each with its own dates and join them: xarray.concat([...], 'pair')."
        )
    return joining.joined([_read(name, place, options) for name, place in units], _CALLER)


def _entries(source: Any) -> list[str]:
    """Paths, patterns and addresses that were given."""
    if isinstance(source, (str, os.PathLike)):
        return [os.fspath(source)]
    if isinstance(source, Iterable) and not isinstance(source, (bytes, Mapping, xr.Dataset)):
        entries = list(source)
        if entries and all(isinstance(each, (str, os.PathLike)) for each in entries):
            return [os.fspath(each) for each in entries]
    raise TypeError(
        f"{_CALLER}() needs a path or a list of paths; got {_shown(source)}. An opened cube goes to its system: "
        "xoffset.formats.itslive_cube.read(cube)."
    )


def _shown(source: Any) -> str:
    return repr(source)[:120] if isinstance(source, (str, os.PathLike, list, tuple)) else type(source).__name__


def systems_in(entry: str, system: str | None) -> Iterator[tuple[str, str]]:
    """Names of systems and paths of what they read at once: a file that may stand for several, or a folder."""
    is_pattern = glob.has_magic(entry) and "://" not in entry and not Path(entry).exists()
    if is_pattern:
        found = sorted(glob.glob(str(Path(entry).expanduser()), recursive=True))  # noqa: PTH207, of absolute paths too
        if not found:
            raise FileNotFoundError(f"{_CALLER}() needs files; got none that fit {entry}. Check the pattern.")
    else:
        whole = looks.look(entry if "://" in entry else str(Path(entry).expanduser()), _CALLER)
        names = known_by(whole, system)
        if names or whole.kind != "folder":
            yield _only(names, whole, system), _main(_only(names, whole, system), whole.place)
            return
        found = sorted(str(path) for path in Path(whole.place).iterdir())
    files = [place for place in found if not (place.lower().endswith(_BESIDE) or Path(place).name.startswith("."))]
    inside = [looks.look(place, _CALLER) for place in files]
    # the system that is named need not know the names of its files, but if it knows some it is those
    if system is not None and any(module_of(system).recognises(one) for one in inside):
        inside = [one for one in inside if module_of(system).recognises(one)]
    for one in inside:
        names = known_by(one, system)
        if names:
            yield _only(names, one, system), _main(_only(names, one, system), one.place)
        else:
            _LOGGER.info("open_shifts() passes over %s, which no system knows.", one.place)


def module_of(system: str) -> Any:
    """Module that reads a system.

    It has `read(place, *, dates=None, pixel_size=None, crs=None)`, with those of these options that its files may need,
    and `recognises(look)`; if a pair is spread over files also `main(place)`, the file that stands for all of them.
    """
    return importlib.import_module(f"xoffset.formats.{SYSTEMS[system].module}")


def known_by(look: looks.Look, system: str | None) -> list[str]:
    """Systems that take a file for theirs; the one that is named takes all but folders that it does not know."""
    if system is not None:
        return [system] if look.kind != "folder" or module_of(system).recognises(look) else []
    # several rows of one module are kinds of its files, which it tells apart itself
    names = [name for name in SYSTEMS if module_of(name).recognises(look)]
    modules = [SYSTEMS[name].module for name in names]
    return [name for k, name in enumerate(names) if modules[k] not in modules[:k]]


def _only(names: list[str], look: looks.Look, system: str | None) -> str:
    if len(names) == 1:
        return names[0]
    if system is None and names:
        raise ValueError(
            f"{_CALLER}() needs to know the system of {look.place}; got names that {' and '.join(names)} use alike. "
            f"Say which: system={names[0]!r} or system={names[1]!r}."
        )
    held = ", ".join(sorted(look.names)[:12]) or "none"
    raise ValueError(
        f"{_CALLER}() needs a file of a system that is known; got {look.place} ({look.kind}, names: {held}). "
        f"Name its system: system= one of {', '.join(SYSTEMS)}, or read a table with from_table()."
    )


def _main(system: str, place: str) -> str:
    main = getattr(module_of(system), "main", None)
    return place if main is None else str(main(place))


def _read(system: str, place: str, options: Mapping[str, Any]) -> xr.Dataset:
    read = module_of(system).read
    taken = inspect.signature(read).parameters
    unused = [name for name in options if name not in taken]
    if unused:
        raise ValueError(
            f"{_CALLER}() needs no {unused[0]} for {SYSTEMS[system].title}, whose files tell it; got "
            f"{unused[0]}={options[unused[0]]!r}. Leave it out."
        )
    with _options.speaking_as(_CALLER, f"{SYSTEMS[system].module}.read"):
        result: xr.Dataset = read(place, **options)
    return result
