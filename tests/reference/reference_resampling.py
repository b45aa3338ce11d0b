"""Slow twins of resampling in time, from the equations."""

import numpy as np


def resampled(time, wanted, longest, dx, dy, sigma_x, sigma_y):
    """(4, instant, rows, columns) displacement and standard errors at the wanted times, by pixel and component."""
    out = np.full((4, len(wanted), *dx.shape[1:]), np.nan)
    for row, column in np.ndindex(dx.shape[1:]):
        known = np.isfinite(dx[:, row, column]) & np.isfinite(dy[:, row, column])
        if not known.any():
            continue
        times = time[known].astype(float)
        gaps = np.diff(times)
        for k, instant in enumerate(wanted):
            inside = times[0] <= instant <= times[-1]
            is_date = instant in times
            if not inside or (not is_date and gaps[np.searchsorted(times, instant) - 1] > longest):
                continue
            # the weight of each date is the value at the instant of a series that is 1 there and 0 elsewhere
            weights = np.array([np.interp(instant, times, unit) for unit in np.eye(len(times))])
            for axis, (value, sigma) in enumerate(((dx, sigma_x), (dy, sigma_y))):
                out[axis, k, row, column] = weights @ value[known, row, column].astype(float)
                errors = sigma[known, row, column].astype(float)
                used = weights > 0.0
                if (np.isfinite(errors[used]) & (errors[used] > 0.0)).all():
                    out[2 + axis, k, row, column] = np.sqrt(np.sum(weights[used] ** 2 * errors[used] ** 2))
    return out
