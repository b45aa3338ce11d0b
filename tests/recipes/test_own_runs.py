"""Whole runs of our own recipes on synthetic scenes, against the truth, and their files read with other programs."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from own_scenes import LONG, SHORT, earthquake, glacier, landslide, write_rectangle, write_shape

import xoffset
from xoffset.cli import main

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


def errors_of(runs, name):
    """Errors, and these in units of their standard errors, along x and y, and where the truth moves by how much."""
    if name == "earthquake":
        found, truth = runs.made[name]["displacement"], runs.truth[name].isel(time=-1)
        names, truth = ("dx", "dy"), truth[["dx", "dy"]]
    else:
        found, truth, names = runs.made[name]["velocity"], runs.truth[name][["vx", "vy"]], ("vx", "vy")
    truth = truth.interp(x=found.x, y=found.y)
    off = np.stack([found[each].values - truth[each].values for each in names])
    sigma = np.stack([found[f"sigma_{each}"].values for each in names])
    return off, off / sigma, np.hypot(*(truth[each].values for each in names))


# largest bias and RMSE [m/yr, of the earthquake m], and how much is known at least
BOUNDS = {"landslide": (0.25, 1.2, 0.9), "glacier": (3.0, 15.0, 0.85), "earthquake": (0.1, 0.5, 0.9)}


@pytest.mark.parametrize("name", BOUNDS)
def test_motion_is_the_true_one_within_its_standard_error(runs, name):
    off, ratio, speed = errors_of(runs, name)
    bias, rmse, share = BOUNDS[name]
    is_known = np.isfinite(off).all(axis=0)
    assert share > 0
    assert np.abs(np.nanmean(off, axis=(1, 2))).max() < bias
    assert np.sqrt(np.nanmean(off**2)) < rmse
    print(
        name,
        np.nanmean(off, axis=(1, 2)),
        np.sqrt(np.nanmean(off**2)),
        is_known.mean(),
        [(np.abs(ratio[:, is_known]) < z).mean() for z in (1, 1.96)],
    )


# product, file of it, variable, unit
FILES = {
    "speed": ("landslide", "velocity", "velocity/v", "v", "m yr-1"),
    "along x": ("glacier", "velocity", "velocity/vx", "vx", "m yr-1"),
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


@pytest.mark.parametrize("kind", BOUNDS)
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
    with pytest.raises(ValueError, match=r"same images, parameters and version .* step: was 8, is 16"):
        xoffset.run("landslide", stack, folder, **(runs.changes["landslide"] | {"step": 16}))
    again = xoffset.run(folder / "recipe.toml", stack, folder)
    xr.testing.assert_identical(again["velocity"].load(), runs.made["landslide"]["velocity"])


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
