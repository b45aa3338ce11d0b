"""Which system files are of, several systems in one network, and the numbers at the border."""

import re
from pathlib import Path

import itslive_files
import numpy as np
import pycorr_files
import pyproj
import pytest
import xarray as xr

import xoffset
from xoffset.formats import border, itslive, joining, pycorr
from xoffset.formats.border import Place
from xoffset.formats.names import SYSTEMS, System
from xoffset.formats.open_shifts import module_of, open_shifts
from xoffset.model.flags import FLAGS
from xoffset.model.north import onto_ground

DATES = ["2020-01-01"], ["2021-01-01"]
TESTS = Path(__file__).parents[1]


class TestTable:
    @pytest.mark.parametrize("name", SYSTEMS)
    def test_every_system_is_read_and_told(self, name):
        module = module_of(name)
        assert callable(module.read)
        assert callable(module.recognises)
        assert {"dx", "dy"} <= set(SYSTEMS[name].names)
        assert callable(getattr(module, "write", None)) == (SYSTEMS[name].writes is not None) or module in (
            module_of(other) for other in SYSTEMS if SYSTEMS[other].writes
        )

    @pytest.mark.parametrize("name", SYSTEMS)
    def test_a_file_of_nobody_is_of_no_system(self, name, tmp_path):
        path = tmp_path / "a.bin"
        path.write_bytes(b"12345678" * 10)
        with pytest.raises(ValueError, match=r"needs a file of a system that is known; got .*a\.bin.* system= one of"):
            open_shifts(path)
        assert name in SYSTEMS


class TestDocumentation:
    """docs/formats.md: every system, and tests that are there."""

    def text(self):
        path = TESTS.parent / "docs" / "formats.md"
        if not path.exists():
            pytest.skip("no documentation here")
        return path.read_text()

    @pytest.mark.parametrize("name", SYSTEMS)
    def test_lists_every_system(self, name):
        assert f"`formats.{SYSTEMS[name].module}`" in self.text()

    def test_names_tests_that_are_there(self):
        named = re.findall(r"`((?:tests/)?[\w/]*test_\w+\.py)`", self.text())
        assert len(named) > 20
        there = {path.name for path in TESTS.rglob("test_*.py")}
        assert not [name for name in named if Path(name).name not in there]
        assert not [name for name in named if "/" in name and not (TESTS.parent / name).exists()]


class TestTelling:
    def test_a_name_that_two_systems_use(self, tmp_path, monkeypatch):
        path = itslive_files.granule(tmp_path / "a.nc")
        monkeypatch.setattr(pycorr, "recognises", itslive.recognises)
        with pytest.raises(
            ValueError, match=r"itslive and pycorr use alike\. Say which: system='itslive' or system='pycorr'"
        ):
            open_shifts(path)
        assert open_shifts(path, system="itslive").sizes["pair"] == 1

    def test_an_unknown_system(self, tmp_path):
        with pytest.raises(ValueError, match=r"open_shifts\(\) needs system .*itslive.*; got 'its_live'"):
            open_shifts(tmp_path, system="its_live")

    @pytest.mark.parametrize("source", [3, None, ["a", 1], [], xr.Dataset()])
    def test_what_is_no_path(self, source):
        with pytest.raises(TypeError, match=r"open_shifts\(\) needs a path or a list of paths"):
            open_shifts(source)

    @pytest.mark.parametrize("source", ["nothing", "nothing/*.nc", ["nothing"]])
    def test_what_is_not_there(self, source, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"open_shifts\(\) needs"):
            open_shifts(source)

    def test_of_a_named_system_other_files_are_passed_over(self, tmp_path):
        itslive_files.granule(tmp_path / "a.nc")
        pycorr_files.netcdf(tmp_path / pycorr_files.NAME)
        (tmp_path / "b.bin").write_bytes(b"12345678" * 10)
        assert list(open_shifts(tmp_path, system="itslive").source.values) == ["a.nc"]

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match="needs files of a system that is known; got none at"):
            open_shifts(tmp_path)

    def test_what_is_passed_over_is_logged(self, tmp_path, caplog):
        itslive_files.granule(tmp_path / "a.nc")
        (tmp_path / "b.bin").write_bytes(b"12345678" * 10)
        with caplog.at_level("INFO"):
            open_shifts(tmp_path)
        assert "passes over" in caplog.text
        assert "b.bin" in caplog.text


