"""Files that are no image but name others, which GDAL would open: from anywhere on this computer, or the network.

GDAL looks at the content of a file, not at its name: what is called `B04.tif` may be a list of other files (VRT), or
the address of a map server. Such a file is opened only if its name says what it is, and only as far as files go.
"""

from __future__ import annotations

import re
from pathlib import Path

from xoffset.readers import archives

# GDAL takes a file with one of these anywhere in its first bytes for a list of others.
_MARKS = re.compile(rb"<VRTDataset|<GDALTileIndexDataset|<GDAL_WM")
# Documents that name the files of an image beside them.
_PRODUCTS = re.compile(rb"<(?:\w+:)?(?:Dimap_Document|Product_Observational)\b")
_START = 4096
# Largest VRT that is looked through, bytes, and how many may lie within each other.
_LARGEST, _DEEPEST = 64 * 2**20, 5
# What leads from a file to the network.
_NETWORK = re.compile(
    r"://|/vsi(?!zip/|tar/|gzip/|subfile/|sparse/|7z/|rar/)|\b(?:WMS|WMTS|WCS|STACIT|STACTA|DAAS|PLMOSAIC|OGCAPI|EEDAI?):",
    re.I,
)
_SOURCES = re.compile(r"<(?:SourceFilename|SourceDataset)\b[^>]*>([^<]*)<")

# Drivers of GDAL whose files name others or servers; VRT only if the name of the file says so, or the caller wrote it.
_DRIVERS = {
    "VRT",
    "GTI",
    "WMS",
    "WMTS",
    "WCS",
    "MRF",
    "STACIT",
    "STACTA",
    "HTTP",
    "EEDAI",
    "DAAS",
    "PLMOSAIC",
    "OGCAPI",
}


def check_content(path: str) -> None:
    """Refuse a local file, or one in a zip archive, that names others without saying so, or that leads to the network.

    Raises
    ------
    ValueError
        If it does; the message tells what to do.
    """
    start = _start(path)
    if path.lower().endswith(".vrt") and Path(path).is_file():
        _check_sources(Path(path), path, 0)
    elif _MARKS.search(start) or (
        start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"{", b"[")) and not _PRODUCTS.search(start)
    ):
        raise _refused(path, "which holds no pixels, but names other files or servers")


def check_driver(path: str, driver: str) -> None:
    """Refuse what GDAL took for a list of other files or for a server, though its name says something else."""
    # a VRT that the caller wrote into the path, or that is called so, is asked for
    is_named = path.lower().endswith(".vrt") or path.startswith(("vrt://", "<VRTDataset", f"{driver}:"))
    if driver in _DRIVERS and not is_named:
        raise _refused(path, f"which holds no pixels, but names other files or servers ({driver})")


def _check_sources(file: Path, path: str, depth: int) -> None:
    """Refuse a VRT that leads to the network, itself or through others that it names."""
    if depth > _DEEPEST or file.stat().st_size > _LARGEST:
        raise _refused(path, "which names files that name files without end")
    text = file.read_text(encoding="utf-8", errors="replace")
    places = [each.strip() for each in _SOURCES.findall(text)]
    found = next((each for each in places if _NETWORK.search(each) or "&lt;" in each or "<" in each), None)
    if found is not None or "<![CDATA[" in text:
        raise _refused(path, f"which leads to the network: {(found or 'CDATA')[:80]}")
    for place in places:
        inner = file.parent / place
        if inner.is_file() and _MARKS.search(_start(str(inner))):
            _check_sources(inner, path, depth + 1)


def _start(path: str) -> bytes:
    """First bytes of a file or of a member of a zip archive; none where they cannot be had without reading much."""
    packed = re.fullmatch(r"/vsizip/\{(.+?)\}/(.+)", path)
    if packed:
        with archives.open_tree(packed[1]).opened(packed[2]) as stream:
            return stream.read(_START)
    try:
        if not Path(path).is_file():
            return b""
        with Path(path).open("rb") as opened:
            return opened.read(_START)
    except (OSError, ValueError):  # ValueError: a path that is none
        return b""


def _refused(path: str, what: str) -> ValueError:
    name = Path(path).name[:200]
    return ValueError(
        f"open_stack() needs files of images; got {name}, {what}. Give the images themselves; a VRT of files on this "
        "computer is opened if its name ends in .vrt."
    )
