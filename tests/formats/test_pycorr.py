"""pycorr: files by its layout, written without the library's writer."""

import numpy as np
import pytest
from pycorr_files import NAME, SHAPE, Y, geotiffs, netcdf, velocities

from xoffset.formats import pycorr
from xoffset.formats.open_shifts import open_shifts
from xoffset.model.flags import FLAGS
from xoffset.model.grids import crs_of


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
