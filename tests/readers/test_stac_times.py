"""Intervals, seasons, and one image a year: the exact choice against all combinations."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xoffset._arrays.scenes import year_days
from xoffset.readers.stac import times


def instants(*texts):
    return [np.datetime64(text, "us") for text in texts]


def test_intervals():
    start, end = times.as_interval("2020-06-01/2020-07-31")
    assert start == np.datetime64("2020-06-01")
    assert end == np.datetime64("2020-07-31T23:59:59.999999")
    assert times.as_text((start, end)) == "2020-06-01T00:00:00.000Z/2020-07-31T23:59:59.999Z"
    assert times.as_interval("2020-06") == (np.datetime64("2020-06-01"), np.datetime64("2020-06-30T23:59:59.999999"))
    assert times.as_interval("2020/2021")[1] == np.datetime64("2021-12-31T23:59:59.999999")
    assert times.as_interval(("2020-06-01T10:00Z", np.datetime64("2020-06-02T12")))[1] == np.datetime64("2020-06-02T12")
    for text in ("2020-06-01/..", "2020-06-01/"):
        start, end = times.as_interval(text)
        assert np.isnat(end)
        assert times.is_within(np.datetime64("2999-01-01"), (start, end))
        assert not times.is_within(np.datetime64("2020-05-31"), (start, end))
    assert times.as_text(times.as_interval(None)) is None


@pytest.mark.parametrize("value", ["2020-13-01/2021", "2021/2020", "a/b/c", "01.02.2020", (1, 2), 2020])
def test_intervals_that_are_none(value):
    with pytest.raises(ValueError, match=r"open_stac\(\) needs"):
        times.as_interval(value)


def test_seasons():
    season = times.as_season(("06-15", "09-30"))
    inside = [season.holds(date) for date in instants("2020-06-14T23", "2020-06-15", "2020-09-30T23", "2020-10-01")]
    assert inside == [False, True, True, False]
    winter = times.as_season(("11-01", "02-29"))
    inside = [winter.holds(date) for date in instants("2020-10-31", "2020-11-01", "2021-02-28", "2021-03-01")]
    assert inside == [False, True, True, False]
    assert times.as_season(None) is None


@pytest.mark.parametrize("value", ["06-15", ("06-15",), ("6-15", "09-30"), ("02-30", "03-01"), ("13-01", "01-01"), 6])
def test_seasons_that_are_none(value):
    with pytest.raises(ValueError, match=r"season=\('06-15', '09-30'\)"):
        times.as_season(value)


def least(days, groups):
    """Least spread over all combinations."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    return min(year_days.spread(days[list(chosen)]) for chosen in itertools.product(*members))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 366)), min_size=1, max_size=12))
def test_no_choice_spreads_less(found):
    groups, days = (np.array(each) for each in zip(*found, strict=True))
    chosen = year_days.one_each(days, groups)
    assert sorted(groups[chosen]) == np.unique(groups).tolist()
    assert year_days.spread(days[chosen]) == pytest.approx(least(days, groups))


def test_spread_is_measured_on_a_circle():
    assert year_days.spread(np.array([360, 5])) == pytest.approx(10.25)
    assert year_days.spread(np.array([100, 110, 104])) == 10
    assert year_days.spread(np.array([7])) == 0


def test_of_several_that_spread_least_the_nearest_to_the_middle():
    days, groups = np.array([100, 108, 101, 104, 107]), np.array([0, 1, 2, 2, 2])
    assert year_days.one_each(days, groups).tolist() == [0, 1, 3]


def test_thirty_years_take_no_time():
    days = np.random.default_rng(0).integers(1, 367, 30 * 73)
    groups = np.repeat(np.arange(30), 73)
    start = time.process_time()
    chosen = year_days.one_each(days, groups)
    assert time.process_time() - start < 1
    assert chosen.size == 30
    assert year_days.spread(days[chosen]) < 30


def test_one_image_a_year():
    dates = instants("2019-06-01", "2019-08-10", "2020-07-01", "2020-08-12", "2021-08-11", "2021-09-30")
    assert times.one_a_year(dates, None) == [1, 3, 4]
    assert times.missing_years(instants("2015-01-01", "2018-01-01"), None) == [2016, 2017]


def test_years_of_a_season_over_the_new_year():
    winter = times.as_season(("11-01", "02-28"))
    dates = instants("2019-12-20", "2020-01-05", "2020-12-28", "2021-01-08", "2022-01-02")
    chosen = times.one_a_year(dates, winter)
    assert len(chosen) == 3  # 2019, 2020, 2021
    assert times.missing_years([dates[0], dates[4]], winter) == [2020]
