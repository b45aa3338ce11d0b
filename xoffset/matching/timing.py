"""Seconds of a matcher, measured on a tile of made-up images."""

from __future__ import annotations

import math
import time

import numpy as np
import scipy.fft

from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import search
from xoffset._arrays.matching.search import Pair
from xoffset._blocks.tiles import TileKernel
from xoffset.matching.cost import Part, count_scores, count_shifts
from xoffset.matching.request import Request

# Most pixels that are matched to measure the speed, counted in every window: refining them takes a few tenths of a
# second.
CALIBRATED = 4_000_000
# Most calls of a kernel that are timed; their median counts.
REPEATS = 3
# Time after which no further call is timed, seconds: the first calls of a slow kernel are precise enough.
LONG_ENOUGH = 0.15
# Shift between the two made-up images beyond whole pixels, px: refinement has to search for it as in real images.
FRACTION = 0.3
# Standard deviation of the noise added to the made-up images, as a share of that of their pixels.
NOISE = 0.025


def cpu_seconds(request: Request, work: Part) -> float:
    """CPU seconds of the matcher on some tiles, from those on one."""
    tile = _no_larger(work, request)
    fields = request.guide.fields[:, *tile]
    candidates = search.candidates(fields, work.pair, tile, request.lattice)
    images = _images_of(tile, np.median(candidates.centre[candidates.wanted], axis=0), request.lattice)
    if request.lattice.fade > 0:
        return _of_whole_tiles(request, work, images, tile)
    # a single window, the one in the middle of those that are wanted
    places = np.argwhere(candidates.wanted)
    row, column = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
    single = np.zeros((max(len(fields), 2), *candidates.wanted.shape), dtype=np.float32)
    single[:, row, column] = fields[:, row, column] if len(fields) else request.lattice.search
    pairs = [Pair(0, 1, work.pair.prior, work.pair.scale)]
    references, secondaries = search.roles(request.guide.pairs, request.matcher.ways)
    if references & secondaries:
        # most images serve as both, and need what either needs
        pairs.append(Pair(1, 0, work.pair.prior, -work.pair.scale))
    kernel = request.kernel(pairs)
    of_images = _timed(kernel, images, tile, single)
    of_pairs = max(_timed(kernel, images, tile, fields) - of_images, 0.0)
    scores = count_scores(candidates.half, request) * candidates.wanted
    beyond = len(pairs) * max(int(scores.sum() - scores[row, column]), 1)
    dates = len(references | secondaries)
    return float(of_images / 2 * dates * work.pixels / images[0].size + of_pairs * work.shifts / beyond)


def _of_whole_tiles(request: Request, work: Part, images: np.ndarray, tile: Tile) -> float:
    """As `cpu_seconds`, of a matcher that solves for all pixels of a tile at once, whatever is asked for."""
    pairs = [Pair(0, 1, work.pair.prior, work.pair.scale), Pair(1, 0, work.pair.prior, -work.pair.scale)]
    fields = request.guide.fields[:, *tile]
    one, two = (_timed(request.kernel(pairs[:count]), images, tile, fields) for count in (1, 2))
    of_pair = max(two - one, 0.0)
    dates = sum(len(request.only(batch)[0]) for batch in request.batches)
    seconds = (one - of_pair) / 2 * dates + of_pair * len(request.guide.pairs)
    return float(seconds * work.pixels / images[0].size)


def _no_larger(work: Part, request: Request) -> Tile:
    """The tile that stands for all, or its middle if all of it would take long."""
    most = max(math.isqrt(CALIBRATED // request.lattice.template**2), 1)
    first = [max((part.start + part.stop - most) // 2, part.start) for part in work.tile]
    rows, columns = (slice(at, min(at + most, part.stop)) for at, part in zip(first, work.tile, strict=True))
    return (rows, columns) if count_shifts(request, work.pair, (rows, columns)) else work.tile


def _images_of(tile: Tile, shift: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Red noise (2, height, width) in the window of a tile, displaced by `shift` (y, x) and a fraction of a pixel."""
    window = lattice.window(tile)
    shape = [part.stop - part.start for part in window]
    random = np.random.default_rng(0)
    along_y, along_x = scipy.fft.fftfreq(shape[0])[:, None], scipy.fft.rfftfreq(shape[1])
    frequency = np.maximum(np.hypot(along_y, along_x), 1.0 / max(shape))
    texture = scipy.fft.rfft2(random.standard_normal(shape)) / frequency**1.3
    phases = np.exp(-2j * np.pi * (along_y * (shift[0] + FRACTION) + along_x * (shift[1] + FRACTION)))
    images = np.stack([scipy.fft.irfft2(spectrum, s=shape) for spectrum in (texture, texture * phases)])
    images += NOISE * images.std() * random.standard_normal(images.shape)
    for axis, (part, size) in enumerate(zip(window, lattice.shape, strict=True), start=1):
        outside = (np.arange(part.start, part.stop) < 0) | (np.arange(part.start, part.stop) >= size)
        np.moveaxis(images, axis, 0)[outside] = np.nan
    return images.astype(lattice.dtype)


def _timed(kernel: TileKernel, images: np.ndarray, tile: Tile, guide: np.ndarray) -> float:
    """CPU seconds of a kernel on a tile: the median of several calls, after one that compiles it."""
    kernel(images, tile, guide)
    spent: list[float] = []
    while len(spent) < REPEATS and sum(spent) < LONG_ENOUGH:
        start = time.thread_time()
        kernel(images, tile, guide)
        spent.append(time.thread_time() - start)
    return sorted(spent)[len(spent) // 2]
