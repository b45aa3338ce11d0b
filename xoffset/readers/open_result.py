"""Reopen saved products: Zarr stores and netCDF files back to the Dataset that was written."""

from __future__ import annotations

import importlib
import math
import os
import uuid
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import tiles
from xoffset.model import history, storage, variables
from xoffset.model.dates import DATE_ENCODING
from xoffset.model.renamed import with_new_names
from xoffset.readers import completeness, incomplete
from xoffset.readers.completeness import Listed
from xoffset.readers.stored import ADVICE, Stored, pieces_of

# What a variable must remember to be written again with the same meaning. All other encoding tells how the old file
# was stored (chunks, shards, codecs, list of coordinates): it is wrong once the data are re-chunked or change format.
_KEPT_ENCODING = frozenset({"_FillValue", "missing_value", "scale_factor", "add_offset", "grid_mapping"})

# How netCDF4 files, which are HDF5 files, begin.
HDF = b"\x89HDF\r\n\x1a\n"

_DECODING: dict[str, Any] = {
    "decode_coords": "all",
    "decode_times": xr.coders.CFDatetimeCoder(time_unit="us"),
    # a variable in days is a number with a unit, unless a timedelta was written
    "decode_timedelta": xr.coders.CFTimedeltaCoder(decode_via_units=False),
}

# Memory up to which stored chunks are joined to one dask chunk, bytes: a task then is worth its overhead.
_TASK_BYTES = 16 * 2**20


def open_result(path: str | os.PathLike[str], *, partial: bool = False) -> xr.Dataset:
    """Product that was saved to Zarr or netCDF, as it was: with CRS, exact dates, labels and flags.

    Pixel data stay on disk until they are computed, in dask chunks that are whole stored chunks (or shards); dates and
    other coordinates are read at once. The result can be re-chunked, computed with, and written again in any format.

    A store whose writer was stopped, or that has lost files, is refused: as far as the list of its chunks, its dates
    and the last pairs or dates tell, when it is opened; otherwise when the values are computed.

    Parameters
    ----------
    path
        Zarr store, version 2 or 3 (a folder, or a URL that fsspec understands), or netCDF4 file. Written with plain
        `.to_zarr()` or `.to_netcdf(engine="h5netcdf")`.
    partial
        Open an incomplete product too. What is unwritten is NaN then, -1 in counts, and `flags`, which are read at
        once, have the bit `unwritten` there; pairs or dates that not all variables have are left out.

    Returns
    -------
    xarray.Dataset
        The network (pair), shifts (pair, y, x), series (time, y, x) or rate (y, x), `identical` to what was written:
        `dx` and `dy` in metres, velocities in metres a year, NaN where there is no value, dates as datetime64[us] in
        UTC. A stack that was saved as `stack.to_dataset()` comes back as a Dataset with that one variable.

    Raises
    ------
    FileNotFoundError
        If there is nothing at that path.
    ImportError
        If it is a netCDF file and the `netcdf` extra is not installed.
    ValueError
        If it is neither a Zarr store nor a netCDF4 file, or holds no product.
    OSError
        If it is incomplete, or damaged: a damaged chunk is named when it is read, which may be when it is computed.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/velocity.zarr"
    ...     store = truth[["vx", "vy"]].to_zarr(path, consolidated=False)
    ...     xoffset.open_result(path).identical(truth[["vx", "vy"]])
    True
    """
    return open_stored(os.fspath(path), None, is_partial=_options.as_switch(partial, "partial", "open_result"))


