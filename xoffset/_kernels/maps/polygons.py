"""Polygons on a grid: which places lie inside, and whether an outline crosses itself."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def fill(edges, first, y, x, out):
    """Mark the places of a grid that lie inside any polygon: an odd number of its edges lies west of them.

    A place on an edge belongs to the polygon east or north of it, so that of two polygons with a common edge each place
    belongs to one.

    Parameters
    ----------
    edges
        (n, 4) x and y of both ends of each edge.
    first
        (polygons + 1,) index of the first edge of each polygon, and the number of edges.
    y, x
        (rows,), (columns,) coordinates, ascending.
    out
        (rows, columns) bool, set True inside and left as it is elsewhere.
    """
    for polygon in range(first.size - 1):
        own = edges[first[polygon] : first[polygon + 1]]
        if own.shape[0] == 0:
            continue
        left, right = min(own[:, 0].min(), own[:, 2].min()), max(own[:, 0].max(), own[:, 2].max())
        south, north = min(own[:, 1].min(), own[:, 3].min()), max(own[:, 1].max(), own[:, 3].max())
        top, bottom = np.searchsorted(y, south), np.searchsorted(y, north, side="right")
        start, stop = np.searchsorted(x, left), np.searchsorted(x, right, side="right")
        if top >= bottom or start >= stop:
            continue
        # whether the number of edges west of a place becomes odd or even there
        turns = np.zeros((bottom - top, stop - start + 1), np.bool_)
        for k in range(own.shape[0]):
            # from south to north, so that an edge shared by two polygons rounds alike in both
            if own[k, 1] <= own[k, 3]:
                x0, y0, x1, y1 = own[k, 0], own[k, 1], own[k, 2], own[k, 3]
            else:
                x0, y0, x1, y1 = own[k, 2], own[k, 3], own[k, 0], own[k, 1]
            for row in range(np.searchsorted(y, y0), np.searchsorted(y, y1)):
                crossing = x0 + (y[row] - y0) / (y1 - y0) * (x1 - x0)
                column = min(max(np.searchsorted(x, crossing), start), stop)
                turns[row - top, column - start] ^= True
        for row in range(bottom - top):
            is_inside = False
            for column in range(stop - start):
                is_inside ^= turns[row, column]
                if is_inside:
                    out[top + row, start + column] = True


@kernel
def _side(x, y, ends, tolerance):
    """Side of a line on which a place lies, 1 or -1, and 0 if it is no further from the line than a tolerance."""
    dx, dy = ends[2] - ends[0], ends[3] - ends[1]
    distance = dx * (y - ends[1]) - dy * (x - ends[0])
    limit = tolerance * np.sqrt(dx * dx + dy * dy)
    if distance > limit:
        return 1
    return -1 if distance < -limit else 0


@kernel
def crossing(edges, before, order, tolerance, out):
    """Look for two edges of a polygon that cross; rings that touch one another do not.

    Parameters
    ----------
    edges
        (n, 4) x and y of both ends of each edge.
    before
        (n,) index of the edge that ends where each edge starts.
    order
        (n,) indices of the edges by the smaller x of their ends.
    tolerance
        Distance below which a place counts as on a line.
    out
        (4,) a place where two edges cross, NaN if none do, and the indices of the two, the smaller one first.
    """
    out[:] = np.nan
    for i in range(order.size):
        a = edges[order[i]]
        east = max(a[0], a[2])
        south, north = min(a[1], a[3]), max(a[1], a[3])
        for j in range(i + 1, order.size):
            b = edges[order[j]]
            if min(b[0], b[2]) > east:
                break
            if min(b[1], b[3]) > north or max(b[1], b[3]) < south:
                continue
            a0, a1 = _side(a[0], a[1], b, tolerance), _side(a[2], a[3], b, tolerance)
            b0, b1 = _side(b[0], b[1], a, tolerance), _side(b[2], b[3], a, tolerance)
            # where one starts on the other, the edge before comes from the far side
            if b0 == 0 and a0 * a1 < 0:
                previous = edges[before[order[j]]]
                b0 = _side(previous[0], previous[1], a, tolerance)
            elif a0 == 0 and b0 * b1 < 0:
                previous = edges[before[order[i]]]
                a0 = _side(previous[0], previous[1], b, tolerance)
            if a0 * a1 < 0 and b0 * b1 < 0:
                dx, dy = a[2] - a[0], a[3] - a[1]
                from_b0 = dx * (b[1] - a[1]) - dy * (b[0] - a[0])
                from_b1 = dx * (b[3] - a[1]) - dy * (b[2] - a[0])
                share = from_b0 / (from_b0 - from_b1)
                out[0] = b[0] + share * (b[2] - b[0])
                out[1] = b[1] + share * (b[3] - b[1])
                out[2], out[3] = min(order[i], order[j]), max(order[i], order[j])
                return


@kernel
def around(edges, reach, y, x, out):
    """Mark the places of a grid that lie no further than a distance from an edge.

    What lies no further from an edge is convex, so that it covers one run of places in each row.

    Parameters
    ----------
    edges
        (n, 4) x and y of both ends of each edge.
    reach
        Distance, above 0.
    y, x
        (rows,), (columns,) coordinates, ascending.
    out
        (rows, columns) bool, set True where an edge is near and left as it is elsewhere.
    """
    # number of edges that come near, and cease to be, at each place of a row
    turns = np.zeros((y.size, x.size + 1), np.int32)
    for k in range(edges.shape[0]):
        x0, y0, x1, y1 = edges[k, 0], edges[k, 1], edges[k, 2], edges[k, 3]
        # nothing of it is in the columns
        if max(x0, x1) + reach < x[0] or min(x0, x1) - reach > x[-1]:
            continue
        length = np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
        # from the edge to its sides
        to_x, to_y = -reach * (y1 - y0) / length, reach * (x1 - x0) / length
        top = np.searchsorted(y, min(y0, y1) - reach)
        for row in range(top, np.searchsorted(y, max(y0, y1) + reach, side="right")):
            west, east = np.inf, -np.inf
            for end in range(2):
                ex, ey = (x0, y0) if end == 0 else (x1, y1)
                square = reach**2 - (y[row] - ey) ** 2
                if square >= 0.0:
                    west, east = min(west, ex - np.sqrt(square)), max(east, ex + np.sqrt(square))
            # rectangle along the edge, side by side
            for side in range(4):
                if side == 0:
                    ax, ay, bx, by = x0 + to_x, y0 + to_y, x1 + to_x, y1 + to_y
                elif side == 1:
                    ax, ay, bx, by = x0 - to_x, y0 - to_y, x1 - to_x, y1 - to_y
                elif side == 2:
                    ax, ay, bx, by = x0 - to_x, y0 - to_y, x0 + to_x, y0 + to_y
                else:
                    ax, ay, bx, by = x1 - to_x, y1 - to_y, x1 + to_x, y1 + to_y
                if ay != by and min(ay, by) <= y[row] <= max(ay, by):
                    crossing = ax + (y[row] - ay) / (by - ay) * (bx - ax)
                    west, east = min(west, crossing), max(east, crossing)
            first, after = np.searchsorted(x, west), np.searchsorted(x, east, side="right")
            if first < after:
                turns[row, first] += 1
                turns[row, after] -= 1
    for row in range(y.size):
        near = 0
        for column in range(x.size):
            near += turns[row, column]
            if near > 0:
                out[row, column] = True
