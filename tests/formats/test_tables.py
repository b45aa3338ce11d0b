"""Tables of others as shifts: every number where it belongs, nothing invented, nothing guessed."""

import datetime as dt

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr

import xoffset
from xoffset.model import grids
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS

DAY = np.timedelta64(1, "D")


def table(**columns):
    """Three pairs of one point, the last one backward."""
    plain = {
        "reference": ["2020-01-01", "2020-07-01", "2021-01-01"],
        "secondary": ["2020-07-01", "2021-01-01", "2020-01-01"],
        "dx": [1.0, 2.0, -3.0],
        "dy": [-0.5, 0.25, 0.25],
    }
    return pd.DataFrame(plain | columns)


# ----------------------------------------------------------------------------------------------------------- one point


def test_rows_become_pairs_in_their_order():
    shifts = xoffset.from_table(table())
    assert shifts.dx.dims == ("pair", "y", "x")
    assert shifts.sizes == {"pair": 3, "y": 1, "x": 1}
    np.testing.assert_array_equal(shifts.dx.values.ravel(), [1.0, 2.0, -3.0])
    np.testing.assert_array_equal(shifts.dy.values.ravel(), [-0.5, 0.25, 0.25])
    np.testing.assert_array_equal(shifts.reference.values, table()["reference"].to_numpy().astype("M8[us]"))
    np.testing.assert_array_equal(shifts.secondary.values, table()["secondary"].to_numpy().astype("M8[us]"))
    assert (shifts.flags == 0).all()
    assert {name: shifts[name].dtype for name in shifts.data_vars} == {
        "dx": "float64", "dy": "float64", "sigma_dx": "float64", "sigma_dy": "float64", "flags": "int64"
    }  # fmt: skip


def test_repeated_rows_are_pairs_of_their_own():
    rows = pd.concat([table(), table()])
    shifts = xoffset.from_table(rows)
    np.testing.assert_array_equal(shifts.dx.values.ravel(), rows["dx"])
    np.testing.assert_array_equal(shifts.reference.values, rows["reference"].to_numpy().astype("M8[us]"))


def test_a_velocity_counts_for_the_time_between_the_dates():
    rows = table(secondary=["2020-01-17", "2024-07-01", "2020-12-16"], ex=[1.0, 2.0, 3.0], ey=[4.0, 5.0, 6.0])
    shifts = xoffset.from_table(rows, kind="velocity", sigma=("ex", "ey"))
    baseline = np.array([16, 1461, -16]) / 365.25
    np.testing.assert_allclose(shifts.dx.values.ravel(), rows["dx"] * baseline, rtol=1e-14)
    np.testing.assert_allclose(shifts.dy.values.ravel(), rows["dy"] * baseline, rtol=1e-14)
    np.testing.assert_allclose(shifts.sigma_dx.values.ravel(), rows["ex"] * abs(baseline), rtol=1e-14)
    np.testing.assert_allclose(shifts.sigma_dy.values.ravel(), rows["ey"] * abs(baseline), rtol=1e-14)


def test_sigma_is_a_pair_of_columns_one_number_or_unknown():
    columns = xoffset.from_table(table(ex=[0.1, 0.2, 0.3], ey=[0.4, 0.5, 0.6]), sigma=("ex", "ey"))
    np.testing.assert_array_equal(columns.sigma_dx.values.ravel(), [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(columns.sigma_dy.values.ravel(), [0.4, 0.5, 0.6])
    assert (xoffset.from_table(table(), sigma=2).sigma_dy == 2.0).all()
    unknown = xoffset.from_table(table())
    assert np.isnan(unknown.sigma_dx).all()
    assert np.isnan(unknown.sigma_dy).all()
    assert np.isfinite(unknown.dx).all()


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.inf, -np.inf, np.nan])
def test_a_sigma_that_means_nothing_is_not_known(wrong):
    shifts = xoffset.from_table(table(ex=[0.1, wrong, 0.3], ey=[0.4, 0.5, 0.6]), sigma=("ex", "ey"))
    np.testing.assert_array_equal(shifts.sigma_dx.values.ravel(), [0.1, np.nan, 0.3])
    np.testing.assert_array_equal(shifts.sigma_dy.values.ravel(), [0.4, 0.5, 0.6])
    assert (shifts.flags == 0).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, None])
