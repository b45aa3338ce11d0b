"""Chunks of Zarr stores that were cut: Blosc unpacks what it finds in memory behind them, and says nothing."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from typing import Any

# Version of the format, and where in a chunk its packed length is told, bytes.
_VERSION, _HEADER = 2, 16


def checked(store: Any, packed: Iterable[str] = ()) -> Any:
    """Zarr store that refuses chunks of packed arrays whose length is not the one that they tell.

    `packed` are the paths of the arrays that Blosc packed; `packed` of the store may be added to.
    """
    return _checked()(store, set(packed))


def are_packed(array: Any) -> bool:
    """Whether Blosc packed the chunks of a Zarr array, each of which is one file or object."""
    from zarr.codecs import BloscCodec, BytesCodec

    metadata = array.metadata
    if metadata.zarr_format == 2:
        return str(getattr(metadata.compressor, "codec_id", "")) == "blosc"
    first = [each for each in metadata.codecs if not isinstance(each, BytesCodec)]
    return bool(first) and isinstance(first[-1], BloscCodec)


@functools.cache
def _checked() -> Any:
    from zarr.storage import WrapperStore

    class Checked(WrapperStore):  # type: ignore[type-arg]
        """A store that looks at the length of chunks."""

        def __init__(self, store: Any, packed: set[str] | None = None) -> None:
            super().__init__(store)
            self.packed = packed if packed is not None else set()

        def _with_store(self, store: Any) -> Any:
            return type(self)(store, self.packed)

        def __reduce__(self) -> tuple[Any, ...]:
            return checked, (self._store, self.packed)

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            found = await super().get(key, prototype, byte_range)
            if found is not None and byte_range is None and self._is_chunk(key):
                _check(found.as_numpy_array()[:_HEADER].tobytes(), len(found))
            return found

        def _is_chunk(self, key: str) -> bool:
            path, _, name = key.rpartition("/")
            if not name[:1].isdigit():
                return False
            # of version 3 the numbers of a chunk are a path of their own: c/0/1
            return path in self.packed or path.rpartition("/c")[0] in self.packed

    return Checked


def _check(start: bytes, length: int) -> None:
    if len(start) < _HEADER or start[0] != _VERSION:
        raise OSError(f"a chunk of {length} bytes that does not begin as one of Blosc does")
    told = struct.unpack("<I", start[12:16])[0]
    if told != length:
        raise OSError(f"a chunk of {length} bytes that says that it has {told}")
