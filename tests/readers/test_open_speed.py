"""open_speed(): the length of velocities around a stack, of rasters and products, in any unit."""

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401, registers `.rio`
import xarray as xr
from rasterio.transform import from_origin

import xoffset
from xoffset import synthetic

STACK, TRUTH = synthetic.stack((60, 64), velocity=50.0)


def write(path, values, units="", crs="EPSG:32632", side=10.0, margin=100.0):
    corner = float(STACK.x[0]) - margin, float(STACK.y[0]) + margin
    about = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": "float32", "nodata": -9999.0}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=from_origin(*corner, side, side), **about) as file:
        file.write(values.astype("float32"), 1)
        if units:
            file.set_band_unit(1, units)
    return str(path)


@pytest.fixture
def components(tmp_path):
    vx, vy = np.full((90, 90), 3.0), np.full((90, 90), -4.0)
    vx[30, 30] = -9999.0
    return [write(tmp_path / "vx.tif", vx), write(tmp_path / "vy.tif", vy)]


def test_the_length_of_both_components(components):
    found = xoffset.open_speed(components, like=STACK, per="day")
    assert (found.name, found.units, found.dims) == ("v", "m yr-1", ("y", "x"))
    np.testing.assert_allclose(found.values[~np.isnan(found)], 5.0 * 365.25, rtol=1e-6)
    assert int(np.isnan(found).sum()) == 1
    assert found.x.min() <= STACK.x.min()
    assert found.rio.crs.to_epsg() == 32632


def test_units_of_bands_count(components, tmp_path):
    told = write(tmp_path / "v.tif", np.full((90, 90), 2.0), units="m/d")
    np.testing.assert_allclose(xoffset.open_speed(told, like=STACK), 2.0 * 365.25)
    with pytest.raises(ValueError, match=r"no unit for .*v.tif, which tells 'm/d'.*Leave per out"):
        xoffset.open_speed(told, like=STACK, per="day")
    with pytest.raises(ValueError, match=r"the unit of .*vx.tif, which tells none.*Pass per='day' or per='year'"):
        xoffset.open_speed(components, like=STACK)
    with pytest.raises(ValueError, match=r"velocities, such as 'm d-1'; got 'K'"):
        xoffset.open_speed(write(tmp_path / "k.tif", np.ones((90, 90)), units="K"), like=STACK)


def test_products_of_the_library(tmp_path):
    TRUTH[["vx", "vy"]].to_zarr(tmp_path / "rate.zarr", consolidated=False)
    found = xoffset.open_speed(tmp_path / "rate.zarr", like=STACK[:, 10:30, 20:40])
    np.testing.assert_allclose(found, np.hypot(TRUTH.vx, TRUTH.vy).sel(x=found.x, y=found.y), rtol=1e-6)
    assert found.sizes == {"y": 24, "x": 24}
    with pytest.raises(ValueError, match=r"no unit for .*rate.zarr, which tells it"):
        xoffset.open_speed(tmp_path / "rate.zarr", like=STACK, per="year")
    with pytest.raises(ValueError, match=r"in the CRS of the stack"):
        xoffset.open_speed(tmp_path / "rate.zarr", like=STACK.rio.write_crs(32633))
    TRUTH[["vx"]].to_zarr(tmp_path / "half.zarr", consolidated=False)
    with pytest.raises(ValueError, match=r"needs vx and vy \(y, x\)"):
        xoffset.open_speed(tmp_path / "half.zarr", like=STACK)


def test_rasters_of_another_crs_are_brought_there(tmp_path):
    from rasterio.warp import transform

    (west,), (north,) = transform("EPSG:32632", "EPSG:4326", [float(STACK.x[0])], [float(STACK.y[0])])
    about = {"height": 400, "width": 400, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(
        tmp_path / "v.tif", "w", driver="GTiff", transform=from_origin(west - 0.01, north + 0.01, 1e-4, 1e-4), **about
    ) as file:
        file.write(np.full((400, 400), 7.0, dtype="float32"), 1)
    found = xoffset.open_speed(tmp_path / "v.tif", like=STACK, per="year")
    assert found.rio.crs == STACK.rio.crs
    at = found.sel(x=STACK.x, y=STACK.y, method="nearest")
    np.testing.assert_allclose(at, 7.0)
    xr.testing.assert_equal(found, found.compute())


def test_bad_input_is_refused(components, tmp_path):
    with pytest.raises(TypeError, match=r"one path, or two of the velocity along x and y; got 3"):
        xoffset.open_speed(3, like=STACK)
    with pytest.raises(FileNotFoundError, match=r"a velocity map; got .*none.tif"):
        xoffset.open_speed(str(tmp_path / "none.tif"), like=STACK)
    coarse = write(tmp_path / "coarse.tif", np.ones((50, 50)), side=20.0)
    with pytest.raises(ValueError, match=r"both components on one grid"):
        xoffset.open_speed([components[0], coarse], like=STACK, per="day")
    far = STACK.assign_coords(x=STACK.x + 1e6)
    with pytest.raises(ValueError, match=r"open_speed\(\) needs velocities around the stack.*lies elsewhere"):
        xoffset.open_speed(components, like=far, per="day")
