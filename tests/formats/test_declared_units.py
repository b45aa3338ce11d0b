"""Files of others that state units, scales, masks and nodata of their own: a number is not taken as it stands."""

import h5py
import itslive_files
import numpy as np
import other_systems
import pycorr_files
import pytest
import rasterio
import xarray as xr

import xoffset
from xoffset.formats import asp, cosicorr, itslive, itslive_cube, mintpy, mpic, pair_names, pycorr, ticoi
from xoffset.formats.open_shifts import open_shifts
from xoffset.model.flags import FLAGS

DAYS = ["2020-01-01", "2020-03-01"], ["2020-02-01", "2020-04-01"]


def opened(kind, folder):
    """Reader and a dataset in memory whose velocities are in metres a year, with errors of 10 and 20."""
    if kind == "granule":
        path = itslive_files.granule(folder / "a.nc", errors=(10.0, 20.0))
        return itslive.read, xr.open_dataset(path, engine="h5netcdf").load()
    if kind == "cube":
        path = itslive_files.cube(folder / "c.zarr", *DAYS, errors=([10.0, 10.0], [20.0, 20.0]))
        return itslive_cube.read, xr.open_zarr(path).load()
    return ticoi.read, xr.open_dataset(other_systems.ticoi(folder / "t.nc"), engine="h5netcdf").load()


def with_attrs(data, names=("vx", "vy"), **attrs):
    return data.assign({name: data[name].assign_attrs(attrs) for name in names})


@pytest.mark.parametrize("kind", ["granule", "cube", "ticoi"])
class TestStores:
    @pytest.mark.parametrize(("units", "factor"), [("m/d", 365.25), ("cm yr-1", 0.01), ("km/year", 1000.0)])
    def test_units_of_velocities_are_converted_with_their_errors(self, kind, units, factor, tmp_path):
        read, data = opened(kind, tmp_path)
        plain, found = read(data), read(with_attrs(data, units=units))
        for name in ("dx", "dy", "sigma_dx", "sigma_dy"):
            assert np.isfinite(found[name]).any()
            np.testing.assert_allclose(found[name], factor * plain[name], rtol=1e-5)
        np.testing.assert_array_equal(found.flags, plain.flags)

    def test_units_of_another_quantity_are_refused(self, kind, tmp_path):
        read, data = opened(kind, tmp_path)
        with pytest.raises(ValueError, match=r"read\(\) needs 'vx' in m yr-1; got units 'm'"):
            read(with_attrs(data, units="m"))

    def test_a_number_for_no_value_is_none_in_other_units(self, kind, tmp_path):
        read, data = opened(kind, tmp_path)
        number = 0 if kind == "ticoi" else -32767
        raw = data.assign({name: data[name].fillna(number).drop_attrs() for name in ("vx", "vy")})
        found = read(with_attrs(raw, units="m/d"))
        np.testing.assert_array_equal(np.isnan(found.dx), np.isnan(read(data).dx))

    def test_a_scale_that_is_not_applied_yet_holds(self, kind, tmp_path):
        read, data = opened(kind, tmp_path)
        found = read(with_attrs(data, scale_factor=0.1, units="m/y"))
        np.testing.assert_allclose(found.dx, 0.1 * read(data).dx, rtol=1e-5)

    def test_coordinates_in_kilometres_become_metres(self, kind, tmp_path):
        read, data = opened(kind, tmp_path)
        far = data.assign_coords({axis: (axis, data[axis].values / 1000, {"units": "km"}) for axis in ("x", "y")})
        np.testing.assert_allclose(read(far).x, read(data).x)

    def test_coordinates_in_degrees_are_refused(self, kind, tmp_path):
        read, data = opened(kind, tmp_path)
        far = data.assign_coords({axis: (axis, data[axis].values / 1e5, {"units": "degree"}) for axis in ("x", "y")})
        with pytest.raises(ValueError, match=r"read\(\) needs x and y in metres; got 'x' in degrees"):
            read(far)


def cosi(path, *, unit=None, mask=None, value=12.0):
    values = np.full((2, 4, 5), value, "f4")
    grid = {"driver": "GTiff", "width": 5, "height": 4, "count": 2, "dtype": "float32", "crs": "EPSG:32632"}
    grid["transform"] = rasterio.Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **grid) as file:
        file.write(values)
        file.set_band_description(1, "East/West")
        file.set_band_description(2, "North/South")
        if unit is not None:
            file.units = (unit, unit)
        if mask is not None:
            file.write_mask(mask)
    return path


