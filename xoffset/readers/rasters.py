"""Which files make a stack, and in what order."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset.readers import grids, remote
from xoffset.readers.grids import Bounds, Grid, Window
from xoffset.readers.pixels import Align
from xoffset.readers.products import is_product, without_parts
from xoffset.readers.scenes import Image

_log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
# Least share of the pixels of a stack that two images are to see.
LEAST_COMMON = 0.01

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
_ARRAYS = (".nc", ".nc4", ".h5", ".hdf")
_SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k", ".jpg", ".jpeg", ".png", ".img", ".vrt", ".bil", ".bmp")
# What programs write beside an image, after its whole name: statistics, overviews and masks.
_SIDECARS = (".aux.xml", ".ovr", ".msk")


def find(source: Any) -> list[Any]:
    """Paths of the images, absolute where they are local, sorted unless they were listed; opened trees as they are."""
    if isinstance(source, xr.DataTree):
        return [source]
    paths: list[Any]
    if isinstance(source, (str, os.PathLike)):
        paths = _search(os.fspath(source))
    elif isinstance(source, Iterable) and not isinstance(source, (bytes, Mapping)):
        paths = [each for path in source for each in _listed(path)]
    else:
        raise TypeError(
            f"open_stack() needs a file, a list of files, a pattern or a folder; got {type(source).__name__}. "
            "Pass paths: open_stack('scenes/*.tif')."
        )
    if not paths:
        raise ValueError("open_stack() needs at least one image; got an empty list. Check how it was made.")
    for path in paths:
        if not isinstance(path, xr.DataTree) and Path(path).is_dir() and not is_product(path):
            raise ValueError(
                f"open_stack() needs image files; got the folder {path} among them. Give the files inside: a pattern "
                "such as 'scenes/**/*_B04_10m.jp2', or one folder alone. It is no product that is known."
            )
    return [_absolute(path) for path in paths]


def _listed(path: Any) -> list[Any]:
    """What an entry of a list stands for: a pattern for its files, all else for itself."""
    if isinstance(path, xr.DataTree):
        return [path]
    place = os.fspath(path)
    if remote.is_address(place):
        return _search(place)
    is_pattern = glob.has_magic(place) and not Path(place).expanduser().exists()
    return _search(place) if is_pattern else products_in(place)


def _absolute(path: Any) -> Any:
    is_there = not isinstance(path, xr.DataTree) and Path(path).expanduser().exists()
    return str(Path(path).expanduser().absolute()) if is_there else path


def _search(source: str) -> list[str]:
    if remote.is_address(source):
        return [source] if is_product(source) else remote.find(source, _SUFFIXES)
    path = Path(source).expanduser()
    if is_product(str(path)):
        return [source]
    if path.is_dir():
        inside = sorted(str(file) for file in path.iterdir())
        files = [file for file in inside if is_product(file)]
        if files:
            _tell_of_others(source, files, without_parts(inside))
        files = files or [file for file in inside if Path(file).suffix.lower() in _SUFFIXES]
        files = files or [each for file in inside for each in products_in(file) if each != file]
        if not files:
            raise FileNotFoundError(
                f"open_stack() needs images in the folder; found none in {source} ({', '.join(_SUFFIXES)}). "
                "For other suffixes or for subfolders give a pattern, such as 'folder/**/*_B04.jp2'."
            )
        return files
    if path.exists() or not glob.has_magic(source):
        return [source]
    files = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
    if not files:
        raise FileNotFoundError(
            f"open_stack() needs images; no file matches {source}. "
            f"Check the pattern, and the working folder {Path.cwd()}."
        )
    return _without_neighbours(without_parts(without_sidecars(files)))


def products_in(path: str) -> list[str]:
    """The products in a folder, as programs leave them that unpack each archive into a folder; all else as it is."""
    folder = Path(path).expanduser()
    if not folder.is_dir() or is_product(path):
        return [path]
    return [each for each in sorted(str(file) for file in folder.iterdir()) if is_product(each)] or [path]


def _without_neighbours(paths: list[str]) -> list[str]:
    """Paths less those that a pattern finds beside products and that are no images: lists, checksums, previews."""
    found = {path: products_in(path) for path in paths}
    products = {path for path, inside in found.items() if inside != [path] or is_product(path)}
    names = tuple(Path(each).name.split(".")[0] for path in products for each in found[path])
    left = [path for path in paths if products and path not in products and not _may_be_image(Path(path), names)]
    if left:
        names_left = [Path(path).name for path in left]
        _log.warning("open_stack(): what lies beside products and is no image is passed over: %s.", _first(names_left))
    return list(dict.fromkeys(each for path, inside in found.items() if path not in left for each in inside))


def _may_be_image(path: Path, products: tuple[str, ...]) -> bool:
    """Whether a path beside products is that of an image to be opened, and no preview named after one of them."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return suffix == ".zarr"
    return suffix in (*_SUFFIXES, *_ARRAYS, "") and not (suffix in _PICTURES and path.name.startswith(products))


def is_image(path: str) -> bool:
    """Whether the name of a file is that of an image."""
    return Path(path).suffix.lower() in (*_SUFFIXES, *_ARRAYS)


