"""Motion beside tables of the ground: true north, dates, and what the residuals tell."""

import numpy as np
import pandas as pd
import pyproj
import pytest
import reference_quality
import xarray as xr

import xoffset
from xoffset.model import grids, products
from xoffset.model.flags import FLAGS

POLAR = "EPSG:3413"
DATES = np.datetime64("2020-01-01", "us") + np.array([0, 100, 250, 400]) * np.timedelta64(1, "D")
YEAR = np.timedelta64(31_557_600, "s")


def place(shape=(12, 15), side=100.0, crs=POLAR):
    """Nodes in west Greenland, where the grid is turned by 5 degrees, or anywhere else."""
    y, x = -2.2e6 - side * np.arange(shape[0]), -2.0e5 + side * np.arange(shape[1])
    return xr.DataArray(np.zeros(shape), coords={"y": y, "x": x}, dims=("y", "x")).assign_coords(
        spatial_ref=grids.spatial_ref(pyproj.CRS(crs))
    )


def as_rate(east, north, sigma=0.5, noise=0.0, seed=0):
    """Rate on the grid of a velocity [m/yr] toward true east and north."""
    like = place()
    x, y = np.meshgrid(like.x, like.y)
    vx, vy = reference_quality.to_grid(x, y, POLAR, east, north)
    rng = np.random.default_rng(seed)
    error = noise * rng.standard_normal((2, *x.shape))
    fields = {"vx": vx + error[0], "vy": vy + error[1]}
    fields |= {name: np.full(x.shape, sigma) for name in ("sigma_vx", "sigma_vy")}
    return xr.Dataset({name: (("y", "x"), each) for name, each in fields.items()}, coords=like.coords)


def as_series(east, north):
    """Series of a steady velocity [m/yr] toward true east and north."""
    rate = as_rate(east, north)
    years = ((DATES - DATES[0]) / YEAR)[:, np.newaxis, np.newaxis]
    sigma = np.broadcast_to(np.array([0.3, 0.1, 0.2, 0.4])[:, np.newaxis, np.newaxis], (4, *rate.vx.shape))
    fields = {"dx": years * rate.vx.values, "dy": years * rate.vy.values, "sigma_dx": sigma, "sigma_dy": sigma}
    return products.series(fields, DATES, like=rate, step={})


def stakes(**columns):
    like = place()
    x, y = like.x.values[[2, 6, 11]] + 30.0, like.y.values[[3, 9, 5]] - 45.0
    return pd.DataFrame({"x": x, "y": y} | columns)


def test_the_same_motion_toward_true_north_leaves_nothing():
    rate = as_rate(30.0, -12.0)
    table = stakes(v_east=30.0, v_north=-12.0, sigma_v_east=[0.1, np.nan, 0.2], sigma_v_north=0.0, name=["A", "B", "C"])
    found = xoffset.compare(rate, table)
    np.testing.assert_allclose(found.residual_east, 0.0, atol=1e-3)
    np.testing.assert_allclose(found.residual_north, 0.0, atol=1e-3)
    assert np.hypot(rate.vx - 30.0, rate.vy + 12.0).min() > 2.0  # along the grid it would not
    np.testing.assert_allclose(found.sigma_east, 0.5, rtol=0.03)
    np.testing.assert_allclose(found.sigma_residual_east, np.hypot(found.sigma_east.values, [0.1, 0.0, 0.2]))
    assert np.isnan(found.table_sigma_north).all()
    assert found.name.values.tolist() == ["A", "B", "C"]
    assert (int(found.n), float(found.coverage_east)) == (3, 1.0)
    assert found.residual_east.attrs["units"] == "m yr-1"


def test_longitude_and_latitude():
    table = stakes(v_east=30.0, v_north=-12.0)
    longitude, latitude = pyproj.Transformer.from_crs(POLAR, "EPSG:4326", always_xy=True).transform(table.x, table.y)
    there = xoffset.compare(
        as_rate(30.0, -12.0), table.drop(columns=["x", "y"]).assign(longitude=longitude, latitude=latitude)
    )
    xr.testing.assert_allclose(there, xoffset.compare(as_rate(30.0, -12.0), table))