class TestRasters:
    def test_units_of_a_band(self, tmp_path):
        found = cosicorr.read(cosi(tmp_path / "20200101_20200201_a.tif", unit="cm"))
        np.testing.assert_allclose(found.dy, 0.12, rtol=1e-6)
        with pytest.raises(ValueError, match=r"cosicorr\.read\(\) needs 'dx' in m; got units 'pixel'"):
            cosicorr.read(cosi(tmp_path / "20200101_20200202_a.tif", unit="pixel"))

    def test_the_mask_of_a_file_holds(self, tmp_path):
        mask = np.full((4, 5), 255, "u1")
        mask[1, 2] = 0
        found = cosicorr.read(cosi(tmp_path / "20200101_20200201_a.tif", mask=mask))
        np.testing.assert_array_equal(np.isnan(found.dx[0]), mask == 0)
        np.testing.assert_array_equal(found.flags[0] != 0, mask == 0)

    def test_the_unit_of_pycorr_is_not_told_twice(self, tmp_path):
        grid = {"driver": "GTiff", "width": 5, "height": 4, "count": 1, "dtype": "float32", "crs": "EPSG:32632"}
        grid["transform"] = rasterio.Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0)
        for end in ("vx", "vy"):
            with rasterio.open(tmp_path / f"20200101_20200131_{end}.tif", "w", **grid) as file:
                file.write(np.full((1, 4, 5), 365.25, "f4"))
                file.units = ("m/yr",)
        np.testing.assert_allclose(pycorr.read(tmp_path / "20200101_20200131_vx.tif").dx, 30.0, rtol=1e-6)
        with pytest.raises(ValueError, match=r"needs no unit of time for .*_vx\.tif, which tells 'm/yr'"):
            pycorr.read(tmp_path / "20200101_20200131_vx.tif", per="year")


class TestOwnCubes:
    """What a writer leaves out of a store, since it is all nodata, is no chunk that is lost."""

    @pytest.mark.parametrize("lost", ["dx", "sigma_dx"])
    def test_chunks_of_nothing_come_back(self, lost, tmp_path):
        stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=40.0, crs="EPSG:32632")
        shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4, step=4)
        shifts = shifts.assign({lost: shifts[lost].where(shifts.x < shifts.x[11])})
        path = itslive_cube.write(shifts, tmp_path / "c.zarr")
        found = open_shifts(path)
        np.testing.assert_array_equal(np.isnan(found.dx), np.isnan(shifts.dx) | np.isnan(shifts.dy))


class TestPoints:
    def test_are_no_network_with_maps(self, tmp_path):
        table = tmp_path / "a.csv"
        table.write_text("reference,secondary,dx,dy,x,y,name\n2020-01-01,2020-07-01,1.5,-0.5,500040,5000040,a\n")
        path = pycorr_files.netcdf(tmp_path / pycorr_files.NAME)
        with pytest.raises(ValueError, match=r"to make one network of them; got points from a\.csv"):
            open_shifts([table, path])

    def test_series_of_one_place_are_one_network(self, tmp_path):
        for name, days in (("a", ("2020-01-01", "2020-07-01")), ("b", ("2020-07-01", "2021-01-01"))):
            (tmp_path / f"{name}.csv").write_text(f"reference,secondary,dx,dy\n{days[0]},{days[1]},1.5,-0.5\n")
        assert open_shifts(tmp_path / "*.csv").sizes["pair"] == 2


def test_disparities_of_images_to_the_right_and_down_are_east_and_south(tmp_path):
    path = tmp_path / "20200101_20200131-F.tif"
    grid = {"driver": "GTiff", "width": 5, "height": 4, "count": 3, "dtype": "float32", "crs": "EPSG:32632"}
    grid["transform"] = rasterio.Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0)
    bands = np.stack([np.full((4, 5), value, "f4") for value in (2.0, 3.0, 1.0)])
    bands[:, 0, 0] = 0.0  # what is invalid is 0 in all bands
    with rasterio.open(path, "w", **grid) as file:
        file.write(bands)
    found = asp.read(path)
    assert (float(found.dx[0, 1, 1]), float(found.dy[0, 1, 1])) == (20.0, -30.0)
    assert np.isnan(found.dx[0, 0, 0])