@pytest.mark.parametrize("name", ["dx", "dy"])
def test_a_missing_number_is_nan_and_flagged(name, wrong):
    rows = table()
    rows[name] = [wrong, *rows[name][1:]]
    shifts = xoffset.from_table(rows, sigma=1.0)
    for each in ("dx", "dy", "sigma_dx", "sigma_dy"):
        np.testing.assert_array_equal(np.isnan(shifts[each]).values.ravel(), [True, False, False])
    np.testing.assert_array_equal(shifts.flags.values.ravel(), [FLAGS["nodata"], 0, 0])


def test_place_and_crs_are_kept():
    shifts = xoffset.from_table(table(), position=(-3e6, 2e5), crs="EPSG:3413")
    assert (shifts.x.item(), shifts.y.item()) == (-3e6, 2e5)
    assert grids.crs_of(shifts).to_epsg() == 3413
    assert grids.crs_of(xoffset.from_table(table())) is None
    assert '"kind": "displacement"' in shifts.attrs["processing"]
    assert shifts.dx.attrs["units"] == "m"


def test_shifts_of_a_table_go_through_the_whole_path():
    series = xoffset.invert(xoffset.from_table(table(), sigma=0.1), reference="2020-01-01")
    np.testing.assert_allclose(series.dx.values.ravel(), [0.0, 1.0, 3.0], atol=1e-12)
    np.testing.assert_allclose(series.dy.values.ravel(), [0.0, -0.5, -0.25], atol=1e-12)
    rate = xoffset.velocity(xoffset.from_table(table(dx=[4.0] * 3, dy=[0.0] * 3), sigma=1.0, kind="velocity"))
    assert rate.vx.item() == pytest.approx(4.0)
    assert int(xoffset.diagnose(xoffset.from_table(table())).n_components) == 1


# --------------------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    "first",
    [
        "2020-01-01T02:00+02:00", "2020-01-01 00:00:00", "20200101", dt.date(2020, 1, 1), dt.datetime(2020, 1, 1),
        np.datetime64("2020-01-01"), pd.Timestamp("2020-01-01 01:00", tz="Europe/Berlin"),
    ],
)  # fmt: skip
def test_dates_in_any_form(first):
    rows = table(reference=pd.Series([first, "2020-07-01", "2021-01-01"], dtype=object))
    np.testing.assert_array_equal(xoffset.from_table(rows).reference, xoffset.from_table(table()).reference)


def test_columns_of_dates_of_any_type():
    usual = xoffset.from_table(table())
    column = pd.to_datetime(table()["reference"])
    for other in (
        column, column.astype("M8[s]"), column.astype("M8[ns]"), column.dt.tz_localize("UTC"),
        column.dt.tz_localize("UTC").dt.tz_convert("America/Santiago"), table()["reference"].astype("category"),
        table()["reference"].astype("string"),
    ):  # fmt: skip
        xr.testing.assert_identical(xoffset.from_table(table(reference=other)), usual)


def test_the_time_of_day_is_kept():
    shifts = xoffset.from_table(table(reference=["2020-01-01T10:30:15.25", "2020-07-01", "2021-01-01"]))
    assert shifts.reference.values[0] == np.datetime64("2020-01-01T10:30:15.250000")


# --------------------------------------------------------------------------------------------------------------- files


def test_a_file_is_its_table(tmp_path):
    rows = table(ex=[0.1, np.nan, 0.3], ey=[0.4, 0.5, 0.0])
    rows.to_csv(tmp_path / "points.csv", index=False)
    expected = xoffset.from_table(rows, sigma=("ex", "ey"))
    for path in (tmp_path / "points.csv", str(tmp_path / "points.csv")):
        xr.testing.assert_identical(xoffset.from_table(path, sigma=("ex", "ey")), expected)


