"""plan(): limits that follow from T = s·p/v, pairs within them, and a search that finds the fastest motion."""

import math

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model.flags import FLAGS
from xoffset.network import plan

YEAR = pd.Timedelta(days=365.25)
DATES = np.arange("2020-01-01", "2022-01-01", 16, dtype="datetime64[D]")


def refuse(block):
    raise AssertionError("a plan needs no pixel values")


def images(dates=DATES, *, side=(10.0, 10.0), rising=False, **coords):
    """Stack without pixel values that anyone could read; side is that of a pixel along y and x."""
    pixels = da.zeros((len(dates), 40, 40), dtype="float32").map_blocks(refuse, meta=np.empty((0, 0, 0), "float32"))
    y = side[0] * np.arange(40.0) * (1 if rising else -1)
    time = {"time": np.asarray(dates, "M8[us]"), "y": y, "x": side[1] * np.arange(40.0)}
    return xr.DataArray(pixels, dims=("time", "y", "x"), coords=time | coords)


@pytest.mark.small
@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("side", [(10.0, 10.0), (15.0, 10.0), (2.0, 30.0)], ids=str)
@pytest.mark.parametrize("precision", [0.1, 0.2])
def test_limits_follow_from_the_rule(side, rising, precision):
    planned = xoffset.plan(images(side=side, rising=rising), v_max=60.0, v_min=40.0, precision=precision, max_search=60)
    # T = s·p/v, along the side of the pixel that shows least
    shortest = precision * max(side) / 40.0 * YEAR
    assert pd.Timedelta(0) <= planned.min_baseline - shortest <= pd.Timedelta("1s")
    # the outermost ring takes no peak, the position of the images 1.2 px
    longest = (60 - 1 - 1.2) * min(side) / 60.0 * YEAR
    assert pd.Timedelta(0) <= longest - planned.max_baseline <= pd.Timedelta("1s")


@pytest.mark.small
@pytest.mark.parametrize("side", [(10.0, 10.0), (15.0, 10.0)], ids=str)
def test_each_pair_gets_the_search_that_it_needs(side):
    planned = xoffset.plan(images(side=side), v_max=100.0, v_min=20.0, max_search=20)
    days = (planned.network.secondary - planned.network.reference) / np.timedelta64(1, "D")
    np.testing.assert_allclose(planned.network.baseline_days, days)
    moved = 100.0 * days.values / 365.25 / min(side)
    expected = [math.ceil(each + 1.2) + 1 for each in moved]
    assert planned.network.search.values.tolist() == expected
    assert planned.search == max(expected) <= 20
    assert isinstance(planned.search, int)


@pytest.mark.small
def test_pairs_are_those_of_pairs():
    stack = images()
    planned = stack.offset.plan(v_max=100.0, v_min=20.0, max_search=20)
    wanted = xoffset.pairs(stack, min_baseline=planned.min_baseline, max_baseline=planned.max_baseline)
    xr.testing.assert_identical(planned.network[["reference", "secondary"]], wanted)
    baseline = np.subtract.outer(stack.time.values, stack.time.values)
    inside = (baseline >= planned.min_baseline.to_timedelta64()) & (baseline <= planned.max_baseline.to_timedelta64())
    assert wanted.sizes["pair"] == inside.sum() > 0
    assert xoffset.diagnose(planned.network).n_components == 1


@pytest.mark.small
def test_without_a_slowest_motion_the_fastest_must_show():
    stack = images()
    assert xoffset.plan(stack, v_max=30.0)[:3] == xoffset.plan(stack, v_max=30.0, v_min=30.0)[:3]


@pytest.mark.small
def test_faster_motion_needs_shorter_baselines_and_more_search_needs_more_pixels():
    stack = images()
    longest = [xoffset.plan(stack, v_max=v).max_baseline for v in (20.0, 40.0, 80.0)]
    assert longest == sorted(longest, reverse=True)
    np.testing.assert_allclose([longest[0] / longest[1], longest[1] / longest[2]], 2.0, rtol=1e-5)
    searches = [xoffset.plan(stack, v_max=200.0, max_search=m) for m in (8, 16, 32)]
    assert [each.max_baseline for each in searches] == sorted(each.max_baseline for each in searches)
    assert all(each.search <= m for each, m in zip(searches, (8, 16, 32), strict=True))


@pytest.mark.small
@pytest.mark.parametrize("v_max", [1.0, 3.3, 7.0, 49.9, 100.0])
@pytest.mark.parametrize("max_search", [3, 8, 33])
def test_rounding_never_exceeds_the_search_allowed(v_max, max_search):
    """A pair exactly as far apart as is allowed."""
    longest = (max_search - 2.2) * 10.0 / v_max
    first = np.datetime64("2000-01-01", "s")
    second = first + np.timedelta64(int(longest * 365.25 * 86_400), "s")
    planned = xoffset.plan(images([first, second]), v_max=v_max, max_search=max_search)
    assert planned.search == max_search


@pytest.mark.small
def test_orbits_are_kept_apart():
    orbit = ("time", np.arange(DATES.size) % 2)
    planned = xoffset.plan(images(relative_orbit=orbit), v_max=50.0)
    mixed = xoffset.plan(images(), v_max=50.0)
    assert planned.network.sizes["pair"] < mixed.network.sizes["pair"]
    days = planned.network.baseline_days.values
    assert (np.rint(days) % 32 == 0).all()


@pytest.mark.small
def test_a_very_slow_motion_has_no_longest_baseline():
    planned = xoffset.plan(images(), v_max=1e-6, precision=1e-9)
    assert planned.max_baseline > 1e4 * YEAR
    assert planned.network.sizes["pair"] == DATES.size * (DATES.size - 1) // 2


