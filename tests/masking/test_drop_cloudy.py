"""drop_cloudy(): dates by the mean of a band, or by the share of classes."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic

DATES = ["2020-01-01", "2020-03-01", "2020-07-01"]
STACK, _ = synthetic.stack((24, 24), dates=DATES)


def layer(values, **attrs):
    coords = {"time": STACK.time.values, "y": STACK.y.values[::6], "x": STACK.x.values[::6]}
    return xr.DataArray(values, coords, ("time", "y", "x"), attrs=attrs)


def test_bright_dates_go():
    band = layer(np.broadcast_to(np.array([1100.0, 1300.0, 1200.0])[:, None, None], (3, 4, 4)).copy())
    found = xoffset.masking.drop_cloudy(STACK, band, max_mean=1200)
    xr.testing.assert_equal(found, STACK[[0, 2]])
    band[2, 0] = np.nan  # holes do not count
    assert xoffset.masking.drop_cloudy(STACK.chunk(), band, max_mean=1200).sizes["time"] == 2
    band[2] = np.nan
    assert xoffset.masking.drop_cloudy(STACK, band, max_mean=1200).sizes["time"] == 1


def test_numbers_with_an_offset_count_as_reflectance():
    band = layer(np.full((3, 4, 4), 2100.0)).assign_coords(radiometric_offset=("time", [-1000.0, -1000.0, 0.0]))
    assert xoffset.masking.drop_cloudy(STACK, band, max_mean=1200).sizes["time"] == 2


def test_classes_are_counted():
    values = np.full((3, 4, 4), 4, np.uint8)
    values[1, 0, :2] = 8
    values[2, 0, 0] = 3
    values[0, 1] = 0
    values[0, 0, 0] = 9
    seen = layer(values, flag_values=[0, 3, 4, 8, 9], flag_meanings="no_data shadow vegetation cloud cloud_high")
    for share, classes, dates in (
        (0.07, (3, 8, 9), [2]),
        (0.09, (3, 8, 9), [0, 2]),
        (0.0, (3,), [0, 1]),
        (0.2, (3, 8), [0, 1, 2]),
    ):
        found = xoffset.masking.drop_cloudy(STACK, seen, classes=classes, max_share=share)
        xr.testing.assert_equal(found, STACK[dates])


def test_bits_are_no_classes():
    seen = layer(np.zeros((3, 4, 4), np.uint8), flag_masks=[1, 2])
    with pytest.raises(ValueError, match="needs a layer of classes, one number a pixel; got bits"):
        xoffset.masking.drop_cloudy(STACK, seen, classes=(3,), max_share=0.1)
