"""autoRIFT: offset.tif by its layout, written without the library's writer."""

import numpy as np
import pytest
import rasterio

from xoffset.formats import autorift
from xoffset.formats.open_shifts import open_shifts
from xoffset.model.flags import FLAGS

DATES = ("2020-01-01", "2020-01-17")


def offset(path, bands=4):
    """Pixels to the right and upward, interpolated or not, side of the chip in pixels."""
    right = np.array([[1.5, np.nan, 2.0], [0.0, -1.0, 3.0]], "f4")
    up = np.array([[0.25, np.nan, -2.0], [0.0, 1.0, 0.5]], "f4")
    interpolated = np.array([[0, 0, 1], [0, 0, 0]], "f4")
    chip = np.array([[32, 0, 64], [32, 32, 32]], "f4")
    transform = rasterio.transform.from_origin(500_000.0, 5_000_000.0, 240.0, 240.0)
    options = {"height": 2, "width": 3, "count": bands, "dtype": "float32", "crs": "EPSG:32632", "transform": transform}
    with rasterio.open(path, "w", **options) as file:
        for band, values in enumerate((right, up, interpolated, chip)[:bands], start=1):
            file.write(values, band)
    return path


def test_is_told_and_counts_pixels_of_the_images_upward(tmp_path):
    found = open_shifts(offset(tmp_path / "offset.tif"), dates=DATES, pixel_size=(15.0, 10.0))
    np.testing.assert_array_equal(found.dx.values[0], [[22.5, np.nan, 30.0], [0.0, -15.0, 45.0]])
    np.testing.assert_array_equal(found.dy.values[0], [[2.5, np.nan, -20.0], [0.0, 10.0, 5.0]])
    assert found.y.values[0] > found.y.values[1]
    np.testing.assert_array_equal(found.flags.values[0], [[0, FLAGS["nodata"], FLAGS["smoothed"]], [0, 0, 0]])
    assert np.isnan(found.sigma_dx).all()
    assert found.template_size.values[0, 0, 2] == 64
    assert np.isnan(found.template_size.values[0, 0, 1])
    assert found.x.values[0] == 500_120.0
    assert list(found.reference.values) == [np.datetime64("2020-01-01", "us")]


def test_dates_of_its_name(tmp_path):
    found = open_shifts(offset(tmp_path / "20200101_20200117_offset.tif"), pixel_size=15.0)
    assert found.baseline.values[0] == 16.0


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"pixel_size": 15.0}, r"open_shifts\(\) needs the dates"),
        ({"dates": DATES}, r"open_shifts\(\) needs the size of a pixel .* pixel_size=10\.0"),
        ({"dates": DATES, "pixel_size": -1.0}, "pixel_size"),
        ({"dates": DATES, "pixel_size": 15.0, "crs": "EPSG:32632"}, "needs no crs for autoRIFT"),
    ],
)
def test_what_it_does_not_tell_is_asked_for(options, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        open_shifts(offset(tmp_path / "offset.tif"), **options)


def test_two_bands_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"needs four bands.*velocity\.tif"):
        autorift.read(offset(tmp_path / "velocity.tif", bands=2), dates=DATES, pixel_size=15.0)
