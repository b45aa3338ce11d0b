"""Slow twin of the inversion: plain NumPy from the equations, dense matrices, one pixel at a time."""

from __future__ import annotations

import itertools
from collections import deque
from typing import NamedTuple

import numpy as np

CONNECTED, NO_PAIRS, DISCONNECTED, NO_REFERENCE, OWN_ZERO, FAR = range(6)
# median length of a vector of two standard normal components
RAYLEIGH = np.sqrt(2.0 * np.log(2.0))
# A pair without redundancy: nothing checks it.
UNCHECKED = 1e-9


# ------------------------------------------------------------------------------------------------------------- network


def design(ends: np.ndarray, dates: int) -> np.ndarray:
    """Row per pair: minus one at its reference, plus one at its secondary."""
    out = np.zeros((len(ends), dates))
    for row, (first, second) in zip(out, ends, strict=True):
        row[first] -= 1
        row[second] += 1
    return out


def component(ends: np.ndarray, start: int) -> set[int]:
    """Dates that pairs connect with the date `start`, by breadth-first search."""
    found, waiting = {int(start)}, deque([int(start)])
    while waiting:
        here = waiting.popleft()
        for there in set(map(int, ends[(ends == here).any(axis=1)].ravel())) - found:
            found.add(there)
            waiting.append(there)
    return found


def groups(ends: np.ndarray) -> list[list[int]]:
    """Groups of dates that pairs connect, each in order."""
    left, out = set(map(int, ends.ravel())), []
    while left:
        members = component(ends, min(left))
        out.append(sorted(members))
        left -= members
    return out


