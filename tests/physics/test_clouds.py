"""Scenes with clouds from end to end: what misleads is gone, and what can be seen is kept, with nothing tuned."""

import numpy as np
import pytest

import xoffset
from xoffset import synthetic

PIXEL, TEMPLATE, STEP = 10.0, 32, 8


def errors(shifts, truth):
    """Length of the errors of a pair in pixels, NaN where there is no match."""
    at = truth.isel(time=-1).interp(x=shifts.x, y=shifts.y)
    return np.hypot(shifts.dx - at.dx, shifts.dy - at.dy).isel(pair=0).values / PIXEL


def share_seen(usable, truth):
    """Share of the pixels of each window that may be seen in both images, at x and where they have gone to."""
    rows, columns = np.indices(usable.shape[1:])
    moved = [np.rint(truth[name][-1].values / side).astype(int) for name, side in (("dy", -PIXEL), ("dx", PIXEL))]
    place = [np.clip(at + by, 0, at.max()) for at, by in zip((rows, columns), moved, strict=True)]
    both = usable.values[0] & usable.values[1][place[0], place[1]]
    return np.lib.stride_tricks.sliding_window_view(both, (TEMPLATE, TEMPLATE))[::STEP, ::STEP].mean(axis=(2, 3))


# what is off by more than so many pixels is wrong: the margins of the glacier shear by 15 % within a window
@pytest.mark.parametrize(
    ("field", "velocity", "clouds", "largest"),
    [("landslide", 30.0, 0.05, 0.5), ("landslide", 30.0, 0.2, 0.5), ("constant", 40.0, 0.15, 0.5),
     ("glacier", 60.0, 0.1, 1.0)],
)  # fmt: skip
def test_clouds_that_are_masked_leave_no_blunders_and_take_little(field, velocity, clouds, largest):
    stack, truth = synthetic.stack(
        (384, 384), field=field, velocity=velocity, snr=4.0, illumination=0.1, clouds=clouds, nodata=0.015, seed=10
    )
    network, options = xoffset.pairs(stack), {"template": TEMPLATE, "search": 9, "step": STEP}
    usable = ~truth.cloud
    before = errors(xoffset.correlate(stack, network, **options), truth)
    after = errors(xoffset.correlate(stack, network, mask=usable, **options).offset.screen(), truth)
    wrong = before > largest
    # half of the pixels is what a match asks for
    right = (before <= 0.5) & (share_seen(usable & stack.notnull(), truth) >= 0.5)
    assert wrong.sum() >= 20
    assert (after > largest).sum() <= 0.02 * wrong.sum()
    assert (after[right] <= 0.5).sum() >= 0.97 * right.sum()
    # more of the ground is known than the clouds let through without a mask
    assert (after <= 0.5).sum() > (before <= 0.5).sum()
