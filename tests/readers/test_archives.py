"""Metadata and archives from anywhere: what is sound is read, what is not is told before it does harm."""

import io
import re
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from xoffset.readers import archives, xml

THREE_PARTS = r"(?s)open_stack\(\) needs .*; (got|there is|\S+ tells) .*\. (Fetch|Unpack|Leave|Take|Give|Check) "
FILES = {"A.SAFE/MTD.xml": b"<a/>", "A.SAFE/GRANULE/x.xml": b"<b>1</b>"}


def a_zip(path, files=FILES, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)


def a_tar(path, files=FILES, links=None):
    with tarfile.open(path, "w:gz" if str(path).endswith("gz") else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return str(path)


def a_folder(path, files=FILES):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return str(path)


MADE = {"folder": a_folder, "a.zip": a_zip, "a.tar": a_tar, "a.tar.gz": a_tar, "a.tgz": a_tar}


@pytest.mark.parametrize("name", MADE)
def test_trees_list_and_read_alike(tmp_path, name):
    tree = archives.open_tree(MADE[name](tmp_path / name))
    assert tree.names == tuple(sorted(FILES))
    assert {each: tree.text(each) for each in tree.names} == FILES
    assert tree.place == str(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no\.xml"):
        tree.text("no.xml")
    with pytest.raises(FileNotFoundError, match=r"no\.xml"):
        tree.gdal_path("../no.xml")
    with pytest.raises(ValueError, match=THREE_PARTS):
        tree.text("A.SAFE/MTD.xml", limit=3)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("prefix", ["", "./"])
def test_gdal_reads_in_place(tmp_path, name, prefix):
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    profile = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "uint16", "crs": "EPSG:32631"}
    with rasterio.open(tmp_path / "x.tif", "w", transform=from_origin(5e5, 4e6, 10, 10), **profile) as dataset:
        dataset.write(values, 1)
    files = {f"{prefix}b/x.tif": (tmp_path / "x.tif").read_bytes(), f"{prefix}b/x.txt": b"text"}
    # a name that does not tell what it is, and one that looks like an archive further up
    folder = tmp_path / "deep.zip"
    folder.mkdir()
    tree = archives.open_tree(MADE[name](folder / name, files))
    assert tree.names == ("b/x.tif", "b/x.txt")
    assert tree.text("b/x.txt") == b"text"
    with rasterio.open(tree.gdal_path("b/x.tif")) as dataset:
        np.testing.assert_array_equal(dataset.read(1), values)


@pytest.mark.parametrize("make", [a_zip, a_tar])
@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("/etc/x.xml", "outside"),
        ("../x.xml", "outside"),
        ("A.SAFE/../../x.xml", "outside"),
        ("..\\x.xml", "outside"),
        ("C:/x.xml", "outside"),
        ("A/B.tar", "another archive"),
        ("B.zip", "another archive"),
        ("A/B.tar.gz", "another archive"),
    ],
)
def test_names_that_lead_out_and_archives_inside_are_refused(tmp_path, make, name, got):
    place = make(tmp_path / "a", FILES | {name: b"x"})
    with pytest.raises(ValueError, match=got) as error:
        archives.open_tree(place)
    assert place in str(error.value)
    assert re.search(THREE_PARTS, str(error.value))


def test_links_out_of_an_archive_are_refused(tmp_path):
    for target in ("/etc/passwd", "../../x", "../.."):
        with pytest.raises(ValueError, match="link"):
            archives.open_tree(a_tar(tmp_path / "a.tar", links={"A.SAFE/link": target}))
    # one that stays inside is no file, and no harm
    assert archives.open_tree(a_tar(tmp_path / "b.tar", links={"A.SAFE/link": "MTD.xml"})).names == tuple(sorted(FILES))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(ValueError, match="link"):
        archives.open_tree(str(tmp_path / "a.zip"))


def test_bombs_are_told_before_they_inflate(tmp_path):
    zeros = bytes(2**20)
    a_zip(tmp_path / "a.zip", {"MTD.xml": zeros * 100})
    with pytest.raises(ValueError, match=r"MTD\.xml, which inflates to 104857600"):
        archives.open_tree(str(tmp_path / "a.zip"))
    # many small ones
    many = a_zip(tmp_path / "b.zip", {f"{k}.xml": zeros for k in range(100)})
    with pytest.raises(ValueError, match="bytes that inflate to 104857600"):
        archives.open_tree(many)
    bomb = a_tar(tmp_path / "c.tar.gz", {f"{k}.xml": zeros for k in range(100)})
    with pytest.raises(ValueError, match="inflate to more than"):
        archives.open_tree(bomb)


