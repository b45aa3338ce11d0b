"""Every case whose images are not at hand, from files to table, on a synthetic stand-in with the same files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stand_ins

from validation import data, tables
from validation.case import load
from xoffset import synthetic

pytestmark = pytest.mark.slow

PIXELS = [(80, 150), (120, 160), (150, 90), (120, 120), (180, 150)]


def ran(name: str, folder: Path) -> dict[str, float | None]:
    """Numbers of the table of a case, by quantity, after what the command does with it."""
    case = load(name)
    measured = case.recipe(data.find(case, folder))
    rows = tables.beside(case, measured["table"])
    json.dumps(rows)
    return {row["quantity"]: row["xoffset"] for row in rows}


def test_ridgecrest(tmp_path: Path) -> None:
    dates = ["2019-06-28", "2019-07-03", "2019-07-13", "2019-07-18"]
    stack, truth = stand_ins.moved(
        dates, field="fault", velocity=0.0, step=4.0, step_date="2019-07-06", direction=0.0, seed=1
    )
    like = stand_ins.sentinel2(tmp_path / "ridgecrest", stack, "11SMV")
    moved = {name: truth[name].values[-1] for name in ("dx", "dy")}
    stand_ins.shape(tmp_path / "ridgecrest" / "trace.geojson", like, "LineString", [(0, 120), (239, 120)])
    span = {"reference": "2019-07-01", "secondary": "2019-07-12"}
    stand_ins.receivers(tmp_path / "ridgecrest" / "gnss.csv", moved, like, PIXELS, **span)
    found = ran("ridgecrest", tmp_path)
    assert found["accuracy: RMSE of a component against the ground"] < 0.8
    assert found["measurements on the ground"] >= 3.0


def test_kaikoura(tmp_path: Path) -> None:
    dates = ["2016-09-01", "2016-10-01", "2016-12-01", "2017-01-01"]
    stack, _ = stand_ins.moved(
        dates, field="landslide", velocity=0.0, step=12.0, step_date="2016-11-13", direction=60.0, seed=2
    )
    stand_ins.sentinel2(tmp_path / "kaikoura", stack, "59GQP")
    found = ran("kaikoura", tmp_path)
    assert found["displacement of the fastest 1 in 1000"] == pytest.approx(12.0, rel=0.25)
    # 8 m by the tangent of the 5 to 7 degrees of the stand-in
    assert 0.6 < found["horizontal leak of 8 m of uplift, at the largest view angle"] < 1.2


def test_slumgullion(tmp_path: Path) -> None:
    dates = [f"{year}-08-05" for year in range(2016, 2021)]
    stack, truth = stand_ins.moved(dates, field="landslide", velocity=6.5, direction=250.0, seed=3)
    like = stand_ins.sentinel2(tmp_path / "slumgullion", stack, "13SBB")
    stand_ins.outline(tmp_path / "slumgullion" / "outline.geojson", like, (105, 135), (105, 135))
    moved = {name: truth[name].values for name in ("vx", "vy")}
    stand_ins.receivers(tmp_path / "slumgullion" / "gnss.csv", moved, like, PIXELS)
    found = ran("slumgullion", tmp_path)
    assert found["speed of the most active part"] == pytest.approx(6.5, rel=0.2)
    assert found["spread (NMAD) on stable ground"] < 0.5
    assert found["accuracy: RMSE of a component against the ground"] < 1.0


def test_salmon_falls(tmp_path: Path) -> None:
    dates = [f"{year}-07-05" for year in range(2016, 2021)]
    stack, _ = stand_ins.moved(dates, field="landslide", velocity=0.05, direction=270.0, seed=4)
    like = stand_ins.sentinel2(tmp_path / "salmon_falls", stack, "11TQH")
    stand_ins.outline(tmp_path / "salmon_falls" / "outline.geojson", like, (100, 140), (100, 140))
    found = ran("salmon_falls", tmp_path)
    # slower than what is told from zero, and the standard error says so
    assert abs(found["motion toward the west"] - 0.05) < 4.0 * found["its standard error"]
    assert 0.005 < found["its standard error"] < 0.05


def test_harmaliere(tmp_path: Path) -> None:
    dates = ["2016-05-01", "2016-06-10", "2016-07-20", "2016-08-29"]
    stack, _ = stand_ins.moved(dates, field="landslide", velocity=150.0, direction=130.0, seed=5)
    stand_ins.sentinel2(tmp_path / "harmaliere", stack)
    found = ran("harmaliere", tmp_path)
    assert found["mean velocity of the fastest 1 in 1000"] == pytest.approx(150.0, rel=0.3)


def test_jakobshavn(tmp_path: Path) -> None:
    stack, _ = synthetic.stack(
        (384, 384), dates=["2017-07-08", "2017-07-24"], field="landslide", velocity=2500.0, direction=270.0, snr=8.0,
        pixel_size=15.0, misregistration=3.0, seed=6,
    )  # fmt: skip
    like = stand_ins.landsat(tmp_path / "jakobshavn", stack)
    stand_ins.outline(tmp_path / "jakobshavn" / "rock.geojson", like, (82, 106), (85, 300))
    found = ran("jakobshavn", tmp_path)
    assert found["error on stable ground (MAD), x"] < 22.0
    assert found["error on stable ground (MAD), y"] < 31.0
    assert found["speed of the fastest 1 %"] == pytest.approx(2500.0, rel=0.15)


def test_maca(tmp_path: Path) -> None:
    dates = ["1995-06-01", "2000-06-01", "2005-06-01", "2010-06-01", "2015-06-01"]
    stack, truth = synthetic.stack(
        (256, 256), dates=dates, field="landslide", velocity=1.5, direction=200.0, snr=1.5, misregistration=2.0,
        pixel_size=2.5, seed=7,
    )  # fmt: skip
    stand_ins.rasters(tmp_path / "maca", stack, "maca_")
    stand_ins.outline(tmp_path / "maca" / "outline.geojson", stack, (98, 158), (98, 158))
    moved = {name: truth[name].values[-1] for name in ("dx", "dy")}
    span = {"reference": dates[0], "secondary": dates[-1]}
    stand_ins.receivers(tmp_path / "maca" / "gps.csv", moved, stack, [(128, 128), (140, 120)], **span)
    found = ran("maca", tmp_path)
    assert found["uncertainty that redundancy takes off"] > 0.0
    assert found["displacement of the fastest 1 % in all years"] == pytest.approx(30.0, rel=0.3)
    assert found["accuracy: RMSE of a component against the ground"] < 3.0


def test_lowell(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    days = np.arange("2018-01-01", "2019-07-01", dtype="M8[D]")
    speed = 60.0 + 40.0 * np.sin(2.0 * np.pi * (days - days[0]).astype(float) / 365.25)
    folder = tmp_path / "lowell"
    folder.mkdir()
    receiver = pd.DataFrame({"reference": days[:-1], "secondary": days[1:], "vx": speed[:-1], "vy": 0.2 * speed[:-1]})
    (folder / "gnss.csv").write_text(f"# datum: WGS 84\n# axes: grid\n{receiver.to_csv(index=False)}")
    starts, gaps = rng.integers(0, 480, 600), rng.choice([5, 10, 16, 32, 48], 600)
    rows = []
    for start, gap in zip(starts, gaps, strict=True):
        mean, sigma = speed[start : start + gap].mean(), 600.0 / gap
        noise = sigma * rng.standard_normal(2)
        rows.append((days[start], days[start] + gap, mean + noise[0], 0.2 * mean + noise[1], sigma, sigma))
    names = ["reference", "secondary", "vx", "vy", "vx_error", "vy_error"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "pairs.csv", index=False)
    found = ran("lowell", tmp_path)
    assert found["error that the inversion takes off"] > 40.0
    assert found["months beside the receiver"] > 10.0


def test_rangitikei(tmp_path: Path) -> None:
    """The six files of the published comparison, with a stake of which the truth is known."""
    case = load("rangitikei")
    dates = case.product("images").id.replace("s2_l2_R129_T60HUB_", "").replace(".tif", "").split(", ")
    dates = [f"{date[:4]}-{date[4:6]}-{date[6:]}" for date in dates]
    stack, truth = synthetic.stack(
        (160, 160), dates=dates, field="landslide", velocity=8.0, direction=170.0, snr=6.0, crs="EPSG:32760", seed=8
    )
    stand_ins.rasters(tmp_path / "rangitikei", stack, "s2_l2_R129_T60HUB_")
    moved = {name: truth[name].values for name in ("vx", "vy")}
    stand_ins.receivers(
        tmp_path / "rangitikei" / "pegs.csv", moved, stack, [(80, 80), (90, 70), (40, 40)], datum="NZGD2000"
    )
    from validation.cases import rangitikei

    found = {each["quantity"]: each["xoffset"] for each in rangitikei.of_images(data.find(case, tmp_path))}
    assert found["accuracy: RMSE of a component against the ground"] < 1.0
    assert found["measurements on the ground"] == 3.0
