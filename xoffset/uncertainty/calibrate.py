"""calibrate(): standard errors that tell the spread seen on stable ground."""

from __future__ import annotations

import logging
import math
from functools import partial

import numpy as np
import xarray as xr

from xoffset._arrays import neighbours
from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import graph
from xoffset._blocks import pixels, whole
from xoffset.model import checks, products
from xoffset.model.dates import as_dates, in_years
from xoffset.model.stable import on_nodes

# Strata at most: of the baseline, and of the score within each of them.
BASELINES, SCORES = 4, 5
# Independent vectors that a stratum needs (its factor is then known to 16 % or better), and that a pair needs.
LEAST, LEAST_OF_PAIR = 50, 5
# Vectors that are gathered at most, as even a share of the nodes.
SAMPLE = 2_000_000
# Variance of the logarithm of a median absolute deviation, times the number of independent values (normal errors).
OF_MEDIAN = 1.36
# Table (layer, baseline, score): upper edges of the strata, of baseline [yr] and of score, then factors of x and y, and
# their relative standard error.
_STRATA = Layers(baseline=(), score=(), factor=2, error=())

_log = logging.getLogger(__name__)


def calibrate(shifts: xr.Dataset, stable: xr.DataArray, *, apply_to: xr.Dataset | None = None) -> xr.Dataset:
    """Shifts whose standard errors tell the spread that is seen on ground that does not move.

    The standard error of a match follows from the noise of its two images. It knows nothing of shadows, of ground that
    changed its looks, of distorted images. Here it is multiplied by a factor from stable ground: the spread of the
    displacements there, in units of their own standard errors.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, best after `screen`. Vectors that are NaN are left out.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack.
        A node is stable where all pixels of its cell, half the distance between nodes to each side, are. A window
        reaches farther where `template` exceeds `step`: keep the mask half a template away from what moves.
    apply_to
        Other shifts (pair, y, x), such as those of other dates or other ground, to be given the factors. None: the
        same shifts, their stable ground included.

    Returns
    -------
    xarray.Dataset
        Shifts with `sigma_dx`, `sigma_dy` [m] and `cov_dxdy` [m2] multiplied by the factors, which are added as
        `sigma_factor_dx` and `sigma_factor_dy` [1] (pair, y, x), NaN where there is no score; after a second
        calibration they hold the product. `sigma_factor_error` [1] (pair): relative standard error of the least known
        factor of the pair; above 0.15 there is too little stable ground to tell one stratum from another, and a line
        in the log says so once the factors are computed. `dx`, `dy` and all else stay. Lazy if shifts, stable or
        `apply_to` are.

    Raises
    ------
    TypeError
        If `stable` is not boolean, or the shifts are of the wrong type.
    ValueError
        If `shifts` or `apply_to` are no result of `correlate`, `stable` is on another grid, or no pair has enough
        stable ground, which lazy shifts tell when they are computed.

    Notes
    -----
    A factor is 1.4826 times the median of ``|d − m|`` / sigma, one for each component, with the median m of the pair on
    stable ground. What a pair is shifted by as a whole is hence not in it: it is an error of the pair, not of a match,
    and is left for a correction to remove. There are up to 4 strata of the length of the baseline and in each of these
    up to 5 of the score, of like numbers of vectors, since what the standard error lacks differs from surfaces that
    kept their looks to those that did not. A stratum holds at least 50 vectors that are independent of each other;
    where there are fewer, strata are joined. Windows that overlap, or lie on the same distortion, are not independent:
    their number is divided by the number of neighbours that err alike, from the autocorrelation of the residuals, and
    by the pairs per date, since errors belong to dates. Scores and baselines beyond those seen take the nearest
    stratum.

    The logarithms of the factors of the strata are drawn towards their mean by as much of their scatter as chance
    explains (DerSimonian & Laird 1986, Control. Clin. Trials 7, 177-188): few windows give one factor for all.

    All factors need the whole scene. Save lazy shifts first, `open_result(...)` them and calibrate those: otherwise
    everything is matched before the first block of the result is ready. Of more than 2 million vectors an even share
    of rows and columns is taken.

    Rock is not ice: the factors hold for ground that looks and changes like the stable one. They hold for distortions
    as seen there: on photographs whose distortions differ from one half of the scene to the other, the spread on one
    half was 0.6 to 1.7 times that which factors from the other told. `sigma_factor_error` knows the number of
    distortions that were seen, not how others differ.

    Examples
    --------
    >>> import xarray as xr, xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((256, 256), snr=4.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=6)
    >>> stable = abs(truth.vx) + abs(truth.vy) == 0.0
    >>> calibrated = xoffset.calibrate(shifts, stable)
    >>> bool(0.5 < calibrated.sigma_factor_dx.median() < 1.5)
    True
    """
    shifts = _as_shifts(shifts)
    target = shifts if apply_to is None else _as_shifts(apply_to)
    mask = on_nodes(stable, shifts, "calibrate")

    fields = [shifts[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy", "score")]
    sample = whole.sample([*fields, mask], shifts["dx"].size, SAMPLE)
    fit = partial(_fit, baseline=_baseline(shifts), independent=_independent(shifts))
    table = whole.at_once(fit, sample, np.dtype(np.float64), (_STRATA.count, BASELINES, SCORES))
    score = target["score"].astype(target["sigma_dx"].dtype)
    layers = Layers(dx=target.sizes["pair"], dy=target.sizes["pair"])
    baseline = _baseline(target)
    find = partial(_factors, baseline=baseline)
    factors = layers.split(pixels.per_pixel_of(find, [score.data], table, layers.count))
    error = whole.at_once(partial(_errors, baseline=baseline), [table], np.dtype(np.float64), baseline.shape)

    out = target.copy()
    for name, factor in factors.items():
        out[f"sigma_{name}"] = target[f"sigma_{name}"] * factor
        if f"sigma_factor_{name}" in target:
            factor = factor * target[f"sigma_factor_{name}"].data
        out[f"sigma_factor_{name}"] = (("pair", "y", "x"), factor)
    if "sigma_factor_error" in target:
        error = np.sqrt(error**2 + target["sigma_factor_error"].data ** 2)
    out["sigma_factor_error"] = ("pair", error.astype(target["sigma_dx"].dtype))
    if "cov_dxdy" in target:
        out["cov_dxdy"] = target["cov_dxdy"] * (factors["dx"] * factors["dy"])
    return products.relabel(out, {"function": "calibrate", "apply_to": apply_to is not None})


# -------------------------------------------------------------------------------------------------------------- checks


def _as_shifts(shifts: xr.Dataset) -> xr.Dataset:
    shifts = checks.as_shifts(shifts, "calibrate")
    if "score" not in shifts or shifts["score"].dims != ("pair", "y", "x"):
        raise ValueError(
            "calibrate() needs 'score' with dims ('pair', 'y', 'x') to tell good matches from poor ones; got none. "
            "Use the result of correlate()."
        )
    return shifts


def _baseline(shifts: xr.Dataset) -> np.ndarray:
    """Length of the baseline of each pair [yr], in either direction."""
    return np.asarray(np.abs(in_years((shifts["secondary"] - shifts["reference"]).values)))


def _independent(shifts: xr.Dataset) -> float:
    """Share of the pairs that do not follow from the others, if errors belong to dates."""
    reference, secondary = (as_dates(shifts[name].values) for name in ("reference", "secondary"))
    epochs, ends = graph.incidence(reference, secondary)
    return graph.rank(epochs.size, ends) / len(ends)


# ------------------------------------------------------------------------------------------------------------ on arrays


def _fit(*fields: np.ndarray, baseline: np.ndarray, independent: float) -> np.ndarray:
    """Table as `_STRATA` says."""
    dx, dy, sigma_dx, sigma_dy, score = (np.ascontiguousarray(field, dtype=np.float64) for field in fields[:5])
    used = fields[5] & np.isfinite(dx) & np.isfinite(dy) & np.isfinite(score) & (sigma_dx > 0.0) & (sigma_dy > 0.0)
    ratio = np.full((2, *used.shape), np.nan)
    for pair, here in enumerate(used):
        if here.any():
            for component, (d, sigma) in enumerate(((dx[pair], sigma_dx[pair]), (dy[pair], sigma_dy[pair]))):
                ratio[component, pair, here] = (d[here] - np.median(d[here])) / sigma[here]

    count = used.sum(axis=(1, 2))
    alike = neighbours.alike(ratio) if count.any() else 1.0
    windows = count / alike
    is_fit = windows >= LEAST_OF_PAIR
    if not is_fit.any():
        raise ValueError(
            f"calibrate() needs {LEAST_OF_PAIR} independent windows on stable ground in at least one pair; got at most "
            f"{count.max()} vectors, of which {alike:.0f} neighbours err alike. Enlarge stable, or loosen screen()."
        )
    # the median follows the vectors that it is taken of
    ratio[:, is_fit] *= np.sqrt(windows / np.maximum(windows - 1.0, 1.0))[is_fit, None, None]
    least = math.ceil(LEAST * alike / independent)
    number = windows[is_fit].sum() * independent
    if number < 2 * LEAST:
        _log.warning(
            "calibrate(): the windows on stable ground are worth %.0f independent ones, too few to tell strata of "
            "score and baseline apart, which takes %d: one factor holds for all, known to %.0f %% of itself at best. "
            "Enlarge stable, or calibrate pairs of more dates together.",
            number,
            2 * LEAST,
            100.0 * math.sqrt(OF_MEDIAN / number),
        )
    return _table(ratio[:, is_fit], score[is_fit], used[is_fit], baseline[is_fit], least)


def _table(ratio: np.ndarray, score: np.ndarray, used: np.ndarray, baseline: np.ndarray, least: int) -> np.ndarray:
    table = np.full((_STRATA.count, BASELINES, SCORES), np.inf)
    strata = _STRATA.split(table)
    count = used.sum(axis=(1, 2))
    # as many strata of the baseline as are left for the score in each of them
    parts = min(BASELINES, max(1, math.isqrt(int(count.sum()) // least)))
    edges = _edges(np.repeat(baseline, count), parts, least)
    strata["baseline"][: edges.size] = edges[:, None]
    number = np.zeros(table.shape[1:])
    for stratum in range(edges.size + 1):
        pairs = np.searchsorted(edges, baseline) == stratum
        ratios, scores = ratio[:, pairs][:, used[pairs]], score[pairs][used[pairs]]
        cuts = _edges(scores, SCORES, least)
        strata["score"][stratum, : cuts.size] = cuts
        group = np.searchsorted(cuts, scores)
        for k in range(cuts.size + 1):
            strata["factor"][:, stratum, k] = 1.4826 * np.median(np.abs(ratios[:, group == k]), axis=1)
            number[stratum, k] = LEAST * np.count_nonzero(group == k) / least
    if not strata["factor"].all():
        raise ValueError(
            "calibrate() needs displacements that differ on stable ground; got the same in most of its windows. "
            "Match two different images."
        )
    strata["factor"][:, number > 0.0], strata["error"][number > 0.0] = _drawn_together(
        strata["factor"][:, number > 0.0], number[number > 0.0]
    )
    return table


def _drawn_together(factor: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors (component, stratum) drawn towards their mean, and their relative standard error (stratum,).

    `number` (stratum,): independent vectors. The scatter of the logarithms is that of chance, and what is left.
    """
    of_chance = OF_MEDIAN / number
    shrunk, variance = np.empty_like(factor), np.empty_like(factor)
    for component, value in enumerate(np.log(factor)):
        weight = 1.0 / of_chance
        excess = (weight * (value - np.average(value, weights=weight)) ** 2).sum() - (value.size - 1)
        true = max(excess, 0.0) / max(weight.sum() - (weight**2).sum() / weight.sum(), 1e-30)
        if value.size == 1:
            true = 0.0
        weight = 1.0 / (of_chance + true)
        kept = true / (of_chance + true)
        common = np.average(value, weights=weight)
        shrunk[component] = np.exp(common + kept * (value - common))
        variance[component] = kept * of_chance + (1.0 - kept) ** 2 / weight.sum()
    return shrunk, np.sqrt(variance.mean(axis=0))


def _edges(values: np.ndarray, parts: int, least: int) -> np.ndarray:
    """Inner edges that divide values into at most `parts` groups of like number, none of less than `least` values."""
    distinct, counts = np.unique(values, return_counts=True)
    below = np.cumsum(counts)
    edges: list[float] = []
    start = 0
    for part in range(1, parts):
        cut = int(np.searchsorted(below, max(start + least, values.size * part / parts)))
        if cut >= distinct.size or values.size - below[cut] < least:
            break
        edges.append(0.5 * (distinct[cut] + distinct[cut + 1]))
        start = int(below[cut])
    return np.array(edges)


def _factors(table: np.ndarray, score: np.ndarray, *, baseline: np.ndarray) -> np.ndarray:
    """Factors along x of all pairs, then along y (2·pair, rows, columns)."""
    strata = _STRATA.split(table)
    out = np.empty((2, *score.shape), dtype=score.dtype)
    for pair, (scores, years) in enumerate(zip(score.astype(np.float64), baseline, strict=True)):
        stratum = np.searchsorted(strata["baseline"][:-1, 0], years)
        found = strata["factor"][:, stratum][:, np.searchsorted(strata["score"][stratum, :-1], scores)]
        out[:, pair] = np.where(np.isfinite(scores), found, np.nan)
    return out.reshape(-1, *score.shape[1:])


def _errors(table: np.ndarray, *, baseline: np.ndarray) -> np.ndarray:
    """Relative standard error (pair,) of the least known factor of each pair."""
    strata = _STRATA.split(table)
    error = strata["error"]
    largest = np.where(np.isfinite(error), error, 0.0).max(axis=1)
    return np.asarray(largest[np.searchsorted(strata["baseline"][:-1, 0], baseline)])
