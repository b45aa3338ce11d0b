"""Dates of failure of pixels by their inverse velocity, some pixels at a time."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks.gathering import gathered
from xoffset._kernels.networks import failure

# Curves that are tried, by -log(1 - p), p the time from the first to the last date over that to the failure: from
# motion that slows down (p = -19, as if it had failed a 19th of the time before) to failure 0.0009 of the time later.
STEP, FIRST, LAST = 0.05, -60, 140
PLACES = np.arange(FIRST, LAST + 1) * STEP
LAYERS = Layers(state=(), failure=(), earliest=(), latest=(), rms=(), n_dates=())


def curves(time: np.ndarray) -> np.ndarray:
    """Displacements (curve, date) whose inverse velocity is linear in time; time (date,) from 0 to 1."""
    share = -np.expm1(-PLACES)[:, np.newaxis]
    divisor = np.where(share == 0.0, 1.0, share)
    return np.asarray(np.where(share == 0.0, time, -np.log1p(-share * time) / divisor))


def find(*fields: np.ndarray, time: np.ndarray, false_alarm: float, confidence: float) -> np.ndarray:
    """Results (layer, rows, columns) as `LAYERS` says, of dx, dy and their standard errors (date, rows, columns).

    time (date,) in years from the first date; the dates of failure are in such years. false_alarm: probability that
    steady motion gets a date.
    """
    from scipy.special import stdtrit

    dates, shape = len(time), fields[0].shape[1:]
    free = np.maximum(np.arange(2.0 * dates + 1.0), 1.0)
    limits = np.stack([stdtrit(free, level) ** 2 for level in (0.5 * (1.0 + confidence), 1.0 - false_alarm)])
    since = time / time[-1]
    tried = curves(since)
    out = np.empty((LAYERS.count, fields[0][0].size), fields[0].dtype)
    for part, known in gathered(fields):
        found = np.empty((known.number.size, LAYERS.count))
        failure.find(tried, since, STEP, -FIRST, *known, limits, found)
        found[:, 1:4] = _years(found[:, 1:4], time[-1], found[:, :1] == failure.FOUND)
        out[:, part] = found.T
    return out.reshape(LAYERS.count, *shape)


def _years(place: np.ndarray, last: float, is_found: np.ndarray) -> np.ndarray:
    """Time of failure (pixel, 3), its first and last, from places between curves (best, slowest, fastest)."""
    share = -np.expm1(-(place + FIRST) * STEP)
    with np.errstate(divide="ignore"):
        years = last / share
    # the last curve stands for all that fail sooner
    years = np.where(place >= LAST - FIRST, last, years)
    return np.where(is_found, years[:, [0, 2, 1]], np.nan)
