"""Networks of pairs solved block by block: matches merged, weights formed, pixels laid side by side for the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from xoffset import _graph
from xoffset._kernels import drift, laplacian, observations

# Pixels that are solved at a time, fewer if their matrices would take more than so many bytes.
LANES, MATRICES = 64, 32 * 2**20
# With more pairs a date than this, what their noise adds to a velocity is about a hundredth of its standard error, and
# not worth its time.
TIED = 4


@dataclass(frozen=True)
class Setup:
    """What all pixels of a network share.

    ends (pair, 2) of each match, as indices into times (date,) [yr]; home: dates whose mean displacement is zero;
    `base`: weights of the matches (pair,) that take the place of the inverse variances, or multiply them
    (`is_relative`). None: a field of weights is given, or the inverse variances are the weights. A match whose given
    weight is no positive finite number takes no part.
    """

    ends: np.ndarray
    times: np.ndarray
    home: Sequence[int] = (0,)
    loss: int = laplacian.HUBER
    islands: int = laplacian.NAN
    smooth: float = 0.0
    base: np.ndarray | None = None
    is_relative: bool = False
    has_field: bool = False
    has_prior: bool = False
    factor: np.ndarray | None = field(default=None)

    @property
    def layers(self) -> int:
        """Layers of the result of `solve`."""
        return 5 * self.times.size + laplacian.EXTRA + 2

    @property
    def is_general(self) -> bool:
        """Whether the weights are anything but the inverse variances, or the series is smoothed."""
        return self.base is not None or self.has_field or self.smooth != 0.0


def solve(*fields: np.ndarray, setup: Setup) -> np.ndarray:
    """Layers of `laplacian.invert`, then those of `drift.drift`, (layer, rows, columns) of a block of pixels.

    fields: dx, dy and their standard errors (pair, rows, columns); then, if there are, weights (pair, rows, columns),
    and the dx and dy of a prior (date, rows, columns).
    """
    rows, columns = fields[0].shape[1:]
    flat = [array.reshape(array.shape[0], rows * columns) for array in fields]
    matches = _graph.observations(setup.ends)
    factor = np.ones((2, setup.times.size)) if setup.factor is None else setup.factor
    network = _network(matches[0], setup, factor)
    method = laplacian.Method(setup.loss, setup.islands, setup.smooth, setup.is_general)
    out = np.empty((setup.layers, rows * columns), dtype=fields[0].dtype)
    scratch = _scratch(network, rows * columns, setup.is_general)
    dates, lanes = setup.times.size, scratch.weight.shape[1]
    found = np.full((setup.layers, lanes), np.nan)
    of_dates, share = found[2 * dates : 4 * dates].reshape(2, dates, lanes), found[5 * dates + laplacian.SHARE]
    for pixels in _pixels(flat[0], flat[1], lanes, setup):
        of_pairs = _fill(scratch, [np.ascontiguousarray(array[:, pixels]) for array in flat], matches, setup)
        laplacian.invert(network, method, scratch, found[:-2])
        if len(setup.ends) <= TIED * dates:
            drift.drift(network.ends, network.times, factor, of_dates, of_pairs, share, found[-2:])
        out[:, pixels] = found
    return out.reshape(-1, rows, columns)


def noise(ends: np.ndarray, dates: int, merged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances of the dates (2, date, rows, columns), and the share of those of the pairs that is their own.

    ends (observation, 2), merged (4, observation, rows, columns) from `observations.merge`. The share (rows, columns)
    is what the misclosure shows, and experience where little is redundant; NaN if neither that nor variances are known.
    """
    _, observed, rows, columns = merged.shape
    of_dates = np.empty((2, dates, rows, columns))
    for axis in range(2):
        laplacian.date_variance(ends, merged[2 + axis], of_dates[axis])
    share = np.empty(rows * columns)
    flat = merged.reshape(4, observed, rows * columns)
    setup = Setup(ends, np.arange(dates, dtype=np.float64))
    network = _network(ends, setup, np.ones((2, dates)))
    scratch = _scratch(network, share.size, False)
    lanes = scratch.weight.shape[1]
    for start in range(0, share.size, lanes):
        pixels = slice(min(start, share.size - lanes), min(start, share.size - lanes) + lanes)
        part = np.ascontiguousarray(flat[:, :, pixels])
        laplacian.load(part, part[0, :0], scratch)
        laplacian.noise(network, scratch, laplacian.HUBER, share[pixels])
    return of_dates, share.reshape(rows, columns)


