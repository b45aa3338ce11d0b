"""The plane of phases of a shift, fitted to a cross-spectrum."""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.matching.spectra import LARGEST_CONDITION, _phases

# Exponent of the robust weight (1 - φ/4)ⁿ, where φ is the squared distance of a phase from the plane.
ROBUSTNESS = 6
# Steps of Gauss-Newton for one set of weights, at most.
STEPS = 20
# Change of the shift below which the steps end, px.
TOLERANCE = 5e-4
# Least mean cosine of the phase residuals that a step is divided by. Scattered phases make steps too short by their
# mean cosine; the limit keeps the correction below a factor of four.
LEAST_HOLD = 0.25
# Least standard error, px: the bias that aliasing leaves in the best of cases.
LEAST_SIGMA = 2.5e-3


@hot_kernel
def _frequencies(size, out):
    """Frequencies of a transform in radians per pixel; the first half serves the halved axis."""
    for i in range(size):
        out[i] = 2.0 * np.pi * (i if 2 * i <= size else i - size) / size


@hot_kernel
def _turn(frequency, shift, out):
    """Cosine and sine, out (2, n), by which a shift turns frequencies."""
    for i in range(out.shape[1]):
        out[0, i] = np.cos(frequency[i] * shift)
        out[1, i] = np.sin(frequency[i] * shift)


@hot_kernel
def _turn_back(phase, frequency, shift, turns, out):
    """Cosine and sine (2, size, columns) of phases less those of a shift (x, y)."""
    _, size, columns = out.shape
    _turn(frequency, shift[0], turns[0, :, :columns])
    _turn(frequency, shift[1], turns[1])
    for i in range(size):
        a, b = turns[1, 0, i], turns[1, 1, i]
        cos_x, sin_x = turns[0, 0], turns[0, 1]
        c, s = phase[0, i], phase[1, i]
        cosine, sine = out[0, i], out[1, i]
        for j in range(columns):
            p = a * cos_x[j] - b * sin_x[j]
            q = a * sin_x[j] + b * cos_x[j]
            cosine[j] = p * c[j] - q * s[j]
            sine[j] = p * s[j] + q * c[j]


@hot_kernel
def _reweight(base, cosine, out):
    """Weights of the phases (φ = 2 - 2·cosine) about the present plane.

    They start from `base` each time, and are not multiplied up: the sharper ones trust too few frequencies in noise.
    """
    half = out.dtype.type(0.5)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            near = half + half * cosine[i, j]
            cube = near * near * near
            out[i, j] = base[i, j] * cube * cube


@hot_kernel
def _equations(weight, residual, frequency, out):
    """Sums of the weights, times cosine, times sine·x and sine·y, times xx, xy and yy, over the frequencies (x, y)."""
    size, columns = weight.shape
    out[:] = 0.0
    for i in range(size):
        y = frequency[i]
        line, cosine, sine = weight[i], residual[0, i], residual[1, i]
        zero = weight.dtype.type(0.0)
        total, common, across, along, first, second = zero, zero, zero, zero, zero, zero
        for j in range(columns):
            w, x = line[j], frequency[j]
            total += w
            common += w * cosine[j]
            across += w * sine[j]
            along += w * sine[j] * x
            first += w * x
            second += w * x * x
        out[0] += total
        out[1] += common
        out[2] += along
        out[3] += across * y
        out[4] += second
        out[5] += first * y
        out[6] += total * y * y


