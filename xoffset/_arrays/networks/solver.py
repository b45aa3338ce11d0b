"""Networks of pairs solved block by block: matches merged, weights formed, pixels laid side by side for the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from xoffset._arrays.networks import adjustment, graph
from xoffset._arrays.networks import strips as strips_of_pixels
from xoffset._arrays.networks.observations import Observations
from xoffset._arrays.networks.strips import Method, Network, SeriesLayers, Strip, strips_of
from xoffset._kernels.networks import chains, drift, groups, losses, observations, references, systems, variances

# Fewest and most pixels that are solved at a time, and how many of their pairs and dates together. Of many pixels a
# call of a kernel costs little, and threads, which wait for each other between the calls, do so seldom; of too many
# what is read again is no longer in the cache.
LANES = 128, 512
AT_ONCE = 2**15
# Pixels whose groups of dates are counted at a time.
NARROW = 128
# Memory that the matrices of the pixels solved at a time may take, bytes; if they need more, fewer are solved.
MATRICES = 32 * 2**20
# Pixels whose variances are split between dates at a time: their arrays stay in the cache of a core.
WIDE = 512
# Share of the displacements known with the best reference date that another one should keep.
ENOUGH = 0.9


@dataclass(frozen=True)
class Setup:
    """What all pixels of a network share.

    ends (pair, 2) of each match, as indices into times (date,) [yr]; home: dates whose mean displacement is zero;
    `base`: weights of the matches (pair,) that take the place of the inverse variances, or multiply them
    (`is_relative`). None: a field of weights is given, or the inverse variances are the weights. A match whose given
    weight is no positive finite number takes no part. shared (pair,): variance [m²] of each match which all pixels
    share, which the inverse variances hold as weights and the standard errors do not. growth (date,): of the drift, see
    `graph.growth`. factor, shares: of `Network`. residual_scale, residual_limit [m]: of the loss `losses.RESIDUAL`.
    """

    ends: np.ndarray
    times: np.ndarray
    home: Sequence[int] = (0,)
    loss: int = losses.HUBER
    islands: int = groups.NAN
    smooth: float = 0.0
    residual_scale: float = np.inf
    residual_limit: float = np.inf
    base: np.ndarray | None = None
    is_relative: bool = False
    has_field: bool = False
    has_prior: bool = False
    factor: np.ndarray | None = field(default=None)
    growth: np.ndarray | None = field(default=None)
    shares: np.ndarray | None = field(default=None)
    shared: np.ndarray | None = field(default=None)

    @cached_property
    def seen(self) -> Observations:
        """Matches as observations."""
        return Observations.of(self.ends)

    @cached_property
    def network(self) -> Network:
        """Network of the observations."""
        return _network(self.seen.ends, self)

    @property
    def layers(self) -> int:
        """Number of layers of the result of `solve`."""
        return SeriesLayers.places(self.times.size, has_root=self.islands == groups.SEPARATE).count

    @property
    def is_general(self) -> bool:
        """Whether the weights are anything but the inverse variances, or the series is smoothed."""
        return self.is_weighted or self.smooth != 0.0 or self.loss == losses.RESIDUAL

    @property
    def is_weighted(self) -> bool:
        """Whether weights are given."""
        return self.base is not None or self.has_field or self.shared is not None


def solve(*fields: np.ndarray, setup: Setup) -> np.ndarray:
    """`SeriesLayers` of a block of pixels, (layer, rows, columns).

    fields: dx, dy and their standard errors (pair, rows, columns); then, if there are, weights (pair, rows, columns),
    and the dx and dy of a prior (date, rows, columns).
    """
    rows, columns = fields[0].shape[1:]
    flat = [array.reshape(array.shape[0], rows * columns) for array in fields]
    seen, network = setup.seen, setup.network
    residuals = setup.residual_scale, setup.residual_limit
    method = Method(setup.loss, setup.islands, setup.smooth, setup.is_general, *residuals)
    s = _strip(fields[:4], network, rows * columns, setup.is_general)
    dates = setup.times.size
    out = np.empty((setup.layers, rows * columns), dtype=fields[0].dtype)
    found = np.full((setup.layers, s.lanes), np.nan)
    layers = SeriesLayers.of(found, dates)
    growth = graph.growth(setup.times, seen.ends) if setup.growth is None else setup.growth
    for pixels in _pixels(flat[0], flat[1], s.lanes, setup):
        _fill(s, flat, pixels, seen, setup)
        adjustment.invert(network, method, s, layers)
        slope_variance(network, s, growth, layers.variance, layers.drift)
        # beyond all of the variances there is no share, and without any the noise is that of the pairs
        is_all = (s.is_blind > 0.0) & np.isfinite(layers.share)
        layers.share[:] = np.where(is_all, 1.0, np.minimum(layers.share, 1.0))
        out[:, pixels] = found
    return out.reshape(-1, rows, columns)


def kept(*fields: np.ndarray, setup: Setup) -> np.ndarray:
    """How many displacements of a block are known with each date as reference, (2, date): all, and of what moves.

    fields as for `solve`. What "tukey" takes away later is not known here.
    """
    count = fields[0].shape[1] * fields[0].shape[2]
    flat = [array.reshape(array.shape[0], count) for array in fields]
    seen, dates = setup.seen, setup.times.size
    lanes = max(1, min(NARROW, count))
    matches = np.empty((3, len(setup.ends), lanes), np.result_type(*fields[:3]))
    used, votes = np.empty((len(seen.ends), lanes), np.int16), np.empty(lanes, np.int16)
    root, has_pairs = np.empty((2, dates, lanes), np.int16)
    out, needs_sigma, done = np.zeros((2, dates), np.int64), not setup.is_weighted or setup.is_relative, 0
    for pixels in strips_of(count, lanes):
        for layer, array in zip(matches, flat, strict=False):
            layer[:] = array[:, pixels]
        _leave_out(matches, flat, pixels, setup)
        references.find(seen.group, matches, needs_sigma, used, votes)
        references.connect(seen.ends, used, root, has_pairs)
        # the last strip has pixels of the one before
        references.count(root, has_pairs, votes, done - pixels.start, out)
        done = pixels.stop
    return out


def best_reference(kept: np.ndarray, ends: np.ndarray) -> int:
    """Date with which most displacements are known; of several, most of what moves; then that with the most pairs.

    kept (2, date) from `kept`; ends (pair, 2).
    """
    degree = graph.degree(kept.shape[1], graph.undirected(ends))
    return int(np.lexsort((-np.arange(degree.size), degree, kept[1], kept[0]))[-1])


def better_reference(kept: np.ndarray, ends: np.ndarray, home: Sequence[int]) -> int | None:
    """Best reference where one of the dates `home` loses too much of all displacements, or of what moves; or None."""
    best = best_reference(kept, ends)
    return best if (kept[:, list(home)].min(axis=1) < ENOUGH * kept[:, best]).any() else None


def noise(
    ends: np.ndarray, times: np.ndarray, merged: np.ndarray, pull: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variances of the dates (2, date, rows, columns), and the share of those of the pairs that is their own.

    ends (observation, 2), merged (4, observation, rows, columns) from `Observations.merge`; times (date,) [yr]; shares:
    of `Network`. The share (rows, columns) is what the misclosure shows. Where little is redundant it is, as far as
    nothing tells, the one that makes the sum of the pairs, each by its `pull` (observation,) over its variance, err
    more; NaN without any variances.
    """
    _, observed, rows, columns = merged.shape
    flat = merged.reshape(4, observed, rows * columns)
    of_dates, share = np.empty((2, times.size, rows * columns)), np.empty(rows * columns)
    for pixels, s in _noisy(_network(ends, Setup(ends, times, shares=shares)), flat, losses.HUBER):
        known = np.where(s.is_blind > 0.0, np.nan, s.of_date)
        variances.worse(ends, pull, s.merged[2:], known, s.least_share, s.share)
        of_dates[:, :, pixels], share[pixels] = known, s.share
    return of_dates.reshape(2, times.size, rows, columns), share.reshape(rows, columns)


