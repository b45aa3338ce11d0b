"""Which dates meet, and how well the pairs hold together."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset.model import products
from xoffset.model.dates import DATE_ENCODING

DATES = np.array(
    ["2020-01-01T10:00", "2020-01-11T10:00", "2020-02-01T10:00", "2020-06-01T10:00", "2021-01-01T10:00"], "M8[us]"
)


def stack(dates=DATES, **on_time):
    """Stack of dates; pairs() asks for nothing else."""
    coords = {"time": np.asarray(dates)} | {name: ("time", values) for name, values in on_time.items()}
    return xr.DataArray(np.zeros((len(dates), 2, 2)), dims=("time", "y", "x"), coords=coords)


def numbers(network, dates=DATES):
    """Pairs as tuples of date numbers."""
    return [
        tuple(int(np.flatnonzero(dates == network[name].values[k])[0]) for name in ("reference", "secondary"))
        for k in range(network.sizes["pair"])
    ]


ALL = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ALL),
        ({"max_gap": 1}, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ({"max_gap": 4}, ALL),
        ({"max_gap": 100}, ALL),
        ({"min_gap": 3}, [(0, 3), (0, 4), (1, 4)]),
        ({"min_gap": 2, "max_gap": 2}, [(0, 2), (1, 3), (2, 4)]),
        ({"max_baseline": "10D"}, [(0, 1)]),  # inclusive
        ({"max_baseline": "9D 23h", "min_baseline": "1D"}, None),
        ({"max_baseline": np.timedelta64(31, "D")}, [(0, 1), (0, 2), (1, 2)]),
        ({"max_baseline": pd.Timedelta(weeks=5), "min_baseline": "21D"}, [(0, 2), (1, 2)]),
        ({"max_baseline": dt.timedelta(days=10)}, [(0, 1)]),
        ({"min_baseline": "365D"}, [(0, 4)]),  # 2020 has 366 days
        ({"min_baseline": "366D"}, [(0, 4)]),
        ({"min_baseline": "367D"}, None),
        ({"min_baseline": "200D", "max_gap": 1}, [(3, 4)]),
    ],
    ids=str,
)
def test_gaps_and_baselines(options, wanted):
    if wanted is None:
        with pytest.raises(ValueError, match="Widen the gap or the baseline"):
            xoffset.pairs(stack(), **options)
    else:
        assert numbers(xoffset.pairs(stack(), **options)) == wanted


def test_gaps_count_acquisitions_of_all_orbits():
    orbits = stack(relative_orbit=[8, 108, 8, 108, 8])
    assert numbers(xoffset.pairs(orbits, max_gap=2)) == [(0, 2), (1, 3), (2, 4)]


def test_network_is_a_product_of_two_date_coordinates():
    network = xoffset.pairs(stack(DATES.astype("M8[ns]")))
    assert network.sizes == {"pair": 10}
    assert not network.data_vars
    assert not network.indexes
    assert set(network.coords) == {"reference", "secondary", "baseline"}
    for name in ("reference", "secondary"):
        assert network[name].dtype == "datetime64[us]"
        assert dict(DATE_ENCODING).items() <= network[name].encoding.items()
    assert ((network.secondary - network.reference) > np.timedelta64(0)).all()


def test_a_dataset_with_dates_will_do():
    xr.testing.assert_identical(xoffset.pairs(stack().to_dataset(name="red")), xoffset.pairs(stack()))


# --------------------------------------------------------------------------------------------------------------- split


@pytest.mark.parametrize(
    "split",
    [
        "2020-01-15",
        "2020-02-01T10:00",  # the instant of an acquisition: it belongs to the after set
        "2020-02-01 09:59:59",
        "2020-02-01T10:00Z",
        "2020-02-01T12:00+02:00",
        "2020-02-01T05:00-05:00",
        np.datetime64("2020-01-20"),
        np.datetime64("2020-02-01T10"),
        np.datetime64("2020-02-01T10:00:00.000000000"),
        pd.Timestamp("2020-01-20"),
        pd.Timestamp("2020-02-01T12:00", tz="Europe/Athens"),
        dt.datetime(2020, 2, 1, 10),
        dt.datetime(2020, 2, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    ],
    ids=str,
)
def test_everything_before_meets_everything_from_the_split_on(split):
    assert numbers(xoffset.pairs(stack(), split=split)) == [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)]


def test_an_acquisition_just_before_the_split_is_before():
    assert numbers(xoffset.pairs(stack(), split="2020-02-01T10:00:00.000001"))[:2] == [(0, 3), (0, 4)]


def test_split_overrides_gaps_and_baselines():
    limits = {"max_gap": 1, "min_baseline": "1000D", "max_baseline": "1001D"}
    xr.testing.assert_identical(
        xoffset.pairs(stack(), split="2020-03-01", **limits), xoffset.pairs(stack(), split="2020-03-01")
    )


def test_split_keeps_to_orbits():
    orbits = stack(relative_orbit=[8, 108, 8, 108, 8])
    assert numbers(xoffset.pairs(orbits, split="2020-01-20")) == [(0, 2), (0, 4), (1, 3)]


@pytest.mark.parametrize(
    "split",
    [
        "2020-02-01",
        "20200201",
        np.datetime64("2020-02-01"),
        np.datetime64("2020-02"),
        dt.date(2020, 2, 1),
    ],
    ids=str,
)
def test_a_bare_date_on_the_day_of_an_acquisition_is_refused(split):
    with pytest.raises(ValueError, match=r"which images of 2020-02-01.*Give the time, UTC: split='2020-02-01T10:30'"):
        xoffset.pairs(stack(), split=split)


@pytest.mark.parametrize("split", ["2019-12-31", "2021-01-02"])
def test_a_split_outside_the_dates_leaves_no_pair(split):
    with pytest.raises(ValueError, match="none out of 5 dates"):
        xoffset.pairs(stack(), split=split)


# ---------------------------------------------------------------------------------------------- direction and geometry


@pytest.mark.parametrize("options", [{}, {"max_gap": 2}, {"split": "2020-03-01"}], ids=str)
def test_both_directions_are_every_pair_twice_and_sorted(options):
    forward = numbers(xoffset.pairs(stack(), **options))
    both = numbers(xoffset.pairs(stack(), direction="both", **options))
    assert both == sorted(forward + [pair[::-1] for pair in forward])


@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("relative_orbit", "same_orbit", [8, 108, 8, 108, 8]),
        ("geometry", "same_geometry", ["a", "b", "a", "b", "a"]),
        ("geometry", "same_geometry", np.array(["a", "b", "a", "b", "a"], dtype=object)),
    ],
    ids=["orbit", "geometry", "geometry object"],
)
def test_orbit_and_geometry_count_where_they_are_known(name, option, values):
    known = stack(**{name: values})
    alike = [(0, 2), (0, 4), (1, 3), (2, 4)]
    assert numbers(xoffset.pairs(known)) == alike
    assert numbers(xoffset.pairs(known, **{option: True})) == alike
    assert numbers(xoffset.pairs(known, **{option: False})) == ALL
    assert numbers(xoffset.pairs(stack(), **{option: False})) == ALL
    with pytest.raises(ValueError, match=rf"{option}=True; got none\. Assign it: stack\.assign_coords\({name}="):
        xoffset.pairs(stack(), **{option: True})


def test_orbit_and_geometry_count_together():
    known = stack(relative_orbit=[8, 8, 8, 108, 108], geometry=["a", "a", "b", "b", "b"])
    assert numbers(xoffset.pairs(known)) == [(0, 1), (3, 4)]
    assert numbers(xoffset.pairs(known, same_orbit=False)) == [(0, 1), (2, 3), (2, 4), (3, 4)]


def test_one_orbit_for_all_dates_may_be_a_scalar():
    assert numbers(xoffset.pairs(stack().assign_coords(relative_orbit=8))) == ALL


def test_orbits_that_never_meet_leave_no_pair():
    with pytest.raises(ValueError, match="allow other orbits with same_orbit=False"):
        xoffset.pairs(stack(relative_orbit=range(5)))


def test_orbits_count_within_a_family_of_satellites():
    platforms = ["S2A", "LC08", "S2B", "LE07", "LM02"]
    known = stack(relative_orbit=[63] * 5, platform=platforms)
    assert numbers(xoffset.pairs(known)) == [(0, 2), (1, 3)]
    assert numbers(xoffset.pairs(known, same_orbit=False)) == ALL
    told = stack(
        relative_orbit=[63] * 5, platform=["Sentinel-2A", "landsat-8", "sentinel-2b", "landsat-9", "landsat-3"]
    )
    assert numbers(xoffset.pairs(told)) == [(0, 2), (1, 3)]
    assert numbers(xoffset.pairs(stack(relative_orbit=[63] * 5, platform=["S2A"] * 5))) == ALL


@pytest.mark.parametrize(
    ("name", "option", "values"),
    [("relative_orbit", "same_orbit", [8, 8, 108, 8, 8]), ("geometry", "same_geometry", ["a", "a", "b", "a", "a"])],
)
def test_dates_that_lose_their_last_pair_unasked_are_told(caplog, name, option, values):
    known = stack(**{name: values})
    xoffset.pairs(known)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "left out 4 of 10 pairs" in record.message
    assert f"{name}; {str(known.time.values[2])[:10]} have no pair then. {option}=False keeps them" in record.message
    caplog.clear()
    xoffset.pairs(known, **{option: True})
    xoffset.pairs(known, **{option: False})
    xoffset.pairs(stack(**{name: [values[0]] * 5}))
    xoffset.pairs(stack(**{name: [values[0]] * 3 + [values[2]] * 2}))
    assert not caplog.records


def test_geometries_that_never_meet_leave_no_pair():
    with pytest.raises(ValueError, match=r"other classes with same_geometry=False\.$"):
        xoffset.pairs(stack(geometry=list("abcde")))


def test_the_accessor_gives_the_same():
    orbits = stack(relative_orbit=[8, 108, 8, 108, 8])
    options = {"max_gap": 3, "direction": "both", "same_orbit": False}
    xr.testing.assert_identical(orbits.offset.pairs(**options), xoffset.pairs(orbits, **options))


# ----------------------------------------------------------------------------------------------------------- diagnosis


def network(*pairs):
    first, second = np.array(pairs).T
    return products.network(DATES[first], DATES[second])


@pytest.mark.parametrize(
    ("pairs", "n_pairs", "component", "redundancy"),
    [
        ([(0, 1)], [1, 1], [0, 0], 1.0),
        ([(0, 1), (1, 2), (2, 3), (3, 4)], [1, 2, 2, 2, 1], [0, 0, 0, 0, 0], 1.0),
        (ALL, [4, 4, 4, 4, 4], [0, 0, 0, 0, 0], 2.5),
        ([(0, 1), (0, 2), (1, 2)], [2, 2, 2], [0, 0, 0], 1.5),
        ([(0, 1), (2, 3)], [1, 1, 1, 1], [0, 0, 1, 1], 1.0),
        ([(0, 2), (1, 4), (2, 3)], [1, 1, 2, 1, 1], [0, 1, 0, 0, 1], 1.0),
        ([(0, 4), (1, 2), (1, 3), (2, 3)], [1, 2, 2, 2, 1], [0, 1, 1, 1, 0], 4 / 3),
    ],
)
def test_diagnosis(pairs, n_pairs, component, redundancy):
    found = xoffset.diagnose(network(*pairs))
    np.testing.assert_array_equal(found.n_pairs, n_pairs)
    np.testing.assert_array_equal(found.component, component)
    assert int(found.n_components) == max(component) + 1
    assert float(found.redundancy) == pytest.approx(redundancy)
    np.testing.assert_array_equal(found.time, DATES[np.unique(pairs)])
    assert found.n_pairs.dims == found.component.dims == ("time",)


@pytest.mark.parametrize("pairs", [ALL, [(0, 1), (2, 3)], [(0, 2), (0, 1)]], ids=str)
def test_forward_and_backward_count_once(pairs):
    """The two matches of two images are one observation."""
    both = network(*pairs, *(pair[::-1] for pair in pairs))
    xr.testing.assert_identical(xoffset.diagnose(both), xoffset.diagnose(network(*pairs)))


def test_the_order_of_the_pairs_does_not_matter():
    pairs = [(0, 4), (1, 2), (1, 3), (2, 3)]
    xr.testing.assert_identical(xoffset.diagnose(network(*pairs[::-1])), xoffset.diagnose(network(*pairs)))


def test_any_product_with_pairs_can_be_diagnosed():
    shifts = network(*ALL).assign(dx=(("pair", "y", "x"), np.zeros((10, 2, 2))))
    xr.testing.assert_identical(shifts.offset.diagnose(), xoffset.diagnose(network(*ALL)))


@pytest.mark.parametrize("dates", [2, 30])
def test_a_chain_of_any_length_is_one_component(dates):
    when = np.datetime64("2020-01-01", "us") + np.timedelta64(5, "D") * np.arange(dates)
    found = xoffset.diagnose(xoffset.pairs(stack(when), max_gap=1))
    assert (int(found.n_components), float(found.redundancy)) == (1, 1.0)


# ------------------------------------------------------------------------------------------------------ season and sun

SEASONS = np.array(["2019-02-10", "2019-07-05", "2020-02-20", "2020-07-01", "2021-01-25", "2024-12-20"], "M8[us]")


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        ("3D", []),
        ("5D", [(1, 3)]),
        ("12D", [(0, 2), (1, 3)]),
        ("26D", [(0, 2), (0, 4), (1, 3), (2, 4)]),
        # a season goes on over the turn of the year
        ("36D", [(0, 2), (0, 4), (1, 3), (2, 4), (4, 5)]),
        ("183D", [(i, j) for i in range(6) for j in range(i + 1, 6)]),
    ],
)
def test_dates_of_one_season_in_whatever_year(limit, wanted):
    given = stack(SEASONS)
    if not wanted:
        with pytest.raises(ValueError, match="allow more with max_season_gap"):
            xoffset.pairs(given, max_season_gap=limit)
        return
    assert numbers(xoffset.pairs(given, max_season_gap=limit), SEASONS) == wanted


def test_a_split_keeps_to_the_season():
    given = stack(SEASONS)
    assert numbers(xoffset.pairs(given, split="2020-01-01", max_season_gap="12D"), SEASONS) == [(0, 2), (1, 3)]


def lit(azimuth, elevation):
    return stack(SEASONS[:4]).assign_coords(sun_azimuth=("time", azimuth), sun_elevation=("time", elevation))


def test_the_angle_between_two_suns_counts():
    # over the north, at the same height, near the zenith, and 8 degrees lower
    given = lit([359.0, 3.0, 180.0, 359.0], [30.0, 30.0, 89.0, 22.0])
    across = 2.0 * np.rad2deg(np.arcsin(np.cos(np.deg2rad(30.0)) * np.sin(np.deg2rad(2.0))))
    assert numbers(xoffset.pairs(given, max_sun_gap=across + 0.01), SEASONS) == [(0, 1)]
    with pytest.raises(ValueError, match="allow more with max_season_gap and max_sun_gap"):
        xoffset.pairs(given, max_sun_gap=across - 0.01)
    assert numbers(xoffset.pairs(given, max_sun_gap=8.01), SEASONS) == [(0, 1), (0, 3)]
    assert (2, 3) not in numbers(xoffset.pairs(given, max_sun_gap=61.5), SEASONS)
    assert numbers(xoffset.pairs(given, max_sun_gap=70.0), SEASONS) == [
        (i, j) for i in range(4) for j in range(i + 1, 4)
    ]


def test_angles_may_be_in_radians():
    given = lit(np.deg2rad([359.0, 3.0, 180.0, 359.0]), np.deg2rad([30.0, 30.0, 89.0, 22.0]))
    for name in ("sun_azimuth", "sun_elevation"):
        given[name].attrs["units"] = "radian"
    assert numbers(xoffset.pairs(given, max_sun_gap=8.01), SEASONS) == [(0, 1), (0, 3)]


def test_limits_that_part_the_network_are_told(caplog):
    given = stack(SEASONS)
    xoffset.pairs(given, max_season_gap="26D")
    assert "leave 3 groups of dates that no pair connects, before 1" in caplog.text
    caplog.clear()
    xoffset.pairs(given, max_season_gap="183D")
    assert not caplog.text


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"per_date": 1}, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ({"per_date": 2}, [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4)]),
        ({"per_date": 9}, ALL),
        # of the pairs that other limits leave; the last date keeps its one pair
        ({"per_date": 1, "min_gap": 2}, [(0, 2), (1, 3), (2, 4)]),
        ({"per_date": 1, "min_baseline": "300D"}, [(0, 4), (1, 4), (2, 4)]),
        ({"per_date": 1, "split": "2020-03-01"}, [(0, 3), (1, 3), (2, 3), (2, 4)]),
        ({"per_date": 1, "max_gap": 1, "direction": "both"}, [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2), (3, 4),
                                                              (4, 3)]),
    ],
)  # fmt: skip
def test_each_date_keeps_its_shortest_pairs(options, wanted):
    assert numbers(xoffset.pairs(stack(), **options)) == wanted


@pytest.mark.parametrize("per_date", [0, -1, 1.5, True, "2"])
def test_a_senseless_number_of_pairs_of_a_date_is_refused(per_date):
    with pytest.raises((ValueError, TypeError), match="per_date"):
        xoffset.pairs(stack(), per_date=per_date)
