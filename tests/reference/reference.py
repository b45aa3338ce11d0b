"""Slow twins of the kernels: float64 NumPy, written from the equations and never from the kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import reference_holes
import scipy.ndimage
import scipy.optimize

from xoffset._kernels.images.holes import fill_holes

# Pixels around a window in which a hole counts.
HOLE_REACH = 8
# Public meaning of the flags, as in the contract.
NODATA, FEW_VALID, FLAT, BORDER, REFINE_FAILED, ILL_CONDITIONED = (1 << bit for bit in range(1, 7))
OUTSIDE = 1


# ------------------------------------------------------------------------------------------------------------- filters


def gaussian(sigma: float) -> np.ndarray:
    """Gaussian sampled out to four sigma, sum 1."""
    radius = int(4 * sigma + 0.5)
    taps = np.array([np.exp(-(k**2) / (2 * sigma**2)) for k in range(-radius, radius + 1)])
    return taps / taps.sum()


def convolve(image: np.ndarray, taps_y: np.ndarray, taps_x: np.ndarray | None = None) -> np.ndarray:
    """Convolution along y and x; the image is zero beyond its edges."""
    rows = _convolve_lines(np.asarray(image, dtype=np.float64).T, taps_y).T
    return _convolve_lines(rows, taps_y if taps_x is None else taps_x)


def _convolve_lines(image: np.ndarray, taps: np.ndarray) -> np.ndarray:
    radius = taps.size // 2
    return np.stack([np.convolve(line, taps)[radius : radius + line.size] for line in image])


def local_plane(raw: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian-weighted least-squares plane through the known pixels around each pixel, read off at the pixel.

    Where the known pixels do not fix a plane (determinant of its normal matrix, offsets in units of sigma, at most
    1e-3) it is their weighted mean, and zero where their weight is no more than that either. Also the weight that is
    known, and the offset of its centroid along y and x (2, rows, columns), in units of sigma.
    """
    taps = gaussian(sigma)
    radius = taps.size // 2
    offsets = np.arange(-radius, radius + 1) / sigma
    y, x = np.meshgrid(offsets, offsets, indexing="ij")
    basis = np.stack([np.ones_like(x), x, y]).reshape(3, -1)
    padded = np.pad(raw, radius, constant_values=np.nan)
    level, weight, centroid = np.zeros(raw.shape), np.zeros(raw.shape), np.zeros((2, *raw.shape))
    for row in range(raw.shape[0]):
        around = windows(padded[row : row + taps.size], taps.size)[0].reshape(raw.shape[1], -1)
        known = np.isfinite(around) * np.outer(taps, taps).ravel()
        normal = np.einsum("an,bn,pn->pab", basis, basis, known)
        right = np.einsum("an,pn->pa", basis, known * np.nan_to_num(around))
        weight[row] = normal[:, 0, 0]
        least = np.maximum(weight[row], 1e-6)
        centroid[:, row] = normal[:, 0, 2] / least, normal[:, 0, 1] / least
        is_plane = np.linalg.det(normal) > 1e-3
        is_mean = ~is_plane & (weight[row] > 1e-3)
        level[row, is_plane] = np.linalg.solve(normal[is_plane], right[is_plane, :, None])[:, 0, 0]
        level[row, is_mean] = right[is_mean, 0] / weight[row, is_mean]
    return level, weight, centroid


