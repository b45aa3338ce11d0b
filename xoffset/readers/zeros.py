"""Areas of zeros in images that declare no nodata value: edges of a scene, gaps, or masks that nobody names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import product

import numpy as np

from xoffset.readers import grids
from xoffset.readers.grids import Window
from xoffset.readers.mosaics import Mosaic
from xoffset.readers.pixels import WHOLE_ONLY, RasterImage, Reader, read_pixels
from xoffset.readers.stac.images import ItemImage

NOTICE = "areas of zeros look like nodata, which no file declares: open with nodata=0 where they are"

# Side of the squares of zeros that count, px, and how many of them, which overlap, make an area: one of 11 x 11 pixels
# does, and a stripe of 6 x 32; dark pixels by themselves do not.
_SIDE = 5
_LEAST = 49
# Side of the windows in which lazy images are looked at, px.
_SAMPLE = 32

_log = logging.getLogger(__name__)


def is_undeclared(reader: Reader) -> bool:
    """Whether the image of a reader says of no pixel that it holds no data; those of products always say so."""
    image = reader.image
    parts = image.parts if isinstance(image, Mosaic) else (image,)
    return any(
        part.nodata is None and part.alpha is None and not part.is_masked
        if isinstance(part, RasterImage)
        else isinstance(part, ItemImage) and part.is_silent
        for part in parts
    )


def has_area(pixels: np.ndarray) -> bool:
    """Whether an image (y, x) has an area of zeros."""
    # every square of this side holds one of these
    if min(pixels.shape) < _SIDE or not (pixels[_SIDE - 1 :: _SIDE, _SIDE - 1 :: _SIDE] == 0).any():
        return False
    squares = pixels == 0
    for axis in (0, 1):
        along = squares.swapaxes(0, axis)
        count = len(along) - _SIDE + 1
        both = along[:count].copy()
        for k in range(1, _SIDE):
            both &= along[k : k + count]
        squares = both.swapaxes(0, axis)
    return int(squares.sum()) >= _LEAST


def in_samples(readers: Sequence[Reader]) -> list[str]:
    """Of the first and the last image, those with an area of zeros in the corners, edges or middle of what is shown.

    Formats that are read as a whole are looked at as a whole. Files that are not local, or damaged, are left alone.
    """
    ends = dict.fromkeys((0, len(readers) - 1))
    local = [readers[k] for k in ends if isinstance(readers[k].image, RasterImage)]
    return [reader.image.name for reader in local if is_undeclared(reader) and _is_seen(reader)]


def _is_seen(reader: Reader) -> bool:
    image = reader.image
    if not isinstance(image, RasterImage) or image.state is None:
        return False
    part: Window | None = image.grid.whole
    if reader.place is not None:
        part = grids.common(reader.place, reader.window)
        part = part and grids.within(part, reader.place)
    if part is None:
        return False
    if image.driver in WHOLE_ONLY:
        windows = [part]
    else:
        rows, columns = ([slice(start, min(start + _SAMPLE, side.stop)) for start in _starts(side)] for side in part)
        windows = list(product(rows, columns))
    try:
        return any(has_area(read_pixels(image, each)) for each in windows)
    except OSError:  # whoever reads the pixels is told
        return False


def _starts(side: slice) -> list[int]:
    """Where the samples along one side start: at its ends and in its middle."""
    last = max(side.start, side.stop - _SAMPLE)
    return sorted({side.start, (side.start + last) // 2, last})


def tell(images: Sequence[str]) -> dict[str, str]:
    """Say once which images have areas of zeros; the attribute of their stack."""
    if not images:
        return {}
    others = f" and {len(images) - 1} more" if len(images) > 1 else ""
    _log.warning(
        "open_stack(): areas of zeros look like nodata, but none is declared, in %s%s. Their edges match better than "
        "the ground does: open with nodata=0 if they mean no data.",
        images[0],
        others,
    )
    return {"undeclared_zeros": NOTICE}