class TestSeveralSystems:
    def test_are_one_network_and_invert_together(self, tmp_path):
        vx, vy = (np.full((3, 4), value, "i2") for value in (365, -730))
        x, y = pycorr_files.X, pycorr_files.Y
        granule = itslive_files.granule(
            tmp_path / "a.nc", first="20200527T20:59:19", second="20200627T20:59:19", values=(vx, vy), x_y=(x, y),
            code=32607,
        )  # fmt: skip
        other = pycorr_files.netcdf(tmp_path / pycorr_files.NAME)
        found = open_shifts([granule, other])
        assert list(found.system.values) == ["itslive", "pycorr"]
        # what one system does not know is unknown, not nought
        assert np.isnan(found.score.values[0]).all()
        assert np.isnan(found.sigma_dx.values[1]).all()
        series = xoffset.invert(found, weights="uniform")
        assert series.sizes["time"] == 3
        moved = series.dx.isel(time=-1) - series.dx.isel(time=0)
        ours = pycorr_files.velocities()[0]
        np.testing.assert_allclose(moved.values[1, 1], 15.0 * ours[1, 1] + 365 * 31 / 365.25, rtol=1e-5)
        down = (series.dy.isel(time=-1) - series.dy.isel(time=0)).values[1, 1]
        np.testing.assert_allclose(down, 15.0 * pycorr_files.velocities()[1][1, 1] - 730 * 31 / 365.25, rtol=1e-5)

    def test_can_be_saved_and_screened(self, tmp_path):
        found = open_shifts([itslive_files.granule(tmp_path / f"{name}.nc") for name in "ab"])
        found.to_zarr(tmp_path / "all.zarr", consolidated=False)
        again = xoffset.open_result(tmp_path / "all.zarr")
        xr.testing.assert_identical(again.load(), found.load())
        found.to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
        assert list(xoffset.open_result(tmp_path / "all.nc").source.values) == ["a.nc", "b.nc"]


