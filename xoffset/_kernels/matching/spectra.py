"""Windows cut from images for their spectra, and what spectra have in common."""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel

# Distance from the peak, px, within which high values belong to it; the second peak is sought farther away.
PEAK_RADIUS = 3
# Share of the window's side over which the raised cosine rises, half of it at either end; 1 is a Hann window.
TAPER = 0.5
# Spectra are told from rounding down to this share of the power of their loudest frequency.
LEAST_POWER = 1e-12
# Ratio of the eigenvalues of the normal matrix beyond which detail runs in one direction only.
LARGEST_CONDITION = 1e3


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
        out[k, 4] = top[0]
        out[k, 5] = top[1]


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