def test_dates_of_digits_in_a_file_are_dates(tmp_path):
    digits = {name: table()[name].str.replace("-", "") for name in ("reference", "secondary")}
    table(**digits).to_csv(tmp_path / "points.csv", index=False)
    xr.testing.assert_identical(xoffset.from_table(tmp_path / "points.csv"), xoffset.from_table(table()))


def test_a_table_is_not_modified():
    rows = table(ex=[0.1, 0.0, 0.3], ey=[0.4, np.inf, 0.6]).set_index(pd.Index(["a", "b", "c"]))
    before = rows.copy(deep=True)
    xoffset.from_table(rows, sigma=("ex", "ey"), kind="velocity")
    pd.testing.assert_frame_equal(rows, before)


# --------------------------------------------------------------------------------------------------------- many points


def test_points_on_a_grid_share_their_pairs():
    places = [(500.0, 40.0), (600.0, 40.0), (700.0, 20.0)]
    rows = pd.concat([table(x=x, y=y).assign(dx=lambda rows, x=x: rows["dx"] * x) for x, y in places[:2]])
    rows = pd.concat([rows, table(x=places[2][0], y=places[2][1])[:2]])
    shifts = xoffset.from_table(rows.sample(frac=1.0, random_state=1), position=("x", "y"), sigma=0.1)
    assert shifts.sizes == {"pair": 3, "y": 2, "x": 3}
    np.testing.assert_array_equal(shifts.x, [500.0, 600.0, 700.0])
    np.testing.assert_array_equal(shifts.y, [40.0, 20.0])
    assert int((shifts.flags == 0).sum()) == len(rows)
    assert ((shifts.flags == FLAGS["nodata"]) == np.isnan(shifts.dx)).all()
    for _, row in rows.iterrows():
        pair = np.flatnonzero(shifts.reference.values == np.datetime64(row["reference"]))
        assert shifts.dx.isel(pair=pair).sel(x=row["x"], y=row["y"]).item() == row["dx"]
        assert shifts.secondary.values[pair] == np.datetime64(row["secondary"])


def test_repeats_of_one_point_do_not_multiply_the_others():
    rows = pd.concat([table(x=0.0, y=0.0), table(x=10.0, y=0.0), table(x=10.0, y=0.0)[:1].assign(dx=9.0)])
    shifts = xoffset.from_table(rows, position=("x", "y"))
    assert shifts.sizes == {"pair": 4, "y": 1, "x": 2}
    np.testing.assert_array_equal(shifts.dx.values[:, 0], [[1.0, 1.0], [2.0, 2.0], [-3.0, -3.0], [np.nan, 9.0]])


def test_each_point_of_a_grid_is_that_point_alone():
    rows = pd.concat([table(x=x, y=0.0).assign(dx=lambda rows, x=x: rows["dx"] + x) for x in (0.0, 10.0, 20.0)])
    together = xoffset.from_table(rows, position=("x", "y"), sigma=0.1)
    for place, few in rows.groupby(["x", "y"]):
        alone = xoffset.from_table(few, position=place, sigma=0.1)
        xr.testing.assert_equal(together.sel(x=[place[0]], y=[place[1]]), alone)


# ----------------------------------------------------------------------------------------------- regular grids, nearly


def grid_rows(x, y, jitter=0.0, seed=0):
    """Three pairs at all points of a grid, dx = 1000·row + column of the truth; coordinates are off by up to jitter."""
    rng = np.random.default_rng(seed)
    rows, columns = (each.ravel() for each in np.meshgrid(np.arange(len(y)), np.arange(len(x)), indexing="ij"))
    at = {"x": np.asarray(x, float)[columns], "y": np.asarray(y, float)[rows]}
    parts = []
    for first, second in (("2020-01-01", "2020-07-01"), ("2020-07-01", "2021-01-01"), ("2021-01-01", "2020-01-01")):
        moved = {name: values + jitter * rng.uniform(-1.0, 1.0, values.size) for name, values in at.items()}
        values = {"dx": 1000.0 * rows + columns, "dy": 0.0, "row": rows, "column": columns}
        parts.append(pd.DataFrame({"reference": first, "secondary": second} | values | moved))
    return pd.concat(parts).sample(frac=1.0, random_state=seed)