@hot_kernel
def _fit_plane(phase, base, rounds, frequency, scratch, shift):
    """Gauss-Newton on the sine of the residual phase, with ever new robust weights; shift (x, y) in and out.

    Returns the bits against the fit, 0 if there are none; `scratch` is then left as of the last step.
    """
    weight, residual, turns = scratch
    sums = np.empty(7)
    for i in range(base.shape[0]):
        for j in range(base.shape[1]):
            weight[i, j] = base[i, j]
    for turn in range(rounds + 1):
        _turn_back(phase, frequency, shift, turns, residual)
        if turn > 0:
            _reweight(base, residual[0], weight)
        is_settled = False
        for _ in range(STEPS):
            _equations(weight, residual, frequency, sums)
            xx, xy, yy = sums[4], sums[5], sums[6]
            determinant = xx * yy - xy * xy
            if not determinant * (LARGEST_CONDITION + 1.0) ** 2 > (xx + yy) ** 2 * LARGEST_CONDITION:
                return bits.ILL_CONDITIONED
            # where phases scatter the sine falls short of the angle, and a step of the shift
            hold = max(sums[1] / sums[0], LEAST_HOLD)
            step_x = (yy * sums[2] - xy * sums[3]) / (determinant * hold)
            step_y = (xx * sums[3] - xy * sums[2]) / (determinant * hold)
            shift[0] -= step_x
            shift[1] -= step_y
            if not (abs(shift[0]) <= 1.0 and abs(shift[1]) <= 1.0):
                return bits.REFINE_FAILED
            _turn_back(phase, frequency, shift, turns, residual)
            if abs(step_x) < TOLERANCE and abs(step_y) < TOLERANCE:
                is_settled = True
                break
        if not is_settled:
            return bits.REFINE_FAILED
    return 0


@hot_kernel
def _covariance(weight, residual, robustness, frequency, out):
    """Sandwich A⁻¹JA⁻¹ of the robust fit into out (xx, yy, xy); returns the bits against it.

    A: derivative of the equations by the shift, J: variance of the equations by the phases' own scatter (Huber 1981,
    Robust Statistics, chapter 6). A frequency and its mirror are one observation.
    """
    size, columns = weight.shape
    a_xx, a_xy, a_yy = 0.0, 0.0, 0.0
    j_xx, j_xy, j_yy = 0.0, 0.0, 0.0
    for i in range(size):
        y = frequency[i]
        for j in range(columns):
            x = frequency[j]
            w, cosine, sine = weight[i, j], residual[0, i, j], residual[1, i, j]
            hold = w * (cosine - robustness * (1 - cosine))
            scatter = w * w * sine * sine
            if j == 0:
                scatter *= 2
            a_xx += hold * x * x
            a_xy += hold * x * y
            a_yy += hold * y * y
            j_xx += scatter * x * x
            j_xy += scatter * x * y
            j_yy += scatter * y * y
    return _sandwich((a_xx, a_xy, a_yy), (j_xx, j_xy, j_yy), out)


@hot_kernel
def _sandwich(curvature, scatter, out):
    """A⁻¹JA⁻¹ of symmetric (xx, xy, yy) into out (xx, yy, xy); returns the bits against it."""
    xx, xy, yy = curvature
    a, b, c = scatter
    determinant = xx * yy - xy * xy
    if not (xx > 0 and determinant * (LARGEST_CONDITION + 1.0) ** 2 > (xx + yy) ** 2 * LARGEST_CONDITION):
        return bits.ILL_CONDITIONED
    scale = 1.0 / (determinant * determinant)
    out[0] = scale * (yy * yy * a - 2 * yy * xy * b + xy * xy * c)
    out[1] = scale * (xy * xy * a - 2 * xx * xy * b + xx * xx * c)
    out[2] = scale * (-xy * yy * a + (xx * yy + xy * xy) * b - xx * xy * c)
    return 0


