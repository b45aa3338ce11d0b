"""Points, profiles and trajectories for a GIS: rows, columns and places as GDAL and pyarrow read them."""

import datetime as dt
import json
import struct
import sys

import made
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import pytest
import xarray as xr

from xoffset.formats import geojson, geoparquet, points

raw = pytest.importorskip("pyogrio.raw")
DAYS = ["D20200101", "D20200311", "D20210201"]
TO_WGS84 = pyproj.Transformer.from_crs(made.EPSG, 4326, always_xy=True)


def place(shape):
    """x and y of a point in well-known binary."""
    order, kind, x, y = struct.unpack("<BIdd", shape)
    assert (order, kind) == (1, 1)
    return x, y


def read(path, layer=None):
    about, _, shapes, values = raw.read(path, layer=layer)
    return about, [place(shape) for shape in shapes], dict(zip(about["fields"].tolist(), values, strict=True))


def at_points(data):
    """Three nodes of a product as scattered points."""
    return data.isel(y=xr.DataArray([0, 1, 5], dims="point"), x=xr.DataArray([8, 2, 0], dims="point"))


class TestPoints:
    @pytest.mark.parametrize("suffix", ["gpkg", "shp", "csv"])
    def test_a_row_a_node_a_column_a_date(self, suffix, tmp_path):
        series, rate = made.series(), made.rate()
        series.dx[1, 0, 0] = np.nan
        paths = points.write(series, tmp_path / f"p.{suffix}", rate=rate)
        names = ["p.gpkg"] if suffix == "gpkg" else [f"p_dx.{suffix}", f"p_dy.{suffix}"]
        assert [path.name for path in paths] == names
        for component, velocity, path in (("dx", "vx", paths[0]), ("dy", "vy", paths[-1])):
            if suffix == "csv":
                columns = pd.read_csv(path)
                where = list(zip(columns.x, columns.y, strict=True))
            else:
                about, where, columns = read(path, component if suffix == "gpkg" else None)
                assert about["crs"] == "EPSG:32632"
                assert list(columns) == ["id", "velocity", "sigma", *DAYS]
            # row by row; the node that is never known is left out
            expected = [(x, y) for y in made.Y for x in made.X if (x, y) != (made.X[2], made.Y[1])]
            assert where == expected
            for k, (x, y) in enumerate(expected):
                node = {"x": x, "y": y}
                assert columns["velocity"][k] == pytest.approx(float(rate[velocity].sel(node)))
                assert columns["sigma"][k] == pytest.approx(float(rate[f"sigma_{velocity}"].sel(node)))
                found = [columns[day][k] for day in DAYS]
                np.testing.assert_allclose(found, series[component].sel(node), rtol=1e-6)
            assert np.isnan(columns["D20200311"][0]) == (component == "dx")

    def test_unknown_is_empty_and_no_number(self, tmp_path):
        import sqlite3

        series = made.series()
        series.dx[1, 0, 0] = np.nan
        (path,) = points.write(series, tmp_path / "p.gpkg", rate=made.rate())
        with sqlite3.connect(path) as base:
            assert base.execute("SELECT D20200311 FROM dx WHERE id = 0").fetchall() == [(None,)]
        base.close()
        paths = points.write(series, tmp_path / "p.csv", rate=made.rate())
        assert ",,," not in paths[0].read_text()
        assert paths[0].read_text().splitlines()[1].split(",")[8] == ""

    def test_csv_tells_longitude_and_latitude(self, tmp_path):
        paths = points.write(made.rate(), tmp_path / "p.csv")
        table = pd.read_csv(paths[0])
        assert list(table) == ["id", "x", "y", "longitude", "latitude", "velocity", "sigma"]
        longitude, latitude = TO_WGS84.transform(table.x, table.y)
        np.testing.assert_allclose(table.longitude, longitude, atol=1e-9)
        np.testing.assert_allclose(table.latitude, latitude, atol=1e-9)
        local = pd.read_csv(points.write(made.rate(epsg=None), tmp_path / "q.csv")[0])
        assert list(local) == ["id", "x", "y", "velocity", "sigma"]

    @pytest.mark.parametrize(("azimuth", "east", "north"), [(0, 0, 1), (90, 1, 0), (180, 0, -1), (30, 0.5, 0.75**0.5)])
    def test_along_an_azimuth(self, azimuth, east, north, tmp_path):
        rate = made.rate().assign(cov_vxvy=(("y", "x"), np.full((6, 9), 0.1, "float32"), {"units": "m2 yr-2"}))
        (path,) = points.write(made.series(), tmp_path / "p.csv", rate=rate, azimuth=azimuth)
        table = pd.read_csv(path)
        node = {"x": made.X[4], "y": made.Y[3]}
        row = table[(table.x == node["x"]) & (table.y == node["y"])].iloc[0]
        at = {name: float(rate[name].sel(node)) for name in ("vx", "vy", "sigma_vx", "sigma_vy")}
        assert row.velocity == pytest.approx(east * at["vx"] + north * at["vy"], abs=1e-6)
        variance = (east * at["sigma_vx"]) ** 2 + (north * at["sigma_vy"]) ** 2 + 2 * east * north * 0.1
        assert row.sigma == pytest.approx(variance**0.5, abs=1e-6)
        moved = made.series().sel(node)
        np.testing.assert_allclose(row[DAYS].astype(float), east * moved.dx + north * moved.dy, atol=1e-6)

    def test_scattered_points(self, tmp_path):
        series, rate = at_points(made.series()), at_points(made.rate())
        (path, _) = points.write(series, tmp_path / "p.csv", rate=rate)
        table = pd.read_csv(path)
        assert list(table.id) == [0, 2]
        assert list(table.x) == [made.X[8], made.X[0]]
        assert list(table.y) == [made.Y[0], made.Y[5]]
        np.testing.assert_allclose(table.velocity, rate.vx[[0, 2]], rtol=1e-6)

    def test_dates_without_the_zero_of_the_others_are_empty(self, tmp_path):
        from xoffset.model.flags import FLAGS, flag_attrs

        series = made.series()
        flags = np.zeros(series.dx.shape, "int64")
        flags[1] = FLAGS["disconnected"]
        series["flags"] = (series.dx.dims, flags, flag_attrs())
        table = pd.read_csv(points.write(series, tmp_path / "p.csv", rate=made.rate())[0])
        assert table.D20200311.isna().all()
        assert table.D20210201.notna().all()

    def test_what_is_refused(self, tmp_path):
        series, rate = made.series(), made.rate()
        with pytest.raises(ValueError, match=r"Pass rate=series\.offset\.velocity\(\)"):
            points.write(series, tmp_path / "p.gpkg")
        with pytest.raises(ValueError, match=r"on one grid; got others"):
            points.write(series, tmp_path / "p.gpkg", rate=rate.assign_coords(x=rate.x + 10.0))
        with pytest.raises(ValueError, match=r"Pass the result of invert\(\) or velocity\(\)"):
            points.write(made.shifts(), tmp_path / "p.gpkg")
        with pytest.raises(ValueError, match=r"'\.gpkg', '\.shp' or '\.csv'; got '\.kml'"):
            points.write(rate, tmp_path / "p.kml")
        twice = series.assign_coords(time=made.DATES[0] + np.arange(3) * np.timedelta64(1, "h"))
        with pytest.raises(ValueError, match=r"several of 2020-01-01\. Keep one: series\.isel"):
            points.write(twice, tmp_path / "p.gpkg", rate=rate)
        many = series.isel(time=np.zeros(260, int)).assign_coords(
            time=made.DATES[0] + np.arange(260) * np.timedelta64(1, "D")
        )
        with pytest.raises(ValueError, match=r"at most 252 dates for a shapefile; got 260.*points\.gpkg"):
            points.write(many, tmp_path / "p.shp", rate=rate)
        with pytest.raises(ValueError, match=r"got none\. Check the flags"):
            points.write(
                rate.map(lambda each: each.where(False) if each.dtype.kind == "f" else each), tmp_path / "p.csv"
            )
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("suffix", ["gpkg", "shp", "csv"])
    def test_nothing_is_replaced_unasked(self, suffix, tmp_path):
        points.write(made.rate(), tmp_path / f"p.{suffix}")
        names = sorted(path.name for path in tmp_path.iterdir())
        if suffix == "shp":
            assert len(names) == 10
        with pytest.raises(FileExistsError, match="overwrite=True"):
            points.write(made.rate(), tmp_path / f"p.{suffix}")
        points.write(made.rate(), tmp_path / f"p.{suffix}", overwrite=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == names

    def test_what_old_points_left_beside_a_shapefile_is_gone(self, tmp_path):
        points.write(made.rate(), tmp_path / "p.shp", azimuth=90.0)
        (tmp_path / "p.qix").write_text("an index of other points")
        points.write(made.rate(epsg=None), tmp_path / "p.shp", azimuth=90.0, overwrite=True)
        assert sorted(path.suffix for path in tmp_path.iterdir()) == [".cpg", ".dbf", ".shp", ".shx"]
        assert pyogrio.read_info(tmp_path / "p.shp")["crs"] is None

    def test_a_crs_that_lies_there_is_not_taken(self, tmp_path):
        (tmp_path / "p.prj").write_text("a CRS of other points")
        with pytest.raises(FileExistsError, match=r"p\.prj, which is there"):
            points.write(made.rate(epsg=None), tmp_path / "p.shp", azimuth=90.0)

    def test_absent(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyogrio.raw", None)
        with pytest.raises(ImportError, match=r"pip install 'xoffset\[vector\]', or write a CSV file"):
            points.write(made.rate(), tmp_path / "p.gpkg")
        points.write(made.rate(), tmp_path / "p.csv")


class TestGeojson:
    def test_profile(self, tmp_path):
        data = made.profile()
        found = json.loads(geojson.write(data, tmp_path / "p.geojson").read_text())
        assert len(found["features"]) == 10
        assert found["properties"]["units"]["parallel"] == "m"
        for row, feature in enumerate(found["features"]):
            pair, sample = divmod(row, 5)
            told = feature["properties"]
            x, y = float(data.x[sample]), float(data.y[sample])
            np.testing.assert_allclose(feature["geometry"]["coordinates"], TO_WGS84.transform(x, y), atol=1e-8)
            assert (told["distance"], told["x"], told["y"]) == (20.0 * sample, x, y)
            assert told["reference"] == "2020-01-01T10:00:00Z"
            assert told["secondary"] == ("2020-03-11T10:20:30.250001Z", "2021-02-01T23:59:59.999999Z")[pair]
            expected = float(data.parallel[pair, sample])
            assert told["parallel"] == (None if np.isnan(expected) else expected)
            assert told["sigma_normal"] == float(data.sigma_normal[pair, sample])
        about = raw.read_info(tmp_path / "p.geojson") if hasattr(raw, "read_info") else None
        assert about is None or about["features"] == 10

    def test_trajectories(self, tmp_path):
        data = made.trajectories()
        one, two, three = json.loads(geojson.write(data, tmp_path / "p.geojson").read_text())["features"]
        assert one["geometry"]["type"] == "LineString"
        places = np.array(TO_WGS84.transform(data.x[0].values, data.y[0].values)).T
        np.testing.assert_allclose(one["geometry"]["coordinates"], places, atol=1e-8)
        assert one["properties"]["dx"] == [0.0, 1.5, 3.0]
        assert one["properties"]["time"][1] == "2020-03-11T10:20:30.250001Z"
        assert (
            len(two["geometry"]["coordinates"]) == len(two["properties"]["time"]) == len(two["properties"]["dy"]) == 2
        )
        assert three["geometry"] is None
        assert [each["properties"]["point"] for each in (one, two, three)] == [0, 1, 2]

    def test_what_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"maps go to to_geotiff\(\), points to formats\.points\.write\(\)"):
            geojson.write(made.rate(), tmp_path / "p.geojson")
        with pytest.raises(ValueError, match=r"needs a CRS.*dataset\.rio\.write_crs"):
            geojson.write(made.profile().drop_vars("spatial_ref"), tmp_path / "p.geojson")
        with pytest.raises(TypeError, match="Pass a profile or trajectories"):
            geojson.write(made.profile().parallel, tmp_path / "p.geojson")
        geojson.write(made.profile(), tmp_path / "p.geojson")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            geojson.write(made.profile(), tmp_path / "p.geojson")


class TestGeoparquet:
    def test_profile(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        data = made.profile()
        table = parquet.read_table(geoparquet.write(data, tmp_path / "p.parquet"))
        about = json.loads(table.schema.metadata[b"geo"])
        geometry = about["columns"]["geometry"]
        assert (about["version"], about["primary_column"]) == ("1.1.0", "geometry")
        assert (geometry["encoding"], geometry["geometry_types"]) == ("WKB", ["Point"])
        assert pyproj.CRS.from_json_dict(geometry["crs"]).to_epsg() == made.EPSG
        assert geometry["bbox"] == [300_100.0, 4_999_836.0, 300_148.0, 4_999_900.0]
        rows = table.to_pylist()
        assert len(rows) == 10
        assert place(rows[7]["geometry"]) == (float(data.x[2]), float(data.y[2]))
        assert rows[7]["parallel"] == float(data.parallel[1, 2])
        assert rows[8]["parallel"] is None
        assert rows[7]["secondary"] == dt.datetime(2021, 2, 1, 23, 59, 59, 999_999, tzinfo=dt.UTC)

    def test_trajectories(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        data = made.trajectories()
        rows = parquet.read_table(geoparquet.write(data, tmp_path / "p.parquet")).to_pylist()
        order, kind, count = struct.unpack_from("<BII", rows[0]["geometry"])
        assert (order, kind, count) == (1, 2, 3)
        vertices = np.frombuffer(rows[0]["geometry"], "<f8", offset=9).reshape(3, 2)
        np.testing.assert_array_equal(vertices, np.stack([data.x[0], data.y[0]], axis=1))
        assert rows[1]["dx"] == [0.0, 2.0]
        assert rows[1]["time"][1] == dt.datetime(2020, 3, 11, 10, 20, 30, 250_001, tzinfo=dt.UTC)
        assert (rows[2]["geometry"], rows[2]["dx"]) == (None, [])

    def test_absent(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ImportError, match=r"pip install 'xoffset\[parquet\]', or write formats\.geojson"):
            geoparquet.write(made.profile(), tmp_path / "p.parquet")
        assert not list(tmp_path.iterdir())
