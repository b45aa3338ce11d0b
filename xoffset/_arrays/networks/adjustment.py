"""Adjustment of the network of pairs of a strip of pixels: which kernels are called, and in which order.

Kernels are small and called from here, because what is compiled at the first use is what counts then, and no option
pays for another: only losses that are robust, series that are smoothed, and so on, compile what they need.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xoffset._arrays.networks.strips import Method, Network, SeriesLayers, Strip
from xoffset._kernels.networks import groups, losses, smoothing, systems, variances

# A robust loss is solved in two stages: first with the same leverage for all pairs, then with that of each pair.
# Most reweighting steps of the first stage: it only has to come near.
EQUAL_STEPS = 3
# Change of the solution at which a pixel has settled in the first stage, in units of the noise of the pairs.
EQUAL_TOLERANCE = 0.1
# Most reweighting steps of the second stage.
STEPS = 100
# Change of the solution at which a pixel has settled in the second stage, in units of the noise of the pairs.
TOLERANCE = 0.02
# Steps of the second stage that share a normal matrix, because factoring it takes most of the time.
RENEWAL = 5
# Factor on the first scale, which is that of the least-squares residuals: outliers have made it too large.
FIRST_SCALE = 0.6
# Steps at the start that estimate the scale freely. Afterwards only every third step estimates it, and never raises it,
# so that the solution settles.
NEW_SCALES = 3
# Least scale in the first stage, as a share of the root mean square residual. Pairs that nothing checks have no
# residual; where most are such, their median would make the scale zero.
LEAST_SCALE = 0.01
# Variance of the "l1" solution, the spatial median, over that of least squares, for normal noise of two components.
L1_EXCESS = 4.0 / np.pi
# Factor of its weight below which a pair is an outlier and is left out.
REJECTED = 0.01
# Strengths of smoothing that cross-validation tries, each half a decade above the one before.
TRIES = 19
# Decimal logarithm of the first strength, relative to that which weighs as much as the pairs.
FIRST_RATIO = -5.0


# ------------------------------------------------------------------------------------------------------------- results


def invert(network: Network, method: Method, s: Strip, out: SeriesLayers) -> None:
    """Displacement of each date since the reference by robust weighted least squares.

    s: with observed, variance, weight and prior of the pixels, n_pairs, is_blind and total from `observations.load`.
    Of the results all but the drift are filled.
    """
    is_smooth = method.smooth != 0.0
    s.strength.fill(0.0)
    _group(network, s, is_smooth)
    _complete_variances(s)
    for axis in range(2):
        variances.split(network.ends, s.variance[axis], s.of_date[axis], s.work)
    _fit(network, s, method.loss)
    if not method.is_general and method.loss in (losses.LINEAR, losses.HUBER):
        _sum_inverse(network, s, has_inverse=method.loss == losses.HUBER)
        np.copyto(s.factor, s.band)
    if method.loss != losses.LINEAR:
        _settle_each(network, s, method.loss)
    losses.residuals(network.ends, s.weight, s.redundancy, s.observed, s.solution, s.length)
    _share(s, method.loss)
    if is_smooth:
        _smooth(network, method, s)
    if method.loss == losses.TUKEY:
        _reject(network, s, is_smooth)
    _covariance(network, method, s, out.variance)
    if method.islands == groups.BRIDGE and s.n_groups.max() > 1.0:
        groups.bridge(network.times, network.home[0], s.state, s.root, s.solution, out.variance)
    _write(network, method, s, out)


def noise(network: Network, s: Strip, loss: int) -> None:
    """Fill s.share and s.least_share of the variances that belongs to the pairs; s as for `invert`."""
    groups.connect(network.ends, s.weight, s.state, s.root)
    root = np.where(s.state == groups.CONNECTED, s.root, -1)
    groups.classify(network.home, s.n_pairs, s.state, s.root, s.n_groups, s.members, s.redundant)
    # no date is the reference here, and a pixel that lacks the first one has unknowns all the same
    s.root[:] = root
    _complete_variances(s)
    _fit(network, s, loss)
    _settle_each(network, s, loss)
    losses.residuals(network.ends, s.weight, s.redundancy, s.observed, s.solution, s.length)
    _share(s, loss)


def _write(network: Network, method: Method, s: Strip, out: SeriesLayers) -> None:
    groups.write(network.home, method.islands, s.state, s.root, s.solution, out.displacement, out.variance)
    if method.islands == groups.SEPARATE and s.n_groups.max() > 1.0:
        groups.separate(s.state, s.root, s.solution, out.displacement)
    out.state[:] = s.state
    known = np.where(s.state[network.home[0]] == groups.CONNECTED, 1.0, np.nan)
    np.multiply(known, s.misclosure, out=out.misclosure)
    out.n_pairs[:] = s.n_pairs
    out.n_groups[:] = s.n_groups
    out.n_outliers[:] = s.n_outliers
    np.multiply(known, s.share, out=out.share)
    out.has_settled[:] = s.is_settled
    np.multiply(known, np.sqrt(s.strength), out=out.smooth)


# -------------------------------------------------------------------------------------------------------------- groups


def _group(network: Network, s: Strip, is_smooth: bool) -> None:
    """Groups of dates that pairs of positive weight connect; a smoothed series has those of the reference alone."""
    groups.connect(network.ends, s.weight, s.state, s.root)
    groups.classify(network.home, s.n_pairs, s.state, s.root, s.n_groups, s.members, s.redundant)
    if is_smooth:
        groups.keep_reference(network.ends, s.members, s.state, s.root, s.weight, s.redundant)


def _reject(network: Network, s: Strip, is_smooth: bool) -> None:
    """Take pairs out whose weight the loss has taken away, and group what is left."""
    before, n_groups = s.state.copy(), s.n_groups.copy()
    s.weight[~(s.trust >= REJECTED)] = 0.0
    _group(network, s, is_smooth)
    np.multiply(s.weight, s.trust, out=s.effective)
    if is_smooth:
        # a smoothed series has left the pairs of other groups out before
        np.add(s.n_groups, n_groups - (before[network.home[0]] == groups.CONNECTED), out=s.n_groups)
        s.state[(s.state == groups.NO_PAIRS) & (before == groups.DISCONNECTED)] = groups.DISCONNECTED


# ------------------------------------------------------------------------------------------------------ linear systems


def _prepare(network: Network, s: Strip) -> None:
    """Normal matrices of all pixels, factored."""
    systems.assemble(network.ends, s.effective, s.band)
    systems.ground(s.root, True, s.band)
    systems.factor(network.first, s.band)


def _prepare_smooth(network: Network, s: Strip, strength: np.ndarray) -> None:
    """As `_prepare`, with a penalty of the strength (lanes) on changes of velocity."""
    systems.assemble(network.ends, s.effective, s.band)
    smoothing.stiffen(network.times, s.root, strength, s.band)
    systems.ground(s.root, False, s.band)
    systems.factor(network.first, s.band)


def _prepare_equal(network: Network, s: Strip) -> None:
    """As `_prepare`, with one factor for all pixels if they have the same pairs with the same weights."""
    if not (_is_alike(s.effective) and _is_alike(s.root)):
        _prepare(network, s)
        return
    one, root = (np.ascontiguousarray(array[..., :1]) for array in (s.effective, s.root))
    band = np.empty((*s.band.shape[:2], 1))
    systems.assemble(network.ends, one, band)
    systems.ground(root, True, band)
    systems.factor(network.first, band)
    s.band[:] = band


def _is_alike(array: np.ndarray) -> bool:
    """Whether all pixels of an array (n, lanes) are the same."""
    return bool((array[0] == array[0, 0]).all() and (array == array[:, :1]).all())


def _sum_inverse(network: Network, s: Strip, has_inverse: bool) -> None:
    """Sums of the rows of the inverse, and the inverse itself within the envelope, unless it is there."""
    if not has_inverse:
        systems.invert(network.first, s.band, s.inverse)
    systems.unknowns(s.root, s.sums[0])
    systems.solve(network.first, s.band, s.sums)


def _step(network: Network, s: Strip) -> None:
    """Solve for the change of the solution and add it where a pixel has not settled."""
    systems.gradient(network.ends, s.root, s.effective, s.observed, s.solution, s.change)
    systems.solve(network.first, s.band, s.change)
    systems.advance(s.change, s.is_settled, s.solution, s.largest_change, s.largest)


# ---------------------------------------------------------------------------------------------------------------- loss


def _fit(network: Network, s: Strip, loss: int) -> None:
    """Solve all pixels by least squares, then with a loss as if what residuals show were the same in all pairs.

    A robust loss ends with the factor, the inverse and the redundancies of weights that are nearly final.
    """
    s.is_settled.fill(0.0)
    s.solution.fill(0.0)
    s.scale.fill(0.0)
    np.copyto(s.effective, s.weight)
    _prepare_equal(network, s)
    _step(network, s)
    losses.share_redundancy(s.weight, s.redundant, s.mean_weight, s.redundancy)
    if loss == losses.LINEAR:
        s.is_settled.fill(1.0)
        return
    losses.residuals(network.ends, s.weight, s.redundancy, s.observed, s.solution, s.length)
    losses.leave_unchecked(s.length, s.redundant, s.mean_weight, s.largest, s.redundancy)
    _settle(network, s, losses.L1 if loss == losses.L1 else losses.HUBER, is_first=True)
    _prepare(network, s)
    systems.invert(network.first, s.band, s.inverse)
    losses.redundancies(network.ends, s.root, s.weight, s.effective, s.inverse, s.redundancy)


def _settle_each(network: Network, s: Strip, loss: int) -> None:
    """Go on from `_fit` with the redundancy of each pair; s.is_settled is 1 where the loss settled."""
    s.is_settled.fill(0.0)
    if loss == losses.TUKEY:
        # it ends in the solution that is next to its start, whose scale it keeps
        _settle(network, s, losses.HUBER, is_first=False)
        s.is_settled.fill(0.0)
    _settle(network, s, loss, is_first=False)


def _settle(network: Network, s: Strip, loss: int, is_first: bool) -> None:
    """Reweight and step until the solutions of all pixels stay where they are, or steps are out.

    Steps of Newton's kind with one factor (Huber's algorithm), which the loss never exceeds. In the first stage all
    pairs have one leverage, and the matrix at the start knows nothing of the loss.
    """
    steps, tolerance = (EQUAL_STEPS, EQUAL_TOLERANCE) if is_first else (STEPS, TOLERANCE)
    # "huber" has its last matrix from the first stage; those of "l1" change with every step
    renewal = 1 if is_first or loss == losses.L1 else RENEWAL
    has_matrix = 1 if loss == losses.HUBER and not is_first else 0
    # pairs that nothing checks may be most of them, as long as all count alike
    least = LEAST_SCALE if is_first else 0.0
    for step in range(steps):
        losses.residuals(network.ends, s.weight, s.redundancy, s.observed, s.solution, s.length)
        if loss != losses.TUKEY and (step < NEW_SCALES or step % NEW_SCALES == 0):
            may_rise = step < NEW_SCALES
            losses.rescale(s.length, least, may_rise, s.mean_weight, s.largest, s.is_settled, s.scale)
        if is_first and step == 0:
            np.multiply(s.scale, FIRST_SCALE, out=s.scale)
        losses.reweigh(loss, s.length, s.scale, s.is_settled, s.weight, s.trust, s.effective)
        if (step + has_matrix) % renewal == 0:
            _prepare(network, s)
        _step(network, s)
        if losses.settle(tolerance, s.scale, s.mean_weight, s.largest_change, s.largest, s.is_settled) == 0:
            break


# --------------------------------------------------------------------------------------------------------- error model


def _complete_variances(s: Strip) -> None:
    if s.is_blind.any():
        variances.complete(s.weight, s.n_pairs, s.variance, s.is_blind)


def _share(s: Strip, loss: int) -> None:
    """Share of the variances that is the pairs' own, outliers and misclosure."""
    known = s.length, s.redundancy, s.weight, s.variance, s.scale, s.n_pairs, s.is_blind
    variances.share_of_pairs(loss != losses.LINEAR, *known, s.share, s.least_share, s.n_outliers, s.misclosure)


