"""KMZ, legends and STAC items: places, colours and dates as the files tell them."""

import io
import json
import sys
import zipfile
from xml.etree import ElementTree as ET

import made
import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from matplotlib import image
from rasterio.io import MemoryFile

import xoffset
from xoffset.formats import cf, kmz, stac

KML = {"k": "http://www.opengis.net/kml/2.2"}
TO_WGS84 = pyproj.Transformer.from_crs(made.EPSG, 4326, always_xy=True)


def opened(path):
    """Document and pictures of a KMZ."""
    with zipfile.ZipFile(path) as archive:
        pictures = {name: image.imread(io.BytesIO(archive.read(name))) for name in archive.namelist() if ".png" in name}
        return ET.fromstring(archive.read("doc.kml")), pictures


def boxes(document):
    return [
        {side: float(box.find(f"k:{side}", KML).text) for side in ("north", "south", "east", "west")}
        for box in document.findall(".//k:LatLonBox", KML)
    ]


def colour_at(picture, box, x, y):
    """Colour of the picture where a place of the grid lies."""
    longitude, latitude = TO_WGS84.transform(x, y)
    column = (longitude - box["west"]) / (box["east"] - box["west"]) * picture.shape[1]
    row = (box["north"] - latitude) / (box["north"] - box["south"]) * picture.shape[0]
    return picture[int(row), int(column)]


