"""Matching: where the time of a node goes, kernel by kernel, against what one core can compute and move.

python benchmarks/matching_kernels.py [--small]     a minute
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from _measure import Extent, Rows, cpu_seconds, on_one_core, run
from _scenes import pair

from xoffset._arrays.filters.gaussian import gaussian_taps
from xoffset._arrays.filters.options import Bandpass
from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching import images as imaging
from xoffset._arrays.matching import search as searching
from xoffset._arrays.matching import significance
from xoffset._arrays.matching.images import Image
from xoffset._arrays.matching.search import Candidates, Pair
from xoffset._blocks import tiles
from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.matching import autocorrelation, refine, zncc
from xoffset._kernels.matching.autocorrelation import BLOCK, MOST_POINTS
from xoffset.matching import request

# Gauss-Newton steps of a window, about.
STEPS = 4


def peak(extent: Extent) -> Rows:
    """What one core can do at most: multiply-adds in registers, and copying arrays from L2 and from memory."""
    rounds = 200 if extent == "small" else 20_000
    values, out = np.linspace(0.0, 1.0, 1024, dtype=np.float32), np.empty(1024, dtype=np.float32)
    seconds = cpu_seconds(partial(_multiply_and_add, values, out, rounds))
    rows = [{"what": "multiply-adds, GFLOP/s", "rate": 2e-9 * CHAIN * values.size * rounds / seconds}]
    for name, size in (("copy within L2, GB/s", 2**16), ("copy through memory, GB/s", 2**26)):
        source, target = np.ones(size, dtype=np.float32), np.empty(size, dtype=np.float32)
        repeats = max(1, (2**20 if extent == "small" else 2**27) // size)
        seconds = cpu_seconds(partial(_copy, source, target, repeats))
        rows.append({"what": name, "rate": 2e-9 * source.nbytes * repeats / seconds})
    return rows


CHAIN = 32


@hot_kernel
def _multiply_and_add(values, out, rounds):
    """A polynomial of degree CHAIN of each value, by Horner's rule: nothing but multiply-adds."""
    for _ in range(rounds):
        for k in range(values.size):
            x = values[k]
            y = x
            for _step in range(CHAIN):
                y = y * x + x
            out[k] = y
        values[0] = out[1] * values.dtype.type(0.5)


def _copy(source: np.ndarray, target: np.ndarray, repeats: int) -> None:
    for _ in range(repeats):
        np.copyto(target, source)


class Tile(NamedTuple):
    """One tile in the middle of an image pair, ready to be matched."""

    raw: np.ndarray
    lattice: Lattice
    frame: Any
    images: tuple[Image, Image]
    nodes: zncc.Nodes
    candidates: Candidates


def kernels(extent: Extent) -> Rows:
    """Microseconds a node of the parts of S1 on one tile; operations and bytes as the algorithms need them.

    Bytes: arrays in and out, once each; what a part needs again while it works stays in the caches. Operations: a
    multiply-add counts two.
    """
    template, search, step = (16, 6, 8) if extent == "small" else (32, 20, 8)
    tile = _tile(template, search, step)
    first, second = tile.images
    count = tile.nodes.rows * tile.nodes.columns
    peaks, flags = searching.search(first, second, tile.nodes, tile.candidates, 0.5)
    prepare = partial(_prepare, tile, 0)
    parts = {
        "band-pass of both images": lambda: (prepare(), _prepare(tile, 1)),
        "sums of both images": lambda: (_anew(first, "flat", "statistics"), _anew(second, "flat", "statistics")),
        "slopes and spline": lambda: (_anew(first, "slopes"), _anew(second, "coefficients")),
        "search": partial(searching.search, first, second, tile.nodes, tile.candidates, 0.5),
        "  of it block products": partial(_products, tile),
        "significance": partial(_chance, tile, peaks),
        "refinement and covariance": partial(_refine, tile, peaks[0], flags[0]),
    }
    operations = _operations(tile, template, search, step)
    fastest = peak(extent)[0]["rate"]
    rows = []
    for name, call in parts.items():
        seconds = cpu_seconds(call, 0 if extent == "small" else 5)
        flops, moved = operations[name]
        rows.append(
            {"part": name, "us a node": 1e6 * seconds / count, "kflop a node": 1e-3 * flops / count}
            | {"kB a node": 1e-3 * moved / count, "GFLOP/s": 1e-9 * flops / seconds}
            | {"% of peak": 1e-7 * flops / seconds / fastest, "GB/s": 1e-9 * moved / seconds}
        )
    return rows


