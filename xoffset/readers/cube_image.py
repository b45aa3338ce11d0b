"""Images in netCDF and HDF5 files: one date of a variable as it is stored, read a window at a time."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from xoffset._blocks.threads import LastRead
from xoffset.readers import files
from xoffset.readers.grids import Grid, Window
from xoffset.readers.scenes import floats_for
from xoffset.readers.stored import Stored

# Most memory that chunks with other dates may take, bytes.
_MOST_KEPT = 512 * 2**20


@dataclass(frozen=True, eq=False)
class CubeImage:
    """One date of a variable in a file: where its pixels are and which of them count.

    `source` is the variable as it is stored, undecoded, and `index` the position along its dims other than those of
    rows and columns, which are named and may come in either order. Values are those stored times `scale` plus `offset`;
    `fills` are stored values that mean "no data", and `valid` is the range of the stored values that count. `path` and
    `state` tell the file from the one that replaced it. The images of a file share a `block`.
    """

    source: Stored
    rows: Hashable
    columns: Hashable
    index: tuple[tuple[Hashable, int], ...]
    name: str
    grid: Grid
    fills: tuple[float, ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    valid: tuple[float, float] = (-np.inf, np.inf)
    is_unsigned: bool = False  # although the type says otherwise
    path: str = ""
    state: files.State = None
    is_local: bool = False
    strip: int = 0
    block: LastRead = field(default_factory=LastRead)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        # of the variable dask would read all values to name them
        coding = self.fills, self.scale, self.offset, self.valid, self.is_unsigned
        return (type(self).__name__, self.path, self.state, self.source.name, self.index, coding)

    @property
    def result_dtype(self) -> np.dtype:
        """Type that holds every stored value and NaN."""
        return floats_for(self.source.dtype)

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window (rows, columns) as floats, NaN where they do not count."""
        files.check_unchanged(self.path, self.state, files.state(self.path))
        raw = self._stored(window)
        counts = np.isfinite(raw) & (raw >= self.valid[0]) & (raw <= self.valid[1])
        for fill in self.fills:
            with np.errstate(over="ignore"):  # a float64 value declared for float32 pixels
                counts &= raw != fill
        if (self.scale, self.offset) != (1.0, 0.0):
            raw = raw.astype(np.float64) * self.scale + self.offset
        values = raw.astype(self.result_dtype)
        values[~counts] = np.nan
        return values

    def _stored(self, window: Window) -> np.ndarray:
        """Values of a window as they are stored, rows first."""
        places = dict(self.index) | {self.rows: window[0], self.columns: window[1]}
        dims = self.source.variable.dims
        # positions as slices of one, so that errors can name the chunk
        key = tuple(slice(each, each + 1) if isinstance(each, int) else each for each in map(places.__getitem__, dims))
        raw = self._read(key)
        if self.is_unsigned and raw.dtype.kind == "i":
            raw = raw.view(f"u{raw.dtype.itemsize}")
        axes = dims.index(self.rows), dims.index(self.columns)
        others = tuple(k for k in range(len(dims)) if k not in axes)
        return raw.transpose(*axes, *others).reshape(raw.shape[axes[0]], raw.shape[axes[1]])

    def _read(self, key: tuple[slice, ...]) -> np.ndarray:
        """Values as they are stored, by way of the block if a chunk holds more of other dates, and this is not much."""
        whole = list(key)
        for k, (dim, piece) in enumerate(zip(self.source.variable.dims, self.source.pieces, strict=True)):
            if dim not in (self.rows, self.columns):
                start = key[k].start // piece * piece
                whole[k] = slice(start, min(start + piece, self.source.shape[k]))
        sizes = [each.stop - each.start for each in whole]
        if tuple(whole) == key or math.prod(sizes) * self.source.dtype.itemsize > _MOST_KEPT:
            return self.source.raw(key)
        inside = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(key, whole, strict=True))
        return self.block.values(tuple(whole), self.source.raw)[inside]