def check_grid(found, x, y, step):
    """Every point is at its node, once a pair, and all else is nodata."""
    assert found.sizes["pair"] == 3
    for name, values in (("x", x), ("y", y)):
        steps = np.diff(found[name].values)
        if values[-1] > values[0]:
            np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)
            assert abs(steps.mean()) == pytest.approx(step, rel=0.021)
        assert found[name].values.min() == pytest.approx(min(values), abs=0.02 * step)
        assert found.sizes[name] == round((max(values) - min(values)) / step) + 1
    assert np.isfinite(found.dx).sum() == 3 * len(x) * len(y)
    there = found.sel(x=xr.DataArray(x, dims="column"), y=xr.DataArray(y, dims="row"), method="nearest")
    known = 1000.0 * np.arange(len(y))[:, np.newaxis] + np.arange(len(x))
    for dx in there.dx.transpose("pair", "row", "column").values:
        np.testing.assert_array_equal(dx, known)
    assert ((found.flags == FLAGS["nodata"]) == np.isnan(found.dx)).all()


GRIDS = {
    "whole": (range(10), range(8)),
    "an empty row": (range(10), (0, 1, 4)),
    "no two rows one step apart": (range(10), (0, 2, 5, 9)),
    "few columns": ((0, 7, 8), (0, 1, 2, 3)),
    "one column": ((0,), range(9)),
    "one row": (range(9), (0,)),
    "two rows": ((0, 1), (0, 1)),
    "many": (range(60), (*range(20), *range(45, 50))),
}


# a step that no two rows show has to fit within a thousandth
SHARES = {shape: (0.0, 2e-5, 1e-3, *(() if shape.startswith("no two") else (0.0088, 0.01))) for shape in GRIDS}


@pytest.mark.parametrize(("shape", "share"), [(shape, share) for shape, shares in SHARES.items() for share in shares])
@pytest.mark.parametrize(("step", "origin"), [(50.0, (0.0, 0.0)), (240.5, (512_345.0, -2_543_210.0))])
def test_a_grid_is_found_whatever_it_lacks(shape, step, origin, share):
    x, y = (start + step * np.array(places) for start, places in zip(origin, GRIDS[shape], strict=True))
    for seed in range(3):
        found = xoffset.from_table(grid_rows(x, y, share * step, seed), position=("x", "y"), crs="EPSG:32613")
        check_grid(found, x, y, step)


def test_whole_grids_keep_their_coordinates():
    x, y = 512_345.67 + 30.1 * np.arange(12), 6_543_210.1 - 30.1 * np.arange(9)
    found = xoffset.from_table(grid_rows(x, y), position=("x", "y"))
    np.testing.assert_array_equal(found.x, x)
    np.testing.assert_array_equal(found.y, y)
    lacking = xoffset.from_table(grid_rows(x[[0, 1, 2, 5, 11]], y), position=("x", "y"))
    np.testing.assert_array_equal(lacking.x[[0, 1, 2, 5, 11]], x[[0, 1, 2, 5, 11]])
    np.testing.assert_allclose(lacking.x, x, rtol=1e-12)


@pytest.mark.parametrize("share", [0.013, 0.02, 0.05, 0.3])
def test_a_grid_that_is_too_far_off_is_refused(share):
    rows = grid_rows(50.0 * np.arange(10), 50.0 * np.arange(10), 50.0 * share)
    with pytest.raises(ValueError, match=r"regular grid, each within 1% of the step .* layout='points'"):
        xoffset.from_table(rows, position=("x", "y"))


