"""Dates and durations: one reading of each, and a way out of every one that would need a guess."""

import datetime as dt

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xoffset
from xoffset.model import dates

EAST = dt.timezone(dt.timedelta(hours=2))


# --------------------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("value", "instant", "is_bare"),
    [
        ("2021-04-03", "2021-04-03", True),
        (" 20210403 ", "2021-04-03", True),
        ("1826-01-01", "1826-01-01", True),
        ("2021-04-03T10", "2021-04-03T10", False),
        ("2021-04-03 10:30", "2021-04-03T10:30", False),
        ("20210403T1030", "2021-04-03T10:30", False),
        ("20210403T103015.25Z", "2021-04-03T10:30:15.25", False),
        ("2021-04-03T10:30+02:00", "2021-04-03T08:30", False),
        ("2021-04-03T00:30:00,5+0200", "2021-04-02T22:30:00.5", False),
        ("2021-04-03T10:30:15.123456789", "2021-04-03T10:30:15.123456", False),
        (dt.date(2021, 4, 3), "2021-04-03", True),
        (dt.datetime(2021, 4, 3, 1, tzinfo=EAST), "2021-04-02T23", False),
        (np.datetime64("2021-04"), "2021-04-01", True),
        (np.datetime64("2021-04-03T10:30:15.123456789"), "2021-04-03T10:30:15.123456", False),
        (pd.Timestamp("2021-04-03T10", tz="Europe/Berlin"), "2021-04-03T08", False),
        (cftime.DatetimeGregorian(2021, 4, 3, 10), "2021-04-03T10", False),
        (np.array("2021-04-03T10", "M8[s]"), "2021-04-03T10", False),
        (xr.DataArray(np.datetime64("2021-04-03", "us")), "2021-04-03", False),
    ],
)
def test_what_is_a_date(value, instant, is_bare):
    found = dates.as_instant(value, "split", "pairs")
    assert found == np.datetime64(instant)
    assert found.dtype == "datetime64[us]"
    assert dates.is_bare_date(value.strip() if isinstance(value, str) else value) == is_bare
    if not isinstance(value, (np.ndarray, xr.DataArray)):
        assert dates.as_instants([value, value]).tolist() == [found.item()] * 2


GUESSES = {
    "03/04/2021": r"Write '2021-04-03' or '2021-03-04', whichever is meant",
    "03.04.2021": r"Write '2021-04-03' or '2021-03-04', whichever is meant",
    "04 10 2020": r"Write '2020-10-04' or '2020-04-10', whichever is meant",
    "13/02/2020": r"Write '2020-02-13'\.",
    "2/13/2020": r"Write '2020-02-13'\.",
    "2021/04/03": r"Write '2021-04-03'\.",
    "2021-4-3": r"Write '2021-04-03'\.",
    "2020.52": r"decimal year names no day.*'2020-07-08' is near.*Write it as",
    "2020.5": r"decimal year",
    "10:30": r"A time alone is no date.*Write it as",
    "01-02-03": r"Years have four digits.*Write it as",
    "1/6/20": r"Years have four digits",
    "0021-04-03": r"Years have four digits",
    "2021-02-29": r"no such day",
    "2020": r"The day is missing",
    "2020-06": r"The day is missing",
} | dict.fromkeys(
    ("now", "today", "NaT", "", "soon", "June 1, 2020", "1 Jun 2020", "20-06-01T10:30", "202006", "20200230",
     "2020-W23-1", "2020-153", "2020153", "2020-06-01 10", "2020-06-01T25:00", "2020-06-01+02:00",
     "2020-06-01T10:30 UTC", "1e9", "٢٠٢٠-٠٦-٠١"),
    r"Write it as '2020-06-01T10:30'",
)  # fmt: skip

NO_DATES = [
    None, True, 2020, 20200601, 20200601.0, np.nan, np.int64(20200601), pd.NaT, np.datetime64("NaT"),
    np.datetime64("NaT", "D"), ["2020-06-01"], b"2020-06-01", dt.time(10, 30), pd.Period("2020-06"),
    cftime.DatetimeNoLeap(2020, 6, 1), cftime.Datetime360Day(2020, 2, 30), dt.timedelta(1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "advice"), GUESSES.items())
def test_no_text_is_guessed(text, advice):
    with pytest.raises(ValueError, match=rf"pairs\(\) needs a date in ISO 8601 as split; got .*{advice}"):
        dates.as_instant(text, "split", "pairs")
    assert np.isnat(dates.as_instants([text])).all()


@pytest.mark.parametrize("value", NO_DATES, ids=repr)
def test_no_number_is_a_date(value):
    with pytest.raises(ValueError, match=r"Write it as '2020-06-01T10:30'"):
        dates.as_instant(value, "split", "pairs")
    assert np.isnat(dates.as_instants([value])).all()


