"""Points and lines as well-known binary (WKB), which every vector format takes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

_POINT, _LINE = 1, 2


def points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One point (x, y) a row, as an array of bytes."""
    records = np.empty(len(x), dtype=[("order", "u1"), ("kind", "<u4"), ("x", "<f8"), ("y", "<f8")])
    records["order"], records["kind"], records["x"], records["y"] = 1, _POINT, x, y
    size, whole = records.itemsize, records.tobytes()
    out = np.empty(len(x), dtype=object)
    out[:] = [whole[k * size : (k + 1) * size] for k in range(len(x))]
    return out


def lines(vertices: Sequence[np.ndarray]) -> list[bytes | None]:
    """Lines through vertices (vertex, 2), one an element; None where there are fewer than two."""
    return [
        struct.pack("<BII", 1, _LINE, len(each)) + np.ascontiguousarray(each, dtype="<f8").tobytes()
        if len(each) > 1
        else None
        for each in vertices
    ]