def test_the_fastest_motion_is_found_in_any_direction():
    """At the longest baseline, images off by a pixel: no vector is lost at the rim of the search."""
    for direction in (0.0, 90.0, 225.0):
        stack, truth = synthetic.stack(
            (96, 96), dates=["2020-01-01", "2020-03-01", "2020-06-20"], field="constant", velocity=100.0,
            direction=direction, misregistration=5.0, seed=3,
        )  # fmt: skip
        planned = stack.offset.plan(v_max=100.0, v_min=20.0, max_search=8)
        shifts = stack.offset.correlate(planned.network, search=planned.search)
        inner = shifts.flags & FLAGS["outside"] == 0
        assert int(inner.sum()) > 20
        assert int((shifts.flags.where(inner, 0) != 0).sum()) == 0
        moved = truth.dx.sel(time=shifts.secondary).values - truth.dx.sel(time=shifts.reference).values
        registered = truth.misregistration_dx.sel(time=shifts.secondary) - truth.misregistration_dx.sel(
            time=shifts.reference
        )
        expected = moved[:, 0, 0] + registered.values
        np.testing.assert_allclose(shifts.dx.median(("y", "x")), expected, atol=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"v_max": 0.0}, r"a number above 0 as v_max \[m yr-1\]; got 0.0. Pass one"),
        ({"v_max": -3.0}, r"above 0 as v_max"),
        ({"v_max": math.nan}, r"above 0 as v_max"),
        ({"v_max": math.inf}, r"above 0 as v_max"),
        ({"v_max": True}, r"above 0 as v_max"),
        ({"v_max": "100"}, r"above 0 as v_max"),
        ({"v_max": 10.0, "v_min": 0.0}, r"above 0 as v_min"),
        ({"v_max": 10.0, "precision": 0.0}, r"above 0 as precision \[px\]"),
        ({"v_max": 10.0, "v_min": 11.0}, r"got v_min=11, v_max=10. Swap them"),
        ({"v_max": 10.0, "max_search": 2}, r"at least 3 as max_search; got 2. Pass max_search=32"),
        ({"v_max": 10.0, "max_search": 8.5}, r"whole number"),
        ({"v_max": 1e6, "v_min": 1e6}, r"two dates [\d.e-]+ to 0\.10\d+ days apart; got 16 to 720 days.*Add images"),
        (
            {"v_max": 1e-3},
            r"two dates 3\.652e\+05 to .* change v_min, v_max, precision or max_search; of a recipe max_velocity",
        ),
    ],
)
@pytest.mark.small
def test_senseless_motion_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        xoffset.plan(images(), **options)


@pytest.mark.small
def test_a_range_too_wide_for_the_search_names_the_search_it_needs():
    stack = images()
    with pytest.raises(ValueError, match=r"at least 73\.05 and at most .*Pass max_search=(\d+), or plan slow") as error:
        xoffset.plan(stack, v_max=2000.0, v_min=5.0)
    needed = int(str(error.value).split("max_search=")[1].split(",")[0])
    # 73.05 days are no multiple of 16: allow for the next one
    assert xoffset.plan(stack, v_max=2000.0, v_min=5.0, max_search=needed + 40).search > needed
    with pytest.raises(ValueError, match="Pass max_search"):
        xoffset.plan(stack, v_max=2000.0, v_min=5.0, max_search=needed - 1)


@pytest.mark.small
def test_a_wrong_stack_is_refused():
    with pytest.raises(ValueError, match=r"plan\(\) needs at least two dates; got 1. Add images"):
        xoffset.plan(images(DATES[:1]), v_max=10.0)
    with pytest.raises(ValueError, match=r"plan\(\) needs dates in order"):
        xoffset.plan(images(DATES[::-1]), v_max=10.0)
    with pytest.raises(ValueError, match=r"plan\(\) needs coordinates x and y"):
        xoffset.plan(images().drop_vars("x"), v_max=10.0)
    with pytest.raises(TypeError, match=r"plan\(\) needs a DataArray"):
        xoffset.plan(images().to_dataset(name="red"), v_max=10.0)


@pytest.mark.small
def test_the_plan_is_a_named_tuple():
    assert plan.Plan._fields == ("min_baseline", "max_baseline", "search", "network")


@pytest.mark.small
def test_an_event_has_the_pairs_across_it_and_the_search_of_its_displacement():
    stack = images(DATES[:6], side=(15.0, 10.0))
    planned = xoffset.plan(stack, event="2020-02-05", displacement=42.0)
    across = xoffset.pairs(stack, split="2020-02-05")
    xr.testing.assert_equal(planned.network.drop_vars(["search", "baseline_days"]), across)
    assert planned.search == math.ceil(4.2 + 1.2) + 1
    assert set(planned.network.search.values) == {planned.search}
    assert (planned.min_baseline.days, planned.max_baseline.days) == (16, 80)


@pytest.mark.small
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"needs v_max, or event and displacement; got none of them. Pass v_max"),
        ({"event": "2020-02-05"}, r"needs v_max, or event and displacement; got event\."),
        ({"displacement": 3.0}, r"got displacement\."),
        ({"v_max": 3.0, "event": "2020-02-05"}, r"needs a speed or an event; got both, event and v_max=3.0"),
        ({"v_min": 3.0, "event": "2020-02-05", "displacement": 3.0}, r"a speed or an event; got both"),
        ({"event": "2020-02-05", "displacement": 0.0}, r"displacement"),
        ({"event": "2020-02-05", "displacement": 900.0}, r"takes 93 px of 10 m, and max_search=32. Pass max_search=93"),
        ({"event": "2030-02-05", "displacement": 9.0}, r"at least one pair of dates; got none"),
    ],
)
def test_events_that_say_too_little_or_too_much_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        xoffset.plan(images(), **options)