def likelihoods(ends: np.ndarray, times: np.ndarray, merged: np.ndarray) -> np.ndarray:
    """Logarithms of the likelihoods of `chains.SHARES`, (share, pixel), NaN where changes tell none; as for `noise`."""
    flat = merged.reshape(*merged.shape[:2], -1)
    out = np.empty((len(chains.SHARES), flat.shape[2]))
    for pixels, s in _noisy(_network(ends, Setup(ends, times)), flat, losses.LINEAR):
        out[:, pixels] = np.where(s.is_blind > 0.0, np.nan, s.likelihood)
    return out


def _noisy(network: Network, merged: np.ndarray, loss: int) -> Iterator[tuple[slice, Strip]]:
    """Pixels (4, observation, pixel) strip by strip after `adjustment.noise`."""
    s = _strip((merged[:0, 0],), network, merged.shape[2], False)
    for pixels in strips_of(merged.shape[2], s.lanes):
        s.merged[:] = merged[:, :, pixels]
        _load(s, None)
        adjustment.noise(network, s, loss)
        yield pixels, s


def _network(ends: np.ndarray, setup: Setup) -> Network:
    # smoothness ties each date to the two before
    first = graph.envelope(setup.times.size, ends, diagonals=1 if setup.smooth == 0.0 else 2)
    home = np.array(setup.home, dtype=np.int64)
    return Network.of(ends, first, home, setup.times, setup.factor, setup.shares)


