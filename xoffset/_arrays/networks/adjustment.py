"""Adjustment of the network of pairs of a strip of pixels: which kernels are called, and in which order.

Kernels are small and called from here, because what is compiled at the first use is what counts then, and no option
pays for another: only losses that are robust, series that are smoothed, and so on, compile what they need.
"""

from __future__ import annotations

import numpy as np

from xoffset._arrays.networks import linear, smoothness
from xoffset._arrays.networks.strips import Method, Network, SeriesLayers, Strip
from xoffset._kernels.networks import chains, consistency, groups, losses, systems, variances

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
# Factor of its weight below which a pair is an outlier and is left out.
REJECTED = 0.01


# ------------------------------------------------------------------------------------------------------------- results


def invert(network: Network, method: Method, s: Strip, out: SeriesLayers) -> None:
    """Displacement of each date since the reference by robust weighted least squares.

    s: with observed, variance, weight and prior of the pixels, n_pairs, is_blind and total from `observations.load`.
    Of the results all but the drift are filled.
    """
    is_smooth = method.smooth != 0.0
    s.strength.fill(0.0)
    _group(network, s, method.islands, is_smooth)
    _complete_variances(s)
    for axis in range(2):
        variances.split(network.ends, s.variance[axis], s.of_date[axis], s.least_of_date[axis], s.work)
    _fit(network, s, method.loss)
    if method.loss == losses.RESIDUAL:
        _reweigh_once(network, method, s)
    if not method.is_general and method.loss in (losses.LINEAR, losses.HUBER):
        linear.sum_inverse(network, s, has_inverse=method.loss == losses.HUBER)
    elif method.loss in (losses.LINEAR, losses.RESIDUAL):
        systems.invert(network.first, s.band, s.inverse)
    if method.loss not in (losses.LINEAR, losses.RESIDUAL):
        _settle_each(network, s, method.loss)
    losses.residuals(network.ends, s.weight, s.redundancy, s.observed, s.solution, s.length)
    _share(network, s, method.loss)
    of_pairs = s.weight, s.variance, s.observed, s.solution, s.scale, s.share
    consistency.disagree(network.by_baseline, network.ends, *of_pairs, out.is_inconsistent)
    plain = s.solution.copy() if is_smooth else s.solution
    if is_smooth:
        smoothness.smooth(network, method, s)
    if method.loss == losses.TUKEY:
        _reject(network, method, s)
    if is_smooth:
        smoothness.judge(network, method, s, plain, out.variance)
    else:
        _covariance(network, method, s, out.variance)
    if method.islands == groups.BRIDGE and (s.n_groups.max() > 1.0 or s.lacks.any()):
        groups.bridge(network.times, network.home, s.zero, s.lacks, s.state, s.root, s.solution, out.variance)
    _write(network, method, s, out)


def noise(network: Network, s: Strip, loss: int) -> None:
    """Fill s.of_date, and s.share and s.least_share of the variances that belongs to the pairs; s as for `invert`."""
    _group(network, s, groups.SEPARATE, is_smooth=False)
    _complete_variances(s)
    for axis in range(2):
        variances.split(network.ends, s.variance[axis], s.of_date[axis], s.least_of_date[axis], s.work)
    _fit(network, s, loss)
    if loss == losses.LINEAR:
        systems.invert(network.first, s.band, s.inverse)
    else:
        _settle_each(network, s, loss)
    losses.residuals(network.ends, s.weight, s.redundancy, s.observed, s.solution, s.length)
    _share(network, s, loss)


def _write(network: Network, method: Method, s: Strip, out: SeriesLayers) -> None:
    groups.write(network.home, s.lacks, method.islands, s.state, s.root, s.solution, out.displacement, out.variance)
    if method.islands == groups.SEPARATE and (s.n_groups.max() > 1.0 or s.lacks.any()):
        groups.separate(s.lacks, s.state, s.root, s.solution, out.displacement)
    if len(out.root):
        has_own_zero = (s.state == groups.DISCONNECTED) | ((s.state == groups.CONNECTED) & (s.lacks > 0.0))
        out.root[:] = np.where(has_own_zero, s.root, -1)
    out.state[:] = s.state
    if method.islands != groups.NAN:
        out.state[(s.lacks > 0.0) & (s.state == groups.CONNECTED)] = groups.OWN_ZERO
    if method.smooth != 0.0:
        out.state[(s.far > 0.0) & (s.state == groups.CONNECTED)] = groups.FAR
    known = np.where(s.members > 0.0, 1.0, np.nan)
    np.multiply(known, s.misclosure, out=out.misclosure)
    out.n_pairs[:] = s.n_pairs
    out.n_groups[:] = s.n_groups
    out.n_outliers[:] = s.n_outliers
    np.multiply(known, s.share, out=out.share)
    out.has_settled[:] = s.is_settled
    np.multiply(known, np.sqrt(s.strength), out=out.smooth)


# -------------------------------------------------------------------------------------------------------------- groups


