"""Dense matchers beside windows on crops of real images; `docs/figures/matchers.py` tells the same of whole ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from reference_places import kaiserberg, perito_moreno, yahtse

import xoffset

pytestmark = [pytest.mark.data, pytest.mark.slow]

STEP = 8


def matched(stack: xr.DataArray, search: int, **options: object) -> xr.Dataset:
    shifts = stack.offset.correlate(stack.offset.pairs(), search=search, step=STEP, **options)
    return shifts.offset.screen().isel(pair=0)


def pixel(stack: xr.DataArray) -> float:
    return float(stack.x[1] - stack.x[0])


@pytest.mark.parametrize("matcher", ["regularized", "flow"])
@pytest.mark.parametrize(
    ("scene", "search", "part"),
    [
        (kaiserberg, 11, {"x": slice(500, 1100)}),
        (yahtse, 24, {"y": slice(300, 812), "x": slice(700, 1212)}),
        (perito_moreno, 6, {"y": slice(400, 912), "x": slice(600, 1112)}),
    ],
    ids=["kaiserberg", "yahtse", "perito_moreno"],
)
def test_they_agree_with_windows_that_are_sure(scene, search, part, matcher, data_folder: Path) -> None:
    stack = scene(data_folder).isel(part).load()
    windows, dense = matched(stack, search), matched(stack, search, matcher=matcher)
    there = dense[["dx", "dy"]].interp(x=windows.x, y=windows.y)
    apart = np.hypot(there.dx - windows.dx, there.dy - windows.dy).values / pixel(stack)
    apart = apart[(windows.score > 0.7).values]
    assert np.isfinite(apart).sum() > 300
    assert np.nanmedian(apart) < 0.2


def test_stable_ground_of_the_rock_glacier_stays(data_folder: Path) -> None:
    stack = kaiserberg(data_folder).isel(x=slice(1300, None)).load()
    spreads = {}
    for name, options in {"windows": {}, "dense": {"matcher": "regularized"}}.items():
        shifts = matched(stack, 6, **options)
        values = np.stack([shifts[each].values for each in ("dx", "dy")]) / pixel(stack)
        values -= np.nanmedian(values, axis=(1, 2), keepdims=True)
        spreads[name] = 1.4826 * np.nanmedian(np.abs(values), axis=(1, 2))
        assert np.nanmean(np.hypot(*values) > 1.0) < 0.01
    assert (spreads["dense"] <= spreads["windows"]).all()


def test_flow_follows_waves_of_a_tenth_of_a_pixel(data_folder: Path) -> None:
    """Speckle whose motion waves along x, in waves that shorten; windows of 21 px do it half a time better."""
    folder = data_folder / "dic_challenge_14"
    commanded = np.genfromtxt(folder / "command.csv", delimiter=",")
    stack = xoffset.open_stack(
        [folder / "reference.png", folder / "L5.png"], date=["2020-01-01", "2020-01-02"], pixel_size=1.0
    ).isel(y=slice(0, 256), x=slice(0, 1024))
    network = stack.offset.pairs()
    errors = {}
    for name, options in {"windows": {"template": 21}, "flow": {"matcher": "flow"}}.items():
        shifts = stack.offset.correlate(network, search=3, step=STEP, **options).isel(pair=0)
        truth = np.interp(shifts.x.values - 0.5, commanded[:, 0], commanded[:, 5])
        errors[name] = np.sqrt(np.nanmean((shifts.dx.median("y").values - truth) ** 2))
    assert errors["windows"] < 0.008
    assert errors["flow"] < 0.012
