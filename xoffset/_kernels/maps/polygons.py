"""Polygons on a grid: which places lie inside, and whether an outline crosses itself."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Places along a line that two edges share where the others are looked at.
_PLACES = 16
# Directions that differ by less are one [rad].
_ALIKE = 1e-7


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
def _changes_sides(a_in, a_out, b_in, b_out):
    """Whether a line comes from one side of another to the other at a corner that both have."""
    start = np.arctan2(a_in[1] - a_in[3], a_in[0] - a_in[2])
    # a line that is run to and fro, or along the other one, is not crossed
    turn = (np.arctan2(a_out[3] - a_out[1], a_out[2] - a_out[0]) - start) % (2.0 * np.pi)
    first = (np.arctan2(b_in[1] - b_in[3], b_in[0] - b_in[2]) - start) % (2.0 * np.pi)
    second = (np.arctan2(b_out[3] - b_out[1], b_out[2] - b_out[0]) - start) % (2.0 * np.pi)
    for angle in (turn, first, second):
        if angle < _ALIKE or angle > 2.0 * np.pi - _ALIKE:
            return False
    if abs(first - turn) < _ALIKE or abs(second - turn) < _ALIKE:
        return False
    return (first < turn) != (second < turn)


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
            meet = a0 == 0 and b0 == 0 and (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 <= tolerance * tolerance
            if meet and _changes_sides(edges[before[order[i]]], a, edges[before[order[j]]], b):
                out[0], out[1] = a[0], a[1]
                out[2], out[3] = min(order[i], order[j]), max(order[i], order[j])
                return
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
def _net(edges, line, x, y, tolerance):
    """Edges of a polygon that run through a place along a line, less those that run the other way."""
    net = 0
    along_x, along_y = line[2] - line[0], line[3] - line[1]
    for k in range(edges.shape[0]):
        x0, y0, x1, y1 = edges[k, 0], edges[k, 1], edges[k, 2], edges[k, 3]
        if min(x0, x1) - tolerance > x or max(x0, x1) + tolerance < x:
            continue
        if min(y0, y1) - tolerance > y or max(y0, y1) + tolerance < y or _side(x, y, edges[k], tolerance) != 0:
            continue
        dot = (x1 - x0) * along_x + (y1 - y0) * along_y
        square = ((x1 - x0) ** 2 + (y1 - y0) ** 2) * (along_x**2 + along_y**2)
        # what crosses the line there does not count
        if dot * dot > 0.98 * square:
            net += 1 if dot > 0.0 else -1
    return net


@kernel
def doubled(edges, order, tolerance, out):
    """Look for a line along which more edges of a polygon run one way than one.

    Parameters
    ----------
    edges
        (n, 4) x and y of both ends of each edge.
    order
        (n,) indices of the edges by the smaller x of their ends.
    tolerance
        Distance below which a place counts as on a line.
    out
        (2,) a place on such a line, NaN if there is none.
    """
    out[:] = np.nan
    for i in range(order.size):
        a = edges[order[i]]
        east = max(a[0], a[2]) + tolerance
        south, north = min(a[1], a[3]) - tolerance, max(a[1], a[3]) + tolerance
        for j in range(i + 1, order.size):
            b = edges[order[j]]
            if min(b[0], b[2]) > east:
                break
            if min(b[1], b[3]) > north or max(b[1], b[3]) < south:
                continue
            if (a[2] - a[0]) * (b[2] - b[0]) + (a[3] - a[1]) * (b[3] - b[1]) <= 0.0:
                continue
            length_a = np.sqrt((a[2] - a[0]) ** 2 + (a[3] - a[1]) ** 2)
            length_b = np.sqrt((b[2] - b[0]) ** 2 + (b[3] - b[1]) ** 2)
            long, short, length = (a, b, length_a) if length_a >= length_b else (b, a, length_b)
            if _side(short[0], short[1], long, tolerance) != 0 or _side(short[2], short[3], long, tolerance) != 0:
                continue
            dx, dy = (long[2] - long[0]) / length, (long[3] - long[1]) / length
            first = max((short[0] - long[0]) * dx + (short[1] - long[1]) * dy, 0.0)
            last = min((short[2] - long[0]) * dx + (short[3] - long[1]) * dy, length)
            if last - first <= 2.0 * tolerance:
                continue
            # others may run the other way along parts of it; no place where a corner is likely
            for part in range(_PLACES):
                at = first + (part + 0.4142) / _PLACES * (last - first)
                x, y = long[0] + at * dx, long[1] + at * dy
                if abs(_net(edges, long, x, y, tolerance)) > 1:
                    out[0], out[1] = x, y
                    return


@kernel
def outside(edges, places, tolerance, out):
    """Look for a place outside of a ring, and farther than a tolerance from it.

    Parameters
    ----------
    edges
        (n, 4) x and y of both ends of each edge of the ring.
    places
        (places, 2) x and y.
    tolerance
        Distance up to which a place counts as on the ring.
    out
        (1,) int64, index of such a place, -1 if there is none.
    """
    out[0] = -1
    for k in range(places.shape[0]):
        x, y = places[k, 0], places[k, 1]
        is_known = False
        for e in range(edges.shape[0]):
            x0, y0, x1, y1 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
            if min(y0, y1) - tolerance > y or max(y0, y1) + tolerance < y:
                continue
            dx, dy = x1 - x0, y1 - y0
            share = min(max(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0.0), 1.0)
            if (x - x0 - share * dx) ** 2 + (y - y0 - share * dy) ** 2 <= tolerance * tolerance:
                is_known = True
                break
            if (y0 > y) != (y1 > y) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x:
                is_known = not is_known
        if not is_known:
            out[0] = k
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
