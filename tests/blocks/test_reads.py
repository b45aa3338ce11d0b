"""Parts of lazy images are read once: no block twice, whatever is asked for and however the images were made."""

from collections import Counter

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset._blocks import reads

da = pytest.importorskip("dask.array")


class Counted:
    """An array that counts how often each of its blocks is read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim
        self.counts: Counter[tuple[tuple[int, int], ...]] = Counter()

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        self.counts[tuple((part.start, part.stop) for part in key)] += 1
        return self.values[key]


def counted(shape: tuple[int, int, int], chunks: tuple[int, int, int]) -> tuple[Counted, "da.Array"]:
    source = Counted(np.random.default_rng(3).integers(0, 3000, shape).astype("uint16"))
    return source, da.from_array(source, chunks=chunks, asarray=False, meta=np.empty((0, 0, 0), "uint16"))


@pytest.mark.parametrize("chunks", [(1, 32, 32), (2, 64, 17), (5, 100, 100)])
@pytest.mark.parametrize("made", ["read", "scaled", "laid out anew"])
def test_part_reads_each_block_once(chunks, made):
    source, array = counted((5, 100, 120), chunks)
    if made == "scaled":
        array = array * 2
    if made == "laid out anew":
        array = array.rechunk((1, 20, 30))
    rows, columns = slice(11, 93), slice(30, 115)
    part = reads.part_of(array, rows, columns)
    np.testing.assert_array_equal(part, source.values[:, rows, columns] * (2 if made == "scaled" else 1))
    # a block that is laid out anew may be read in pieces
    pixels = sum(n * np.prod([stop - start for start, stop in key]) for key, n in source.counts.items())
    sides = [np.unique([at // side for at in range(part.start, part.stop)]).size * side
             for part, side in zip((rows, columns), chunks[1:], strict=True)]  # fmt: skip
    assert pixels <= 5 * np.prod(sides)


def stack_of(array) -> xr.DataArray:
    when = np.datetime64("2020-01-01", "us") + np.timedelta64(30, "D") * np.arange(len(array))
    rows, columns = (np.arange(size) for size in array.shape[1:])
    return xr.DataArray(array, dims=("time", "y", "x"), coords={"time": when, "y": -10.0 * rows, "x": 10.0 * columns})


@pytest.mark.parametrize("way", ["correlate", "run"])
def test_matching_reads_no_image_much_more_than_twice(way, tmp_path):
    source, array = counted((3, 600, 600), (1, 100, 100))
    stack = stack_of(array)
    if way == "run":
        xoffset.run("generic", stack, tmp_path / "out", template=16, search=3)
        source_reads = sum(source.counts.values())
        # fingerprints of the images are taken by their names, and tiles read their margins again
        assert source_reads <= 3 * 3 * 36
    else:
        xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=3).compute(scheduler="synchronous")
        assert sum(source.counts.values()) <= 2 * 3 * 36