@given(st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2999, 12, 31)), st.sampled_from(["", "Z", "+00:00"]))
def test_every_instant_survives_its_text(when, zone):
    assert dates.as_instant(when.isoformat() + zone, "split", "pairs") == np.datetime64(when)
    assert dates.as_instant(f"{when:%Y%m%dT%H%M%S.%f}", "split", "pairs") == np.datetime64(when)


@given(st.integers(1, 99), st.integers(1, 99), st.integers(0, 9999), st.sampled_from("/. -"))
def test_no_order_of_day_and_month_is_taken(first, second, year, separator):
    text = separator.join((f"{first:02}", f"{second:02}", str(year)))
    with pytest.raises(ValueError, match="Write"):
        dates.as_instant(text, "split", "pairs")


@pytest.fixture(scope="module")
def objects():
    stack, _ = xoffset.synthetic.stack((48, 48), dates=["2020-01-01", "2020-04-10", "2020-10-04", "2021-01-01"])
    shifts = stack.offset.correlate(stack.offset.pairs(), template=16, search=4, step=16)
    return stack, shifts, shifts.offset.invert()


@pytest.mark.parametrize("text", ["04/10/2020", "04.10.2020", "2020.5", "2020", "now", "01-02-03"])
@pytest.mark.parametrize(
    "call",
    [
        lambda stack, shifts, series, text: stack.offset.pairs(split=text),
        lambda stack, shifts, series, text: shifts.offset.invert(reference=text),
        lambda stack, shifts, series, text: series.offset.rereference(text),
        lambda stack, shifts, series, text: series.offset.rereference([text]),
        lambda stack, shifts, series, text: series.offset.resample([text]),
        lambda stack, shifts, series, text: shifts.offset.coseismic(text),
        lambda stack, shifts, series, text: shifts.offset.decompose(steps=[text]),
        lambda stack, shifts, series, text: shifts.offset.decompose(epoch=text),
        lambda stack, shifts, series, text: shifts.offset.decompose(exponential=[(text, 30.0)]),
        lambda stack, shifts, series, text: xoffset.synthetic.stack((32, 32), dates=[text, "2022-01-01"]),
        lambda stack, shifts, series, text: xoffset.synthetic.stack(
            (32, 32), dates=["2020-01-01", "2022-01-01"], step=1.0, step_date=text
        ),
        lambda stack, shifts, series, text: xoffset.from_table(
            pd.DataFrame({"reference": [text], "secondary": ["2022-01-01"], "dx": [0.0], "dy": [0.0]})
        ),
    ],
)
def test_every_function_refuses_a_date_that_needs_a_guess(objects, call, text):
    with pytest.raises(ValueError, match=r"needs (a date|dates) in ISO 8601"):
        call(*objects, text)


@pytest.mark.parametrize("calendar", ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian"])
def test_the_advice_on_cftime_works(calendar):
    time = xr.date_range("2020-01-05", periods=3, freq="60D", calendar=calendar, use_cftime=True)
    stack = xr.DataArray(
        np.zeros((3, 8, 8)), coords={"time": time, "y": -10.0 * np.arange(8), "x": 10.0 * np.arange(8)},
        dims=("time", "y", "x"),
    )  # fmt: skip
    with pytest.raises(TypeError, match=r"got dtype object. Convert: (.*)\.") as caught:
        stack.offset.pairs()
    advice = str(caught.value).split("Convert: ")[1].removesuffix(".")
    mended = eval(advice, {"stack": stack, "pandas": pd})
    assert mended.offset.pairs().sizes["pair"] == 3


@pytest.mark.parametrize("values", [["2020-01-01", "2020-02-03"], [20200101, 20200203]])
def test_the_advice_on_texts_and_numbers_works(values):
    stack = xr.DataArray(
        np.zeros((2, 8, 8)), coords={"time": values, "y": -10.0 * np.arange(8), "x": 10.0 * np.arange(8)},
        dims=("time", "y", "x"),
    )  # fmt: skip
    with pytest.raises(TypeError, match="Convert: stack") as caught:
        stack.offset.pairs()
    mended = eval(str(caught.value).split("Convert: ")[1].removesuffix("."), {"stack": stack, "pandas": pd})
    assert mended.time.values.astype("M8[D]").astype(str).tolist() == ["2020-01-01", "2020-02-03"]


# ----------------------------------------------------------------------------------------------------------- durations


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30D", 30 * 86_400), ("30d", 30 * 86_400), ("2W", 14 * 86_400), ("6h", 21_600), ("6H", 21_600),
        ("45min", 2700), ("90s", 90), ("1.5D", 129_600), ("30 days", 30 * 86_400), ("1 day", 86_400),
        ("1D 12h", 129_600), ("1D12h", 129_600), ("P30D", 30 * 86_400), ("PT6H", 21_600), ("P1DT12H", 129_600),
        ("200 days 00:00:00", 200 * 86_400), ("1 days 06:30:01.5", 109_801.5), ("-1D", -86_400), ("+2h", 7200),
        (dt.timedelta(hours=2), 7200), (pd.Timedelta("3h"), 10_800), (np.timedelta64(3, "D"), 259_200),
        (np.timedelta64(2, "W"), 14 * 86_400), (pd.offsets.Day(3), 259_200), (pd.offsets.Hour(3), 10_800),
    ],
)  # fmt: skip
def test_what_is_a_duration(value, seconds):
    found = dates.as_duration(value, "max_baseline", "pairs")
    assert found == np.timedelta64(round(seconds * 1e6), "us")
    assert found.dtype == "timedelta64[us]"


