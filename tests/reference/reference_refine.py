"""Slow twins of the sub-pixel methods, in plain NumPy and SciPy, and the bound no match can beat."""

from __future__ import annotations

import itertools

import numpy as np
import reference
import scipy.ndimage
import scipy.optimize

# ------------------------------------------------------------------------------------------------------- closed forms


def vertex_of_line(three: np.ndarray) -> float:
    """Vertex of the parabola through values at -1, 0 and 1; NaN if it is no peak."""
    bend, slope, _ = np.polyfit([-1.0, 0.0, 1.0], three, 2)
    return float(-slope / (2.0 * bend)) if bend < 0 else np.nan


def parabola(scores: np.ndarray) -> np.ndarray:
    """Vertex (x, y) of 3x3 scores, axis by axis."""
    return np.array([vertex_of_line(scores[1]), vertex_of_line(scores[:, 1])])


def gauss(scores: np.ndarray) -> np.ndarray:
    return parabola(np.log(scores))


def quadratic(scores: np.ndarray) -> np.ndarray:
    """Vertex (x, y) of the quadric that fits 3x3 scores best."""
    y, x = (part.ravel() for part in np.mgrid[-1:2, -1:2])
    terms = np.stack([np.ones(9), x, y, x * x, x * y, y * y], axis=1)
    _, a, b, xx, xy, yy = np.linalg.lstsq(terms, scores.ravel(), rcond=None)[0]
    bend = np.array([[2.0 * xx, xy], [xy, 2.0 * yy]])
    if (np.linalg.eigvalsh(bend) >= 0).any():
        return np.full(2, np.nan)
    return -np.linalg.solve(bend, [a, b])


# --------------------------------------------------------------------------------------------------------- covariance


