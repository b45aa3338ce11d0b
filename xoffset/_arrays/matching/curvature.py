"""What the strain of a window leaves of motion that curves inside it, from the motion of the windows around it."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.neighbours import moved

# Steps to a neighbour (rows, columns) in two directions across each other: along the axes, and along the diagonals.
AXES, DIAGONALS = ((1, 0), (0, 1)), ((1, 1), (1, -1))
# Curvature that is assumed over that of the shifts, which are means over windows, some of them smaller, and know it no
# better than to a third. On steps and waves of 1 to 6 px over 60 to 250 px, windows of 16 to 64 px and noise of 1 to
# 20 %, 95 % intervals then hold 89 to 100 % of the errors; with 1 it is 83 %, without any of this 40 %, at the least.
MARGIN = 1.5
# Most that the curvature may exceed the smaller of both estimates: a wrong match spoils only one of its neighbours'.
LARGEST_RATIO = 3.0


def reach(template: int, step: int) -> int:
    """How many nodes around a node `variance` looks at, for windows of at most this side."""
    return 2 * _lag(template, step)


def variance(shift: np.ndarray, sides: np.ndarray, step: int) -> np.ndarray:
    """Square of the error that curvature leaves in the shift (rows, columns) of windows of these sides [px²].

    The shift of a window with strain is the mean motion of its pixels: that of the centre, plus side²/24 times the
    Laplacian of the motion. This is taken from windows half a side away, along the axes and once more along the
    diagonals. 0 where there are no such windows.
    """
    bias = np.zeros(shift.shape)
    for side in np.unique(sides[sides > 0]):
        lag = _lag(side, step)
        straight = _laplacian(shift, lag, AXES) / (lag * step) ** 2
        oblique = _laplacian(shift, lag, DIAGONALS) / (2.0 * (lag * step) ** 2)
        straight, oblique = (
            np.where(np.isnan(one), other, one) for one, other in ((straight, oblique), (oblique, straight))
        )
        mean, smaller = 0.5 * np.abs(straight + oblique), np.fmin(np.abs(straight), np.abs(oblique))
        bias = np.where(sides == side, np.fmin(MARGIN * mean, LARGEST_RATIO * smaller) * side**2 / 24.0, bias)
    return np.asarray(np.nan_to_num(bias * bias))


def _lag(side: int, step: int) -> int:
    """Distance in nodes that is next to half a window."""
    return max(1, round(0.5 * side / step))


def _laplacian(shift: np.ndarray, lag: int, directions: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Sum of the second differences along two directions, for neighbours so many nodes away; NaN where unknown."""
    total = np.zeros(shift.shape)
    for down, right in directions:
        total += _second_difference(shift, lag * down, lag * right)
    return total


def _second_difference(shift: np.ndarray, down: int, right: int) -> np.ndarray:
    """Second difference along a direction; where a neighbour is missing that around the opposite one."""
    centred = moved(shift, down, right) + moved(shift, -down, -right) - 2.0 * shift
    found = centred
    for sign in (1, -1):
        found = np.where(np.isnan(found), moved(centred, sign * down, sign * right), found)
    return np.asarray(found)