def _network(ends: np.ndarray, setup: Setup, factor: np.ndarray) -> laplacian.Network:
    first = _graph.envelope(setup.times.size, ends)
    if setup.smooth != 0.0:
        first = np.minimum(first, np.maximum(np.arange(first.size) - 2, 0))
    home = np.array(setup.home, dtype=np.int64)
    return laplacian.Network(ends, first, home, np.ascontiguousarray(setup.times), factor)


def _scratch(network: laplacian.Network, pixels: int, needs_dense: bool) -> laplacian.Scratch:
    dates = network.first.size
    width = int((np.arange(dates) - network.first).max(initial=0)) + 1
    one = 8 * dates * (3 * width + dates * needs_dense)
    return laplacian.scratch(len(network.ends), dates, width, max(1, min(LANES, pixels, MATRICES // one)), needs_dense)


def _pixels(dx: np.ndarray, dy: np.ndarray, lanes: int, setup: Setup) -> Iterator[np.ndarray | slice]:
    """Groups of pixels to be solved at a time; those that miss the same pairs side by side, if they share a matrix.

    The last group overlaps the one before rather than being smaller: what is solved twice gives the same bits.
    """
    count = dx.shape[1]
    starts = [min(start, count - lanes) for start in range(0, count, lanes)]
    if setup.base is None or setup.is_relative:
        yield from (slice(start, start + lanes) for start in starts)
        return
    pattern = np.packbits(np.isfinite(dx) & np.isfinite(dy), axis=0)
    order = np.lexsort(pattern)
    yield from (order[start : start + lanes] for start in starts)


def _fill(
    scratch: laplacian.Scratch,
    fields: list[np.ndarray],
    matches: tuple[np.ndarray, np.ndarray, np.ndarray],
    setup: Setup,
) -> np.ndarray:
    """Load observations, variances, weights and prior of a group of pixels; return the variances (2, pair, pixels)."""
    ends, group, sign = matches
    displacement, given = fields[:2], None
    if setup.base is not None or setup.has_field:
        given = np.broadcast_to(setup.base[:, None] if setup.base is not None else fields[4], fields[0].shape)
        is_weighed = (given > 0.0) & (given < np.inf)
        displacement = [np.where(is_weighed, array, np.nan) for array in displacement]
    merged = np.empty((4, len(ends), 1, fields[0].shape[1]))
    observations.merge(group, sign, *(array[:, None] for array in (*displacement, *fields[2:4])), merged)
    found = merged[:, :, 0]
    weight = found[0, :0]
    if given is not None:
        given = _mean_of_matches(given, displacement, group, len(ends))
        weight = given * 2.0 / (found[2] + found[3]) if setup.is_relative else given
    laplacian.load(found, np.ascontiguousarray(weight), scratch)
    if setup.has_prior:
        scratch.prior[0], scratch.prior[1] = fields[-2:]
    return found[2:]


def _mean_of_matches(given: np.ndarray, displacement: list[np.ndarray], group: np.ndarray, count: int) -> np.ndarray:
    """Mean weight (observation, pixels) of the matches of each observation that are there."""
    if count == len(group) and (np.diff(group) > 0).all():
        return given
    is_there = np.isfinite(displacement[0]) & np.isfinite(displacement[1])
    total, number = np.zeros((2, count, given.shape[1]))
    np.add.at(total, group, np.where(is_there, given, 0.0))
    np.add.at(number, group, is_there)
    return total / np.maximum(number, 1.0)
