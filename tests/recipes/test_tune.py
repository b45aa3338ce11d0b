"""tune(): small windows where motion is narrow, large ones where images are noise, and what it says of both."""

import logging

import numpy as np
import pytest
import rasterio
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.recipes import Earthquake, Glacier, Landslide, MpicOpt, tune

SIDE = 384
NARROW = Landslide(max_velocity=60.0, step=4)


def still(snr, dates=("2020-01-01", "2020-07-01", "2021-01-01"), seed=0):
    """Ground that stands still, with noise."""
    return synthetic.stack((SIDE, SIDE), dates=dates, field="constant", velocity=0.0, snr=snr, seed=seed)[0]


def everywhere(stack):
    return xr.ones_like(stack[0], dtype=bool).drop_vars("time")


@pytest.fixture(scope="module")
def narrow():
    """Windows tried on a landslide 24 px wide on clear images."""
    stack = still(snr=8.0)
    options = {"windows": (16, 64), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 2}
    return stack, NARROW.tune(stack, everywhere(stack), width=240.0, **options)


@pytest.fixture(scope="module")
def noisy():
    """Windows tried on a wide landslide on images of much noise."""
    stack = still(snr=0.4)
    options = {"windows": (16, 64), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 2}
    return stack, Landslide(max_velocity=60.0).tune(stack, everywhere(stack), width=1000.0, **options)


def test_a_narrow_landslide_needs_a_small_window(narrow):
    tuned = narrow[1]
    assert tuned.recipe == NARROW.changed({"window": (16,)})
    small, large = (tuned.table.isel(trial=k) for k in (0, 1))
    assert (small.window, large.window) == ("16", "64")
    # of which the large one sees next to nothing, however even its map is
    assert small.retention > 0.85
    assert large.found < 0.5 * small.found
    assert large.spread < small.spread


def test_noise_needs_a_large_window(noisy):
    tuned = noisy[1]
    assert tuned.recipe.window == (64,)
    small, large = (tuned.table.isel(trial=k) for k in (0, 1))
    assert large.coverage > small.coverage
    assert large.retention > 0.9


def test_the_planted_motion_is_what_is_said(narrow):
    """Retention against a direct comparison with matches of images that really moved."""
    stack, truth = synthetic.stack(
        (SIDE, SIDE), dates=["2020-01-01", "2021-01-01"], field="constant", velocity=30.0, snr=8.0, direction=70.0
    )
    found = xoffset.screen(xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=8))
    planted, really = float(narrow[1].table.retention[0]), float((found.dx / truth.dx[1].mean()).median())
    assert really == pytest.approx(1.0, abs=0.02)
    # a band has margins, of which windows at its sides see a little
    assert planted == pytest.approx(really, abs=0.15)


def test_it_is_drawn_with_a_seed_and_tells_how_far_it_is(caplog):
    stack = still(snr=4.0).isel(time=[0, 1])
    told = []
    options = {"windows": (16, (16, 32)), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 1}
    recipe = Glacier(max_velocity=60.0)
    with caplog.at_level(logging.INFO, logger="xoffset"):
        first = recipe.tune(stack, everywhere(stack), progress=lambda *state: told.append(state), **options)
    assert told == [(1, 2), (2, 2)]
    assert "tries 2 combinations on 1 tiles of" in caplog.text
    assert "CPU seconds" in caplog.text
    again = tune(recipe, stack.chunk(), everywhere(stack), **options)
    assert again.recipe == first.recipe
    xr.testing.assert_identical(again.table, first.table)
    other = recipe.tune(stack, everywhere(stack), seed=5, **options)
    assert not other.table.equals(first.table)
    assert first.table.window.values.tolist() == ["16", "16 32"]
    assert first.table.attrs["processing"]


def test_baselines_for_which_there_are_pairs_are_tried():
    stack = still(snr=4.0)
    options = {"windows": (32,), "prefilters": ("bandpass",), "tiles": 1}
    tuned = Landslide(max_velocity=60.0).tune(stack, everywhere(stack), motions=(0.2, 4.0, 90.0), **options)
    # 4 px are 243 days at 60 m a year, and 90 px more than there are
    assert tuned.table.min_motion.values.tolist() == [0.2, 4.0]
    # what a match is off by is a smaller speed over a longer time
    assert tuned.recipe.min_motion == 4.0
    with pytest.raises(ValueError, match=r"plan\(\) needs"):
        Landslide(max_velocity=60.0).tune(stack, everywhere(stack), motions=(90.0,), **options)


