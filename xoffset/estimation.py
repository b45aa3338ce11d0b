"""estimate(): what a run of correlate will cost, before it runs."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import scipy.fft
import xarray as xr

from xoffset import _blocks, _images, _phase, _pyramid, _request, _search, model
from xoffset._blocks import Lattice, Tile
from xoffset._kernels import dense, zncc
from xoffset._ncc import NCC
from xoffset._phase import Phase
from xoffset._prefilters import Prefilter
from xoffset._pyramid import Pyramid
from xoffset._request import Options, Request
from xoffset._search import Pair

# Nodes times sorts of pairs whose shifts are counted one by one; of more pairs a part is.
COUNTED = 8_000_000
# Pixels of windows that the calibration matches: a few tenths of a second of refinement.
CALIBRATED = 4_000_000
# Proposals that usually differ at a level of a pyramid: no shift at all, and what the level below found.
PROPOSALS = 2
# A kernel is timed so often, or until it has taken so long [s].
REPEATS, LONG_ENOUGH = 3, 0.15
# Fraction of a pixel between the images of the calibration, and the noise of each, as a part of its contrast.
FRACTION, NOISE = 0.3, 0.025
# A block of a dask array is there as read, with its halo, and in part in the blocks beside it.
COPIES = 3
# Arrays of pixels that filters and the search of a pair need for a while.
TRANSIENT = 8
# The same of the phase matcher, in portions of spectra.
PHASE_BUFFERS = 3


class Cost(NamedTuple):
    """What `correlate` will do and need; bytes, seconds on this machine."""

    pairs: int
    nodes: int
    tiles: int
    shifts: int
    cores: int
    memory_per_core: int
    memory: int
    output: int
    cpu_seconds: float
    seconds: float

    def __str__(self) -> str:
        what = f"{_counted(self.nodes, 'window')} x {_counted(self.pairs, 'pair')}, {_counted(self.shifts, 'shift')}"
        duration = [] if math.isnan(self.seconds) else [f"{_duration(self.seconds)} on {_counted(self.cores, 'core')}"]
        needs = [*duration, f"{_bytes(self.memory)} of memory", f"{_bytes(self.output)} of results"]
        return f"{what}: about {', '.join(needs)}"


def estimate(
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int | Sequence[int] = 32,
    search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
    step: int = 8,
    matcher: Literal["ncc", "phase"] | NCC | Phase = "ncc",
    prefilter: str | Prefilter | None = "bandpass",
    prior: xr.Dataset | None = None,
    calibrate: bool = True,
) -> Cost:
    """What `correlate` with the same arguments will cost, before it runs.

    Parameters
    ----------
    stack
        Images (time, y, x) with x and y in metres. No pixel is looked at.
    network
        Pairs of dates, from `pairs`.
    template, search, step, matcher, prefilter, prior
        As in `correlate`.
    calibrate
        Whether to time the matcher on one tile of made-up images. The first call in a new environment also compiles
        it, which takes up to a minute and is not counted.

    Returns
    -------
    pairs, nodes, tiles : int
        Pairs of dates, windows of each, and tiles that the images are divided into, each with all dates.
    shifts : int
        Scores to compute: candidate shifts of all windows whose search stays inside the image, of all pairs, template
        sizes and ways. Exact but for a `Pyramid`, whose number of proposals depends on the images, and for many pairs
        on a large grid with a prior, where a part of the pairs stands for all.
    cores : int
        Cores that this process may use.
    memory_per_core, memory : int
        Largest working memory of one core and of all, in bytes: the pixels of a tile on all dates, or of a dask block,
        what the matcher keeps of each image, and its results before they are labelled. Neither the stack nor the result
        are in it, nor the libraries themselves. Images with holes need up to half as much again.
    output : int
        Size of the result in memory, in bytes: all variables and coordinates.
    cpu_seconds : float
        Time on one core: of the matcher alone, not of reading and writing files. NaN without a calibration.
    seconds : float
        Time on all cores here. NaN without a calibration.

    Raises
    ------
    TypeError
        If `correlate` would raise one, or `calibrate` is neither True nor False.
    ValueError
        If `correlate` would raise one; the message is the same.

    Notes
    -----
    The time of a tile is that of what is done once an image plus that of what is done once a pair. Both are measured on
    red noise, displaced as the prior says plus 0.3 px: the first as the time to match a single window of the tile, the
    second as what all of them take beyond it. They are scaled by area and dates, and by shifts; tiles at the edge of
    the image are measured for themselves. The images may differ from that: windows without texture or data cost less,
    those with scattered holes up to 7 times as much per shift, and `refine="affine"` more where the ground is strained.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0, direction=90.0)
    >>> cost = xoffset.estimate(stack, xoffset.pairs(stack), search=4)
    >>> cost.nodes, cost.pairs, cost.shifts
    (169, 1, 9801)
    """
    calibrate = model.as_switch(calibrate, "calibrate", "estimate")
    request = _request.prepare(stack, network, Options(template, search, step, matcher, prefilter, prior))
    work = _count(request)
    cores = _blocks.cores()
    side = _tasks(stack, request)
    per_core = _memory(stack, request, side)
    tasks = math.prod(math.ceil(count / size) for count, size in zip(request.lattice.nodes, side, strict=True))
    seconds = sum(_seconds(request, part) for part in work) if calibrate else math.nan
    return Cost(
        pairs=len(request.guide.pairs),
        nodes=math.prod(request.lattice.nodes),
        tiles=sum(1 for _ in request.lattice.tiles()),
        shifts=round(sum(part.shifts for part in work)),
        cores=cores,
        memory_per_core=per_core,
        memory=per_core * min(cores, tasks) + _shared(stack, request),
        output=_output(stack, network, request),
        cpu_seconds=seconds,
        # the last round of tasks may leave cores idle
        seconds=seconds * math.ceil(tasks / cores) / tasks,
    )


# ------------------------------------------------------------------------------------------------------------- counting


class Part(NamedTuple):
    """Tiles that cost alike, with one of them and a pair that stand for all."""

    shifts: float  # of all pairs
    pixels: float  # of the windows that are read, one date
    tile: Tile
    pair: Pair


def _count(request: Request) -> list[Part]:
    """Work of the tiles that lie inside the image with all they read, and of the others.

    Beyond the edge of the image the pre-filter does without, which costs more.
    """
    lattice, guide = request.lattice, request.guide
    tiles = list(lattice.tiles())
    windows = [lattice.window(tile) for tile in tiles]
    pixels = np.array([math.prod(part.stop - part.start for part in window) for window in windows])
    is_inside = np.array(
        [all(part.start >= 0 and part.stop <= size for part, size in zip(window, lattice.shape, strict=True))
         for window in windows]
    )  # fmt: skip
    alike = Counter((pair.prior, pair.scale) for pair in guide.pairs)
    kinds = sorted(alike)
    which, where, counts = _count_shifts(request, kinds, tiles)
    weights = np.array([alike[kinds[k]] for k in which])
    share = len(guide.pairs) * len(tiles) / float(weights.sum())
    parts = []
    for wanted in (is_inside, ~is_inside):
        here = wanted[where]
        total = float((weights * counts)[here].sum())
        if total > 0:
            # the tile in which a shift is found on average, not the average tile: most may have little to do
            mean = (weights * counts**2)[here].sum() / total
            typical = np.flatnonzero(here)[np.abs(counts[here] - mean).argmin()]
            is_read = np.unique(where[here & (counts > 0)]).size / np.unique(where[here]).size
            pair = Pair(0, 1, *kinds[which[typical]])
            parts.append(Part(total * share, float(pixels[wanted].sum()) * is_read, tiles[where[typical]], pair))
    return parts


def _count_shifts(
    request: Request, kinds: list[tuple[int, float]], tiles: list[Tile]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shifts of one pair of each kind in each tile, or in as many as can be counted soon: kind, tile and number."""
    lattice, fields = request.lattice, request.guide.fields
    if len(fields) == 0:
        ends = [[(part.start, part.stop) for part in window] for window in tiles]
        inside = [_count_inside(lattice, axis, np.array(ends)[:, axis]) for axis in (0, 1)]
        counts = inside[0] * inside[1] * _scores(np.array(lattice.search), request)
        return np.zeros(len(tiles), dtype=np.int64), np.arange(len(tiles)), counts.astype(np.float64)
    most = max(1, COUNTED // min(lattice.per_tile**2, math.prod(lattice.nodes)))
    chosen = np.random.default_rng(0).permutation(len(kinds) * len(tiles))[:most]
    which, where = np.divmod(np.sort(chosen), len(tiles))
    counts = [_shifts(request, Pair(0, 1, *kinds[k]), tiles[n]) for k, n in zip(which, where, strict=True)]
    return which, where, np.array(counts, dtype=np.float64)


def _count_inside(lattice: Lattice, axis: int, ends: np.ndarray) -> np.ndarray:
    """How many of the nodes from first to last (tile, 2) along an axis can search as far as they should."""
    first = -(-lattice.search[axis] // lattice.step)
    last = (lattice.shape[axis] - lattice.template - lattice.search[axis]) // lattice.step + 1
    return np.asarray(np.maximum(np.minimum(ends[:, 1], last) - np.maximum(ends[:, 0], first), 0))


def _shifts(request: Request, pair: Pair, tile: Tile) -> int:
    """Scores to compute for one pair on the nodes of a tile."""
    candidates = _search.candidates(request.guide.fields[:, *tile], pair, tile, request.lattice)
    return int((_scores(candidates.half, request) * candidates.wanted).sum())


def _scores(half: np.ndarray, request: Request) -> np.ndarray:
    """Scores to compute for nodes with half-ranges (..., 2)."""
    levels = request.lattice.levels
    if levels == 0:
        candidates = (2 * half + 1).prod(axis=-1)
    else:
        coarsest = (2 * (-(-half // (1 << levels)) + 1) + 1).prod(axis=-1)
        near = (2 * np.minimum(half, _pyramid.NARROW) + 1).prod(axis=-1)
        candidates = coarsest + PROPOSALS * levels * near
    ways = 2 if isinstance(request.matcher, NCC) and request.matcher.both_ways else 1
    return np.asarray(candidates * len(request.lattice.templates) * ways)


def _tasks(stack: xr.DataArray, request: Request) -> tuple[int, int]:
    """Node rows and columns of the largest task: a tile, or a block of a dask array."""
    if isinstance(stack.data, np.ndarray):
        rows, columns = (min(request.lattice.per_tile, count) for count in request.lattice.nodes)
        return rows, columns
    kernel = request.kernel(request.guide.pairs)
    found = _blocks.match_tiles(stack.data, request.guide.fields, request.lattice, kernel, request.shape)
    rows, columns = (max(sizes) for sizes in found.chunks[2:])
    return rows, columns


# --------------------------------------------------------------------------------------------------------------- memory


def _memory(stack: xr.DataArray, request: Request, side: tuple[int, int]) -> int:
    """Bytes that a core works with, on a task of so many node rows and columns."""
    lattice = request.lattice
    width = lattice.dtype.itemsize
    shape = [min(lattice.per_tile, count) for count in lattice.nodes]
    outer, inner = (
        math.prod((count - 1) * lattice.step + lattice.template + 2 * beyond for count in shape)
        for beyond in (lattice.margin, lattice.reach)
    )
    working = _images.working_dtype(request.prefilter, lattice.dtype).itemsize
    images = float(inner * _of_images(request, working))
    of_pair = inner * working * TRANSIENT + _buffers(request, shape[1]) * working
    if lattice.levels:
        dates = set.union(*_roles(request))
        coarse = outer * sum(0.25**level for level in range(1, lattice.levels + 1))
        images += len(dates) * (inner * width + coarse * (_of_image(1, working) + 8))
    if isinstance(request.matcher, Phase):
        of_pair = PHASE_BUFFERS * _phase.BUFFER
    results = 2 * math.prod(request.shape) * math.prod(shape) * width
    tile = stack.shape[0] * outer * width + images + of_pair + results
    return round(tile + _block(stack, request, side))


def _roles(request: Request) -> tuple[set[int], set[int]]:
    """Images that serve as reference, and as secondary."""
    references = {pair.reference for pair in request.guide.pairs}
    secondaries = {pair.secondary for pair in request.guide.pairs}
    if isinstance(request.matcher, NCC) and request.matcher.both_ways:
        return references | secondaries, references | secondaries
    return references, secondaries


def _of_images(request: Request, width: int) -> int:
    """Bytes a pixel of what is kept of all images, see `_images.Image`: slopes of some, coefficients of others."""
    references, secondaries = _roles(request)
    kept = len(references | secondaries) * _of_image(len(request.lattice.templates), width)
    return kept + width * (4 * len(references) + len(secondaries))


def _of_image(sizes: int, width: int) -> int:
    """Bytes a pixel of what is kept of every image: pixels, sums and inverse spread; known, valid and flat."""
    return width * (1 + 2 * sizes) + 2 + sizes


def _buffers(request: Request, columns: int) -> int:
    """Numbers that the search of a tile keeps, see `_search.by_blocks` and `dense.search_densely`."""
    lattice = request.lattice
    half = [-(-each // (1 << lattice.levels)) + (lattice.levels > 0) for each in lattice.search]
    shifts, lanes = 2 * half[0] + 1, 2 * half[1] + zncc.LANES
    block = math.gcd(lattice.step, *lattice.templates)
    blocks = ((columns - 1) * lattice.step + lattice.template) // block
    strips = sum(size // block for size in lattice.templates) * columns
    by_blocks = (blocks + strips + columns) * shifts * lanes
    if len(lattice.templates) > 1:
        return by_blocks
    densely = shifts * lanes * (2 * dense.STRIP + lattice.template)
    return min(by_blocks, densely)


def _block(stack: xr.DataArray, request: Request, side: tuple[int, int]) -> int:
    """Bytes of a dask task beyond those of a tile: the pixels of its block, as read and with a halo, and its result."""
    if isinstance(stack.data, np.ndarray):
        return 0
    lattice = request.lattice
    pixels = math.prod(
        min((count - 1) * lattice.step + lattice.template + 2 * lattice.margin, size)
        for count, size in zip(side, lattice.shape, strict=True)
    )
    results = math.prod(request.shape) * math.prod(side) * lattice.dtype.itemsize
    return COPIES * stack.shape[0] * pixels * stack.dtype.itemsize + results


def _shared(stack: xr.DataArray, request: Request) -> int:
    """Bytes of what the cores write into, beside the result that is made of it: of NumPy arrays only."""
    if not isinstance(stack.data, np.ndarray):
        return 0
    return math.prod((*request.shape, *request.lattice.nodes)) * request.lattice.dtype.itemsize


def _output(stack: xr.DataArray, network: xr.Dataset, request: Request) -> int:
    """Bytes of the result: of one like it that holds a single number a variable."""
    number = {name: np.zeros((1, 1, 1), dtype=request.lattice.dtype) for name in request.names}
    number["flags"] = number["flags"].astype(np.int32)
    # of the ways back the result holds the length of their sums
    number |= {name.replace("back", "sum"): value for name, value in number.items() if name.startswith("back")}
    shape = (len(request.guide.pairs), *request.lattice.nodes)
    variables = _request.in_metres(number, model.spacing(stack, "correlate"))
    filled = {name: np.broadcast_to(value, shape) for name, value in variables.items()}
    return int(model.shifts(filled, network, x=request.grid.x, y=request.grid.y, like=stack, step={}).nbytes)


# ---------------------------------------------------------------------------------------------------------- calibration


def _seconds(request: Request, work: Part) -> float:
    """CPU seconds of the matcher on some tiles, from those on one."""
    tile = _no_larger(work, request)
    fields = request.guide.fields[:, *tile]
    candidates = _search.candidates(fields, work.pair, tile, request.lattice)
    images = _images_of(tile, np.median(candidates.centre[candidates.wanted], axis=0), request.lattice)
    # a single window, the one in the middle of those that are wanted
    places = np.argwhere(candidates.wanted)
    row, column = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
    single = np.zeros((max(len(fields), 2), *candidates.wanted.shape), dtype=np.float32)
    single[:, row, column] = fields[:, row, column] if len(fields) else request.lattice.search
    pairs = [Pair(0, 1, work.pair.prior, work.pair.scale)]
    references, secondaries = _roles(request)
    if references & secondaries:
        # most images serve as both, and need what either needs
        pairs.append(Pair(1, 0, work.pair.prior, -work.pair.scale))
    kernel = request.kernel(pairs)
    of_images = _timed(kernel, images, tile, single)
    of_pairs = max(_timed(kernel, images, tile, fields) - of_images, 0.0)
    scores = _scores(candidates.half, request) * candidates.wanted
    beyond = len(pairs) * max(int(scores.sum() - scores[row, column]), 1)
    dates = len(references | secondaries)
    return float(of_images / 2 * dates * work.pixels / images[0].size + of_pairs * work.shifts / beyond)


def _no_larger(work: Part, request: Request) -> Tile:
    """The tile that stands for all, or its middle if all of it would take long."""
    most = max(math.isqrt(CALIBRATED // request.lattice.template**2), 1)
    first = [max((part.start + part.stop - most) // 2, part.start) for part in work.tile]
    rows, columns = (slice(at, min(at + most, part.stop)) for at, part in zip(first, work.tile, strict=True))
    return (rows, columns) if _shifts(request, work.pair, (rows, columns)) else work.tile


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


def _timed(kernel: _blocks.TileKernel, images: np.ndarray, tile: Tile, guide: np.ndarray) -> float:
    """CPU seconds of a kernel on a tile: the median of several calls, after one that compiles it."""
    kernel(images, tile, guide)
    spent: list[float] = []
    while len(spent) < REPEATS and sum(spent) < LONG_ENOUGH:
        start = time.thread_time()
        kernel(images, tile, guide)
        spent.append(time.thread_time() - start)
    return sorted(spent)[len(spent) // 2]


# -------------------------------------------------------------------------------------------------------------- wording


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 100.0:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000.0 else f"{seconds / 3600:.1f} h"


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"
