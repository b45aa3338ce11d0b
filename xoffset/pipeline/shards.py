"""How the shards of a store are laid out: one a tile, in chunks of a part of the pairs."""

from __future__ import annotations

import math
from typing import Any

# Largest shard before compression, bytes; and sides of the chunks in it: pairs or dates, rows and columns.
LARGEST_SHARD = 256 * 2**20
INNER = (25, 55)


def shard_layout(layers: int, front: int, sides: tuple[int, int], itemsize: int) -> dict[str, Any]:
    """Sides of the chunks and shards of a variable with so many layers, along dims in `front` of rows and columns."""
    inner = tuple(_nearest_divisor(side, INNER[1]) for side in sides)
    if layers < INNER[0]:
        return {"chunks": (layers,) * front + inner, "shards": (layers,) * front + sides}
    most = LARGEST_SHARD // (math.prod(sides) * itemsize * INNER[0])
    deep = max(1, min(-(-layers // INNER[0]), most)) * INNER[0]
    return {"chunks": (INNER[0],) * front + inner, "shards": (deep,) * front + sides}


def _nearest_divisor(side: int, wanted: int) -> int:
    """The divisor that is as few times as possible smaller or larger than wanted, and not many times smaller."""
    divisors = [each for each in range(min(side, wanted // 5), side + 1) if side % each == 0]
    return min(divisors, key=lambda each: (abs(math.log(each / wanted)), each))
