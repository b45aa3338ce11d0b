"""A folder of Zarr that is written only where it stands."""

from __future__ import annotations

import asyncio
import uuid
from functools import cache
from pathlib import Path
from typing import Any


@cache
def standing_store() -> Any:
    """Class of local stores whose folder is never made: where it was may be an empty place once its disk vanished."""
    from zarr.abc.store import Store
    from zarr.storage import LocalStore

    class StandingStore(LocalStore):
        async def _open(self, **options: Any) -> None:
            _check_stands(self.root)
            await Store._open(self)

        def _ensure_open_sync(self) -> None:
            _check_stands(self.root)
            self._is_open = True

        async def set(self, key: str, value: Any) -> None:
            if not self._is_open:
                await self._open()
            self._check_writable()
            await asyncio.to_thread(write_below, self.root, key, value)

        async def set_if_not_exists(self, key: str, value: Any) -> None:
            if not (self.root / key).exists():
                await self.set(key, value)

        def set_sync(self, key: str, value: Any) -> None:
            self._ensure_open_sync()
            self._check_writable()
            write_below(self.root, key, value)

    return StandingStore


def write_below(root: Path, key: str, value: Any) -> None:
    """Write a file below a folder that is there; others see the old or the new one, never a part."""
    file = root / key
    for folder in [each for each in reversed(file.parents) if each.is_relative_to(root)][1:]:
        # fails where the one above is gone
        folder.mkdir(exist_ok=True)
    part = file.with_suffix(f".{uuid.uuid4().hex}.partial")
    try:
        part.write_bytes(value.as_numpy_array())
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _check_stands(root: Path) -> None:
    if not root.is_dir():
        raise FileNotFoundError(f"the folder {root} is gone")