def without_sidecars(files: Sequence[str]) -> list[str]:
    """Files less those that programs write beside an image, as patterns find both."""
    there = set(files)
    return [
        file for file in files if not any(file.endswith(end) and file.removesuffix(end) in there for end in _SIDECARS)
    ]


def _tell_of_others(folder: str, products: Sequence[str], inside: Sequence[str]) -> None:
    """Tell what a folder of products holds beside them: a scene whose metadata are missing is no product."""
    others = (Path(each) for each in inside if each not in products)
    left = [each.name for each in others if each.is_dir() or each.suffix.lower() in _SUFFIXES]
    if left:
        _log.warning(
            "open_stack() took the %d products in %s, and left out what is none that it knows: %s.",
            len(products),
            folder,
            _first(left),
        )


def _first(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def arrange(
    images: Sequence[Image], align: Align | None, bbox: Bounds | None
) -> tuple[Grid, Window, list[Window | None]]:
    """Grid of all images, window of it that the stack shows, and the place of each image on the grid.

    Images that are to be resampled have no place.
    """
    _check_kinds(images)
    # of equally many, that of the earliest: images come sorted by time
    shared = grids.most_shared([image.grid for image in images])
    if len(shared) < len(images) and align is None:
        raise ValueError(_differences(images, shared))
    base = images[shared[0]].grid
    places = [grids.place(image.grid, base) if k in shared else None for k, image in enumerate(images)]
    seen = [place or _covered(image, base) for image, place in zip(images, places, strict=True)]
    whole = grids.union(seen)
    window = grids.crop(base.part(whole), bbox)
    _check_common_ground(images, [grids.within(part, whole) for part in seen], window, is_boxed=bbox is not None)
    return base.part(whole), window, [place and grids.within(place, whole) for place in places]


def _covered(image: Image, base: Grid) -> Window:
    """Window of a base grid that an image of another lattice or CRS covers."""
    try:
        return grids.covered(image.grid, base)
    except (ValueError, OverflowError) as error:  # infinity: on the other side of the globe
        raise ValueError(
            f"open_stack() needs images of the same ground; {image.name} lies where the CRS of most images "
            f"({grids.name_of(base.crs)}) has no coordinates. Leave it out, or look whether its CRS is right."
        ) from error


def _check_common_ground(images: Sequence[Image], seen: Sequence[Window], window: Window, *, is_boxed: bool) -> None:
    """Refuse images of different places, of which next to nothing could be matched."""
    parts = [grids.common(part, window) for part in seen]
    inside = [k for k, part in enumerate(parts) if part is not None]
    if not inside:
        raise ValueError(
            "open_stack() needs a bbox that holds pixels of an image; got one between those that do. "
            f"The first is {images[0].name}, which covers {_extent(images[0])}."
        )
    # a box may be seen by one image: the others are kept, empty
    if len(images) < 2 or (is_boxed and len(inside) < 2):
        return
    share = grids.share_seen_twice([part for part in parts if part is not None], window)
    alone = [k for k in inside if all(grids.common(seen[k], seen[other]) is None for other in inside if other != k)]
    if share >= LEAST_COMMON and (is_boxed or not alone):
        return
    told = [
        f"{images[k].name} covers {_extent(images[k])} in {grids.name_of(images[k].grid.crs)}"
        for k in (alone or inside)[:3]
    ]
    height, width = (edge.stop - edge.start for edge in window)
    why = f"of the {height} x {width} pixels that they span two of them see {share:.2%}, less than {LEAST_COMMON:.0%}"
    if share >= LEAST_COMMON:
        why = "some share none with any other"
    raise ValueError(
        f"open_stack() needs images of the same ground; {why}: {'; '.join(told)}. Leave out those of other "
        "places, open them apart, or crop to the ground that they share: bbox=(xmin, ymin, xmax, ymax)."
    )


def _extent(image: Image) -> str:
    return f"({', '.join(f'{edge:.10g}' for edge in image.grid.bounds_of_all)})"


def _check_kinds(images: Sequence[Image]) -> None:
    """Refuse what no resampling can bring together."""
    first = images[0]
    for image in images[1:]:
        pair = f"{first.name} and {image.name}"
        if (image.grid.crs is None) != (first.grid.crs is None):
            raise ValueError(
                f"open_stack() needs one CRS; of {pair} only one has any. Assign the one that lacks: "
                "rio edit-info --crs EPSG:... file.tif."
            )
        size, other = ((grid.width, grid.height) for grid in (first.grid, image.grid))
        if image.is_local and size != other:
            raise ValueError(
                f"open_stack() needs images of one size where there is no georeference; {pair} have "
                f"{size[0]} x {size[1]} and {other[0]} x {other[1]} pixels. "
                "Crop them alike first, or georeference them: align= cannot help."
            )


def _differences(images: Sequence[Image], shared: Sequence[int]) -> str:
    """Error text that names the files which are not on the shared grid, and why."""
    base = images[shared[0]]
    others = [image for k, image in enumerate(images) if k not in shared]
    told = [f"{image.name} ({grids.difference(image.grid, base.grid)})" for image in others[:3]]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return (
        f"open_stack() needs images on one pixel grid; {len(others)} of {len(images)} are not on that of "
        f"{base.name}: {', '.join(told)}{more}. Pass align='cubic' to resample them once onto it, "
        "align='nearest' for classes."
    )