def _tile(template: int, search: int, step: int) -> Tile:
    filtered = Bandpass()
    stack, _ = pair(512, snr=4.0)
    options = request.Options(template, search, step, "ncc", filtered, None)
    lattice = request.prepare(stack, stack.offset.pairs(), options).lattice
    start = -(-64 // step)
    part = (slice(start, start + lattice.per_tile),) * 2
    raw = tiles.cut(stack.values, None, (0, 0), part, lattice)
    frame = lattice.frame(part)
    images = tuple(imaging.prepare(each, frame, (template,), filtered, lattice.dtype) for each in raw)
    nodes = zncc.Nodes(lattice.per_tile, lattice.per_tile, lattice.reach, lattice.reach, step, template)
    wanted = searching.candidates(np.empty((0, 0, 0)), Pair(0, 1), part, lattice)
    return Tile(raw, lattice, frame, (images[0], images[1]), nodes, wanted)


def _prepare(tile: Tile, date: int) -> Image:
    templates = (tile.nodes.template,)
    return imaging.prepare(tile.raw[date], tile.frame, templates, Bandpass(), tile.lattice.dtype)


def _anew(image: Image, *names: str) -> None:
    """Compute cached properties again."""
    for name in names:
        image.__dict__.pop(name, None)
        getattr(image, name)


def _products(tile: Tile) -> None:
    """All blocks of the tile, without the sums and the scores that follow."""
    nodes, box = tile.nodes, tile.candidates.box
    block = math.gcd(nodes.step, nodes.template)
    lanes = -(-box[3] // zncc.LANES) * zncc.LANES
    columns = np.arange(nodes.left, nodes.left + (nodes.columns - 1) * nodes.step + nodes.template, block)
    origin, shape = np.tile(box[:2], (columns.size, 1)), np.tile([box[2], lanes], (columns.size, 1))
    wanted, out = np.ones(columns.size, np.uint8), np.empty((columns.size, box[2] * lanes), np.float32)
    first, second = (image.filtered[None] for image in tile.images)
    for y in range(nodes.top, nodes.top + (nodes.rows - 1) * nodes.step + nodes.template, block):
        zncc.products(first, second, y, columns, block, origin, shape, wanted, out)


def _chance(tile: Tile, peaks: np.ndarray) -> None:
    for image in tile.images:
        image.textures.clear()
        image.kurtoses.clear()
    significance.doubts(*tile.images, tile.nodes, tile.candidates, np.empty((2, 0, 0), np.uint8), peaks)


def _refine(tile: Tile, peaks: np.ndarray, flags: np.ndarray) -> None:
    first, second = tile.images
    first.sums.clear()
    out = np.empty((*flags.shape, 6), dtype=np.float32)
    everything, wanted = np.empty((2, 0, 0), dtype=np.uint8), np.ones(flags.shape, dtype=np.uint8)
    gain = np.float32(first.colour.gain)
    refine.refine(
        first.filtered,
        first.slopes,
        gain,
        second.coefficients,
        everything,
        first.template_sums(tile.nodes),
        tile.nodes,
        peaks,
        wanted,
        out,
        flags.copy(),
    )


def _operations(tile: Tile, template: int, search: int, step: int) -> dict[str, tuple[float, float]]:
    """Floating-point operations and bytes of each part for a tile, counted by hand from the kernels."""
    block = math.gcd(step, template)
    pixels = tile.raw[0].size
    nodes = tile.nodes.rows * tile.nodes.columns
    inner = ((tile.nodes.rows - 1) * step + template) ** 2
    lanes = (2 * search + 1) * (-(-(2 * search + 1) // zncc.LANES) * zncc.LANES)
    candidates = (2 * search + 1) ** 2
    window = template**2
    taps = sum(gaussian_taps(sigma, np.dtype(np.float32)).size // 2 for sigma in (0.7, 3.0))
    lags = autocorrelation.lags(template, tile.images[0].colour_reach).y.size
    blocks, points = pixels / BLOCK**2, min(MOST_POINTS, template // BLOCK) ** 2
    products = 2.0 * inner * lanes
    # a strip of blocks for each row of them, then the strips of each window; subtract, multiply twice, compare thrice
    sums = lanes * (template // block - 1.0) * (nodes * step / block + nodes) + 6.0 * candidates * nodes
    moved = 7.0 * (template + 3) * template + 16.0 * window
    return {
        "band-pass of both images": (2.0 * pixels * (2 * (3.0 * taps + 2) + 8), 2.0 * pixels * 4 * 5),
        "sums of both images": (2.0 * pixels * 13, 2.0 * pixels * 4 * 4),
        "slopes and spline": (pixels * (14.0 + 2 * (3.0 * taps + 2) + 16), pixels * 4.0 * 8),
        "search": (products + sums, inner * 4.0 * 6 + nodes * 4.0 * 13),
        "  of it block products": (products, inner * 4.0 * 2),
        "significance": (
            2 * lags * (2.0 * pixels + 9 * blocks) + nodes * points * 3.0 * lags,
            2 * (4.0 * pixels + 12.0 * lags * blocks),
        ),
        "refinement and covariance": (
            nodes * (STEPS * moved + 60.0 * window),
            pixels * 4.0 * 6 + nodes * 4.0 * (13 + 6),
        ),
    }


PARTS = (peak, kernels)

if __name__ == "__main__":
    on_one_core()
    run("matching_kernels", PARTS)