def test_zip_files_that_are_encrypted_doubled_or_packed_otherwise_are_refused(tmp_path):
    content = bytearray((tmp_path / "a.zip").read_bytes() if a_zip(tmp_path / "a.zip") else b"")
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + place] |= 1
            start = content.find(mark, start + 1)
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(ValueError, match="encrypted"):
        archives.open_tree(str(tmp_path / "b.zip"))
    with pytest.raises(ValueError, match="method"):
        archives.open_tree(a_zip(tmp_path / "c.zip", method=zipfile.ZIP_LZMA))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("a.xml", "1")
        archive.writestr("./a.xml", "2")
    with pytest.raises(ValueError, match="two files of one name"):
        archives.open_tree(str(tmp_path / "d.zip"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_cut_and_damaged_archives_are_told(tmp_path, name):
    noise = np.random.default_rng(0).bytes(20_000)
    place = MADE[name](tmp_path / name, FILES | {"x.bin": noise})
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:15_000])
    with pytest.raises(OSError, match=THREE_PARTS):
        archives.open_tree(place)
    if name == "a.zip":  # told by the checksum
        (tmp_path / name).write_bytes(whole.replace(noise[5000:5100], bytes(100)))
        tree = archives.open_tree(place)
        with pytest.raises(OSError, match=r"x\.bin that cannot be read"):
            tree.text("x.bin")


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    assert archives.kind_of(str(tmp_path / "a.zip")) == ""
    assert archives.first_names(str(tmp_path / "a.zip")) == []
    assert archives.first_names(str(tmp_path / "none.zip")) == []
    with pytest.raises(ValueError, match="neither"):
        archives.open_tree(str(tmp_path / "a.zip"))
    with pytest.raises(FileNotFoundError, match="nothing"):
        archives.open_tree(str(tmp_path / "none.zip"))
    assert archives.first_names(a_tar(tmp_path / "a.tar.gz")) == list(FILES)


# ------------------------------------------------------------------------------------------------------------------ XML


def test_namespaces_do_not_count():
    root = xml.parse(
        b'<n1:A xmlns:n1="https://one" xmlns:x="https://two"><x:B x:id="7"> text </x:B><C/></n1:A>', "a.xml"
    )
    assert root.tag == "A"
    assert root.find("B").get("id") == "7"
    assert xml.required(root, "B", "a.xml") == "text"
    assert xml.optional(root, ".//C") is None
    assert xml.optional(root, ".//D") is None
    with pytest.raises(ValueError, match=r"needs C in the metadata of a product; a\.xml"):
        xml.required(root, ".//C", "a.xml")


BOMB = b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        BOMB.decode().encode("utf-16"),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://example.com/x.dtd"> %b;]><a/>',
        b"<a>" * 1000 + b"</a>" * 1000,
        b" " * (xml.LIMIT + 1),
    ],
)
def test_document_types_entities_and_depths_are_refused(text):
    with pytest.raises(ValueError, match=THREE_PARTS):
        xml.parse(text, "a.xml")


@pytest.mark.parametrize(
    "text", [b"", b"no xml", b"<a><b></a>", b"<a><b>", b"<a>&undefined;</a>", b"\xff\xfe\x00", b"<a>\xff</a>",
             b'<?xml version="1.0" encoding="klingon"?><a/>', b"<a/><a/>"],
)  # fmt: skip
def test_what_is_no_xml_is_told(text):
    with pytest.raises(OSError, match=r"a\.xml"):
        xml.parse(text, "a.xml")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_streams_go_forward_and_end_where_the_file_does(tmp_path, method):
    content = bytes(range(256)) * 100
    tree = archives.open_tree(a_zip(tmp_path / "a.zip", {"a": b"first", "b": content, "c": b"last"}, method))
    with tree.opened("b") as stream:
        assert stream.read(10) == content[:10]
        assert stream.seek(20_000) == 20_000
        assert stream.read(3) == content[20_000:20_003]
        stream.seek(-2, 2)
        assert stream.read() == content[-2:]
        assert stream.read(1) == b""


def test_compressed_tars_are_checked_to_their_last_byte(tmp_path):
    """The checksum of a compressed tar stands at its end: of a byte that was changed on the way nothing else tells."""
    content = np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8).tobytes()
    place = Path(a_tar(tmp_path / "a.tar.gz", {"a.tif": content, "b.txt": b"text"}))
    archives.open_tree(str(place))
    whole = place.read_bytes()
    for position in (len(whole) // 3, len(whole) - 6):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        place.write_bytes(damaged)
        with pytest.raises(OSError, match="damaged or cut"):
            archives.open_tree(str(place))
