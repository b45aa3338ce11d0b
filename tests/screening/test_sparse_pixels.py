"""discard_pixels() and drop_misclosed(): pixels with too few pairs, or pairs that contradict one another."""

import numpy as np
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
STACK, _ = synthetic.stack((64, 64), dates=DATES, velocity=30.0, snr=6.0, seed=1)
SHIFTS = xoffset.correlate(STACK, xoffset.pairs(STACK), template=16, search=5, step=8)
ENDS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def without(*lost):
    """Shifts of which pairs lack at (row, column)."""
    found = SHIFTS.copy(deep=True)
    for pair, row, column in lost:
        for name in ("dx", "dy"):
            found[name][pair, row, column] = np.nan
    return found


def test_pixels_that_lack_too_many_pairs_go():
    shifts = without(*((pair, 1, 1) for pair in (0, 1, 2)), *((pair, 2, 2) for pair in (0, 1, 2, 3)))
    found = xoffset.discard_pixels(shifts, max_discarded=0.5)
    assert int(found.dx[:, 1, 1].notnull().sum()) == 3
    assert bool(found.dx[:, 2, 2].isnull().all())
    is_new = shifts.dx.notnull() & found.dx.isnull()
    assert bool((((found.flags & FLAGS["sparse"]) != 0) == is_new).all())
    assert bool(found.sigma_dx.where(is_new).isnull().all())
    xr.testing.assert_equal(found.dx[:, 3], shifts.dx[:, 3])


def test_pairs_of_dates_with_few_go_until_all_have_enough():
    # the last date has one pair left, without which the third has one, too
    shifts = without((2, 1, 1), (4, 1, 1), (1, 1, 1))
    left = [
        np.flatnonzero(xoffset.discard_pixels(shifts, max_discarded=1.0, min_pairs=k).dx[:, 1, 1].notnull()).tolist()
        for k in (1, 2)
    ]
    assert left == [[0, 3, 5], []]
    shuffled = shifts.isel(pair=[3, 0, 5, 1, 4, 2])
    found = xoffset.discard_pixels(shuffled, max_discarded=1.0, min_pairs=2)
    xr.testing.assert_equal(
        found.dx, xoffset.discard_pixels(shifts, max_discarded=1.0, min_pairs=2).dx.isel(pair=[3, 0, 5, 1, 4, 2])
    )


def test_lazy_pixels_are_the_same():
    shifts = without((2, 1, 1), (4, 1, 1), (1, 1, 1))
    lazy = xoffset.discard_pixels(shifts.chunk(x=3), max_discarded=0.3, min_pairs=2)
    assert lazy.dx.chunks
    xr.testing.assert_identical(lazy.compute(), xoffset.discard_pixels(shifts, max_discarded=0.3, min_pairs=2))
    series = xoffset.invert(shifts, reference="first")
    limit = float(series.rms.median())
    lazy = xoffset.drop_misclosed(series.chunk(x=3), max_rms=limit)
    xr.testing.assert_identical(lazy.compute(), xoffset.drop_misclosed(series, max_rms=limit))


def test_series_that_misclose_go():
    series = xoffset.invert(SHIFTS, reference="first")
    limit = float(series.rms.median())
    found = xoffset.drop_misclosed(series, max_rms=limit)
    is_beyond = series.rms > limit
    for name in ("dx", "dy", "sigma_dx", "sigma_dy"):
        xr.testing.assert_equal(found[name], series[name].where(~is_beyond))
    assert bool((((found.flags & FLAGS["closure"]) != 0) == (is_beyond & series.dx.notnull())).all())
    xr.testing.assert_equal(found.rms, series.rms)
    assert found.flags.dtype == np.int64
