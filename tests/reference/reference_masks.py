"""Masks laid on the cells of another grid, cell by cell and pixel by pixel, from what the words say."""

import numpy as np
import pyproj


def by_position(mask, mask_centres, mask_sides, centres, sides):
    """Cells (rows, columns) for which all of the mask is True that they touch; centres and sides are (y, x).

    That is the pixel that holds the centre of the cell, and every pixel whose own centre is in the cell; of edges all.
    """
    near = []
    for axis in (0, 1):
        half = 0.5 * max(abs(mask_sides[axis]), abs(sides[axis])) + 1e-6
        at, step = mask_centres[axis], mask_sides[axis]
        # the mask goes on beyond its edges, and is False there
        wide = np.concatenate([at[0] - step * np.arange(60, 0, -1), at, at[-1] + step * np.arange(1, 61)])
        near.append([np.flatnonzero(np.abs(wide - centre) <= half) - 60 for centre in centres[axis]])
    out = np.zeros((len(near[0]), len(near[1])), dtype=bool)
    for i, rows in enumerate(near[0]):
        for j, columns in enumerate(near[1]):
            out[i, j] = rows.size > 0 and columns.size > 0
            for row in rows:
                for column in columns:
                    inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
                    out[i, j] &= inside and bool(mask[row, column])
    return out


def nearest(mask, mask_centres, codes, centres, sides, count):
    """Cells (rows, columns) for which the mask is True at so many points along each side; codes: of cells and mask."""
    to_mask = pyproj.Transformer.from_crs(*codes, always_xy=True)
    out = np.zeros((centres[0].size, centres[1].size), dtype=bool)
    offsets = (np.arange(count) + 0.5) / count - 0.5
    for i, y in enumerate(centres[0]):
        for j, x in enumerate(centres[1]):
            found = []
            for dy in offsets * sides[0]:
                for dx in offsets * sides[1]:
                    there = to_mask.transform(x + dx, y + dy)
                    place = []
                    for at, values in zip(there[::-1], mask_centres, strict=True):
                        k = int(np.abs(values - at).argmin())
                        place.append(k if abs(values[k] - at) <= 0.5 * abs(values[1] - values[0]) else None)
                    found.append(None not in place and bool(mask[tuple(place)]))
            out[i, j] = all(found)
    return out