class TestMintpy:
    @pytest.mark.parametrize(("declared", "number"), [(None, -32768.0), ("-9999.0", -9999.0)])
    def test_numbers_for_no_value_are_none(self, declared, number, tmp_path):
        path = tmp_path / "stack.h5"
        other_systems.mintpy(path)
        plain = mintpy.read(path).load()
        with h5py.File(path, "r+") as file:
            for name in ("rangeOffset", "azimuthOffset"):
                values = file[name][:]
                values[0, 1, 1] = number
                file[name][:] = values
            if declared is not None:
                file.attrs["NO_DATA_VALUE"] = declared
        found = mintpy.read(path).load()
        assert np.isfinite(plain.dx[0, 1, 1])
        assert np.isnan(found.dx[0, 1, 1])
        assert found.flags[0, 1, 1] == FLAGS["nodata"]
        np.testing.assert_array_equal(found.dx[1:], plain.dx[1:])

    def test_a_time_of_day_is_kept(self, tmp_path):
        path = tmp_path / "stack.h5"
        other_systems.mintpy(path)
        with h5py.File(path, "r+") as file:
            texts = [[f"{each.decode()}T10{20 + k}" for k, each in enumerate(row)] for row in file["date"][:]]
            del file["date"]
            file["date"] = np.array(texts, dtype="S13")
        found = mintpy.read(path)
        assert str(found.reference.values[0])[10:16] == "T10:20"
        assert str(found.secondary.values[0])[10:16] == "T10:21"

    def test_time_series_of_other_units_are_refused(self, tmp_path):
        for name in mintpy.SERIES_FILES:
            path = other_systems.mintpy(tmp_path / name)
            with h5py.File(path, "r+") as file:
                file["timeseries"] = file["rangeOffset"][:]
                file.attrs["UNIT"] = "pixel"
        with pytest.raises(ValueError, match=r"mintpy\.read\(\) needs time series in metres; got UNIT 'pixel'"):
            mintpy.read(tmp_path)


class TestOneAnswerForSeveralFiles:
    def test_dates_are_of_one_pair(self, tmp_path):
        for name in ("a", "b"):
            cosi(tmp_path / f"{name}.tif")
        assert open_shifts(tmp_path / "a.tif", dates=("2020-01-01", "2020-02-01")).sizes["pair"] == 1
        with pytest.raises(ValueError, match=r"needs one pair where dates are given; got 2"):
            open_shifts(tmp_path, dates=("2020-01-01", "2020-02-01"))


def test_a_table_with_a_mark_of_its_encoding_is_known(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("reference,secondary,dx,dy\n2020-01-01,2020-07-01,1.5,-0.5\n", encoding="utf-8-sig")
    assert float(open_shifts(path).dx.squeeze()) == 1.5


class TestDatesOfNames:
    """Identifiers of scenes tell when an image was processed, too, which is no date of a pair."""

    def test_two_scenes(self):
        name = "LC08_L1TP_062018_20180304_20180320_01_T1_LC08_L1TP_062018_20180405_20180417_01_T1-F.tif"
        assert [str(each)[:10] for each in pair_names.dates(name, None, "f")] == ["2018-03-04", "2018-04-05"]
        name = "S2A_MSIL1C_20180304T101021_N0206_R022_T32TLS_20180304T135950_20180320_x.tif"
        assert [str(each)[:10] for each in pair_names.dates(name, None, "f")] == ["2018-03-04", "2018-03-20"]

    @pytest.mark.parametrize(
        "name",
        [
            "LC08_L1TP_062018_20180304_20180320_01_T1-F.tif",
            "S2A_MSIL1C_20180304T101021_N0206_R022_T32TLS_20180304T135950-F.tif",
        ],
    )
    def test_one_scene_is_no_pair(self, name):
        with pytest.raises(ValueError, match="needs the dates of both images; got 1"):
            pair_names.dates(name, None, "f")


def test_scores_from_0_to_1_are_none_of_8_bit(tmp_path):
    for name, value in (("Px1", 1.0), ("Px2", 1.0), ("Correl", 0.9)):
        other_systems.raster(tmp_path / f"{name}_20200101_20200201.tif", [np.full((4, 5), value, "f4")])
    with pytest.raises(ValueError, match=r"mpic\.read\(\) needs scores in 8 bit, 128 to 255.*none above 0\.9"):
        mpic.read(tmp_path)
