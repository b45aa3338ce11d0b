"""Slow twin of paths through a series, from the equations."""

import numpy as np
from scipy.interpolate import RegularGridInterpolator


def path(series, point, first, window):
    """x, y, dx, dy, sigma_dx, sigma_dy, dx_eulerian, dy_eulerian (8, date - first) of a point between nodes."""
    y, x = (series[name].values for name in ("y", "x"))
    order = np.ix_(np.argsort(y), np.argsort(x))

    def at(name, date, where):
        values = series[name].values[date].astype(float)[order]
        field = RegularGridInterpolator((np.sort(y), np.sort(x)), values, bounds_error=False, fill_value=np.nan)
        return float(field([where[1], where[0]])[0])

    def displacement(date, where):
        return np.array([at("dx", date, where), at("dy", date, where)])

    def variance(date, where):
        return np.array([at("sigma_dx", date, where), at("sigma_dy", date, where)]) ** 2

    out = np.full((8, series.sizes["time"] - first), np.nan)
    start = np.array(point, dtype=float)
    zero = displacement(first, start)
    where, last, turns = start, first, np.zeros(2)
    out[:, 0] = [*start, 0, 0, 0, 0, 0, 0]
    for date in range(first + 1, series.sizes["time"]):
        out[6:, date - first] = displacement(date, start) - zero
        step = displacement(date, where) - displacement(last, where)
        if not np.isfinite(step).all():
            continue
        reached = where + step
        share = np.prod(np.clip(1.0 - np.abs(step) / window, 0.0, None))
        here, there = variance(date, where), variance(date, reached)
        out[:2, date - first] = reached
        out[2:4, date - first] = reached - start
        out[4:6, date - first] = np.sqrt(variance(first, start) + here + turns)
        turns = turns + here + there - 2.0 * share * np.sqrt(here * there)
        where, last = reached, date
    return out