@given(st.timedeltas(dt.timedelta(0), dt.timedelta(20_000)))
def test_every_duration_survives_its_text(span):
    assert dates.as_duration(str(pd.Timedelta(span)), "max_baseline", "pairs") == np.timedelta64(span)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("6m", "Write '180D' for months of 30 days, '6min' for minutes"),
        ("6M", "Write '180D' for months of 30 days, '6min' for minutes"),
        ("1MS", "Write '30D' for months of 30 days"),
        ("6 months", "Write '180D' for months of 30 days"),
        ("1Y", "Write '365D' for years"),
        ("2y", "Write '730D' for years"),
        ("2 years", "Write '730D' for years"),
    ],
)
def test_months_and_years_are_no_durations(value, hint):
    with pytest.raises(ValueError, match=rf"got '{value}'. {hint}\. Give a number and a unit: '10D'"):
        dates.as_duration(value, "max_baseline", "pairs")


@pytest.mark.parametrize(
    "value",
    [
        "10", "", "NaT", "ten days", "6:00", "06:00:00", "3T", "3L", "5ms", "5ns", "1D 1D", "30D30", "1e3D", "inf D",
        "D", "P6M", "PT6M", "P1Y", "-3 days +06:00:00", "99999999999D", 10, 10.0, True, None, [10], np.int64(10),
        np.timedelta64(5), np.timedelta64(5, "M"), np.timedelta64(5, "Y"), np.timedelta64("NaT", "D"), pd.NaT,
        pd.DateOffset(months=6), pd.offsets.MonthBegin(), "2020-01-01", dt.date(2020, 1, 1),
    ],
    ids=repr,
)  # fmt: skip
def test_no_duration_is_guessed(value):
    with pytest.raises(ValueError, match=r"needs a duration as max_baseline; got .*Give a number and a unit: '10D'"):
        dates.as_duration(value, "max_baseline", "pairs")


def test_baselines_are_what_they_say():
    stack = xr.DataArray(
        np.zeros((12, 4, 4), "f4"), dims=("time", "y", "x"),
        coords={"time": np.datetime64("2020-01-04", "us") + 30 * np.arange(12).astype("m8[D]"),
                "x": 10.0 * np.arange(4), "y": -10.0 * np.arange(4)},
    )  # fmt: skip
    assert stack.offset.pairs(min_baseline="180D").sizes["pair"] == 21
    assert stack.offset.pairs(min_baseline="4320h", max_baseline="180 days").sizes["pair"] == 6
    series = xr.Dataset(dict.fromkeys(("dx", "dy"), stack) | {f"sigma_{n}": stack + 0.1 for n in ("dx", "dy")})
    assert series.offset.resample(dt.timedelta(days=30)).sizes["time"] == 12
    for gap in ("90D", "90d", "2160H", "90 days", "P90D", "12W 6D", dt.timedelta(90), np.timedelta64(90, "D")):
        resampled = series.offset.resample("30D", max_gap=gap)
        assert '"max_gap": "90 days 00:00:00"' in resampled.attrs["processing"]
    assert stack.offset.pairs(max_baseline="4 weeks 2 days").sizes["pair"] == 11
    for wrong in ("6m", "6M", "1MS", 6):
        with pytest.raises(ValueError, match="Give a number and a unit"):
            stack.offset.pairs(max_baseline=wrong)
    for wrong in ("1m", "1M", "1MS"):
        with pytest.raises(ValueError, match="Give a number and a unit"):
            series.offset.resample(wrong)
        with pytest.raises(ValueError, match="Give a number and a unit"):
            series.offset.resample("30D", max_gap=wrong)
