"""Whole runs of our own recipes on synthetic scenes, against the truth, and their files read with other programs."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from own_scenes import LONG, SHORT, earthquake, glacier, landslide, seen, write_rectangle, write_shape

import xoffset
from xoffset import synthetic
from xoffset.cli import main
from xoffset.model.flags import FLAGS

# Margin around what moves [px]: half of the largest window.
BESIDE = 32


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the three recipes made of their scenes, the folders, and the truth."""
    folder = tmp_path_factory.mktemp("own")
    scenes = {"landslide": landslide(), "glacier": glacier(), "earthquake": earthquake()}
    slide = write_rectangle(folder / "slide.geojson", scenes["landslide"][0], (172, 276), (28, 196))
    ice = write_rectangle(folder / "ice.geojson", scenes["glacier"][0], (156, 292), (0, SHORT - 1))
    line = [(0, LONG // 2), (SHORT - 1, LONG // 2)]
    trace = write_shape(folder / "trace.geojson", scenes["earthquake"][0], "LineString", line)
    changes = {
        "landslide": {"max_velocity": 60.0, "moving": slide, "buffer": 10.0 * BESIDE},
        "glacier": {"max_velocity": 1300.0, "moving": ice, "buffer": 10.0 * BESIDE},
        "earthquake": {"date": "2020-03-20", "max_displacement": 10.0, "trace": trace},
    }
    products = {name: xoffset.run(name, stack, folder / name, **changes[name]) for name, (stack, _) in scenes.items()}
    loaded = {name: {key: each.load() for key, each in found.items()} for name, found in products.items()}
    truth = {name: each for name, (_, each) in scenes.items()}
    return SimpleNamespace(folder=folder, made=loaded, truth=truth, changes=changes)


def errors_of(runs, name, window):
    """Errors, and these in units of their standard errors (component, node); speeds of the ground and of windows."""
    rate, truth = runs.made[name]["velocity"], runs.truth[name]
    told = seen(truth, runs.made[name]["corrected"], window)
    off = np.stack([rate[each].values - told[each].values for each in ("vx", "vy")])
    sigma = np.stack([rate[f"sigma_{each}"].values for each in ("vx", "vy")])
    at = truth[["vx", "vy"]].interp(x=rate.x, y=rate.y)
    is_known = np.isfinite(off).all(axis=0)
    speeds = [np.hypot(each.vx.values, each.vy.values)[is_known] for each in (at, told)]
    return off[:, is_known], (off / sigma)[:, is_known], *speeds


@pytest.mark.parametrize(("name", "window"), [("landslide", 16), ("glacier", 32)])
def test_velocity_is_that_which_windows_see_within_its_standard_error(runs, name, window):
    """Against the mean over a window of the ground that is at a place on the dates of its pairs."""
    off, ratio, speed, of_window = errors_of(runs, name, window)
    fastest = speed.max()
    # but for the margin, where windows and searches leave the image, and windows that are sheared, nothing lacks
    is_sheared = ((runs.made[name]["corrected"].flags & FLAGS["sheared"]) != 0).any("pair")
    there = runs.made[name]["matches"].dx.notnull().any("pair")
    assert speed.size > 0.97 * (there & ~is_sheared).sum()
    for is_of, bias, rmse, most in (
        # some 700 windows that share three quarters of their pixels are worth 50 to 170: shares are known to 7 %
        # and 3 %
        (of_window < 1e-3 * fastest, 0.2, 0.6, 0.85),
        # where the motion bends, windows see a little less of it, and different parts of it on different ground, of
        # which real ground has more than this one
        (speed > 0.8 * fastest, 0.01 * fastest, 0.02 * fastest, 1.0),
    ):
        assert is_of.sum() > 40
        assert np.abs(off[:, is_of].mean(axis=1)).max() < bias
        assert np.sqrt((off[:, is_of] ** 2).mean()) < rmse
        within = [(np.abs(ratio[:, is_of]) < sigmas).mean() for sigmas in (1.0, 1.96)]
        assert 0.60 < within[0] <= most
        assert within[1] > 0.92
    # the margin, too
    is_of = (of_window >= 1e-3 * fastest) & (speed <= 0.8 * fastest)
    assert is_of.sum() > 40
    assert (np.abs(ratio[:, is_of]) < 1.96).mean() > 0.85


def test_slip_is_the_true_one_and_each_side_is_told_with_its_standard_error(runs):
    found, truth = runs.made["earthquake"]["displacement"], runs.truth["earthquake"].isel(time=-1)
    told = truth[["dx", "dy"]].interp(x=found.x, y=found.y)
    across = np.abs((found.x - truth.x.mean()).values) / 10.0
    is_far = (across > 40.0) & np.isfinite(found.dx.values) & np.isfinite(found.dy.values)
    slip = [2.0 * float(np.abs(each.dy.values[is_far]).mean()) for each in (found, told)]
    assert slip[0] == pytest.approx(slip[1], rel=0.05)
    # of each side: what decays slowly and a ramp that is fitted along with it cannot be told apart
    assert float(np.sqrt(((found.dy - told.dy).values[is_far] ** 2).mean())) < 0.05 * slip[1]
    ratio = ((found.dx - told.dx) / found.sigma_dx).values[is_far]
    assert np.abs((found.dx - told.dx).values[is_far].mean()) < 0.05
    assert 0.6 < (np.abs(ratio) < 1.0).mean() < 0.95
    assert (np.abs(ratio) < 1.96).mean() > 0.92


# product, file of it, variable, unit
FILES = {
    "speed": ("landslide", "velocity", "velocity/v", "v", "m yr-1"),
    "along x": ("glacier", "velocity", "velocity/vx", "vx", "m yr-1"),
    "chance of a change": ("landslide", "onset", "onset/false_alarm", "false_alarm", "1"),
    "error": ("glacier", "velocity", "velocity/sigma_vy", "sigma_vy", "m yr-1"),
    "series": ("landslide", "series", "displacement/dx", "dx", "m"),
    "of a date": ("glacier", "series", "displacement/sigma_dx", "sigma_dx", "m"),
    "step": ("earthquake", "displacement", "displacement/dy", "dy", "m"),
    "error of the step": ("earthquake", "displacement", "displacement/sigma_dy", "sigma_dy", "m"),
}


@pytest.mark.parametrize("row", FILES)
def test_files_hold_what_was_computed(runs, row):
    kind, product, name, variable, units = FILES[row]
    truth = runs.made[kind][product][variable]
    with rasterio.open(runs.folder / kind / f"{name}.tif") as file:
        values, tags, transform = file.read(), file.tags(), file.transform
        assert (file.dtypes[0], file.crs.to_epsg()) == ("float32", 32632)
        assert np.isnan(file.nodata)
    np.testing.assert_array_equal(values, truth.values.reshape(values.shape))
    assert tags["units"] == units
    assert transform * (0.5, 0.5) == pytest.approx((float(truth.x[0]), float(truth.y[0])))


@pytest.mark.parametrize("kind", ["landslide", "glacier", "earthquake"])
def test_losses_are_written_and_add_up(runs, kind):
    table = pd.read_csv(runs.folder / kind / "losses" / "losses.csv")
    made = runs.made[kind]["corrected"]
    counted = xoffset.losses(made)
    assert table.groupby("stage")["lost"].sum().to_dict() == {
        str(stage): int(counted.lost.sel(stage=stage).sum()) for stage in table.stage.unique()
    }
    left = table.groupby(["reference", "secondary"])["left"].min().sum()
    assert left == int((made.dx.notnull() & made.dy.notnull()).sum())


def test_a_run_goes_on_only_with_the_same_parameters(runs):
    stack, folder = landslide()[0], runs.folder / "landslide"
    with pytest.raises(ValueError, match=r"same images, parameters and version .*prefilter: was bandpass, is highpass"):
        xoffset.run("landslide", stack, folder, **(runs.changes["landslide"] | {"prefilter": "highpass"}))
    again = xoffset.run(folder / "recipe.toml", stack, folder)
    xr.testing.assert_identical(again["velocity"].load(), runs.made["landslide"]["velocity"])


def test_a_landslide_tells_when_it_sped_up(tmp_path):
    dates = np.datetime64("2021-01-05") + 24 * np.arange(12)
    moved = dates - dates[0] + 9 * np.maximum(dates - np.datetime64("2021-06-01"), np.timedelta64(0, "D"))
    stack, truth = synthetic.stack((128, 128), dates=dates[0] + moved, velocity=10.0, snr=6.0)
    stack = stack.assign_coords(time=dates.astype("datetime64[us]"))
    given = {"max_velocity": 100.0, "window": (32,), "min_nodes": 30}
    made = xoffset.run("landslide", stack, tmp_path / "out", **given)["onset"].load()
    is_fast = np.hypot(truth.vx, truth.vy).interp(x=made.x, y=made.y) > 5.0
    found = made.change_date[0].values[is_fast & (made.n_changes > 0)]
    assert found.size > 0.8 * int(is_fast.sum())
    off = (found - np.datetime64("2021-06-01")) / np.timedelta64(1, "D")
    assert np.abs(np.median(off)) < 3.0
    with rasterio.open(tmp_path / "out" / "onset" / "change_date.tif") as file:
        days = file.read(1)
    expected = (made.change_date[0].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    np.testing.assert_allclose(days, expected, rtol=0.0, atol=1e-6)
    # two dates tell of no change, and say so
    pair = xoffset.run("landslide", stack.isel(time=[0, 11]), tmp_path / "two", **given)["onset"].load()
    assert pair.change_date.isnull().all()
    assert (pair.flags == FLAGS["too_few_dates"]).all()


def test_the_command_makes_the_same(runs, tmp_path):
    stack = landslide()[0].isel(time=slice(3)).load()
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    options = {"--max-velocity": 60.0, "--moving": runs.changes["landslide"]["moving"], "--buffer": 320.0}
    told = [str(each) for pair in options.items() for each in pair] + ["--window", "16", "--window", "32"]
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["run", "landslide", str(tmp_path / "stack.zarr"), "-o", str(out), *told])
    assert done.exit_code == 0, done.output
    assert (out / "losses" / "losses.csv").exists()
    made = xoffset.run(
        "landslide", tmp_path / "stack.zarr", tmp_path / "same", window=(16, 32), max_velocity=60.0, buffer=320.0,
        moving=runs.changes["landslide"]["moving"],
    )  # fmt: skip
    found = xoffset.open_result(out / "velocity.zarr")
    xr.testing.assert_identical(found.load(), made["velocity"].load())


# ------------------------------------------------------------------------------------------------------- several bands


def test_bands_are_matched_each_and_voted_on(tmp_path):
    stack, truth = landslide()
    stack = stack.isel(time=slice(3)).load()
    for k, date in enumerate(stack.time.dt.strftime("%Y%m%d").values):
        image = stack.values[k]
        noise = np.random.default_rng(k).normal(0.0, 40.0, (3, *image.shape))
        bands = [image, image + noise[1], image + noise[2]]
        if k == 1:
            # a hole in the second band that shows something else
            bands[1] = np.where(np.hypot(*(np.indices(image.shape) - 100.0)[:, :, :]) < 40.0, noise[0] * 8.0, bands[1])
        profile = {
            "driver": "GTiff", "count": 3, "dtype": "float32", "height": image.shape[0], "width": image.shape[1],
            "crs": "EPSG:32632",
            "transform": rasterio.transform.from_origin(float(stack.x[0]) - 5.0, float(stack.y[0]) + 5.0, 10.0, 10.0),
        }  # fmt: skip
        with rasterio.open(tmp_path / f"{date}.tif", "w", **profile) as file:
            file.write(np.stack(bands).astype("float32"))
    place = write_rectangle(tmp_path / "slide.geojson", stack, (172, 276), (28, 196))
    given = {"max_velocity": 60.0, "moving": place, "buffer": 320.0, "window": (32,)}
    made = xoffset.run("landslide", tmp_path / "*.tif", tmp_path / "out", bands=("1", "2", "3"), **given)
    assert {"matches_1", "matches_2", "matches_3", "shifts", "velocity"} <= set(made)
    shifts = made["shifts"].load()
    assert int(shifts.n_bands.max()) == 3
    assert int(shifts.n_bands.where(shifts.dx.notnull()).min()) < 3
    one = xoffset.run("landslide", tmp_path / "*.tif", tmp_path / "one", band=2, **given)["velocity"].load()
    errors = {}
    for name, rate in (("vote", made["velocity"].load()), ("one", one)):
        at = truth[["vx", "vy"]].interp(x=rate.x, y=rate.y)
        errors[name] = float(np.sqrt(((rate.vx - at.vx) ** 2 + (rate.vy - at.vy) ** 2).mean()))
    assert errors["vote"] < errors["one"]