def bandpass(raw: np.ndarray, frame: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Difference of a fine and a coarse local plane, and where it is fit to be matched.

    Fit: a pixel with a value, half of whose fine weight is known, and whose coarse surroundings are known not too
    one-sidedly: holes move their centroid by at most 0.35 sigma. `frame` says where there is image at all: its edge is
    no hole.
    """
    mask = np.isfinite(raw)
    frame = np.ones(raw.shape, dtype=bool) if frame is None else frame.astype(bool)
    # a constant changes no plane; without it less is lost to rounding
    centred = raw - (raw[mask].mean() if mask.any() else 0.0)
    low, support, _ = local_plane(centred, 0.7)
    high, _, centroid = local_plane(centred, 3.0)
    _, _, of_frame = local_plane(np.where(frame, 0.0, np.nan), 3.0)
    is_lopsided = np.hypot(*(centroid - of_frame)) > 0.35
    return low - high, mask & (support >= 0.5) & ~is_lopsided


def spline_coefficients(image: np.ndarray) -> np.ndarray:
    """Cubic B-spline coefficients by solving (c[k-1] + 4 c[k] + c[k+1])/6 = image[k], mirrored at the edges."""
    out = np.asarray(image, dtype=np.float64)
    for axis in (0, 1):
        size = out.shape[axis]
        system = (np.diag(np.full(size, 4.0)) + np.diag(np.ones(size - 1), 1) + np.diag(np.ones(size - 1), -1)) / 6
        if size > 1:
            # c[-1] = c[1]
            system[0, 1] = system[-1, -2] = 2 / 6
        else:
            system[:] = 1.0
        out = np.moveaxis(np.linalg.solve(system, np.moveaxis(out, axis, 0)), 0, axis)
    return np.ascontiguousarray(out)


def derivative(image: np.ndarray, axis: int) -> np.ndarray:
    """Five-point central difference, zero within two pixels of any edge."""
    out = np.zeros(image.shape)
    inner = (slice(2, -2), slice(2, -2))
    for offset, weight in ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12)):
        out[inner] += weight * np.roll(image, -offset, axis)[inner]
    return out


# ------------------------------------------------------------------------------------------------------------- windows


def windows(image: np.ndarray, side: int) -> np.ndarray:
    """All square windows (rows, columns, side, side), by first pixel."""
    return np.lib.stride_tricks.sliding_window_view(image, (side, side))


def is_flat(values: np.ndarray) -> bool:
    """Contract: standard deviation at most 1e-6 of the largest absolute value, over the pixels that are no NaN."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return False
    # deviations from one of the values lose nothing of a small spread
    return bool(np.std(values - values[0]) <= 1e-6 * np.abs(values).max())


def flat_windows(raw: np.ndarray, side: int) -> np.ndarray:
    """Where every window (by first pixel) is flat."""
    found = windows(raw, side)
    return np.array([[is_flat(window) for window in row] for row in found])


def window_sums(image: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum and sum of squared deviations of every window."""
    found = windows(np.asarray(image, dtype=np.float64), side)
    total = found.sum((-2, -1))
    return total, ((found - total[..., None, None] / side**2) ** 2).sum((-2, -1))


class Image(NamedTuple):
    """One image as matching sees it; `raw` has NaN where there is nothing."""

    raw: np.ndarray
    filtered: np.ndarray
    valid: np.ndarray  # fit to be matched; the pixels with a value are the finite ones of `raw`


def prepare(raw: np.ndarray, prefilter: str | None = "bandpass", pad: int = 0) -> Image:
    """Filter an image, after surrounding it with `pad` pixels of nothing."""
    frame = np.pad(np.ones(raw.shape), pad)
    raw = np.pad(np.where(np.isfinite(raw), raw, np.nan).astype(np.float64), pad, constant_values=np.nan)
    if prefilter == "bandpass":
        return Image(raw, *bandpass(raw, frame))
    mask = np.isfinite(raw)
    return Image(raw, np.where(mask, raw - raw[mask].mean() if mask.any() else 0.0, 0.0), mask)


def zncc(first: np.ndarray, second: np.ndarray) -> float:
    """Zero-mean normalised correlation of two sets of pixels; NaN where one of them has no texture but rounding."""
    first, second = first - first.mean(), second - second.mean()
    norm = np.sqrt((first @ first) * (second @ second))
    return first @ second / norm if norm > 0 else np.nan


def contrast(raw: np.ndarray) -> float:
    """Largest deviation from the mean of what an image holds."""
    values = raw[np.isfinite(raw)]
    return float(np.abs(values - values.mean()).max()) if values.size else 0.0


class Surface(NamedTuple):
    score: np.ndarray  # (shifts along y, shifts along x), NaN where a candidate has none
    reason: np.ndarray  # flag why


def surface(
    reference: Image,
    secondary: Image,
    y: int,
    x: int,
    side: int,
    half: tuple[int, int],
    least: int,
    centre: tuple[int, int] = (0, 0),
) -> Surface:
    """Masked ZNCC (Padfield 2012) of the template at (y, x) with its candidates, `half` around `centre` (y, x).

    A candidate needs `least` pixels known in both windows, and 0.8 times as many that are fit to be matched.
    """
    shape = (2 * half[0] + 1, 2 * half[1] + 1)
    score = np.full(shape, np.nan)
    reason = np.zeros(shape, dtype=np.int32)
    here = (slice(y, y + side), slice(x, x + side))
    # what rounding leaves of a constant after filtering
    tiny = side * 1e-14 * max(contrast(reference.raw), contrast(secondary.raw))
    is_flat_here = is_flat(reference.raw[here])
    for i, j in np.ndindex(*shape):
        top, left = y + centre[0] + i - half[0], x + centre[1] + j - half[1]
        there = (slice(top, top + side), slice(left, left + side))
        known = np.isfinite(reference.raw[here]) & np.isfinite(secondary.raw[there])
        common = reference.valid[here] & secondary.valid[there]
        first, second = reference.filtered[here][common], secondary.filtered[there][common]
        if is_flat_here:
            reason[i, j] = FLAT
        elif known.sum() < least or common.sum() < 0.8 * least:
            reason[i, j] = FEW_VALID if common.any() else NODATA
        elif (
            is_flat(secondary.raw[there])
            or np.linalg.norm(first - first.mean()) <= tiny
            or np.linalg.norm(second - second.mean()) <= tiny
        ):
            reason[i, j] = FLAT
        else:
            score[i, j] = zncc(first, second)
    return Surface(score, reason)


class Peak(NamedTuple):
    row: int
    column: int
    score: float
    gap: float
    flags: int
    around: np.ndarray  # (3, 3) scores, NaN where there is none
    other: tuple[float, float]  # score of the best other peak, and by how much it is higher between the pixels


def find_peak(found: Surface) -> Peak:
    """Best candidate, its distance from the best one outside ±3 px, and what speaks against it.

    A search of 3 px or less has no outside.
    """
    score, reason = found
    if np.isnan(score).all():
        # what the most favourable candidate lacks
        flags = next(flag for flag in (FLAT, FEW_VALID, NODATA) if (reason == flag).any())
        return Peak(0, 0, np.nan, np.nan, flags, np.full((3, 3), np.nan), (np.nan, np.nan))
    row, column = np.unravel_index(np.nanargmax(score), score.shape)
    i, j = np.indices(score.shape)
    outside = score[(abs(i - row) > 3) | (abs(j - column) > 3)]
    has_outside = max(score.shape) > 7 and np.isfinite(outside).any()
    gap = score[row, column] - np.nanmax(outside) if has_outside else np.nan
    touched = (abs(i - row) <= 1) & (abs(j - column) <= 1)
    on_ring = row in (0, score.shape[0] - 1) or column in (0, score.shape[1] - 1)
    flags = BORDER if on_ring else 0
    if (reason[touched] == FLAT).any():
        flags |= FLAT
    if np.isin(reason[touched], (FEW_VALID, NODATA)).any():
        flags |= FEW_VALID
    around = np.pad(score, 1, constant_values=np.nan)[row : row + 3, column : column + 3]
    return Peak(int(row), int(column), score[row, column], gap, flags, around, other_peak(score, row, column, gap))


def other_peak(score: np.ndarray, row: int, column: int, gap: float) -> tuple[float, float]:
    """Highest local maximum outside ±3 px of a peak, with the top of the parabolas through it.

    (-1, 0) if there is none. Not sought where the gap says that none can compete: (best score outside, 0).
    """
    wide = np.pad(score, 1, constant_values=np.nan)
    here = wide[row : row + 3, column : column + 3]
    bends = [2.0 * here[1, 1] - line[0] - line[2] for line in (here[:, 1], here[1])]
    top = score[row, column]
    # beyond the rim and where a candidate has no score, scores count as very low
    steep = sum(max(10.0 if np.isnan(bend) else bend, 0.0) for bend in bends)
    if not gap < 0.3 + 0.25 * min(steep, 1.0):
        return (np.nan if np.isnan(gap) else top - gap), 0.0
    found = (-1.0, 0.0)
    for i, j in np.argwhere(score >= top - 0.3).tolist():
        patch = wide[i : i + 3, j : j + 3]
        if (abs(i - row) <= 3 and abs(j - column) <= 3) or np.nanmax(patch) > score[i, j]:
            continue
        rise = 0.0
        for line, bend in zip((patch[:, 1], patch[1]), np.maximum(np.nan_to_num(bends), 0.0), strict=True):
            known = np.isfinite(line)
            if known.all() and 2.0 * line[1] > line[0] + line[2]:
                rise += (line[2] - line[0]) ** 2 / (8.0 * (2.0 * line[1] - line[0] - line[2]))
            elif known.sum() == 2:
                slope = max(line[1] - np.nanmax(line[[0, 2]]) - 0.5 * bend, 0.0)
                away = min(slope / bend, 2.0) if bend > 0.0 else 2.0
                rise += slope * away - 0.5 * bend * away**2
        if score[i, j] + rise > sum(found) or found[0] == -1.0:
            found = (score[i, j], rise)
    return found


def search(
    reference: Image,
    secondary: Image,
    nodes: tuple[int, int, int, int, int, int],
    sides: list[int],
    centre: np.ndarray,
    half: np.ndarray,
    least: list[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Peaks (size, rows, columns, 15) and flags of windows of several sides that share their centres.

    `nodes`: rows, columns, first row and column, step and side of the largest windows. A peak: shift along y and x,
    score, gap, the nine scores around it by rows, score and rise of the best other peak.
    """
    rows, columns, top, left, step, largest = nodes
    out = np.full((len(sides), rows, columns, 15), np.nan)
    flags = np.zeros((len(sides), rows, columns), np.int32)
    for k, row, column in np.ndindex(len(sides), rows, columns):
        inset = (largest - sides[k]) // 2
        y, x = top + row * step + inset, left + column * step + inset
        middle, reach = tuple(map(int, centre[row, column])), tuple(map(int, half[row, column]))
        peak = find_peak(surface(reference, secondary, y, x, sides[k], reach, least[k], middle))
        flags[k, row, column] = peak.flags
        if np.isfinite(peak.score):
            v, u = peak.row + middle[0] - reach[0], peak.column + middle[1] - reach[1]
            out[k, row, column] = v, u, peak.score, peak.gap, *peak.around.ravel(), *peak.other
    return out, flags


# ----------------------------------------------------------------------------------------------------------- sub-pixel


class Window:
    """A template, its slopes and the spline of the other image around the integer match."""

    def __init__(
        self, image: np.ndarray, coefficients: np.ndarray, weight: np.ndarray, y: int, x: int, side: int
    ) -> None:
        self.here = (slice(y, y + side), slice(x, x + side))
        self.weight = weight.astype(np.float64)
        self.coefficients = coefficients
        self.grid = np.mgrid[y : y + side, x : x + side].astype(np.float64)
        self.template = self.centre(image[self.here])
        self.slope_x = self.centre(derivative(image, 1)[self.here])
        self.slope_y = self.centre(derivative(image, 0)[self.here])

    def centre(self, values: np.ndarray) -> np.ndarray:
        """Values without their weighted mean, zero where they have no weight."""
        return self.weight * (values - (self.weight * values).sum() / self.weight.sum())

    def moved(self, u: float, v: float) -> np.ndarray:
        """The other image where the template would be after a shift by (u, v)."""
        points = self.grid + np.array([v, u])[:, None, None]
        return scipy.ndimage.map_coordinates(self.coefficients, points, order=3, prefilter=False, mode="mirror")

    def score(self, u: float, v: float) -> float:
        """ZNCC after a shift by (u, v)."""
        other = self.centre(self.moved(u, v))
        return float((self.template * other).sum() / np.linalg.norm(self.template) / np.linalg.norm(other))

    def residual(self, u: float, v: float) -> np.ndarray:
        """What the moved image, at the template's mean and contrast, has more than the template."""
        other = self.centre(self.moved(u, v))
        return other * np.linalg.norm(self.template) / np.linalg.norm(other) - self.template

    def normal_equations(self, shift: np.ndarray) -> np.ndarray:
        """Sums of slope times residual, which are zero at the match."""
        residual = self.residual(*shift)
        return np.array([(self.slope_x * residual).sum(), (self.slope_y * residual).sum()])

    def hessian(self) -> np.ndarray:
        slopes = np.stack([self.slope_x.ravel(), self.slope_y.ravel()])
        return slopes @ slopes.T

    def solve(self, u: float, v: float) -> np.ndarray:
        """Shift (u, v) where the residual no longer depends on the slopes."""
        scale = np.trace(self.hessian())
        found = scipy.optimize.root(lambda shift: self.normal_equations(shift) / scale, [u, v], tol=1e-12)
        return found.x if np.abs(found.fun).max() < 1e-8 else np.full(2, np.nan)

    def best(self, u: float, v: float) -> np.ndarray:
        """Shift (u, v) of the largest ZNCC, that is of the least ZNSSD."""
        start = np.array([[u, v], [u + 0.5, v], [u, v + 0.5]])
        options = {"xatol": 1e-7, "fatol": 1e-14, "initial_simplex": start}
        return scipy.optimize.minimize(
            lambda shift: -self.score(*shift), [u, v], method="Nelder-Mead", options=options
        ).x

    def agreement(self, u: float, v: float) -> float:
        """Regression of the matched image's slopes on those of the template, inside the window, 0.1 to 1."""
        side = self.weight.shape[0]
        moved = self.moved(u, v)
        gain = np.linalg.norm(self.template) / np.linalg.norm(self.centre(moved))
        inner = (slice(2, side - 2), slice(2, side - 2))
        own, common = 0.0, 0.0
        for axis, slope in ((1, self.slope_x), (0, self.slope_y)):
            own += (slope[inner] ** 2).sum()
            common += gain * (slope[inner] * derivative(moved, axis)[inner]).sum()
        return float(np.clip(common / own, 0.1, 1.0))

    def covariance(self, u: float, v: float, coloured: tuple[np.ndarray, np.ndarray], noise_gain: float) -> np.ndarray:
        """H⁻¹JH⁻¹ times the noise variance of both images, plus the interpolation's 0.002 px.

        `coloured` are the slopes along x and y once more through the pre-filter: what its colour lets pass.
        """
        noise = (self.residual(u, v) ** 2).sum() / (self.weight.sum() - 3) / noise_gain / self.agreement(u, v) ** 2
        slopes = np.stack([(self.weight * slope[self.here]).ravel() for slope in coloured])
        inverse = np.linalg.inv(self.hessian())
        return noise * inverse @ (slopes @ slopes.T) @ inverse + 0.002**2 * np.eye(2)


def refine(
    reference: Image, secondary: Image, y: int, x: int, side: int, shift: tuple[int, int]
) -> tuple[np.ndarray, float, int]:
    """Shift along x and y, score and flags of a template whose integer shift (v, u) is known."""
    v, u = shift
    weight = reference.valid[y : y + side, x : x + side] & secondary.valid[y + v : y + v + side, x + u : x + u + side]
    coefficients = scipy.ndimage.spline_filter(secondary.filtered, mode="mirror")
    window = Window(reference.filtered, coefficients, weight, y, x, side)
    if np.linalg.cond(window.hessian()) > 1e3:
        return np.full(2, np.nan), np.nan, ILL_CONDITIONED
    found = window.solve(u, v)
    if not np.abs(found - (u, v)).max() <= 1:
        return np.full(2, np.nan), np.nan, REFINE_FAILED
    return found, window.score(*found), 0


def constant_blocks(raw: np.ndarray, side: int) -> np.ndarray:
    """Pixels in any rectangle of side² pixels or more, of one value, that is no wider or no higher than `side`."""
    out = np.zeros(raw.shape, dtype=bool)
    for short in range(1, side + 1):
        long = -(-side * side // short)
        for height, width in {(short, long), (long, short)}:
            if height > raw.shape[0] or width > raw.shape[1]:
                continue
            blocks = np.lib.stride_tricks.sliding_window_view(raw, (height, width))
            for y, x in np.argwhere((blocks == blocks[..., :1, :1]).all((-2, -1))):
                out[y : y + height, x : x + width] = True
    return out


def beside_holes(
    reference: Image, secondary: Image, y: int, x: int, side: int, shift: tuple[int, int]
) -> tuple[np.ndarray, float]:
    """Shift along x and y and score of a template that has a hole in or near it, in either image."""
    known = (np.isfinite(reference.raw), np.isfinite(secondary.raw))
    first, second = (
        np.where(mask, image.raw - image.raw[mask].mean(), 0.0)
        for mask, image in zip(known, (reference, secondary))  # noqa: B905
    )
    filled = np.empty_like(second)
    # held against the equation that it solves elsewhere
    fill_holes(second, known[1].astype(np.uint8), filled)
    coarse = gaussian(3.0)
    coarse = coarse[coarse.size // 2 - HOLE_REACH : coarse.size // 2 + HOLE_REACH + 1]
    found, score = reference_holes.match((first, filled), known, (y, x), side, shift, (gaussian(0.7), coarse))
    return found[::-1], score


def correlate(
    reference: np.ndarray,
    secondary: np.ndarray,
    *,
    template: int,
    search: int,
    step: int,
    min_valid: float = 0.5,
    prefilter: str | None = "bandpass",
) -> dict[str, np.ndarray]:
    """One pair on the whole grid, node by node, in pixels."""
    pad = 30 + search
    images = [prepare(raw, prefilter, pad) for raw in (reference, secondary)]
    images = [image._replace(valid=np.isfinite(image.raw)) for image in images]
    holes = [np.pad(~np.isfinite(raw), pad) for raw in (reference, secondary)]
    counts = [(size - template) // step + 1 for size in reference.shape]
    out = {name: np.full(counts, np.nan) for name in ("dx", "dy", "score", "peak_gap")}
    flags = np.full(counts, OUTSIDE, dtype=np.int32)
    least = int(np.ceil(min_valid * template**2))
    for row, column in np.ndindex(*counts):
        y, x = row * step, column * step
        if any(start < search or start + template + search > size for start, size in zip((y, x), reference.shape)):  # noqa: B905
            continue
        y, x = y + pad, x + pad
        # a shift with a fifth less may stand beside the peak
        peak = find_peak(surface(*images, y, x, template, (search, search), int(np.ceil(0.8 * least))))
        flags[row, column] = peak.flags
        out["score"][row, column], out["peak_gap"][row, column] = peak.score, peak.gap
        shift = (peak.row - search, peak.column - search)
        corners = ((y, x), (y + shift[0], x + shift[1]))
        if np.isfinite(peak.score):
            both = [i.valid[v : v + template, u : u + template] for i, (v, u) in zip(images, corners)]  # noqa: B905
            flags[row, column] |= FEW_VALID if (both[0] & both[1]).sum() < least else 0
        if flags[row, column]:
            continue
        around = [
            hole[v - HOLE_REACH : v + template + HOLE_REACH, u - HOLE_REACH : u + template + HOLE_REACH].any()
            for hole, (v, u) in zip(holes, corners)  # noqa: B905
        ]
        if prefilter is not None and any(around):
            found, score = beside_holes(*images, y, x, template, shift)
        else:
            found, score, flags[row, column] = refine(*images, y, x, template, shift)
        out["dx"][row, column], out["dy"][row, column] = found
        if not flags[row, column]:
            out["score"][row, column] = score
    return out | {"flags": flags}


# ----------------------------------------------------------------------------------------------------------- screening


def disagrees(dx: np.ndarray, dy: np.ndarray, sigma: np.ndarray, limit: float) -> np.ndarray:
    """Vectors far from the vector median of the (up to 24) nodes around them, or that too few of these agree with.

    NaN is a node without a vector, infinity one that cannot have any and is no node at all.
    """
    out = np.zeros(dx.shape, dtype=bool)
    vectors = np.stack([dx, dy], axis=-1)
    has_value = np.isfinite(vectors).all(-1)
    for row, column in np.argwhere(has_value):
        nodes = [
            (i, j)
            for i in range(max(row - 2, 0), min(row + 3, dx.shape[0]))
            for j in range(max(column - 2, 0), min(column + 3, dx.shape[1]))
            if (i, j) != (row, column) and not np.isinf(dx[i, j])
        ]
        around = [node for node in nodes if has_value[node]]
        if not around or len(around) < len(nodes) / 2:
            out[row, column] = True
            continue
        others = np.array([vectors[node] for node in around])
        apart = np.linalg.norm(others[:, None] - others[None], axis=-1)
        centre = others[np.argmin(apart.sum(1))]
        # distance within which half of the nodes hold a vector; one without is infinitely far
        distances = np.pad(
            np.sort(np.linalg.norm(others - centre, axis=-1)), (0, len(nodes) - len(around)), constant_values=np.inf
        )
        spread = distances[int(np.ceil(len(nodes) / 2)) - 1]
        errors = 4 * np.hypot(np.median([sigma[node] for node in around]), sigma[row, column])
        far = np.linalg.norm(vectors[row, column] - centre)
        most = max(limit, errors)
        out[row, column] = spread > most or far > min(max(3 * spread, errors), most)
    return out


def vector_median(field: np.ndarray) -> np.ndarray:
    """Of the known vectors in the 3 x 3 around each, the first by rows with the least sum of distances to all."""
    out = np.full(field.shape, np.nan)
    for row, column in np.ndindex(*field.shape[:2]):
        around = field[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].reshape(-1, 2)
        around = around[np.isfinite(around).all(axis=1)]
        if len(around):
            distances = np.linalg.norm(around[:, None] - around[None], axis=-1).sum(axis=1)
            out[row, column] = around[np.argmin(np.round(distances, 9))]
    return out


def gradient(field: np.ndarray, row: int, column: int, axis: int) -> float:
    """Difference per node along an axis: central, one-sided beside a node without value, zero without neighbours."""
    step = np.eye(2, dtype=int)[axis]
    places = [np.array([row, column]) + k * step for k in (-1, 0, 1)]
    known = [
        k
        for k, place in enumerate(places)
        if (place >= 0).all() and (place < field.shape).all() and np.isfinite(field[tuple(place)])
    ]
    values = {k: field[tuple(places[k])] for k in known}
    return (values[known[-1]] - values[known[0]]) / (known[-1] - known[0]) if len(known) > 1 else 0.0


def fails_to_come_back(shift: np.ndarray, back: np.ndarray, variance: np.ndarray, step: int) -> np.ndarray:
    """Where d + back is longer than max(0.5, 3 sigma) + |(d·∇)d|; arrays (2, rows, columns) along x and y, px.

    No more than a fifth of the length of d is allowed for its gradient.
    """
    out = np.zeros(shift.shape[1:], dtype=bool)
    for row, column in np.ndindex(*out.shape):
        d, other = shift[:, row, column], back[:, row, column]
        if not np.isfinite([*d, *other]).all():
            continue
        jacobian = np.array([[gradient(field, row, column, axis) for axis in (1, 0)] for field in shift]) / step
        sigma = np.sqrt(2 * variance[:, row, column].sum())
        change = min(np.linalg.norm(jacobian @ d), 0.2 * np.linalg.norm(d))
        out[row, column] = np.linalg.norm(d + other) > max(0.5, 3 * sigma) + change
    return out


# --------------------------------------------------------------------------------------------------------------- scene


def photograph(
    spline: np.ndarray,
    oversampling: int,
    shape: np.ndarray,
    amplitude: tuple[float, float],
    shift: tuple[float, float] | np.ndarray,
) -> np.ndarray:
    """Image of a periodic spline scene whose points moved by shape·amplitude + shift (each along y, x), in pixels.

    The shift holds for the whole image, or is one of each of its pixels (2, rows, columns).
    """
    shifts = np.zeros((2, *shape.shape)) + np.reshape(shift, (2, *(np.shape(shift)[1:] or (1, 1))))
    out = np.zeros(shape.shape)
    offsets = (np.arange(oversampling) - 0.5 * (oversampling - 1)) / oversampling
    for row, column in np.ndindex(*shape.shape):
        seen = np.array([[row + a, column + b] for a in offsets for b in offsets]).T
        origin = seen - shifts[:, row, column, None]
        start = origin.copy()
        for _ in range(200):
            share = scipy.ndimage.map_coordinates(shape, origin, order=1, mode="nearest")
            origin = start - np.array(amplitude)[:, None] * share
        points = oversampling * origin + 0.5 * (oversampling - 1)
        values = scipy.ndimage.map_coordinates(spline, points, order=3, prefilter=False, mode="grid-wrap")
        out[row, column] = values.mean()
    return out
