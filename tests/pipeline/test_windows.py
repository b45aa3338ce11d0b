"""A task that reads its own window: the same bits as `correlate` on the whole, and no pixel read in vain."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

import xoffset
from xoffset import synthetic
from xoffset._blocks import tiles
from xoffset.pipeline.tiles import correlate_windows
from xoffset.readers.open_stack import open_with_reader

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
OPTIONS = {"template": 16, "search": 3, "step": 8}


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((250, 300), dates=DATES, field="landslide", velocity=10.0, nodata=0.02, snr=5.0)[0]


@pytest.fixture
def narrow(monkeypatch):
    """Tiles small enough that a small image has several, in blocks of two."""
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr(tiles, "TILE", 64)
    monkeypatch.setattr(tiles, "WINDOW", 128)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("chunks", [None, {"time": 1, "y": 50, "x": 70}])
@pytest.mark.parametrize(
    "options",
    [{}, {"matcher": xoffset.NCC(both_ways=True)}, {"matcher": xoffset.NCC(refine="affine")}, {"mask": True}],
    ids=["plain", "both ways", "affine", "mask"],
)
def test_windows_give_the_bits_of_the_whole(stack, chunks, options):
    if "mask" in options:
        options = {"mask": (stack > float(stack.median())) | (stack.x > float(stack.x.mean()))}
    network = xoffset.pairs(stack)
    expected = xoffset.correlate(stack, network, **OPTIONS | options)
    given = stack if chunks is None else stack.chunk(chunks)
    found = correlate_windows(given, network, **OPTIONS | options)
    assert len(found.dx.chunks[1]) > 1
    assert len(found.dx.chunks[2]) > 1
    xr.testing.assert_identical(found.compute(), expected)


@pytest.mark.usefixtures("narrow")
def test_a_window_is_read_once_for_all_pairs(stack):
    network = xoffset.pairs(stack)
    read = []

    def reader(rows, columns):
        read.append((rows.start, columns.start))
        return stack.values[:, rows, columns]

    found = correlate_windows(stack.chunk(time=1), network, reader, **OPTIONS)
    tasks = len(found.dx.chunks[1]) * len(found.dx.chunks[2])
    assert read == []
    xr.testing.assert_identical(found.compute(), xoffset.correlate(stack, network, **OPTIONS))
    assert len(set(read)) == len(read) == tasks


def test_matchers_that_fade_are_those_of_correlate(stack):
    network = xoffset.pairs(stack).isel(pair=[0])
    options = {"matcher": "flow", "search": 3, "step": 8}
    found = correlate_windows(stack.chunk(time=1, y=128, x=128), network, **options)
    assert found.chunks
    xr.testing.assert_identical(found.compute(), xoffset.correlate(stack, network, **options))


def test_files_are_read_by_windows(stack, tmp_path):
    for k, image in enumerate(stack.fillna(0).values):
        place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
        with rasterio.open(
            tmp_path / f"a_2020010{k + 1}.tif", "w", driver="GTiff", height=250, width=300, count=1, dtype="float32",
            nodata=0, **place,
        ) as file:  # fmt: skip
            file.write(image, 1)
    opened, read = open_with_reader(tmp_path, chunks=128)
    whole = xoffset.open_stack(tmp_path)
    np.testing.assert_array_equal(read(slice(3, 90), slice(100, 290)), whole.values[:, 3:90, 100:290])
    found = correlate_windows(opened, xoffset.pairs(opened), read, **OPTIONS)
    xr.testing.assert_identical(found.compute(), xoffset.correlate(whole, xoffset.pairs(whole), **OPTIONS))
