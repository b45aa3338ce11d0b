"""Real results of others through open_shifts, against what is published of them or what plain readers find."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset.formats import itslive
from xoffset.masking.stable_ground import stable_ground
from xoffset.model.flags import FLAGS
from xoffset.model.grids import crs_of

pytestmark = pytest.mark.data


@pytest.fixture
def granule(data_folder):
    (path,) = (data_folder / "stac_and_landsat_metadata" / "itslive").glob("*.nc")
    return path


class TestGranuleOfVersion2:
    """0 % of its pixels are valid: what is there to be read is all but values."""

    def test_is_told_with_dates_grid_and_error(self, granule):
        found = xoffset.open_shifts(granule)
        assert list(found.system.values) == ["itslive"]
        assert found.reference.values[0] == np.datetime64("1984-12-06T12:52:19.377", "us")
        assert found.secondary.values[0] == np.datetime64("1985-01-24T13:35:34.504056", "us")
        assert found.baseline.values[0] == pytest.approx(49.03003619, abs=1e-8)  # its own date_dt
        assert crs_of(found).to_epsg() == 3031
        assert (found.x.values[0], found.y.values[0]) == (-849_907.5 + 0.0, -457_132.5 + 0.0)
        assert dict(found.sizes) == {"pair": 1, "y": 1879, "x": 2016}
        assert np.isnan(found.dx).all()
        assert (found.flags == FLAGS["nodata"]).all()

    def test_has_the_variables_that_are_written(self, granule, tmp_path):
        shifts = xoffset.open_shifts(granule).isel(y=slice(40), x=slice(50)).load()
        shifts = shifts.assign({name: shifts[name].fillna(value) for name, value in (("dx", 3.0), ("dy", -2.0))})
        (path,) = itslive.write(shifts, tmp_path)
        options = {"engine": "h5netcdf", "decode_cf": False}
        with xr.open_dataset(granule, **options) as real, xr.open_dataset(path, **options) as ours:
            for name in ("vx", "vy", "v", "v_error", "interp_mask"):
                assert ours[name].dims == real[name].dims
                assert ours[name].dtype == real[name].dtype
                for key in ("units", "standard_name", "grid_mapping", "description"):
                    assert ours[name].attrs.get(key) == real[name].attrs.get(key), (name, key)
            assert ours.vx.attrs["_FillValue"] == real.vx.attrs["_FillValue"]
            assert ours.mapping.attrs["spatial_epsg"] == real.mapping.attrs["spatial_epsg"]
            dates = ("acquisition_date_img1", "acquisition_date_img2", "date_center", "date_dt", "roi_valid_percentage")
            assert set(dates) <= set(ours.img_pair_info.attrs) & set(real.img_pair_info.attrs)
            assert set(ours.img_pair_info.attrs) - set(real.img_pair_info.attrs) <= {"id_pair"}


def test_table_of_a_point_of_columbia(data_folder):
    path = data_folder / "itslive_point_columbia" / "columbia_61.1804_-146.9751.csv"
    found = xoffset.open_shifts(path).load()
    rows = pd.read_csv(path)
    assert found.sizes["pair"] == len(rows) == 2515
    assert crs_of(found).to_epsg() == 3413
    years = found.baseline.values / 365.25
    order = np.argsort(np.abs(years), kind="stable")
    theirs = rows.iloc[np.argsort(rows["date_dt [days]"].to_numpy(), kind="stable")]
    np.testing.assert_allclose(years[order] * 365.25, theirs["date_dt [days]"], atol=0.51)
    speed = np.hypot(found.dx.values.ravel(), found.dy.values.ravel()) / np.abs(years)
    # README: median speed of pairs of at most 20 days, and of more than 400 that are locked
    days = np.abs(found.baseline.values)
    assert np.nanmedian(speed[days <= 20.0]) == pytest.approx(3032, rel=0.01)
    assert np.nanmedian(speed[days > 400.0]) == pytest.approx(11, abs=1.0)


def test_static_ground_of_kaskawulsh(data_folder):
    """README, computed: 46 677 static pixels, median (-0.0146, -0.0293) and NMAD (0.0434, 0.0543) m/day."""
    pytest.importorskip("pyogrio")
    folder = data_folder / "kaskawulsh_velocity"
    found = xoffset.open_shifts(folder / "20180304-20180405_velo-raw_vx.tif").load()
    static = stable_ground(found, polygons=folder / "bedrock_V2.shp").values
    for name, median, nmad in (("dx", -0.0146, 0.0434), ("dy", -0.0293, 0.0543)):
        daily = found[name].values[0][static] / 32.0
        daily = daily[np.isfinite(daily)]
        assert np.median(daily) == pytest.approx(median, abs=2e-4)
        assert 1.4826 * np.median(np.abs(daily - np.median(daily))) == pytest.approx(nmad, abs=5e-4)
