"""How products are stored: with checksums, and with fill values that are no values, so that what is unwritten shows."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Self

import numpy as np
import xarray as xr

from xoffset.model import variables
from xoffset.model.flags import FLAGS

UNWRITTEN = FLAGS["unwritten"]
_LEVEL = {"level": 0, "checksum": True}


class Checksummed(dict[str, Any]):
    """Compression by zstd with a checksum of the content: a mapping for Zarr 3, a codec for Zarr 2.

    xarray hands the same encoding to both versions of the format, and each wants it in its own way.
    """

    codec_id = "zstd"

    def __init__(self) -> None:
        super().__init__(name="zstd", configuration=dict(_LEVEL))

    def __reduce__(self) -> tuple[type[Checksummed], tuple[()]]:
        return Checksummed, ()

    @classmethod
    def from_config(cls, _: dict[str, Any]) -> Checksummed:
        """Build the codec from what `get_config` tells, as Zarr 2 does."""
        return cls()

    def get_config(self) -> dict[str, Any]:
        """What Zarr 2 writes down, and reads with the codec of numcodecs."""
        return {"id": self.codec_id} | _LEVEL

    def encode(self, values: Any) -> Any:
        """Compressed bytes of a chunk."""
        from numcodecs import Zstd  # type: ignore[import-untyped]

        return Zstd(**_LEVEL).encode(values)

    def decode(self, stored: Any, out: Any = None) -> Any:
        """Bytes of a chunk."""
        from numcodecs import Zstd

        return Zstd(**_LEVEL).decode(stored, out)


class Infinity(float):
    """Infinity, and a whole number for callers who put integers in place of floats, or pack these, as they are.

    Encoding outlives the type of the values: `stack.copy(data=whole_numbers)` keeps it, and integers have no infinity.
    """

    def __new__(cls) -> Self:
        """Infinity, which is all there is to it."""
        return super().__new__(cls, "inf")

    def __reduce__(self) -> tuple[type[Infinity], tuple[()]]:
        return Infinity, ()

    def __int__(self) -> int:
        return 1


def encode(data: xr.Dataset | xr.DataArray) -> None:
    """Set on all variables how a plain `to_zarr` shall store them; what a format does not know it leaves out.

    Zarr does not write chunks that hold nothing but the fill value. As no value is equal to the ones below, each chunk
    of a complete store is there, and the listing of a store tells whether it is complete.
    """
    if isinstance(data, xr.DataArray):
        _encode("", data.variable)
    else:
        for name, variable in data.data_vars.items():
            _encode(name, variable.variable)
    for name, variable in data.coords.items():
        _encode(name, variable.variable)


def _encode(name: Hashable, variable: xr.Variable) -> None:
    stored = np.dtype(variable.encoding.get("dtype", variable.dtype))
    is_packed = variable.dtype.kind == "f" and stored.kind != "f"
    fill = (
        variable.encoding.get("_FillValue")
        if is_packed
        else _fill(name, variable.dtype if variable.dtype.kind in "Mm" else stored)
    )
    # a chunk of texts, truth values or pixels may be equal to any fill value
    ours = {"compressors": (Checksummed(),), "write_empty_chunks": True} | (
        {} if fill is None else {"fill_value": fill}
    )
    variable.encoding = ours | {key: value for key, value in variable.encoding.items() if key not in ours}


def _fill(name: Hashable, dtype: np.dtype) -> float | int | None:
    """Fill value of the stored numbers; None for texts."""
    match dtype.kind:
        case "f":
            return Infinity()
        case "M" | "m":
            return int(np.iinfo(np.int64).min)
        case "b":
            return -1
        case "u":
            return int(np.iinfo(dtype).max)
        case "i" if name == "flags":
            return UNWRITTEN if dtype.itemsize == 8 else int(np.iinfo(dtype).min)
        case "i":
            return -1 if any(name in table for table in variables.TABLES) else int(np.iinfo(dtype).min)
    return None


def is_strict(dtype: np.dtype, fill: Any, declared: Any) -> bool:
    """Whether each chunk of a stored array must be there, since no values would be left out for this fill value.

    A fill value that is `declared` to mean "no value" leaves out chunks without values.
    """
    if dtype.kind in "OTUS":
        return True
    if fill is None or dtype.kind not in "fiu" or declared == fill:
        return False
    return bool(np.isposinf(fill)) if dtype.kind == "f" else int(fill) != 0


def is_unwritten(name: Hashable, block: np.ndarray, fill: Any) -> np.ndarray | None:
    """Where a block of a variable, as it was read, holds the fill value; None if values may be equal to that."""
    if fill is None or block.dtype.kind not in "fiM":
        return None
    if block.dtype.kind == "M":
        return np.asarray(np.isnat(block))
    if block.dtype.kind == "f":
        return np.isinf(block) if np.isposinf(fill) else None
    if name == "flags" and int(fill) & UNWRITTEN:
        return np.asarray((block.astype(np.int64) & np.int64(UNWRITTEN)) != 0)
    # -32768 and the like may well be pixels
    return np.asarray(block == fill) if fill == -1 or (fill < 0 and block.dtype.itemsize >= 4) else None
