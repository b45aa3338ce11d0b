"""Stacks of MintPy and cubes of TICOI: read from their layouts, and written so that these hold what they need."""

import h5py
import numpy as np
import other_systems as made
import pyproj
import pytest
import xarray as xr
from test_other_systems import check

import xoffset
from xoffset import formats
from xoffset.model import grids
from xoffset.model.flags import FLAGS

# What MintPy cannot do without, found by leaving out one attribute after the other.
NEEDED = {"LENGTH", "WIDTH", "PROCESSOR", "REF_Y", "REF_X"}


def shifts_of(tmp_path, **options):
    """Shifts of the pairs of the truth, with standard errors of 0.25 and 0.5 m."""
    return formats.mintpy.read(made.mintpy(tmp_path / "made.h5", **options)).load()


# --------------------------------------------------------------------------------------------------------------- MintPy


def test_range_is_east_and_azimuth_is_north(tmp_path):
    shifts = shifts_of(tmp_path)
    check(shifts, 0, 1, 2)
    assert set(np.unique(shifts.sigma_dx.values[shifts.flags == 0])) == {0.25}
    assert set(np.unique(shifts.sigma_dy.values[shifts.flags == 0])) == {0.5}
    check(xoffset.open_shifts(tmp_path / "made.h5"), 0, 1, 2)


def test_lazy_until_computed(tmp_path):
    assert formats.mintpy.read(made.mintpy(tmp_path / "made.h5")).chunks


def test_dropped_pairs_stay_out_unless_asked_for(tmp_path):
    path = made.mintpy(tmp_path / "made.h5", dropped=(1,))
    check(formats.mintpy.read(path), 0, 2)
    check(formats.mintpy.read(path, dropped=True), 0, 1, 2)
    none = made.mintpy(tmp_path / "none.h5", dropped=(0, 1, 2))
    with pytest.raises(ValueError, match="dropped=True"):
        formats.mintpy.read(none)


def test_radar_geometry_is_refused(tmp_path):
    with pytest.raises(ValueError, match="PROCESSOR isce"):
        shifts_of(tmp_path, processor="isce")
    path = made.mintpy(tmp_path / "made.h5")
    with h5py.File(path, "a") as file:
        del file.attrs["X_FIRST"]
    with pytest.raises(ValueError, match="none of X_FIRST"):
        formats.mintpy.read(path)


def test_degrees_are_refused(tmp_path):
    path = made.mintpy(tmp_path / "made.h5", extra={"X_UNIT": "degrees", "X_FIRST": 9.0, "X_STEP": 1e-4})
    with h5py.File(path, "a") as file:
        del file.attrs["EPSG"]
    with pytest.raises(ValueError, match="needs a projected CRS"):
        formats.mintpy.read(path)


def test_the_zone_tells_the_crs_where_no_code_does(tmp_path):
    path = made.mintpy(tmp_path / "made.h5", extra={"UTM_ZONE": "32N"})
    with h5py.File(path, "a") as file:
        del file.attrs["EPSG"]
    check(formats.mintpy.read(path), 0, 1, 2)


