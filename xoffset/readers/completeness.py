"""Whether a store holds all that it was meant to, told from the listing of its chunks and from few values."""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections.abc import Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import history, storage
from xoffset.readers.stored import ADVICE, Stored, placed

logger = logging.getLogger(__name__)

# Values of the last pairs or dates that are looked at when a store is opened, bytes: there an append ends that was
# stopped. All others are looked at when they are computed.
_LOOKED_AT = 64 * 2**20
COMPONENTS = (("dx", "dy"), ("vx", "vy"))
# Functions whose products have coordinates alone.
_NETWORKS = ("pairs", "plan")
_NEVER_EMPTY = ("x", "y", "time", "reference", "secondary")
# Products without the components of motion, or of which a variable behind the flags enters later results: the one that
# is created last.
_LAST = {"closure": "is_bad", "diagnose": "redundancy"}
_LAST |= dict.fromkeys(("strain", "ground", "quality", "profile", "trajectory", "vector_coherence"), "flags")
_LAST["invert"] = "sigma_drift_dy"
# Functions whose products have the variables of what they were given.
_PASSING = ("rereference", "resample")
Chunk = tuple[int, ...]


@dataclass(frozen=True)
class Listed:
    """An array of a Zarr store: its shape, that of its chunks (or shards), and which of these are not there.

    Of a strict array each chunk must be there. One of Zarr 2 with our encoding may lack chunks without values.
    """

    shape: tuple[int, ...]
    pieces: tuple[int, ...]
    fill: Any
    is_strict: bool
    is_ours: bool
    missing: tuple[Chunk, ...]

    @property
    def count(self) -> int:
        """Number of chunks of the whole array."""
        return math.prod(-(-size // piece) for size, piece in zip(self.shape, self.pieces, strict=True))

    @property
    def tells_unwritten(self) -> bool:
        """Whether flags that were never written say so."""
        return self.fill is not None and np.isfinite(self.fill) and (int(self.fill) & storage.UNWRITTEN) != 0

    def ends(self, chunk: Chunk) -> list[tuple[int, int]]:
        """First element of a chunk and the one after its last, along each axis."""
        sides = zip(chunk, self.pieces, self.shape, strict=True)
        return [(k * piece, min((k + 1) * piece, size)) for k, piece, size in sides]


def listed(place: str, group: Any) -> dict[str, Listed]:
    """Arrays of a Zarr store by name."""
    arrays = dict(group.arrays())
    return {name: _listed(name, array, _keys(place, name), "flags" in arrays) for name, array in arrays.items()}


def _listed(name: str, array: Any, keys: set[str] | None, is_flagged: bool) -> Listed:
    pieces = tuple(max(1, side) for side in array.shards or array.chunks)
    counts = [range(-(-size // piece)) for size, piece in zip(array.shape, pieces, strict=True)]
    encode = array.metadata.encode_chunk_key
    missing = () if keys is None else tuple(chunk for chunk in itertools.product(*counts) if encode(chunk) not in keys)
    is_old = array.metadata.zarr_format == 2
    declared = array.fill_value if is_old else array.attrs.get("_FillValue")
    is_strict = name in _NEVER_EMPTY or storage.is_strict(np.dtype(array.dtype), array.fill_value, declared)
    # Zarr 2 takes no fill value of ours, and leaves out empty chunks of what is appended, but not of a new array
    is_ours = is_old and bool(getattr(array.metadata.compressor, "checksum", False))
    is_strict |= is_ours and array.ndim > 0 and (array.ndim < 3 or not is_flagged)
    return Listed(array.shape, pieces, array.fill_value, is_strict, is_ours, missing)


def _keys(place: str, name: str) -> set[str] | None:
    """Files of an array, relative to it; None where a server lists none."""
    if "://" not in place:
        root = Path(place, name)
        folders = ((Path(folder), files) for folder, _, files in os.walk(root))
        return {(folder / file).relative_to(root).as_posix() for folder, files in folders for file in files}
    import fsspec  # type: ignore[import-untyped]

    try:
        system, root = fsspec.core.url_to_fs(f"{place.rstrip('/')}/{name}")
        found = {path[path.index(root) + len(root) + 1 :] for path in system.find(root)}
        # a server that lists nothing does not even list what describes the store
        is_listed = bool(found or system.find(root.rsplit("/", 1)[0]))
    except Exception as error:  # each protocol has its own
        logger.info("no listing of %s: %s", place, error)
        return None
    return found if is_listed else None


def unwritten(
    stored: xr.Dataset,
    arrays: Mapping[str, Listed],
    sources: Mapping[Hashable, Stored],
    group: Any,
    folders: AbstractSet[str] = frozenset(),
) -> list[str]:
    """What a store lacks, in words: variables, chunks, dates, values at its end; nothing where it is complete.

    A netCDF file, which has neither arrays nor a group, is of one piece. `folders` are those of a local store.
    """
    found = [] if group is None else list(lacking(stored, arrays, group, folders))
    for name, array in arrays.items():
        if name in stored.variables and array.missing and array.is_strict:
            dims = stored.variables[name].dims
            first = placed(dims, array.ends(array.missing[0]), array.pieces)
            found.append(f"{len(array.missing)} of {array.count} chunks of '{name}' (the first is {first})")
    found += [f"values of '{name}'" for name in stored.coords if has_gaps(name, stored, arrays.get(str(name)))]
    # what follows has to read: it is needed only where the listing finds nothing
    return found or list(_silent_gaps(arrays or {}, sources))


def lacking(
    stored: xr.Dataset, arrays: Mapping[str, Listed], group: Any, folders: AbstractSet[str] = frozenset()
) -> Iterator[str]:
    """Variables and coordinates that are not there: those of the summary (consolidated metadata) of the store.

    It is written when all variables are created. Without one, those that other variables name, and those that a product
    of ours cannot do without: a writer that was stopped may not have come to them.
    """
    summary = group.metadata.consolidated_metadata
    if summary is not None:
        wanted = sorted(summary.metadata)
    else:
        wanted = sorted(_named(stored, group.attrs.get("coordinates"))) + _needed(stored, arrays)
    # zarr passes over arrays of which the description is damaged or lost
    wanted += sorted(folders - {name for name, _ in group.groups()})
    yield from (f"the variable '{name}'" for name in dict.fromkeys(wanted) if name not in stored.variables)
    steps = history.steps(stored)
    if steps and not stored.data_vars and steps[-1]["function"] not in _NETWORKS:
        yield f"all variables of {steps[-1]['function']}()"


def _named(stored: xr.Dataset, of_all: Any) -> set[str]:
    """Names of coordinates that xarray wrote into what describes the store, or its variables."""
    texts = [of_all]
    for variable in stored.variables.values():
        for known in (variable.attrs, variable.encoding):
            texts += [known.get("coordinates"), known.get("grid_mapping")]
    return {name for text in texts if isinstance(text, str) for name in text.split()}


def _needed(stored: xr.Dataset, arrays: Mapping[str, Listed]) -> list[str]:
    """Names of what a product of ours cannot do without."""
    steps = history.steps(stored)
    if not steps and not any(history.steps(each) for each in stored.data_vars.values()):
        return []
    wanted = [str(dim) for dim in stored.dims if dim in _NEVER_EMPTY]
    for names in COMPONENTS if steps else ():
        of_names = [stored[name] for name in names if name in stored.data_vars]
        if of_names:
            wanted += [*names, *(f"sigma_{name}" for name in names), "flags"]
            wanted += ["reference", "secondary"] if "pair" in of_names[0].dims else []
    is_old = not any(array.is_ours or np.array_equal(array.fill, np.inf) for array in arrays.values())
    makers = [step["function"] for step in steps if step["function"] not in _PASSING]
    last = None if is_old or not makers else _LAST.get(makers[-1])
    return wanted if last is None else [*wanted, last]


def has_gaps(name: Hashable, stored: xr.Dataset, array: Listed | None) -> bool:
    """Whether a coordinate, which was read, has unwritten values."""
    values = stored.variables[name].values
    if values.dtype.kind == "M":
        return name in ("reference", "secondary", "time") and bool(np.isnat(values).any())
    gaps = None if array is None else storage.is_unwritten(name, values, array.fill)
    return gaps is not None and bool(gaps.any())


def _silent_gaps(arrays: Mapping[str, Listed], sources: Mapping[Hashable, Stored]) -> Iterator[str]:
    """Chunks without a value and without a reason, as a writer leaves them that was stopped."""
    flags = sources.get("flags")
    partner = next((sources[x] for x, _ in COMPONENTS if x in sources), None)
    if flags is None or flags.dtype.kind != "i" or "flags" not in arrays:  # where() makes floats of them
        return
    if partner is None or partner.shape != flags.shape:
        return
    array = arrays["flags"]
    for name in (each for names in COMPONENTS for x in names for each in (x, f"sigma_{x}") if each in arrays):
        for ends in (arrays[name].ends(chunk) for chunk in arrays[name].missing if arrays[name].is_ours):
            if arrays[name].shape == flags.shape and (flags.raw(tuple(slice(*each) for each in ends)) == 0).any():
                yield f"values of '{name}' in {placed(flags.variable.dims, ends, arrays[name].pieces)}"
                return
    missing = [array.ends(chunk) for chunk in array.missing]
    for ends in [*missing, *_last(array)]:
        key = tuple(slice(*each) for each in ends)
        gaps = are_gaps(partner.raw(key), flags.raw(key), array)
        # values without a flag may be the caller's own doing where they are single ones
        if gaps.any() if array.tells_unwritten or ends in missing else gaps.all((1, 2)).any():
            yield f"values of '{partner.name}' in {placed(flags.variable.dims, ends, array.pieces)}"
            return


def are_gaps(values: np.ndarray, flags: np.ndarray, array: Listed | None) -> np.ndarray:
    """Where values were never written: flags say so, or, of a fill value 0, say nothing of a value that is not there.

    `array` tells how the flags are stored.
    """
    known = as_bits(flags)
    gaps = ((known & np.int64(storage.UNWRITTEN)) != 0) | np.isinf(values)
    if array is not None and not array.tells_unwritten:
        gaps |= np.isnan(values) & (known == 0)
    return np.asarray(gaps)


def as_bits(flags: np.ndarray) -> np.ndarray:
    """Flags as whole numbers; where() makes floats of them, and NaN of what its caller removed."""
    return np.asarray(np.nan_to_num(flags).astype(np.int64))


def _last(array: Listed) -> list[list[tuple[int, int]]]:
    """Chunks at the end of the first axis, where an append may have stopped within them, as one block."""
    if len(array.shape) != 3 or array.pieces[0] == 1 or 0 in array.shape:
        return []
    pairs, rows, columns = array.shape
    start = (pairs - 1) // array.pieces[0] * array.pieces[0]
    # whole chunks are decompressed
    rows_of_chunks = max(1, _LOOKED_AT // (12 * array.pieces[0] * array.pieces[1] * columns))
    return [[(start, pairs), (0, min(rows_of_chunks * array.pieces[1], rows)), (0, columns)]]


def check(place: str, found: list[str], caller: str) -> None:
    """Refuse a store that lacks something."""
    if found:
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise OSError(
            f"{caller}() needs a complete product; {place} lacks {', '.join(found[:4])}{more}. Its writer was "
            f"stopped, or files were lost. {ADVICE}"
        )


def check_pixels(place: str, stored: xr.Dataset, arrays: Mapping[str, Listed]) -> None:
    """Refuse whole-number pixels of which chunks are not there, unless the value in their place means "no data"."""
    for name, variable in stored.data_vars.items():
        array = arrays.get(str(name))
        # of the variables with a declared fill value xarray makes floats
        if array is None or not array.missing or variable.dtype.kind not in "iu":
            continue
        raise ValueError(
            f"open_stack() needs all pixels; {place} lacks {len(array.missing)} of {array.count} chunks of '{name}', "
            f"and {array.fill} in their place may be pixels or may never have been written. Write the stack again with "
            "stack.to_zarr(path, write_empty_chunks=True), or as floats with NaN."
        )
