"""What moves with the sun, in our own recipes: taken off where the dates tell it from motion, and said where not."""

import logging
import tomllib

import numpy as np
import pytest
import xarray as xr
from own_scenes import made

import xoffset
from xoffset import synthetic
from xoffset._arrays.scenes import sunlight
from xoffset.pipeline.planning import called, make_plan
from xoffset.recipes import Glacier, Landslide
from xoffset.recipes.base import Result

DAY = np.timedelta64(86_400_000_000, "us")
# Two years and a half from a winter to a summer, in which what comes back each year makes a trend.
DATES = np.datetime64("2019-12-10T10:30", "us") + 25 * np.arange(37) * DAY
NOISE, HEIGHT, RATE = 0.3, 1.5, 4.0


def lit(dates=DATES, side=128):
    """Images of noise, whose sun is known."""
    values = np.random.default_rng(0).random((dates.size, side, side)).astype("float32")
    azimuth, elevation = sunlight.position(dates, 45.0)
    coords = {
        "time": dates, "y": 5e6 - 10.0 * np.arange(side), "x": 5e5 + 10.0 * np.arange(side),
        "sun_azimuth": ("time", azimuth), "sun_elevation": ("time", elevation),
    }  # fmt: skip
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords).rio.write_crs(32632).chunk()


def planted(recipe, stack, nodes=14):
    """Results of a recipe from shifts of its pairs: steady motion, textures that follow shadows, and noise."""
    network = made(recipe, "network", stack)
    dates = stack["time"].values
    azimuth, elevation = np.deg2rad([stack.sun_azimuth.values, stack.sun_elevation.values])
    slants = np.stack([np.sin(azimuth), np.cos(azimuth)]) / np.tan(elevation)
    steady = np.stack([RATE * ((dates - dates[0]) / DAY) / 365.25, np.zeros(dates.size)])
    noise = NOISE * np.random.default_rng(0).standard_normal((2, dates.size, nodes, nodes))
    moved = (steady - HEIGHT * slants)[:, :, None, None] + noise
    first, second = (np.searchsorted(dates, network[name].values) for name in ("reference", "secondary"))
    dx, dy = (moved[:, second] - moved[:, first]).astype("float32")
    sigma = np.full_like(dx, NOISE * np.sqrt(2.0))
    fields = {"dx": dx, "dy": dy, "sigma_dx": sigma, "sigma_dy": sigma}
    shifts = network.assign({name: (("pair", "y", "x"), each) for name, each in fields.items()}).assign_coords(
        y=5e6 - 80.0 * np.arange(nodes), x=5e5 + 80.0 * np.arange(nodes), pixel_size=10.0, window_size=160.0
    )
    results = {"network": network, "stack": stack, "shifts": shifts}
    for step in recipe.motion(Result("shifts")):
        if step.folder is None:
            results[step.name] = called(step, results, {}, None)
    return results


def held(rate):
    """Share of the velocities of which the intervals of 95 % hold the truth, both components."""
    return np.mean([
        (np.abs(rate.vx - RATE) < 1.96 * rate.sigma_vx).mean(), (np.abs(rate.vy) < 1.96 * rate.sigma_vy).mean()
    ])  # fmt: skip


def test_intervals_of_the_recipe_hold_where_shadows_move():
    stack = lit()
    found = {name: planted(Landslide(max_velocity=60.0, light=name), stack) for name in ("auto", "sun", "none")}
    assert 0.93 < held(found["auto"]["velocity"]) < 0.99
    assert held(found["none"]["velocity"]) < 0.5
    # what is decided by the dates is what one asks for
    for product in ("velocity", "series", "onset"):
        xr.testing.assert_equal(found["auto"][product], found["sun"][product])
    assert "sun_condition" in found["auto"]["velocity"]
    assert "sun_condition" not in found["none"]["velocity"]
    # motion is steady: what follows the shadows looks like changes
    share = [float((found[name]["onset"].n_changes > 0).mean()) for name in ("auto", "none")]
    assert share[0] < 0.05
    assert share[1] > 0.7
    years = (found["auto"]["series"].time - DATES[0]) / DAY / 365.25
    ends = found["auto"]["series"].dx.isel(time=-1) - found["auto"]["series"].dx.isel(time=0)
    assert float(ends.mean()) == pytest.approx(RATE * float(years[-1]), abs=0.3)
    np.testing.assert_allclose(float(found["auto"]["series"].removed_dx.std("time").mean()), 0.4, atol=0.25)


def test_a_run_says_where_light_is_left_in_it(tmp_path, caplog):
    """Dates that are too few to tell it, or whose sun is unknown."""
    few, _ = synthetic.stack((96, 96), dates=DATES[:5], velocity=20.0, shadows=0.3)
    changes = {"max_velocity": 60.0, "window": (32,), "min_nodes": 5}
    what = "no file: velocity and displacement without what moves with the sun"
    for stack, why in (
        (few, "needs 7 dates to tell light from motion; got 5"),
        (few.drop_vars(["sun_azimuth", "sun_elevation"]), "got none of ['sun_azimuth', 'sun_elevation']"),
    ):
        plan = make_plan("landslide", stack, changes)
        assert list(plan.not_written) == [what]
        assert why in plan.not_written[what]
        assert any(text.startswith(f"landslide: {what}: sun_term() ") for text in plan.warnings)
        assert plan.results["light"].sun is None
        assert "sun_condition" not in plan.results["velocity"]
        assert not make_plan("landslide", stack, changes | {"light": "none"}).not_written
        with pytest.raises(ValueError, match=r"invert\(\) needs (7 dates|'sun_azimuth')"):
            make_plan("landslide", stack, changes | {"light": "sun"})
    with caplog.at_level(logging.WARNING, logger="xoffset"):
        xoffset.run("landslide", few, tmp_path / "out", **changes)
    assert what in caplog.text
    written = tomllib.loads((tmp_path / "out" / "recipe.toml").read_text())
    assert written["light"] == "auto"
    assert "got 5" in written["not_written"][what]


def test_plain_calls_do_the_same():
    text = Landslide(max_velocity=60.0, classes="none", detectors="none").script("scenes")
    assert "light = xoffset.sun_term(network, sun=stack)" in text
    assert text.count("sun=light.sun)") == 2
    asked = Landslide(max_velocity=60.0, light="sun", classes="none", detectors="none").script("scenes")
    assert "sun_term" not in asked
    assert asked.count("sun=stack)") == 2
    for recipe in (Landslide(max_velocity=60.0, light="none"), Glacier(max_velocity=60.0)):
        assert "sun" not in recipe.script("scenes")
    assert "sun_term" in Glacier(max_velocity=60.0, light="auto").script("scenes")


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="light to be one of auto, sun, none; got 'shadows'"):
        Landslide(max_velocity=60.0, light="shadows")