@pytest.mark.parametrize("seed", range(20))
def test_scattered_points_are_no_grid(seed):
    at = np.random.default_rng(seed).uniform(0.0, 5000.0, (2, 25))
    rows = pd.concat([table(x=x, y=y) for x, y in at.T])
    with pytest.raises(ValueError, match=r"regular grid.*layout='points'"):
        xoffset.from_table(rows, position=("x", "y"))
    # whole metres make no grid of millions of nodes
    with pytest.raises(ValueError, match=r"regular grid.*layout='points'"):
        xoffset.from_table(rows.round({"x": 0, "y": 0}), position=("x", "y"))


def test_repeats_that_are_rounded_are_repeats_of_one_point():
    rows = grid_rows(50.0 * np.arange(5), 50.0 * np.arange(4), 1e-3)
    again = grid_rows(50.0 * np.arange(5), 50.0 * np.arange(4), 1e-3, seed=1)
    found = xoffset.from_table(pd.concat([rows, again]), position=("x", "y"))
    assert dict(found.sizes) == {"pair": 6, "y": 4, "x": 5}
    assert np.isfinite(found.dx).all()


def test_two_tracks_far_apart_are_not_made_one():
    """Rows 50 m apart could be one row, 1 % off, of a grid of 5 km; the same dates at both say that they are two."""
    rows = grid_rows(np.array([0.0, 50.0, 5000.0, 5050.0]), np.array([0.0, 50.0, 5000.0, 5050.0]))
    with pytest.raises(ValueError, match=r"one place a point.*layout='points'"):
        xoffset.from_table(rows, position=("x", "y"))


# --------------------------------------------------------------------------------------------------- scattered points

POINTS = {"position": ("x", "y"), "layout": "points"}


def stakes(count=6, seed=0, jitter=0.0):
    """Tables of stakes, one each, that were measured between dates of their own."""
    rng = np.random.default_rng(seed)
    dates = np.array(["2020-01-01", "2020-04-01", "2020-07-01", "2021-01-01", "2021-06-01"], "M8[D]")
    parts = []
    for k, (x, y) in enumerate(rng.uniform(0.0, 5000.0, (count, 2))):
        ends = np.sort(rng.permuted(np.tile(np.arange(5), (7, 1)), axis=1)[:, :2], axis=1)
        ends = ends[rng.permutation(7)]
        columns = {"reference": dates[ends[:, 0]], "secondary": dates[ends[:, 1]], "stake": f"S{k}"}
        columns |= {name: rng.normal(0.0, 3.0, 7) for name in ("dx", "dy")}
        columns |= {name: at + jitter * rng.uniform(-1.0, 1.0, 7) for name, at in (("x", x), ("y", y))}
        parts.append(pd.DataFrame(columns))
    return parts


def test_scattered_points_have_their_place_and_name():
    rows = pd.concat(stakes())
    found = xoffset.from_table(rows, **POINTS, name="stake", crs="EPSG:32632", sigma=0.1)
    assert found.dx.dims == ("pair", "point")
    assert list(found.coords) == ["reference", "secondary", "baseline", "spatial_ref", "x", "y", "name"]
    assert found.name.values.tolist() == [f"S{k}" for k in range(6)]
    assert grids.crs_of(found).to_epsg() == 32632
    assert found.dx.encoding["grid_mapping"] == "spatial_ref"
    assert found.x.attrs["standard_name"] == "projection_x_coordinate"
    for k, each in enumerate(stakes()):
        assert (found.x.values[k], found.y.values[k]) == (each.x.iloc[0], each.y.iloc[0])
    without = xoffset.from_table(rows, **POINTS, crs="EPSG:32632", sigma=0.1)
    xr.testing.assert_identical(without, found.drop_vars("name"))


