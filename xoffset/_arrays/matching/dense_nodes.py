"""What a dense matcher tells of the nodes of a tile, from a field on blocks of pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching.dense_field import Views, look
from xoffset._arrays.matching.dense_images import Even
from xoffset._arrays.matching.protocol import FIELDS
from xoffset._arrays.matching.search import Candidates
from xoffset._kernels.matching import judging, residuals
from xoffset._kernels.matching.residuals import BLOCK

# Difference of the motion of neighbouring blocks from which nodes between them move like the nearest one, px.
LARGEST_STEP = 1.0


class Part(NamedTuple):
    """Pixels of the window of a tile on which a field is solved, and where the first window of the nodes begins."""

    pixels: Tile
    first: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        rows, columns = self.pixels
        return rows.stop - rows.start, columns.stop - columns.start


def part_of(lattice: Lattice, tile: Tile, context: int, multiple: int, least: int = 0) -> Part:
    """Part of the window of a tile on which its field is solved: what lies inside the image, in whole multiples.

    A narrow tile has pixels of no weight beyond, so that its part has the least side that it needs.
    """
    parts = []
    for nodes, inside in zip(tile, lattice.frame(tile), strict=True):
        last = lattice.margin + (nodes.stop - nodes.start - 1) * lattice.step + lattice.template
        start = max(lattice.margin - context, inside.start)
        stop = min(last + context, inside.stop)
        parts.append(slice(start, start + -(-max(stop - start, least) // multiple) * multiple))
    return Part((parts[0], parts[1]), (lattice.margin - parts[0].start, lattice.margin - parts[1].start))


def cut(image: np.ndarray, part: Tile) -> np.ndarray:
    """Part of an image (..., height, width) that may reach beyond it, where it is zero."""
    pads = [(max(-each.start, 0), max(each.stop - size, 0)) for each, size in zip(part, image.shape[-2:], strict=True)]
    rows, columns = (slice(max(each.start, 0), max(each.stop, 0)) for each in part)
    inner = image[..., rows, columns]
    if not any(map(any, pads)):
        return np.ascontiguousarray(inner)
    return np.pad(inner, [(0, 0)] * (image.ndim - 2) + pads)


def views_of(first: Even, second: Even, part: Part, window: int, min_valid: float) -> Views:
    """Two images over the part of a tile on which a field is solved."""
    origin = part.pixels[0].start, part.pixels[1].start
    side = max(1, window // BLOCK | 1)
    return Views(cut(first.slopes, part.pixels), cut(first.weight, part.pixels), first, second, origin, side, min_valid)


def centre_of(nodes: Candidates, part: Part, lattice: Lattice) -> np.ndarray:
    """What the search is about, along x and y (2, rows, columns) on blocks; (2, 1, 1) if it is alike everywhere."""
    centre = np.moveaxis(nodes.centre[..., ::-1], -1, 0).astype(np.float32)
    if (centre == centre[:, :1, :1]).all():
        return centre[:, :1, :1]
    along = []
    for size, start, count in zip(part.shape, part.first, centre.shape[1:], strict=True):
        at = (BLOCK * np.arange(size // BLOCK) + 0.5 - start - (lattice.template - 1) / 2) / lattice.step
        at = np.clip(at, 0.0, count - 1.0)
        low = np.minimum(at.astype(np.int64), max(count - 2, 0))
        along.append((low, np.minimum(low + 1, count - 1), (at - low).astype(np.float32)))
    (top, bottom, down), (left, right, across) = along
    rows = centre[:, top] + down[:, None] * (centre[:, bottom] - centre[:, top])
    return np.asarray(rows[:, :, left] + across * (rows[:, :, right] - rows[:, :, left]))


def second_around(views: Views, centre: np.ndarray, half: tuple[int, int]) -> np.ndarray:
    """Second image where the search is about, with `half` (y, x) pixels more on each side."""
    height, width = views.weight.shape
    if centre[0].size == 1:
        top, left = views.origin[0] + int(centre[1, 0, 0]), views.origin[1] + int(centre[0, 0, 0])
        part = slice(top - half[0], top + height + half[0]), slice(left - half[1], left + width + half[1])
        return cut(views.other.values, part)
    more = [-(-each // BLOCK) for each in half]
    field = np.pad(centre, ((0, 0), (more[0], more[0]), (more[1], more[1])), mode="edge")
    shape = [BLOCK * size for size in field.shape[1:]]
    pixels, sums = np.empty((2, *shape), dtype=np.float32), np.empty((4, *field.shape[1:]), dtype=np.float32)
    origin = views.origin[0] - BLOCK * more[0], views.origin[1] - BLOCK * more[1]
    ones = np.ones(shape, dtype=np.float32)
    residuals.look(
        ones, ones, views.other.coefficients, views.other.weight, origin, field[0], field[1], *pixels, sums
    )  # fmt: skip
    rest = [BLOCK * pad - each for pad, each in zip(more, half, strict=True)]
    rows, columns = (slice(skip, size - skip) for skip, size in zip(rest, shape, strict=True))
    return np.ascontiguousarray(pixels[0, rows, columns] * pixels[1, rows, columns])


def describe(
    views: Views, field: np.ndarray, variances: np.ndarray, first: tuple[int, int], nodes: Candidates, lattice: Lattice
) -> np.ndarray:
    """Fields of `protocol.FIELDS` of the nodes of a tile (field, rows, columns), float32.

    field (2, rows, columns) and variances along x and y and their covariance (3, rows, columns) on blocks; `first`: row
    and column of the views where the first window begins.
    """
    shape, window, step = nodes.wanted.shape, lattice.template, lattice.step
    middle = [start + (window - 1) // 2 for start in first]
    layers = np.empty((5, *shape), dtype=np.float32)
    residuals.at_nodes(np.concatenate([field, variances]), *middle, step, np.float32(LARGEST_STEP), layers)
    seen = look(views, field)
    score, count = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    least = views.first.least, views.other.least
    residuals.scores(views.images[0], *seen.pixels, least, window, *first, step, score, count)
    centre = np.moveaxis(nodes.centre[..., ::-1], -1, 0).astype(np.float32)
    # what moves out of the image is found elsewhere
    is_left_out = ~nodes.wanted
    images = [layer for image in (views.first, views.other) for layer in (image.counts, image.flat)]
    out = np.empty((len(FIELDS), *shape), dtype=np.float32)
    judging.judge(
        layers, score, count, centre, is_left_out,
        _counts(images[0]), _flat(images[1]), _counts(images[2]), _flat(images[3]),
        np.array([(part.start, part.stop) for part in views.other.frame]), (lattice.margin, step, window),
        (views.min_valid, *lattice.search), out,
    )  # fmt: skip
    return out


def _counts(layer: np.ndarray | None) -> np.ndarray:
    return np.empty((0, 0), dtype=np.int32) if layer is None else layer


def _flat(layer: np.ndarray | None) -> np.ndarray:
    return np.empty((0, 0), dtype=np.uint8) if layer is None else layer