def _group(network: Network, s: Strip, islands: int, is_smooth: bool) -> None:
    """Groups of dates that pairs of positive weight connect; a smoothed series has those of the reference alone."""
    groups.connect(network.ends, s.weight, s.state, s.root)
    found = s.zero, s.lacks, s.n_groups, s.members, s.redundant
    groups.classify(network.home, islands, s.n_pairs, s.state, s.root, *found)
    if is_smooth:
        groups.keep_reference(network.ends, s.members, s.state, s.root, s.weight, s.redundant)


def _reject(network: Network, method: Method, s: Strip) -> None:
    """Take pairs out whose weight the loss has taken away, and group what is left."""
    before, n_groups, members = s.state.copy(), s.n_groups.copy(), s.members.copy()
    is_smooth = method.smooth != 0.0
    s.weight[~(s.trust >= REJECTED)] = 0.0
    _group(network, s, method.islands, is_smooth)
    np.multiply(s.weight, s.trust, out=s.effective)
    if is_smooth:
        # a smoothed series has left the pairs of other groups out before
        np.add(s.n_groups, n_groups - (members > 0.0), out=s.n_groups)
        s.state[(s.state == groups.NO_PAIRS) & (before == groups.DISCONNECTED)] = groups.DISCONNECTED


# ---------------------------------------------------------------------------------------------------------------- loss


def _fit(network: Network, s: Strip, loss: int) -> None:
    """Solve all pixels by least squares, then with a loss as if what residuals show were the same in all pairs.

    A robust loss ends with the factor, the inverse and the redundancies of weights that are nearly final.
    """
    s.is_settled.fill(0.0)
    s.solution.fill(0.0)
    s.scale.fill(0.0)
    np.copyto(s.effective, s.weight)
    linear.prepare_equal(network, s)
    linear.step(network, s)
    losses.share_redundancy(s.weight, s.redundant, s.mean_weight, s.redundancy)
    if loss in (losses.LINEAR, losses.RESIDUAL):
        s.is_settled.fill(1.0)
        return
    losses.residuals(network.ends, s.weight, s.redundancy, s.observed, s.solution, s.length)
    losses.leave_unchecked(s.length, s.redundant, s.mean_weight, s.largest, s.redundancy)
    _settle(network, s, losses.L1 if loss == losses.L1 else losses.HUBER, is_first=True)
    linear.prepare(network, s)
    systems.invert(network.first, s.band, s.inverse)
    losses.redundancies(network.ends, s.root, s.weight, s.effective, s.inverse, s.redundancy)


def _reweigh_once(network: Network, method: Method, s: Strip) -> None:
    """Go on from least squares with one step of weights by the residuals in metres."""
    of_loss = method.residual_scale, method.residual_limit
    losses.weigh_residuals(network.ends, s.weight, s.observed, s.solution, *of_loss, s.trust, s.effective)
    s.is_settled.fill(0.0)
    linear.prepare(network, s)
    linear.step(network, s)
    s.is_settled.fill(1.0)


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
            linear.prepare(network, s)
        linear.step(network, s)
        if losses.settle(tolerance, s.scale, s.mean_weight, s.largest_change, s.largest, s.is_settled) == 0:
            break


# --------------------------------------------------------------------------------------------------------- error model


def _complete_variances(s: Strip) -> None:
    if s.is_blind.any():
        variances.complete(s.weight, s.n_pairs, s.variance, s.is_blind)


def _share(network: Network, s: Strip, loss: int) -> None:
    """Share of the variances that is the pairs' own, outliers and misclosure."""
    series = s.state, s.root, s.inverse, s.of_date, s.solution
    chains.likelihoods(network.first, network.times, *series, s.redundant, s.likelihood)
    chains.mean_share(s.likelihood, network.shares, s.guess)
    known = s.length, s.redundancy, s.weight, s.variance, s.scale, s.n_pairs, s.is_blind, s.guess
    is_robust = loss not in (losses.LINEAR, losses.RESIDUAL)
    variances.share_of_pairs(is_robust, *known, s.share, s.least_share, s.n_outliers, s.misclosure)


def _covariance(network: Network, method: Method, s: Strip, out: np.ndarray) -> None:
    """Variance of each date (2, date, lanes) with the weights that the loss left.

    Those of "l1" hang on the noise itself, and the solution varies as if all pairs counted.
    """
    excess = 1.0
    if method.loss == losses.L1:
        np.copyto(s.effective, s.weight)
        excess = smoothness.L1_EXCESS
    if method.is_general:
        linear.invert_whole(network, s, None)
        linear.general_covariance(network, s, excess, out)
        return
    if method.loss in (losses.TUKEY, losses.L1):
        linear.prepare(network, s)
        linear.sum_inverse(network, s, has_inverse=False)
    of_pairs = s.root, s.inverse, s.sums[0]
    variances.of_dates(network.factor, excess, *of_pairs, s.of_date, s.total, s.is_blind, s.share, out)