class TestKmz:
    def test_each_node_has_its_colour_in_its_place(self, tmp_path):
        from cmcrameri import cm

        rate = made.rate()
        document, pictures = opened(kmz.write(rate, tmp_path / "v.kmz", limits=(0.0, 3.0)))
        assert set(pictures) == {"layer_0.png", "colours.png"}
        (box,) = boxes(document)
        for i, y in enumerate(made.Y):
            for j, x in enumerate(made.X):
                found = colour_at(pictures["layer_0.png"], box, x, y)
                value = float(rate.v[i, j])
                if np.isnan(value):
                    assert found[3] == 0.0
                else:
                    np.testing.assert_allclose(found, cm.batlow(min(value / 3.0, 1.0)), atol=0.01)
        assert document.find(".//k:ScreenOverlay/k:Icon/k:href", KML).text == "colours.png"

    def test_logarithmic(self, tmp_path):
        from cmcrameri import cm

        rate = made.rate()
        rate.v[3, 3] = 0.0
        document, pictures = opened(kmz.write(rate, tmp_path / "v.kmz", scale="log", limits=(0.01, 10.0)))
        (box,) = boxes(document)
        assert colour_at(pictures["layer_0.png"], box, made.X[3], made.Y[3])[3] == 0.0
        for i, j in ((0, 0), (5, 8), (2, 4)):
            share = (np.log10(float(rate.v[i, j])) + 2.0) / 3.0
            found = colour_at(pictures["layer_0.png"], box, made.X[j], made.Y[i])
            np.testing.assert_allclose(found, cm.batlow(np.clip(share, 0.0, 1.0)), atol=0.01)
        linear = opened(kmz.write(rate, tmp_path / "w.kmz", limits=(0.01, 10.0)))[1]
        assert not np.array_equal(linear["colours.png"], pictures["colours.png"])

    def test_layers_have_their_time(self, tmp_path):
        document, pictures = opened(kmz.write(made.series(), tmp_path / "dx.kmz", variable="dx"))
        assert len(pictures) == 4
        assert [each.text for each in document.findall(".//k:when", KML)] == [
            "2020-01-01T10:00:00Z", "2020-03-11T10:20:30.250001Z", "2021-02-01T23:59:59.999999Z"
        ]  # fmt: skip
        document, _ = opened(kmz.write(made.shifts(), tmp_path / "pairs.kmz", variable="dx"))
        span = document.findall(".//k:TimeSpan", KML)[1]
        assert [span.find(f"k:{name}", KML).text for name in ("begin", "end")] == [
            "2020-01-01T10:00:00Z", "2021-02-01T23:59:59.999999Z"
        ]  # fmt: skip

    @pytest.mark.parametrize("flip", ["x", "y"])
    def test_the_order_of_rows_and_columns_means_nothing(self, flip, tmp_path):
        one = opened(kmz.write(made.rate(), tmp_path / "a.kmz"))[1]
        other = opened(kmz.write(made.rate().isel({flip: slice(None, None, -1)}), tmp_path / "b.kmz"))[1]
        np.testing.assert_array_equal(one["layer_0.png"], other["layer_0.png"])
        assert (tmp_path / "a.kmz").read_bytes() == (tmp_path / "b.kmz").read_bytes()

    def test_large_maps_are_thinned(self, tmp_path, monkeypatch):
        monkeypatch.setattr(kmz, "_MOST_PIXELS", 8)
        document, pictures = opened(kmz.write(made.rate(), tmp_path / "a.kmz"))
        assert max(pictures["layer_0.png"].shape) <= 8
        (box,) = boxes(document)
        west, south = TO_WGS84.transform(300_000.0, 4_999_940.0)
        assert box["west"] == pytest.approx(west, abs=1.2e-4)
        assert box["south"] == pytest.approx(south, abs=9e-5)

    @pytest.mark.parametrize("variable", ["direction", "last"])
    def test_what_goes_round_and_dates(self, variable, tmp_path):
        assert len(opened(kmz.write(made.rate(), tmp_path / "a.kmz", variable=variable))[1]) == 2

    def test_what_is_refused(self, tmp_path):
        rate = made.rate()
        with pytest.raises(ValueError, match=r"got \['speed'\]\. Choose from"):
            kmz.write(rate, tmp_path / "a.kmz", variable="speed")
        for variable in ("vx", "direction"):
            with pytest.raises(ValueError, match=r"Pass variable='v', or scale='linear'"):
                kmz.write(rate, tmp_path / "a.kmz", variable=variable, scale="log")
        with pytest.raises(ValueError, match="linear' or 'log'"):
            kmz.write(rate, tmp_path / "a.kmz", scale="sqrt")
        for limits in ((1.0, 1.0), (2.0, 1.0), "ab", (0.0, np.inf), 3.0):
            with pytest.raises(ValueError, match=r"Pass limits=\(0\.1, 10\.0\)"):
                kmz.write(rate, tmp_path / "a.kmz", limits=limits)
        with pytest.raises(ValueError, match="above zero for a logarithmic scale"):
            kmz.write(rate, tmp_path / "a.kmz", scale="log", limits=(0.0, 1.0))
        with pytest.raises(ValueError, match=r"needs a CRS.*write_crs"):
            kmz.write(made.rate(epsg=None), tmp_path / "a.kmz")
        fiji = made.rate(epsg=3460, x=2_000_000.0 + 40_000.0 * np.arange(9))
        with pytest.raises(ValueError, match="crosses the antimeridian"):
            kmz.write(fiji, tmp_path / "a.kmz")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("dtype", [bool, "int32", "int64"])
    def test_counts_and_truths(self, dtype, tmp_path):
        counts = xr.DataArray(np.arange(54).reshape(6, 9) % 2, dims=("y", "x"))
        data = made.rate().assign(n_pairs=counts.astype(dtype))
        picture = opened(kmz.write(data, tmp_path / "a.kmz", variable="n_pairs"))[1]["layer_0.png"]
        assert len(np.unique(picture.reshape(-1, 4), axis=0)) == 3  # two colours, and none beside the map

    def test_nothing_known(self, tmp_path):
        empty = made.rate().assign(v=made.rate().v * np.nan)
        picture = opened(kmz.write(empty, tmp_path / "a.kmz"))[1]["layer_0.png"]
        assert (picture[..., 3] == 0).all()

    def test_absent(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "cmcrameri", None)
        with pytest.raises(ImportError, match=r"pip install 'xoffset\[plot\]'"):
            kmz.write(made.rate(), tmp_path / "a.kmz")

    def test_nothing_is_replaced_unasked(self, tmp_path):
        kmz.write(made.rate(), tmp_path / "a.kmz")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            kmz.write(made.rate(), tmp_path / "a.kmz")
        kmz.write(made.rate(), tmp_path / "a.kmz", overwrite=True)


