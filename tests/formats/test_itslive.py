"""ITS_LIVE granules and cubes: truth by hand, from files that the library did not write."""

import http.server
import threading
from functools import partial

import itslive_files
import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset.formats import itslive, itslive_cube
from xoffset.formats.open_shifts import open_shifts
from xoffset.model.flags import FLAGS
from xoffset.model.grids import crs_of

FIRST, SECOND = np.datetime64("2020-01-01T10:20:30.5", "us"), np.datetime64("2020-02-01T22:20:30.5", "us")
YEARS = 31.5 / 365.25


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def granule(request, tmp_path):
    return itslive_files.granule(tmp_path / "A_X_B_G0120V02_P099.nc", version=request.param)


class TestGranule:
    def test_is_told_and_multiplied_by_its_time(self, granule):
        vx, vy = itslive_files.velocities()
        found = open_shifts(granule)
        assert found.reference.values[0] == FIRST
        assert found.secondary.values[0] == SECOND
        known = vx != itslive_files.FILL
        np.testing.assert_allclose(found.dx.values[0][known], vx[known] * YEARS, rtol=1e-6)
        np.testing.assert_allclose(found.dy.values[0][known], vy[known] * YEARS, rtol=1e-6)
        assert np.isnan(found.dx.values[0][~known]).all()
        assert (found.flags.values[0][~known] == FLAGS["nodata"]).all()
        assert found.flags.values[0, 1, 1] == FLAGS["smoothed"]
        assert (found.flags.values[0] != 0).sum() == 3

    def test_tells_its_grid_its_error_and_its_name(self, granule):
        found = open_shifts(granule)
        x, y = itslive_files.axes()
        np.testing.assert_array_equal(found.x, x)
        np.testing.assert_array_equal(found.y, y)
        assert y[0] > y[-1]
        assert crs_of(found).to_epsg() == 3413
        np.testing.assert_allclose(np.nanmax(found.sigma_dx), 25.5 * YEARS, rtol=1e-6)
        np.testing.assert_allclose(np.nanmax(found.sigma_dy), 12.0 * YEARS, rtol=1e-6)
        assert np.isnan(found.sigma_dx.values[0, 0, 0])
        assert list(found.source.values) == [granule.name]
        assert list(found.system.values) == ["itslive"]
        assert found.template_size.values[0, 1, 2] == 16

    def test_is_lazy(self, granule):
        found = open_shifts(granule)
        assert all(found[name].chunks for name in ("dx", "dy", "flags"))

    def test_without_an_error_leaves_it_unknown(self, tmp_path):
        found = itslive.read(itslive_files.granule(tmp_path / "a.nc", errors=(np.nan, np.nan)))
        assert np.isnan(found.sigma_dx).all()
        assert np.isfinite(found.dx).any()

    def test_backward_pairs_have_displacements_of_the_other_sign(self, tmp_path):
        path = itslive_files.granule(tmp_path / "a.nc", first="20200201T22:20:30.5", second="20200101T10:20:30.5")
        found = itslive.read(path)
        assert found.baseline.values[0] == -31.5
        np.testing.assert_allclose(found.dx.values[0, 0, 1], -itslive_files.velocities()[0][0, 1] * YEARS, rtol=1e-6)
        assert np.nanmin(found.sigma_dx) > 0

    def test_opened_by_others_with_fills_as_they_are(self, granule):
        pytest.importorskip("h5netcdf")
        with xr.open_dataset(granule, engine="h5netcdf", mask_and_scale=False, decode_coords="all") as raw:
            xr.testing.assert_equal(
                itslive.read(raw).load(),
                itslive.read(granule).load().assign_coords(source=("pair", [str(granule.name)])),
            )

    @pytest.mark.parametrize(
        "dates", [("", "20200201"), ("20200101", "1/2/2020"), ("20200101", "20200101"), ("00010101", "20200101")]
    )
    def test_refuses_dates_that_are_none(self, dates, tmp_path):
        path = itslive_files.granule(tmp_path / "a.nc", first=dates[0], second=dates[1])
        with pytest.raises(ValueError, match=r"open_shifts\(\) needs .*date"):
            open_shifts(path)

    def test_that_ends_too_early_is_refused(self, granule):
        granule.write_bytes(granule.read_bytes()[:-2000])
        with pytest.raises(OSError, match=r"open_shifts\(\) needs a whole HDF5 or netCDF4 file; got .*Fetch it again"):
            open_shifts(granule)

    def test_of_no_valid_pixels_is_unknown_and_flagged(self, tmp_path):
        nothing = np.full(itslive_files.SHAPE, itslive_files.FILL, "i2")
        found = open_shifts(itslive_files.granule(tmp_path / "a.nc", values=(nothing, nothing)))
        assert np.isnan(found.dx).all()
        assert ((found.flags & FLAGS["nodata"]) != 0).all()


