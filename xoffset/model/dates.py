"""Dates and durations, UTC, as datetime64[us]."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

Date = str | np.datetime64 | pd.Timestamp

Duration = str | np.timedelta64 | pd.Timedelta

YEAR = np.timedelta64(int(365.25 * 86_400), "s")

DAYS = "days since 1970-01-01"

DATE_ENCODING: Mapping[str, str] = {
    "dtype": "int64",
    "units": "microseconds since 1970-01-01",
    "calendar": "proleptic_gregorian",
}


def as_instant(value: Any, name: str, caller: str) -> np.datetime64:
    """Return a date in any of the usual forms as datetime64[us], UTC."""
    try:
        instant = pd.NaT if _is_bare_number(value) else pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{caller}() needs a date as {name}; got {value!r}. Write it as '2020-06-01T10:30'."
        ) from error
    if pd.isna(instant):
        raise ValueError(f"{caller}() needs a date as {name}; got {value!r}. Write it as '2020-06-01T10:30'.")
    if instant.tzinfo is not None:
        instant = instant.tz_convert("UTC").tz_localize(None)
    return np.datetime64(instant, "us")


def index_of_date(dates: np.ndarray, value: Any, name: str, caller: str) -> int:
    """Place of a date among sorted dates; a bare day names the only date of that day."""
    wanted = as_instant(value, name, caller)
    found = np.flatnonzero(dates == wanted)
    if not found.size and is_bare_date(value):
        found = np.flatnonzero(dates.astype("datetime64[D]") == wanted.astype("datetime64[D]"))
    if found.size != 1:
        nearest = dates[np.argmin(np.abs(dates - wanted))]
        raise ValueError(
            f"{caller}() needs one of the {dates.size} dates of the series as {name}; got {value}. "
            f"The nearest is {nearest}. Pass that, or another one."
        )
    return int(found[0])


def is_bare_date(value: Any) -> bool:
    """Whether a date was given without a time of day."""
    if isinstance(value, str):
        return ":" not in value and re.search(r"\dT\d", value) is None
    if isinstance(value, np.datetime64):
        return np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D")
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)


def as_event(value: Any, time: np.ndarray, name: str, caller: str) -> np.datetime64:
    """Return the instant of an event, UTC; a bare date is refused if an image was taken on that day."""
    instant = as_instant(value, name, caller)
    day = instant.astype("datetime64[D]")
    if is_bare_date(value) and (time.astype("datetime64[D]") == day).any():
        raise ValueError(
            f"{caller}() needs to know which images of {day} come before the event; got a {name} without a time of "
            f"day. Give the time, UTC: {name}='{day}T10:30'."
        )
    return instant


def as_duration(value: Any, name: str, caller: str) -> np.timedelta64:
    """Return a length of time in any of the usual forms as timedelta64."""
    message = f"{caller}() needs a duration as {name}; got {value!r}. Give a number and a unit: '10D'."
    if _is_bare_number(value) or (isinstance(value, str) and re.search("[A-Za-z]", value) is None):
        raise ValueError(message)
    try:
        duration = pd.Timedelta(value)
    except (ValueError, TypeError) as error:
        raise ValueError(message) from error
    if pd.isna(duration):
        raise ValueError(message)
    return duration.to_timedelta64()


def _is_bare_number(value: Any) -> bool:
    """Whether a value is a number without a unit, which pandas would take for nanoseconds."""
    # NumPy counts durations among its integers
    return isinstance(value, (int, float, np.number)) and not isinstance(value, np.timedelta64)


def as_dates(values: np.ndarray) -> np.ndarray:
    """Dates as datetime64[us], the one resolution of this package."""
    return np.asarray(values).astype("datetime64[us]")


def in_days(values: Any) -> Any:
    """Dates, NumPy or dask, in days since 1970-01-01, float64, NaN where there is none; `DAYS` are their units."""
    return (values.astype("datetime64[us]") - np.datetime64("1970-01-01", "us")) / np.timedelta64(1, "D")


def in_years(interval: np.ndarray) -> np.ndarray:
    """Time intervals in years of 365.25 days, float64."""
    return np.asarray(interval / YEAR, dtype=np.float64)