def merge(
    ends: np.ndarray, displacement: np.ndarray, sigma: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """One observation of all matches of the same two dates, in either direction; displacement, sigma (pair, 2).

    Returns ends, displacements forward in time, variances (harmonic means), and the mean of `weight` (pair,).
    """
    known = np.isfinite(displacement).all(axis=1)
    has_sigma = np.isfinite(sigma).all(axis=1) & (np.nan_to_num(sigma) > 0).all(axis=1)
    keys = sorted({tuple(sorted(map(int, pair))) for pair in ends})
    out, variance, weights = (
        np.full((len(keys), 2), np.nan),
        np.full((len(keys), 2), np.nan),
        np.full(len(keys), np.nan),
    )
    for k, key in enumerate(keys):
        alike = np.array([tuple(sorted(map(int, pair))) == key for pair in ends]) & known
        chosen = np.flatnonzero(alike & has_sigma) if (alike & has_sigma).any() else np.flatnonzero(alike)
        if chosen.size == 0:
            continue
        forward = np.where(ends[chosen, :1] < ends[chosen, 1:], 1.0, -1.0) * displacement[chosen]
        if has_sigma[chosen].all():
            pull = 1.0 / (sigma[chosen] ** 2).mean(axis=1)
            out[k] = (pull[:, None] * forward).sum(axis=0) / pull.sum()
            variance[k] = 1.0 / (1.0 / sigma[chosen] ** 2).mean(axis=0)
        else:
            out[k] = forward.mean(axis=0)
        if weight is not None and np.isfinite(weight[alike]).any():
            weights[k] = np.nanmean(weight[alike])
    return np.array(keys), out, variance, None if weight is None else weights


def date_variance(ends: np.ndarray, variance: np.ndarray, dates: int, updates: int = 3) -> np.ndarray:
    """Share of each date in the variances of its pairs; NaN for a date without pairs.

    Starts from half the mean variance of the pairs of a date. Three times, each share grows by nine tenths of the mean
    that the pairs of its date have beyond the shares of their two dates. It is at least a quarter of the least of them.
    """
    touches = np.abs(design(ends, dates)).astype(bool)  # pair, date
    share = np.array([0.5 * variance[of].mean() if of.any() else np.nan for of in touches.T])
    least = np.array([0.25 * variance[of].min() if of.any() else np.nan for of in touches.T])
    for _ in range(updates):
        rest = variance - np.array([share[first] + share[second] for first, second in ends])
        more = np.array([rest[of].mean() if of.any() else np.nan for of in touches.T])
        share = np.maximum(share + 0.9 * more, least)
    return share


# ----------------------------------------------------------------------------------------------------------------- fit


class Rows(NamedTuple):
    """Rows that are stacked below those of the pairs, with square roots of weights multiplied in."""

    matrix: np.ndarray  # (row, date)
    right: np.ndarray  # (row, 2)


class Fit(NamedTuple):
    displacement: np.ndarray  # (date, 2) since the first date of each group, NaN for what is no unknown
    trust: np.ndarray  # (pair,)
    redundancy: np.ndarray  # (pair,)
    length: np.ndarray  # (pair,) studentised residual
    scale: float
    has_settled: bool


def least_squares(
    ends: np.ndarray, observed: np.ndarray, weight: np.ndarray, sets: list[list[int]], dates: int, rows: Rows | None
) -> np.ndarray:
    """Weighted least squares by lstsq, group by group, whose first date is zero."""
    out = np.full((dates, 2), np.nan)
    for members in sets:
        inside = np.isin(ends[:, 0], members)
        root = np.sqrt(weight[inside])[:, None]
        matrix, right = root * design(ends[inside], dates)[:, members], root * observed[inside]
        if rows is not None:
            matrix, right = np.vstack([matrix, rows.matrix[:, members]]), np.vstack([right, rows.right])
        out[members] = 0.0
        if len(members) > 1:
            out[members[1:]] = np.linalg.lstsq(matrix[:, 1:], right)[0]
    return out


def gain(ends: np.ndarray, weight: np.ndarray, members: list[int], dates: int, rows: Rows | None) -> np.ndarray:
    """Linear map (date of the group, pair) from the pairs to the displacements since the first date of the group."""
    matrix = design(ends, dates)[:, members[1:]]
    normal = matrix.T @ (weight[:, None] * matrix)
    if rows is not None:
        normal += rows.matrix[:, members[1:]].T @ rows.matrix[:, members[1:]]
    out = np.zeros((len(members), len(ends)))
    out[1:] = np.linalg.solve(normal, matrix.T * weight)
    return out


def weigh(z: np.ndarray, loss: str) -> np.ndarray:
    """Factor of the weight of a residual vector of length z, in units of the noise of a component."""
    if loss == "tukey":
        # as good as none, but enough to leave nothing undetermined
        return np.maximum(np.clip(1.0 - (z / 5.123) ** 2, 0.0, None) ** 2, 1e-9)
    if loss == "l1":
        return 0.05 / np.maximum(z, 0.05)
    return 1.856 / np.maximum(z, 1.856)


def fit(
    ends: np.ndarray,
    observed: np.ndarray,
    weight: np.ndarray,
    sets: list[list[int]],
    dates: int,
    loss: str,
    rows: Rows | None = None,
    residuals: tuple[float, float] = (2.0, np.inf),
) -> Fit:
    """Iteratively reweighted least squares until nothing changes, with the leverages and the scale of each step.

    "tukey" starts from the solution of "huber"; "tio" takes one step, of weights by the residuals in metres.
    """
    trust, has_settled = np.ones(len(ends)), loss in ("linear", "tio")
    stages = {"linear": [], "tio": [], "tukey": ["huber", "tukey"]}.get(loss, [loss])
    if loss == "tio":
        u = least_squares(ends, observed, weight, sets, dates, rows)
        trust = by_residuals(np.hypot(*(observed - u[ends[:, 1]] + u[ends[:, 0]]).T), *residuals)
    for stage in [*stages, None]:
        for step in range(3000 if stage else 1):
            u = least_squares(ends, observed, weight * trust, sets, dates, rows)
            redundancy = 1.0 - leverage(ends, weight * trust, sets, dates, rows)
            redundancy[redundancy < UNCHECKED] = 0.0
            misfit = weight * ((observed - u[ends[:, 1]] + u[ends[:, 0]]) ** 2).sum(axis=1)
            checked = redundancy > 0.0
            length = np.zeros(len(ends))
            length[checked] = np.sqrt(misfit[checked] / redundancy[checked])
            # of an even number the lower one
            order = np.sort(length[checked])
            scale = order[(order.size - 1) // 2] / RAYLEIGH if order.size else 0.0
            if not stage:
                break
            target = weigh(length / scale, stage) if scale > 0.0 else np.ones(len(ends))
            has_settled = np.abs(target - trust).max(initial=0.0) < 1e-9
            if has_settled:
                break
            # ever shorter steps end what goes to and fro
            trust = trust + (target - trust) * max(0.7 * 0.999**step, 0.05)
    return Fit(u, trust, redundancy, length, scale, bool(has_settled))


def by_residuals(length: np.ndarray, scale: float, limit: float) -> np.ndarray:
    """Factors of the weights of pairs with residuals of these lengths, of mean one."""
    factor = np.where(length > limit, 1e-3, 1.0) / (length**2 + scale**2)
    return factor / factor.mean()


def leverage(ends, weight, sets, dates, rows):
    """Part of each pair's error that the solution follows."""
    out = np.zeros(len(ends))
    for members in sets:
        inside = np.flatnonzero(np.isin(ends[:, 0], members))
        if inside.size:
            out[inside] = np.diag(design(ends[inside], dates)[:, members] @ gain(
                ends[inside], weight[inside], members, dates, rows))  # fmt: skip
    return out


# --------------------------------------------------------------------------------------------------------- smoothness


def curvature(times: np.ndarray, members: list[int], dates: int) -> np.ndarray:
    """Change of the velocity (row, date) at every date of a group but its first and last."""
    out = np.zeros((max(len(members) - 2, 0), dates))
    for row, (a, b, c) in zip(out, zip(members, members[1:], members[2:], strict=False), strict=True):
        row[[a, b]] += np.array([1.0, -1.0]) / (times[b] - times[a])
        row[[b, c]] += np.array([-1.0, 1.0]) / (times[c] - times[b])
    return out


def smoothness(times, members, dates, strength, prior=None):
    """Rows of the penalty; prior (date, 2), of which an unknown change of velocity is none."""
    matrix = curvature(times, members, dates)
    expected = np.zeros((len(matrix), 2))
    if prior is not None:
        for row, (change, line) in enumerate(zip(expected, matrix, strict=True)):
            used = line != 0.0
            expected[row] = line[used] @ prior[used] if np.isfinite(prior[used]).all() else change
    return Rows(strength * matrix, strength * expected)


def cross_validated(ends, observed, weight, plain, members, connected, times, dates, prior=None):
    """Strength whose series predicts the displacements of the dates best, of 19 that are half a decade apart.

    weight: with the trust of the loss. plain (date, 2): what the pairs alone give; connected: dates with pairs.
    Generalised cross-validation with the map S (date, date) of displacements of dates to smooth ones.
    """
    incidence = design(ends, dates)[:, members[1:]]
    normal = incidence.T @ (weight[:, None] * incidence)
    penalty = curvature(times, members, dates)[:, members[1:]]
    trace = np.trace(penalty.T @ penalty)
    balance = np.trace(normal) / trace if trace > 0.0 else 0.0
    best = (np.inf, 0.0)
    for ratio in 10.0 ** (0.5 * np.arange(19) - 5.0):
        strength = np.sqrt(ratio * balance)
        rows = smoothness(times, members, dates, strength, prior)
        smooth = least_squares(ends, observed, weight, [members], dates, rows)
        apart = smooth[connected] - plain[connected]
        apart = apart - apart.mean(axis=0)
        mapped = np.linalg.solve(normal + ratio * balance * penalty.T @ penalty, normal)
        freedom = 1.0 - (np.trace(mapped) + 1.0) / len(connected)
        score = (apart**2).sum() / freedom**2 if freedom > 1e-9 else np.inf
        best = min(best, (score, strength))
    return best[1]


# --------------------------------------------------------------------------------------------------------------- whole


class Series(NamedTuple):
    displacement: np.ndarray  # (date, 2), NaN where unknown
    variance: np.ndarray  # (date, 2)
    state: np.ndarray  # (date,)
    rms: float
    pairs: int
    components: int
    outliers: int
    share: float
    smooth: float
    scale: float  # noise of a pair of mean weight, in metres
    has_settled: bool


def invert(
    ends: np.ndarray,
    observed: np.ndarray,
    variance: np.ndarray,
    weight: np.ndarray,
    times: np.ndarray,
    home: list[int],
    *,
    loss: str = "linear",
    islands: str = "nan",
    smooth: float | str = 0.0,
    prior: np.ndarray | None = None,
    factor: np.ndarray | None = None,
    is_general: bool = False,
    before: np.ndarray | None = None,
    first: np.ndarray | None = None,
    residuals: tuple[float, float] = (2.0, np.inf),
) -> Series:
    """One pixel from merged observations (pair, 2); a pair takes part if it is known and its weight is positive.

    before (share,): how probable each of SHARES is; None: as usual. first (date,): of `envelope`. factor (date, 2)
    multiplies the shares of the dates in the variances. With `is_general` the variance of every date is K·Sigma·K',
    else the sum of its share and of the network's part, which is the same if the weights are inverse variances.
    """
    dates = times.size
    used = np.isfinite(observed).all(axis=1) & (np.nan_to_num(weight) > 0.0) & (weight < np.inf)
    ends, observed, weight, variance = ends[used], observed[used], weight[used], variance[used]
    displacement, spread = np.full((dates, 2), np.nan), np.full((dates, 2), np.nan)
    sets, state = groups(ends), np.full(dates, NO_PAIRS)
    of_home, lacks = group_of(home, sets, islands)
    if of_home is None:
        return Series(displacement, spread, np.full(dates, NO_REFERENCE), np.nan, len(ends), len(sets), 0, np.nan,
                      np.nan, np.nan, True)  # fmt: skip
    if smooth:
        state[np.setdiff1d(ends, of_home)] = DISCONNECTED
        inside = np.isin(ends[:, 0], of_home)
        ends, observed, weight, variance = (array[inside] for array in (ends, observed, weight, variance))
    # pairs of other groups say nothing where they take no part
    variance, has_variance = complete(variance, weight)
    of_dates = np.stack([date_variance(ends, variance[:, axis], dates) for axis in (0, 1)], axis=1)
    found = fit(ends, observed, weight, [of_home] if smooth else sets, dates, loss, residuals=residuals)
    good = (found.redundancy > 0.0) & ((loss in ("linear", "tio")) | (found.length <= 4.0 * found.scale))
    misfit = ((observed - found.displacement[ends[:, 1]] + found.displacement[ends[:, 0]]) ** 2).sum(axis=1)
    own, freedom = np.sum((misfit / variance.sum(axis=1))[good]), found.redundancy[good].sum()
    if has_variance:
        # what is expected, the more by the changes the less is redundant, counts as one redundant pair
        logs = None
        if redundant(ends, [of_home] if smooth else sets) < 4:
            logs = log_likelihoods(ends, weight * found.trust, of_dates, found.displacement, of_home, times, first)
        untold = max(1.0 - freedom / 4.0, 0.0) ** 2
        expected = 0.03 + untold * (mean_share(logs, before) - 0.03)
        share = (own + expected) / (freedom + 1.0)
    else:
        share = own / freedom if freedom > 0.0 else np.nan
    outliers = int(((found.redundancy > 0.0) & ~good).sum())

    strength, rows, unknowns = 0.0, None, sets
    if smooth:
        # every date from the first to the last of the group
        unknowns = [list(range(of_home[0], of_home[-1] + 1))]
        pull = weight * found.trust
        strength = smooth if smooth != "gcv" else cross_validated(
            ends, observed, pull, found.displacement, unknowns[0], of_home, times, dates, prior)  # fmt: skip
        rows = smoothness(times, unknowns[0], dates, strength, prior)
        # pairs are judged by their misclosure alone
        plain, far = found.displacement, np.zeros(dates, bool)
        while True:
            smoothed = least_squares(ends, observed, pull, unknowns, dates, rows)
            noise = of_dates_alone(of_dates, share, factor) * has_variance
            own = 4.0 / np.pi * share if loss == "l1" else share
            held, far, is_beyond = judge(
                ends,
                weight if loss == "l1" else pull,
                variance,
                unknowns[0],
                of_home,
                noise,
                own,
                rows,
                smoothed - plain,
            )
            if smooth != "gcv" or not is_beyond or not has_variance:
                break
            # half a decade of its square
            strength *= 10.0**-0.25
            rows = smoothness(times, unknowns[0], dates, strength, prior)
        far = far & has_variance
        found = found._replace(displacement=smoothed)
    u = found.displacement.copy()
    rms = np.sqrt(((observed - u[ends[:, 1]] + u[ends[:, 0]]) ** 2).mean())

    # what "tukey" has taken away connects nothing
    kept = found.trust >= 0.01 if loss == "tukey" else np.ones(len(ends), bool)
    left, n_components = groups(ends[kept]), len(sets)
    if not kept.all():
        n_components = len(left) + (len(sets) - 1 if smooth else 0)
        of_home, lacks = group_of(home, left, islands)
        unknowns = [list(range(of_home[0], of_home[-1] + 1))] if smooth and of_home else left
    is_general |= bool(smooth)
    rest = of_dates_alone(of_dates, share, factor) * has_variance
    # the weights of "l1" hang on the noise itself: the spatial median has 4 / pi times the variance of least squares
    pull, excess = (weight[kept], 4.0 / np.pi) if loss == "l1" else (weight[kept] * found.trust[kept], 1.0)
    for members in unknowns:
        spread[members] = variances(
            ends[kept],
            pull,
            weight[kept],
            variance[kept],
            members,
            rest,
            excess * share,
            rows,
            is_general or bool(smooth),
        )
    if smooth:
        spread[unknowns[0]] = held
    if islands == "bridge" and of_home and (len(left) > 1 or lacks):
        u, spread = bridge(u, spread, left, of_home, times, times[home].mean() if lacks else None)
    for members in left:
        is_home = members is of_home or (of_home is not None and set(members) == set(of_home))
        state[members] = (OWN_ZERO if lacks else CONNECTED) if is_home else DISCONNECTED
        if lacks and islands == "bridge":
            displacement[members] = u[members]
        elif not lacks and (is_home or (islands == "bridge" and of_home)):
            displacement[members] = u[members] - u[home].mean(axis=0)
        elif islands == "separate" and of_home:
            displacement[members] = u[members] - u[members[0]]
    if of_home is None:
        state[:], displacement[:], share, rms, strength = NO_REFERENCE, np.nan, np.nan, np.nan, np.nan
    if smooth:
        state[far & (state == CONNECTED)] = FAR
    spread[np.isnan(displacement)] = np.nan
    scale = found.scale / np.sqrt(weight.mean())
    return Series(displacement, spread, state, float(rms), int(used.sum()), n_components, outliers, float(share),
                  float(strength), float(scale), found.has_settled)  # fmt: skip


def group_of(home, sets, islands):
    """Group with all reference dates, or, if there are to be values without them, the largest; whether they lack."""
    found = next((members for members in sets if set(home) <= set(members)), None)
    if found is None and islands != "nan" and sets:
        return max(sets, key=len), True
    return found, found is None


def kept_values(ends, has_value, dates):
    """Displacements known with each date as reference (date,), from which pairs (pair, pixel) have a value."""
    count = np.zeros(dates, int)
    for used in has_value.T:
        for members in groups(ends[used]):
            count[members] += len(members)
    return count


def of_dates_alone(of_dates, share, factor):
    rest = np.maximum((np.ones_like(of_dates) if factor is None else factor) - share, 0.0)
    return rest * np.nan_to_num(of_dates)


SHARES = {0.012: 0.68, 0.03: 0.275, 0.1: 0.01, 0.25: 0.015, 0.5: 0.01, 1.0: 0.01}


def envelope(ends, dates, neighbours=1):
    """First date (date,) that a pair of a network, or `neighbours` dates before, ties to each."""
    first = [max(k - neighbours, 0) for k in range(dates)]
    for pair in ends:
        first[max(pair)] = min(first[max(pair)], min(pair))
    return np.array(first)


def log_likelihoods(ends, pull, of_dates, displacement, members, times, first=None):
    """Logarithms (share,) of those of SHARES by the changes of a group, about a steady velocity of free scale; or None.

    Restricted likelihood in full: the noise of dates is shared by neighbouring changes, that of pairs is not. Unknown
    where a date lies before the `first` (date,) that is tied to the next one.
    """
    if len(members) < 4:
        return None
    if first is not None and any(i < first[j] for i, j in itertools.pairwise(members[1:])):
        return None
    dates, change = len(of_dates), np.diff(np.eye(len(members)), axis=0)
    inside = np.isin(ends[:, 0], members)
    matrix = design(ends[inside], dates)[:, members]
    network = np.linalg.pinv(matrix.T @ (pull[inside, None] * matrix))
    of_pairs = np.diag(np.diag(change @ network @ change.T))
    alone = change @ np.diag(of_dates[members].mean(axis=1)) @ change.T
    moved, apart = change @ displacement[members], np.diff(times[members])[:, None]
    out = []
    for share in SHARES:
        weight = np.linalg.inv((1.0 - share) * alone + share * of_pairs)
        normal = (apart.T @ weight @ apart).item()
        rest = moved - apart @ (apart.T @ weight @ moved) / normal
        squares = np.trace(rest.T @ weight @ rest)
        if not squares > 0.0:
            return None
        out.append(np.linalg.slogdet(weight)[1] - np.log(normal) - (len(moved) - 1) * np.log(squares))
    return np.array(out)


def mean_share(logs, before=None):
    """Mean share of the pairs, from the likelihoods and from how probable each share is before."""
    if logs is None:
        return 0.03
    chance = np.array(list(SHARES.values()) if before is None else before) * np.exp(logs - logs.max())
    return float(chance @ np.array(list(SHARES)) / chance.sum())


def redundant(ends, sets):
    """Pairs that the dates do not need."""
    return len(sets) + len(ends) - np.unique(ends).size


def shares_of_scene(pixels, times, first):
    """How probable each of SHARES is over pixels, each (ends, observed, variance) of one observation a pair."""
    logs, usual = [], np.array(list(SHARES.values()))
    for ends, observed, variance in pixels:
        used = np.isfinite(observed).all(axis=1) & np.isfinite(variance).all(axis=1)
        ends, observed, variance = ends[used], observed[used], variance[used]
        sets = groups(ends)
        if not sets or redundant(ends, sets) >= 4:
            continue
        members, _ = group_of([0], sets, "separate")
        weight = 1.0 / variance.mean(axis=1)
        found = fit(ends, observed, weight, sets, times.size, "linear")
        of_dates = np.stack([date_variance(ends, variance[:, axis], times.size) for axis in (0, 1)], axis=1)
        series = found.displacement, members, times, first
        logs.append(log_likelihoods(ends, weight, of_dates, *series))
    likely = np.array([np.exp(log - log.max()) for log in logs if log is not None]).reshape(-1, len(SHARES))
    before = usual
    for _ in range(40):
        each = before * likely
        before = (100.0 * usual + (each / each.sum(axis=1, keepdims=True)).sum(axis=0)) / (100.0 + len(likely))
    return before


def judge(ends, pull, variance, members, connected, of_dates, share, rows, apart):
    """Variance (date of the group, 2) of a smoothed series, dates that are too far, and whether it is too smooth.

    apart (date, 2): the smoothed series less that of the pairs alone. The variance holds the covariance of both where
    that is larger, and what the difference has beyond noise: of three dates, if 2.2 times as much, or of all.
    """
    dates, number = len(of_dates), len(connected)
    has_pairs = np.isin(members, connected)
    matrix = design(ends, dates)[:, members]
    smooth, rigid = gain(ends, pull, members, dates, rows), np.zeros((len(members), len(ends)))
    rigid[has_pairs] = gain(ends, pull, list(connected), dates, None)
    smooth, rigid = (each - each[has_pairs].mean(axis=0) for each in (smooth, rigid))
    mended = number / max(number - 1, 1)

    def covariance(one, other, mean, axis):
        by_dates = ((each @ matrix + mean * has_pairs / number) for each in (one, other))
        first, second = by_dates
        return np.diag(first @ np.diag(of_dates[members, axis]) @ second.T) + np.diag(
            one @ np.diag(mended * share * variance[:, axis]) @ other.T
        )

    apart = apart[members] - apart[connected].mean(axis=0)
    alone, of_rest, plain = (
        np.stack([covariance(one, one, mean, axis) for axis in (0, 1)], axis=1)
        for one, mean in ((smooth, 1.0), (smooth - rigid, 0.0), (rigid, 1.0))
    )
    both = np.stack([covariance(smooth, rigid, 1.0, axis) for axis in (0, 1)], axis=1)
    squares, expected = (apart[has_pairs] ** 2).sum(axis=0), of_rest[has_pairs].sum(axis=0)
    allowed = of_rest + 0.03 * plain
    freedom = max(number * expected.sum() / plain[has_pairs].sum(), 1.0)
    length = (apart**2 / allowed).sum(axis=1)
    is_far = has_pairs & (length > 2.0 * np.log(number / 1e-3))
    is_beyond = is_far.any() or squares.sum() > allowed[has_pairs].sum() * (1.0 + 4.0 / np.sqrt(freedom))
    bent = np.zeros_like(alone)
    for k, axis in np.ndindex(*bent.shape):
        near = np.arange(max(k - 1, 0), min(k + 2, len(members)))
        near = near[has_pairs[near]]
        if near.size and (apart[near, axis] ** 2).sum() > 2.2 * of_rest[near, axis].sum():
            bent[k, axis] = (apart[near, axis] ** 2 - of_rest[near, axis]).mean()
    for axis in (0, 1):
        if squares[axis] > expected[axis] * (1.0 + 2.0 * np.sqrt(2.0 / freedom)):
            bent[:, axis] = np.maximum(bent[:, axis], (squares[axis] / expected[axis] - 1.0) * of_rest[:, axis])
    far = np.zeros(dates, bool)
    far[np.array(members)[is_far]] = True
    return np.maximum(alone, both) + bent, far, is_beyond


def complete(variance: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, bool]:
    """Variances with the mean of the known ones, or the inverse weights, for those that are not positive numbers."""
    known = (np.isfinite(variance) & (np.nan_to_num(variance) > 0.0)).all(axis=1)
    out = variance.copy()
    if known.any():
        out[~known] = variance[known].mean(axis=0)
    else:
        out[:] = 1.0 / weight[:, None]
    return out, bool(known.any())


def variances(
    ends: np.ndarray,
    pull: np.ndarray,
    weight: np.ndarray,
    variance: np.ndarray,
    members: list[int],
    of_dates: np.ndarray,
    share: float,
    rows: Rows | None,
    is_general: bool,
) -> np.ndarray:
    """Variance (date of the group, 2) of each date, relative to none, of weights `pull` that the loss left."""
    dates = len(of_dates)
    inside = np.isin(ends[:, 0], members)
    has_pairs = np.isin(members, ends[inside])
    matrix = design(ends[inside], dates)[:, members]
    # the sums of the variances of two dates are those of their difference, on average over all two of them
    mended = has_pairs.sum() / max(has_pairs.sum() - 1, 1)
    if not is_general:
        network = np.diag(np.linalg.pinv(matrix.T @ (pull[inside, None] * matrix)))
        # the weights are the inverse of the variance of a mean component
        balance = 2.0 * variance.sum(axis=0) / variance.sum()
        return of_dates[members] + share * network[:, None] * balance * mended
    estimate = gain(ends[inside], pull[inside], members, dates, rows)
    estimate -= estimate[has_pairs].mean(axis=0)
    through_dates = estimate @ matrix + has_pairs / has_pairs.sum()
    return np.stack(
        [
            np.diag(through_dates @ np.diag(of_dates[members, axis]) @ through_dates.T)
            + np.diag(estimate @ np.diag(mended * share * variance[inside, axis]) @ estimate.T)
            for axis in (0, 1)
        ],
        axis=1,
    )


def bridge(u, spread, sets, of_home, times, zero=None):
    """Groups moved onto one line whose slope all share: regression on the slope and an intercept of each group.

    The line is zero at the time `zero`, if there is one. The variance grows by that of the move, if the scatter about
    the line is independent noise of the dates.
    """
    members = np.concatenate(sets)
    matrix = np.zeros((members.size, len(sets) + 1))
    matrix[:, -1] = times[members]
    for k, each in enumerate(sets):
        matrix[np.isin(members, each), k] = 1.0
    intercepts = np.linalg.pinv(matrix)
    freedom = members.size - len(sets) - 1
    u, spread = u.copy(), spread.copy()
    k_home = next(k for k, each in enumerate(sets) if set(each) == set(of_home))
    fitted = intercepts @ u[members]
    noise = ((u[members] - matrix @ fitted) ** 2).sum(axis=0) / freedom if freedom > 0 else np.full(2, np.nan)
    for k, each in enumerate(sets):
        if k != k_home:
            u[each] += fitted[k_home] - fitted[k]
            spread[each] += noise * ((intercepts[k_home] - intercepts[k]) ** 2).sum()
    if zero is not None:
        u[members] -= fitted[k_home] + fitted[-1] * zero
    return u, spread


def nsbas(ends, observed, weight, times, home, gamma=1e-4):
    """López-Quiroz et al. (2009): rows gamma·(u_k - v·t_k - c) below those of the pairs, of every date with pairs."""
    dates = times.size
    members = np.unique(ends)
    root = np.sqrt(weight)[:, None]
    matrix = np.zeros((len(ends) + members.size, dates + 2))
    matrix[: len(ends), :dates] = root * design(ends, dates)
    for row, k in zip(matrix[len(ends) :], members, strict=True):
        row[[k, dates, dates + 1]] = gamma, -gamma * times[k], -gamma
    right = np.vstack([root * observed, np.zeros((members.size, 2))])
    # the sum of all displacements and the intercept is free: the date of reference is zero
    kept = np.setdiff1d(np.arange(dates + 2), [home, *np.setdiff1d(np.arange(dates), members)])
    # columns in units of their length, or the small ones are lost
    length = np.linalg.norm(matrix[:, kept], axis=0)
    out = np.full((dates + 2, 2), np.nan)
    out[kept] = np.linalg.lstsq(matrix[:, kept] / length, right, rcond=1e-15)[0] / length[:, None]
    out[home] = 0.0
    return out[:dates]
