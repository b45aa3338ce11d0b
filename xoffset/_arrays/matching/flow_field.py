"""Optical flow on plain arrays: motion of windows, from coarse images to fine ones and from wide windows to narrow."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Tile
from xoffset._arrays.matching import dense_field, dense_nodes
from xoffset._arrays.matching.dense_field import COLOUR, LEAST_NOISE, TOLERANCE, Views
from xoffset._arrays.matching.dense_images import Even, prepare
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
# Correlation below minus which the contrast of a window counts as inverted.
INVERTED = 0.1
# Mean squared residual that takes no weight from a block.
NO_LIMIT = 1e6
# Side of the square whose residual tells the weight of a block, in blocks.
NEAR = 3
# Least number of known neighbours for a rank, as a part of all: a corner of the image has more.
LEAST_KNOWN = 0.25


class Plan(NamedTuple):
    """How a field is searched for."""

    radii: tuple[int, ...]  # of windows, px, from wide to narrow
    levels: int  # resolutions
    iterations: int  # looks at the second image for each radius
    inversion: bool  # whether contrast may be inverted


class Motion(NamedTuple):
    """Motion of windows, on blocks of 2x2 px; arrays are (..., rows, columns) float32."""

    field: np.ndarray  # (2, rows, columns) along x and y, px
    system: np.ndarray  # (5, rows, columns) equations of the blocks, see `residuals.equations`
    sums: np.ndarray  # the same of the narrowest windows
    gain: np.ndarray  # of the second image, negative where its contrast is inverted
    residual: np.ndarray  # mean squared one around each block
    noise: float  # variance of the residual


def levels_of(part: Part, wanted: int) -> int:
    """Number of resolutions that a part of an image has room for."""
    levels = 1
    while levels < wanted and min(part.shape) >> levels >= LEAST_SIDE:
        levels += 1
    return levels


def pyramid(
    raw: np.ndarray, frame: Tile, part: Part, prefilter: Prefilter | None, window: int, levels: int
) -> list[Even]:
    """One image of a tile at full resolution, then at a half, a quarter ... of it; pixels of the part stay whole."""
    images = [prepare(raw, frame, prefilter, window)]
    for level in range(1, levels):
        factor = 2**level
        skipped = [pixels.start % factor for pixels in part.pixels]
        sides = [(size - skip) // factor for size, skip in zip(raw.shape, skipped, strict=True)]
        rows, columns = (
            slice(skip, skip + side * factor) for skip, side in zip(skipped, sides, strict=True)
        )  # fmt: skip
        coarse = np.empty(sides, dtype=raw.dtype)
        filters.decimate(np.ascontiguousarray(raw[rows, columns]), factor, coarse)
        inside = tuple(
            slice(-(-(each.start - skip) // factor), (each.stop - skip) // factor)
            for each, skip in zip(frame, skipped, strict=True)
        )
        images.append(prepare(coarse, (inside[0], inside[1]), prefilter, window))
    return images


def ranked(image: Even, radius: int) -> Even:
    """Image of the ranks of its pixels among those within a radius, of about zero mean and unit variance."""
    known = image.weight.astype(np.uint8)
    values, count = np.empty_like(image.values), np.empty(known.shape, dtype=np.int32)
    ranks.rank(image.values, known, radius, values, count)
    weight = known * (count >= LEAST_KNOWN * ((2 * radius + 1) ** 2 - 1)).astype(np.float32)
    values -= np.float32(0.5)
    values *= np.float32(math.sqrt(12.0)) * weight
    return replace(image, values=values, weight=weight)


def solve(first: list[Even], second: list[Even], part: Part, centre: np.ndarray, half: float, plan: Plan) -> Motion:
    """Motion of the windows of a part, at most `half` px about a centre (2, rows, columns or 1, 1).

    `first` and `second`: images at full resolution, then at lower ones.
    """
    levels = len(first)
    field = None
    for level in range(levels - 1, -1, -1):
        factor = 2**level
        coarse = _part_at(part, factor)
        views = dense_nodes.views_of(first[level], second[level], coarse, BLOCK * NEAR, 0.0)
        about = _reduced(centre, factor)
        near = (half + 1.0) / factor
        if field is None:
            field = np.broadcast_to(about, (2, *views.blocks)).copy()
            for _ in range(FIRST_LOOKS):
                _improve(views, field, plan.radii[0], (about, near), plan, is_near=False)
        else:
            field = _enlarged(field, views.blocks)
        for radius in plan.radii:
            for _ in range(plan.iterations):
                found = _improve(views, field, radius, (about, near), plan, is_near=level == 0)
    return found


def _improve(
    views: Views, field: np.ndarray, radius: int, bounds: tuple[np.ndarray, float], plan: Plan, *, is_near: bool
) -> Motion:
    """One look at the second image and the motion of windows that follows; `field` is replaced.

    `bounds`: middle of the search and its half-range. `is_near`: whether a large residual tells of other ground.
    """
    side = radius // BLOCK * 2 + 1
    seen = dense_field.look(views, field)
    gain, residual = np.empty_like(field[0]), np.empty_like(field[0])
    residuals.gains(seen.near[0], seen.near[1], gain)
    if plan.inversion:
        around = np.empty((3, *views.blocks), dtype=np.float32)
        for one, target in zip(seen.sums[:3], around, strict=True):
            residuals.box(one, side, target)
        flow.turn(around, np.float32(INVERTED), gain)
    residuals.mean_residual(seen.sums, gain, residual)
    some = (slice(None, None, 3),) * 2
    known = residual[some][seen.sums[residuals.COUNT][some] > 0]
    noise = max(float(np.median(known)), 1e-6) if known.size else 1.0
    # ground that is still to be found at another place leaves residuals like those of clouds
    limits = (noise, TOLERANCE * max(noise, LEAST_NOISE)) if is_near else (1.0, NO_LIMIT)
    system, sums = (np.empty((5, *views.blocks), dtype=np.float32) for _ in range(2))
    residuals.equations(
        views.images, seen.pixels[0], seen.pixels[1], gain, residual, field[0], field[1],
        np.array([limits[0], COLOUR], dtype=np.float32), np.float32(limits[1]), system,
    )  # fmt: skip
    for one, target in zip(system, sums, strict=True):
        residuals.box(one, side, target)
    flow.solve(sums, np.float32(DAMPING), field[0], field[1])
    about, half = bounds
    np.clip(field, about - np.float32(half), about + np.float32(half), out=field)
    return Motion(field, system, sums, gain, residual, noise)


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
    residuals.at_nodes(field, 0.0, 0.0, 1, out)
    out *= 2
    return out