def _covariance(network: Network, method: Method, s: Strip, out: np.ndarray) -> None:
    """Variance of each date (2, date, lanes) with the weights that the loss left.

    Those of "l1" hang on the noise itself, and the solution varies as if all pairs counted.
    """
    excess = 1.0
    if method.loss == losses.L1:
        np.copyto(s.effective, s.weight)
        excess = L1_EXCESS
    if method.is_general:
        _general_covariance(network, method, s, excess, out)
        np.copyto(s.factor, s.band)
        return
    if method.loss in (losses.TUKEY, losses.L1):
        _prepare(network, s)
        _sum_inverse(network, s, has_inverse=False)
        np.copyto(s.factor, s.band)
    of_pairs = s.root, s.inverse, s.sums[0]
    variances.of_dates(network.factor, excess, *of_pairs, s.of_date, s.total, s.is_blind, s.share, out)


def _general_covariance(network: Network, method: Method, s: Strip, excess: float, out: np.ndarray) -> None:
    """As `_covariance`, for any weights and any smoothness."""
    home, dates = network.home[0], network.first.size
    if method.smooth != 0.0:
        _prepare_smooth(network, s, s.strength)
    else:
        _prepare(network, s)
    s.whole.fill(0.0)
    systems.unknowns(s.root, s.sums[0])
    for k in range(dates):
        s.whole[k, k] = s.sums[0, k]
        systems.solve(network.first, s.band, s.whole[k : k + 1])
    counts, means, row = np.empty((3, dates, s.lanes))
    variances.centre(home, s.state, s.root, s.whole, counts, means)
    of_pairs = s.root, s.effective, s.whole, counts, means, s.variance, s.share, row
    of_dates = s.state, s.root, row, counts, s.of_date, s.is_blind, s.share
    for k in range(dates):
        variances.gain_of_pairs(k, network.ends, excess, *of_pairs, out)
        variances.gain_of_dates(k, home, network.factor, *of_dates, out)


