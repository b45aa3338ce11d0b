"""Slow twins of the phase matcher, from the equations: matrix transforms, whole planes, sums written out."""

from __future__ import annotations

import numpy as np


def taper(size, fraction):
    """Raised cosine over a quarter of the side at either end, moved by a fraction of a pixel."""
    place = np.arange(size) + 0.5 - fraction
    depth = np.clip(np.minimum(place, size - place) / (0.25 * size), 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(np.pi * depth)


def frequencies(size):
    """Radians per pixel along y and x, (size, size) each."""
    index = np.arange(size)
    signed = np.where(2 * index <= size, index, index - size)
    return np.meshgrid(2.0 * np.pi * signed / size, 2.0 * np.pi * signed / size, indexing="ij")


def spectrum(window, fraction):
    """Matrix transform of a window less its weighted mean, tapered."""
    size = len(window)
    weight = np.outer(taper(size, fraction[0]), taper(size, fraction[1]))
    values = weight * (window - (weight * window).sum() / weight.sum())
    matrix = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    return matrix @ values @ matrix


def phases(first, second, share):
    """Phase factors of conj(first)·second and their weights."""
    size = len(first)
    cross = np.conj(first) * second
    amplitude = np.abs(cross)
    loudness = np.log10(amplitude / amplitude.max() + 1e-300)
    loudness[0, 0] = 0.0
    is_heard = loudness > share * loudness.sum() / (size * size - 1)
    y, x = frequencies(size)
    # a Hann roll-off that is zero at Nyquist
    roll = 0.25 * (1.0 + np.cos(y)) * (1.0 + np.cos(x))
    weight = is_heard * roll * np.sqrt(amplitude)
    weight[0, 0] = 0.0
    return cross / amplitude, weight


def peak(surface, search):
    """Whole-pixel shift (y, x), its height, and the best one more than 3 px away."""
    shifts = range(-search, search + 1)
    found = {(i, j): surface[i, j] for i in shifts for j in shifts}
    best = max(found, key=found.get)
    others = [value for (i, j), value in found.items() if max(abs(i - best[0]), abs(j - best[1])) > 3]
    return best, found[best], max(others) if others else np.nan


def top(patch):
    """Top (y, x) of the quadratic least-squares surface through the logarithms of nine values."""
    y, x = np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], indexing="ij")
    design = np.stack([np.ones(9), *(each.ravel() for each in (x, y, x * x, x * y, y * y))], axis=1)
    logs = np.log(np.maximum(patch, 1e-3 * patch[1, 1])).ravel()
    _, b_x, b_y, a_xx, a_xy, a_yy = np.linalg.lstsq(design, logs, rcond=None)[0]
    x, y = np.linalg.solve([[2 * a_xx, a_xy], [a_xy, 2 * a_yy]], [-b_x, -b_y])
    return np.clip([y, x], -1.0, 1.0)


def around(surface, row, column):
    return np.array([[surface[row + i, column + j] for j in (-1, 0, 1)] for i in (-1, 0, 1)])


def plane(first, second, corner, size, search, *, share=0.9, rounds=4):
    """Shift (x, y), score, gap, variance along x and y, covariance of one window, from whole images."""

    def cut(image, moved):
        top, left = corner[0] + moved[0], corner[1] + moved[1]
        return image[top : top + size, left : left + size]

    one = spectrum(cut(first, (0, 0)), (0.0, 0.0))
    factors, weight = phases(one, spectrum(cut(second, (0, 0)), (0.0, 0.0)), share)
    inverse = np.exp(2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    surface = (inverse @ (weight * factors) @ inverse).real / weight.sum()
    moved, height, rival = peak(surface, search)
    start = top(around(surface, *moved))
    other = spectrum(cut(second, moved), start)
    factors, base = phases(one, other, share)
    y, x = frequencies(size)
    place = start[::-1].copy()  # x, y
    weight = base
    for turn in range(rounds + 1):
        if turn:
            distance = np.abs(factors - np.exp(-1j * (x * place[0] + y * place[1]))) ** 2
            weight = base * (1.0 - distance / 4.0) ** 6
        hessian = np.array([[(weight * a * b).sum() for b in (x, y)] for a in (x, y)])
        for _ in range(200):
            sine = (factors * np.exp(1j * (x * place[0] + y * place[1]))).imag
            place -= np.linalg.solve(hessian, [(weight * sine * x).sum(), (weight * sine * y).sum()])
    residual = factors * np.exp(1j * (x * place[0] + y * place[1]))
    cosine, sine = residual.real, residual.imag
    hold = weight * (cosine - 6 * (rounds > 0) * (1.0 - cosine))
    curvature = np.array([[(hold * a * b).sum() for b in (x, y)] for a in (x, y)])
    scatter = np.array([[((weight * sine) ** 2 * a * b).sum() for b in (x, y)] for a in (x, y)])
    weights = np.outer(taper(size, 0.0), taper(size, 0.0))
    loss = size**2 * (weights**4).sum() / (weights**2).sum() ** 2
    # a frequency and its mirror are one observation
    covariance = 2.0 * loss * np.linalg.inv(curvature) @ scatter @ np.linalg.inv(curvature)
    # at Nyquist a frequency stands for both signs
    turn = [
        np.where(np.isclose(w, np.pi), np.cos(w * d), np.exp(1j * w * d)) for w, d in zip((x, y), place, strict=True)
    ]
    shifted = np.conj(one) * other * turn[0] * turn[1]
    score = shifted.real.sum() / np.sqrt((np.abs(one) ** 2).sum() * (np.abs(other) ** 2).sum())
    u, v = place + moved[::-1]
    # what is aliased draws to whole pixels, by how sharp the shared detail is
    shared = (one * np.conj(other)).real
    slopes = sum(((8.0 * np.sin(w) - np.sin(2.0 * w)) / 6.0) ** 2 for w in (x, y))
    bias = 0.034 * max((shared * slopes).sum() / shared.sum() - 0.4, 0.0) ** 2 * np.sin(2.0 * np.pi * place)
    variances = np.diag(covariance) + bias**2
    return u, v, score, height - rival, *variances, covariance[0, 1]


def directions(image):
    """Unit gradients by central differences, zero at the edges and where one side is unknown."""
    gradient = np.zeros(image.shape, dtype=complex)
    inner = gradient[1:-1, 1:-1]
    inner += image[1:-1, 2:] - image[1:-1, :-2] + 1j * (image[2:, 1:-1] - image[:-2, 1:-1])
    gradient[~np.isfinite(gradient)] = 0.0
    length = np.abs(gradient)
    return np.divide(gradient, length, out=np.zeros_like(gradient), where=length > 0)


def orientation(first, second, corner, size, search):
    """Shift (x, y) and gap of one window, from whole images."""
    a, b = directions(first), directions(second)
    y, x = corner
    one, other = a[y : y + size, x : x + size], b[y : y + size, x : x + size]
    norm = np.sqrt((one != 0).sum() * (other != 0).sum())
    shifts = range(-search, search + 1)
    surface = {
        (i, j): (one.conj() * np.roll(other, (-i, -j), axis=(0, 1))).real.sum() / norm for i in shifts for j in shifts
    }
    moved, height, rival = peak(surface, search)
    patch = np.empty((3, 3))
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            other = b[y + moved[0] + i :, x + moved[1] + j :][:size, :size]
            patch[i + 1, j + 1] = (one.conj() * other).real.sum() / ((one != 0) & (other != 0)).sum()
    v, u = np.add(top(patch), moved)
    return u, v, height - rival
