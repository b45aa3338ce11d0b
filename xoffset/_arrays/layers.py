"""Named layers of an array, so that who writes them and who reads them never count where one begins."""

from __future__ import annotations

import math
from typing import Any


class Layers:
    """Where each part of a result is along its first axis."""

    def __init__(self, **shapes: int | tuple[int, ...]) -> None:
        """Place parts one behind the other: so many layers each, maybe none; or a shape, () for a single layer."""
        self._shapes = {name: (shape,) if isinstance(shape, int) else shape for name, shape in shapes.items()}
        self._slices: dict[str, slice] = {}
        self.count = 0
        for name, shape in self._shapes.items():
            end = self.count + math.prod(shape)
            self._slices[name] = slice(self.count, end)
            self.count = end

    def __getitem__(self, name: str) -> slice:
        """Layers of a part."""
        return self._slices[name]

    def at(self, name: str, k: int = 0) -> int:
        """One layer of a part, counted from 0."""
        return range(self.count)[self._slices[name]][k]

    def split(self, array: Any) -> dict[str, Any]:
        """Parts of an array (layer, ...) by name, each with its shape in place of the first axis: views, if NumPy."""
        return {
            name: array[self._slices[name]].reshape(*shape, *array.shape[1:]) if shape else array[self.at(name)]
            for name, shape in self._shapes.items()
        }