def _strip(fields: Sequence[np.ndarray], network: Network, pixels: int, needs_whole: bool) -> Strip:
    dates = network.first.size
    width = int((np.arange(dates) - network.first).max(initial=0)) + 1
    one = 8 * dates * (4 * width + dates * needs_whole)
    lanes = abreast(len(network.ends), dates, pixels, one)
    return strips_of_pixels.strip(fields[0].shape[0], np.result_type(*fields), network, lanes, needs_whole)


def abreast(pairs: int, dates: int, pixels: int, one: int) -> int:
    """How many pixels are solved at a time; one: bytes of the matrices of a pixel."""
    wanted = min(max(AT_ONCE // (pairs + dates), LANES[0]), LANES[1])
    return max(1, min(wanted, pixels, MATRICES // one))


def _pixels(dx: np.ndarray, dy: np.ndarray, lanes: int, setup: Setup) -> Iterator[np.ndarray | slice]:
    """Pixels to be solved at a time; those that miss the same pairs side by side, if they share a matrix."""
    strips = strips_of(dx.shape[1], lanes)
    if setup.base is None or setup.is_relative:
        yield from strips
        return
    pattern = np.packbits(np.isfinite(dx) & np.isfinite(dy), axis=0)
    order = np.lexsort(pattern)
    yield from (order[strip] for strip in strips)


def _fill(
    s: Strip,
    fields: list[np.ndarray],
    pixels: np.ndarray | slice,
    seen: Observations,
    setup: Setup,
) -> None:
    """Load observations, variances, weights and prior of a strip of pixels."""
    for layer, array in zip(s.matches, fields, strict=False):
        layer[:] = array[:, pixels]
    given = _leave_out(s.matches, fields, pixels, setup)
    seen.merge_strip(s.matches, s.merged)
    if given is not None:
        given = _mean_of_matches(given, s.matches, seen.group, len(s.weight))
        needs_sigma = setup.is_relative and setup.shared is None
        given = given * 2.0 / (s.merged[2] + s.merged[3]) if needs_sigma else given
    _load(s, given)
    if setup.has_prior:
        s.prior[0], s.prior[1] = (array[:, pixels] for array in fields[-2:])


def _leave_out(
    matches: np.ndarray, fields: list[np.ndarray], pixels: np.ndarray | slice, setup: Setup
) -> np.ndarray | None:
    """Weights that are given (pair, lanes), if any; matches whose weight is no positive finite number become NaN."""
    if not setup.is_weighted:
        return None
    if setup.shared is not None:
        given = _total_weight(matches, setup.shared, setup.base)
    else:
        given = setup.base[:, None] if setup.base is not None else fields[4][:, pixels].astype(np.float64)
    given = np.broadcast_to(given, matches.shape[1:])
    matches[:2, ~((given > 0.0) & (given < np.inf))] = np.nan
    return given


def _total_weight(matches: np.ndarray, shared: np.ndarray, base: np.ndarray | None) -> np.ndarray:
    """Inverse of the mean of the two variances (match, lanes) with what all pixels share, times the base if there is.

    It is NaN of a match that has no standard errors of its own.
    """
    sigma = np.where(matches[2:4] > 0.0, matches[2:4], np.nan).astype(np.float64)
    variance = sigma[0] ** 2 + sigma[1] ** 2 + 2.0 * shared[:, np.newaxis]
    return np.asarray(2.0 / variance if base is None else 2.0 / variance * base[:, np.newaxis])


def _load(s: Strip, given: np.ndarray | None) -> None:
    weight = s.weight[:0] if given is None else np.ascontiguousarray(given)
    observations.load(s.merged, weight, s.observed, s.variance, s.weight, s.n_pairs, s.is_blind, s.total)


def _mean_of_matches(given: np.ndarray, matches: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Mean weight (observation, pixels) of the matches of each observation that are there."""
    if count == len(group) and (np.diff(group) > 0).all():
        return given
    is_there = np.isfinite(matches[0]) & np.isfinite(matches[1])
    total, number = np.zeros((2, count, given.shape[1]))
    np.add.at(total, group, np.where(is_there, given, 0.0))
    np.add.at(number, group, is_there)
    return np.asarray(total / np.maximum(number, 1.0))


# ------------------------------------------------------------------------------------------- blocks, strip by strip


def date_variance(ends: np.ndarray, variance: np.ndarray, out: np.ndarray) -> None:
    """Share of each date in the variances of its pairs.

    ends (pair, 2); variance (pair, rows, columns), NaN where a pair is missing; out (date, rows, columns), NaN where a
    date has no pair.
    """
    flat, into = variance.reshape(len(variance), -1), out.reshape(len(out), -1)
    lanes = max(1, min(WIDE, flat.shape[1]))
    of_pairs, of_dates = np.empty((len(flat), lanes), np.float32), np.empty((len(into), lanes), np.float32)
    work = np.empty((3, *of_dates.shape), np.float32)
    for pixels in strips_of(flat.shape[1], lanes):
        of_pairs[:] = flat[:, pixels]
        variances.split(ends, of_pairs, of_dates, work[0], work[1:])
        into[:, pixels] = of_dates


def slope_variance(network: Network, s: Strip, growth: np.ndarray, of_dates: np.ndarray, out: np.ndarray) -> None:
    """Variance that the noise of pairs adds to the slope of a line through a series.

    Parameters
    ----------
    network, s
        As `adjustment.invert` leaves them: with the factor of the normal matrix, the weights, the variances of pairs
        and dates, and the share of the variances of the pairs that is their own.
    growth
        (date,) [yr2] from `graph.growth`.
    of_dates
        (2, date, lanes) variance of each date of the series along x and y, NaN where the date is unknown. What the
        noise of the pairs contributes to them is not added again.
    out
        (2, lanes) result along x and y, squared per year; NaN where nothing tells.
    """
    lever, rise, spread = np.empty(s.state.shape), np.empty((1, *s.state.shape)), np.empty(s.lanes)
    drift.levers(network.times, s.state, of_dates, lever, spread)
    drift.pull(s.root, lever, rise)
    systems.solve(network.first, s.factor, rise)
    drift.add_up(network.ends, s.effective, s.variance, s.least_of_date, s.is_blind, s.share, rise, out)
    drift.take_off(network.factor, of_dates, s.of_date, s.is_blind, s.share, lever, out)
    drift.tell(growth, lever, spread, s.share, out)
