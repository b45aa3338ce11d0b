"""Tables of others as shifts: every number where it belongs, nothing invented, nothing guessed."""

import datetime as dt

import numpy as np
import pandas as pd
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
