"""open_dem(): elevations around a stack, of its CRS and of others."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform

import xoffset
from xoffset import synthetic

STACK, _ = synthetic.stack((40, 48))


def write(path, heights, corner, side, crs):
    about = {"height": heights.shape[0], "width": heights.shape[1], "count": 1, "dtype": "float32", "crs": crs,
             "transform": from_origin(*corner, side, side), "nodata": -9999.0}  # fmt: skip
    with rasterio.open(path, "w", driver="GTiff", **about) as file:
        file.write(heights.astype("float32"), 1)
    return path


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A plane in the CRS of the stack, 30 m, 3 km around it; 0.1 m higher for each metre toward the east."""
    west, north = float(STACK.x[0]) - 3000.0, float(STACK.y[0]) + 3000.0
    x = west + 30.0 * (np.arange(220) + 0.5)
    heights = np.outer(np.ones(220), 500.0 + 0.1 * (x - x[0]))
    heights[100, 100] = -9999.0
    return write(tmp_path_factory.mktemp("dem") / "own.tif", heights, (west, north), 30.0, "EPSG:32632")


def test_pixels_of_the_same_crs_stay_as_they_are(own):
    dem = xoffset.open_dem(own, like=STACK)
    assert (dem.name, dem.units, dem.dims) == ("elevation", "m", ("y", "x"))
    assert abs(float(dem.x[1] - dem.x[0])) == 30.0
    for name in ("x", "y"):
        assert dem[name].min() <= STACK[name].min() - 30.0
        assert dem[name].max() >= STACK[name].max() + 30.0
    with rasterio.open(own) as file:
        whole = file.read(1)
    column = round((float(dem.x[0]) - file.transform.c) / 30.0 - 0.5)
    assert np.allclose(dem[0], whole[0, column : column + dem.sizes["x"]])
    assert abs(xoffset.open_dem(own, like=STACK, margin=1000.0).sizes["x"] - dem.sizes["x"] - 2 * 33) <= 1


def test_holes_are_unknown(own):
    assert int(np.isnan(xoffset.open_dem(own, like=STACK)).sum()) <= 1
    assert int(np.isnan(xoffset.open_dem(own, like=STACK, margin=2900.0)).sum()) == 1


def test_rasters_of_another_crs_are_brought_there(tmp_path):
    (west,), (north,) = transform("EPSG:32632", "EPSG:4326", [float(STACK.x[0])], [float(STACK.y[0])])
    side = 1.0 / 3600.0
    degrees = west - 0.05 + side * (np.arange(400) + 0.5)
    path = write(
        tmp_path / "degrees.tif", np.outer(np.ones(400), 1e4 * (degrees - west)), (west - 0.05, north + 0.05), side,
        "EPSG:4326",
    )  # fmt: skip
    dem = xoffset.open_dem(path, like=STACK, margin=100.0)
    assert 15.0 < abs(float(dem.x[1] - dem.x[0])) < 32.0
    assert dem.rio.crs == STACK.rio.crs
    centre = dem.isel(x=dem.sizes["x"] // 2, y=dem.sizes["y"] // 2)
    (at,), _ = transform("EPSG:32632", "EPSG:4326", [float(centre.x)], [float(centre.y)])
    assert abs(float(centre) - 1e4 * (at - west)) < 0.2


def test_what_is_no_model_of_the_place_is_refused(own, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"needs a raster of elevations; got .*none.tif, which is not there"):
        xoffset.open_dem(tmp_path / "none.tif", like=STACK)
    far = STACK.assign_coords(x=STACK.x + 1e5)
    with pytest.raises(ValueError, match=r"needs elevations around the stack; got .*which lies elsewhere"):
        xoffset.open_dem(own, like=far)
    with pytest.raises(ValueError, match="at most 100,000 metres as margin"):
        xoffset.open_dem(own, like=STACK, margin=1e6)
    bare = write(tmp_path / "bare.tif", np.ones((50, 50)), (0.0, 0.0), 30.0, None)
    with pytest.raises(ValueError, match="needs a raster with a CRS, since the stack has one"):
        xoffset.open_dem(bare, like=STACK)


def test_a_part_of_the_stack_without_elevations_is_told(own, tmp_path, caplog):
    xoffset.open_dem(own, like=STACK)
    assert not caplog.records
    corner = float(STACK.x[24]), float(STACK.y[0]) + 500.0
    half = write(tmp_path / "half.tif", np.full((60, 60), 500.0), corner, 30.0, "EPSG:32632")
    dem = xoffset.open_dem(half, like=STACK)
    assert dem.notnull().all()
    assert "half.tif covers 5" in caplog.text
    assert "nothing is matched there" in caplog.text
