"""The rate of `annual-rate` beside that of MintPy itself, where its programs are installed (on the PATH)."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import xoffset
from xoffset import synthetic

h5py = pytest.importorskip("h5py")
PROGRAM = shutil.which("timeseries2velocity.py")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="MintPy is not installed")
DATES = ["2018-11-22", "2019-11-22", "2020-12-01", "2021-11-01"]


@pytest.mark.parametrize(("end", "axis"), [("Rg", "x"), ("Az", "y")])
def test_mintpy_finds_the_same_rate(tmp_path, end, axis):
    stack, _ = synthetic.stack((160, 160), dates=DATES, velocity=20.0, direction=120.0, snr=8.0, seed=6)
    rate = xoffset.run("annual-rate", stack, tmp_path / "out", search_limit=8)["velocity"].compute()
    series = tmp_path / "out" / f"timeseries{end}.h5"
    theirs = tmp_path / f"velocity{end}.h5"
    subprocess.run([PROGRAM, str(series), "-o", str(theirs)], check=True, capture_output=True, cwd=tmp_path)
    with h5py.File(theirs) as file:
        velocity, error = file["velocity"][:], file["velocityStd"][:]
    moved = xoffset.formats.mintpy.read(tmp_path / "out")[f"d{axis}"].values
    known = np.isfinite(moved).all(axis=0)
    # its years count days from the first of January of each as 365.25th parts
    days = pd.DatetimeIndex(DATES)
    years = (days.year + (days.day_of_year - 1) / 365.25).to_numpy()
    slope = np.polyfit(years - years[0], moved[:, known], 1)[0]
    np.testing.assert_allclose(velocity[known], slope, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(velocity[known], rate[f"v{axis}"].values[known], rtol=1e-3, atol=1e-3)
    assert np.nanmedian(rate[f"sigma_v{axis}"].values[known] / error[known]) == pytest.approx(1.0, abs=0.35)