def test_numbers_put_in_come_out():
    """Noise of known size, and a bias."""
    rate = as_rate(30.0, -12.0, sigma=0.5, noise=0.5)
    x, y = (each.ravel() for each in np.meshgrid(rate.x, rate.y))
    rng = np.random.default_rng(1)
    east, north = 30.0 + rng.normal(0.0, 1.2, x.size), -10.0 + rng.normal(0.0, 1.2, x.size)
    table = pd.DataFrame({"x": x, "y": y, "v_east": east, "v_north": north, "sigma_v_east": 1.2, "sigma_v_north": 1.2})
    found = xoffset.compare(rate, table)
    assert int(found.n) == x.size
    assert float(found.bias_north) == pytest.approx(-2.0, abs=0.3)
    assert float(found.rmse_east) == pytest.approx(1.3, rel=0.1)
    assert float(found.rmse) == pytest.approx(np.sqrt(2.0 * 1.3**2 + 4.0), rel=0.1)
    assert float(found.coverage_east) == pytest.approx(0.95, abs=0.03)
    assert float(found.coverage_north) < 0.8
    np.testing.assert_allclose(found.residual_east, found.east - found.table_east)


@pytest.mark.parametrize("is_rate", [True, False])
def test_displacements_between_dates(is_rate):
    """Stakes read by `from_table`, of which one was measured twice, with a rate and with a series."""
    reference, secondary = (
        np.array(["2020-02-01", "2020-03-01", "2020-06-01"], "M8[us]"),
        np.array(["2020-07-01", "2020-06-01", "2020-12-01"], "M8[us]"),
    )
    years = (secondary - reference) / YEAR
    rows = stakes(
        reference=reference, secondary=secondary, d_east=30.0 * years, d_north=-12.0 * years + [0.0, 0.5, 0.0]
    )
    rows.loc[2, ["x", "y"]] = rows.loc[1, ["x", "y"]]
    rows["stake"] = ["A", "B", "B"]
    points = xoffset.from_table(
        rows, components=("d_east", "d_north"), sigma=0.2, position=("x", "y"), layout="points", name="stake", crs=POLAR
    )
    dataset = as_rate(30.0, -12.0) if is_rate else as_series(30.0, -12.0)
    for table in (points, rows.assign(name=rows.stake, sigma_d_east=0.2, sigma_d_north=0.2)):
        found = xoffset.compare(dataset, table)
        unit = years if is_rate else np.ones(3)
        assert found.name.values.tolist() == ["A", "B", "B"]
        np.testing.assert_allclose(found.residual_east, 0.0, atol=2e-3)
        np.testing.assert_allclose(found.residual_north, [0.0, -0.5 / unit[1], 0.0], atol=2e-3)
        np.testing.assert_allclose(found.table_sigma_east, 0.2 / unit)
        assert found.reference.values.tolist() == reference.tolist()
        assert found.north.attrs["units"] == ("m yr-1" if is_rate else "m")