@pytest.mark.parametrize("name", [None, "stake"])
def test_each_scattered_point_is_that_point_alone(name):
    """Nothing of one point is in another: every row is there once, at its point and its dates."""
    parts = stakes()
    rows = pd.concat(parts).sample(frac=1.0, random_state=2)
    found = xoffset.from_table(rows, **POINTS, name=name, sigma=0.1)
    rate = xoffset.velocity(found)
    order = {x: k for k, x in enumerate(found.x.values)}
    for few in parts:
        point = found.isel(point=order[few.x.iloc[0]])
        there = np.isfinite(point.dx.values)
        got = zip(point.reference.values[there], point.secondary.values[there], point.dx.values[there], strict=True)
        known = zip(few.reference.astype("M8[us]"), few.secondary.astype("M8[us]"), few.dx, strict=True)
        assert sorted(map(tuple, got)) == sorted((a.to_datetime64(), b.to_datetime64(), c) for a, b, c in known)
        assert ((point.flags == FLAGS["nodata"]) == ~there).all()
        alone = xoffset.from_table(few, sigma=0.1)
        slope = xoffset.velocity(alone)
        for each in ("vx", "vy"):
            np.testing.assert_allclose(rate[each][order[few.x.iloc[0]]], slope[each].item(), rtol=1e-9, atol=1e-12)
    assert xoffset.invert(found).dx.dims == ("time", "point")


def test_scattered_points_on_a_grid_give_what_the_grid_gives():
    rows = grid_rows(50.0 * np.arange(4), 50.0 * np.arange(3))
    grid = xoffset.from_table(rows, position=("x", "y"), sigma=0.2)
    points = xoffset.from_table(rows, **POINTS, sigma=0.2)
    same = grid.sel(x=points.x, y=points.y).transpose("pair", "point")
    xr.testing.assert_equal(points, same)
    for function in (xoffset.invert, xoffset.velocity, xoffset.decompose):
        xr.testing.assert_equal(function(points), function(grid).sel(x=points.x, y=points.y))


@pytest.mark.parametrize("jitter", [1e-4, 1e-3, 2e-3])
def test_a_millimetre_splits_no_point(jitter):
    rows = pd.concat(stakes(jitter=jitter))
    # rows of the same dates at places that differ may be two points
    rows = rows.drop_duplicates(["stake", "reference", "secondary"])
    found = xoffset.from_table(rows, **POINTS)
    assert found.sizes["point"] == 6
    np.testing.assert_array_equal(found.dx, xoffset.from_table(rows, **POINTS, name="stake").dx)


def test_a_stake_that_moves_is_where_it_was_first():
    months = ["2020-03-01", "2020-07-01", "2020-01-01"], ["2020-07-01", "2021-01-01", "2020-03-01"]
    rows = table(x=[100.0, 112.0, 90.0], y=[5.0, 6.0, 4.0], stake="A", reference=months[0], secondary=months[1])
    found = xoffset.from_table(rows, **POINTS, name="stake")
    assert (found.x.item(), found.y.item()) == (90.0, 4.0)
    assert found.sizes == {"pair": 3, "point": 1}
    with pytest.raises(ValueError, match=r"at least 1 m apart|one place a point"):
        xoffset.from_table(rows.assign(x=[100.0, 100.5, 100.9], y=0.0), **POINTS)


def test_names_are_texts(tmp_path):
    rows = pd.concat([table(x=0.0, y=0.0, stake="007"), table(x=50.0, y=9.0, stake="010")])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = xoffset.from_table(tmp_path / "rows.csv", **POINTS, name="stake")
    assert found.name.values.tolist() == ["007", "010"]
    numbers = xoffset.from_table(rows.assign(stake=[7] * 3 + [10] * 3), **POINTS, name="stake")
    assert numbers.name.values.tolist() == ["7", "10"]
    for name, write in (("a.zarr", "to_zarr"), ("a.nc", "to_netcdf")):
        options = {"consolidated": False} if name == "a.zarr" else {"engine": "h5netcdf"}
        getattr(found, write)(tmp_path / name, **options)
        xr.testing.assert_identical(xoffset.open_result(tmp_path / name), found)


