"""Optical flow on plain arrays: motion of windows, from coarse images to fine ones and from wide windows to narrow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from xoffset._arrays.lattice import Tile
from xoffset._arrays.matching import dense_nodes
from xoffset._arrays.matching.dense_colour import colour
from xoffset._arrays.matching.dense_field import LEAST_NOISE, TOLERANCE, Views, pixels_at
from xoffset._arrays.matching.dense_images import STENCIL, Even
from xoffset._arrays.matching.dense_nodes import Part
from xoffset._kernels.images import filters, ranks
from xoffset._kernels.matching import flow, refine, residuals, variation
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
# By how much a window must correlate better with the negative to count as inverted.
INVERTED = 0.1
# Residual above which a pixel loses weight, in standard deviations of the noise; and one that none exceeds.
HUBER, NO_LIMIT = 2.5, 1e6
# Side of the square whose residual tells the weight of a block, in blocks.
NEAR = 3
# Least radius of the windows in which the slopes of both images are compared, px.
LEAST_RADIUS = 8
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
    colour: float | None = None  # see `dense_colour.colour`
    likeness: np.ndarray | None = None  # see `_likeness`


def levels_of(shape: tuple[int, int], wanted: int) -> int:
    """Number of resolutions that an image has room for: the same for all of its tiles."""
    levels = 1
    while levels < wanted and min(shape) >> levels >= LEAST_SIDE:
        levels += 1
    return levels


def least_of(levels: int) -> int:
    """Side of a part that is large enough for so many resolutions, px."""
    return LEAST_SIDE << (levels - 1)


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
    field, is_inverted = np.empty((2, 0, 0), dtype=np.float32), np.empty((0, 0), dtype=bool)
    for level in range(levels - 1, -1, -1):
        factor = 2**level
        views = dense_nodes.views_of(first[level], second[level], part_at(part, factor), BLOCK, 0.0)
        about = reduced(centre, factor)
        if level == levels - 1:
            field, is_inverted = _first_looks(views, about, plan, (half + 1.0) / factor)
            if level > 0:
                continue
            radii = list(plan.radii[-1:])
        else:
            field = enlarged(field, views.blocks)
            is_inverted = np.repeat(np.repeat(is_inverted, 2, axis=0), 2, axis=1)
            # wider windows were told by the lower resolution
            radii = [radius for radius in plan.radii if radius <= WIDEST * plan.radii[-1]]
        radii = sorted(radii * plan.iterations, reverse=True)
        bounds = _bounds(about, (half + 1.0) / factor)
        found = _settle(views, field, radii, bounds, is_inverted, robust=ROBUST_LOOKS * (level == 0))
    gain = found.sign if plan.inversion else np.ones_like(found.sign)
    noise = colour(views.images, views.weight, views.other, views.origin, found.field, gain)
    return found._replace(colour=noise, likeness=_likeness(views, found.field, gain, plan.radii[-1]))


def _likeness(views: Views, field: np.ndarray, gain: np.ndarray, radius: int) -> np.ndarray:
    """Correlation of the slopes of both images (2, rows, columns) along the directions that the first one varies in.

    The direction of most contrast, then that of least. Of lines, which say nothing of the motion along them, noise
    alone varies there, and both images have their own.
    """
    (values, weight), _ = pixels_at(views, field)
    other_x, other_y = np.empty_like(values), np.empty_like(values)
    refine.slopes(values, other_x, other_y)
    # what is beside a pixel that is not known has no slope
    if not (weight == 1.0).all():
        weight = weight * scipy.ndimage.minimum_filter(weight, footprint=STENCIL, mode="nearest")
    x, y = views.images[1], views.images[2]
    side = max(radius, LEAST_RADIUS) // BLOCK * 2 + 1
    layers = []
    for product in (
        x * x,
        x * y,
        y * y,
        x * other_x,
        (x * other_y + y * other_x) / 2,
        y * other_y,
        other_x * other_x,
        other_x * other_y,
        other_y * other_y,
    ):
        block, around = np.empty_like(gain), np.empty_like(gain)
        variation.halve(product * weight, np.float32(1.0), block)
        residuals.box(block, side, around)
        layers.append(around)
    xx, xy, yy = layers[:3]
    turn = np.float32(0.5) * np.arctan2(2 * xy, xx - yy)
    c, s = np.cos(turn), np.sin(turn)
    out = np.empty((2, *gain.shape), dtype=np.float32)
    for target, x, y in zip(out, (c, -s), (s, c), strict=True):
        own, shared, other = (layers[k] * x * x + 2 * layers[k + 1] * x * y + layers[k + 2] * y * y for k in (0, 3, 6))
        target[:] = gain * shared / np.sqrt(np.maximum(own * other, np.float32(1e-20)))
    return out


def _first_looks(views: Views, about: np.ndarray, plan: Plan, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Displacement on blocks where nothing is known yet, and whether the contrast may be inverted there.

    The field is sought with either sign of the contrast. Motion comes first: what repeats and has moved by half of its
    distance looks like its negative at rest.
    """
    bounds = _bounds(about, half)
    radii = sorted(([plan.radii[0]] * FIRST_LOOKS + list(plan.radii)) * plan.iterations, reverse=True)
    fields, scores = [], []
    for sign in (1.0, -1.0) if plan.inversion else (1.0,):
        field = np.broadcast_to(about, (2, *views.blocks)).copy()
        factor = np.ones((2, *views.blocks), dtype=np.float32)
        factor[0] = sign
        _, _, seen = _look(views, field, radii, bounds, factor)
        product, count = np.empty_like(seen[0]), np.empty_like(seen[0])
        residuals.box(seen[0], radii[-1] // BLOCK * 2 + 1, product)
        residuals.box(seen[2], radii[-1] // BLOCK * 2 + 1, count)
        fields.append(field)
        scores.append(np.float32(sign) * product / np.maximum(count, np.float32(1.0)))
    is_inverted = scores[-1] > scores[0] + np.float32(INVERTED)
    field = fields[0]
    if is_inverted.any():
        # once more, each part of a window with its own sign
        field = np.broadcast_to(about, (2, *views.blocks)).copy()
        factor[0] = np.where(is_inverted, np.float32(-1.0), np.float32(1.0))
        _look(views, field, radii, bounds, factor)
    # windows do not tell exactly where it ends
    return field, scipy.ndimage.binary_dilation(is_inverted, iterations=max(radii[-1] // BLOCK, 1))


def _look(
    views: Views,
    field: np.ndarray,
    radii: list[int],
    bounds: np.ndarray,
    factor: np.ndarray,
    limit: float = NO_LIMIT,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Look at the second image once for each radius: equations of windows and of blocks, and what was seen.

    `field` is replaced; `factor`: sign of the contrast and weight of each block.
    """
    system, sums = (np.empty((5, *views.blocks), dtype=np.float32) for _ in range(2))
    seen = np.empty((3, *views.blocks), dtype=np.float32)
    for radius in radii:
        flow.gather(
            views.images, views.weight, views.other.coefficients, views.other.weight, views.origin, field[0], field[1],
            factor, np.float32(limit), system, seen,
        )  # fmt: skip
        for one, target in zip(system, sums, strict=True):
            residuals.box(one, radius // BLOCK * 2 + 1, target)
        flow.solve(sums, np.float32(DAMPING), bounds, field[0], field[1])
    return sums, system, seen


def _settle(
    views: Views, field: np.ndarray, radii: list[int], bounds: np.ndarray, is_inverted: np.ndarray, *, robust: int
) -> Motion:
    """Motion of windows of these radii, one after the other; `field` is replaced.

    Then of the narrowest again, so many times, where blocks whose residual stays far above that of most lose their
    weight. Not before: ground that is still to be found at another place leaves residuals like those of clouds.
    `is_inverted`: where the contrast may be inverted.
    """
    factor = np.ones((2, *views.blocks), dtype=np.float32)
    around = np.empty((3, *views.blocks), dtype=np.float32)
    limit = NO_LIMIT
    for k, radius in enumerate(radii + [radii[-1]] * robust):
        sums, system, seen = _look(views, field, [radius], bounds, factor, limit)
        if is_inverted.any():
            for layer in (0, 2):
                residuals.box(seen[layer], radius // BLOCK * 2 + 1, around[layer])
            flow.turn(around[0], around[2], np.float32(INVERTED), factor[0])
            factor[0][~is_inverted] = 1.0
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


def part_at(part: Part, factor: int) -> Part:
    """The same part of an image of low resolution."""
    rows, columns = (
        slice(each.start // factor, each.start // factor + (each.stop - each.start) // factor) for each in part.pixels
    )
    return Part((rows, columns), (part.first[0] // factor, part.first[1] // factor))


def reduced(centre: np.ndarray, factor: int) -> np.ndarray:
    """Displacement on blocks of an image of low resolution, in pixels of it."""
    some = centre if centre[0].size == 1 else centre[:, factor // 2 :: factor, factor // 2 :: factor]
    return np.asarray(some / np.float32(factor))


def enlarged(field: np.ndarray, blocks: tuple[int, int]) -> np.ndarray:
    """Displacement on blocks of an image of twice the resolution, in pixels of it; bilinear."""
    out = np.empty((2, *blocks), dtype=np.float32)
    residuals.at_nodes(field, 0.0, 0.0, 1, np.float32(np.inf), out)
    out *= 2
    return out
