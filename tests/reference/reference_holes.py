"""Slow twins of what is done beside holes: float64 NumPy, written from the equations."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.ndimage


def biharmonic(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Solution in the holes of the discrete biharmonic equation, with the known pixels as they are."""
    stencil = {(0, 0): 20, (0, 1): -8, (1, 0): -8, (1, 1): 2, (1, -1): 2, (0, 2): 1, (2, 0): 1}
    holes = {tuple(place): k for k, place in enumerate(np.argwhere(~known).tolist())}
    system, right = np.zeros((len(holes), len(holes))), np.zeros(len(holes))
    for (y, x), k in holes.items():
        for place, weight in {(sign * i, sign * j): w for (i, j), w in stencil.items() for sign in (1, -1)}.items():
            other = (y + place[0], x + place[1])
            if other in holes:
                system[k, holes[other]] += weight
            else:
                right[k] -= weight * image[other]
    out = np.where(known, image, 0.0)
    out[~known] = np.linalg.solve(system, right)
    return out


def normalised_bandpass(image: np.ndarray, mask: np.ndarray, taps: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Difference of two normalised convolutions over the pixels of a mask."""

    def low(values: np.ndarray, along: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            values = scipy.ndimage.correlate1d(values, along, axis, mode="constant")
        return values

    fine, coarse = (low(image * mask, along) / np.maximum(low(mask * 1.0, along), 1e-9) for along in taps)
    return fine - coarse


def match(
    images: tuple[np.ndarray, np.ndarray],
    known: tuple[np.ndarray, np.ndarray],
    corner: tuple[int, int],
    side: int,
    whole: tuple[int, int],
    taps: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, float]:
    """Shift along y and x where the residual of the window is at right angles to the slopes of the reference; score.

    Both images, of which the second has its holes filled, are filtered with the pixels that both know at the whole
    shift.
    """
    reach = taps[1].size // 2 + 3
    rows, columns = (np.arange(first - reach, first + side + reach) for first in corner)
    region, moved = np.ix_(rows, columns), np.ix_(rows + whole[0], columns + whole[1])
    mask = known[0][region] & known[1][moved]
    here = (slice(reach, -reach), slice(reach, -reach))
    weight = mask[here]
    template = normalised_bandpass(images[0][region], mask, taps)
    slopes = []
    for axis in (0, 1):
        near = (np.roll(template, -1, axis) - np.roll(template, 1, axis)) * 2 / 3
        far = (np.roll(template, -2, axis) - np.roll(template, 2, axis)) / 12
        slopes.append((near - far)[here][weight])
    slopes = np.stack([slope - slope.mean() for slope in slopes])
    first = template[here][weight] - template[here][weight].mean()
    coefficients = scipy.ndimage.spline_filter(images[1], mode="mirror")
    shift, step = np.array(whole, dtype=float), np.ones(2)
    for _ in range(60):
        if np.abs(step).max() < 1e-6:
            break
        places = np.meshgrid(rows + shift[0], columns + shift[1], indexing="ij")
        secondary = scipy.ndimage.map_coordinates(coefficients, places, prefilter=False, mode="mirror")
        second = normalised_bandpass(secondary, mask, taps)[here][weight]
        second = second - second.mean()
        scale = np.linalg.norm(first) * np.linalg.norm(second)
        residual = second * np.linalg.norm(first) / np.linalg.norm(second) - first
        step = np.linalg.solve(slopes @ slopes.T, slopes @ residual)
        shift = shift - step
    return shift, float(first @ second / scale)


def jackknife(slopes: np.ndarray, residual: np.ndarray, side: int, block: int) -> np.ndarray:
    """Covariance of a least-squares shift from fits that leave out one block each, J of H⁻¹JH⁻¹.

    `slopes` (2, side, side) along x and y and `residual` (side, side).
    """
    normal = np.einsum("aij,bij->ab", slopes, slopes)
    scatter = np.zeros((2, 2))
    edges = [k * side // (side // block) for k in range(side // block + 1)]
    for top, bottom in itertools.pairwise(edges):
        for left, right in itertools.pairwise(edges):
            part = (slice(None), slice(top, bottom), slice(left, right))
            own = np.einsum("aij,bij->ab", slopes[part], slopes[part])
            rest = normal - own
            # what the match is moved by without the block, times the normal matrix
            moved = normal @ np.linalg.solve(rest, (slopes[part] * residual[part[1:]]).sum((1, 2)))
            scatter += np.outer(moved, moved)
    return scatter


def shared(known: np.ndarray, corner: tuple[int, int], shift: tuple[int, int], side: int) -> float:
    """Share of the pixels of a window that two images (2, height, width) know, the second where they moved to."""
    both = 0
    for i, j in itertools.product(range(corner[0], corner[0] + side), range(corner[1], corner[1] + side)):
        both += bool(known[0, i, j] and known[1, i + shift[0], j + shift[1]])
    return both / side**2
