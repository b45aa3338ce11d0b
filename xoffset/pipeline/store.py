"""A Zarr store that is written tile by tile and goes on where it was stopped.

One shard of each variable is one tile with all of its pairs. A tile is written by one task, which then writes down that
it is there. Until all are, a folder lies beside its place, as `NAME.part`; then it is renamed. Objects of a bucket are
written in their place, since nothing is renamed there, and the store itself tells whether it is complete.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import threads
from xoffset.model import storage
from xoffset.pipeline import store_files as beside
from xoffset.pipeline.identity import RECORD, Identity, differences, is_finished, made_of
from xoffset.pipeline.places import Place as Where
from xoffset.pipeline.places import Remote, remove
from xoffset.pipeline.shards import shard_layout
from xoffset.pipeline.store_files import Unwritable

# States of a tile.
NEVER_RUN, DONE, ALL_NAN, FAILED = range(4)
# Longest reason for a failure that is kept, bytes.
REASON = 500

Place = tuple[int, int]


@dataclass(frozen=True)
class TileStore:
    """A product (…, y, x) on its way to `path`; `sides` are those of its tiles, in nodes."""

    path: Where
    dims: dict[str, tuple[Hashable, ...]]
    shape: tuple[int, int]
    sides: tuple[int, int]
    rest: tuple[str, ...] = ()  # variables that are no map, and are written with the first tile
    where: Where | None = None  # where it lies, if not where it is written

    @property
    def _place(self) -> Where:
        return self.part if self.where is None else self.where

    @property
    def part(self) -> Where:
        """Where the store lies until it is complete."""
        return self.path if isinstance(self.path, Remote) else self.path.with_name(f"{self.path.name}.part")

    @property
    def is_begun(self) -> bool:
        """Whether there is a store that is not complete."""
        if self.is_complete:
            return False
        if isinstance(self.part, Remote):
            return made_of(self.part) is not None or (self.part.exists() and not beside.is_half_laid(self.part))
        return self.part.exists()

    @property
    def is_complete(self) -> bool:
        """Whether the store is in its place, with all of its tiles unless they were lost since."""
        return is_finished(self.path) if isinstance(self.path, Remote) else self.path.exists()

    @property
    def is_gone(self) -> bool:
        """Whether the store was in a folder and is not there any more, as its disk has vanished."""
        return not isinstance(self.path, Remote) and not self.part.exists() and not self.path.exists()

    @property
    def places(self) -> list[Place]:
        """Row and column of each tile."""
        return list(np.ndindex(*(-(-count // side) for count, side in zip(self.shape, self.sides, strict=True))))

    def create(self, data: xr.Dataset, identity: Identity, by: str = "") -> None:
        """Write what is no tile: axes, dates, what describes the variables, and what the store is made of.

        `by` tells apart those that may do so at the same time: the first one's store is that of all.
        """
        if isinstance(self.part, Remote):
            if not by:
                # of a writer that was killed before it could say what it was about to make
                remove(self.part)
            with tempfile.TemporaryDirectory() as folder:
                self._lay_out(Path(folder) / "new", data, identity)
                beside.lay(Path(folder) / "new", self.part)
            return
        making = self.part.with_name(f"{self.part.name}{by}.new")
        shutil.rmtree(making, ignore_errors=True)
        self._lay_out(making, data, identity)
        try:
            making.rename(self.part)
        except OSError:
            # a folder that is not empty is never renamed to
            if not self.part.exists():
                raise
            shutil.rmtree(making)
        if self.path.exists():
            # all others were ended while this one was begun
            shutil.rmtree(self.part)

    def _lay_out(self, where: Path, data: xr.Dataset, identity: Identity) -> None:
        import zarr

        where.mkdir()
        target = beside.target(where)
        described = beside.without_values(self.with_encoding(data))
        described.to_zarr(target, mode="w-", compute=False, consolidated=False, zarr_format=3)
        counts = tuple(-(-count // side) for count, side in zip(self.shape, self.sides, strict=True))
        record = zarr.open_group(target, mode="r+").create_group(RECORD)
        fields = (("state", "u1", ()), ("bytes", "i8", ()), ("checksum", "u4", ()), ("reason", "u1", (REASON,)))
        for name, dtype, more in fields:
            record.create_array(name, shape=counts + more, chunks=(1, 1, *more), dtype=dtype, fill_value=0)
        files = sorted(each for each in where.rglob("*") if each.is_file() and each != where / RECORD / "zarr.json")
        word, tell = ("sizes", beside.bytes_of) if isinstance(self.part, Remote) else ("checksums", beside.checksum)
        told = {word: {each.relative_to(where).as_posix(): tell(each) for each in files}}
        # last, so that a store that says what it is made of lacks nothing but tiles
        record.attrs.update(told | {"made_of": json.dumps(identity)})

    def damaged(self) -> list[str]:
        """Files beside the tiles, of axes, dates and descriptions, that are lost or not as they were written.

        Of objects the size tells.
        """
        if isinstance(self._place, Remote):
            sizes = beside.sizes_beside(self._place, self._tiled)
            return [name for name, size in self._record("r").attrs.get("sizes", {}).items() if sizes.get(name) != size]
        known = self._record("r").attrs.get("checksums", {})
        return [name for name, found in known.items() if beside.checksum(self._place / name) != found]

    def restore(self, data: xr.Dataset, identity: Identity, names: list[str]) -> None:
        """Write files beside the tiles anew.

        Raises
        ------
        ValueError
            If they would not be the same, as another version of Zarr may write them.
        """
        known, is_remote = self._record("r").attrs, isinstance(self._place, Remote)
        with tempfile.TemporaryDirectory() as folder:
            making = Path(folder) / "new" if is_remote else Path(f"{self.part}.mended.new")
            shutil.rmtree(making, ignore_errors=True)
            self._lay_out(making, data, identity)
            tell, then = (beside.bytes_of, known["sizes"]) if is_remote else (beside.checksum, known["checksums"])
            other = [name for name in names if tell(making / name) != then[name]]
            for name in [] if other else names:
                beside.replace_by(self._place / name, making / name)
            shutil.rmtree(making)
        if other:
            raise ValueError(
                f"a store is needed whose files are as they were written; of {self.path} {', '.join(other[:3])} are "
                "damaged, and would be written differently now. Remove the store to begin anew."
            )

    def with_encoding(self, data: xr.Dataset) -> xr.Dataset:
        """The product with shards that are tiles, in chunks of a part of the pairs."""
        data = data.copy()
        storage.encode(data)
        for name, dims in self.dims.items():
            if dims[-2:] == ("y", "x"):
                layers, front = math.prod(data.sizes[dim] for dim in dims[:-2]), len(dims) - 2
                layout = shard_layout(layers, front, self.sides, data[name].dtype.itemsize)
                data[name].encoding = data[name].encoding | layout
        return data

    def sweep(self) -> None:
        """Remove what killed writers had not finished."""
        if isinstance(self.part, Remote):
            return
        for leftover in self.part.parent.glob(f"{self.part.name}.*.new"):
            shutil.rmtree(leftover, ignore_errors=True)
        for file in self.part.rglob("*.partial"):
            file.unlink(missing_ok=True)

    def missing(self, places: Iterable[Place] | None = None, *, by_content: bool = True) -> list[Place]:
        """Tiles, all or of these, that are still to be computed: never run, failed, or not as they were written.

        Of files the content is compared, which reads them all, or only the size. Of objects it is the size: they are
        written as a whole or not at all, and services check what they hold.
        """
        states, sizes, sums = (self._recorded(name) for name in ("state", "bytes", "checksum"))
        wanted = self.places if places is None else list(places)
        found = self._sizes(wanted)
        by_content = by_content and not isinstance(self._place, Remote)
        missing = np.zeros(states.shape, dtype=bool)

        def look(place: Place) -> None:
            missing[place] = (
                states[place] not in (DONE, ALL_NAN)
                or sizes[place] != found[place]
                or (by_content and sums[place] != beside.checksum(*self._local_files(place)))
            )

        threads.in_threads(look, wanted)
        return [place for place in wanted if missing[place]]

    def complete(self) -> TileStore:
        """The same store where it lies when it is complete."""
        return replace(self, where=self.path)

    def reopen(self) -> None:
        """Put a store that was complete back to where it is written."""
        if isinstance(self.path, Remote) or isinstance(self.part, Remote):
            self._record("r+").attrs["is_complete"] = False
            return
        shutil.rmtree(self.part, ignore_errors=True)
        self.path.rename(self.part)

    def write(self, place: Place, values: dict[str, np.ndarray]) -> tuple[Place, int]:
        """Write all variables of a tile, and then that it is there; returns its state."""
        region = {
            dim: slice(k * side, min((k + 1) * side, count))
            for dim, k, side, count in zip(("y", "x"), place, self.sides, self.shape, strict=True)
        }
        maps = {name: (self.dims[name], each) for name, each in values.items() if self.dims[name][-2:] == ("y", "x")}
        rest = {name: (self.dims[name], each) for name, each in values.items() if name not in maps}
        floats = [each for _, each in maps.values() if each.dtype.kind == "f"]
        state = ALL_NAN if floats and all(np.isnan(each).all() for each in floats) else DONE
        # NaN may be stored as another number, and is written all the same
        options: dict[str, Any] = {"consolidated": False, "write_empty_chunks": True}
        try:
            if self._is_noted(place):
                # by a worker that was given up for lost and went on
                return place, state
            self._remove(place)
            xr.Dataset(maps).to_zarr(beside.target(self.part), mode="r+", region=region, **options)
            if rest:
                xr.Dataset(rest).to_zarr(beside.target(self.part), mode="r+", **options)
            for file in self._local_files(place):
                beside.settle(file)
            self._note(place, state, "")
        except OSError as error:
            raise self._unwritable(place, error) from error
        return place, state

    def _remove(self, place: Place) -> None:
        """Remove what is there of a tile: zarr would read it to write over it, and it may be damaged."""
        for file in self._local_files(place):
            file.unlink(missing_ok=True)
        if isinstance(self.part, Remote) and self._recorded("state", [place])[place] != NEVER_RUN:
            for key in beside.sizes_of_tile(self.part, self._grids, self.rest, place):
                (self.part / key).unlink(missing_ok=True)

    def _is_noted(self, place: Place) -> bool:
        """Whether a tile is there already, as it was written."""
        is_done = int(self._recorded("state", [place])[place]) in (DONE, ALL_NAN)
        return is_done and not self.missing([place])

    def fail(self, place: Place, reason: str) -> None:
        """Write down why a tile could not be computed."""
        try:
            self._note(place, FAILED, reason)
        except OSError as error:
            raise self._unwritable(place, error) from error

    def counts(self) -> dict[str, int]:
        """Number of tiles by state; those that are done may hold no value at all (`empty`)."""
        states = self._recorded("state")
        found = {name: int((states == state).sum()) for name, state in (("done", DONE), ("empty", ALL_NAN))}
        return {
            "total": len(self.places), "done": found["done"] + found["empty"], "empty": found["empty"],
            "failed": int((states == FAILED).sum()),
        }  # fmt: skip

    def reasons(self) -> dict[Place, str]:
        """Tiles that failed, and why."""
        states, reasons = self._recorded("state"), self._recorded("reason")
        failed = [place for place in self.places if states[place] == FAILED]
        return {place: bytes(reasons[place]).rstrip(b"\0").decode(errors="replace") for place in failed}

    def finish(self) -> None:
        """Put the complete store in its place, if no other that has written a part was faster."""
        if isinstance(self.path, Remote) or isinstance(self.part, Remote):
            self._record("r+").attrs["is_complete"] = True
            return
        try:
            self.part.rename(self.path)
        except FileNotFoundError:
            if not self.path.exists():
                raise

    def check(self, identity: Identity, where: Where, caller: str) -> None:
        """Refuse a store that was made of something else, or that somebody else made.

        Raises
        ------
        ValueError
            If it differs; the message names what.
        """
        then = made_of(where)
        if then is None:
            raise ValueError(
                f"{caller}() needs a store that it has begun itself to go on with; got {where}, of which nothing tells "
                "what it was made of. Choose another path, or remove it."
            )
        found = differences(then, identity)
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise ValueError(
                f"{caller}() needs the same images, parameters and version to go on with {where}; got other ones: "
                f"{'; '.join(found[:3])}{more}. Choose another path, or remove the store to begin anew."
            )

    def _note(self, place: Place, state: int, reason: str) -> None:
        record = self._record("r+")
        text = np.frombuffer(reason.encode()[:REASON].ljust(REASON, b"\0"), dtype=np.uint8)
        record["bytes"][place] = self._sizes([place])[place]
        record["checksum"][place] = beside.checksum(*self._local_files(place))
        record["reason"][place] = text
        # last, so that what it says holds
        record["state"][place] = state

    def _unwritable(self, place: Place, error: OSError) -> Unwritable:
        advice = "bring the disk or the folder back" if self.is_gone else "make room, or mend the disk"
        return Unwritable(
            f"a disk that can be written is needed for tile {place} of {self.path}; got '{error}'. What is written "
            f"is safe: {advice}, and run the same again."
        )

    def _record(self, mode: Any) -> Any:
        import zarr

        return zarr.open_group(beside.target(self._place), path=RECORD, mode=mode)

    def _recorded(self, name: str, places: list[Place] | None = None) -> np.ndarray:
        """What is written down of each tile, or of these; zero where that is damaged."""
        try:
            array = self._record("r")[name]
        except (KeyError, ValueError):
            return np.zeros((*(last + 1 for last in self.places[-1]), *((REASON,) if name == "reason" else ())), int)
        if places is None:
            with suppress(OSError, RuntimeError, ValueError):
                return np.asarray(array[:])
        found = np.zeros(array.shape, array.dtype)
        for place in self.places if places is None else places:
            with suppress(OSError, RuntimeError, ValueError):
                found[place] = array[place]
        return found

    def _sizes(self, places: Iterable[Place]) -> dict[Place, int]:
        """Size of the files of tiles, of all variables together; -1 where one is not there."""
        places = list(places)
        if isinstance(self._place, Remote):
            found = beside.sizes_of_objects(self._place, self._grids, self.rest, places)
        else:
            found = {
                place: [[beside.bytes_of(file) for file in each] for each in self._files(place)] for place in places
            }
        return {
            place: sum(map(sum, sizes)) if all(sizes) and min(map(min, sizes)) >= 0 else -1
            for place, sizes in found.items()
        }

    @property
    def _tiled(self) -> list[str]:
        """Variables that are written with the tiles."""
        return [name for name, _ in self._grids] + list(self.rest)

    @property
    def _grids(self) -> list[tuple[str, int]]:
        """Variables on the grid, and how many dims come before it."""
        return [(name, len(dims) - 2) for name, dims in self.dims.items() if dims[-2:] == ("y", "x")]

    def _local_files(self, place: Place) -> list[Path]:
        """Files of a tile; none of objects."""
        return [] if isinstance(self._place, Remote) else sorted(file for each in self._files(place) for file in each)

    def _files(self, place: Place) -> list[list[Path]]:
        """Files of a tile, of each variable on the grid, and with the first of what is written beside it."""
        ends, root = "/".join(map(str, place)), Path(str(self._place))
        found = [list((root / name / "c").glob(f"{'*/' * front}{ends}")) for name, front in self._grids]
        # the one value of a variable without dims is the file "c"
        rest = [root / name / "c" for name in self.rest if place == (0, 0)]
        return found + [[each] if each.is_file() else [k for k in each.rglob("*") if k.is_file()] for each in rest]


def tiles_of(data: xr.Dataset, path: Where, sides: tuple[int, int] | None = None) -> TileStore:
    """Store for a product, with tiles of the sides given, or of those of its dask blocks."""
    dims = {str(name): each.dims for name, each in data.data_vars.items()}
    shape = data.sizes["y"], data.sizes["x"]
    if sides is None:
        chunks = [each.chunks[-2:] for each in data.data_vars.values() if each.chunks and each.dims[-2:] == ("y", "x")]
        # of variables in other blocks the largest, as fewer tasks then share what they need
        rows, columns = (max(max(each[k]) for each in chunks) if chunks else shape[k] for k in range(2))
        sides = rows, columns
    # texts are written once, when the store is made
    rest = tuple(name for name, each in dims.items() if each[-2:] != ("y", "x") and data[name].dtype.kind not in "OTUS")
    return TileStore(path, dims, shape, sides, rest)