def test_what_is_no_stack_is_named(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["height"] = np.zeros((2, 2))
    with pytest.raises(ValueError, match="with height"):
        formats.mintpy.read(tmp_path / "other.h5")
    with pytest.raises(FileNotFoundError, match="there is none"):
        formats.mintpy.read(tmp_path / "nothing.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(OSError, match="needs an HDF5 file"):
        formats.mintpy.read(tmp_path / "text.h5")


@pytest.mark.parametrize("is_southward", [True, False])
@pytest.mark.parametrize("is_lazy", [True, False])
def test_a_stack_as_mintpy_wants_it(tmp_path, is_southward, is_lazy):
    shifts = shifts_of(tmp_path)
    shifts = shifts if is_southward else shifts.isel(y=slice(None, None, -1))
    shifts = shifts.chunk(x=3) if is_lazy else shifts
    shifts["snr"] = (shifts.dx * 0 + np.float32(7)).assign_attrs(units="1")
    path = formats.mintpy.write(shifts, tmp_path / "ifgramStack.h5")
    with h5py.File(path) as file:
        assert set(file.attrs) >= NEEDED
        assert all(isinstance(value, str) for value in file.attrs.values())
        attrs = dict(file.attrs)
        assert {attrs[name] for name in ("X_UNIT", "Y_UNIT")} == {"meters"}
        assert attrs["PROCESSOR"] == "cosicorr"
        assert [float(attrs[name]) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP")] == [
            made.WEST, made.NORTH, made.SIDE, -made.SIDE,
        ]  # fmt: skip
        assert attrs["EPSG"] == str(made.EPSG)
        assert file["dropIfgram"][:].all()
        assert file["dropIfgram"].dtype == bool
        np.testing.assert_array_equal(file["date"][:].astype(str), made.DATES)
        for pair in range(3):
            east, north = made.displacement(pair)
            np.testing.assert_allclose(file["rangeOffset"][pair], east, rtol=1e-6)
            np.testing.assert_allclose(file["azimuthOffset"][pair], north, rtol=1e-6)
        assert np.nanmax(file["azimuthOffsetStd"][:]) == 0.5
        assert np.nanmax(file["offsetSNR"][:]) == 7.0
        assert file["rangeOffset"].dtype == np.float32


def test_the_place_that_does_not_move_is_the_reference(tmp_path):
    shifts, (x, y) = shifts_of(tmp_path), made.axes()
    path = formats.mintpy.write(shifts, tmp_path / "ifgramStack.h5", stable=(x[5] + 1.0, y[3] - 2.0))
    with h5py.File(path) as file:
        assert (file.attrs["REF_X"], file.attrs["REF_Y"]) == ("5", "3")
    with pytest.raises(ValueError, match="within the grid"):
        formats.mintpy.write(shifts, path, stable=(0.0, 0.0), overwrite=True)


def test_nothing_is_replaced_unasked_nor_half_written(tmp_path):
    shifts = shifts_of(tmp_path)
    path = formats.mintpy.write(shifts, tmp_path / "ifgramStack.h5")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        formats.mintpy.write(shifts, path)
    broken = shifts.chunk(x=3)
    broken["dy"] = broken.dy.copy(data=broken.dy.data.map_blocks(lambda block: 1 // 0, meta=np.empty((0, 0, 0), "f4")))
    with pytest.raises(ZeroDivisionError):
        formats.mintpy.write(broken, path, overwrite=True)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ifgramStack.h5", "made.h5"]


def test_two_dates_of_one_day_are_refused(tmp_path):
    shifts = shifts_of(tmp_path)
    second = shifts.secondary.values.copy()
    second[0] += np.timedelta64(2, "h")
    with pytest.raises(ValueError, match="got 2 on 2019-08-05"):
        formats.mintpy.write(shifts.assign_coords(secondary=("pair", second)), tmp_path / "ifgramStack.h5")


def test_a_crs_without_a_code_comes_back(tmp_path):
    text = "+proj=laea +lat_0=46 +lon_0=9 +datum=WGS84 +units=m"
    shifts = shifts_of(tmp_path).assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS(text)))
    back = formats.mintpy.read(formats.mintpy.write(shifts, tmp_path / "ifgramStack.h5"))
    assert grids.agree(grids.crs_of(back), grids.crs_of(shifts))


def test_a_series_goes_and_comes(tmp_path):
    shifts = shifts_of(tmp_path)
    series = xoffset.invert(shifts).drop_vars("sigma_drift_dx", errors="ignore")
    folder = formats.mintpy.write(series.isel(y=slice(None, None, -1)), tmp_path / "series")
    with h5py.File(folder / "timeseriesAz.h5") as file:
        assert (file.attrs["FILE_TYPE"], file.attrs["UNIT"], file.attrs["Y_STEP"]) == ("timeseries", "m", "-10.0")
        assert file["date"][:].astype(str).tolist() == ["20190701", "20190805", "20200619"]
        zero = series.time.values[np.argmax((abs(series.dx).max(("y", "x")) == 0).values)]
        assert file.attrs["REF_DATE"] == str(zero)[:10].replace("-", "")
        np.testing.assert_array_equal(file["timeseries"][:], series.dy)
    back = formats.mintpy.read(folder)
    np.testing.assert_array_equal(back.dx, series.dx)
    np.testing.assert_array_equal(back.dy, series.dy)
    np.testing.assert_array_equal(back.time, series.time)
    assert int(back.flags[0].values[made.HOLE]) == FLAGS["nodata"]
    assert np.isnan(back.sigma_dx).all()
    rate = xoffset.velocity(back.load())
    np.testing.assert_allclose(
        rate.vx, made.velocity()[0] * np.where(np.isnan(series.dx[0]), np.nan, 365.25), rtol=1e-4
    )


def test_time_series_of_other_dates_are_no_two_components(tmp_path):
    series = xoffset.invert(shifts_of(tmp_path))
    folder = formats.mintpy.write(series, tmp_path / "series")
    other = formats.mintpy.write(series.isel(time=slice(1, None)), tmp_path / "other")
    (other / "timeseriesAz.h5").replace(folder / "timeseriesAz.h5")
    with pytest.raises(ValueError, match="the same dates"):
        formats.mintpy.read(folder)


# ---------------------------------------------------------------------------------------------------------------- TICOI


@pytest.mark.parametrize("order", [("mid_date", "y", "x"), ("x", "y", "mid_date")])
def test_a_cube_of_velocities_whatever_the_order_of_its_dims(tmp_path, order):
    path = made.ticoi(tmp_path / "cube.nc", order=order)
    shifts = xoffset.open_shifts(path)
    check(shifts, 0, 1, 2)
    known = shifts.flags.values == 0
    np.testing.assert_allclose(shifts.sigma_dx.values[known], 0.25, rtol=1e-6)
    np.testing.assert_allclose(shifts.sigma_dy.values[known], 0.5, rtol=1e-6)


def test_displacements_of_its_inversion_are_turned_back_to_years_of_365_days(tmp_path):
    made.ticoi(tmp_path / "cube.nc", errors=False)
    cube = xr.open_dataset(tmp_path / "cube.nc", engine="h5netcdf").load()
    length = (cube.date2 - cube.date1) / np.timedelta64(1, "D") / 365.0
    found = cube.drop_vars(["vx", "vy"]).assign(
        dx=(cube.vx * length).where(cube.vx != 0), dy=(cube.vy * length).where(cube.vy != 0)
    )
    check(formats.ticoi.read(found), 0, 1, 2)


def test_a_cube_that_ticoi_turns_is_refused(tmp_path):
    cube = xr.open_dataset(made.ticoi(tmp_path / "cube.nc"), engine="h5netcdf").assign_attrs(author="E. Ducasse")
    with pytest.raises(ValueError, match="vy toward increasing y"):
        formats.ticoi.read(cube)


def test_dates_that_are_bare_numbers_are_refused(tmp_path):
    cube = xr.open_dataset(made.ticoi(tmp_path / "cube.nc"), engine="h5netcdf").load()
    cube["date1"] = ("mid_date", np.arange(3.0))
    with pytest.raises(ValueError, match="CF units"):
        formats.ticoi.read(cube)


@pytest.mark.parametrize("name", ["cube.nc", "cube.zarr"])
def test_a_cube_as_ticoi_wants_it(tmp_path, name):
    shifts = shifts_of(tmp_path)
    shifts["reference"] = shifts.reference + np.timedelta64(37_215_123_456, "us")
    shifts.dx[0, 0, 0] = 0.0
    path = formats.ticoi.write(shifts.isel(y=slice(None, None, -1)), tmp_path / name)
    engine = {"engine": "h5netcdf"} if name.endswith(".nc") else {"engine": "zarr", "consolidated": False}
    cube = xr.open_dataset(path, **engine)
    assert cube.vx.dims == ("mid_date", "y", "x")
    assert cube.vx.dtype == np.float32
    assert cube.attrs["proj4"] == f"EPSG:{made.EPSG}"
    assert "ITS_LIVE" not in cube.attrs["author"]
    assert not any(variable.dtype.kind in "OSU" for variable in cube.variables.values())
    np.testing.assert_array_equal(cube.date1.values.astype("M8[us]"), shifts.reference)
    assert not (cube.vx == 0).any()
    assert not (cube.vy == 0).any()
    years = (shifts.secondary - shifts.reference) / np.timedelta64(1, "D") / 365.25
    np.testing.assert_allclose(cube.vy[1], made.displacement(1)[1] / float(years[1]), rtol=1e-5)
    np.testing.assert_allclose(float(cube.errory.max()), 0.5 / float(years.min()), rtol=1e-5)
    back = xoffset.open_shifts(path).load()
    np.testing.assert_allclose(back.dx, shifts.dx, rtol=1e-6, atol=1e-20)
    np.testing.assert_array_equal(back.reference, shifts.reference)


def test_unknown_errors_are_left_out_and_mixed_ones_refused(tmp_path):
    shifts = shifts_of(tmp_path)
    unknown = shifts.assign(sigma_dx=shifts.sigma_dx * np.nan, sigma_dy=shifts.sigma_dy * np.nan)
    cube = xr.open_dataset(formats.ticoi.write(unknown, tmp_path / "cube.nc"), engine="h5netcdf")
    assert not {"errorx", "errory"} & set(cube)
    mixed = shifts.assign(sigma_dx=shifts.sigma_dx.where(shifts.sigma_dx.pair > 0))
    with pytest.raises(ValueError, match="1 of 3 pairs"):
        formats.ticoi.write(mixed, tmp_path / "mixed.nc")


def test_pairs_backward_in_time_and_other_endings_are_refused(tmp_path):
    shifts = shifts_of(tmp_path)
    turned = shifts.assign_coords(reference=shifts.secondary, secondary=shifts.reference)
    with pytest.raises(ValueError, match="forward in time"):
        formats.ticoi.write(turned, tmp_path / "cube.nc")
    with pytest.raises(ValueError, match="TICOI tells formats by that"):
        formats.ticoi.write(shifts, tmp_path / "cube.h5")
    with pytest.raises(ValueError, match="for shifts"):
        formats.mintpy.write(shifts, tmp_path / "cube.nc")
