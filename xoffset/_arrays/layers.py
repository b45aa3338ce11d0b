"""Named layers of an array, so that who writes them and who reads them never count where one begins."""

from __future__ import annotations


class Layers:
    """Where each part of a result is along its first axis."""

    def __init__(self, **sizes: int) -> None:
        """Place parts of these sizes one behind the other; a part may be empty."""
        self.count = sum(sizes.values())
        starts = [sum(list(sizes.values())[:k]) for k in range(len(sizes))]
        self._slices = {name: slice(start, start + sizes[name]) for name, start in zip(sizes, starts, strict=True)}

    def __getitem__(self, name: str) -> slice:
        """Layers of a part."""
        return self._slices[name]

    def at(self, name: str, k: int = 0) -> int:
        """One layer of a part, counted from 0."""
        return range(self.count)[self._slices[name]][k]
