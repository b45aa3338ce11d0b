"""masking.land_classes(): land, glacier and water of rasters and of tiles that an index names."""

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401, registers `.rio`
import xarray as xr
from rasterio.transform import from_origin
from tile_indexes import shapefile
from unreliable_server import serving

import xoffset
from xoffset import synthetic
from xoffset.readers import tile_index

STACK, _ = synthetic.stack((40, 48))


def write(path, values, side=30.0, **about):
    corner = float(STACK.x[0]) - 95.0, float(STACK.y[0]) + 95.0
    options = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": str(values.dtype)}
    place = {"crs": "EPSG:32632", "transform": from_origin(*corner, side, side)}
    with rasterio.open(path, "w", driver="GTiff", **options | place | about) as file:
        file.write(values, 1)
    return path


@pytest.fixture
def classes():
    values = np.zeros((30, 30), dtype="uint8")
    values[:, 12:] = 1
    values[:8] = 2
    return values


def test_classes_are_those_of_the_raster(classes, tmp_path):
    found = xoffset.masking.land_classes(write(tmp_path / "lgo.tif", classes), like=STACK)
    assert (found.name, found.dtype, found.dims) == ("land_classes", np.uint8, ("y", "x"))
    assert found.attrs["flag_meanings"] == "glacier land water unknown"
    column = round((float(found.x[0]) - float(STACK.x[0]) + 95.0) / 30.0 - 0.5)
    row = round((float(STACK.y[0]) + 95.0 - float(found.y[0])) / 30.0 - 0.5)
    part = classes[row : row + found.sizes["y"], column : column + found.sizes["x"]]
    np.testing.assert_array_equal(found, part)


def test_no_data_is_unknown(classes, tmp_path):
    classes[10, 10] = 255
    classes[11, 11] = 9
    found = xoffset.masking.land_classes(write(tmp_path / "lgo.tif", classes, nodata=9), like=STACK)
    assert int((found == 255).sum()) == 2


def test_stable_ground_is_the_land(classes, tmp_path):
    found = xoffset.masking.land_classes(write(tmp_path / "lgo.tif", classes), like=STACK)
    stable = xoffset.masking.stable_ground(STACK, classes=found)
    near = found.sel(x=STACK.x, y=STACK.y, method="nearest").values == 1
    assert not (stable.values & ~near).any()
    assert (near & ~stable.values).mean() < 0.1


def test_rasters_of_another_crs_are_brought_there(tmp_path):
    from rasterio.warp import transform

    (west,), (north,) = transform("EPSG:32632", "EPSG:4326", [float(STACK.x[0])], [float(STACK.y[0])])
    values = np.ones((200, 200), dtype="uint8")
    place = {"crs": "EPSG:4326", "transform": from_origin(west - 0.01, north + 0.01, 2e-4, 2e-4)}
    found = xoffset.masking.land_classes(write(tmp_path / "degrees.tif", values, **place), like=STACK)
    assert found.rio.crs == STACK.rio.crs
    assert (found.sel(x=STACK.x, y=STACK.y, method="nearest") == 1).all()


def test_bad_input_is_refused(classes, tmp_path):
    classes[10, 13] = 7
    path = write(tmp_path / "lgo.tif", classes)
    with pytest.raises(ValueError, match=r"needs 1 \(land\), 0 \(glacier, or water\) and 2 \(water\); got 7 in"):
        xoffset.masking.land_classes(path, like=STACK)
    with pytest.raises(ValueError, match=r"an index of tiles for column='ROI'"):
        xoffset.masking.land_classes(path, like=STACK, column="ROI")
    with pytest.raises(FileNotFoundError, match=r"which is not there"):
        xoffset.masking.land_classes(tmp_path / "none.tif", like=STACK)
    with pytest.raises(TypeError, match=r"land_classes\(\)"):
        xoffset.masking.land_classes(path, like=xr.Dataset())
    (tmp_path / "index.shp").write_bytes(b"none")
    (tmp_path / "index.dbf").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"a stack with a CRS to find its place in an index"):
        xoffset.masking.land_classes(tmp_path / "index.shp", like=STACK.drop_vars("spatial_ref").drop_encoding())
    with pytest.raises(ValueError, match=r"an index of tiles that is a Shapefile; got .*which is damaged"):
        xoffset.masking.land_classes(tmp_path / "index.shp", like=STACK)


def test_tiles_of_an_index_lie_beside_it_and_those_of_a_server_on_servers(classes, tmp_path):
    write(tmp_path / "lgo.tif", classes)
    shapefile(tmp_path, [((0.0, 40.0, 20.0, 50.0), "lgo.tif")])
    found = xoffset.masking.land_classes(tmp_path / "index.shp", like=STACK)
    assert found.equals(xoffset.masking.land_classes(tmp_path / "lgo.tif", like=STACK))
    with serving(tmp_path) as server, pytest.raises(ValueError, match=r"addresses of rasters in an index of a server"):
        xoffset.masking.land_classes(f"{server.address}/ok/index.shp", like=STACK)


def test_indexes_find_the_area_by_their_column(tmp_path):
    shapefile(tmp_path, [((0.0, 0.0, 1.0, 1.0), "a.tif"), ((1.0, 0.0, 2.0, 1.0), "b.tif")])
    index = str(tmp_path / "index.shp")
    assert tile_index.find(index, "StableSurface", 1.5, 0.5, "land_classes") == "b.tif"
    assert tile_index.find(index, "number", 0.5, 0.5, "land_classes") == "1"
    with pytest.raises(ValueError, match=r"a column ROI in .*; got number, StableSurf. Pass one of these"):
        tile_index.find(index, "ROI", 0.5, 0.5, "land_classes")
    with pytest.raises(ValueError, match=r"a tile that holds longitude 5.000 and latitude 0.500; got none"):
        tile_index.find(index, "number", 5.0, 0.5, "land_classes")
    rows = (tmp_path / "index.dbf").read_bytes()
    (tmp_path / "index.dbf").write_bytes(rows[:-60])
    with pytest.raises(ValueError, match=r"which is damaged"):
        tile_index.find(index, "number", 0.5, 0.5, "land_classes")