class TestLegends:
    def test_scale(self, tmp_path):
        rate = made.rate()
        paths = xoffset.to_geotiff(rate, tmp_path, variables=["vx", "last"], legend=True)
        assert [path.name for path in paths] == ["vx.tif", "last.tif"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["last.qml", "last.tif", "vx.qml", "vx.tif"]
        renderer = ET.parse(tmp_path / "vx.qml").find("pipe/rasterrenderer")
        assert renderer.get("type") == "singlebandpseudocolor"
        items = renderer.findall(".//item")
        stops = [float(item.get("value")) for item in items]
        high = np.abs(np.nanpercentile(rate.vx, [0.5, 99.5])).max()
        assert (stops[0], stops[-1]) == (pytest.approx(-high), pytest.approx(high))
        assert stops == sorted(stops)
        assert items[0].get("label").endswith(" m yr-1")
        assert ET.parse(tmp_path / "last.qml").findall(".//item")[0].get("label") == "2021-02-01"

    def test_flags_are_named(self, tmp_path):
        shifts = made.shifts()
        shifts.flags[0, 0, 0] = 6
        xoffset.to_geotiff(shifts, tmp_path, variables="flags", legend=True)
        entries = ET.parse(tmp_path / "flags.qml").findall(".//paletteEntry")
        assert {int(each.get("value")): each.get("label") for each in entries} == {
            0: "good", 2: "nodata", 6: "nodata, few_valid"
        }  # fmt: skip

    def test_none_unless_asked(self, tmp_path):
        xoffset.to_geotiff(made.rate(), tmp_path, variables="vx")
        assert [path.name for path in tmp_path.iterdir()] == ["vx.tif"]
        with pytest.raises(FileExistsError):
            xoffset.to_geotiff(made.rate(), tmp_path, variables="vx", legend=True)
        with pytest.raises(TypeError, match="legend to be True or False"):
            xoffset.to_geotiff(made.rate(), tmp_path, variables="vy", legend=1)

    def test_absent(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(ImportError, match=r"to_geotiff\(\) needs matplotlib"):
            xoffset.to_geotiff(made.rate(), tmp_path / "new", legend=True)
        assert not (tmp_path / "new").exists()


class TestStac:
    def write(self, folder, data=None, **options):
        data = made.rate() if data is None else data
        files = xoffset.to_geotiff(data, folder / "maps", variables=["vx"], overwrite=True)
        given = {"start": "2020-01-01T10:00:00", "end": "2021-01-01"} | options
        return stac.write(data, folder / "rate.json", assets={"vx": files[0]} | given.pop("more", {}), **given)

    def test_where_and_when(self, tmp_path):
        item = json.loads(self.write(tmp_path).read_text())
        assert (item["type"], item["stac_version"], item["id"]) == ("Feature", "1.1.0", "rate")
        corners = TO_WGS84.transform(
            [300_000.0, 300_090.0, 300_090.0, 300_000.0], [4_999_940.0] * 2 + [5_000_000.0] * 2
        )
        west, south, east, north = item["bbox"]
        assert (west, east) == pytest.approx((min(corners[0]), max(corners[0])), abs=1e-7)
        assert (south, north) == pytest.approx((min(corners[1]), max(corners[1])), abs=1e-7)
        ring = np.array(item["geometry"]["coordinates"][0])
        assert (ring[0] == ring[-1]).all()
        x, y = ring.T
        assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0.0  # counterclockwise
        told = item["properties"]
        assert told["start_datetime"] == "2020-01-01T10:00:00Z"
        assert told["end_datetime"] == "2021-01-01T00:00:00Z"
        assert told["datetime"] == "2020-07-02T05:00:00Z"
        assert told["proj:code"] == "EPSG:32632"
        assert told["proj:shape"] == [6, 9]
        assert told["proj:transform"] == [10.0, 0.0, 300_000.0, 0.0, -10.0, 5_000_000.0]
        assert "xoffset" in told["processing:software"]

    def test_assets_are_what_the_files_are(self, tmp_path):
        cube = cf.write(made.series(), tmp_path / "cube.nc")
        away = {"cube": cube, "far": "https://example.org/a.zarr"}
        item = json.loads(self.write(tmp_path, more=away).read_text())
        asset = item["assets"]["vx"]
        assert asset["href"] == "./maps/vx.tif"
        assert "cloud-optimized" in asset["type"]
        with rasterio.open(tmp_path / "maps" / "vx.tif") as file:
            assert asset["bands"] == [
                {"name": file.descriptions[0], "data_type": "float32", "unit": "m yr-1", "nodata": "nan"}
            ]
        assert item["assets"]["cube"]["cube:dimensions"]["x"]["extent"] == [300_000.0, 300_090.0]
        assert item["assets"]["far"]["href"] == "https://example.org/a.zarr"

    def test_others_read_it(self, tmp_path):
        pystac = pytest.importorskip("pystac")
        item = pystac.Item.from_file(self.write(tmp_path, properties={"platform": "sentinel-2a"}))
        assert item.properties["platform"] == "sentinel-2a"
        assert item.common_metadata.start_datetime.isoformat() == "2020-01-01T10:00:00+00:00"
        assert item.assets["vx"].get_absolute_href() == str(tmp_path / "maps" / "vx.tif")
        pytest.importorskip("jsonschema")
        item.stac_extensions = []  # their schemas are on the web, that of the core is in the library
        item.validate()

    @pytest.mark.parametrize("product", [made.series, made.shifts])
    def test_dates_of_the_product(self, product, tmp_path):
        data = product()
        told = json.loads(
            stac.write(data, tmp_path / "a.json", assets={"far": "https://example.org/a.nc"}).read_text()
        )["properties"]
        assert (told["start_datetime"], told["end_datetime"]) == ("2020-01-01T10:00:00Z", "2021-02-01T23:59:59.999999Z")

    def test_what_is_refused(self, tmp_path):
        far = {"far": "https://example.org/a.nc"}
        with pytest.raises(ValueError, match=r"Give them: start='2019-07-01'"):
            stac.write(made.rate().drop_vars("last"), tmp_path / "a.json", assets=far)
        with pytest.raises(ValueError, match="start before end"):
            stac.write(made.rate(), tmp_path / "a.json", assets=far, start="2022-01-01", end="2021-01-01")
        with pytest.raises(FileNotFoundError, match=r"for 'vx'\. Write it first"):
            stac.write(made.series(), tmp_path / "a.json", assets={"vx": tmp_path / "vx.tif"})
        with pytest.raises(TypeError, match="names and paths as assets"):
            stac.write(made.series(), tmp_path / "a.json", assets=["vx.tif"])
        with pytest.raises(ValueError, match=r"needs a CRS"):
            stac.write(made.series(epsg=None), tmp_path / "a.json", assets=far)
        pole = made.series(epsg=3413, x=1e6 * np.arange(-4.0, 5.0), y=1e6 * np.arange(3.0, -3.0, -1.0))
        with pytest.raises(ValueError, match=r"neither holds a pole.*Cut the product in two"):
            stac.write(pole, tmp_path / "a.json", assets=far)
        assert not list(tmp_path.iterdir())

    def test_nothing_is_replaced_unasked(self, tmp_path):
        before = self.write(tmp_path).read_bytes()
        with pytest.raises(FileExistsError, match="overwrite=True"):
            self.write(tmp_path)
        assert self.write(tmp_path, overwrite=True).read_bytes() == before


def test_geotiffs_in_memory_are_not_touched(tmp_path):
    """Exports take what xarray opens, too, such as a file that rasterio keeps in memory."""
    (path,) = xoffset.to_geotiff(made.rate(), tmp_path, variables=["v"])
    with MemoryFile(path.read_bytes()) as memory, memory.open() as file:
        data = xr.Dataset({"v": (("y", "x"), file.read(1), {"units": "m yr-1"})}, made.coords())
    assert kmz.write(data, tmp_path / "v.kmz").exists()
