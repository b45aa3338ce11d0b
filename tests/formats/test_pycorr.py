"""pycorr: files by its layout, written without the library's writer."""

import h5netcdf
import numpy as np
import pyproj
import pytest
import rasterio

from xoffset.formats import pycorr
from xoffset.formats.open_shifts import open_shifts
from xoffset.model.flags import FLAGS
from xoffset.model.grids import crs_of

SHAPE = (3, 4)
X, Y = 500_050.0 + 100.0 * np.arange(4), 4_999_950.0 - 100.0 * np.arange(3)
NAME = "L2A_S2BA_7VEG_15_20200512_20200527_hp.nc"


def velocities():
    """Metres a day east and north; one value was never measured, one is masked for its weak peak."""
    vx = (1.0 + 0.1 * np.arange(12).reshape(SHAPE)).astype("f4")
    vy = (-2.0 + 0.1 * np.arange(12).reshape(SHAPE)).astype("f4")
    vx[0, 0] = vy[0, 0] = -99.0
    masked = [np.where(np.arange(12).reshape(SHAPE) == 6, np.float32(-99.0), each) for each in (vx, vy)]
    return vx, vy, *masked


def netcdf(path, *, units="m/d", factor=1.0):
    vx, vy, vx_masked, vy_masked = velocities()
    score = np.full(SHAPE, 0.8, "f4")
    score[0, 0] = -2.0
    wkt = pyproj.CRS.from_epsg(32607).to_wkt("WKT1_GDAL")
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"y": 3, "x": 4}
        file.create_variable("x", ("x",), "f8", data=X).attrs["units"] = "m"
        file.create_variable("y", ("y",), "f8", data=Y).attrs["units"] = "m"
        file.create_variable("image_pair_times", (), "S1").attrs.update(
            del_t="15.0", start_date="2020-05-12T20:59:19", end_date="2020-05-27T20:59:19", del_t_speed_units=units
        )
        file.create_variable("transverse_mercator", (), "S1").attrs.update(
            grid_mapping_name="transverse_mercator", spatial_ref=wkt
        )
        maps = {"vx": vx, "vy": vy, "vx_masked": vx_masked, "vy_masked": vy_masked}
        for name, values in maps.items():
            scaled = np.where(values == -99.0, values, values * np.float32(factor))
            variable = file.create_variable(name, ("y", "x"), "f4", fillvalue=np.float32(-99.0), data=scaled)
            variable.attrs.update(units=units, grid_mapping="transverse_mercator")
        for name, values in (("corr", score), ("del_corr", score / 2)):
            file.create_variable(name, ("y", "x"), "f4", fillvalue=np.float32(-2.0), data=values)
    return path


def geotiffs(folder, stem="20200512_20200527_hp", factor=1.0):
    """Set of files of `-output_geotiffs_instead_of_netCDF`, in which vx_masked is the masked speed."""
    vx, vy, vx_masked, vy_masked = velocities()
    speed = np.where(vx_masked == -99.0, vx_masked, np.hypot(vx, vy))
    maps = {"vx": vx, "vy": vy, "vx_masked": speed, "vy_masked": vy_masked, "corr": np.full(SHAPE, 0.8, "f4")}
    transform = rasterio.transform.from_origin(500_000.0, 5_000_000.0, 100.0, 100.0)
    for name, values in maps.items():
        scaled = values if name == "corr" else np.where(values == -99.0, values, values * np.float32(factor))
        options = {"height": 3, "width": 4, "count": 1, "dtype": "float32", "crs": "EPSG:32607", "nodata": -99.0}
        with rasterio.open(folder / f"{stem}_{name}.tif", "w", transform=transform, **options) as file:
            file.write(scaled, 1)
    return folder / f"{stem}_vx.tif"


def check_truth(found):
    vx, vy, *_ = velocities()
    found = found.load()
    assert crs_of(found).to_epsg() == 32607
    assert found.baseline.values[0] == 15.0
    is_known = (vx != -99.0) & (np.arange(12).reshape(SHAPE) != 6)
    np.testing.assert_allclose(found.dx.values[0][is_known], 15.0 * vx[is_known], rtol=1e-6)
    np.testing.assert_allclose(found.dy.values[0][is_known], 15.0 * vy[is_known], rtol=1e-6)
    assert np.isnan(found.dx.values[0][~is_known]).all()
    assert found.flags.values[0, 0, 0] == FLAGS["nodata"]
    assert found.flags.values[0, 1, 2] & FLAGS["pycorr"]
    np.testing.assert_allclose(found.score.values[0, 1, 1], 0.8)
    assert np.isnan(found.sigma_dx).all()
    np.testing.assert_array_equal(found.y, Y)


class TestNetcdf:
    def test_is_told_and_has_its_signs(self, tmp_path):
        found = open_shifts(netcdf(tmp_path / NAME))
        check_truth(found)
        assert found.reference.values[0] == np.datetime64("2020-05-12T20:59:19", "us")
        np.testing.assert_allclose(found.peak_gap.values[0, 1, 1], 0.4)
        assert np.isnan(found.score.values[0, 0, 0])
        assert list(found.system.values) == ["pycorr"]

    def test_of_metres_a_year_is_the_same(self, tmp_path):
        check_truth(open_shifts(netcdf(tmp_path / NAME, units="m/yr", factor=365.25)))

    def test_unmasked(self, tmp_path):
        found = pycorr.read(netcdf(tmp_path / NAME), masked=False)
        np.testing.assert_allclose(found.dx.values[0, 1, 2], 15.0 * velocities()[0][1, 2], rtol=1e-6)
        assert found.flags.values[0, 1, 2] == 0

    def test_of_other_units_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="metres a day or a year; got units 'pixels'"):
            open_shifts(netcdf(tmp_path / NAME, units="pixels"))

    def test_with_dates_that_it_tells_itself_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="needs no dates"):
            open_shifts(netcdf(tmp_path / NAME), dates=("2020-01-01", "2020-02-01"))


class TestGeotiffs:
    def test_are_one_pair_whichever_file_is_given(self, tmp_path):
        path = geotiffs(tmp_path)
        check_truth(open_shifts(path))
        check_truth(open_shifts(str(path).replace("_vx.", "_vy_masked.")))
        check_truth(open_shifts(tmp_path))

    def test_without_dates_in_the_name_need_them(self, tmp_path):
        path = geotiffs(tmp_path, stem="glacier")
        with pytest.raises(ValueError, match=r"open_shifts\(\) needs the dates"):
            open_shifts(path)
        check_truth(open_shifts(path, dates=("2020-05-12", "2020-05-27")))

    def test_of_metres_a_year(self, tmp_path):
        check_truth(pycorr.read(geotiffs(tmp_path, factor=365.25), per="year"))

    def test_without_a_component_are_refused(self, tmp_path):
        path = geotiffs(tmp_path)
        (tmp_path / path.name.replace("_vx", "_vy")).unlink()
        with pytest.raises(FileNotFoundError, match=r"_vy\.tif"):
            open_shifts(path)
