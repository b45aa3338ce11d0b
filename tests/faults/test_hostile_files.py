"""Files that somebody made to do harm: nothing outside of what the caller named is read, and nothing is run."""

import ast
import http.server
import json
import threading
import zipfile
from pathlib import Path

import dimap_products
import numpy as np
import pytest
import rasterio
from affine import Affine

import xoffset
from xoffset.readers import archives, indirection, xml

UTM, PLACE = "EPSG:32632", Affine(10, 0, 5e5, 0, -10, 5e6)
PACKAGE = Path(xoffset.__file__).parent


@pytest.fixture
def secret(tmp_path):
    """An image that the caller has not named."""
    folder = tmp_path / "private"
    folder.mkdir()
    return image(folder / "secret.tif")


def image(path):
    with rasterio.open(
        path, "w", driver="GTiff", height=32, width=32, count=1, dtype="uint16", crs=UTM, transform=PLACE
    ) as file:
        file.write(np.full((32, 32), 7, np.uint16), 1)
    return path


@pytest.fixture
def server():
    """A server that counts who asks."""

    class Asked(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asked) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}", asked
        listening.shutdown()


def vrt(source, georeference="<SRS>EPSG:32632</SRS><GeoTransform>500000,10,0,5000000,0,-10</GeoTransform>"):
    return (
        f'<VRTDataset rasterXSize="32" rasterYSize="32">{georeference}<VRTRasterBand dataType="UInt16" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )


WMS = (
    '<GDAL_WMS><Service name="TMS"><ServerUrl>{0}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service><DataWindow>'
    "<UpperLeftX>500000</UpperLeftX><UpperLeftY>5000000</UpperLeftY><LowerRightX>500320</LowerRightX><LowerRightY>"
    "4999680</LowerRightY><SizeX>32</SizeX><SizeY>32</SizeY></DataWindow><Projection>EPSG:32632</Projection>"
    "<BandsCount>1</BandsCount></GDAL_WMS>"
)


# ----------------------------------------------------------------------------------------------------------- GDAL files


@pytest.mark.parametrize("options", [{}, {"pixel_size": 10.0}], ids=["georeferenced", "local"])
@pytest.mark.parametrize("start", ["", "\n \n", "\ufeff", "<!-- a picture -->\n"])
@pytest.mark.parametrize("name", ["a_20200101.tif", "a_20200101.jp2", "a_20200101.png", "a_20200101"])
def test_a_list_of_other_files_is_no_image(tmp_path, secret, name, start, options):
    (tmp_path / name).write_text(start + vrt(secret, **({"georeference": ""} if options else {})))
    with pytest.raises(ValueError, match=r"needs files of images; got a_20200101.* names other files.*ends in .vrt"):
        xoffset.open_stack(tmp_path / name, **options)


def test_a_list_of_other_files_in_a_zip_archive_is_no_image(tmp_path, secret):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a_20200101.tif", vrt(secret))
    with pytest.raises(ValueError, match="names other files"):
        xoffset.open_stack([f"/vsizip/{{{tmp_path}/a.zip}}/a_20200101.tif"])


def test_what_gdal_takes_for_a_list_is_refused_too():
    """Content that could not be looked at, as in a compressed archive or on a server."""
    for driver in ("VRT", "WMS", "STACIT"):
        with pytest.raises(ValueError, match=rf"names other files or servers \({driver}\)"):
            indirection.check_driver("/vsitar/{a.tgz}/a_20200101.tif", driver)
    indirection.check_driver("vrt://a.tif", "VRT")
    indirection.check_driver("a.tif", "GTiff")


def test_no_file_leads_to_the_network(tmp_path, server):
    address, asked = server
    inner = tmp_path / "inner.vrt"
    inner.write_text(vrt(f"/vsicurl/{address}/a.tif"))
    texts = {
        "a_20200101.tif": WMS.format(address),
        "b_20200101.vrt": vrt(f"/vsicurl/{address}/a.tif"),
        "c_20200101.vrt": vrt(f"/vsicurl_streaming/{address}/a.tif"),
        "d_20200101.vrt": vrt(f"{address}/a.tif"),
        "e_20200101.vrt": vrt(WMS.format(address).replace("<", "&lt;")),
        "f_20200101.vrt": vrt(f"<![CDATA[/vsicurl/{address}/a.tif]]>"),
        "g_20200101.vrt": vrt(inner),
        "h_20200101.vrt": vrt("inner.vrt").replace('relativeToVRT="0"', 'relativeToVRT="1"'),
        "i_20200101.vrt": vrt(f"WMS:{address}/wms?LAYERS=a"),
        "j_20200101.vrt": vrt(f"&#47;vsicurl/{address}/a.tif"),
        "k_20200101.json": json.dumps({"stac_version": "1.0.0", "features": [{"assets": {"a": {"href": address}}}]}),
        "l_20200101.vrt": vrt(f"vrt:///vsicurl/{address}/a.tif"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises((ValueError, OSError), match=r"needs (files|whole images).*\. (Give|Fetch)"):
            xoffset.open_stack(tmp_path / name)
    assert not asked


def test_lists_of_files_that_say_so_are_opened(tmp_path):
    image(tmp_path / "a.tif")
    (tmp_path / "a_20200101.vrt").write_text(vrt(tmp_path / "a.tif"))
    assert (xoffset.open_stack(tmp_path / "a_20200101.vrt") == 7).all()


def test_files_with_descriptions_of_gdal_are_images(tmp_path):
    """GDAL writes XML into TIFF files, too."""
    path = image(tmp_path / "a_20200101.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(note="<GDALMetadata>{}</GDALMetadata>")
    assert (xoffset.open_stack(path) == 7).all()


# ------------------------------------------------------------------------------------------------------------- products


@pytest.mark.parametrize("href", ["../../private/secret.tif", "{0}", "/vsicurl/http://127.0.0.1:9/a.tif"])
def test_metadata_name_only_files_of_their_product(tmp_path, secret, href):
    document = Path(dimap_products.write(tmp_path / "product")[0])
    text = document.read_text()
    start = text.index('DATA_FILE_PATH href="') + len('DATA_FILE_PATH href="')
    document.write_text(text[:start] + href.format(secret) + text[text.index('"', start) :])
    with pytest.raises(FileNotFoundError, match=r"needs all images of a product; .* lacks .*\(1 of 1\)"):
        xoffset.open_stack(document)


def test_images_of_products_are_no_lists_of_other_files(tmp_path, secret):
    document = Path(dimap_products.write(tmp_path / "product")[0])
    next(document.parent.glob("*.TIF")).write_text(vrt(secret))
    with pytest.raises(ValueError, match="names other files or servers"):
        xoffset.open_stack(document)


@pytest.mark.parametrize(
    "href", ["/etc/passwd", "file:///etc/passwd", "vrt:///etc/passwd", "/vsicurl/http://127.0.0.1:9/a", "zip://a"]
)
def test_items_of_a_server_name_only_addresses(href):
    from xoffset.readers.stac.items import Item

    item = Item(id="a", collection="c", properties={}, assets={}, place="https://example.org/a/item.json")
    with pytest.raises(ValueError, match=r"open_stac\(\) needs items whose files lie where addresses lead; a of https"):
        item.href({"href": href})
    assert item.href({"href": "b.tif"}) == "https://example.org/a/b.tif"
    assert item.href({"href": "s3://bucket/b.tif"}) == "s3://bucket/b.tif"


# ---------------------------------------------------------------------------------------------------------- XML and zip

BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">' for k in range(9))
    + "]><a>&j;</a>"
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1:9/a.dtd"> %b;]><a/>',
        "<a>" * 200 + "</a>" * 200,
    ],
)
def test_metadata_expand_and_fetch_nothing(text):
    with pytest.raises(ValueError, match=r"whole and plain XML; got .* in m.xml. Fetch"):
        xml.parse(text.encode(), "m.xml")


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", "C:/a", "a\\..\\..\\b", "inner.zip"])
def test_names_in_archives_stay_inside(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(ValueError, match=r"whole and plain zip or tar files; got"):
        archives.open_tree(str(tmp_path / "a.zip"))


def test_archives_do_not_inflate_without_bounds(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("B04.jp2", bytes(2**27))
    with pytest.raises(ValueError, match="inflates to 134217728 bytes"):
        archives.open_tree(str(tmp_path / "a.zip"))


# ----------------------------------------------------------------------------------------------------------- the source

# compiled kernels are kept as numba keeps them, in a folder that only their user may write
PICKLES = {"_kernels/_cache.py"}
# compares tasks by their bytes, which are written and never read
WRITES_ONLY = {"_blocks/fusing.py": {"pickle.dumps"}}


def test_no_code_comes_from_data():
    """Nothing is evaluated, run in a shell, or unpickled."""
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        called = {ast.unparse(node.func) for node in calls}
        assert not called & {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load"}, name
        assert not {each for each in called if each.startswith(("marshal.", "shelve.", "dill.", "cloudpickle."))}, name
        if name not in PICKLES:
            assert {each for each in called if each.split(".")[0] == "pickle"} <= WRITES_ONLY.get(name, set()), name
            assert not {each for each in called if each.split(".")[-1] in ("read_pickle", "to_pickle")}, name
        assert not called & {"np.load", "numpy.load"}, name
        options = {word.arg: word.value for node in calls for word in node.keywords}
        for option in ("shell", "allow_pickle"):
            assert ast.unparse(options.get(option, ast.Constant(False))) == "False", name
        imported = {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
        assert "pickle" not in imported or name in (*PICKLES, *WRITES_ONLY), name
        parsers = {"xml.etree.ElementTree", "xml.dom.minidom", "xml.sax", "lxml", "lxml.etree"}
        assert not imported & parsers, name


def test_stores_with_objects_of_python_are_refused(tmp_path):
    """What Zarr 2 calls an array of objects may hold pickles."""
    folder = tmp_path / "a.zarr"
    (folder / "vx").mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    array = {
        "zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "filters": [{"id": "pickle"}], "fill_value": None,
        "order": "C", "compressor": None,
    }  # fmt: skip
    (folder / "vx" / ".zarray").write_text(json.dumps(array))
    (folder / "vx" / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["x"]}')
    (folder / "vx" / "0").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises((ValueError, TypeError, OSError), match=r"open_result\(\) needs"):
        xoffset.open_result(folder).load()
    assert not (tmp_path / "ran").exists()
