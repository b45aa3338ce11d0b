"""Matching by the phase of the cross-spectrum, and by the direction of the gradient.

A window that moves by d turns the phase of its spectrum by -ω·d: the shift is the slope of a plane through phases
(Leprince et al. 2007, IEEE Trans. Geosci. Remote Sens. 45, 1529-1558). Spectra are halves of real transforms,
(size, size // 2 + 1); their first column, and the last one of an even size, hold each frequency and its mirror.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel

PEAK_RADIUS = 3
# Share of the window's side over which the raised cosine rises, half of it at either end; 1 is a Hann window.
TAPER = 0.5
# Exponent of the robust weight (1 - φ/4)ⁿ, where φ is the squared distance of a phase from the plane.
ROBUSTNESS = 6
STEPS, TOLERANCE = 20, 5e-4  # of Gauss-Newton per set of weights, and px
LARGEST_CONDITION = 1e3
# No step is lengthened more than four times for frequencies that only hold noise.
LEAST_HOLD = 0.25
# Spectra are told from rounding down to this share of the power of their loudest frequency.
LEAST_POWER = 1e-12
# Aliasing leaves this bias in the best of cases, px: no match is more certain.
LEAST_SIGMA = 2.5e-3
# The same for a surface through nine whole-pixel scores.
LEAST_SIGMA_OF_SURFACE = 1e-2


@hot_kernel
def _rise(size, fraction, out):
    """Raised-cosine taper of a window whose content lies `fraction` px further on."""
    edge = 0.5 * TAPER * size
    for i in range(size):
        place = i + 0.5 - fraction
        depth = min(place, size - place) / edge
        out[i] = 0.5 - 0.5 * np.cos(np.pi * min(max(depth, 0.0), 1.0))


@hot_kernel
def cut_windows(image, places, masks, corners, fractions, out, statistics):
    """Cut windows, remove their weighted mean and taper them; what is not valid in both masks becomes zero.

    Parameters
    ----------
    image
        (height, width) filtered image.
    places
        (window, 2) first row and column in it.
    masks
        Two of (height, width) uint8: valid pixels of this image and of the one it is matched with.
    corners
        Two of (window, 2): first row and column in the masks.
    fractions
        (window, 2) by how much of a pixel along y and x the taper is moved, so that it lies on the same ground in both
        images: a taper that stays behind pulls the shift toward none.
    out
        (window, size, size).
    statistics
        (window, 2) out: variance of the weighted pixels, and the factor by which taper and holes raise the variance of
        an estimate, pixels of the window times Σw⁴/(Σw²)² with w the weights.
    """
    count, size, _ = out.shape
    along_y = np.empty(size, image.dtype)
    along_x = np.empty(size, image.dtype)
    zero = image.dtype.type(0.0)
    for k in range(count):
        top, left = places[k, 0], places[k, 1]
        y, x = corners[0][k, 0], corners[0][k, 1]
        v, u = corners[1][k, 0], corners[1][k, 1]
        _rise(size, fractions[k, 0], along_y)
        _rise(size, fractions[k, 1], along_x)
        weights, total = 0.0, 0.0
        for i in range(size):
            line = image[top + i, left : left + size]
            own, other = masks[0][y + i, x : x + size], masks[1][v + i, u : u + size]
            row_weight, row = zero, zero
            for j in range(size):
                weight = along_x[j] * (own[j] & other[j])
                row_weight += weight
                row += weight * line[j]
            weights += along_y[i] * row_weight
            total += along_y[i] * row
        mean = image.dtype.type(total / max(weights, 1e-30))
        energy, square, fourth = 0.0, 0.0, 0.0
        for i in range(size):
            line, target = image[top + i, left : left + size], out[k, i]
            own, other = masks[0][y + i, x : x + size], masks[1][v + i, u : u + size]
            rise = along_y[i]
            row_energy, row_square, row_fourth = zero, zero, zero
            for j in range(size):
                weight = rise * along_x[j] * (own[j] & other[j])
                value = weight * (line[j] - mean)
                target[j] = value
                row_energy += value * value
                row_square += weight * weight
                row_fourth += weight * weight * weight * weight
            energy += row_energy
            square += row_square
            fourth += row_fourth
        statistics[k, 0] = energy / max(square, 1e-30)
        statistics[k, 1] = size * size * fourth / max(square * square, 1e-30)


@hot_kernel
def resample_windows(coefficients, corners, fractions, out):
    """Values of a cubic spline in windows that lie a fraction of a pixel beyond their corners.

    Parameters
    ----------
    coefficients
        (height, width) of the spline through the image.
    corners
        (window, 2) first row and column.
    fractions
        (window, 2) fraction of a pixel along y and x, within ±1.
    out
        (window, size, size).
    """
    count, size, _ = out.shape
    rows = np.empty((size + 3, size), out.dtype)
    for k in range(count):
        below, right = np.floor(fractions[k, 0]), np.floor(fractions[k, 1])
        y, x = corners[k, 0] + int(below) - 1, corners[k, 1] + int(right) - 1
        w0, w1, w2, w3 = _spline_weights(out.dtype.type(fractions[k, 1] - right))
        for i in range(size + 3):
            source, line = coefficients[y + i, x : x + size + 3], rows[i]
            for j in range(size):
                line[j] = w0 * source[j] + w1 * source[j + 1] + w2 * source[j + 2] + w3 * source[j + 3]
        w0, w1, w2, w3 = _spline_weights(out.dtype.type(fractions[k, 0] - below))
        for i in range(size):
            r0, r1, r2, r3, line = rows[i], rows[i + 1], rows[i + 2], rows[i + 3], out[k, i]
            for j in range(size):
                line[j] = w0 * r0[j] + w1 * r1[j] + w2 * r2[j] + w3 * r3[j]


@hot_kernel
def _spline_weights(fraction):
    """Weights of the four coefficients around a point that lies `fraction` behind the second."""
    rest = 1 - fraction
    first = rest * rest * rest / 6
    last = fraction * fraction * fraction / 6
    second = (4 - 6 * fraction * fraction + 3 * fraction * fraction * fraction) / 6
    return first, second, 1 - first - second - last, last


@hot_kernel
def count_common(first, second, corners, others, size, out):
    """Pixels that two windows share: out (window, 2) int64, known in both and fit to be matched in both.

    `first` and `second` (2, height, width) uint8 hold known and valid pixels; corners and others as in `cut_windows`.
    """
    for k in range(corners.shape[0]):
        y, x = corners[k, 0], corners[k, 1]
        v, u = others[k, 0], others[k, 1]
        for kind in range(2):
            count = 0
            for i in range(size):
                own, other = first[kind, y + i, x : x + size], second[kind, v + i, u : u + size]
                for j in range(size):
                    count += int(own[j] & other[j])
            out[k, kind] = count


@hot_kernel
def _phases(first, second, share, phase, weight):
    """Phase factors of a cross-spectrum and their weights before any fit.

    Parameters
    ----------
    first, second
        (size, columns) spectra of the two windows.
    share
        Frequencies whose log-amplitude below the loudest exceeds this share of the mean one are left out.
    phase
        (2, size, columns) out: cosine and sine of the phase of conj(first)·second.
    weight
        (size, columns) out: root of the amplitude, rolled off toward Nyquist, zero where masked, half for frequencies
        that come with their mirror.
    """
    size, columns = weight.shape
    loudest = weight.dtype.type(0.0)
    for i in range(size):
        for j in range(columns):
            a, b = first[i, j], second[i, j]
            real = a.real * b.real + a.imag * b.imag
            imaginary = a.real * b.imag - a.imag * b.real
            power = real * real + imaginary * imaginary
            phase[0, i, j] = real
            phase[1, i, j] = imaginary
            weight[i, j] = power
            loudest = max(loudest, power)
    if not loudest > 0:
        weight[:] = 0
        return
    least = loudest * weight.dtype.type(max(np.exp(share * _mean_log(weight, loudest)), LEAST_POWER))
    roll = np.empty(size, weight.dtype)
    for i in range(size):
        roll[i] = 0.5 + 0.5 * np.cos(2.0 * np.pi * min(i, size - i) / size)
    for i in range(size):
        cosine, sine, line = phase[0, i], phase[1, i], weight[i]
        for j in range(columns):
            power = max(line[j], least * weight.dtype.type(1e-6))
            amplitude = np.sqrt(power)
            cosine[j] /= amplitude
            sine[j] /= amplitude
            is_heard = weight.dtype.type(1.0) if line[j] > least else weight.dtype.type(0.0)
            line[j] = is_heard * roll[i] * roll[j] * np.sqrt(amplitude)
        line[0] *= weight.dtype.type(0.5)
    weight[0, 0] = 0


@hot_kernel
def find_lines(image, valid, corners, size, out):
    """Set out (window,) uint8 to 1 where all gradients of a window point the same way, so that it may slide unseen.

    The spectra do not tell: the taper lends lines an end, which stays where it is.

    Parameters
    ----------
    image, valid
        (height, width) filtered image, and uint8 where it is fit to be matched.
    corners
        (window, 2) first row and column.
    size
        Side of the windows.
    out
        (window,) uint8.
    """
    zero = image.dtype.type(0.0)
    for k in range(corners.shape[0]):
        y, x = corners[k, 0], corners[k, 1]
        xx, xy, yy = 0.0, 0.0, 0.0
        for i in range(y + 1, y + size - 1):
            above, line, below = image[i - 1, x:], image[i, x:], image[i + 1, x:]
            known_above, known, known_below = valid[i - 1, x:], valid[i, x:], valid[i + 1, x:]
            row_xx, row_xy, row_yy = zero, zero, zero
            for j in range(1, size - 1):
                weight = known_above[j] & known[j - 1] & known[j + 1] & known_below[j]
                along_x = weight * (line[j + 1] - line[j - 1])
                along_y = weight * (below[j] - above[j])
                row_xx += along_x * along_x
                row_xy += along_x * along_y
                row_yy += along_y * along_y
            xx += row_xx
            xy += row_xy
            yy += row_yy
        determinant = xx * yy - xy * xy
        # eigenvalues a >= b: a/b > limit is the same as trace²/determinant > (limit + 1)²/limit
        out[k] = not determinant * (LARGEST_CONDITION + 1.0) ** 2 > (xx + yy) ** 2 * LARGEST_CONDITION


@hot_kernel
def _mean_log(power, loudest):
    """Mean logarithm of power over that of the loudest, over all frequencies but zero."""
    size, columns = power.shape
    total = 0.0
    for j in range(columns):
        # the logarithm of a product costs less than the sum of logarithms
        product = 1.0
        logs = 0.0
        for i in range(1 if j == 0 else 0, size):
            product *= max(float(power[i, j]) / float(loudest), LEAST_POWER)
            if product < 1e-200:
                logs += np.log(product)
                product = 1.0
        twice = 1.0 if (j == 0 or 2 * j == size) else 2.0
        total += twice * (logs + np.log(product))
    return total / (size * size - 1)


@hot_kernel
def whiten(first, second, share, out):
    """Weighted phase factors of the cross-spectra: their inverse transform peaks at the shift, at most at 1.

    `first`, `second` and `out` (window, size, columns) complex; `share` as in `_phases`.
    """
    count, size, columns = out.shape
    real = first.real
    phase = np.empty((2, size, columns), real.dtype)
    weight = np.empty((size, columns), real.dtype)
    for k in range(count):
        _phases(first[k], second[k], share, phase, weight)
        total = 0.0
        for i in range(size):
            for j in range(columns):
                total += weight[i, j]
        # half of the plane is summed, the inverse transform divides by all of it
        scale = real.dtype.type(0.5 * size * size / max(total, 1e-30))
        for i in range(size):
            for j in range(columns):
                twice = real.dtype.type(2.0) if j == 0 else real.dtype.type(1.0)
                gain = scale * twice * weight[i, j]
                out[k, i, j] = gain * phase[0, i, j] + 1j * (gain * phase[1, i, j])


@hot_kernel
def find_peaks(surfaces, search, out, flags):
    """Highest value within ±search of each surface.

    Parameters
    ----------
    surfaces
        (window, size, size) correlation by shift; negative shifts stand at the end of each axis.
    search
        Largest shift looked at, px.
    out
        (window, 6): shift along y and x, height, gap to the best one more than PEAK_RADIUS away (NaN if there is none),
        then the fraction of a pixel along y and x by which a surface has its top beyond the peak.
    flags
        (window,) int32: bits against the peak are added.
    """
    patch = np.empty((3, 3), surfaces.dtype)
    top = np.empty(2)
    for k in range(surfaces.shape[0]):
        surface = surfaces[k]
        best = surface[0, 0]
        row = 0
        column = 0
        for i in range(-search, search + 1):
            for j in range(-search, search + 1):
                if surface[i, j] > best:
                    best = surface[i, j]
                    row = i
                    column = j
        second = surfaces.dtype.type(-9.0)
        for i in range(-search, search + 1):
            for j in range(-search, search + 1):
                if abs(i - row) > PEAK_RADIUS or abs(j - column) > PEAK_RADIUS:
                    second = max(second, surface[i, j])
        out[k, 0] = row
        out[k, 1] = column
        out[k, 2] = best
        out[k, 3] = best - second if search > PEAK_RADIUS else np.nan
        if max(abs(row), abs(column)) == search:
            flags[k] |= bits.BORDER
            out[k, 4:] = 0
            continue
        for i in range(3):
            for j in range(3):
                patch[i, j] = surface[row + i - 1, column + j - 1]
        _top_of_surface(patch, top)
        out[k, 4:] = top


@hot_kernel
def _top_of_surface(patch, out):
    """Top (y, x) of the surface through nine scores, within a pixel of the middle one; the middle if it has none.

    The logarithm of the surface is quadratic, by least squares (Nobach & Honkanen 2005, Exp. Fluids 38, 511-515): the
    narrow peak of whitened images has no parabola's flanks.
    """
    logs = np.empty((3, 3))
    least = max(1e-3 * patch[1, 1], 1e-30)
    for i in range(3):
        for j in range(3):
            logs[i, j] = np.log(max(patch[i, j], least))
    b_x = (logs[0, 2] + logs[1, 2] + logs[2, 2] - logs[0, 0] - logs[1, 0] - logs[2, 0]) / 6
    b_y = (logs[2, 0] + logs[2, 1] + logs[2, 2] - logs[0, 0] - logs[0, 1] - logs[0, 2]) / 6
    xx, xy, yy = _bends(logs)
    determinant = xx * yy - xy * xy
    out[:] = 0
    if xx < 0 and determinant > 0:
        out[0] = min(max((xy * b_x - xx * b_y) / determinant, -1), 1)
        out[1] = min(max((xy * b_y - yy * b_x) / determinant, -1), 1)


@hot_kernel
def _bends(patch):
    """Second derivatives (xx, xy, yy) of the quadratic surface through nine values, by least squares."""
    xx = patch[0, 0] + patch[1, 0] + patch[2, 0] + patch[0, 2] + patch[1, 2] + patch[2, 2]
    yy = patch[0, 0] + patch[0, 1] + patch[0, 2] + patch[2, 0] + patch[2, 1] + patch[2, 2]
    xx -= 2 * (patch[0, 1] + patch[1, 1] + patch[2, 1])
    yy -= 2 * (patch[1, 0] + patch[1, 1] + patch[1, 2])
    xy = (patch[0, 0] + patch[2, 2] - patch[0, 2] - patch[2, 0]) / 4
    return xx / 3, xy, yy / 3


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
    weight[:] = base
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


# ---------------------------------------------------------------------------------------------------------- orientation


@hot_kernel
def orientations(image, valid, floor, out):
    """Unit vectors along the gradient of an image, zero where it is flat or a neighbour is not valid.

    Parameters
    ----------
    image, valid
        (height, width) filtered image, and uint8 where it is fit to be matched.
    floor
        Square of the smallest gradient that is no rounding.
    out
        (height, width) complex: along x real, along y imaginary (Fitch et al. 2002, BMVC, 133-142).
    """
    height, width = image.shape
    out[:] = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if valid[y, x] & valid[y, x - 1] & valid[y, x + 1] & valid[y - 1, x] & valid[y + 1, x]:
                along_x = image[y, x + 1] - image[y, x - 1]
                along_y = image[y + 1, x] - image[y - 1, x]
                square = along_x * along_x + along_y * along_y
                if square > floor:
                    length = np.sqrt(square)
                    out[y, x] = along_x / length + 1j * (along_y / length)


@hot_kernel
def _agreement(first, second, y, x, v, u, size):
    """Mean cosine between the directions of two windows, where both have one; and how many those are."""
    total = 0.0
    count = 0.0
    for i in range(size):
        f, g = first[y + i, x : x + size], second[v + i, u : u + size]
        both = first.real.dtype.type(0.0)
        common = first.real.dtype.type(0.0)
        for j in range(size):
            both += f[j].real * g[j].real + f[j].imag * g[j].imag
            own = f[j].real * f[j].real + f[j].imag * f[j].imag
            common += own * (g[j].real * g[j].real + g[j].imag * g[j].imag)
        total += both
        count += common
    return total / max(count, 1.0), count


@hot_kernel
def fit_surfaces(first, second, corners, shifted, size, out, flags):
    """Refine whole-pixel shifts by the surface through the orientation correlation of the nine shifts around.

    Parameters
    ----------
    first, second
        (height, width) results of `orientations`.
    corners, shifted
        (window, 2) first row and column in the first image, and in the second at the whole-pixel shift.
    size
        Side of the windows.
    out
        (window, 6) as of `fit_planes`, but for the score.
    flags
        (window,) int32: bits against the match are added.
    """
    patch = np.empty((3, 3))
    top = np.empty(2)
    covariance = np.empty(3)
    for k in range(corners.shape[0]):
        y, x = corners[k, 0], corners[k, 1]
        v, u = shifted[k, 0], shifted[k, 1]
        count = 0.0
        for i in range(3):
            for j in range(3):
                patch[i, j], common = _agreement(first, second, y, x, v + i - 1, u + j - 1, size)
                count = max(count, common)
        _top_of_surface(patch, top)
        xx, xy, yy = _bends(patch)
        scatter = _scatter(first, second, y, x, v, u, size)
        verdict = _sandwich((-count * xx, -count * xy, -count * yy), scatter, covariance)
        if verdict == 0 and max(abs(top[0]), abs(top[1])) >= 1.0:
            verdict = bits.REFINE_FAILED
        flags[k] |= verdict
        out[k] = np.nan
        if verdict == 0:
            out[k, 0], out[k, 1] = top[1], top[0]
            out[k, 3] = covariance[0] + LEAST_SIGMA_OF_SURFACE**2
            out[k, 4] = covariance[1] + LEAST_SIGMA_OF_SURFACE**2
            out[k, 5] = covariance[2]


@hot_kernel
def _scatter(first, second, y, x, v, u, size):
    """Sums (xx, xy, yy) of the squared pull of each pixel's difference of direction on the shift."""
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(size):
        f = first[y + i, x : x + size]
        above, line, below = second[v + i - 1, u:], second[v + i], second[v + i + 1, u:]
        for j in range(size):
            if f[j] != 0 and line[u + j] != 0:
                real = f[j].real - line[u + j].real
                imaginary = f[j].imag - line[u + j].imag
                left, right = line[u + j - 1], line[u + j + 1]
                pull_x = 0.5 * (real * (right.real - left.real) + imaginary * (right.imag - left.imag))
                pull_y = 0.5 * (real * (below[j].real - above[j].real) + imaginary * (below[j].imag - above[j].imag))
                xx += pull_x * pull_x
                xy += pull_x * pull_y
                yy += pull_y * pull_y
    return xx, xy, yy