class TestBorder:
    @pytest.fixture
    def system(self, monkeypatch):
        """Pixels to the right and down, a sentinel beside NaN, 8 bit scores."""
        row = System("a test", "itslive", {}, "pixel", (1, -1), score=(1 / 127, -128 / 127), nodata=(-9999.0, 0.5))
        monkeypatch.setattr(border, "SYSTEMS", {"test": row})
        return "test"

    def place(self, crs="EPSG:32632"):
        x, y = 500_005.0 + 10.0 * np.arange(3), 5_000_005.0 - 10.0 * np.arange(2)
        return Place(x, y, None if crs is None else pyproj.CRS(crs))

    def test_signs_sizes_and_sentinels(self, system):
        right = np.array([[1.0, -9999.0, np.nan], [2.0, 0.5, -3.0]], "f4")
        down = np.array([[4.0, 1.0, 1.0], [-1.0, 1.0, np.inf]], "f4")
        score = np.array([[255, 128, 0], [128, 128, 128]], "u1")
        found = border.to_shifts(
            system, {"dx": right, "dy": down, "score": score}, *DATES, self.place(), source=["a"], caller="f",
            pixel=(10.0, 20.0),
        )  # fmt: skip
        np.testing.assert_array_equal(found.dx.values[0], [[10.0, np.nan, np.nan], [20.0, np.nan, np.nan]])
        np.testing.assert_array_equal(found.dy.values[0], [[-80.0, np.nan, np.nan], [20.0, np.nan, np.nan]])
        np.testing.assert_array_equal(found.flags.values[0] != 0, np.isnan(found.dx.values[0]))
        np.testing.assert_allclose(found.score.values[0, 0, :2], [1.0, 0.0], atol=1e-6)

    def test_errors_of_pairs_and_of_nodes(self, system):
        fields = {"dx": np.ones((2, 2, 3), "f4"), "dy": np.ones((2, 2, 3), "f4"), "sigma_dx": np.array([2.0, np.nan])}
        fields["sigma_dy"] = np.arange(12, dtype="f4").reshape(2, 2, 3)
        dates = np.array(["2020-01-01", "2020-02-01"], "M8[us]"), np.array(["2020-03-01", "2020-04-01"], "M8[us]")
        found = border.to_shifts(
            system, fields, *dates, self.place(), source=["a", "b"], caller="f", pixel=(10.0, 20.0)
        )
        assert (found.sigma_dx.values[0] == 20.0).all()
        assert np.isnan(found.sigma_dx.values[1]).all()
        assert np.isnan(found.sigma_dy.values[0, 0, 0])  # an error of nought is none
        assert found.sigma_dy.values[1, 1, 2] == 220.0

    def test_the_same_of_dask(self, system):
        rng = np.random.default_rng(0)
        maps = {name: rng.normal(size=(1, 2, 3)).astype("f4") for name in ("dx", "dy", "sigma_dx", "sigma_dy")}
        maps["dx"][0, 0, 0] = -9999.0
        lazy = {name: xr.DataArray(values).chunk(dim_1=1).data for name, values in maps.items()}
        options = {"source": ["a"], "caller": "f", "pixel": (10.0, 20.0)}
        eager = border.to_shifts(system, maps, *DATES, self.place(), **options)
        found = border.to_shifts(system, lazy, *DATES, self.place(), **options)
        assert found.dx.chunks
        xr.testing.assert_identical(found.load(), eager)

    @pytest.mark.parametrize(
        ("crs", "match"),
        [("EPSG:4326", "needs a projected CRS"), ("EPSG:3857", "Web Mercator"), ("EPSG:2263", "in metres")],
    )
    def test_grids_that_are_not_of_metres_are_refused(self, system, crs, match):
        with pytest.raises(ValueError, match=match):
            border.to_shifts(
                system,
                {"dx": np.ones((2, 3)), "dy": np.ones((2, 3))},
                *DATES,
                self.place(crs),
                source=["a"],
                caller="f",
                pixel=(1.0, 1.0),
            )

    def test_true_north(self, monkeypatch):
        row = System("a test", "itslive", {}, north="true")
        monkeypatch.setattr(border, "SYSTEMS", {"test": row})
        x, y = np.array([300_000.0, 300_500.0]), np.array([7_000_500.0, 7_000_000.0])
        place = Place(x, y, pyproj.CRS("EPSG:32632"))
        fields = {
            "dx": np.full((2, 2), 3.0),
            "dy": np.full((2, 2), 4.0),
            "sigma_dx": np.full((2, 2), 0.3),
            "sigma_dy": np.full((2, 2), 0.1),
        }
        found = border.to_shifts("test", fields, *DATES, place, source=["a"], caller="f")
        a, b, c, d = onto_ground(*np.meshgrid(x, y), place.crs.to_wkt())
        np.testing.assert_allclose(a * found.dx[0] + b * found.dy[0], 3.0, rtol=1e-12)
        np.testing.assert_allclose(c * found.dx[0] + d * found.dy[0], 4.0, rtol=1e-12)
        ground = xoffset.ground(found)
        np.testing.assert_allclose(ground.sigma_d_east, 0.3, rtol=1e-6)
        np.testing.assert_allclose(ground.sigma_d_north, 0.1, rtol=1e-6)
        with pytest.raises(ValueError, match="needs the CRS of the grid, since components are toward true north"):
            border.to_shifts("test", fields, *DATES, Place(x, y, None), source=["a"], caller="f")

    @pytest.mark.parametrize("value", [-32768.0, -32767.0, 32768.0, 1e9])
    def test_packing_names_what_does_not_fit(self, value):
        with pytest.raises(
            ValueError, match=r"f\(\) needs vx between -32766 and 32767 m/yr, which int16 holds; got .* to "
        ):
            border.packed(np.array([1.0, value, np.nan]), "int16", -32767, "vx", "m/yr", "f")

    def test_packing_rounds_and_fills(self):
        found = border.packed(np.array([1.4, -1.6, np.nan, 32_767.0]), "int16", -32767, "vx", "m/yr", "f")
        assert found.tolist() == [1, -2, -32767, 32767]

    def test_pixels_to_count_are_asked_for(self):
        shifts = open_shifts_of_one()
        with pytest.raises(ValueError, match=r"needs the size of a pixel .* since autoRIFT"):
            border.from_shifts("autorift", shifts, caller="f")

    def test_scattered_points_of_several_files_are_refused(self):
        one = open_shifts_of_one()
        points = one.isel(x=xr.DataArray([0, 1], dims="point"), y=xr.DataArray([0, 2], dims="point"))
        with pytest.raises(ValueError, match=r"needs maps, or series of one place"):
            joining.joined([one, points], "f")

    def test_nodes_beyond_a_grid_are_flagged(self):
        one = open_shifts_of_one()
        moved = one.assign_coords(x=one.x + 30.0)
        found = joining.joined([one, moved], "f")
        assert (found.flags.values[0, :, -3:] == FLAGS["nodata"]).all()
        assert found.dx.dtype == one.dx.dtype
        assert found.x.size == one.x.size + 3


def open_shifts_of_one():
    x, y = 5.0 + 10.0 * np.arange(4), 5.0 - 10.0 * np.arange(3)
    fields = {"dx": np.ones((3, 4), "f4"), "dy": np.ones((3, 4), "f4")}
    return border.to_shifts(
        "cosicorr" if "cosicorr" in SYSTEMS else "nisar_roff",
        fields,
        *DATES,
        Place(x, y, None),
        source=["a"],
        caller="f",
    )
