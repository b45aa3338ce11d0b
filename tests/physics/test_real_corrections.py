"""What corrections by date make of real images; the figures are those of the README of each data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import filtering

pytestmark = [pytest.mark.data, pytest.mark.slow]


def in_squares(data: xr.Dataset) -> xr.DataArray:
    """Squares of 4 x 4 nodes of a chessboard."""
    y, x = np.indices((data.sizes["y"], data.sizes["x"]))
    return xr.DataArray((x // 4 + y // 4) % 2 == 0, dims=("y", "x"), coords={"y": data.y, "x": data.x})


def test_kaiserberg_keeps_to_its_standard_errors_after_a_ramp_by_date(data_folder: Path) -> None:
    """The right-hand third stands still: half of it tells the ramps, the other half what they are worth."""
    stack = xoffset.open_stack(data_folder / "kaiserberg_rock_glacier" / "ortho_*.tif", date="ortho_%Y")
    stack = stack.sel(time=slice("2003", None))
    shifts = stack.offset.correlate(stack.offset.pairs(), search=24, step=16).offset.screen(min_score=0.5)
    # of ground in one third no ramp can be told for the others
    shifts = shifts.isel(x=slice(2 * shifts.sizes["x"] // 3 + 1, None))
    still = in_squares(shifts)
    corrected = shifts.offset.correct(stable=still, order=2, by_date=True, min_nodes=50)
    assert not xoffset.flags.flagged(corrected, "not_corrected").any()
    series = corrected.offset.invert(reference="2003-01-01", stable=still)
    others, home = series.isel(time=slice(1, None)), series.isel(time=0)
    for name in ("dx", "dy"):
        ratio = (others[name] / np.hypot(others[f"sigma_{name}"], home[f"sigma_{name}"])).where(~still)
        spread = 1.4826 * abs(ratio - ratio.median(("y", "x"))).median(("y", "x"))
        assert 0.8 <= float(spread.min()) <= float(spread.max()) <= 1.25
        before, after = (float(abs(each[name].where(~still)).median()) for each in (shifts, corrected))
        assert after < 0.6 * before


def test_perito_moreno_lies_on_top_of_itself(data_folder: Path) -> None:
    """Images of two orbits, cut to the glacier: what is left beside the ice shows how far they lie apart."""
    folder = data_folder / "perito_moreno_s2"
    stack = xoffset.open_stack(folder / "2020*.jpg", band=1, date="%Y%m%d", pixel_size=1.0)
    stack = stack.sel(time=["2020-02-07", "2020-02-10", "2020-02-20", "2020-02-22"])
    with rasterio.open(f"vrt://{folder / 'mask.jpg'}?a_ullr=0,0,1,-1") as mask:
        is_ice = mask.read(1) > 128
    # compression smears the black around the cut into the pixels next to it
    inside = scipy.ndimage.binary_erosion((stack > 10).all("time").values, iterations=12)
    still = xr.DataArray(inside & ~is_ice, dims=("y", "x"), coords={"y": stack.y, "x": stack.x})

    def apart(images: xr.DataArray) -> np.ndarray:
        network = xoffset.pairs(images).isel(pair=[0, 5])
        shifts = xoffset.correlate(images, network, step=16, mask=still).offset.screen(min_score=0.5)
        return np.stack([shifts[name].median(("y", "x")).values for name in ("dx", "dy")])

    assert np.hypot(*apart(stack))[1] > 0.4
    placed = xoffset.coregister(stack, stable=still)
    assert np.hypot(*apart(placed)).max() < 0.2


def test_naip_lies_where_it_should(data_folder: Path) -> None:
    stack = xoffset.open_stack(data_folder / "naip_stable", date="naip_%Y%m%d", align="cubic")
    still = xr.ones_like(stack.isel(time=0, drop=True), dtype=bool)
    placed = stack.offset.coregister(stable=still, reference="2020-08-31", apply=False) / 5.0
    moved = np.maximum(abs(placed.misregistration_dx), abs(placed.misregistration_dy))
    assert float(moved[:2].max()) < 0.4
    assert float(moved[2:].max()) < 0.3


def by_phase(first: np.ndarray, second: np.ndarray, *, is_tapered: bool) -> np.ndarray:
    """How far the second image lies beside the first along x and y [pixel], by phases alone."""
    sides = first.shape
    taper = np.outer(*(np.hanning(side) if is_tapered else np.ones(side) for side in sides))
    spectra = []
    for image in (first, second):
        filled = np.where(np.isfinite(image), image, np.nanmean(image))
        spectra.append(np.fft.fft2(taper * (filled - scipy.ndimage.gaussian_filter(filled, 1.0))))
    cross = spectra[0].conj() * spectra[1]
    phase = cross / np.maximum(np.abs(cross), 1e-12)
    trial = np.arange(-4.0, 4.0, 0.02)
    rows, columns = (np.exp(2j * np.pi * np.outer(trial, np.fft.fftfreq(side))) for side in sides)
    row, column = np.unravel_index((rows @ phase @ columns.T).real.argmax(), (trial.size, trial.size))
    return np.array([trial[column], -trial[row]])


def test_forest_of_slovenia_lies_apart_in_summer(data_folder: Path) -> None:
    """Light and leaves of a summer shift coarse detail by up to 3 pixels against spring: only the finest tells."""
    data = xr.open_dataset(data_folder / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc").drop_duplicates("time")
    is_clear = (data.valid == 1) & (data.cloud == 0)
    stack = data.ndvi.where(is_clear).isel(time=is_clear.mean(("y", "x")) > 0.98).rio.write_crs("EPSG:32633")
    placed = stack.offset.coregister(
        reference="2017-04-01", search=4, prefilter=filtering.Highpass(0.5), min_nodes=8, apply=False
    )
    home = stack.sel(time="2017-04-01").squeeze().values
    for date, known in (("2017-07-20", -0.9), ("2017-08-04", -1.4), ("2017-08-24", -1.6), ("2015-07-11", -0.9)):
        there = stack.sel(time=date).squeeze().values
        # without the rim of the image and with it: they differ by a third of a pixel, no better is any number known
        both = np.array([by_phase(home, there, is_tapered=each) for each in (True, False)])
        assert 0.2 < np.ptp(both, axis=0)[1] < 0.5
        assert both[:, 1].mean() == pytest.approx(known, abs=0.25)
        told = placed.sel(time=date).squeeze()
        found = np.array([told.misregistration_dx, told.misregistration_dy]) / 10.0
        assert (np.abs(found - both.mean(axis=0)) < [0.3, 0.2]).all()
        if date != "2015-07-11":
            assert found[1] == pytest.approx(known, abs=0.2)
    assert float(abs(placed.misregistration_dy).median()) < 6.0


def test_the_guide_to_a_map_runs_on_kaiserberg(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its code is taken from the page, so that the page stays true."""
    page = (Path(__file__).parents[2] / "docs" / "howto" / "publish.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code) == 6
    (tmp_path / "kaiserberg_rock_glacier").symlink_to(data_folder / "kaiserberg_rock_glacier")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec("\n".join(code), names)
    assert "0 pairs were left as they are" in capsys.readouterr().out
    for ratio in names["ratios"].values():
        assert 0.8 < float(ratio.min()) <= float(ratio.max()) < 1.4
    # the lower lobe moves right and up, by 1.2 to 1.6 m a year at most
    rate, mean = names["rate"], names["mean"]
    assert 1.0 < float(rate.v.quantile(0.99)) < 1.8
    for name in ("vx", "vy"):
        assert 3.0 * float(mean[f"sigma_{name}"]) < float(mean[name]) < 1.0
    assert 0.0 < float(rate.sigma_shift) < float(rate.sigma_vx.median())
    assert {path.name for path in (tmp_path / "map" / "all").glob("*.tif")} >= {"vx.tif", "sigma_vx.tif", "flags.tif"}
    assert xoffset.open_result(tmp_path / "map" / "corrected.zarr").sizes["pair"] == 10
