"""When images are wanted: an interval, a season of every year, one image a year."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xoffset._arrays.scenes import year_days
from xoffset.model.dates import NOT_A_DATE, as_instant, is_bare_date

# Days of the months in a year that has them all.
_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class Season:
    """Days of every year from the first to the last, (month, day), which may lie behind the end of the year."""

    first: tuple[int, int]
    last: tuple[int, int]

    @property
    def is_over_new_year(self) -> bool:
        """Whether it goes on into the next year."""
        return self.last < self.first

    def holds(self, date: np.datetime64) -> bool:
        """Whether a date lies in the season, both ends included."""
        day = _month_and_day(date)
        if self.is_over_new_year:
            return day >= self.first or day <= self.last
        return self.first <= day <= self.last


def as_season(season: Any) -> Season | None:
    """Season of two texts "MM-DD"."""
    if season is None:
        return None
    texts = list(season) if isinstance(season, Iterable) and not isinstance(season, (str, bytes)) else []
    found = [re.fullmatch(r"(\d\d)-(\d\d)", text) for text in texts if isinstance(text, str)]
    days = [(int(match[1]), int(match[2])) for match in found if match]
    if len(texts) != 2 or len(days) != 2 or not all(1 <= m <= 12 and 1 <= d <= _MONTHS[m - 1] for m, d in days):
        raise ValueError(
            f"open_stac() needs season= as two days of the year; got {season!r}. Pass month and day of the first and "
            "the last: season=('06-15', '09-30')."
        )
    return Season(*days)


def as_interval(value: Any) -> tuple[np.datetime64, np.datetime64]:
    """First and last instant of an interval, NaT where it is open.

    A text "start/end" as STAC has it, ".." or nothing for an open side, or two dates; a day alone, a month or a year
    ("2020-06", "2020") is meant as a whole.
    """
    if value is None:
        return NOT_A_DATE, NOT_A_DATE
    sides = value.split("/") if isinstance(value, str) else value
    sides = list(sides) if isinstance(sides, Iterable) else [sides]
    if len(sides) == 1:
        sides = [*sides, *sides]
    if len(sides) != 2:
        raise ValueError(
            f"open_stac() needs datetime= as one interval; got {value!r}. Pass '2020-06-01/2020-09-30', or two dates."
        )
    start, end = (_side(side, is_end=k == 1) for k, side in enumerate(sides))
    if start > end:
        raise ValueError(
            f"open_stac() needs datetime= from the first to the last date; got {value!r}. Put the earlier one first."
        )
    return start, end


def _side(side: Any, *, is_end: bool) -> np.datetime64:
    if side is None or (isinstance(side, str) and side.strip() in ("", "..")):
        return NOT_A_DATE
    last = np.timedelta64(1, "us")
    if isinstance(side, str) and re.fullmatch(r"(1[89]|[2-9]\d)\d\d(-(0[1-9]|1[0-2]))?", side.strip()):
        whole = pd.Period(side.strip())  # a month or a year
        return as_instant(whole.end_time if is_end else whole.start_time, "datetime", "open_stac")
    instant = as_instant(side, "datetime", "open_stac")
    return instant + np.timedelta64(1, "D") - last if is_end and is_bare_date(side) else instant


def as_text(interval: tuple[np.datetime64, np.datetime64]) -> str | None:
    """Interval as an API takes it, None if it is open on both sides."""
    if all(map(np.isnat, interval)):
        return None
    return "/".join(".." if np.isnat(side) else f"{side.astype('datetime64[ms]')}Z" for side in interval)


def is_within(date: np.datetime64, interval: tuple[np.datetime64, np.datetime64]) -> bool:
    """Whether a date lies in an interval, both ends included."""
    start, end = interval
    return bool((np.isnat(start) or date >= start) and (np.isnat(end) or date <= end))


def one_a_year(dates: Sequence[np.datetime64], season: Season | None) -> list[int]:
    """Places of one date of each year, whose days of the year spread least.

    Of a season that goes on into the next year the days there belong to the year in which it began.
    """
    days = pd.DatetimeIndex(np.array(dates, dtype="datetime64[us]")).day_of_year.to_numpy()
    years = [_year(date, season) for date in dates]
    return [int(k) for k in year_days.one_each(days, np.array(years))]


def missing_years(dates: Sequence[np.datetime64], season: Season | None) -> list[int]:
    """Years between the first and the last that have no date."""
    years = {_year(date, season) for date in dates}
    return sorted(set(range(min(years), max(years))) - years) if years else []


def _year(date: np.datetime64, season: Season | None) -> int:
    year = int(date.astype("datetime64[Y]").astype(int)) + 1970
    return year - (season is not None and season.is_over_new_year and _month_and_day(date) <= season.last)


def _month_and_day(date: np.datetime64) -> tuple[int, int]:
    text = str(date.astype("datetime64[D]"))
    return int(text[-5:-3]), int(text[-2:])
