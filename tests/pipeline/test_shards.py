"""Layout of the shards of a store."""

import math

import pytest

from xoffset.pipeline.shards import LARGEST_SHARD, shard_layout


@pytest.mark.parametrize("layers", [1, 13, 24, 25, 400])
def test_shards_are_tiles_in_few_whole_chunks(layers):
    for side in range(1, 513):
        layout = shard_layout(layers, 1, (side, 512), 4)
        assert layout["shards"][1:] == (side, 512)
        deep, rows, columns = layout["chunks"]
        assert (side % rows, 512 % columns, layout["shards"][0] % deep) == (0, 0, 0)
        assert deep <= max(layers, 25)
        # each chunk costs as long to write as thousands of values: a prime side must not have as many as nodes
        assert side // rows <= 20
        # and a series of one pixel reads one whole
        assert 4 * deep * rows * columns <= 4e6
        assert 4 * math.prod(layout["shards"]) <= max(LARGEST_SHARD, 25 * 4 * side * 512)


@pytest.mark.parametrize("side", [3046, 4093, 6037])
def test_large_tiles_have_no_narrow_chunks(side):
    # primes, and twice one
    assert shard_layout(1, 1, (side, side), 4)["chunks"][1] in (side, side // 2)
