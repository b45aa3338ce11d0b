"""Images that take long to decode are decoded once, whatever the blocks of the caller are."""

import itertools

import numpy as np
import pytest
import rasterio
from affine import Affine

from xoffset import open_stack
from xoffset.readers import pixels

PIXELS = (np.arange(600 * 700).reshape(600, 700) % 50_021 + 1).astype(np.uint16)


@pytest.fixture
def reads(monkeypatch):
    """Windows that are read of any raster file."""
    windows = []

    def read(image, window, really=pixels.read_pixels):
        windows.append(window)
        return really(image, window)

    monkeypatch.setattr(pixels, "read_pixels", read)
    return windows


def write_jp2(path, values=PIXELS, x=500_000.0, y=5_000_000.0):
    profile = {"driver": "JP2OpenJPEG", "count": 1, "dtype": "uint16", "crs": "EPSG:32632"}
    profile |= {"height": values.shape[0], "width": values.shape[1], "transform": Affine(10, 0, x, 0, -10, y)}
    with rasterio.open(path, "w", **profile, QUALITY=100, REVERSIBLE="YES", BLOCKXSIZE=256, BLOCKYSIZE=256) as file:
        file.write(values, 1)
    return str(path)


@pytest.mark.parametrize("chunks", [64, 100, 256, 300, 512, -1, {"y": 50, "x": -1}])
def test_each_row_of_jpeg2000_tiles_is_read_once(tmp_path, reads, chunks):
    stack = open_stack(write_jp2(tmp_path / "a_20200101.jp2"), nodata=0, chunks=chunks)
    reads.clear()
    assert np.array_equal(stack.values[0], PIXELS)
    rows = sorted((window[0].start, window[0].stop) for window in reads)
    assert rows[0][0] == 0
    assert rows[-1][1] == 600
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(rows))
    assert all(start % 256 == 0 for start, _ in rows)
    assert all((window[1].start, window[1].stop) == (0, 700) for window in reads)


@pytest.mark.parametrize("chunks", [64, 200])
def test_crops_and_images_beside_each_other_keep_to_the_tiles(tmp_path, reads, chunks):
    files = [
        write_jp2(tmp_path / "a_20200101.jp2"),
        write_jp2(tmp_path / "a_20200201.jp2", x=500_130.0, y=4_999_630.0),
    ]
    bbox = (500_300.0, 4_994_000.0, 505_000.0, 4_998_500.0)
    eager = open_stack(files, nodata=0, bbox=bbox)
    reads.clear()
    lazy = open_stack(files, nodata=0, bbox=bbox, chunks=chunks)
    reads.clear()
    np.testing.assert_array_equal(lazy.values, eager.values)
    starts = [window[0].start for window in reads]
    assert sum(start % 256 != 0 for start in starts) == 2  # the first rows of the crop, in either image
    np.testing.assert_array_equal(
        eager.values[0], PIXELS[150:600, 30:500], err_msg="the crop is that of the first image"
    )


@pytest.mark.parametrize("chunks", [None, 64, 700])
def test_resampled_jpeg2000_has_the_bits_of_resampled_tiff(tmp_path, reads, chunks):
    noise = np.random.default_rng(0).integers(1000, 3000, (1200, 300)).astype(np.uint16)
    base = write_jp2(tmp_path / "a_20200101.jp2", noise)
    moved = write_jp2(tmp_path / "a_20200201.jp2", noise, x=500_003.3, y=5_000_004.1)
    same = tmp_path / "b_20200201.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "crs": "EPSG:32632", "height": 1200, "width": 300}
    with rasterio.open(same, "w", **profile, transform=Affine(10, 0, 500_003.3, 0, -10, 5_000_004.1)) as file:
        file.write(noise, 1)
    expected = open_stack([base, same], nodata=0, align="cubic")
    reads.clear()
    stack = open_stack([base, moved], nodata=0, align="cubic", chunks=chunks).compute()
    np.testing.assert_array_equal(stack.values, expected.values)
    # 3 x 1 tiles to resample, from one window; the other image in whole rows of its tiles
    assert len(reads) <= 1 + (1 if chunks is None else 5)


def test_whole_images_are_decoded_once(tmp_path, reads):
    names = [str(tmp_path / f"a_2020010{day}.png") for day in (1, 2)]
    for name in names:
        # a transformation would be written beside it, none is warned of
        with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(name, "w", **PNG) as file:
            file.write(PIXELS, 1)
    stack = open_stack(names, pixel_size=1.0, nodata=0, chunks=50)
    reads.clear()
    assert np.array_equal(stack.values, np.stack([PIXELS, PIXELS]))
    assert len(reads) == 2


PNG = {"driver": "PNG", "count": 1, "dtype": "uint16", "height": 600, "width": 700}
