"""A real rock glacier, exported and read back by the readers of others."""

import json
import struct

import h5py
import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr

import xoffset
from xoffset.formats import cf, geojson, geozarr, kmz, mesh, points, stac

# the lower lobe, which moves by more than a metre a year
LOBE = (26_450.0, 196_840.0)
EPSG = 31254

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def measured(data_folder):
    """Series and rate of four orthophotos."""
    folder = data_folder / "kaiserberg_rock_glacier"
    stack = xoffset.open_stack(folder / "ortho_*.tif", date="ortho_%Y").sel(time=slice("2010", None))
    shifts = stack.offset.correlate(stack.offset.pairs(), search=24, step=32).offset.screen(min_score=0.5)
    series = shifts.offset.invert(reference="2010-01-01")
    return series, series.offset.velocity()


def nearest(data):
    x, y = (int(np.abs(data[name].values - value).argmin()) for name, value in zip("xy", LOBE, strict=True))
    assert np.isfinite(float(data.isel(x=x, y=y)[next(iter(data.data_vars))].max()))
    return x, y


def test_it_moves(measured):
    _, rate = measured
    column, row = nearest(rate[["vx", "vy"]])
    assert 0.8 < float(rate.v[row, column]) < 2.5


def test_rasterio(measured, tmp_path):
    _, rate = measured
    column, row = nearest(rate[["vx"]])
    (path,) = xoffset.to_geotiff(rate, tmp_path, variables=["vx"], legend=True)
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == EPSG
        place = float(rate.x[column]), float(rate.y[row])
        assert next(file.sample([place]))[0] == rate.vx.values[row, column]
        np.testing.assert_array_equal(file.read(1), rate.vx.values)
    path = mesh.write(rate, tmp_path / "mesh.nc")
    with rasterio.open(f"netcdf:{path}:vx") as file:
        assert next(file.sample([place]))[0] == rate.vx.values[row, column]
        assert file.crs.to_epsg() == EPSG


def test_xarray(measured, tmp_path):
    series, rate = measured
    with xr.open_dataset(cf.write(series, tmp_path / "a.nc"), engine="h5netcdf", decode_coords="all") as found:
        np.testing.assert_array_equal(found.dx, series.dx)
        np.testing.assert_array_equal(found.time.values.astype("M8[us]"), series.time)
        assert pyproj.CRS.from_cf(found.spatial_ref.attrs).to_epsg() == EPSG
    path = geozarr.write(rate, tmp_path / "a.zarr", levels=3)
    for level in range(3):
        with xr.open_zarr(path, group=str(level), consolidated=False) as found:
            column, row = nearest(found[["vx"]])
            side = 2**level
            block = rate.vx.values[side * row : side * (row + 1), side * column : side * (column + 1)]
            assert np.nanmin(block) - 1e-6 <= float(found.vx[row, column]) <= np.nanmax(block) + 1e-6


def test_h5py(measured, tmp_path):
    series, _ = measured
    column, row = nearest(series[["dx"]])
    with h5py.File(cf.write(series, tmp_path / "a.nc")) as file:
        np.testing.assert_array_equal(file["dx"][:, row, column], series.dx.values[:, row, column])
        seconds = (series.time.values.astype("M8[us]") - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
        np.testing.assert_array_equal(file["time"][:], seconds)


def test_pyogrio(measured, tmp_path):
    raw = pytest.importorskip("pyogrio.raw")
    series, rate = measured
    column, row = nearest(rate[["vx"]])
    (path,) = points.write(series, tmp_path / "p.gpkg", rate=rate)
    about, _, shapes, columns = raw.read(path, layer="dx")
    table = dict(zip(about["fields"].tolist(), columns, strict=True))
    k = int(np.flatnonzero(table["id"] == row * rate.sizes["x"] + column)[0])
    assert struct.unpack("<BIdd", shapes[k])[2:] == (float(rate.x[column]), float(rate.y[row]))
    assert about["crs"] == f"EPSG:{EPSG}"
    assert table["velocity"][k] == pytest.approx(float(rate.vx[row, column]))
    days = [f"D{str(day)[:10].replace('-', '')}" for day in series.time.values]
    found = [table[day][k] for day in days]
    np.testing.assert_allclose(found, series.dx.values[:, row, column], rtol=1e-6, atol=1e-9)
    section = rate.offset.profile([(float(rate.x[2]), LOBE[1]), (float(rate.x[-2]), LOBE[1])])
    path = geojson.write(section, tmp_path / "p.geojson")
    about, _, shapes, columns = raw.read(path)
    assert about["crs"] == "EPSG:4326"
    table = dict(zip(about["fields"].tolist(), columns, strict=True))
    np.testing.assert_allclose(table["normal"], section.normal, rtol=1e-6)
    x, y = struct.unpack("<BIdd", shapes[10])[2:]
    turned = pyproj.Transformer.from_crs(4326, EPSG, always_xy=True).transform(x, y)
    assert turned == pytest.approx((float(section.x[10]), float(section.y[10])), abs=0.01)


def test_kmz_and_stac(measured, tmp_path):
    _, rate = measured
    for scale in ("linear", "log"):
        assert kmz.write(rate, tmp_path / f"{scale}.kmz", scale=scale).stat().st_size > 2000
    files = xoffset.to_geotiff(rate, tmp_path, variables=["vx", "vy"])
    item = json.loads(stac.write(rate, tmp_path / "a.json", assets={path.stem: path for path in files}).read_text())
    assert item["bbox"] == pytest.approx([10.673, 46.908, 10.686, 46.912], abs=0.002)
    assert item["properties"]["start_datetime"] == "2010-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2023-01-01T00:00:00Z"
