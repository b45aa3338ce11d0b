"""A displacement field of two images, dense: linear equations of the pixels under total variation of the field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xoffset._arrays.matching.dense_colour import colour as measured
from xoffset._arrays.matching.dense_colour import typical
from xoffset._arrays.matching.dense_images import Even
from xoffset._kernels.matching import growth, refine, residuals, variation

# Factor between the noise of sums of slopes times residual and that of a white one, until it is measured.
COLOUR = 2.9
# Side of the square around a block whose information counts as that of its surroundings, in blocks.
SURROUNDINGS = 31
# Side of the square whose contrast gives the gain of a block, in blocks.
GAIN_SIDE = 9
# Mean squared residual, in times that of the noise, at which a block has half of its weight; least variance of the
# noise that this is counted from, of images of unit variance.
TOLERANCE, LEAST_NOISE = 6.0, 0.02
# Step of the field from one node to the next, px, above which it costs less a pixel; and its part on each coarser grid,
# whose nodes average over what is small. With half of it, motion that changes by a tenth of a pixel each pixel breaks
# into steps; with more, or the same on all grids, objects of 8 px that move by 2 px are lost.
SOFT_STEP, OF_COARSER = 1.2, 0.7
# Information of a block, over that of those around if they were trusted, up to which its steps count for less.
LITTLE = 1 / 16
# Correlation by which the shift of a neighbour must be better than that of a block; below LIKELY all are alike.
CHANGE, LIKELY = 0.02, 0.65
# Smoothness with which the prior is as strong as it usually should be: strength 1.
SMOOTHNESS = 0.3
# Weight of the variation, over the root of the information around a block, of a prior of strength 1. Chosen with the
# landslide, the fault and the discs of the benchmarks: less leaves more noise, more takes away small objects.
USUAL = 2.6
# Distances in blocks of the neighbours whose shifts a block tries.
GROWTH = (2, 1, 2, 1)
# Iterations of each look at the second image, on grids of 2, 4, 8 ... px; coarser ones take the last number.
PLANS = ((12, 20, 30, 40), (20, 20, 20, 20), (40, 20, 20, 20))
# Strength of the prior above which there are more iterations, in proportion, and how many times more at most.
STRONG, LONGEST = 2.0, 20.0
# Least side of a grid, in nodes.
LEAST_GRID = 4
# Step of the field over the inverse of the mean information; the best of .03 to .2 on the scenes of the benchmarks.
RATE = 0.07
# Blocks with less than this part of the mean information do not count for the mean: there is no ground, or a cloud.
LEAST_INFORMATION = 0.02


class Prior(NamedTuple):
    """How a field is expected to vary."""

    strength: float  # 1: as usual
    metric: np.ndarray  # (6,) float32, see `variation.descend`


@dataclass(frozen=True)
class Solution:
    """A field on blocks of 2x2 px, and what it was made of; arrays are (..., rows, columns) float32."""

    field: np.ndarray  # (2, rows, columns) along x and y, px
    system: np.ndarray  # (5, rows, columns), see `residuals.equations`
    limit: np.ndarray  # weight of the variation
    level: np.ndarray  # mean information around each block, if all pixels were trusted; of any unit
    dual: np.ndarray  # (4, rows, columns)
    gain: np.ndarray  # of the second image
    residual: np.ndarray  # mean squared one around each block
    noise: float  # variance of the residual, about: the median of those of blocks
    shared: np.ndarray  # (3, rows, columns): sums of products of slopes of both images, along x, across and along y
    known: np.ndarray  # 1 for blocks with pixels that both images know, else 0


@dataclass(frozen=True)
class Views:
    """Two images over the pixels where a field is sought; all are float32."""

    images: np.ndarray  # (3, height, width): the first one and its slopes along x and y
    weight: np.ndarray  # (height, width) of the first one
    first: Even
    other: Even
    origin: tuple[int, int]  # (y, x) in the second image of the first pixel
    side: int  # of the square whose correlation a block is judged by, in blocks, odd
    min_valid: float  # share of a window's pixels that both images must know
    support: int = 1  # side of the square over which equations are averaged, in blocks, odd

    @property
    def blocks(self) -> tuple[int, int]:
        """Rows and columns of the field."""
        return self.weight.shape[0] // residuals.BLOCK, self.weight.shape[1] // residuals.BLOCK


class Seen(NamedTuple):
    """The second image at a field."""

    pixels: np.ndarray  # (2, height, width): its values, and the weight where it is known
    sums: np.ndarray  # (4, rows, columns) around each block, see `residuals.look`
    near: np.ndarray  # the same of wider squares, of the two energies only


def pixels_at(views: Views, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Second image at a field (2, rows, columns), and sums over blocks: as `pixels` of `Seen`, see `residuals.look`."""
    pixels = np.empty((2, *views.weight.shape), dtype=np.float32)
    sums = np.empty((4, *views.blocks), dtype=np.float32)
    residuals.look(
        views.images[0], views.weight, views.other.coefficients, views.other.weight, views.origin, field[0], field[1],
        pixels[0], pixels[1], sums,
    )  # fmt: skip
    return pixels, sums