def test_points_of_one_place_may_have_two_names():
    rows = pd.concat([table(x=0.0, y=0.0, receiver="old"), table(x=0.0, y=0.0, receiver="new")])
    found = xoffset.from_table(rows, **POINTS, name="receiver")
    assert dict(found.sizes) == {"pair": 3, "point": 2}
    assert np.isfinite(found.dx).all()


# ------------------------------------------------------------------------------------------------------------ ITS_LIVE


@pytest.mark.data
def test_velocities_of_its_live(columbia):
    names = {"components": ("vx [m/yr]", "vy [m/yr]"), "sigma": ("vx_error [m/yr]", "vy_error [m/yr]")}
    shifts = xoffset.from_table(columbia, kind="velocity", crs="EPSG:3413", **names)
    dates = np.unique([shifts.reference, shifts.secondary])
    assert (shifts.sizes["pair"], dates.size) == (2515, 1213)
    baseline = in_years(shifts.secondary.values - shifts.reference.values)
    np.testing.assert_allclose(shifts.dx.values.ravel() / baseline, columbia["vx [m/yr]"], rtol=1e-12)
    np.testing.assert_allclose(shifts.sigma_dy.values.ravel() / baseline, columbia["vy_error [m/yr]"], rtol=1e-12)
    speed = np.hypot(shifts.dx, shifts.dy).values.ravel() / baseline
    days = columbia["date_dt [days]"].to_numpy()
    # figures of the README of the data
    for known, chosen in ((3032, days <= 20), (2505, (days > 20) & (days <= 60)), (11, days > 400)):
        assert np.median(speed[chosen]) == pytest.approx(known, rel=0.02)


@pytest.mark.data
def test_pixels_of_its_live_by_their_degrees(data_folder):
    """A mosaic of 120 m as a table of longitudes and latitudes of 5 decimals, of fast ground alone, is its grid."""
    folder = data_folder / "itslive_point_columbia"
    vx, vy = (xoffset.open_stack([folder / f"mosaic_{name}.tif"], date=["2018-07-01"])[0] for name in ("vx", "vy"))
    rows = xr.Dataset({"vx": vx.reset_coords(drop=True), "vy": vy.reset_coords(drop=True)}).to_dataframe().reset_index()
    to_degrees = pyproj.Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
    rows = rows[np.hypot(rows["vx"], rows["vy"]) > 100.0]
    degrees = [np.round(values, 5) for values in to_degrees.transform(rows["x"], rows["y"])]
    x, y = to_degrees.transform(*degrees, direction="INVERSE")
    rows = rows.assign(reference="2018-01-01", secondary="2019-01-01", easting=x, northing=y)
    options = {"components": ("vx", "vy"), "kind": "velocity", "crs": "EPSG:3413"}
    near = xoffset.from_table(rows, position=("easting", "northing"), **options)
    exact = xoffset.from_table(rows, position=("x", "y"), **options)
    assert exact.sizes == near.sizes
    xr.testing.assert_equal(near.drop_vars(["x", "y"]), exact.drop_vars(["x", "y"]))
    for name in ("x", "y"):
        np.testing.assert_allclose(near[name], exact[name], atol=1.2)
    points = xoffset.from_table(rows, position=("easting", "northing"), layout="points", **options)
    assert points.sizes["point"] == len(rows)


@pytest.mark.data
def test_points_of_its_live_are_solved_each_for_itself(columbia):
    options = {"components": ("vx", "vy"), "sigma": ("vx_error", "vy_error"), "kind": "velocity", "crs": "EPSG:3413"}
    rows = columbia.assign(x=0.0, y=0.0, platform=columbia["satellite"].astype(str).str[:1])
    rows["x"] = rows.groupby("platform").ngroup() * 431.7
    points = xoffset.from_table(rows, position=("x", "y"), layout="points", name="platform", **options)
    rate = xoffset.velocity(points.offset.screen(neighbourhood=False, max_separation="auto"))
    for k, (_, few) in enumerate(rows.groupby("platform", sort=False)):
        alone = xoffset.from_table(few, **options).offset.screen(max_separation="auto").offset.velocity()
        np.testing.assert_allclose(rate.vx[k], alone.vx.item(), rtol=1e-6)
        np.testing.assert_allclose(rate.vy[k], alone.vy.item(), rtol=1e-6)


