"""Masks from their definitions, pixel by pixel."""

import numpy as np


def near(is_set, radius, steps):
    """Pixels of which one of a set is no farther than a radius, centre to centre; nothing lies beyond the edge."""
    rows, columns = np.indices(is_set.shape)
    out = np.zeros(is_set.shape, bool)
    for row, column in np.argwhere(is_set):
        out |= ((rows - row) * steps[0]) ** 2 + ((columns - column) * steps[1]) ** 2 <= radius**2 * (1 + 1e-9)
    return out


def usable(classes, taken, steps, *, buffer=0.0, closing=0.0, opening=0.0):
    """One image (rows, columns) of the six classes; `taken` are numbers."""
    is_null = classes == 1
    is_set = np.isin(classes, taken)
    if closing:
        is_gone = near(is_set, closing, steps)
        is_set = is_set | ~near(~(is_gone | is_null), closing, steps)
    if opening:
        core = ~near(~(is_set | is_null), opening, steps)
        is_set = is_set & near(core, opening, steps)
    if buffer:
        is_set = near(is_set, buffer, steps)
    return ~(is_set | is_null)


def laid(layer, of, onto, outside):
    """Layer on another grid: for each centre the pixel whose square holds it. Grids are (y, x) of centres."""
    out = np.full([len(axis) for axis in onto], outside, layer.dtype)
    half = [abs(axis[1] - axis[0]) / 2 for axis in of]
    for row, y in enumerate(onto[0]):
        for column, x in enumerate(onto[1]):
            there = [np.flatnonzero(np.abs(axis - at) < side) for axis, at, side in zip(of, (y, x), half, strict=True)]
            if all(len(each) for each in there):
                out[row, column] = layer[there[0][0], there[1][0]]
    return out


def class_of_light(blue, green, red, nir, swir, cirrus=None):
    """Class of one pixel: number among clear, null, cloud, shadow, snow, water."""
    light = [blue, green, red, nir, swir, *([] if cirrus is None else [cirrus])]
    if not np.isfinite(light).all():
        return 1
    difference = (green - swir) / (green + swir) if green + swir else 0.0
    if difference > 0.4 and swir < 0.22 and nir > 0.11 and green > 0.10 and (green > 0.30 or nir / green > 0.75):
        return 4
    if cirrus is not None and cirrus > 0.012:
        return 2
    if nir < 0.15 and (nir + 0.7 * swir) < 0.75 * green and nir < 1.1 * red:
        return 5
    if np.mean([blue, green, red]) > 0.17 and blue - 0.5 * red > 0.10 and nir > 0.75 * swir:
        return 2
    if nir < 0.15 and nir + swir < 0.22 and green < 0.13:
        return 3
    return 0