@hot_kernel
def fit_planes(first, second, starts, options, loss, out, flags):
    """Fit a plane to the phases of the cross-spectrum of every pair of windows.

    Parameters
    ----------
    first, second
        (window, size, columns) spectra of the tapered windows, the second ones cut at the whole-pixel shift.
    starts
        (window, 2) fraction of a pixel along y and x to start from.
    options
        Share of the mean log-amplitude beyond which frequencies are masked, number of robust re-weightings.
    loss
        (window,) factor on the variance, as of `cut_windows`.
    out
        (window, 6): fraction of a pixel along x and y, score, variance along x and y, covariance in px². Where the fit
        fails all are NaN but the score, which is then the one of the whole-pixel shift.
    flags
        (window,) int32: windows with a bit set get the score only; bits against the match are added.
    """
    share, rounds = options
    _, size, columns = first.shape
    frequency = np.empty(size, out.dtype)
    _frequencies(size, frequency)
    phase = np.empty((2, size, columns), out.dtype)
    base = np.empty((size, columns), out.dtype)
    scratch = (np.empty_like(base), np.empty_like(phase), np.empty((2, 2, size), out.dtype))
    shift = np.empty(2)
    covariance = np.empty(3)
    robustness = ROBUSTNESS if rounds > 0 else 0
    for k in range(first.shape[0]):
        _phases(first[k], second[k], share, phase, base)
        shift[0], shift[1] = starts[k, 1], starts[k, 0]
        verdict = flags[k]
        if verdict == 0:
            verdict = _fit_plane(phase, base, rounds, frequency, scratch, shift)
        if verdict == 0:
            verdict = _covariance(scratch[0], scratch[1], robustness, frequency, covariance)
        flags[k] |= verdict
        if verdict == 0:
            out[k, 0], out[k, 1] = shift[0], shift[1]
            out[k, 3] = loss[k] * covariance[0] + LEAST_SIGMA**2
            out[k, 4] = loss[k] * covariance[1] + LEAST_SIGMA**2
            out[k, 5] = loss[k] * covariance[2]
        else:
            shift[:] = 0
            out[k] = np.nan
        out[k, 2] = _score(first[k], second[k], frequency, shift, scratch[2])


@hot_kernel
def _score(first, second, frequency, shift, turns):
    """Correlation of two tapered windows, the second one moved back by shift (x, y)."""
    size, columns = first.shape
    _turn(frequency, shift[0], turns[0, :, :columns])
    _turn(frequency, shift[1], turns[1])
    if size % 2 == 0:
        # the frequency that stands for both signs
        turns[:, 1, size // 2] = 0
    cos_x, sin_x = turns[0, 0], turns[0, 1]
    product, energy, other = 0.0, 0.0, 0.0
    for i in range(size):
        a, b = turns[1, 0, i], turns[1, 1, i]
        f, g = first[i], second[i]
        zero = turns.dtype.type(0.0)
        both, own, theirs = zero, zero, zero
        for j in range(columns):
            # a frequency and its mirror, unless both are in this half
            twice = turns.dtype.type(1.0) if (j == 0 or 2 * j == size) else turns.dtype.type(2.0)
            real = f[j].real * g[j].real + f[j].imag * g[j].imag
            imaginary = f[j].real * g[j].imag - f[j].imag * g[j].real
            both += twice * ((a * cos_x[j] - b * sin_x[j]) * real - (a * sin_x[j] + b * cos_x[j]) * imaginary)
            own += twice * (f[j].real * f[j].real + f[j].imag * f[j].imag)
            theirs += twice * (g[j].real * g[j].real + g[j].imag * g[j].imag)
        product += both
        energy += own
        other += theirs
    if not (energy > 0 and other > 0):
        return np.nan
    return min(product / np.sqrt(energy * other), 1.0)


@hot_kernel
def scores(first, second, fractions, out):
    """Correlation out (window,) of windows given by their spectra, moved by fractions (window, 2) along y and x."""
    size = first.shape[1]
    frequency = np.empty(size, out.dtype)
    _frequencies(size, frequency)
    turns = np.empty((2, 2, size), out.dtype)
    shift = np.empty(2)
    for k in range(out.size):
        shift[0], shift[1] = fractions[k, 1], fractions[k, 0]
        out[k] = _score(first[k], second[k], frequency, shift, turns)
