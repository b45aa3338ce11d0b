"""Dates and durations, UTC, as datetime64[us]: one reading of each for the whole package, which guesses nothing."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

Date = str | dt.date | np.datetime64 | pd.Timestamp

Duration = str | dt.timedelta | np.timedelta64 | pd.Timedelta

YEAR = np.timedelta64(int(365.25 * 86_400), "s")

DAYS = "days since 1970-01-01"

DATE_ENCODING: Mapping[str, str] = {
    "dtype": "int64",
    "units": "microseconds since 1970-01-01",
    "calendar": "proleptic_gregorian",
}

# Tiles of one pass over the ground are seen within minutes; the next pass over the same ground comes 100 minutes later.
SAME_PASS = np.timedelta64(30, "m")

NOT_A_DATE = np.datetime64("NaT", "us")

# Calendar dates of ISO 8601, extended or basic, whole days or with a time. Years since photography began: an older one
# has lost its century.
_ISO = re.compile(
    r"(?:1[89]|[2-9]\d)\d\d(?:-\d\d-\d\d|\d{4})"
    r"(?P<time>(?:T\d\d|[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d{1,9})?)?)(?:Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
# cftime has calendars of its own; these are that of datetime64
_GREGORIAN = ("standard", "gregorian", "proleptic_gregorian")

# Seconds of the units that cannot be misread; "m" may be minutes, months or metres.
_UNITS = {
    "w": 604_800, "week": 604_800, "weeks": 604_800,
    "d": 86_400, "day": 86_400, "days": 86_400,
    "h": 3600, "hour": 3600, "hours": 3600,
    "min": 60, "minute": 60, "minutes": 60,
    "s": 1, "second": 1, "seconds": 1,
}  # fmt: skip
_PART = r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)"
_CLOCK = r"(\d\d):(\d\d):(\d\d(?:\.\d+)?)"
_LONGEST = 1e5 * 365.25 * 86_400


def as_instant(value: Any, name: str, caller: str) -> np.datetime64:
    """Return a date that needs no guess as datetime64[us], UTC.

    Texts are calendar dates of ISO 8601 with four-digit years, extended ("2020-06-01", "2020-06-01T10:30Z") or basic
    ("20200601", "20200601T1030"); a zone is turned into UTC. Week dates, ordinal dates, months and years without a day
    are refused, as are numbers. datetime, date, numpy.datetime64, pandas.Timestamp and dates of cftime in the Gregorian
    calendar are dates already.
    """
    instant = _instant(value)
    if np.isnat(instant):
        raise ValueError(f"{caller}() needs a date in ISO 8601 as {name}; got {value!r}. {how_to_write(value)}")
    return instant


def as_instants(values: Iterable[Any]) -> np.ndarray:
    """Dates as `as_instant` reads them, NaT where it would refuse one; equal values are read once."""
    if isinstance(values, pd.Series) and values.dtype.kind == "M":
        return as_dates(pd.to_datetime(values, utc=True).dt.tz_localize(None).to_numpy())
    read: dict[Any, np.datetime64] = {}
    out = []
    for value in values:
        if isinstance(value, Hashable):
            out.append(read[value] if value in read else read.setdefault(value, _instant(value)))
        else:
            out.append(NOT_A_DATE)
    return np.array(out, dtype="datetime64[us]")


def how_to_write(value: Any) -> str:
    """Advice on what `as_instant` refuses: what a text may have been meant for."""
    general = "Write it as '2020-06-01T10:30'."
    text = value.strip() if isinstance(value, str) else ""
    found = re.fullmatch(r"(\d+)[-/. ](\d+)[-/. ](\d+)", text, re.ASCII)
    if found:
        first, second, third = found.groups()
        orders = ((third, second, first), (third, first, second), (first, second, third))
        dates = dict.fromkeys(filter(None, (_calendar(*order) for order in orders)))
        if dates:
            return f"Write {' or '.join(repr(date) for date in dates)}{', whichever is meant' * (len(dates) > 1)}."
        if len(first) == 4 and first >= "1800":
            return f"There is no such day. {general}"
        return f"Years have four digits, and the month comes before the day. {general}"
    found = re.fullmatch(r"(\d{4})\.(\d+)", text, re.ASCII)
    if found and int(found[1]):
        day = dt.date(int(found[1]), 1, 1) + dt.timedelta(days=int(365 * float("0." + found[2])))
        return f"A decimal year names no day: if it was a fraction of the year, '{day}' is near. {general}"
    if re.fullmatch(r"\d{4}(-\d\d)?", text, re.ASCII):
        return f"The day is missing. {general}"
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text, re.ASCII):
        return f"A time alone is no date. {general}"
    return general


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
        found = _ISO.fullmatch(value.strip())
        return found is not None and found["time"] is None
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
    """Return a length of time that needs no guess as timedelta64[us].

    Texts are numbers with a unit: weeks (W), days (D), hours (h), minutes (min), seconds (s) or these words, also
    several ("1D 12h", "P1DT12H", "200 days 00:00:00"). "m", "M" and years are refused, as are numbers without a unit.
    """
    seconds = _seconds(value)
    if seconds is None or not abs(seconds) <= _LONGEST:
        raise ValueError(
            f"{caller}() needs a duration as {name}; got {value!r}. {_longer_unit(value)}"
            "Give a number and a unit: '10D', '6h', '45min' or '90s'."
        )
    return np.timedelta64(round(seconds * 1e6), "us")


def datetimes_from(time: Any) -> str:
    """Line that turns the dates of a DataArray `time`, which are no datetime64, into such."""
    values = np.atleast_1d(time.values)
    calendar = getattr(values[0], "calendar", None) if values.dtype.kind == "O" and values.size else None
    if calendar is not None:
        # a day of a 360-day calendar has no namesake; the others lose at most their 29 February
        align = ", align_on='date'" if calendar == "360_day" else ""
        return f"stack.convert_calendar('standard', use_cftime=False{align})"
    form = "ISO8601" if values.dtype.kind in "OUST" else "%Y%m%d"
    return f"stack.assign_coords(time=pandas.to_datetime(stack.time.values.astype(str), format='{form}'))"


def as_dates(values: np.ndarray) -> np.ndarray:
    """Dates as datetime64[us], the one resolution of this package."""
    return np.asarray(values).astype("datetime64[us]")


def of_same_pass(date: np.datetime64, dates: np.ndarray) -> np.ndarray:
    """Places among dates of those of the same pass over the ground, the nearest alone if times tell it.

    Two dates with a time of day are of one pass if they are no more than half an hour apart. One without, which stands
    at midnight, is of its day and of no other: several may be found.
    """
    exact = np.flatnonzero(dates == date)
    if exact.size:
        return exact[:1]
    days = dates.astype("datetime64[D]")
    is_bare = dates == days
    day = date.astype("datetime64[D]")
    if date == day:
        return np.flatnonzero(days == day)
    timed = np.flatnonzero(~is_bare & (np.abs(dates - date) <= SAME_PASS))
    if timed.size:
        return timed[[np.abs(dates[timed] - date).argmin()]]
    return np.flatnonzero(is_bare & (days == day))


def in_days(values: Any) -> Any:
    """Dates, NumPy or dask, in days since 1970-01-01, float64, NaN where there is none; `DAYS` are their units."""
    return (values.astype("datetime64[us]") - np.datetime64("1970-01-01", "us")) / np.timedelta64(1, "D")


def in_years(interval: np.ndarray) -> np.ndarray:
    """Time intervals in years of 365.25 days, float64."""
    return np.asarray(interval / YEAR, dtype=np.float64)


def _instant(value: Any) -> np.datetime64:
    """Date as datetime64[us], UTC; NaT where it would have to be guessed."""
    if getattr(value, "calendar", None) in _GREGORIAN and not isinstance(value, dt.date):
        value = value.isoformat()
    value = getattr(value, "values", value)
    if isinstance(value, np.ndarray) and value.ndim == 0:  # one of series.time
        value = value[()]
    instant: Any = NOT_A_DATE
    with suppress(ValueError, OverflowError):
        if isinstance(value, str):
            text = value.strip()
            value = dt.datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
        # NaT of pandas is a datetime
        if isinstance(value, dt.datetime) and not pd.isna(value) and value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] == "generic":
            value = None
        if isinstance(value, (dt.date, np.datetime64)) and not pd.isna(value):
            instant = np.array(value, dtype="datetime64[us]")[()]
    return np.datetime64(instant)


def _calendar(year: str, month: str, day: str) -> str | None:
    """Calendar date of three numbers, None if they are none."""
    with suppress(ValueError):
        if len(year) == 4 and year >= "1800":
            return str(dt.date(int(year), int(month), int(day)))
    return None


def _seconds(value: Any) -> float | None:
    """Length of a duration [s], None where it would have to be guessed."""
    if isinstance(value, str):
        return _seconds_of(value)
    if isinstance(value, np.timedelta64):
        is_known = np.datetime_data(value.dtype)[0] not in ("generic", "Y", "M") and not np.isnat(value)
        return float(value / np.timedelta64(1, "s")) if is_known else None
    if value is pd.NaT or not isinstance(value, (dt.timedelta, pd.offsets.BaseOffset)):
        return None
    with suppress(ValueError, TypeError):  # offsets of a calendar, such as months, have no length
        span: Any = value
        return float(pd.Timedelta(span).total_seconds())
    return None


def _seconds_of(text: str) -> float | None:
    """Length of a duration in words [s], None where it would have to be guessed."""
    text = text.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    text = text[1:].strip() if text[:1] in ("+", "-") else text
    if re.fullmatch(r"P[\dDWTHS.]+", text):  # ISO 8601; its M is months before the T, minutes after
        text = text[1:].replace("T", " ").strip()
    if re.fullmatch(rf"{_PART}(?:\s*{_PART})*(?:\s+{_CLOCK})?", text, re.ASCII) is None:
        return None
    clock = re.search(_CLOCK, text)
    parts = re.findall(_PART, text[: clock.start()] if clock else text)
    units = [_UNITS.get(unit.lower()) for _, unit in parts]
    # of "-3 days +06:00:00" pandas takes the clock as positive
    if None in units or len(set(units)) < len(units) or (clock and sign < 0):
        return None
    total = sum(float(number) * unit for (number, _), unit in zip(parts, units, strict=True) if unit is not None)
    if clock:
        total += sum(float(number) * unit for number, unit in zip(clock.groups(), (3600, 60, 1), strict=True))
    return sign * total


def _longer_unit(value: Any) -> str:
    """Advice for months and years, whose length is none, and for "m", which may be minutes."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", value) if isinstance(value, str) else None
    if found is None:
        return ""
    number, unit = float(found[1]), found[2]
    if unit in ("m", "M"):
        return f"Write '{30 * number:g}D' for months of 30 days, '{found[1]}min' for minutes. "
    if unit in ("MS", "ME") or unit.lower() in ("mon", "month", "months"):
        return f"Write '{30 * number:g}D' for months of 30 days. "
    if unit.lower() in ("y", "a", "yr", "yrs", "year", "years", "ys", "ye"):
        return f"Write '{round(365.25 * number)}D' for years. "
    return ""
