"""Figures that real images must reproduce; each is in the README of its data set or was reached independently.

Others stand in the cases of `validation/`, which `tests/validation` runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import rioxarray
import xarray as xr

import xoffset

pytestmark = [pytest.mark.data, pytest.mark.slow]


def median(values: xr.DataArray) -> float:
    return float(values.median())


@pytest.fixture(scope="module")
def kaiserberg(data_folder: Path) -> xr.DataArray:
    """The aerial photographs of 2003 to 2023."""
    stack = xoffset.open_stack(data_folder / "kaiserberg_rock_glacier" / "ortho_*.tif", date="ortho_%Y")
    return stack.sel(time=slice("2003", None))


class TestKaiserberg:
    """Rock glacier on aerial photographs: 0.53 m pixels, motion of up to 15 px."""

    PIXEL = 0.529167

    @pytest.fixture(scope="class")
    @classmethod
    def shifts(cls, kaiserberg: xr.DataArray) -> xr.Dataset:
        shifts = kaiserberg.offset.correlate(kaiserberg.offset.pairs(max_gap=1), search=24, step=16)
        return shifts.where(shifts.score > 0.5)

    def test_stable_third_is_within_half_a_pixel_of_zero(self, shifts: xr.Dataset) -> None:
        stable = shifts.isel(x=slice(2 * shifts.sizes["x"] // 3, None))
        for name in ("dx", "dy"):
            assert np.abs(stable[name].median(("y", "x")) / self.PIXEL).max() < 0.5

    def test_rock_glacier_speeds_up(self, shifts: xr.Dataset) -> None:
        third = 2 * shifts.sizes["x"] // 3
        stable, moving = shifts.isel(x=slice(third, None)), shifts.isel(x=slice(None, third))
        along_x, along_y = (moving[name] - stable[name].median(("y", "x")) for name in ("dx", "dy"))
        baseline = xoffset.model.dates.in_years((shifts.secondary - shifts.reference).values)
        speed = np.hypot(along_x, along_y).quantile(0.99, ("y", "x")).values / baseline
        np.testing.assert_allclose(speed, [1.16, 1.61, 1.62, 1.55], rtol=0.15)

    def test_series_holds_the_acceleration(self, shifts: xr.Dataset) -> None:
        third = 2 * shifts.sizes["x"] // 3
        stable = shifts.isel(x=slice(third, None))
        for name in ("dx", "dy"):
            shifts = shifts.assign({name: shifts[name] - stable[name].median(("y", "x"))})
        series = shifts.offset.screen().offset.invert(reference="2003-01-01")
        steps = series.isel(x=slice(None, third)).diff("time")
        moved = np.hypot(steps.dx, steps.dy).quantile(0.99, ("y", "x")).values
        rate = moved / xoffset.model.dates.in_years(np.diff(series.time.values))
        assert rate[1:].min() > 1.1 * rate[0]


def in_squares(shifts: xr.Dataset) -> xr.DataArray:
    """Squares of 4 x 4 nodes of a chessboard: half of the ground, beside the other half."""
    y, x = np.indices((shifts.sizes["y"], shifts.sizes["x"]))
    return xr.DataArray((x // 4 + y // 4) % 2 == 0, dims=("y", "x"), coords={"y": shifts.y, "x": shifts.x})


def spreads(series: xr.Dataset, where: xr.DataArray) -> np.ndarray:
    """Spread of displacement over its standard error (component, date), as NMAD, of all dates but the reference."""
    others = series.sel(time=series.time != np.datetime64(series.attrs["reference"]))
    home = series.sel(time=series.attrs["reference"])
    found = []
    for name in ("dx", "dy"):
        ratio = (others[name] / np.hypot(others[f"sigma_{name}"], home[f"sigma_{name}"])).where(where)
        found.append(1.4826 * abs(ratio - ratio.median(("y", "x"))).median(("y", "x")).values)
    return np.stack(found)


class TestKaiserbergSeries:
    """All pairs of 2003 to 2023, from images to motion, with half of the stable third named as stable ground."""

    @pytest.fixture(scope="class")
    @classmethod
    def shifts(cls, kaiserberg: xr.DataArray) -> xr.Dataset:
        return kaiserberg.offset.correlate(kaiserberg.offset.pairs(), search=24, step=16).offset.screen(min_score=0.5)

    @pytest.fixture(scope="class")
    @classmethod
    def series(cls, shifts: xr.Dataset) -> xr.Dataset:
        still = in_squares(shifts) & (shifts.x > shifts.x[2 * shifts.sizes["x"] // 3])
        return shifts.offset.invert(reference="2003-01-01", stable=still)

    @staticmethod
    def on_the_glacier(series: xr.Dataset) -> xr.Dataset:
        """Motion of the western part relative to the stable ground."""
        moved = series.assign({name: series[name] - series[f"geolocation_{name}"] for name in ("dx", "dy")})
        return moved.isel(x=slice(None, 2 * series.sizes["x"] // 3))

    def test_standard_errors_hold_on_other_stable_ground(self, shifts: xr.Dataset, series: xr.Dataset) -> None:
        held_out = ~in_squares(series) & (series.x > series.x[2 * series.sizes["x"] // 3])
        found = spreads(series, held_out)
        assert found.shape == (2, 4)
        assert 0.7 <= found.min() <= found.max() <= 1.4
        # shadows and light of other years are no white noise, which the matches alone cannot know
        assert spreads(shifts.offset.invert(reference="2003-01-01"), held_out).min() > 2.0

    def test_steps_are_those_of_the_readme(self, series: xr.Dataset) -> None:
        steps = self.on_the_glacier(series).diff("time")
        moved = np.hypot(steps.dx, steps.dy).quantile(0.99, ("y", "x")).values
        rate = moved / xoffset.model.dates.in_years(np.diff(series.time.values))
        np.testing.assert_allclose(rate, [1.16, 1.61, 1.62, 1.55], rtol=0.15)

    def test_it_accelerates(self, series: xr.Dataset) -> None:
        found = self.on_the_glacier(series).offset.decompose(acceleration=True)
        speed = np.hypot(found.vx, found.vy)
        along = ((found.ax * found.vx + found.ay * found.vy) / speed).where(speed > 0.8)
        assert int(along.notnull().sum()) > 80
        # from 1.16 before 2010 to 1.6 m yr-1 after it, 9 years later on average: at most 0.05 m yr-2 at the fastest
        assert 0.005 <= median(along) <= 0.05
        assert float((along > 0.0).sum() / along.notnull().sum()) > 0.8


class TestYahtse:
    """Fast tidewater glacier on a Landsat pair: 15 m pixels, 20 px of motion, a real misregistration."""

    PIXEL = 15.0

    @pytest.fixture(scope="class")
    @classmethod
    def shifts(cls, data_folder: Path) -> xr.Dataset:
        stack = xoffset.open_stack(data_folder / "yahtse_landsat8" / "LC8*.tif")
        return stack.offset.correlate(stack.offset.pairs(), search=25, step=24).isel(pair=0)

    def test_steep_rock_shows_the_misregistration(self, shifts: xr.Dataset, data_folder: Path) -> None:
        dem = rioxarray.open_rasterio(data_folder / "yahtse_landsat8" / "yahtse_srtm_dem.tif").squeeze().astype(float)
        along_y, along_x = np.gradient(dem.values, 50.0)
        slope = dem.copy(data=np.degrees(np.arctan(np.hypot(along_x, along_y)))).interp(x=shifts.x, y=shifts.y)
        rock = shifts.where((slope > 30.0) & (shifts.score > 0.7))
        assert int(np.isfinite(rock.dx).sum()) > 200
        assert abs(median(rock.dx)) / self.PIXEL <= 0.15
        assert 0.1 <= -median(rock.dy) / self.PIXEL <= 0.3

    def test_most_windows_correlate(self, shifts: xr.Dataset) -> None:
        assert float((shifts.score > 0.5).mean()) >= 0.75

    def test_tongue_moves_south(self, shifts: xr.Dataset) -> None:
        fast = (shifts.score > 0.5) & (shifts.dy < -15.0 * self.PIXEL)
        assert int(fast.sum()) >= 10


class TestNaip:
    """Farmland that does not move on grids that differ by fractions of a pixel."""

    PIXEL = 5.0

    def test_unequal_grids_are_refused(self, data_folder: Path) -> None:
        with pytest.raises(ValueError, match=r"naip_20090818\.tif.*align='cubic'"):
            xoffset.open_stack(data_folder / "naip_stable", date="naip_%Y%m%d")

    def test_standard_errors_hold_on_other_stable_ground(self, data_folder: Path) -> None:
        """Nothing moves, but crops and light change: half of the ground tells what the other half errs by."""
        stack = xoffset.open_stack(data_folder / "naip_stable", date="naip_%Y%m%d", align="cubic")
        good = stack.isel(time=[2, 3, 5, 6, 7, 8, 9])
        shifts = good.offset.correlate(good.offset.pairs(), template=32, search=5, step=16)
        shifts = shifts.offset.screen(min_score=0.5)
        still = in_squares(shifts)
        series = shifts.offset.invert(stable=still)
        found = spreads(series, ~still)
        assert found.shape == (2, 6)
        assert 0.7 <= found.min() <= found.max() <= 1.4
        assert median(xr.DataArray(spreads(shifts.offset.invert(), ~still))) > 1.5
        rate = series.offset.velocity()
        for name in ("vx", "vy"):
            ratio = (rate[name] / rate[f"sigma_{name}"]).where(~still)
            assert 0.7 <= 1.4826 * median(abs(ratio - ratio.median())) <= 1.4


class TestColumbia:
    """Velocities of image pairs at one point of a glacier, from the table to years and to a series."""

    @staticmethod
    def screened(table: pd.DataFrame) -> xr.Dataset:
        names = {"components": ("vx", "vy"), "sigma": ("vx_error", "vy_error")}
        shifts = xoffset.from_table(table, kind="velocity", crs="EPSG:3413", **names)
        return shifts.offset.screen(max_separation="auto")

    @pytest.mark.parametrize("repeated", [0, 20])
    def test_years_of_what_the_separation_test_leaves(self, columbia: pd.DataFrame, repeated: int) -> None:
        is_locked = columbia.date_dt > 400
        many = pd.concat([columbia, *[columbia[is_locked]] * repeated])
        shifts = self.screened(many)
        rejected = ((shifts.flags & xoffset.model.FLAGS["separation"]) > 0).values.ravel()
        assert rejected[many.date_dt > 400].mean() >= 0.99
        assert rejected[many.date_dt <= 60].mean() <= 0.1
        found = shifts.offset.yearly_velocity().isel(y=0, x=0)
        short = columbia[columbia.date_dt <= 60].groupby("year")
        medians = short["v"].median()[short.size() >= 15]
        assert len(medians) == 21
        assert np.abs(found.v.sel(year=medians.index).values / medians - 1.0).max() < 0.1

    def test_series(self, columbia: pd.DataFrame) -> None:
        """2240 pairs of different images tie 1153 dates in 81 groups: the errors are those of the pairs."""
        shifts = self.screened(columbia)
        flags = xoffset.model.FLAGS
        series = shifts.offset.invert(loss="tukey").isel(y=0, x=0)
        known = np.isfinite(series.dx)
        assert series.sizes["time"] == 1213
        assert 300 < int(known.sum()) < 400
        assert int(series.n_components) > 50
        assert float(series.pair_share) > 0.3
        # what is unknown says why
        assert ((series.flags.where(~known, 0) & (flags["no_pairs"] | flags["disconnected"])) > 0).sum() == (
            ~known
        ).sum()
        assert np.isfinite(series.sigma_dx[known]).all()
        # the group of the reference tells the years that it covers as the pairs do
        whole = series.sel(time=known).sel(time=slice("2016-09", "2020-01"))
        elapsed = xoffset.model.dates.in_years(whole.time.values[-1] - whole.time.values[0])
        speed = float(np.hypot(whole.dx[-1] - whole.dx[0], whole.dy[-1] - whole.dy[0])) / elapsed
        short = columbia[(columbia.date_dt <= 60) & columbia.year.between(2017, 2019)]
        assert speed == pytest.approx(short.groupby("year")["v"].median().mean(), rel=0.2)
        bridged = shifts.offset.invert(loss="tukey", islands="bridge").isel(y=0, x=0)
        assert int(np.isfinite(bridged.dx).sum()) > 1100
        assert ((bridged.flags & flags["bridged"]) > 0).sum() == np.isfinite(bridged.dx).sum() - known.sum()


REAL_TEXTURES = [
    "kaiserberg_rock_glacier/ortho_2003.tif",
    "kaiserberg_rock_glacier/ortho_2010.tif",
    "naip_stable/naip_20120731.tif",
    "yahtse_landsat8/LC80630182016216LGN00_B8_yahtse.tif",
]


@pytest.mark.parametrize("factor", [4, 5])
@pytest.mark.parametrize("file", REAL_TEXTURES)
def test_fractions_of_a_pixel_are_even_on_real_texture(file: str, factor: int, data_folder: Path) -> None:
    """Blocks of pixels averaged from k pixels further on are an image moved by k / factor, exactly."""
    with rasterio.open(data_folder / file) as image:
        fine = image.read(1).astype(np.float64)
    rows, columns = fine.shape[0] // factor, fine.shape[1] // factor - 1
    coarse = [
        fine[: rows * factor, k : k + columns * factor].reshape(rows, factor, columns, factor).mean(axis=(1, 3))
        for k in range(factor + 1)
    ]
    bias = []
    for k, moved in enumerate(coarse):
        stack = xr.DataArray(
            np.stack([coarse[0], moved]),
            dims=("time", "y", "x"),
            coords={
                "time": np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[us]"),
                "y": -np.arange(float(rows)),
                "x": np.arange(float(columns)),
            },
        )
        bias.append(median(stack.offset.correlate(stack.offset.pairs(), search=4).dx) + k / factor)
    assert np.abs(bias).max() < 0.007
    # a bias of b sin 2πf piles displacements up by 1 + 2πb cos 2πf
    assert 2.0 * np.pi * np.abs(bias).max() < 0.1


def test_longitude_and_latitude_are_refused(data_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"UTM zone 18S.*EPSG:32718"):
        xoffset.open_stack(data_folder / "river_landsat_latlon", band=1, date="%Y")
