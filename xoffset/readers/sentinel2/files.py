"""Where the files of a Sentinel-2 product are: images, masks and metadata of every tile, in both namings.

Everything is found in the list of files that are there, never by paths that metadata hold: nothing leads out of a
product, and it does not matter whether a zip file holds the folder NAME.SAFE or what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xoffset.readers import archives, files
from xoffset.readers.archives import Tree

# S2A_OPER_MTD_SAFL1C_PDMC_... until the end of 2016, MTD_MSIL1C.xml since. Products of users had USER in the name.
_PRODUCT = re.compile(r"MTD_MSIL(1C|2A)\.xml|S2[A-D]_\w{4}_MTD_SAFL(1C|2A)_\w+\.xml", re.IGNORECASE)
_GRANULE = re.compile(r"MTD_TL\.xml|S2[A-D]_\w{4}_MTD_L(1C|2A)_TL_\w+\.xml", re.IGNORECASE)
_DATASTRIP = re.compile(r"MTD_DS\.xml|S2[A-D]_\w{4}_MTD_L(1C|2A)_DS_\w+\.xml", re.IGNORECASE)
_IMAGE = re.compile(r"(?:^|_)(B\d[0-9A]|[A-Z]{3}|[A-Z]{3}PRB)(?:_(\d\d)m)?\.(?:jp2|tiff?)", re.IGNORECASE)
_MASK = re.compile(r"(?:^|_)MSK_([A-Z]+)_(?:\w+_)?(B\d[0-9A])(?:_MSIL\w\w)?\.(?:gml|jp2|tiff?)", re.IGNORECASE)
_TILE = re.compile(r"_T(\d\d[A-Z]{3})(?=_|\.|$)", re.IGNORECASE)
_STRIP = re.compile(r"_S(\d{8}T\d{6})(?=_|/|\.|$)", re.IGNORECASE)
# Names that changed: probabilities of clouds and snow.
_LAYERS = {"CLDPRB": "CLD", "SNWPRB": "SNW"}


@dataclass(frozen=True)
class Granule:
    """Files of one tile of a product: the names of all of them, within the tree of the product."""

    tree: Tree
    metadata: str
    product_metadata: str | None

    @property
    def is_orphan(self) -> bool:
        """Whether it lies in a product whose own metadata are not there."""
        return self.product_metadata is None and _is_granule(PurePosixPath(self.metadata).parent)

    @property
    def names(self) -> list[str]:
        """Names of all files of the tile."""
        folder = _folder(self.metadata)
        return [name for name in self.tree.names if name.startswith(folder) and not _is_hidden(name)]

    @property
    def tile(self) -> str | None:
        """Name of the tile as the names of the files tell it."""
        path = PurePosixPath(self.metadata)
        found = _TILE.search(path.parent.name) or _TILE.search(path.name)
        return found[1].upper() if found else None

    @property
    def images(self) -> dict[tuple[str, int | None], str]:
        """Name of the image of every band and pixel size [m], None where its name has none."""
        return images_of(self.names)

    @property
    def masks(self) -> dict[tuple[str, str], str]:
        """Name of the mask of every kind ("DETFOO", "CLOUDS", ...) and band; "B00" is that of no band."""
        return {found: name for name in self.names if (found := mask_of(name))}

    def datastrips(self, start: str | None = None) -> list[str]:
        """Metadata of the data strips of the product, or of the one with a start, such as "20200717T221944"."""
        return _of_strip([name for name in self._of_product if _DATASTRIP.fullmatch(PurePosixPath(name).name)], start)

    def quality_reports(self, start: str | None = None) -> list[str]:
        """Reports on the geometry of the data strips of the product, or of the one with a start."""
        names = [name for name in self._of_product if "/DATASTRIP/" in f"/{name.upper()}"]
        return _of_strip([name for name in names if "GEOMETRIC_QUALITY" in name.upper()], start)

    @property
    def _of_product(self) -> list[str]:
        if self.product_metadata is None:
            return []
        folder = _folder(self.product_metadata)
        return [name for name in self.tree.names if name.startswith(folder)]


def images_of(names: Iterable[str]) -> dict[tuple[str, int | None], str]:
    """Name of the image of every band and pixel size [m] among sorted names of files: JPEG 2000 before TIFF."""
    found: dict[tuple[str, int | None], str] = {}
    for name in names:
        match = _IMAGE.search(PurePosixPath(name).name)
        # a preview and masks are no images of a band
        if match and match[1].upper() != "PVI" and not mask_of(name):
            band = _LAYERS.get(match[1].upper(), match[1].upper())
            found.setdefault((band, int(match[2]) if match[2] else None), name)
    return found


def mask_of(name: str) -> tuple[str, str] | None:
    """Kind and band of a mask, by its file name."""
    found = _MASK.search(PurePosixPath(name).name)
    return (found[1].upper(), found[2].upper()) if found else None


def granules(tree: Tree) -> list[Granule]:
    """Tiles of all products in a tree, sorted by name."""
    names = [name for name in tree.names if not _is_hidden(name)]
    products = [name for name in names if _PRODUCT.fullmatch(PurePosixPath(name).name)]
    found = []
    for name in names:
        if _GRANULE.fullmatch(PurePosixPath(name).name):
            folder = PurePosixPath(name).parent.parent
            above = _folder(str(folder))
            around = [each for each in products if _is_granule(PurePosixPath(name).parent) and _folder(each) == above]
            # of metadata of both levels those of its own
            around.sort(key=lambda each: _level(PurePosixPath(each).name) != _level(name[len(above) :]))
            found.append(Granule(tree, name, around[0] if around else None))
    return found


def describes_product(names: list[str]) -> bool:
    """Whether one of some names is that of the metadata of a product or of a tile."""
    lasts = [PurePosixPath(name).name for name in names if not _is_hidden(name)]
    return any(_PRODUCT.fullmatch(name) or _GRANULE.fullmatch(name) for name in lasts)


def root_of(place: str) -> tuple[str, str | None]:
    """Folder or archive of the product that a path means, and the folder of the tile where it means only one.

    Paths may be those of the product, of its metadata or manifest, or of the folder or metadata of one tile.
    """
    path = Path(place).expanduser().absolute()
    if path.is_file() and (path.name.lower() == "manifest.safe" or describes_product([path.name])):
        path = path.parent
    if _is_granule(PurePosixPath(path)) and path.is_dir():
        above = path.parent.parent
        if any(_PRODUCT.fullmatch(file.name) for file in above.iterdir()):
            return str(above), path.name
    return str(path), None


def _level(name: str) -> str | None:
    """Level of processing that a name tells."""
    found = re.search(r"L(1C|2A)", name.upper())
    return found[1] if found else None


def _of_strip(names: list[str], start: str | None) -> list[str]:
    """Names of files in the folder of a data strip with a start; all of them if none tells it."""
    own = [name for name in names if start and start in _STRIP.findall(name.upper())]
    return own or names


def _is_granule(folder: PurePosixPath) -> bool:
    """Whether a folder is that of a tile within a product; some programs write all names in small letters."""
    return folder.parent.name.upper() == "GRANULE"


def _is_hidden(name: str) -> bool:
    """Whether a file is one that systems leave beside others, such as __MACOSX/NAME.SAFE/._MTD_TL.xml."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _folder(name: str) -> str:
    """Folder of a file, with a slash behind it; empty for the root."""
    above = str(PurePosixPath(name).parent)
    return "" if above == "." else f"{above}/"


def whole_raster(tree: Tree, name: str) -> str:
    """Path for GDAL of a raster that goes on to its end: decoders fill up in silence what is missing."""
    # an archive knows a checksum of each file, which GDAL passes over
    is_packed = bool(archives.kind_of(tree.place))
    with tree.opened(name) as stream:
        is_whole = not name.lower().endswith(".jp2") or files.is_whole_jpeg2000(stream, by_reading=is_packed)
    if not is_whole:
        raise files.unreadable(f"{tree.place}: {name}", "the file ends before the image does")
    return tree.gdal_path(name)
