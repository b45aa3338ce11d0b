"""search_range(): how far to search, by what is expected."""

import numpy as np
import pytest
import rioxarray  # noqa: F401, registers `.rio`
import xarray as xr

import xoffset
from xoffset import synthetic

STACK, _ = synthetic.stack((96, 104), dates=["2020-01-01", "2020-01-21", "2020-02-20"], velocity=40.0)
NETWORK = xoffset.pairs(STACK)
YEARS = 50.0 / 365.25


def speed(values):
    return xr.DataArray(
        values, coords={"y": STACK.y, "x": STACK.x}, dims=("y", "x"), attrs={"units": "m yr-1"}
    ).rio.write_crs(STACK.rio.crs)


def test_ranges_lie_on_the_nodes():
    found = xoffset.search_range(STACK, NETWORK, search=6, template=16, step=4, max_speed=1.0)
    shifts = xoffset.correlate(STACK, NETWORK, search=found, template=16, step=4)
    for name in ("x", "y"):
        np.testing.assert_array_equal(found[name], shifts[name])
    assert (found.name, found.units, found.dtype) == ("search_range", "pixel", np.int64)


def test_the_longest_pair_counts():
    """1000 m/yr in 50 days on pixels of 10 m, and a ring that takes no peak."""
    found = xoffset.search_range(STACK, NETWORK, search=3, max_speed=1000.0)
    assert set(np.unique(found)) == {int(np.ceil(1000.0 * YEARS / 10.0)) + 1}
    assert set(np.unique(xoffset.search_range(STACK, NETWORK, search=30, max_speed=1000.0))) == {30}


def test_known_speeds_shorten_it_and_never_lengthen_it():
    values = np.full(STACK.shape[1:], 100.0)
    values[:, 50:] = 5000.0
    values[:40] = np.nan
    found = xoffset.search_range(STACK, NETWORK, search=12, speed=speed(values), factor=2.0, margin=3)
    rows = {float(y) for y in STACK.y[:40].values}
    unknown = np.isin(found.y.sel(y=found.y), list(rows)) | (found.y.values > float(STACK.y[40]))
    slow = (found.x.values < float(STACK.x[50])) & ~unknown[:, np.newaxis]
    assert set(found.values[slow]) == {int(np.ceil(2.0 * 100.0 * YEARS / 10.0)) + 3}
    assert set(found.values[~slow]) == {12}
    less = xoffset.search_range(STACK, NETWORK, search=12, speed=speed(values), unknown_speed=0.0, margin=3)
    assert set(less.values[unknown].ravel()) == {3}


def test_ground_that_stands_still_has_the_margin():
    still = speed(np.ones(STACK.shape[1:])).x < float(STACK.x[50])
    still = still.broadcast_like(speed(np.ones(STACK.shape[1:]))).rio.write_crs(STACK.rio.crs)
    found = xoffset.search_range(STACK, NETWORK, search=9, still=still, margin=4)
    assert set(np.unique(found)) == {4, 9}
    assert (found.sel(x=slice(None, float(STACK.x[48]))) == 4).all()


def test_units_are_those_that_are_told():
    a_year, a_day = (
        speed(np.full(STACK.shape[1:], 365.25)),
        speed(np.full(STACK.shape[1:], 1.0)).assign_attrs(units="m/d"),
    )
    one, other = (xoffset.search_range(STACK, NETWORK, search=20, speed=each) for each in (a_year, a_day))
    xr.testing.assert_equal(one, other)
    assert int(one.max()) == int(np.ceil(1.5 * 50.0 / 10.0)) + 5


def test_the_method_is_the_function():
    found = STACK.offset.search_range(NETWORK, search=6, max_speed=500.0)
    xr.testing.assert_equal(found, xoffset.search_range(STACK, NETWORK, search=6, max_speed=500.0))


@pytest.mark.parametrize(
    ("options", "error", "advice"),
    [
        ({}, ValueError, "something that the range depends on; got none. Pass max_speed"),
        ({"max_speed": -1.0}, ValueError, "needs a number of at least 0 as max_speed"),
        ({"unknown_speed": 3.0, "max_speed": 1.0}, ValueError, "needs a speed where unknown_speed is given"),
        ({"factor": 3.0, "max_speed": 1.0}, ValueError, "needs a speed where factor is given"),
        ({"margin": 3, "max_speed": 1.0}, ValueError, "needs a speed or still where margin is given"),
        ({"speed": 3.0}, TypeError, r"a DataArray \(y, x\) of numbers as speed; got float. Open it"),
        ({"search": 0, "max_speed": 1.0}, ValueError, "whole number of at least 1 as search"),
        ({"speed": speed(np.ones(STACK.shape[1:])), "factor": 0}, ValueError, "a number above 0 as factor"),
        ({"speed": speed(np.ones(STACK.shape[1:])).assign_attrs(units="K")}, ValueError, "m yr-1"),
        ({"speed": speed(np.ones(STACK.shape[1:])).rio.write_crs(32633)}, ValueError, "speed in the CRS of the stack"),
        ({"speed": speed(np.full(STACK.shape[1:], np.nan))}, ValueError, "speed with values where the stack is"),
        ({"still": speed(np.ones(STACK.shape[1:]))}, TypeError, "boolean DataArray"),
    ],
)
def test_bad_input_is_refused(options, error, advice):
    with pytest.raises(error, match=advice):
        xoffset.search_range(STACK, NETWORK, **{"search": 6} | options)