# ---------------------------------------------------------------------------------------------------------- smoothness


def _smooth(network: Network, method: Method, s: Strip) -> None:
    """Penalised least squares with the weights that the loss left; pairs are judged by their misclosure alone."""
    if method.smooth < 0.0:
        _cross_validate(network, s)
    else:
        s.strength.fill(method.smooth * method.smooth)
    s.solution.fill(0.0)
    _prepare_smooth(network, s, s.strength)
    _pull(network, s, s.strength)
    np.add(s.solution, s.change, out=s.solution)
    variances.misclosure(network.ends, s.weight, s.observed, s.solution, s.misclosure)


def _pull(network: Network, s: Strip, strength: np.ndarray) -> None:
    """Change that leads from the present solution to the smooth one."""
    systems.gradient(network.ends, s.root, s.effective, s.observed, s.solution, s.change)
    smoothing.straighten(network.times, s.root, strength, s.prior, s.solution, s.change)
    systems.solve(network.first, s.band, s.change)


def _cross_validate(network: Network, s: Strip) -> None:
    """Strength of the smoothness of every pixel that predicts its dates best (generalised cross-validation)."""
    plain, least, parameters = s.solution.copy(), np.full(s.lanes, np.inf), np.empty(s.lanes)
    s.solution.fill(0.0)
    for trial in _trials(network, s):
        _prepare_smooth(network, s, trial)
        systems.invert(network.first, s.band, s.inverse)
        smoothing.trace(network.ends, s.root, s.effective, s.inverse, parameters)
        _pull(network, s, trial)
        smoothing.compare(s.state, s.members, parameters, trial, s.change, plain, least, s.strength)


def _trials(network: Network, s: Strip) -> Iterator[np.ndarray]:
    """Strengths (lanes) from well below to well above those that weigh as much as the pairs."""
    data, penalty = np.empty((2, s.lanes))
    systems.assemble(network.ends, s.effective, s.band)
    smoothing.stiffness(s.root, s.band, data)
    s.band.fill(0.0)
    smoothing.stiffen(network.times, s.root, np.ones(s.lanes), s.band)
    smoothing.stiffness(s.root, s.band, penalty)
    scale = np.divide(data, penalty, out=np.zeros(s.lanes), where=penalty > 0.0)
    for attempt in range(TRIES):
        yield 10.0 ** (0.5 * attempt + FIRST_RATIO) * scale
