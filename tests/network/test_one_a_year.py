"""one_a_year(): the choice of all combinations that spreads least over the year."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset._arrays.scenes.year_days import spread


def stack_of(dates):
    dates = np.sort(np.array(dates, "M8[us]"))
    return xr.DataArray(
        np.zeros((dates.size, 2, 2), "f4"), {"time": dates, "y": [10.0, 0.0], "x": [0.0, 10.0]}, ("time", "y", "x")
    )


@pytest.mark.parametrize("seed", range(8))
def test_no_combination_spreads_less(seed):
    rng = np.random.default_rng(seed)
    years = [np.datetime64(f"{year}-01-01") + rng.integers(0, 365, rng.integers(1, 6)) for year in range(2015, 2021)]
    stack = stack_of(np.unique(np.concatenate(years)))
    found = xoffset.one_a_year(stack)
    days = pd.DatetimeIndex(stack.time.values)
    groups = [days.day_of_year[days.year == year] for year in sorted(set(days.year))]
    least = min(spread(np.array(each)) for each in itertools.product(*groups))
    chosen = pd.DatetimeIndex(found.time.values)
    assert chosen.year.tolist() == sorted(set(days.year))
    assert spread(chosen.day_of_year.to_numpy()) == pytest.approx(least)


def test_days_around_the_new_year_are_neighbours():
    found = xoffset.one_a_year(stack_of(["2019-06-01", "2019-12-28", "2020-01-03", "2020-07-20"]))
    assert found.time.dt.strftime("%m-%d").values.tolist() == ["12-28", "01-03"]