# ----------------------------------------------------------------------------------------------------------- bad input


def test_numbers_as_text_are_numbers():
    xr.testing.assert_identical(xoffset.from_table(table(dx=["1.0", "2", "-3"])), xoffset.from_table(table()))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32", "Int64", "Float64"])
def test_numbers_of_any_type(dtype):
    shifts = xoffset.from_table(table(dx=pd.Series([1, 2, 3]).astype(dtype)))
    assert shifts.dx.dtype == "float64"
    np.testing.assert_array_equal(shifts.dx.values.ravel(), [1.0, 2.0, 3.0])


def test_an_empty_cell_of_a_masked_column_is_missing():
    shifts = xoffset.from_table(table(dx=pd.Series([1, None, 3], dtype="Int64")))
    np.testing.assert_array_equal(shifts.dx.values.ravel(), [1.0, np.nan, 3.0])


def test_the_rows_with_equal_dates_are_named():
    rows = pd.concat([table()] * 4)
    rows["secondary"] = [*rows["secondary"][:10], *rows["reference"][10:]]
    with pytest.raises(ValueError, match=r"row 10, 11, counted from 0\. Drop them"):
        xoffset.from_table(rows)
    # what a shorter time than a microsecond sets apart is one date
    with pytest.raises(ValueError, match=r"row 0, counted from 0\. Drop them"):
        xoffset.from_table(table(secondary=["2020-01-01T00:00:00.0000004", "2021-01-01", "2020-01-01"]))


def test_the_first_date_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match=r"got '01/02/2020' in row 1, counted from 0, the first of 2\. Convert"):
        xoffset.from_table(table(secondary=["2020-07-01", "01/02/2020", "soon"]))
    with pytest.raises(ValueError, match=r"in row 2, counted from 0, the first of 1\. Drop such rows"):
        xoffset.from_table(table(secondary=["2020-07-01", "2021-01-01", None]))


def test_a_number_for_no_data_is_missing():
    """ITS_LIVE writes -32767 where there is no velocity."""
    table = pd.DataFrame(
        {
            "reference": ["2020-01-01"] * 3, "secondary": ["2020-07-01", "2021-01-01", "2021-07-01"],
            "dx": [1.0, -32767.0, 3.0], "dy": [1.0, 2.0, 3.0], "ex": [0.1, 0.1, 9999.0], "ey": [0.1, 0.1, 0.1],
        }
    )  # fmt: skip
    plain = table.replace({-32767.0: np.nan})
    found = xoffset.from_table(table, sigma=("ex", "ey"), nodata=-32767)
    xr.testing.assert_equal(found, xoffset.from_table(plain, sigma=("ex", "ey")))
    assert xoffset.from_table(table, sigma=("ex", "ey"), nodata=9999).sigma_dx.isnull().values.ravel().tolist() == [
        False, False, True,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="needs a number as nodata; got 'none'"):
        xoffset.from_table(table, nodata="none")


def test_nodata_of_a_column_of_texts_is_missing():
    table = pd.DataFrame(
        {
            "reference": "2020-01-01",
            "secondary": ["2021-01-01", "2022-01-01"],
            "dx": ["-32767", "2.5"],
            "dy": [0.0, 1.0],
        }
    )
    found = xoffset.from_table(table, nodata=-32767)
    np.testing.assert_array_equal(found.dx.values.ravel(), [np.nan, 2.5])
    assert found.flags.values.ravel().tolist() == [FLAGS["nodata"], 0]
