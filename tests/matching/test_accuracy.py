"""The figures that matching must hold on scenes with exactly known motion, as in the benchmarks but smaller."""

from __future__ import annotations

import numpy as np
import pytest

import xoffset
from xoffset import synthetic
from xoffset.model.dates import YEAR

pytestmark = pytest.mark.slow

PIXEL = 10.0
DATES = np.datetime64("2020-01-01", "us") + np.arange(2) * YEAR
AFFINE = xoffset.NCC(refine="affine")


def errors(shifts, truth):
    """Error of every match in pixels (component, y, x)."""
    at = truth.isel(time=-1).interp(x=shifts.x, y=shifts.y)
    return np.stack([(shifts[name].isel(pair=0) - at[name]).values for name in ("dx", "dy")]) / PIXEL


def share_and_rmse(error):
    """Percent of the matches that are off by more than half a pixel, and the RMSE by component of the others."""
    length = np.hypot(*error)
    is_out = length > 0.5
    return 100.0 * is_out.sum() / np.isfinite(length).sum(), np.sqrt(np.nanmean(error[:, ~is_out] ** 2))


# the zone of the fault takes twice the share of these smaller images: 0.033 px on those of the benchmarks
@pytest.mark.parametrize(
    ("field", "velocity", "snr", "options", "outliers", "rmse"),
    [
        ("glacier", 100.0, 10.0, {"template": (16, 32, 64), "search": 14}, 0.3, 0.05),
        ("fault", 10.0, 4.0, {"search": 4}, 0.3, 0.040),
    ],
)
def test_strained_ground(field, velocity, snr, options, outliers, rmse):
    stack, truth = synthetic.stack(
        (512, 512), dates=DATES, field=field, velocity=velocity, direction=180.0, snr=snr, pixel_size=PIXEL
    )
    shifts = stack.offset.correlate(stack.offset.pairs(), matcher=AFFINE, **options)
    share, error = share_and_rmse(errors(shifts, truth))
    assert share < outliers
    assert error < rmse


def test_a_quarter_of_the_texture_is_another():
    stack, truth = synthetic.stack((256, 256), dates=DATES, velocity=15.0, snr=10.0, pixel_size=PIXEL)
    other, _ = synthetic.stack((256, 256), dates=DATES, velocity=0.0, pixel_size=PIXEL, seed=9)
    values = stack.values.astype(np.float64)
    values[1] += (other.values[1] - other.values[1].mean()) * values[1].std() / other.values[1].std() / np.sqrt(3.0)
    shifts = stack.copy(data=values).offset.correlate(stack.offset.pairs(), search=20)
    assert share_and_rmse(errors(shifts.offset.screen(), truth))[0] == 0.0


@pytest.mark.parametrize(("snr", "rmse"), [(10.0, 0.010), (4.0, 0.019), (2.0, 0.036), (1.0, 0.078)])
def test_a_shift_under_changing_light(snr, rmse):
    speed, direction = PIXEL * np.hypot(2.3, 1.4), np.degrees(np.arctan2(2.3, 1.4))
    stack, truth = synthetic.stack(
        (384, 384), dates=DATES, field="constant", velocity=speed, direction=direction, snr=snr, illumination=0.15,
        pixel_size=PIXEL,
    )  # fmt: skip
    shifts = stack.offset.correlate(stack.offset.pairs())
    assert share_and_rmse(errors(shifts, truth))[1] < rmse