def test_an_earthquake_has_no_baselines():
    stack = still(snr=4.0)
    recipe = Earthquake(date="2020-10-01", max_displacement=40.0)
    tuned = recipe.tune(stack, everywhere(stack), windows=(16, 32), prefilters=("bandpass", "highpass"), tiles=1)
    assert tuned.table.sizes["trial"] == 4
    assert np.isnan(tuned.table.min_motion).all()
    assert tuned.table.spread.attrs["units"] == "m"
    assert tuned.recipe.changed({"window": recipe.window, "prefilter": "bandpass"}) == recipe


def test_bands_are_tried(tmp_path):
    stack = still(snr=8.0).isel(time=[0, 1])
    for k, date in enumerate(stack.time.dt.strftime("%Y%m%d").values):
        noise = np.random.default_rng(k).normal(0.0, 400.0, stack.shape[1:])
        with rasterio.open(
            tmp_path / f"{date}.tif", "w", driver="GTiff", count=2, dtype="float32", height=SIDE, width=SIDE,
            crs="EPSG:32632",
            transform=rasterio.transform.from_origin(float(stack.x[0]) - 5.0, float(stack.y[0]) + 5.0, 10.0, 10.0),
        ) as file:  # fmt: skip
            file.write(np.stack([stack.values[k] + noise, stack.values[k]]).astype("float32"))
    options = {"windows": (32,), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 1}
    recipe = Landslide(max_velocity=60.0)
    tuned = recipe.tune(str(tmp_path / "*.tif"), everywhere(stack), bands=(1, 2), **options)
    assert tuned.recipe.band == 2
    assert tuned.table.band.values.tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("changes", "error", "advice"),
    [
        ({"windows": ()}, TypeError, r"needs a list as windows; got \(\)"),
        ({"windows": ("16",)}, ValueError, r"whole numbers of pixels as windows, .*; got '16'\. Pass such as"),
        ({"windows": ((16, 0),)}, ValueError, r"as windows, .*; got \(16, 0\)"),
        ({"windows": (100_000,)}, ValueError, r"tune\(\) needs images of at least 1000\d\d x .*smaller template"),
        ({"motions": (float("nan"),)}, ValueError, r"as min_motion \[px\]; got nan"),
        ({"prefilters": "bandpass"}, TypeError, r"needs a list as prefilters; got 'bandpass'"),
        ({"prefilters": ("bandpas",)}, ValueError, r"prefilter to be one of .*got 'bandpas'"),
        ({"tiles": 0}, ValueError, r"tiles"),
        ({"pairs_of_each": 1.5}, ValueError, r"pairs_of_each"),
        ({"seed": -1}, ValueError, r"seed"),
        ({"width": 0.0}, ValueError, r"width"),
        ({"width": 1e9}, ValueError, r"width of 2 px to the side of a tile, 20 to \d+ m; got 1e\+09 m\. Name"),
        ({"width": 0.1}, ValueError, r"width of 2 px .*; got 0\.1 m"),
    ],
)
def test_senseless_options_are_refused(changes, error, advice):
    stack = still(snr=8.0)
    options = {"windows": (16,), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 1}
    with pytest.raises(error, match=advice):
        Landslide(max_velocity=60.0).tune(stack, everywhere(stack), **(options | changes))


def test_other_recipes_and_ground_that_is_none_are_refused():
    stack = still(snr=8.0)
    with pytest.raises(TypeError, match=r"one of our own recipes; got MpicOpt\. Pass such as"):
        tune(MpicOpt(spatial_matching_range=2), stack, everywhere(stack))
    with pytest.raises(TypeError, match=r"tune\(\) needs a boolean DataArray .* as stable"):
        tune(Landslide(max_velocity=60.0), stack, stack[0])
    little = everywhere(stack) & (stack.x < float(stack.x[30]))
    with pytest.raises(ValueError, match=r"needs a tile of \d+ px, 30 % of which are stable ground; got none, \d+ %"):
        tune(Landslide(max_velocity=60.0), stack, little, windows=(16,))
