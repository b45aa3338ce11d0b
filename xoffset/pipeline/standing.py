"""A folder of Zarr that is written only where it stands."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from zarr.abc.store import Store
from zarr.storage import LocalStore


class StandingStore(LocalStore):
    """A local store whose folder is never made: where it was may be an empty place once its disk has vanished."""

    async def _open(self, **options: Any) -> None:
        self._check_stands()
        await Store._open(self)

    def _ensure_open_sync(self) -> None:
        self._check_stands()
        self._is_open = True

    async def set(self, key: str, value: Any) -> None:
        """Write a file of the store; others see the old or the new one, never a part."""
        if not self._is_open:
            await self._open()
        self._check_writable()
        await asyncio.to_thread(self._write, key, value)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        """Write a file of the store unless it is there."""
        if not (self.root / key).exists():
            await self.set(key, value)

    def set_sync(self, key: str, value: Any) -> None:
        """Write a file of the store, where Zarr does not wait for others."""
        self._ensure_open_sync()
        self._check_writable()
        self._write(key, value)

    def _write(self, key: str, value: Any) -> None:
        file = self.root / key
        for folder in [each for each in reversed(file.parents) if each.is_relative_to(self.root)][1:]:
            # fails where the one above is gone
            folder.mkdir(exist_ok=True)
        part = file.with_suffix(f".{uuid.uuid4().hex}.partial")
        try:
            part.write_bytes(value.as_numpy_array())
            part.replace(file)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def _check_stands(self) -> None:
        if not self.root.is_dir():
            raise FileNotFoundError(f"the folder {self.root} is gone")