class TestSeveralGranules:
    def test_are_one_network_on_the_least_grid(self, tmp_path):
        x, y = itslive_files.axes()
        itslive_files.granule(tmp_path / "a.nc")
        itslive_files.granule(tmp_path / "b.nc", second="20200301T00:00", x_y=(x + 240.0, y - 120.0))
        (tmp_path / "notes.txt").write_text("nothing of a system\n")
        found = open_shifts(tmp_path).load()
        assert dict(found.sizes) == {"pair": 2, "y": 5, "x": 8}
        assert (np.diff(found.x) == 120.0).all()
        vx, _ = itslive_files.velocities()
        np.testing.assert_allclose(found.dx.values[0, 0, 1], vx[0, 1] * YEARS, rtol=1e-6)
        days = (np.datetime64("2020-03-01") - FIRST) / np.timedelta64(1, "D")
        np.testing.assert_allclose(found.dx.values[1, 1, 3], vx[0, 1] * days / 365.25, rtol=1e-6)
        # beyond its own grid a pair is unknown
        assert (found.flags.values[0, 4] == FLAGS["nodata"]).all()
        assert np.isnan(found.dx.values[1, :, :2]).all()

    @pytest.mark.parametrize("how", ["list", "pattern"])
    def test_of_a_list_or_a_pattern(self, how, tmp_path):
        paths = [itslive_files.granule(tmp_path / f"{name}.nc") for name in "ab"]
        found = open_shifts(paths if how == "list" else f"{tmp_path}/*.nc")
        assert list(found.source.values) == ["a.nc", "b.nc"]  # of the same two dates, both kept

    @pytest.mark.parametrize(
        ("shift", "code", "match"),
        [
            (60.0, 3413, r"nodes of one grid; got .* 0\.500 of a step apart"),
            (0.0, 3031, "one CRS; got EPSG:3413 of a.nc and EPSG:3031"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, shift, code, match, tmp_path):
        x, y = itslive_files.axes()
        itslive_files.granule(tmp_path / "a.nc")
        itslive_files.granule(tmp_path / "b.nc", x_y=(x + shift, y), code=code)
        with pytest.raises(ValueError, match=match):
            open_shifts(tmp_path)


DATES = (
    ["2020-01-01T10:20:30.5", "2020-01-01T10:20:30.5", "2020-01-17"],
    ["2020-02-01T22:20:30.5"] * 2 + ["2020-01-01"],
)


class TestCube:
    def test_gives_all_its_pairs(self, tmp_path):
        path = itslive_files.cube(
            tmp_path / "c.zarr",
            *DATES,
            errors=([10.0, 20.0, np.nan], [1.0, 2.0, 3.0]),
            urls=["s3://x/a.nc", "s3://x/b.nc", "c"],
        )
        found = open_shifts(str(path))
        assert found.dx.chunks
        vx, vy = itslive_files.velocities()
        years = np.array([31.5, 31.5, -16.0]) / 365.25
        np.testing.assert_allclose(found.dx.values[:, 1, 2], vx[1, 2] * years, rtol=1e-6)
        np.testing.assert_allclose(found.dy.values[:, 1, 2], vy[1, 2] * years, rtol=1e-6)
        np.testing.assert_allclose(
            found.sigma_dx.values[:, 1, 2], np.array([10.0, 20.0, np.nan]) * abs(years), rtol=1e-6
        )
        np.testing.assert_allclose(found.sigma_dy.values[:, 1, 2], np.array([1.0, 2.0, 3.0]) * abs(years), rtol=1e-6)
        assert (found.flags.values[:, 0, 0] == FLAGS["nodata"]).all()
        assert np.isnan(found.dx.values[:, 2, 3]).all()
        assert crs_of(found).to_epsg() == 3413
        np.testing.assert_array_equal(found.reference, np.array(DATES[0], "M8[us]"))
        # pairs of the same two dates are both kept, by the names of their granules
        assert list(found.source.values) == ["a.nc", "b.nc", "c"]
        assert list(found.system.values) == ["itslive_cube"] * 3

    def test_part_of_an_opened_one(self, tmp_path):
        cube = xr.open_zarr(itslive_files.cube(tmp_path / "c.zarr", *DATES), decode_coords="all")
        found = itslive_cube.read(cube.isel(mid_date=[2], x=slice(2)))
        whole = itslive_cube.read(tmp_path / "c.zarr")
        np.testing.assert_array_equal(found.dx, whole.dx[2:, :, :2])

    @pytest.mark.parametrize(
        ("which", "sizes"),
        [
            ({"x": 2, "y": 1}, (3, 1, 1)),
            ({"x": [2], "y": [1]}, (3, 1, 1)),
            ({"mid_date": 1}, (1, 4, 6)),
            ({"y": 3}, (3, 1, 6)),
        ],
    )
    def test_a_point_a_row_or_a_pair_of_one(self, which, sizes, tmp_path):
        path = itslive_files.cube(tmp_path / "c.zarr", *DATES, errors=[[9.0, 8.0, 7.0]] * 2, urls=["a", "b", "c"])
        cube = xr.open_zarr(path, decode_coords="all")
        found = itslive_cube.read(cube.isel(which))
        assert tuple(found.dx.shape) == sizes
        whole = itslive_cube.read(path)
        kept = {{"mid_date": "pair"}.get(dim, dim): np.atleast_1d(k) for dim, k in which.items()}
        for name in ("dx", "sigma_dy", "flags", "source", "reference"):
            expected = whole[name].isel({dim: k for dim, k in kept.items() if dim in whole[name].dims})
            np.testing.assert_array_equal(found[name], expected)
        xoffset.invert(found)

    def test_of_raw_numbers_and_other_order_of_dims(self, tmp_path):
        path = itslive_files.cube(tmp_path / "c.zarr", *DATES)
        raw = xr.open_zarr(path, mask_and_scale=False, decode_coords="all").transpose("y", "x", "mid_date")
        np.testing.assert_array_equal(itslive_cube.read(raw).dx, itslive_cube.read(path).dx)

    def test_inverts(self, tmp_path):
        first, second = ["2020-01-01", "2020-02-01", "2020-01-01"], ["2020-02-01", "2020-03-01", "2020-03-01"]
        found = open_shifts(itslive_files.cube(tmp_path / "c.zarr", first, second, errors=[[5.0] * 3] * 2))
        rate = xoffset.velocity(xoffset.invert(found))
        np.testing.assert_allclose(rate.vx.values[1], itslive_files.velocities()[0][1], rtol=1e-4)

    @pytest.mark.parametrize(
        ("wrong", "match"),
        [
            ("2020-02-01T22:20:30.5", r"two different dates a pair; got .* in pair 0 \(granule 0\)"),
            ("NaT", r"two dates a pair; got NaT"),
            ("1790-01-01", r"dates from 1900 to 2100 a pair; got 1790-01-01"),
            ("3020-01-01", r"dates from 1900 to 2100 a pair; got 3020-01-01"),
        ],
    )
    def test_with_dates_beyond_reason_is_refused_by_name(self, wrong, match, tmp_path):
        path = itslive_files.cube(
            tmp_path / "c.zarr", [wrong, *DATES[0][1:]], DATES[1], urls=[f"granule {k}" for k in range(3)]
        )
        with pytest.raises(ValueError, match=match):
            open_shifts(path)

    def test_without_valid_pixels_is_unknown(self, tmp_path):
        nothing = np.full((3, *itslive_files.SHAPE), itslive_files.FILL, "i2")
        found = open_shifts(itslive_files.cube(tmp_path / "c.zarr", *DATES, values=(nothing, nothing)))
        assert np.isnan(found.dx).all()
        assert (found.flags == FLAGS["nodata"]).all()

    def test_with_a_chunk_that_is_lost_is_refused(self, tmp_path):
        path = itslive_files.cube(tmp_path / "c.zarr", *DATES)
        (path / "vy" / "0.0.0").unlink()
        with pytest.raises(OSError, match=r"open_shifts\(\) needs a whole store; got .* with 0 of 1 chunks of 'vy'"):
            open_shifts(path)


class TestWriting:
    def shifts(self, speed, days=10):
        stack, _ = xoffset.synthetic.stack(
            (96, 96), dates=["2020-01-01", np.datetime64("2020-01-01") + days], crs="EPSG:32632"
        )
        shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=32, search=4, step=32)
        return shifts.assign(dx=shifts.dx * 0 + speed * days / 365.25, dy=shifts.dy * 0)

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize("module", [itslive, itslive_cube])
    def test_names_the_range_that_16_bits_hold(self, module, sign, tmp_path):
        with pytest.raises(
            ValueError, match=r"write\(\) needs vx between -32766 and 32767 m/yr, which int16 holds; got .*4000"
        ):
            module.write(self.shifts(sign * 40_000.0), tmp_path / "c.zarr")
        assert not list(tmp_path.glob("**/*.nc"))
        assert not list(tmp_path.glob("*.zarr/*"))

    def test_needs_a_crs(self, tmp_path):
        with pytest.raises(ValueError, match=r"itslive\.write\(\) needs shifts with a CRS"):
            itslive.write(self.shifts(10.0).drop_vars("spatial_ref"), tmp_path)

    def test_a_granule_has_the_names_of_a_real_one(self, tmp_path):
        (path,) = itslive.write(self.shifts(100.0), tmp_path)
        assert path.name == "20200101_X_20200111_G0320V02.nc"
        with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as file:
            maps = {"vx", "vy", "v", "v_error", "interp_mask", "chip_size_width", "chip_size_height"}
            assert set(file.variables) == {*maps, "x", "y", "mapping", "img_pair_info"}
            assert set(file.chip_size_width.values.ravel()) <= {0, 320}
            assert file.chip_size_width.attrs["x_pixel_size"] == 10.0
            assert file.vx.dtype == file.v_error.dtype == np.int16
            assert (file.vx.attrs["_FillValue"], file.vx.attrs["units"]) == (-32767, "meter/year")
            assert file.vx.attrs["standard_name"] == "land_ice_surface_x_velocity"
            assert file.mapping.attrs["spatial_epsg"] == 32632
            about = file.img_pair_info.attrs
            assert about["acquisition_date_img2"] == "20200111T00:00:00.000000"
            assert (about["date_dt"], about["date_center"]) == (10.0, "20200106T00:00:00.000000")
            assert set(file.vx.values.ravel()) <= {100, -32767}

    def test_a_cube_has_the_chunks_of_a_real_one_and_no_other_author(self, tmp_path):
        path = itslive_cube.write(self.shifts(100.0), tmp_path / "c.zarr")
        with xr.open_zarr(path, decode_cf=False, consolidated=True) as cube:
            assert cube.vx.dims == ("mid_date", "y", "x")
            assert cube.vx.dtype == np.int16
            assert "author" not in cube.attrs
            assert cube.date_dt.values[0] == 10.0
            assert set(cube.chip_size_height.values.ravel()) <= {0, 320}
            assert float(cube.mid_date[0]) == 18_267.0
        assert (path / ".zgroup").exists()

    def test_refuses_another_kind_of_store(self, tmp_path):
        with pytest.raises(ValueError, match=r"ends in \.zarr or \.nc; got c\.h5"):
            itslive_cube.write(self.shifts(100.0), tmp_path / "c.h5")


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_):
        pass


@pytest.fixture
def address(tmp_path):
    """Address of a local server of the folder."""
    pytest.importorskip("aiohttp")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class TestCubeBehindAnAddress:
    def test_is_read_as_one_on_disk(self, tmp_path, address):
        itslive_files.cube(tmp_path / "c.zarr", *DATES)
        found = open_shifts(f"{address}/c.zarr")
        assert found.dx.chunks
        np.testing.assert_array_equal(found.dx, open_shifts(tmp_path / "c.zarr").dx)

    def test_that_is_not_there_is_refused(self, address):
        with pytest.raises(FileNotFoundError, match=r"open_shifts\(\) needs a Zarr store; got http.*nothing\.zarr"):
            open_shifts(f"{address}/nothing.zarr")