def scatter(slopes: np.ndarray, residual: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Covariance of the sums of slope times residual, from their scatter over blocks of four pixels and a prior.

    `slopes` (parameter, side, side), `prior`: the covariance if the residual is filtered white noise, worth two blocks.
    """
    side = residual.shape[0]
    count = max(side // 4, 1)
    edges = [k * side // count for k in range(count + 1)]
    total = np.zeros_like(prior)
    for top, bottom in itertools.pairwise(edges):
        for left, right in itertools.pairwise(edges):
            block = (slice(None), slice(top, bottom), slice(left, right))
            sums = (slopes * residual)[block].sum(axis=(1, 2))
            total += np.outer(sums, sums)
    blocks = count**2
    total *= 1.2 * blocks / max(blocks - 1, 1)
    return (blocks * total + 2.0 * prior) / (blocks + 2.0)


def bias(window: reference.Window, shift: np.ndarray, agreement: float) -> np.ndarray:
    """Variance (x, y) of what stays in windows of any size: the spline's error and aliased detail."""
    energy = (window.template**2).sum() * max(window.score(*shift), 0.1)
    band = np.trace(window.hessian()) * agreement / energy
    amplitude = 0.026 * (min(band, 1.55) / 1.4) ** 6
    return 1.3e-3**2 + (amplitude * np.sin(2.0 * np.pi * shift)) ** 2


def covariance(
    window: reference.Window, shift: np.ndarray, coloured: list[np.ndarray], noise_gain: float
) -> np.ndarray:
    """Covariance (x, y) of a pure shift."""
    residual = window.residual(*shift)
    agreement = window.agreement(*shift)
    filtered = np.stack([(window.weight * slope[window.here]).ravel() for slope in coloured])
    white = (residual**2).sum() / (window.weight.sum() - 3) / noise_gain
    spread = scatter(np.stack([window.slope_x, window.slope_y]), residual, white * filtered @ filtered.T)
    inverse = np.linalg.inv(window.hessian())
    return inverse @ spread @ inverse / agreement**2 + np.diag(bias(window, shift, agreement))


def bound(clean: np.ndarray, coloured: list[np.ndarray], side: int, tops: np.ndarray, noise: float) -> np.ndarray:
    """Least standard error (row, column, axis) in px of windows of a noise-free band-passed image.

    Cov ≥ 2σ² H⁻¹ J H⁻¹ with the slopes' H = Σ ∇T ∇Tᵀ and J = Σ F∇T (F∇T)ᵀ: white noise of standard deviation `noise` in
    both images before the filter F, which all estimators that compare the filtered pixels alike see in its colour
    (Robinson & Milanfar 2004, IEEE Trans. Image Process. 13, 1185-1199, for F = 1, where J = H).
    """
    slopes = [reference.derivative(clean, axis) for axis in (1, 0)]
    out = np.empty((tops.size, tops.size, 2))
    for row, column in np.ndindex(tops.size, tops.size):
        here = (slice(tops[row], tops[row] + side), slice(tops[column], tops[column] + side))
        plain = np.stack([(slope[here] - slope[here].mean()).ravel() for slope in slopes])
        filtered = np.stack([slope[here].ravel() for slope in coloured])
        inverse = np.linalg.inv(plain @ plain.T)
        out[row, column] = np.sqrt(2.0 * noise**2 * np.diag(inverse @ filtered @ filtered.T @ inverse))
    return out


# -------------------------------------------------------------------------------------------------------------- strain


class StrainedWindow(reference.Window):
    """A window that is shifted and strained: motion (u, v, ∂u/∂x, ∂u/∂y, ∂v/∂x, ∂v/∂y) about its centre."""

    def positions(self, motion: np.ndarray) -> np.ndarray:
        centre = self.grid.mean(axis=(1, 2), keepdims=True)
        down, right = self.grid - centre
        u, v, xx, xy, yx, yy = motion
        return self.grid + np.stack([v + yx * right + yy * down, u + xx * right + xy * down])

    def residual_of(self, motion: np.ndarray) -> np.ndarray:
        other = self.centre(
            scipy.ndimage.map_coordinates(
                self.coefficients, self.positions(motion), order=3, prefilter=False, mode="mirror"
            )
        )
        return other * np.linalg.norm(self.template) / np.linalg.norm(other) - self.template

    def steepest(self) -> np.ndarray:
        """Slopes by the parameters (6, pixels), less their mean and what a change of contrast does as well."""
        down, right = self.grid - self.grid.mean(axis=(1, 2), keepdims=True)
        x, y = self.slope_x, self.slope_y
        slopes = np.stack([x, y, x * right, x * down, y * right, y * down]).reshape(6, -1)
        template = self.template.ravel() / np.linalg.norm(self.template)
        slopes = slopes - slopes.mean(axis=1, keepdims=True)
        return slopes - np.outer(slopes @ template, template)

    def solve_strain(self, start: np.ndarray) -> np.ndarray:
        """Motion at which none of the six slopes explains the residual."""
        slopes = self.steepest()
        scale = np.array([1.0, 1.0, *[2.0 / self.grid.shape[1]] * 4])
        hessian = slopes @ slopes.T * np.outer(scale, scale)

        def steps(scaled: np.ndarray) -> np.ndarray:
            return np.linalg.solve(hessian, scale * (slopes @ self.residual_of(scaled * scale).ravel()))

        found = scipy.optimize.root(steps, start / scale, tol=1e-10)
        return found.x * scale if np.abs(found.fun).max() < 1e-6 else np.full(6, np.nan)


def curvature(shift: np.ndarray, sides: np.ndarray, row: int, column: int, step: int) -> float:
    """Square of the bias of one node: side²/24 times the Laplacian, from neighbours half a side away."""

    def at(down: int, right: int) -> float:
        i, j = row + down, column + right
        return float(shift[i, j]) if 0 <= i < shift.shape[0] and 0 <= j < shift.shape[1] else np.nan

    def second(down: int, right: int) -> float:
        # around the node, else around the one ahead, else around the one behind
        for k in (0, 1, -1):
            found = at((k + 1) * down, (k + 1) * right) + at((k - 1) * down, (k - 1) * right)
            found -= 2.0 * at(k * down, k * right)
            if np.isfinite(found):
                return found
        return np.nan

    side = int(sides[row, column])
    if side == 0:
        return 0.0
    lag = max(1, round(side / 2 / step))
    both = [
        (second(lag, 0) + second(0, lag)) / (lag * step) ** 2,
        (second(lag, lag) + second(lag, -lag)) / (2 * (lag * step) ** 2),
    ]
    known = [each for each in both if np.isfinite(each)]
    if not known:
        return 0.0
    mean, smaller = abs(sum(known) / len(known)), min(abs(each) for each in known)
    return float((min(1.5 * mean, 3.0 * smaller) * side**2 / 24.0) ** 2)
