"""Terms of a model of motion, as functions of the dates: each gives the values (date,) that its parameter multiplies.

The parameter of a pair is the difference of the values at its two dates.
"""

from __future__ import annotations

import numpy as np

# Days in a year: years are of the same length everywhere.
YEAR_DAYS = 365.25
# Instant at which the phase of the seasonal terms is zero.
ORIGIN = np.datetime64("2000-01-01", "us")
# Most intervals of slow motion, each of which costs time in every pixel.
MOST_INTERVALS = 10
# A day, in the unit of the instants.
DAY = np.timedelta64(86_400_000_000, "us")


def days(epochs: np.ndarray, since: np.datetime64 | np.ndarray) -> np.ndarray:
    """Days from an instant to each date, float64."""
    return np.asarray((epochs - since) / DAY, dtype=np.float64)


def velocity(epochs: np.ndarray, epoch: np.datetime64) -> np.ndarray:
    """Years since the epoch."""
    return days(epochs, epoch) / YEAR_DAYS


def acceleration(epochs: np.ndarray, epoch: np.datetime64) -> np.ndarray:
    """Half the square of the years since the epoch, at which the velocity is the one of `velocity`."""
    return 0.5 * velocity(epochs, epoch) ** 2


def season(epochs: np.ndarray, cycles: int) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of so many cycles a year of 365.25 days, in phase with 1 January 2000."""
    phase = 2.0 * np.pi * cycles * velocity(epochs, ORIGIN)
    return np.sin(phase), np.cos(phase)


def step(epochs: np.ndarray, instant: np.datetime64) -> np.ndarray:
    """One from the instant on, zero before: an image taken at the very instant shows what came of it, as in `pairs`."""
    return (epochs >= instant).astype(np.float64)


def exponential(epochs: np.ndarray, instant: np.datetime64, tau: float) -> np.ndarray:
    """1 - exp(-t/tau) of the days since the instant, zero before: it tends to one."""
    elapsed = np.maximum(days(epochs, instant), 0.0)
    return np.asarray(-np.expm1(-elapsed / tau))


def logarithmic(epochs: np.ndarray, instant: np.datetime64, tau: float) -> np.ndarray:
    """ln(1 + t/tau) of the days since the instant, zero before."""
    elapsed = np.maximum(days(epochs, instant), 0.0)
    return np.asarray(np.log1p(elapsed / tau))


def slow(epochs: np.ndarray) -> np.ndarray:
    """Time [yr] spent until each date in equal intervals (date, interval) of a year or more, at most `MOST_INTERVALS`.

    Their parameters are the velocities of motion that changes from year to year: a cycle of a year is none of it.
    """
    whole = days(epochs, epochs[0]) / YEAR_DAYS
    count = min(max(int(whole[-1]), 1), MOST_INTERVALS)
    edges = whole[-1] * np.arange(count) / count
    return np.asarray(np.clip(whole[:, None] - edges, 0.0, whole[-1] / count))


def years(epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Calendar years that the dates reach into, and the time spent in each until each date, (date, year) in years.

    The difference of two dates is how much of each calendar year lies between them.
    """
    # nothing of a year lies before its first instant
    ends = epochs.min(), epochs.max() - np.timedelta64(1, "us")
    first, last = (end.astype("datetime64[Y]") for end in ends)
    starts = np.arange(first, last + 2)
    edges = starts.astype("datetime64[us]")
    inside = np.clip(epochs[:, None], edges[None, :-1], edges[None, 1:]) - edges[None, :-1]
    return starts[:-1].astype(np.int64) + 1970, np.asarray(inside / DAY / YEAR_DAYS)
