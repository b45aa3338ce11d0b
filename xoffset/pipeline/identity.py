"""What a store is made of, written down to be compared before a run goes on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import grids, history
from xoffset.pipeline.places import Place, Remote

logger = logging.getLogger("xoffset")

Identity = dict[str, Any]
# Group in the store that tells of its tiles; a name with a point is none of a variable.
RECORD = ".tiles"
# Parts of a file that are compared, and bytes of each.
SAMPLES, SAMPLE = 8, 4096


def identity_of(data: xr.Dataset, inputs: Mapping[str, str] | None = None) -> Identity:
    """Version, steps with their parameters, variables, dates, grid and inputs of a product; nothing is computed."""
    steps, crs = history.steps(data), grids.crs_of(data)
    return {
        "xoffset": version("xoffset"),
        "steps": {f"{k} {step['function']}": step for k, step in enumerate(steps, 1)},
        "variables": {str(name): f"{each.dtype} {each.dims}" for name, each in sorted(data.data_vars.items())},
        "dates": {
            name: _digest(data[name].values.astype("M8[us]").astype(np.int64))
            for name in ("reference", "secondary", "time")
            if name in data.coords and data[name].dtype.kind == "M"
        },
        "grid": {name: _digest(np.asarray(data[name].values)) for name in ("y", "x") if name in data.coords},
        "crs": None if crs is None else crs.to_string(),
        "inputs": dict(inputs or {}),
    }


def fingerprints(sources: Mapping[str, Any]) -> dict[str, str]:
    """Name of each file, product or array behind a run, and what tells it from another.

    Of a file these are size, time and samples, of an array a hash. A folder counts with all that is in it. Arrays that
    are lazy count by their dates and grid alone. Of an address it is what its service tells without reading.
    """
    found: dict[str, str] = {}
    for name, source in sources.items():
        if isinstance(source, (xr.DataArray, xr.Dataset)):
            found[name] = _of_array(source)
        elif isinstance(source, (str, Path)) and "://" not in str(source):
            found |= {str(path): _of_path(path) for path in _paths(Path(source).expanduser())}
        elif isinstance(source, str):
            found[name if source in found else source] = _of_address(source)
        elif isinstance(source, (list, tuple)):
            found |= fingerprints({f"{name}[{k}]": each for k, each in enumerate(source)})
        else:
            found[name] = type(source).__name__
    return found


def _of_address(address: str) -> str:
    """Size and mark of what an address stands for, where the service tells; else nothing but its name."""
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        system, key = url_to_fs(address)
        system.invalidate_cache()
        told = system.info(key)
    except Exception as error:  # each service has its own errors, and some tell nothing
        logger.info("nothing but its address is known of %s: %s", address, error)
        return "an address"
    marks = (str(told[name]) for name in ("size", "ETag", "mtime", "LastModified") if told.get(name) is not None)
    return ", ".join(("an address", *marks))


def differences(then: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """What differs between two identities, each as "name: was ..., is ..."."""
    found = []
    for name in dict.fromkeys([*then, *now]):
        where = f"{path}{name}"
        old, new = then.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{where}: ")
        elif old != new:
            found.append(f"{where}: was {_short(old)}, is {_short(new)}")
    return found


def _short(value: Any) -> str:
    text = "not there" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _paths(path: Path) -> list[Path]:
    """Files and folders that a path or a pattern stands for."""
    if path.exists():
        return [path]
    anchor = Path(path.anchor) if path.is_absolute() else Path()
    pattern = str(path.relative_to(anchor)) if path.is_absolute() else str(path)
    return sorted(anchor.glob(pattern)) or [path]


def _of_path(path: Path) -> str:
    """Size, time of the last change and samples of a file, or of all files of a folder."""
    there = path.rglob("*") if path.is_dir() else [path]
    files = sorted(each for each in there if each.is_file())
    states = [(each.relative_to(path.parent).as_posix(), each.stat()) for each in files]
    if not states:
        return "not there"
    told = [
        f"{name} {state.st_size} {state.st_mtime_ns} {_samples(each, state.st_size)}"
        for each, (name, state) in zip(files, states, strict=True)
    ]
    size = sum(state.st_size for _, state in states)
    return f"{size} bytes, {hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:16]}"


def _samples(file: Path, size: int) -> str:
    """Hash of parts of a file from its first bytes to its last: copies may keep the time of another file."""
    told = hashlib.sha256()
    with file.open("rb") as opened:
        for k in range(SAMPLES):
            opened.seek(max(size - SAMPLE, 0) * k // (SAMPLES - 1))
            told.update(opened.read(SAMPLE))
    return told.hexdigest()[:16]


def _of_array(data: xr.DataArray | xr.Dataset) -> str:
    """Hash of the values in memory, and of the coordinates in memory or along one dim."""
    told = hashlib.sha256()
    arrays = data.to_dataset(name="values") if isinstance(data, xr.DataArray) else data
    for name, variable in sorted(arrays.variables.items(), key=lambda each: str(each[0])):
        told.update(f"{name} {variable.dims} {variable.dtype}".encode())
        # coordinates along one dim are small, and what is computed follows them: the sun of each date, say
        is_known = isinstance(variable.data, np.ndarray) or (variable.ndim <= 1 and name in data.coords)
        if is_known and variable.dtype.kind not in "OT":
            told.update(np.ascontiguousarray(variable.values).view(np.uint8).data)
    return told.hexdigest()[:16]


def _digest(values: np.ndarray) -> str:
    return f"{values.size} values, {history.digest_of(values)}"


def is_finished(where: Remote) -> bool:
    """Whether a store in a bucket says that it is complete."""
    import zarr

    try:
        return bool(zarr.open_group(f"{where}/{RECORD}", mode="r").attrs.get("is_complete", False))
    except FileNotFoundError:
        return False


def made_of(where: Place) -> Identity | None:
    """What a store of tiles is made of; None of any other."""
    import zarr

    try:
        found: Identity = json.loads(str(zarr.open_group(f"{where}/{RECORD}", mode="r").attrs["made_of"]))
    except (FileNotFoundError, KeyError, ValueError):
        return None
    return found