def look(views: Views, field: np.ndarray) -> Seen:
    """Second image at a field (2, rows, columns)."""
    pixels, sums = pixels_at(views, field)
    around, near = np.empty_like(sums), np.empty_like(sums[:2])
    for one, target in zip(sums, around, strict=True):
        residuals.box(one, views.side, target)
    for one, target in zip(sums[:2], near, strict=True):
        residuals.box(one, GAIN_SIDE, target)
    return Seen(pixels, around, near)


def grown(views: Views, start: np.ndarray) -> np.ndarray:
    """Start whose blocks have taken over the shifts of neighbours that suit them better."""
    field = start.astype(np.float32)
    score = np.full(views.blocks, growth.UNSEEN, dtype=np.float32)
    limits = tuple(np.float32(each) for each in (views.min_valid, LIKELY, CHANGE))
    for distance in GROWTH:
        before = field.copy()
        growth.grow(
            views.images[0], views.weight, views.other.coefficients, views.other.weight, views.origin, views.side,
            distance, limits, before, field, score,
        )  # fmt: skip
    return field


def solve(views: Views, start: np.ndarray, prior: Prior) -> Solution:
    """Field of least variation that explains the second image by the first, from a start that is about right."""
    field = grown(views, start)
    level = _level(views)
    dual = np.zeros((4, *views.blocks), dtype=np.float32)
    colour = COLOUR
    for k, plan in enumerate(PLANS):
        seen = look(views, field)
        gain = np.empty_like(field[0])
        residuals.gains(seen.near[0], seen.near[1], gain)
        # what the start has left to find is no noise
        if k > 0:
            colour = measured(views.images, views.weight, views.other, views.origin, field, gain) or COLOUR
        system, residual, noise = _equations(views, seen, field, gain, colour)
        limit = np.float32(USUAL * prior.strength) * np.sqrt(level / np.float32(colour * noise) + np.float32(1e-6))
        settle(system, limit, prior, plan, field, dual)
    known = (seen.sums[residuals.COUNT] > 0).astype(np.float32)
    return Solution(field, system, limit, level, dual, gain, residual, noise, _shared(views, seen, gain, system), known)


def _level(views: Views) -> np.ndarray:
    """Mean information of the known pixels around each block."""
    energy, share, level, count = (np.empty(views.blocks, dtype=np.float32) for _ in range(4))
    variation.halve(views.weight * (views.images[1] ** 2 + views.images[2] ** 2), np.float32(0.5), energy)
    variation.halve(views.weight, np.float32(0.25), share)
    residuals.box(energy, SURROUNDINGS, level)
    residuals.box(share, SURROUNDINGS, count)
    level /= np.maximum(count, np.float32(1.0))
    return level


def _shared(views: Views, seen: Seen, gain: np.ndarray, system: np.ndarray) -> np.ndarray:
    """Sums over blocks of products of slopes of the first and of the second image, weighted like the equations.

    The noise of an image has slopes too, which the products of its own slopes hold, in any direction. It has none in
    common with that of the other image.
    """
    first_x, first_y = views.images[1:]
    second_x, second_y = np.empty_like(first_x), np.empty_like(first_y)
    refine.slopes(seen.pixels[0], second_x, second_y)
    both = seen.pixels[1]
    of_block = np.empty_like(gain)
    variation.halve(both * (first_x * first_x + first_y * first_y), np.float32(1.0), of_block)
    weight = gain * (system[0] + system[2]) / np.maximum(of_block, np.float32(1e-12))
    out = np.empty((3, *views.blocks), dtype=np.float32)
    mixed = np.empty_like(weight)
    for one, other, target in (
        (first_x, second_x, out[0]),
        (first_y, second_y, out[2]),
        (first_x, second_y, out[1]),
        (first_y, second_x, mixed),
    ):
        variation.halve(both * one * other, np.float32(1.0), target)
    out[1] = (out[1] + mixed) / 2
    out *= weight
    return out


