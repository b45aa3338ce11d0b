"""Variables on disk, read a block at a time: what cannot be read, or was never written, is an error that names it."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import storage

ADVICE = "Write it again, or open what is there, the rest NaN and flagged `unwritten`: open_result(path, partial=True)."


@dataclass(frozen=True)
class Stored:
    """A variable of a store, with what tells its unwritten values; `pieces` is the shape of its chunks (or shards).

    Where no fill value tells, as in netCDF, the witnesses do: values, their standard errors and flags of the same
    nodes, which were not written where there is neither a value nor an error nor a reason.
    """

    place: str
    name: Hashable
    variable: xr.Variable
    pieces: tuple[int, ...]
    fill: Any = None
    is_partial: bool = False
    witnesses: tuple[Stored, ...] = ()
    caller: str = "open_result"  # whose user is told of errors

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole."""
        return self.variable.shape

    @property
    def ndim(self) -> int:
        """Number of dims."""
        return self.variable.ndim

    @property
    def dtype(self) -> np.dtype:
        """Type of the values as they are read."""
        dtype: np.dtype = self.variable.dtype
        return dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        block = self.raw(key)
        # a date that is not known, such as that of a step that was not found, is a value
        unwritten = storage.is_unwritten(self.name, block, self.fill) if block.dtype.kind != "M" else None
        if self.witnesses and not self.is_partial:
            values, errors, flags = (each.raw(key) for each in self.witnesses)
            unwritten = np.isnan(values) & np.isnan(errors) & (flags == 0)
        if unwritten is None or not unwritten.any():
            return block
        if self.is_partial:
            return np.where(unwritten, block.dtype.type(np.nan), block) if block.dtype.kind == "f" else block
        raise OSError(
            f"{self.caller}() needs a complete product; got {int(unwritten.sum())} unwritten values of '{self.name}' "
            f"in {self._place_of(key)} of {self.place}. Its writer was stopped. {ADVICE}"
        )

    def raw(self, key: Any = ...) -> np.ndarray:
        """Values as they are stored, unwritten ones included."""
        try:
            return values_of(self.variable[key])
        except MemoryError:
            raise
        except Exception as error:  # what a damaged chunk raises depends on the library and on the byte that is wrong
            raise OSError(
                f"{self.caller}() needs readable values; got '{type(error).__name__}: {error}' for '{self.name}' in "
                f"{self._damaged(key)} of {self.place}. The file is damaged: restore it from a copy, or write it again."
            ) from error

    def _damaged(self, key: Any) -> str:
        """Place of the first chunk of a block that cannot be read."""
        chunks = itertools.product(
            *(
                [slice(k, min(k + piece, stop)) for k in range(start - start % piece, stop, piece)]
                for (start, stop), piece in zip(self._ends(key), self.pieces, strict=True)
            )
        )
        for chunk in chunks:
            try:
                values_of(self.variable[chunk])
            except Exception:  # the one that the block has met
                return self._place_of(chunk)
        return self._place_of(key)

    def _ends(self, key: Any) -> list[tuple[int, int]]:
        keys = key if isinstance(key, tuple) else () if key is ... else (key,)
        whole = itertools.chain(keys, itertools.repeat(slice(None)))
        return [each.indices(size)[:2] for each, size in zip(whole, self.shape, strict=False)]

    def _place_of(self, key: Any) -> str:
        return placed(self.variable.dims, self._ends(key), self.pieces)


def values_of(variable: xr.Variable) -> np.ndarray:
    """Values of a variable, read or computed in the thread that asks for them."""
    return np.asarray(variable.to_base_variable().compute(scheduler="synchronous").values)


def placed(dims: Sequence[Hashable], ends: Sequence[tuple[int, int]], pieces: Sequence[int]) -> str:
    """Text that tells where a chunk lies, by its number and by its place along the dims."""
    if not dims:
        return "its only chunk"
    number = "/".join(str(start // piece) for (start, _), piece in zip(ends, pieces, strict=True))
    places = ", ".join(f"{dim} {start} to {stop - 1}" for dim, (start, stop) in zip(dims, ends, strict=True))
    return f"chunk {number} ({places})"


def pieces_of(variable: xr.Variable) -> tuple[int, ...]:
    """Shape of the stored chunks. Of a sharded array the shards: its inner chunks would make thousands of tasks."""
    known = filter(None, map(variable.encoding.get, ("shards", "chunks", "chunksizes")))
    pieces = next(known, (1,) * variable.ndim)
    return tuple(
        piece if isinstance(piece, int) and piece else max(1, size)
        for piece, size in zip(pieces, variable.shape, strict=True)
    )
