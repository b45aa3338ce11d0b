"""Slow twins of the statistics of quality, from their equations: plain NumPy, one value at a time."""

import numpy as np
from scipy.ndimage import sobel


def density(x, y, bandwidth, columns, rows):
    """Mean of the kernels of Epanechnikov of all points, at each place."""
    out = np.zeros((rows.size, columns.size))
    for i, j in np.ndindex(out.shape):
        square = ((x - columns[j]) ** 2 + (y - rows[i]) ** 2) / bandwidth**2
        out[i, j] = (2.0 / (np.pi * bandwidth**2) * np.maximum(1.0 - square, 0.0)).mean()
    return out


def contour(x, y):
    """Half widths of the box around the contour at two standard deviations, the peak, and the share outside."""
    scale = (np.cov(x, y)[0, 0] * np.cov(x, y)[1, 1]) ** 0.25
    bandwidth = 2.1991 * scale * x.size ** (-1 / 6)
    half = 3.0 * scale
    for _ in range(2):
        columns, rows = (np.linspace(np.median(v) - half, np.median(v) + half, 60) for v in (x, y))
        found = density(x, y, bandwidth, columns, rows)
        above = np.argwhere(found >= found.max() / np.exp(2.0))
        across, along = columns[above[:, 1]], rows[above[:, 0]]
        half = 0.5 * (np.ptp(across) + np.ptp(along))
    outside = (x < across.min()) | (x > across.max()) | (y < along.min()) | (y > along.max())
    row, column = np.argwhere(found == found.max())[0]
    return 0.5 * np.ptp(across), 0.5 * np.ptp(along), columns[column], rows[row], outside.mean()


def strain(vx, vy, cosine, sine, spacing):
    """Extension and shear along directions given, with the derivatives of Sobel, rows going south."""
    derivative = {
        (k, axis): sobel(v, axis, mode="constant", cval=np.nan) / 8 for k, v in enumerate((vx, vy)) for axis in (0, 1)
    }
    xx, xy = derivative[0, 1] / spacing, -derivative[0, 0] / spacing
    yx, yy = derivative[1, 1] / spacing, -derivative[1, 0] / spacing
    normal, shear = np.full(vx.shape, np.nan), np.full(vx.shape, np.nan)
    for at in np.ndindex(vx.shape):
        turn = np.array([[cosine[at], sine[at]], [-sine[at], cosine[at]]])
        tensor = turn @ np.array([[xx[at], 0.5 * (xy[at] + yx[at])], [0.5 * (xy[at] + yx[at]), yy[at]]]) @ turn.T
        normal[at], shear[at] = tensor[0, 0], tensor[0, 1]
    return normal, shear


def variance_of_sum(weight, correlation, spacing):
    """Double sum over all nodes."""
    places = np.argwhere(weight != 0.0)
    total = 0.0
    for a in places:
        for b in places:
            y, x = (a - b) * np.array(spacing[::-1])
            total += weight[tuple(a)] * weight[tuple(b)] * correlation(np.array(x), np.array(y))
    return total


def to_grid(x, y, crs, d_east, d_north):
    """Displacement on the grid of a short way on the ellipsoid toward true east and north: where the way ends."""
    import pyproj

    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    geod = pyproj.CRS(crs).get_geod()
    longitude, latitude = to_degrees.transform(x, y)
    azimuth = np.full(np.shape(x), np.degrees(np.arctan2(d_east, d_north)))
    length = np.full(np.shape(x), np.hypot(d_east, d_north))
    there = geod.fwd(longitude, latitude, azimuth, length)
    end = to_degrees.transform(there[0], there[1], direction="INVERSE")
    return end[0] - x, end[1] - y