def _equations(
    views: Views, seen: Seen, field: np.ndarray, gain: np.ndarray, colour: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Equations of the pixels at a field, mean squared residuals by block, and the variance of the noise."""
    residual = np.empty_like(gain)
    residuals.mean_residual(seen.sums, gain, residual)
    some = (slice(None, None, 3),) * 2
    known = residual[some][seen.sums[residuals.COUNT][some] > 0]
    noise = typical(known)
    system = np.empty((5, *views.blocks), dtype=np.float32)
    residuals.equations(
        views.images, seen.pixels[0], seen.pixels[1], gain, residual, field[0], field[1],
        np.array([noise, colour], dtype=np.float32), np.float32(TOLERANCE * max(noise, LEAST_NOISE)), system,
    )  # fmt: skip
    if views.support > 1:
        mean = np.empty_like(gain)
        for layer in system:
            residuals.box(layer, views.support, mean)
            np.multiply(mean, np.float32(1.0 / views.support**2), out=layer)
    return system, residual, noise


def settle(
    system: np.ndarray,
    limit: np.ndarray,
    prior: Prior,
    plan: tuple[int, ...],
    field: np.ndarray,
    dual: np.ndarray,
    soft_step: float = SOFT_STEP,
) -> None:
    """Minimise, coarse grids first, which carry the long waves; field (2, rows, columns) and dual are replaced."""
    rows, columns = (size // 2 for size in field.shape[1:])
    if min(rows, columns) >= LEAST_GRID:
        coarse = np.empty((5, rows, columns), dtype=np.float32)
        for fine, target in zip(system, coarse, strict=True):
            variation.halve(fine, np.float32(1.0), target)
        weight, before = np.empty((rows, columns), dtype=np.float32), np.empty((2, rows, columns), dtype=np.float32)
        variation.halve(limit, np.float32(0.5), weight)
        for fine, target in zip(field, before, strict=True):
            variation.halve(fine, np.float32(0.25), target)
        after = before.copy()
        settle(
            coarse, weight, prior, plan[1:] or plan, after, np.zeros((4, rows, columns), dtype=np.float32),
            OF_COARSER * soft_step,
        )  # fmt: skip
        for component in range(2):
            variation.add_change(after[component], before[component], field[component])
    limit = limit.copy()
    # the limit holds the root of the information that there usually is, of one component
    full = np.float32(0.5 * (USUAL * prior.strength) ** 2 / LITTLE)
    step = np.float32(soft_step * max(prior.strength, 1.0))
    variation.soften(field[0], field[1], system[0], system[2], step, full, limit)
    information = mean_information(system)
    # the stronger the prior, the farther must what one block tells be carried
    longer = min(max(prior.strength / STRONG, 1.0), LONGEST)
    tau = np.float32(RATE / math.sqrt(longer) / max(information, 1e-6))
    work = np.empty((5, *field.shape[1:]), dtype=np.float32)
    variation.descend(system, limit, prior.metric, tau, round(longer * plan[0]), field[0], field[1], dual, work)


def mean_information(system: np.ndarray) -> float:
    """Mean information along an axis of the blocks that know something."""
    both = system[0] + system[2]
    least = LEAST_INFORMATION * float(both.mean(dtype=np.float64))
    return 0.5 * float(both.mean(dtype=np.float64, where=both >= least))


def metric_along(direction: tuple[float, float] | None, across: float) -> np.ndarray:
    """Metric of the variation: 1 along a direction of columns and rows, `across` beside it; alike if it is None."""
    if direction is None:
        return np.array([1, 0, 1, 1, 0, 1], dtype=np.float32)
    length = math.hypot(*direction)
    x, y = direction[0] / length, direction[1] / length
    xx, xy, yy = x * x + across * y * y, (1 - across) * x * y, y * y + across * x * x
    return np.array([xx, xy, yy, yy / across, -xy / across, xx / across], dtype=np.float32)