def open_stored(
    place: str, chunks: Mapping[Hashable, int] | None, *, is_partial: bool = False, are_pixels: bool = False
) -> xr.Dataset:
    """Product or stack on disk in dask chunks, the given ones or those that its stored chunks suggest."""
    opened, arrays = open_arrays(place, is_partial=is_partial)
    try:
        _check_product(opened, place)
        stored = _with_coordinates(opened, place)
        caller = "open_stack" if are_pixels else "open_result"
        sources = {
            name: replace(_source(name, stored, arrays, place, is_partial), caller=caller) for name in stored.data_vars
        }
        if is_partial:
            incomplete.check(place, stored, arrays)
        else:
            found = completeness.unwritten(stored, arrays, sources, _group(place, arrays), _folders(place))
            completeness.check(place, found, caller)
            if are_pixels:
                completeness.check_pixels(place, stored, arrays)
        result = _with_chunks(stored, sources, chunks or _chunks(stored))
        if is_partial:
            result = incomplete.with_gaps(result, sources, arrays)
    except BaseException:
        opened.close()
        raise
    result = with_new_names(result)
    _restore_encoding(result)
    result.set_close(opened.close)
    return result


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a Zarr store, of version 3 or 2."""
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup"))


def open_arrays(place: str, *, is_partial: bool) -> tuple[xr.Dataset, dict[str, Listed]]:
    """Dataset on disk, and what the listing of a Zarr store tells of its arrays."""
    if "://" in place:
        return _open_url(place)
    local = Path(place)
    if not local.exists():
        raise FileNotFoundError(
            f"open_result() needs a saved product; got {place}, where there is nothing. Check the path; relative ones "
            f"start at {Path.cwd()}."
        )
    if local.is_dir():
        if not is_zarr(local):
            raise ValueError(
                f"open_result() needs a Zarr store or a netCDF4 file; got the folder {place} with neither zarr.json "
                "nor .zgroup in it. Give the path of the store itself, or read images with open_stack()."
            )
        return _open_folder(place, is_partial=is_partial)
    _check_netcdf(local)
    return _read_or_explain(place, place, engine="h5netcdf"), {}


def _group(place: str, arrays: Mapping[str, Listed]) -> Any:
    """Zarr group of a store, with its summary; None of netCDF files, and of stores that are not listed."""
    if not arrays and not Path(place).is_dir():
        return None
    import zarr

    with _explained(place):
        return zarr.open_group(place, mode="r")


def _folders(place: str) -> set[str]:
    """Folders in that of a local store: those of its arrays."""
    if not Path(place).is_dir():
        return set()
    return {each.name for each in Path(place).iterdir() if each.is_dir() and not each.name.startswith(".")}


def _open_url(place: str) -> tuple[xr.Dataset, dict[str, Listed]]:
    # Listing the arrays of a remote store costs a request each, or is not possible: ask for the summary first.
    for is_summary in (True, False):
        with suppress(Exception):  # absence is another type of error in every Zarr version and for every protocol
            raw = xr.backends.ZarrStore.open_group(place, mode="r", consolidated=is_summary)
            _check_lines(raw.load()[0], place)
            return _read_or_explain(raw, place), completeness.listed(place, raw.zarr_group)
    return _read_or_explain(place, place, engine="zarr", consolidated=False), {}


def _open_folder(place: str, *, is_partial: bool) -> tuple[xr.Dataset, dict[str, Listed]]:
    with _explained(place):
        # The summary (consolidated metadata) may be older than the arrays: an append need not renew it.
        raw = xr.backends.ZarrStore.open_group(place, mode="r", consolidated=False)
        arrays = completeness.listed(place, raw.zarr_group)
        arrays_on_disk, attrs = raw.load()
    _check_lines(arrays_on_disk, place)
    lengths: dict[Hashable, set[int]] = {}
    for variable in arrays_on_disk.values():
        for dim, size in variable.sizes.items():
            lengths.setdefault(dim, set()).add(size)
    uneven = {dim: sizes for dim, sizes in lengths.items() if len(sizes) > 1}
    if uneven and not is_partial:
        dim, sizes = next(iter(uneven.items()))
        raise OSError(
            f"open_result() needs a complete product; the variables of {place} have {min(sizes)} to {max(sizes)} "
            f"elements along '{dim}'. An append to it was stopped. {ADVICE}"
        )
    if not uneven:
        return _read_or_explain(raw, place), arrays
    cut = {
        name: variable.isel({dim: slice(min(lengths[dim])) for dim in variable.dims})
        for name, variable in arrays_on_disk.items()
    }
    with _explained(place):
        return xr.decode_cf(xr.Dataset(cut, attrs=attrs), **_DECODING), arrays


def _check_lines(lines: Mapping[str, xr.Variable], place: str) -> None:
    """Read what xarray reads at once, for errors that name it: axes and the like, and both ends of maps of dates."""
    for name, variable in lines.items():
        stored = Stored(place, name, variable, pieces_of(variable))
        if variable.ndim < 2:
            stored.raw()
        elif " since " in str(variable.attrs.get("units")) and variable.size:
            stored.raw((slice(0, 1),) * variable.ndim)
            stored.raw(tuple(slice(size - 1, size) for size in variable.shape))


def _check_netcdf(file: Path) -> None:
    with file.open("rb") as opened:
        start = opened.read(len(HDF))
    if start != HDF:
        kind = "netCDF 3, which holds no 64-bit integers" if start[:3] == b"CDF" else "no netCDF4"
        raise ValueError(
            f"open_result() needs a Zarr store or a netCDF4 file; got {file}, which is {kind}. "
            'Write products with .to_zarr() or .to_netcdf(engine="h5netcdf"); read images with open_stack().'
        )
    try:
        for name in ("h5netcdf", "h5py"):
            importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"open_result() needs h5netcdf and h5py to read {file}; got '{error}'. "
            "Install them: pip install 'xoffset[netcdf]'."
        ) from error


@contextmanager
def _explained(place: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # what a damaged store raises depends on the library and on the byte that is wrong
        raise OSError(
            f"open_result() needs a readable Zarr store or netCDF4 file; got '{type(error).__name__}: {error}' from "
            f"{place}. It is incomplete or damaged: write it again."
        ) from error


def _read_or_explain(source: Any, place: str, **options: Any) -> xr.Dataset:
    with _explained(place):
        return xr.open_dataset(source, chunks=None, cache=False, **_DECODING, **options)


def _check_product(data: xr.Dataset, place: str) -> None:
    is_network = {"reference", "secondary"} <= set(data.coords) and "pair" in data.dims
    has_maps = any(variable.dims[-2:] == ("y", "x") for variable in data.data_vars.values())
    # products without maps, such as trajectories, are known by their variables or by the record of how they were made
    is_known = any(name in table for table in variables.TABLES for name in data.data_vars)
    if not is_network and not has_maps and not is_known and not history.steps(data):
        raise ValueError(
            f"open_result() needs a network, shifts, series, rate, profile or stack; got {place} with variables "
            f"{sorted(map(str, data.variables))} and dims {tuple(data.dims)}. Open it with xarray.open_dataset()."
        )


def _with_coordinates(stored: xr.Dataset, place: str) -> xr.Dataset:
    """Read the coordinates, which every selection and write needs; those on the grid stay on disk."""
    coordinates = {}
    for name, coordinate in stored.coords.items():
        if not {"y", "x"} <= set(coordinate.dims):
            read = Stored(place, name, coordinate.variable, pieces_of(coordinate.variable)).raw()
            values = coordinate.variable.copy(deep=False, data=read)
            # Strings come back as another type from each format, and netCDF or Zarr refuse that of the other.
            coordinates[name] = values.astype(object) if values.dtype.kind in "TU" else values
    return stored.assign_coords(coordinates)


def _source(name: Hashable, stored: xr.Dataset, arrays: dict[str, Listed], place: str, is_partial: bool) -> Stored:
    variable = stored.variables[name]
    fill = arrays[str(name)].fill if name in arrays else None
    source = Stored(place, name, variable, pieces_of(variable), fill, is_partial)
    if arrays or "flags" not in stored or stored["flags"].dtype.kind != "i":
        return source
    for component in ("dx", "vx"):
        names = (component, f"sigma_{component}", "flags")
        if name in names and all(each in stored and stored[each].dims == variable.dims for each in names):
            others = (Stored(place, each, stored.variables[each], source.pieces) for each in names)
            return replace(source, witnesses=tuple(others))
    return source


def _with_chunks(stored: xr.Dataset, sources: Mapping[Hashable, Stored], chunks: Mapping[Hashable, int]) -> xr.Dataset:
    """Leave the data on disk, in dask chunks."""
    # The random token keeps a cluster from mistaking a rewritten store for the one it has already read.
    token = uuid.uuid4().hex
    lazy = {}
    for name, source in sources.items():
        old = source.variable
        sides = tuple(chunks.get(dim, -1) for dim in old.dims)
        lazy[name] = xr.Variable(old.dims, tiles.lazy_reads(source, sides, f"{name}-{token}"), old.attrs, old.encoding)
    return stored.assign(lazy)


def _chunks(stored: xr.Dataset) -> dict[Hashable, int]:
    """One chunk size a dim: whole stored chunks of every variable, as many as make a task worth its overhead."""
    chunks: dict[Hashable, int] = {}
    for variable in stored.data_vars.values():
        for dim, piece in zip(variable.dims, pieces_of(variable.variable), strict=True):
            chunks[dim] = max(1, min(math.lcm(chunks.get(dim, 1), piece), stored.sizes[dim]))
    if not chunks:
        return chunks
    widest = max(stored.data_vars.values(), key=lambda variable: variable.nbytes)
    # Dates first, as a pixel's whole history is what most steps need; then along rows, as they lie on disk.
    for dim in sorted(widest.dims, key=lambda dim: {"x": 1, "y": 2}.get(str(dim), 0)):
        bytes_now = widest.dtype.itemsize * math.prod(chunks[other] for other in widest.dims)
        chunks[dim] = min(chunks[dim] * max(1, _TASK_BYTES // bytes_now), max(1, stored.sizes[dim]))
    return chunks


def _restore_encoding(data: xr.Dataset) -> None:
    data.encoding = {}
    for name, variable in data.variables.items():
        old = variable.encoding
        if variable.dtype.kind == "M":
            encoding: dict[str, Any] = dict(DATE_ENCODING)
        elif name in data.coords:
            encoding = {"_FillValue": None} if variable.dtype.kind == "f" else {}
        else:
            encoding = {key: old[key] for key in _KEPT_ENCODING & set(old)}
            if np.dtype(old.get("dtype", variable.dtype)) != variable.dtype:
                encoding["dtype"] = old["dtype"]  # packed as integers
        variable.encoding = encoding
    storage.encode(data)
