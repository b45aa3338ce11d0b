"""What vectors on ground that does not move tell of their errors, and what those on ground that does move tell."""

from __future__ import annotations

import math

import numpy as np

from xoffset._arrays.density import LEAST, contour
from xoffset._arrays.layers import Layers

# Bins of the histogram of the parts of a pixel.
BINS = 20
# Pixels that displacements span, at least, of which parts of a pixel are told.
LEAST_SPAN = 2
# Side of the window that the direction of flow is the mean of [m].
FLOW_WINDOW = 1500.0

# Statistics of one map of vectors; two of what belongs to x and to y.
STATISTICS = Layers(
    n_stable=(), valid_share=(), median=2, nmad=2, rmse=2, sigma_ratio=2, uncertainty=2, bias=2, wrong_share=(),
    along_flow=2, locking=2, fraction=(2, BINS),
)  # fmt: skip


def of_map(*fields: np.ndarray, spacing: tuple[float, float], pixel: float | None) -> np.ndarray:
    """Statistics (layer,) as `STATISTICS` says, NaN of what cannot be told.

    The fields (rows, columns) are where the ground is stable, where it moves, both components, and, if there are any,
    their standard errors. Parts of a pixel are told where the side of one is given.
    """
    stable, moving = fields[:2]
    dx, dy, *sigmas = (np.asarray(field, dtype=np.float64) for field in fields[2:])
    out = np.full(STATISTICS.count, np.nan)
    found = STATISTICS.split(out)
    is_known = np.isfinite(dx) & np.isfinite(dy)
    used = stable & is_known
    out[STATISTICS["n_stable"]] = used.sum()
    out[STATISTICS["valid_share"]] = used.sum() / stable.sum() if stable.any() else math.nan
    if used.sum() >= LEAST:
        for k, field in enumerate((dx[used], dy[used])):
            middle = np.median(field)
            away = np.abs(field - middle)
            found["median"][k] = middle
            found["nmad"][k] = 1.4826 * np.median(away)
            found["rmse"][k] = math.sqrt(float((field**2).mean()))
            if sigmas:
                sigma = sigmas[k][used]
                ratio = away[sigma > 0.0] / sigma[sigma > 0.0]
                found["sigma_ratio"][k] = 1.4826 * np.median(ratio) if ratio.size >= LEAST else math.nan
        box = contour(dx[used], dy[used])
        found["uncertainty"][:] = box.half_x, box.half_y
        found["bias"][:] = box.peak_x, box.peak_y
        out[STATISTICS["wrong_share"]] = box.share_outside
    box = contour(*along_flow(dx, dy, moving & is_known, spacing))
    found["along_flow"][:] = box.half_x, box.half_y
    if pixel is not None:
        here = is_known & (moving if moving.any() else ~stable)
        for k, field in enumerate((dx, dy)):
            found["locking"][k], found["fraction"][k] = parts_of_pixel(field[here] / pixel)
    return out


def along_flow(
    dx: np.ndarray, dy: np.ndarray, moving: np.ndarray, spacing: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Strain along the flow (n,): extension, and shear, of the nodes whose eight neighbours move too.

    Derivatives are those of Sobel, an eighth of his sums. The direction of flow is the mean of the directions of all
    that moves in a window, so that it is not that of one vector, which may be wrong.
    """
    if not moving.any():
        return np.empty(0), np.empty(0)
    dx, dy = (np.where(moving, field, np.nan) for field in (dx, dy))
    xx, xy = (_sobel(dx, axis, side) for axis, side in ((1, spacing[0]), (0, spacing[1])))
    yx, yy = (_sobel(dy, axis, side) for axis, side in ((1, spacing[0]), (0, spacing[1])))
    cosine, sine = _direction(dx, dy, spacing)
    shear = 0.5 * (xy + yx)
    normal = xx * cosine**2 + yy * sine**2 + 2.0 * shear * sine * cosine
    across = (yy - xx) * sine * cosine + shear * (cosine**2 - sine**2)
    used = np.isfinite(normal) & np.isfinite(across)
    return normal[used], across[used]


def _sobel(field: np.ndarray, axis: int, side: float) -> np.ndarray:
    """Derivative along an axis by differences over two nodes, weighted 1, 2, 1 across; NaN where a neighbour is."""
    padded = np.pad(field, 1, constant_values=np.nan)
    along = np.moveaxis(padded, axis, 0)
    difference = (along[2:] - along[:-2]) + 0.0 * along[1:-1]
    found = (difference[:, :-2] + 2.0 * difference[:, 1:-1] + difference[:, 2:]) / (8.0 * side)
    return np.moveaxis(found, 0, axis)


def _direction(dx: np.ndarray, dy: np.ndarray, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of the mean direction of the vectors around each node, NaN where there is none."""
    from scipy.ndimage import uniform_filter

    length = np.hypot(dx, dy)
    size = [max(int(FLOW_WINDOW / abs(side)) // 2 * 2 + 1, 3) for side in spacing[::-1]]
    size = [min(each, 2 * nodes - 1) for each, nodes in zip(size, dx.shape, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = (np.where(length > 0.0, field / length, 0.0) for field in (dx, dy))
        means = [uniform_filter(part, size, mode="constant") for part in parts]
        length = np.hypot(*means)
        cosine, sine = (np.where(length > 1e-9, mean / length, np.nan) for mean in means)
    return cosine, sine


def parts_of_pixel(values: np.ndarray) -> tuple[float, np.ndarray]:
    """How far displacements [pixel] (n,) prefer whole pixels, -1 to 1, and the histogram of their parts of a pixel.

    Values are taken that lie within a whole number of pixels around the median, the most that 90 % of them span: of
    such every part of a pixel is about as likely if there is no preference. Of a span of less than two pixels nothing
    can be told.
    """
    nothing = math.nan, np.full(BINS, np.nan)
    if values.size < LEAST * BINS:
        return nothing
    low, high = np.quantile(values, (0.05, 0.95))
    whole = math.floor(high - low)
    if whole < LEAST_SPAN:
        return nothing
    start = 0.5 * (low + high - whole)
    values = values[(start <= values) & (values < start + whole)]
    parts = values - np.floor(values + 0.5)
    count, _ = np.histogram(parts, BINS, (-0.5, 0.5))
    return float(np.cos(2.0 * np.pi * values).mean()), count / values.size
