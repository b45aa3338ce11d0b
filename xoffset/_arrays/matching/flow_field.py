"""Optical flow on plain arrays: motion of windows, from coarse images to fine ones and from wide windows to narrow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from xoffset._arrays.lattice import Tile
from xoffset._arrays.matching import dense_nodes
from xoffset._arrays.matching.dense_field import LEAST_NOISE, TOLERANCE, Views
from xoffset._arrays.matching.dense_images import Even
from xoffset._arrays.matching.dense_nodes import Part
from xoffset._kernels.images import filters, ranks
from xoffset._kernels.matching import flow, residuals
from xoffset._kernels.matching.residuals import BLOCK

# Inverse of the variance with which a window is expected where it was found before, px^-2.
DAMPING = 1.0
# Least side of an image of low resolution, px.
LEAST_SIDE = 16
# Looks at the second image with the widest window where nothing is known yet.
FIRST_LOOKS = 4
# Radius up to which windows are tried again at a higher resolution, in times of the narrowest.
WIDEST = 2
# Looks at the second image without what differs from it.
ROBUST_LOOKS = 1
# Correlation below minus which the contrast of a window counts as inverted.
INVERTED = 0.1
# Residual above which a pixel loses weight, in standard deviations of the noise; and one that none exceeds.
HUBER, NO_LIMIT = 2.5, 1e6
# Side of the square whose residual tells the weight of a block, in blocks.
NEAR = 3
# Least number of known neighbours for a rank, as a part of all: a corner of the image has more.
LEAST_KNOWN = 0.25


Filtered = Callable[[np.ndarray, Tile], Even]


class Plan(NamedTuple):
    """How a field is searched for."""

    radii: tuple[int, ...]  # of windows, px, from wide to narrow
    levels: int  # resolutions
    iterations: int  # looks at the second image for each radius
    inversion: bool  # whether contrast may be inverted


class Motion(NamedTuple):
    """Motion of windows, on blocks of 2x2 px; arrays are (..., rows, columns) float32."""

    field: np.ndarray  # (2, rows, columns) along x and y, px
    sums: np.ndarray  # (5, rows, columns) equations of the narrowest windows, see `flow.gather`
    system: np.ndarray  # the same of the blocks
    sign: np.ndarray  # -1 where the contrast is inverted
    square: np.ndarray  # sum of the squared residuals around each block
    pixels: np.ndarray  # how many are known there


def levels_of(part: Part, wanted: int) -> int:
    """Number of resolutions that a part of an image has room for."""
    levels = 1
    while levels < wanted and min(part.shape) >> levels >= LEAST_SIDE:
        levels += 1
    return levels


def pyramid(raw: np.ndarray, frame: Tile, part: Part, levels: int, filtered: Filtered) -> list[Even]:
    """One image of a tile at full resolution, then at a half, a quarter ... of it; pixels of the part stay whole.

    `filtered` makes an image of raw pixels and the part of them that lies inside the image.
    """
    images = [filtered(raw, frame)]
    for level in range(1, levels):
        factor = 2**level
        skipped = [pixels.start % factor for pixels in part.pixels]
        sides = [(size - skip) // factor for size, skip in zip(raw.shape, skipped, strict=True)]
        rows, columns = (slice(skip, skip + side * factor) for skip, side in zip(skipped, sides, strict=True))
        coarse = np.empty(sides, dtype=raw.dtype)
        filters.decimate(np.ascontiguousarray(raw[rows, columns]), factor, coarse)
        top, left = (
            slice(-(-(each.start - skip) // factor), (each.stop - skip) // factor)
            for each, skip in zip(frame, skipped, strict=True)
        )
        images.append(filtered(coarse, (top, left)))
    return images


def ranked(image: Even, radius: int) -> Even:
    """Image of the ranks of its pixels among those within a radius, of about zero mean and unit variance."""
    known = image.weight.astype(np.uint8)
    values, count = np.empty_like(image.values), np.empty(known.shape, dtype=np.int32)
    ranks.rank(image.values, known, radius, values, count)
    values -= np.float32(0.5)
    values *= np.float32(math.sqrt(12.0))
    if known.all():
        return replace(image, values=values)
    weight = known * (count >= LEAST_KNOWN * ((2 * radius + 1) ** 2 - 1)).astype(np.float32)
    values *= weight
    return replace(image, values=values, weight=weight)


def solve(first: list[Even], second: list[Even], part: Part, centre: np.ndarray, half: float, plan: Plan) -> Motion:
    """Motion of the windows of a part, at most `half` px about a centre (2, rows, columns or 1, 1).

    `first` and `second`: images at full resolution, then at lower ones.
    """
    levels = len(first)
    field = np.empty((2, 0, 0), dtype=np.float32)
    for level in range(levels - 1, -1, -1):
        factor = 2**level
        views = dense_nodes.views_of(first[level], second[level], _part_at(part, factor), BLOCK, 0.0)
        about = _reduced(centre, factor)
        radii = list(plan.radii)
        if level == levels - 1:
            field = np.broadcast_to(about, (2, *views.blocks)).copy()
            radii = [plan.radii[0]] * FIRST_LOOKS + radii
        else:
            field = _enlarged(field, views.blocks)
            # wider windows were told by the lower resolution
            radii = [radius for radius in radii if radius <= WIDEST * radii[-1]]
        radii = sorted(radii * plan.iterations, reverse=True)
        bounds = _bounds(about, (half + 1.0) / factor)
        found = _settle(views, field, radii, bounds, plan.inversion, robust=ROBUST_LOOKS * (level == 0))
    return found


def _settle(
    views: Views, field: np.ndarray, radii: list[int], bounds: np.ndarray, inversion: bool, *, robust: int
) -> Motion:
    """Motion of windows of these radii, one after the other; `field` is replaced.

    Then of the narrowest again, so many times, where blocks whose residual stays far above that of most lose their
    weight. Not before: ground that is still to be found at another place leaves residuals like those of clouds.
    """
    factor = np.ones((2, *views.blocks), dtype=np.float32)
    system, sums = (np.empty((5, *views.blocks), dtype=np.float32) for _ in range(2))
    seen, around = (np.empty((3, *views.blocks), dtype=np.float32) for _ in range(2))
    limit = NO_LIMIT
    for k, radius in enumerate(radii + [radii[-1]] * robust):
        side = radius // BLOCK * 2 + 1
        flow.gather(
            views.images, views.weight, views.other.coefficients, views.other.weight, views.origin, field[0], field[1],
            factor, np.float32(limit), system, seen,
        )  # fmt: skip
        for one, target in zip(system, sums, strict=True):
            residuals.box(one, side, target)
        flow.solve(sums, np.float32(DAMPING), bounds, field[0], field[1])
        if inversion:
            for layer in (0, 2):
                residuals.box(seen[layer], side, around[layer])
            flow.turn(around[0], around[2], np.float32(INVERTED), factor[0])
        if robust and k >= len(radii) - 1:
            for layer in (1, 2):
                residuals.box(seen[layer], NEAR, around[layer])
            noise = _typical(around[1], around[2])
            limit = HUBER * math.sqrt(noise)
            flow.trust(around[1], around[2], np.float32(TOLERANCE * max(noise, LEAST_NOISE)), factor[1])
    return Motion(field, sums, system, factor[0], around[1], around[2])


def _typical(square: np.ndarray, count: np.ndarray) -> float:
    """Median of the mean squared residual of some blocks."""
    some = (slice(None, None, 4),) * 2
    known = count[some] > 0
    return max(float(np.median(square[some][known] / count[some][known])), 1e-6) if known.any() else 1.0


def _bounds(about: np.ndarray, half: float) -> np.ndarray:
    """Least and largest displacement along x, then along y (4, rows, columns)."""
    return np.stack([about[0] - half, about[0] + half, about[1] - half, about[1] + half]).astype(np.float32)


def _part_at(part: Part, factor: int) -> Part:
    """The same part of an image of low resolution."""
    rows, columns = (
        slice(each.start // factor, each.start // factor + (each.stop - each.start) // factor) for each in part.pixels
    )
    return Part((rows, columns), (part.first[0] // factor, part.first[1] // factor))


def _reduced(centre: np.ndarray, factor: int) -> np.ndarray:
    """Displacement on blocks of an image of low resolution, in pixels of it."""
    some = centre if centre[0].size == 1 else centre[:, factor // 2 :: factor, factor // 2 :: factor]
    return np.asarray(some / np.float32(factor))


def _enlarged(field: np.ndarray, blocks: tuple[int, int]) -> np.ndarray:
    """Displacement on blocks of an image of twice the resolution, in pixels of it; bilinear."""
    out = np.empty((2, *blocks), dtype=np.float32)
    residuals.at_nodes(field, 0.0, 0.0, 1, np.float32(np.inf), out)
    out *= 2
    return out
