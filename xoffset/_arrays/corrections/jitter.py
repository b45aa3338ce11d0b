"""Jitter: how the shaking of a sensor shifts an image from line to line, told from all that lies across its track."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft

from xoffset._arrays.corrections import robust, wavelets
from xoffset._arrays.corrections.track import FINE, Track

# Vectors that a stripe needs, and bins that both of its halves must see.
LEAST, LEAST_BINS = 100, 8
# Variance of the waves that stay, in units of that of all bins: they take whatever they can.
_OPEN = 100.0
# Change of the solution, relative to it, at which it is one, and most steps towards it.
_TOLERANCE, _STEPS = 1e-3, 300
# Waves that are drawn to see how far the solution misses them.
_DRAWS = 4


# -------------------------------------------------------------------------------------------------------- what is told


def of_pair(
    values: list[np.ndarray],
    along: np.ndarray,
    across: np.ndarray,
    stripe: np.ndarray,
    before: np.ndarray,
    track: Track,
) -> tuple[np.ndarray, np.ndarray]:
    """Jitter [m] of a pair (component, stripe, column, bin), NaN where it is not known, and its variance (component,).

    values: displacements (component)(node,) that are left when all else is taken off; along, across: places of the
    nodes as `Track` has them; stripe: from 0 on; before: the jitter that is known so far.
    """
    out, variance = np.full(track.shape, np.nan), np.zeros(len(values))
    bins = np.clip(np.rint(along).astype(np.int64), 0, track.shape[3] - 1)
    half = _halves(across, stripe, track)
    for component, value in enumerate(values):
        start = np.nan_to_num(before[component, :, 0])
        if track.is_wavelet:
            out[component], variance[component] = _fields(value, bins, across, stripe, track)
        else:
            out[component, :, 0], variance[component] = _profiles(value, along, bins, half, start, track)
    return out, variance


def _halves(across: np.ndarray, stripe: np.ndarray, track: Track) -> np.ndarray:
    """Number of the half of its stripe that each node lies in: twice that of the stripe, and one more in the second."""
    out = 2 * stripe
    for each in range(track.stripes):
        here = stripe == each
        if here.any():
            out[here] += across[here] > np.median(across[here])
    return out


def _profiles(
    value: np.ndarray, along: np.ndarray, bins: np.ndarray, half: np.ndarray, start: np.ndarray, track: Track
) -> tuple[np.ndarray, float]:
    """Profiles (stripe, bin) of one component, from those that are known so far, 0 where none are; their variance."""
    shape = (track.stripes, 2, track.shape[3])
    place, stripe = half * shape[2] + bins, half // 2
    known_part = _at(along, stripe, start)
    residual = value - known_part
    residual -= np.median(residual)
    scale = robust.spread(residual)
    if not scale > 0.0:
        return np.where(_known(np.bincount(place, minlength=math.prod(shape)).reshape(shape)), start, np.nan), 0.0
    weight = _biweight(residual, scale)
    # within a bin the jitter changes along the track
    inside = value - known_part + start[stripe, bins]
    weights, moments = (np.bincount(place, each, math.prod(shape)).reshape(shape) for each in (weight, weight * inside))
    found, variance = np.zeros_like(start), np.zeros(len(start))
    some, known = weights.any(axis=(1, 2)), _known(weights)
    found[some], variance[some] = _solved(weights[some] / scale**2, moments[some] / scale**2, known[some], track)
    return np.where(known, found, np.nan), _mean(variance, weights.sum(axis=(1, 2)) * known.any(axis=1))


def _mean(variance: np.ndarray, weight: np.ndarray) -> float:
    """Mean over the stripes (stripe,), 0 if none has a weight."""
    return float(np.average(variance, weights=weight)) if weight.any() else 0.0


def _at(along: np.ndarray, stripe: np.ndarray, profiles: np.ndarray) -> np.ndarray:
    """Values (node,) of profiles (stripe, bin), linear between the bins."""
    first = np.clip(np.floor(along).astype(np.int64), 0, profiles.shape[1] - 2)
    part = along - first
    return np.asarray((1.0 - part) * profiles[stripe, first] + part * profiles[stripe, first + 1])


def _biweight(residual: np.ndarray, scale: float) -> np.ndarray:
    """Weights by Tukey."""
    return np.asarray(np.clip(1.0 - (residual / (robust.TUKEY * scale)) ** 2, 0.0, None) ** 2)


def _known(weights: np.ndarray) -> np.ndarray:
    """Bins (stripe, bin) that are near to one that is seen, where both halves (stripe, half, bin) see enough."""
    known = np.zeros((weights.shape[0], weights.shape[2]), dtype=np.bool_)
    for k, weight in enumerate(weights):
        both = np.count_nonzero((weight > 0.0).all(axis=0))
        if weight.sum() >= LEAST and both >= LEAST_BINS:
            known[k] = _near(weight.sum(axis=0) > 0.0)
    return known


def _near(seen: np.ndarray) -> np.ndarray:
    """Bins (bin,) that lie within half of the shortest wavelength from one that is seen."""
    window = np.ones(2 * (FINE // 2) + 1)
    return np.asarray(np.convolve(seen, window, mode="same") > 0.5)


# ---------------------------------------------------------------------------------------- waves that two halves share


def _solved(weight: np.ndarray, moment: np.ndarray, known: np.ndarray, track: Track) -> tuple[np.ndarray, np.ndarray]:
    """Jitter (stripe, bin) from weights and weighted sums (stripe, half, bin), and its variance (stripe,) where known.

    The jitter is a random process whose power, band by band, is what the two halves of a stripe have in common: they
    share neither noise nor, if it is small, motion of the ground. The waves that are longer stay where they are.
    """
    stripes, _, bins = weight.shape
    total, summed = weight.sum(axis=1), moment.sum(axis=1)
    mean = np.divide(summed, total, out=np.zeros(total.shape), where=total > 0.0)
    power = np.array([float(np.var(m[w > 0.0])) if (w > 0.0).any() else 0.0 for m, w in zip(mean, total, strict=True)])
    bands = int(track.bands.max()) + 1
    number = np.bincount(track.bands[track.bands >= 0], minlength=bands)

    # each half by itself, with room for any jitter
    open_prior = _prior(np.repeat(power, 2), np.repeat(power[:, np.newaxis], 2, axis=0) * np.ones(bands), number, track)
    halves = _posterior(weight.reshape(-1, bins), moment.reshape(-1, bins), open_prior, track)
    both = weight.min(axis=1)
    shared = np.zeros((stripes, bands))
    for band in range(bands):
        waves = _waves(halves, track.bands == band, track).reshape(stripes, 2, bins)
        product = (both * waves[:, 0] * waves[:, 1]).sum(axis=1)
        shared[:, band] = np.divide(product, both.sum(axis=1), out=np.zeros(stripes), where=both.sum(axis=1) > 0.0)

    loose = _looseness(weight, moment, _waves(halves, track.bands == -1, track).reshape(weight.shape))
    calmed = total / loose[:, np.newaxis]
    prior = _prior(power, np.maximum(shared, 0.0), number, track)
    whole = _posterior(calmed, summed / loose[:, np.newaxis], prior, track)
    return _waves(whole, track.bands >= 0, track), _variance(calmed, prior, known, track)


def _variance(weight: np.ndarray, prior: np.ndarray, known: np.ndarray, track: Track) -> np.ndarray:
    """Variance (row,) of the jitter at bins where it is known: how far it misses waves and noise that are drawn."""
    generator = np.random.default_rng(0)
    weight, prior = np.tile(weight, (_DRAWS, 1)), np.tile(prior, (_DRAWS, 1))
    real, imaginary = generator.standard_normal((2, *prior.shape))
    # the slow waves are as strong as all that is seen, however freely they are fitted
    power = np.where(track.bands == -1, prior / _OPEN, prior)
    drawn = np.sqrt(0.5 * power) * (real + 1j * imaginary)
    seen = _waves(drawn, np.ones(track.bands.shape, dtype=np.bool_), track)
    moment = weight * seen + np.sqrt(weight) * generator.standard_normal(weight.shape)
    missed = _waves(_posterior(weight, moment, prior, track) - drawn, track.bands >= 0, track)
    square = (missed**2).reshape(_DRAWS, *known.shape).mean(axis=0)
    return np.asarray((square * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def _looseness(weight: np.ndarray, moment: np.ndarray, slow: np.ndarray) -> np.ndarray:
    """How many times the variance of the difference of two halves (stripe,) is that of nodes which err on their own."""
    out = np.ones(len(weight))
    for k, (each, sums, waves) in enumerate(zip(weight, moment, slow, strict=True)):
        both = (each > 0.0).all(axis=0)
        if both.sum() >= LEAST_BINS:
            mean = sums[:, both] / each[:, both] - waves[:, both]
            square = (mean[0] - mean[1]) ** 2 / (1.0 / each[:, both]).sum(axis=0)
            out[k] = max(float(np.median(square)) / 0.455, 1.0)
    return out


def _prior(slow: np.ndarray, power: np.ndarray, number: np.ndarray, track: Track) -> np.ndarray:
    """Variance of each coefficient (row, frequency); power (row, band) [m2] is that of all `number` of a band."""
    out = np.zeros((len(slow), track.bands.size))
    is_slow = track.bands == -1
    out[:, is_slow] = (_OPEN * track.size / (2.0 * is_slow.sum())) * slow[:, np.newaxis]
    for band, count in enumerate(number):
        if count:
            out[:, track.bands == band] = track.size / (2.0 * count) * power[:, band, np.newaxis]
    return out


def _waves(coefficients: np.ndarray, which: np.ndarray, track: Track) -> np.ndarray:
    """Sum (row, bin) of some of the waves."""
    found = scipy.fft.irfft(np.where(which, coefficients, 0.0), track.size, axis=1, norm="ortho")
    return np.asarray(found[:, : track.shape[3]])


def _posterior(weight: np.ndarray, moment: np.ndarray, prior: np.ndarray, track: Track) -> np.ndarray:
    """Most probable coefficients (row, frequency) of waves of which bins are the sum, and of which the prior is known.

    weight: inverse variance of the mean of a bin (row, bin), 0 of one that nobody saw; moment: mean times weight.
    Conjugate gradients (Hestenes & Stiefel 1952, J. Res. NBS 49, 409-436) on coefficients of unit variance, since the
    matrix is a transform, a product with the weights and a transform back.
    """
    size, bins = track.size, weight.shape[1]
    root = np.sqrt(prior)
    # the shortest wave is many bins long, so that all frequencies but the first stand for two
    twice = np.full(root.shape[1], 2.0)
    twice[0] = 1.0

    def transformed(values: np.ndarray) -> np.ndarray:
        return np.asarray(root * scipy.fft.rfft(values, size, axis=1, norm="ortho")[:, : root.shape[1]])

    def applied(state: np.ndarray) -> np.ndarray:
        signal = scipy.fft.irfft(root * state, size, axis=1, norm="ortho")[:, :bins]
        return np.asarray(state + transformed(weight * signal))

    def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.asarray((twice * (first.real * second.real + first.imag * second.imag)).sum(axis=1, keepdims=True))

    # what it would be with the same weight everywhere is near enough to make the steps few
    nearly = 1.0 / (1.0 + prior * weight.mean(axis=1, keepdims=True) * (bins / size))
    residual = transformed(moment)
    state = np.zeros_like(residual)
    enough = _TOLERANCE**2 * product(residual, nearly * residual)
    way = nearly * residual
    length = product(residual, way)
    for _ in range(_STEPS):
        if (length <= enough).all():
            break
        turned = applied(way)
        curve = product(way, turned)
        stride = np.divide(length, curve, out=np.zeros_like(length), where=(curve > 0.0) & (length > enough))
        state += stride * way
        residual -= stride * turned
        ahead = nearly * residual
        before, length = length, product(residual, ahead)
        way = ahead + np.divide(length, before, out=np.zeros_like(length), where=before > 0.0) * way
    return np.asarray(root * state)


# ------------------------------------------------------------------------------------------------------------ wavelets


def _fields(
    value: np.ndarray, bins: np.ndarray, across: np.ndarray, stripe: np.ndarray, track: Track
) -> tuple[np.ndarray, float]:
    """Fields (stripe, column, bin) of one component, and their variance if nodes err on their own."""
    shape = track.shape[1:]
    column = np.clip(np.rint(across).astype(np.int64), 0, shape[1] - 1)
    place = (stripe * shape[1] + column) * shape[2] + bins
    scale = robust.spread(value - np.median(value))
    weight = _biweight(value - np.median(value), scale) if scale > 0.0 else np.ones(value.shape)
    weights, moments = (np.bincount(place, each, math.prod(shape)).reshape(shape) for each in (weight, weight * value))
    out, variance = np.full(shape, np.nan), np.zeros(shape[0])
    generator = np.random.default_rng(0)
    for k in range(shape[0]):
        seen = weights[k].sum(axis=0) > 0.0
        if weights[k].sum() >= LEAST and seen.sum() >= LEAST_BINS:
            first, last = np.flatnonzero(_near(seen))[[0, -1]]
            inside = slice(first, last + 1)
            mean = np.divide(moments[k], weights[k], out=np.full(shape[1:], np.nan), where=weights[k] > 0.0)
            band = (track.shortest, track.longest)
            waves = wavelets.common(mean[:, inside], track.width, band)
            out[k, :, inside] = np.where(_near(seen)[inside], waves, np.nan)
            # what noise that is as large as what is left becomes
            here = stripe == k
            error = robust.spread(value[here] - np.median(value[here]) - out[k][column[here], bins[here]])
            noise = np.where(weights[k] > 0.0, generator.standard_normal(shape[1:]), np.nan)
            noise *= error / np.sqrt(np.maximum(weights[k], 1e-9))
            variance[k] = np.mean(wavelets.common(noise[:, inside], track.width, band)[:, seen[inside]] ** 2)
    return out, _mean(variance, weights.sum(axis=(1, 2)) * np.isfinite(out).any(axis=(1, 2)))
