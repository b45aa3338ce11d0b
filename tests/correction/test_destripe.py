"""destripe(): steps of detectors by their mean or median, against plain arithmetic."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.flags import FLAGS

STACK, TRUTH = synthetic.stack(
    (128, 128), dates=["2020-01-01", "2020-02-01", "2020-03-01"], field="constant", velocity=0.0, stripes=4.0
)
SHIFTS = xoffset.correlate(STACK, xoffset.pairs(STACK), template=15, search=4, step=4)
DETECTOR = TRUTH.detector.astype("uint8")


def on_nodes(layer):
    return layer.sel(y=SHIFTS.y, x=SHIFTS.x, method="nearest").values


@pytest.mark.parametrize("value", ["mean", "median"])
def test_each_detector_loses_its_middle(value):
    shifts = SHIFTS.assign(dx=SHIFTS.dx + xr.where(SHIFTS.x > SHIFTS.x[20], 1.5, 0.0).astype("f4"))
    found = xoffset.destripe(shifts, DETECTOR, value=value)
    numbers = on_nodes(DETECTOR)
    middle = {"mean": np.nanmean, "median": np.nanmedian}[value]
    for name in ("dx", "dy"):
        for pair in range(3):
            expected = shifts[name].values[pair].astype(float)
            for number in np.unique(numbers):
                expected[numbers == number] -= middle(expected[numbers == number])
            assert np.allclose(found[name].values[pair], expected, atol=1e-5, equal_nan=True)
        assert np.allclose(found[name] + found[f"removed_{name}"], shifts[name], atol=1e-5, equal_nan=True)
    lazy = xoffset.destripe(shifts.chunk(pair=-1, y=7, x=9), DETECTOR, value=value)
    assert lazy.dx.chunks is not None
    xr.testing.assert_identical(lazy.compute(), found)


def test_mean_and_median_differ():
    skewed = SHIFTS.assign(dx=SHIFTS.dx + xr.where(SHIFTS.y > SHIFTS.y[6], 3.0, 0.0).astype("f4"))
    by_mean, by_median = (xoffset.destripe(skewed, DETECTOR, value=value) for value in ("mean", "median"))
    assert abs(by_mean.dx - by_median.dx).max() > 0.3


def test_motion_beside_stable_ground_stays():
    moving = (SHIFTS.y > SHIFTS.y[14]).broadcast_like(SHIFTS.dx[0])
    shifts = SHIFTS.assign(dx=SHIFTS.dx + xr.where(moving, 6.0, 0.0).astype("f4"))
    found = xoffset.destripe(shifts, DETECTOR, stable=~moving)
    assert abs(float(found.dx.where(moving).median()) - 6.0) < 0.3
    assert abs(float(found.dx.where(~moving).median())) < 0.3


def test_what_no_detector_saw_stays_and_is_flagged():
    numbers = DETECTOR.where(DETECTOR.max() != DETECTOR, 0).astype("uint8")
    found = xoffset.destripe(SHIFTS, numbers)
    unseen = on_nodes(numbers) == 0
    assert unseen.any()
    assert np.array_equal(found.dx.values[:, unseen], SHIFTS.dx.values[:, unseen], equal_nan=True)
    known = np.isfinite(SHIFTS.dx.values)
    assert np.array_equal((found.flags.values & FLAGS["not_corrected"]) > 0, known & unseen)


def test_detectors_may_differ_between_dates():
    moved = DETECTOR.where(DETECTOR > 1, 9).astype("uint8")
    both = xr.concat([DETECTOR, moved, DETECTOR], STACK.time)
    found = xoffset.destripe(SHIFTS, both)
    assert np.allclose(found.dx, xoffset.destripe(SHIFTS, DETECTOR).dx, atol=1e-5, equal_nan=True)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="destripe"):
        xoffset.destripe(SHIFTS, DETECTOR, value="mode")
    with pytest.raises(TypeError, match=r"destripe\(\) needs a DataArray of whole numbers"):
        xoffset.destripe(SHIFTS, DETECTOR.astype(float))
    with pytest.raises(ValueError, match="whole number of at least 1 as min_nodes"):
        xoffset.destripe(SHIFTS, DETECTOR, min_nodes=0)