def test_errors_of_a_series_between_its_dates():
    table = stakes(
        d_east=0.0,
        d_north=0.0,
        reference=DATES[0],
        secondary=[DATES[2], DATES[1] + (DATES[2] - DATES[1]) // 2, DATES[0] + (DATES[1] - DATES[0]) // 2],
    )
    found = xoffset.compare(as_series(10.0, 0.0), table)
    wanted = [np.hypot(0.3, 0.2), np.sqrt(0.3**2 + 0.25 * (0.1**2 + 0.2**2)), 0.5 * np.hypot(0.3, 0.1)]
    np.testing.assert_allclose(found.sigma_east, wanted, rtol=0.03)


def test_a_displacement_of_an_event():
    rate = as_rate(3.0, 4.0)
    event = rate.rename(vx="dx", vy="dy", sigma_vx="sigma_dx", sigma_vy="sigma_dy")
    found = xoffset.compare(event, stakes(d_east=3.0, d_north=[4.0, 4.0, 5.0]))
    np.testing.assert_allclose(found.residual_north, [0.0, 0.0, -1.0], atol=1e-3)


def as_event(first=DATES[0], second=DATES[2]):
    """Displacement from one date to another, either way, of a velocity of 30 and -12 m/yr."""
    years = (second - first) / YEAR
    rate = as_rate(30.0 * years, -12.0 * years)
    event = rate.rename(vx="dx", vy="dy", sigma_vx="sigma_dx", sigma_vy="sigma_dy")
    return event.assign_coords(reference=first, secondary=second)


def moved(first, second):
    """Stakes that were measured on two dates each."""
    years = (np.asarray(second, "M8[us]") - np.asarray(first, "M8[us]")) / YEAR
    return stakes(reference=first, secondary=second, d_east=30.0 * years, d_north=-12.0 * years)


@pytest.mark.parametrize("is_backward", [False, True])
def test_a_displacement_counts_from_its_first_date(is_backward):
    ends = DATES[[2, 0]] if is_backward else DATES[[0, 2]]
    late = np.timedelta64(20, "h")
    table = moved([DATES[0], DATES[2], DATES[0]], [DATES[2] + late, DATES[0], DATES[2]])
    found = xoffset.compare(as_event(*ends), table)
    assert int(found.n) == 3
    np.testing.assert_allclose(found.residual_east, 0.0, atol=0.1)
    np.testing.assert_allclose(np.sign(found.east), -1.0 if is_backward else 1.0)
    np.testing.assert_array_equal(found.reference[1:], ends[0])
    np.testing.assert_array_equal(found.secondary[1:], ends[1])


@pytest.mark.parametrize("hours", [8, 24, 40])
@pytest.mark.parametrize("is_backward", [False, True])
def test_dates_of_a_few_hours_are_not_taken_for_each_other(hours, is_backward):
    first, second = DATES[0], DATES[0] + np.timedelta64(hours, "h")
    event = as_event(*((second, first) if is_backward else (first, second)))
    found = xoffset.compare(event, moved([first, second, first], [second, first, second]))
    assert int(found.n) == 3
    np.testing.assert_allclose(found.residual_east, 0.0, atol=1e-3)


def test_standard_errors_without_units_beside_converted_components_are_refused():
    rate = as_rate(30.0, -12.0)
    for name in ("vx", "vy"):
        rate[name].attrs["units"] = "m d-1"
    with pytest.raises(ValueError, match=r"needs units of 'sigma_vx' beside those of 'vx', 'm d-1'; got none\. State"):
        xoffset.compare(rate, stakes(**TABLE))
    # of the units that are wanted nothing is converted, so nothing can be wrong
    for name in ("vx", "vy"):
        rate[name].attrs["units"] = "m yr-1"
    assert int(xoffset.compare(rate, stakes(**TABLE)).n) == 3


@pytest.mark.parametrize("is_lazy", [False, True])
def test_a_displacement_of_other_dates_tells_nothing(is_lazy):
    event = as_event().chunk(y=5, x=4) if is_lazy else as_event()
    found = xoffset.compare(event, moved(DATES[0], [DATES[2], DATES[1], DATES[2] + np.timedelta64(30, "h")]))
    assert found.flags.values.tolist() == [0, FLAGS["too_few_dates"], FLAGS["too_few_dates"]]
    np.testing.assert_array_equal(np.isfinite(found.residual_east), [True, False, False])
    assert np.isfinite(found.table_east).all()
    assert int(found.n) == 1
    with pytest.raises(ValueError, match=r"between the dates of the dataset, 2020-01-01.*Select the pair"):
        xoffset.compare(event, moved(DATES[0], DATES[1]))


def test_a_displacement_without_dates_is_forward():
    event = as_event().drop_vars(["reference", "secondary"])
    found = xoffset.compare(event, moved([DATES[0], DATES[2], DATES[0]], [DATES[2], DATES[0], DATES[2]]))
    np.testing.assert_allclose(found.residual_east, 0.0, atol=1e-3)
    np.testing.assert_array_equal(found.reference, DATES[0])
    with pytest.raises(ValueError, match=r"one date of a series\. Compare the series itself, or drop"):
        xoffset.compare(as_series(30.0, -12.0).isel(time=-1), moved(DATES[0], DATES[3]))
    undated = moved(DATES[0], DATES[3]).drop(columns=["reference", "secondary"])
    np.testing.assert_allclose(
        xoffset.compare(as_series(30.0, -12.0).isel(time=-1), undated).residual_east, 0.0, atol=1e-3
    )


def test_infinite_numbers_are_unknown():
    table = stakes(v_east=[30.0, np.inf, 30.0], v_north=-12.0, sigma_v_east=[0.1, 0.1, np.inf], sigma_v_north=0.1)
    as_points = xr.Dataset(
        {name: ("point", table[name].values) for name in table.columns if "v_" in name},
        {"x": ("point", table.x.values), "y": ("point", table.y.values)},
    )
    for each in (table, as_points):
        found = xoffset.compare(as_rate(30.0, -12.0), each)
        assert found.flags.values.tolist() == [0, FLAGS["nodata"], FLAGS["nodata"]]
        assert np.isnan(found.residual_east.values).tolist() == [False, True, True]
        assert np.isfinite(found.east).all()
        assert (int(found.n), float(found.coverage_east)) == (1, 1.0)
    unbounded = as_rate(30.0, -12.0, sigma=np.inf)
    assert np.isnan(xoffset.compare(unbounded, table).coverage_east)


def test_of_both_kinds_that_of_the_dataset_counts():
    both = moved(DATES[0], DATES[2]).assign(v_east=30.0, v_north=-11.0)
    found = xoffset.compare(as_series(30.0, -12.0), both)
    np.testing.assert_allclose(found.residual_north, 0.0, atol=1e-3)
    np.testing.assert_allclose(xoffset.compare(as_rate(30.0, -12.0), both).residual_north, -1.0, atol=1e-3)


def test_points_of_a_grid_are_along_its_axes():
    event = as_event()
    event.attrs["processing"] = '[{"function": "correlate"}]'
    points = event.isel(y=xr.DataArray([3, 8], dims="point"), x=xr.DataArray([2, 5], dims="point"))
    for table in (points, event.isel(y=[3, 8], x=[2, 5])):
        with pytest.raises(ValueError, match=r"along the axes of its grid\. Pass axes='grid'"):
            xoffset.compare(event, table)
        np.testing.assert_allclose(xoffset.compare(event, table, axes="grid").residual_east, 0.0, atol=1e-9)
        np.testing.assert_allclose(xoffset.compare(event, xoffset.ground(table)).residual_east, 0.0, atol=1e-9)


def test_a_table_on_a_grid_is_along_its_columns():
    """One receiver, as `from_table` gives it by default."""
    rows = moved(DATES[0], DATES[2]).iloc[[1]]
    place_of = (float(rows.x.iloc[0]), float(rows.y.iloc[0]))
    one = xoffset.from_table(rows, components=("d_east", "d_north"), sigma=None, position=place_of, crs=POLAR)
    assert one.dx.dims == ("pair", "y", "x")
    np.testing.assert_allclose(xoffset.compare(as_event(), one).residual_east, 0.0, atol=1e-3)


def test_velocities_keep_what_their_table_says_of_dates():
    dated = moved(DATES[0], DATES[2]).drop(columns=["d_east", "d_north"]).assign(v_east=30.0, v_north=-12.0)
    found = xoffset.compare(as_rate(30.0, -12.0), dated)
    np.testing.assert_array_equal(found.secondary, DATES[2])
    named = dated.drop(columns="secondary").assign(reference="Smith 2020")
    assert "reference" not in xoffset.compare(as_rate(30.0, -12.0), named).coords


def test_components_along_the_grid():
    rate = as_rate(30.0, -12.0)
    like = rate.isel(x=2, y=3)
    table = pd.DataFrame({"x": [like.x.item()], "y": [like.y.item()], "vx": [like.vx.item()], "vy": [like.vy.item()]})
    found = xoffset.compare(rate, table, axes="grid")
    np.testing.assert_allclose([found.table_east[0], found.table_north[0]], [30.0, -12.0], atol=1e-3)
    np.testing.assert_allclose(found.residual_east, 0.0, atol=1e-9)


def test_why_there_is_no_value():
    series = as_series(30.0, 0.0)
    holes = series.where((series.x > series.x[4]) | (series.time != series.time[1])).assign_coords(series.coords)
    holes = holes.where(holes.x < series.x[10])
    like = place()
    rows = pd.DataFrame(
        {
            "x": [like.x.values[k] for k in (6, 6, 13, 6, 2)],
            "y": [like.y.values[5]] * 3 + [like.y.values[5] + 1e4, like.y.values[5]],
            "d_east": [5.0, 5.0, 5.0, 5.0, np.nan],
            "d_north": 0.0,
            "reference": [DATES[0], DATES[0] - np.timedelta64(1, "D"), DATES[0], DATES[0], DATES[0]],
            "secondary": DATES[2],
        }
    )
    found = xoffset.compare(holes, rows)
    names = {0: "good", FLAGS["too_few_dates"]: "dates", FLAGS["nodata"]: "nodata", FLAGS["outside"]: "outside"}
    reasons = [names.get(flag) for flag in found.flags.values.tolist()]
    assert reasons[0] == "good"
    assert reasons[1] == "dates"
    assert reasons[2] in ("nodata", "dates")
    assert reasons[3:] == ["outside", "nodata"]
    assert np.isfinite(found.residual_east.values).tolist() == [True, False, False, False, False]
    assert int(found.n) == 1


def test_lazy_is_the_same():
    series = as_series(30.0, -12.0)
    table = stakes(d_east=3.0, d_north=-1.2, reference=DATES[0], secondary=DATES[2])
    whole, lazy = (xoffset.compare(each, table) for each in (series, series.chunk(y=5, x=4)))
    assert lazy.residual_east.chunks is not None
    xr.testing.assert_identical(whole, lazy.compute())


TABLE = {"v_east": 1.0, "v_north": 2.0}
WRONG = {
    "no table": (lambda: as_rate(1.0, 0.0), lambda: [1.0], TypeError, r"pandas\.read_csv"),
    "no components": (lambda: as_rate(1.0, 0.0), stakes, ValueError, r"v_east and v_north or .*rename"),
    "no places": (
        lambda: as_rate(1.0, 0.0),
        lambda: stakes(**TABLE).drop(columns="x"),
        ValueError,
        r"longitude and lat",
    ),
    "elsewhere": (lambda: as_rate(1.0, 0.0), lambda: stakes(**TABLE).assign(x=1e6), ValueError, r"Check the CRS of"),
    "text": (lambda: as_rate(1.0, 0.0), lambda: stakes(v_east="much", v_north=1.0), TypeError, r"pandas\.to_numeric"),
    "nothing": (lambda: as_rate(1.0, 0.0), lambda: stakes(v_east=np.nan, v_north=1.0), ValueError, r"none is known"),
    "no row": (lambda: as_rate(1.0, 0.0), lambda: stakes(**TABLE).iloc[:0], ValueError, r"Check the selection"),
    "unknown place": (
        lambda: as_rate(1.0, 0.0),
        lambda: stakes(**TABLE).assign(y=[-2.2e6, np.nan, -2.2e6]),
        ValueError,
        r"a place in each row of the table; got none in row 1.*dropna",
    ),
    "velocities": (lambda: as_series(1.0, 0.0), lambda: stakes(**TABLE), ValueError, r"compare\(velocity\(series\)"),
    "no dates": (lambda: as_series(1.0, 0.0), lambda: stakes(d_east=1.0, d_north=1.0), ValueError, r"Add both columns"),
    "no dates of a rate": (
        lambda: as_rate(1.0, 0.0),
        lambda: stakes(d_east=1.0, d_north=1.0),
        ValueError,
        r"'reference'",
    ),
    "grid": (lambda: as_rate(1.0, 0.0), lambda: as_rate(1.0, 0.0), ValueError, r"pass axes='grid'"),
    "no CRS": (lambda: as_rate(1.0, 0.0).drop_vars("spatial_ref"), lambda: stakes(**TABLE), ValueError, r"write_crs"),
    "a date": (
        lambda: as_series(1.0, 0.0),
        lambda: stakes(d_east=1.0, d_north=1.0, reference="01/02/2020", secondary="2020-03-01"),
        ValueError,
        r"ISO 8601.*pandas\.to_datetime",
    ),
    "dates out of order": (
        lambda: as_series(1.0, 0.0).isel(time=[0, 2, 1, 3]),
        lambda: moved(DATES[0], DATES[2]),
        ValueError,
        r"compare\(\) needs dates in order.*sortby",
    ),
    "dates twice": (
        lambda: as_series(1.0, 0.0).isel(time=[0, 1, 1, 3]),
        lambda: moved(DATES[0], DATES[2]),
        ValueError,
        r"every date once",
    ),
    "equal dates of a series": (
        lambda: as_series(1.0, 0.0),
        lambda: moved(DATES[0], [DATES[2], DATES[0], DATES[1]]),
        ValueError,
        r"two different dates",
    ),
    "equal dates of a displacement": (
        as_event,
        lambda: moved(DATES[0], [DATES[2], DATES[0], DATES[1]]),
        ValueError,
        r"two different dates",
    ),
    "one date": (
        lambda: as_rate(1.0, 0.0),
        lambda: moved(DATES[0], DATES[2]).drop(columns="secondary"),
        ValueError,
        r"got no 'secondary' in the table\. Add the column 'secondary'",
    ),
    "one date of a displacement": (
        as_event,
        lambda: moved(DATES[0], DATES[2]).drop(columns="reference"),
        ValueError,
        r"Add the column 'reference'",
    ),
    "dates for numbers": (
        lambda: as_rate(1.0, 0.0),
        lambda: stakes(v_east=pd.Timestamp("2020-01-01"), v_north=1.0),
        TypeError,
        r"numbers in 'v_east'.*datetime64\. Rename",
    ),
    "truth for numbers": (
        lambda: as_rate(1.0, 0.0),
        lambda: stakes(v_east=1.0, v_north=[True, None, False]),
        TypeError,
        r"numbers in 'v_north'.*boolean\. Rename",
    ),
    "truth in a product": (
        lambda: as_rate(1.0, 0.0),
        lambda: xr.Dataset(
            {"v_east": ("point", [True]), "v_north": ("point", [1.0])}, {"x": ("point", [0]), "y": ("point", [0])}
        ),
        TypeError,
        r"numbers in 'v_east' of the table; got dtype bool",
    ),
    "a series at points": (
        lambda: as_series(1.0, 0.0),
        lambda: as_series(1.0, 0.0).isel(y=xr.DataArray([3], dims="point"), x=xr.DataArray([2], dims="point")),
        ValueError,
        r"got a series.*last date less the first",
    ),
    "a grid along its axes": (
        as_event,
        lambda: as_event().isel(y=[3], x=[2]),
        ValueError,
        r"along the axes of its grid",
    ),
    "turned": (
        lambda: xoffset.ground(as_rate(1.0, 0.0)),
        lambda: stakes(**TABLE),
        ValueError,
        r"as it was before ground\(\)",
    ),
    "equal dates": (
        lambda: as_rate(1.0, 0.0),
        lambda: stakes(d_east=1.0, d_north=1.0, reference="2020-03-01", secondary="2020-03-01"),
        ValueError,
        r"two different dates",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_compared_is_refused(case):
    dataset, table, error, advice = WRONG[case]
    with pytest.raises(error, match=advice):
        xoffset.compare(dataset(), table())
