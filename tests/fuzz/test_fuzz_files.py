"""Files that are mutated at random: readers tell in three parts what is wrong with them, or read them.

`pytest tests/fuzz --fuzz 50` tries fifty times as many cases. `python tests/fuzz/guided.py` has a fuzzer look for those
that reach other lines of the readers.
"""

import io
import json
import re
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

import xoffset
from xoffset.formats import gnss
from xoffset.readers import archives, outlines, xml
from xoffset.readers.landsat import mtl
from xoffset.recipes.known import as_recipe

SEED = 5
THREE_PARTS = re.compile(r"need(s|ed)? .*\. \S.*", re.S)
REFUSALS = (ValueError, TypeError, OSError, MemoryError)
# pandas warns of rows that are longer than their header, and tests raise what warns
WARNED = "ParserWarning"
# Bytes that mean something to one reader or another.
WORDS = [b"<", b">", b"</", b"&", b"\0", b"\xff", b"nan", b"inf", b"-", b"1e999", b"9" * 30, b'"', b"=", b"[", b"]",
         b"{", b"}", b",", b"\n", b"END", b"true", b"null", b"../", b"PK\5\6", b"\xef\xbb\xbf", b"<!DOCTYPE a>",
         b"2020-13-45"]  # fmt: skip

XML = (
    b'<?xml version="1.0"?><n1:Level-1C xmlns:n1="https://a/b.xsd"><n1:General_Info><TIME a="1">2020-01-01T10:00:00Z'
    b"</TIME></n1:General_Info></n1:Level-1C>"
)
MTL = (
    b"GROUP = LANDSAT_METADATA_FILE\n  GROUP = IMAGE_ATTRIBUTES\n    DATE_ACQUIRED = 2020-01-01\n"
    b"    SUN_AZIMUTH = 130.5\n"
    b'    SPACECRAFT_ID = "LANDSAT_8"\n  END_GROUP = IMAGE_ATTRIBUTES\nEND_GROUP = LANDSAT_METADATA_FILE\nEND\n'
)
GEOJSON = json.dumps(
    {"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "EPSG:32632"}},
     "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [
         [[0, 0], [0, 9], [9, 9], [0, 0]]]}}]}
).encode()  # fmt: skip
TABLE = b"reference,secondary,x,y,dx,dy\n2020-01-01,2020-02-01,0,0,1.5,2\n2020-01-01,2020-03-01,10,0,,2\n"
TENV3 = (
    b"site YYMMMDD yyyy.yyyy __MJD week d reflon _e0(m) __east(m) ____n0(m) _north(m) u0(m) ____up(m) _ant(m) sig_e(m) "
    b"sig_n(m) sig_u(m) __corr_en __corr_eu __corr_nu _latitude(deg) _longitude(deg) __height(m)\n"
    b"ABCD 20JAN01 2020.0000 58849 2086 3 7.5 100 0.1234 5000 0.2345 300 0.1 0.0 0.001 0.001 0.003 0.1 0.1 0.1 45.0 "
    b"7.5 300.0\nABCD 20JAN02 2020.0027 58850 2086 4 7.5 100 0.1235 5000 0.2346 300 0.1 0.0 0.001 0.001 0.003 0.1 0.1 "
    b"0.1 45.0 7.5 300.0\n"
)
TOML = b'recipe = "generic"\ntemplate = 24\nsearch = 5\nbbox = [0.0, 1.0, 2.0, 3.0]\nmin_score = 0.4\nby_date = true\n'


@cache
def tif():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=24, width=32, count=1, dtype="uint16", crs="EPSG:32632", nodata=0,
            transform=Affine(10, 0, 5e5, 0, -10, 5e6), tiled=True, blockxsize=16, blockysize=16, compress="deflate",
        ) as file:  # fmt: skip
            file.write(np.arange(768, dtype=np.uint16).reshape(1, 24, 32))
        return path.read_bytes()


@cache
def packed():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("S2A.SAFE/MTD.xml", XML)
        archive.writestr("S2A.SAFE/a.tif", tif())
    return content.getvalue()


def mutated(content, random):
    """Bytes with some changed, left out, put in, doubled or exchanged."""
    content = bytearray(content)
    for _ in range(int(random.integers(1, 6))):
        at, length = int(random.integers(0, len(content) + 1)), int(random.integers(1, 20))
        kind = random.integers(0, 7)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << int(random.integers(0, 8))
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = WORDS[random.integers(0, len(WORDS))]
        elif kind == 3:
            content[at : at + length] = WORDS[random.integers(0, len(WORDS))]
        elif kind == 4:
            content[at:at] = content[at : at + length * 5]
        elif kind == 5 and random.random() < 0.3:
            del content[at:]
        else:
            other = int(random.integers(0, len(content) + 1))
            content[at : at + length] = content[other : other + length]
    return bytes(content)


def put(folder, name, content):
    path = Path(folder) / name
    path.write_bytes(content)
    return path


def read_archive(content, folder):
    tree = archives.open_tree(str(put(folder, "a.zip", content)))
    for name in tree.names:
        tree.text(name)


def in_file(name, read):
    """A reader of content that wants a file of this name."""
    return lambda content, folder: read(put(folder, name, content))


READERS = {
    "xml": (lambda: XML, lambda content, folder: xml.parse(content, "a.xml")),
    "mtl": (lambda: MTL, lambda content, folder: mtl.read(content, "a_MTL.txt")),
    "geojson": (lambda: GEOJSON, in_file("a.geojson", lambda path: outlines.read_file(path, "profile"))),
    "table": (lambda: TABLE, in_file("a.csv", lambda path: xoffset.from_table(path, position=("x", "y")))),
    "gnss": (lambda: TENV3, in_file("ABCD.tenv3", lambda path: gnss.read(path, crs="EPSG:32632"))),
    "recipe": (lambda: TOML, in_file("a.toml", lambda path: as_recipe(path).steps)),
    "tif": (tif, in_file("a_20200101.tif", xoffset.open_stack)),
    "zip": (packed, read_archive),
    "result": (lambda: TABLE, in_file("a.nc", xoffset.open_result)),
}
# Cases of the short form: pixels take longest.
COUNTS = {"tif": 60, "result": 10, "zip": 150}


@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_read_or_refused(fuzz, tmp_path, name):
    make, read = READERS[name]
    random = np.random.default_rng(SEED)
    seeds, failures = [make()], {}
    for _ in range(COUNTS.get(name, 200) * fuzz):
        content = mutated(seeds[int(random.integers(0, len(seeds)))], random)
        try:
            read(content, tmp_path)
            # what is read is a better place to begin from
            seeds = [*seeds[:20], content]
        except REFUSALS as error:
            if not THREE_PARTS.search(str(error)):
                failures.setdefault(f"{type(error).__name__}: {str(error)[:100]}", content)
        except Exception as error:
            if type(error).__name__ != WARNED:
                failures.setdefault(f"{type(error).__name__}: {str(error)[:100]}", content)
    assert not failures
