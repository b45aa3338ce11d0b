"""crop(): whole pixels of a box or around polygons, and grid_step()."""

import json

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic

STACK, _ = synthetic.stack((60, 80), dates=["2020-01-01", "2020-07-01"])


def test_pixels_whose_centres_lie_inside():
    x, y = STACK.x.values, STACK.y.values
    box = (x[5] - 4.9, y[30] - 4.9, x[20] + 4.9, y[10] + 4.9)
    xr.testing.assert_equal(xoffset.crop(STACK, box), STACK.isel(y=slice(10, 31), x=slice(5, 21)))
    xr.testing.assert_equal(xoffset.crop(STACK, box, buffer=20.0), STACK.isel(y=slice(8, 33), x=slice(3, 23)))
    south = STACK.isel(y=slice(None, None, -1))
    xr.testing.assert_equal(xoffset.crop(south, box), xoffset.crop(STACK, box).isel(y=slice(None, None, -1)))
    assert xoffset.crop(STACK.chunk(), box).chunks


def test_boxes_in_degrees_and_polygons_hold_the_same(tmp_path):
    import pyproj

    x, y = STACK.x.values, STACK.y.values
    west, south, east, north = x[10], y[40], x[30], y[20]
    turn = pyproj.Transformer.from_crs(STACK.spatial_ref.attrs["crs_wkt"], 4326, always_xy=True)
    ring = [
        list(turn.transform(a, b))
        for a, b in ((west, north), (east, north), (east, south), (west, south), (west, north))
    ]
    lon, lat = np.array(ring).T
    found = xoffset.crop(STACK, (lon.min(), lat.min(), lon.max(), lat.max()))
    assert set(x[10:31]) <= set(found.x.values)
    assert found.sizes["x"] <= 24
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    around = xoffset.crop(STACK, path, buffer=5.0)
    assert abs(around.sizes["x"] - 21) <= 1
    assert abs(around.sizes["y"] - 21) <= 1


def test_without_a_crs_small_numbers_are_metres():
    coords = {"time": STACK.time, "y": -10.0 * np.arange(60), "x": 10.0 * np.arange(80)}
    local = xr.DataArray(STACK.values, coords, ("time", "y", "x"))
    assert xoffset.crop(local, (0.0, -50.0, 30.0, 0.0)).shape == (2, 6, 4)


@pytest.mark.parametrize("area", [(1.0, 2.0, 3.0), (1.0, 2.0, 3.0, np.nan), (-np.inf, 0.0, np.inf, 1.0), (1, 1, 0, 2)])
def test_what_is_no_box_is_told_to_be_none(area):
    with pytest.raises(ValueError, match=r"crop\(\) needs area=\(west, south, east, north\)"):
        xoffset.crop(STACK, area)


def test_steps_are_whole_pixels():
    assert xoffset.grid_step(STACK, spacing=80.0) == 8
    with pytest.raises(
        ValueError, match=r"whole number of pixels of 10 x 10 m as spacing .* got 75. Pass one such as 80, to"
    ):
        xoffset.grid_step(STACK, spacing=75.0)
