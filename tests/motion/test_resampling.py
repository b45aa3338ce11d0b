"""Series from another date on and at other dates: no number that is not in the series, and none lost."""

import dask
import numpy as np
import pandas as pd
import pytest
import reference_resampling
import xarray as xr

import xoffset
from xoffset._kernels.maps import resampling
from xoffset.model import products
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS

DATES = np.array(["2020-01-01", "2020-02-20", "2020-03-01", "2020-07-01T10:30", "2021-01-01", "2021-01-31"], "M8[us]")
DAY = np.timedelta64(1, "D")
TOO_FEW, ALONE = FLAGS["too_few_dates"], FLAGS["disconnected"]


def series_of(dtype="float64", shape=(5, 6), missing=0.3, seed=1):
    """Series of noise with gaps."""
    random = np.random.default_rng(seed)
    fields = {name: random.normal(size=(DATES.size, *shape)) for name in ("dx", "dy")}
    fields |= {f"sigma_{name}": random.uniform(0.1, 1.0, (DATES.size, *shape)) for name in ("dx", "dy")}
    lost = random.random((DATES.size, *shape)) < missing
    fields = {name: np.where(lost, np.nan, values).astype(dtype) for name, values in fields.items()}
    fields["flags"] = np.where(lost, FLAGS["no_pairs"], 0).astype(np.int64)
    fields["n_pairs"] = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    grid = xr.Dataset(coords={"y": 30.0 - 10.0 * np.arange(shape[0]), "x": 10.0 * np.arange(shape[1])})
    out = products.series(fields, DATES, like=grid, step={"function": "made up"})
    out.attrs["reference"] = str(DATES[0])
    return out


def memory(data):
    notes = {name: (dict(each.attrs), dict(each.encoding)) for name, each in data.variables.items()}
    return data.copy(deep=True), notes


# -------------------------------------------------------------------------------------------------------------- kernel


@pytest.mark.small
@pytest.mark.parametrize("longest", [np.iinfo(np.int64).max, 60, 1, 0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_is_its_twin(dtype, longest):
    random = np.random.default_rng(3)
    time = np.array([0, 7, 50, 51, 120, 121, 300])
    wanted = np.array([-5, 0, 3, 7, 20, 50, 100, 120, 121, 200, 299, 300, 301])
    fields = [random.normal(size=(7, 4, 5)).astype(dtype) for _ in range(2)]
    fields += [random.uniform(0.1, 1.0, (7, 4, 5)).astype(dtype) for _ in range(2)]
    for values, wrong in zip(fields, (np.nan, np.inf, np.nan, 0.0), strict=True):
        values[random.random(values.shape) < 0.2] = wrong
    fields[3][2, 0, 0], fields[2][2, 0, 1] = -1.0, np.inf
    fields[0][:, 3, 4] = np.nan
    fields[0][1:, 3, 3] = np.nan
    for values in fields:
        values.flags.writeable = False
    out = np.empty((4, wanted.size, 4, 5), dtype)
    resampling.interpolate(time, wanted, np.searchsorted(time, wanted, side="right"), longest, *fields, out)
    expected = reference_resampling.resampled(time, wanted, longest, *fields)
    np.testing.assert_allclose(out, expected, rtol=1e-6 if dtype == "float32" else 1e-13, atol=1e-7)
    assert np.isfinite(out[:2]).any()
    if longest > 60:
        assert np.isfinite(out[2:, 1:-1]).any((1, 2, 3)).all()


@pytest.mark.small
def test_flags_are_those_of_the_neighbours():
    time, wanted = np.array([0, 10, 20]), np.array([-1, 0, 5, 10, 15, 20, 25])
    dx = np.zeros((3, 1, 3))
    dx[1, 0, 1] = np.nan
    dx[:, 0, 2] = np.nan
    flags = np.array([[1, 2, 4]] * 3, dtype=np.int32).T.reshape(3, 1, 3) | np.int32(8)
    out = np.empty((7, 1, 3), dtype=np.int32)
    place = np.searchsorted(time, wanted, side="right")
    resampling.flags_between(time, wanted, place, 100, np.int32(64), flags, dx, dx, out)
    np.testing.assert_array_equal(out[:, 0, 0], [64, 9, 11, 10, 14, 12, 64])
    np.testing.assert_array_equal(out[:, 0, 1], [64, 9, 13, 13, 13, 12, 64])
    np.testing.assert_array_equal(out[:, 0, 2], 64 | 8)
    resampling.flags_between(time, wanted, place, 10, np.int32(64), flags, dx, dx, out)
    np.testing.assert_array_equal(out[:, 0, 1], [64, 9, 64, 64, 64, 12, 64])


# ------------------------------------------------------------------------------------------------------------ resample


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_at_its_own_dates_a_series_is_itself(dtype):
    series = series_of(dtype, missing=0.0)
    for dates in (series.time, series.time.values, list(DATES), pd.DatetimeIndex(DATES), [str(each) for each in DATES]):
        again = xoffset.resample(series, dates)
        xr.testing.assert_equal(again.drop_vars("shares_noise"), series)
        assert again.dx.dtype == dtype
    assert again.attrs["reference"] == series.attrs["reference"]
    assert {name: each.attrs for name, each in again.data_vars.items()} == {
        name: each.attrs for name, each in series.data_vars.items()
    }


def test_regular_dates_run_from_the_first_to_the_last():
    series = series_of()
    regular = xoffset.resample(series, "30D")
    np.testing.assert_array_equal(np.diff(regular.time), np.timedelta64(30, "D"))
    assert (regular.time.values[0], regular.sizes["time"]) == (DATES[0], 14)
    # 366 + 30 days are a whole number of steps of 36 days: the last date is one
    assert xoffset.resample(series, np.timedelta64(36, "D")).time.values[-1] == DATES[-1]
    xr.testing.assert_identical(xoffset.resample(series, pd.Timedelta("30D")).drop_attrs(), regular.drop_attrs())


def test_a_steady_motion_stays_steady():
    series = series_of(missing=0.3)
    time = xr.DataArray(in_years(DATES - DATES[0]), coords={"time": DATES})
    for name, rate in (("dx", 3.0), ("dy", -2.0)):
        series[name] = rate * time + 0.0 * series[name]
    regular = xoffset.resample(series, "10D")
    known = np.isfinite(regular.dx)
    expected = 3.0 * in_years(regular.time.values - DATES[0])[:, None, None] + 0.0 * regular.dx
    np.testing.assert_allclose(regular.dx.where(known), expected, atol=1e-13)
    assert known.any()
    # between the first and the last value of each pixel, and nowhere else
    has = np.isfinite(series.dx.values)
    begin, end = DATES[has.argmax(axis=0)], DATES[-1 - has[::-1].argmax(axis=0)]
    when = regular.time.values[:, None, None]
    np.testing.assert_array_equal(known, (begin <= when) & (when <= end) & has.any(axis=0))
    np.testing.assert_array_equal(regular.flags.where(~known, TOO_FEW) & TOO_FEW, TOO_FEW)
    assert (regular.flags.where(known, 0) == 0).all()


def test_errors_follow_the_share_of_each_date():
    series = series_of(missing=0.0)
    middle = DATES[1] + (DATES[2] - DATES[1]) / 5
    found = xoffset.resample(series, [middle]).isel(time=0)
    for name in ("sigma_dx", "sigma_dy"):
        first, second = series[name][1], series[name][2]
        np.testing.assert_allclose(found[name], np.sqrt(0.64 * first**2 + 0.04 * second**2), rtol=1e-12)


def test_a_long_gap_stays_open():
    series = series_of(missing=0.0, shape=(1, 2))
    series.dx[1, 0, 1] = np.nan
    found = xoffset.resample(series, ["2020-01-15", "2020-02-25", "2020-05-01", "2021-01-15"], max_gap="55D")
    np.testing.assert_array_equal(np.isfinite(found.dx)[:, 0, 0], [True, True, False, True])
    np.testing.assert_array_equal(np.isfinite(found.dy)[:, 0, 1], [False, False, False, True])
    np.testing.assert_array_equal(found.flags[:, 0, 0], [0, 0, TOO_FEW, 0])
    assert np.isnan(found.sigma_dx).equals(np.isnan(found.dx))


def test_dates_beyond_the_series_are_nan():
    found = xoffset.resample(series_of(missing=0.0), ["2019-12-31", "2020-01-01", "2021-02-01"])
    np.testing.assert_array_equal(np.isfinite(found.dx).all(("y", "x")), [False, True, False])
    np.testing.assert_array_equal(found.flags[:, 0, 0], [TOO_FEW, 0, TOO_FEW])


def test_a_pixel_of_nothing_keeps_its_reason():
    series = series_of(missing=0.0)
    series.dx[:, 0, 0] = np.nan
    series.flags[:, 0, 0] = FLAGS["no_reference"]
    series.flags[2, 0, 0] |= FLAGS["no_pairs"]
    found = xoffset.resample(series, "90D")
    assert (found.flags[:, 0, 0] == TOO_FEW | FLAGS["no_reference"]).all()


def test_islands_with_a_zero_of_their_own_are_never_joined():
    series = series_of(missing=0.0)
    series.flags[3, 0, 0] = ALONE
    found = xoffset.resample(series, ["2020-07-01T10:30", "2020-08-01"])
    expected = xoffset.resample(series.isel(time=[0, 1, 2, 4, 5]), found.time)
    np.testing.assert_array_equal(found.dx[:, 0, 0], expected.dx[:, 0, 0])
    assert (found.flags[:, 0, 0] == 0).all()
    assert float(found.dx[0, 0, 1]) == float(series.dx[3, 0, 1])


def test_a_velocity_that_changed_is_told_as_bridged():
    series = series_of(missing=0.0)
    series.flags[2] = FLAGS["bridged"]
    found = xoffset.resample(series, ["2020-01-10", "2020-02-25"])
    np.testing.assert_array_equal(found.flags[:, 0, 0], [0, FLAGS["bridged"]])


def test_a_series_without_flags_gets_them():
    series = series_of()
    for found in (xoffset.resample(series.drop_vars("flags"), "30D"), xoffset.resample(series, "30D")):
        assert found.flags.dtype == "int64"
        np.testing.assert_array_equal((found.flags & TOO_FEW) > 0, np.isnan(found.dx))


# --------------------------------------------------------------------------------------------------------- rereference


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chosen", [[0], [3], [5], [1, 4], [0, 2, 3]])
def test_the_new_reference_is_zero_and_nothing_else_moves(chosen, dtype):
    series = series_of(dtype)
    moved = xoffset.rereference(series, DATES[chosen] if len(chosen) > 1 else DATES[chosen[0]])
    has = (np.isfinite(series.dx) & np.isfinite(series.dy))[chosen].all("time")
    assert has.any()
    assert not has.all()
    for name in ("dx", "dy"):
        expected = (series[name] - series[name][chosen].mean("time", skipna=False)).where(has)
        np.testing.assert_allclose(moved[name], expected, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-6)
        np.testing.assert_allclose(moved[name][chosen].mean("time").where(has, 0.0), 0.0, atol=1e-6)
        assert moved[name].dtype == dtype
    for name in ("sigma_dx", "sigma_dy", "n_pairs"):
        xr.testing.assert_identical(moved[name], series[name])
    lacks = FLAGS["no_reference"]
    np.testing.assert_array_equal((moved.flags & lacks) > 0, (~has).broadcast_like(moved.dx))
    np.testing.assert_array_equal(moved.flags & ~lacks, series.flags)
    assert moved.attrs["reference"] == ", ".join(str(each) for each in DATES[chosen])


def test_one_reference_is_zero_to_the_last_bit():
    moved = xoffset.rereference(series_of("float32"), "2020-07-01")
    has = np.isfinite(moved.dx[3].values)
    assert has.any()
    assert (moved.dx[3].values[has] == 0.0).all()


@pytest.mark.parametrize(
    "reference",
    ["2020-07-01", "2020-07-01T10:30", DATES[3], pd.Timestamp(DATES[3]), "2020-07-01T12:30+02:00", [DATES[3]]],
)
def test_a_reference_in_any_form(reference):
    series = series_of()
    expected = xoffset.rereference(series, str(DATES[3]))
    xr.testing.assert_identical(xoffset.rereference(series, reference), expected)
    xr.testing.assert_identical(xoffset.rereference(series, series.time[3]), expected)
    xr.testing.assert_identical(xoffset.rereference(series, series.time[[3, 3]]), expected)


def test_there_and_back_is_the_series():
    series = series_of(missing=0.0)
    series["dx"], series["dy"] = series.dx - series.dx[0], series.dy - series.dy[0]
    back = xoffset.rereference(xoffset.rereference(series, [DATES[2], DATES[4]]), DATES[0])
    np.testing.assert_allclose(back.dx, series.dx, atol=1e-14)


def test_it_is_the_inversion_with_another_reference():
    stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"], snr=5.0)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=6, step=16)
    series = xoffset.invert(shifts, reference="2020-01-01")
    moved, wanted = xoffset.rereference(series, "2021-01-01"), xoffset.invert(shifts, reference="2021-01-01")
    for name in ("dx", "dy"):
        np.testing.assert_allclose(moved[name], wanted[name], atol=1e-5)
    assert moved.attrs["reference"] == wanted.attrs["reference"]


def test_islands_with_a_zero_of_their_own_keep_it():
    series = series_of(missing=0.0)
    series.flags[4:, 0, 0] = ALONE
    moved = xoffset.rereference(series, DATES[2])
    np.testing.assert_array_equal(moved.dx[4:, 0, 0], series.dx[4:, 0, 0])
    np.testing.assert_array_equal(moved.dx[:4, 0, 0], (series.dx - series.dx[2])[:4, 0, 0])
    lost = xoffset.rereference(series, DATES[5])
    assert np.isnan(lost.dx[:, 0, 0]).all()
    assert (lost.flags[:, 0, 0] & FLAGS["no_reference"] > 0).all()
    assert np.isfinite(lost.dx[:, 0, 1]).all()


def test_infinity_is_not_known():
    series = series_of(missing=0.0)
    series.dx[2, 0, 0] = np.inf
    assert np.isnan(xoffset.rereference(series, DATES[2]).dx[:, 0, 0]).all()
    found = xoffset.rereference(series, DATES[0]).dx[:, 0, 0]
    np.testing.assert_array_equal(np.isnan(found), [False, False, True, False, False, False])
    assert np.isfinite(xoffset.resample(series, [DATES[2]]).dx).all()


# ---------------------------------------------------------------------------------------------------------------- both

CALLS = {
    "rereference": lambda series: xoffset.rereference(series, [DATES[1], DATES[3]]),
    "resample": lambda series: xoffset.resample(series, "30D", max_gap="200D"),
}


@pytest.mark.parametrize("chunks", [{"time": 1}, {"time": 4, "y": 5, "x": 3}, {"y": 1}, {"x": 7}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
def test_any_chunks_give_the_same_bits(name, dtype, chunks):
    series = series_of(dtype, shape=(11, 13))
    lazy = CALLS[name](series.chunk(chunks))
    assert all(dask.is_dask_collection(lazy[each].data) for each in ("dx", "dy", "sigma_dx", "sigma_dy", "flags"))
    eager = CALLS[name](series)
    xr.testing.assert_identical(lazy.compute(), eager)
    assert {key: each.dtype for key, each in lazy.data_vars.items()} == {k: v.dtype for k, v in eager.data_vars.items()}


@pytest.mark.parametrize("name", CALLS)
def test_input_is_not_modified(name):
    series = series_of()
    copied, notes = memory(series)
    out = CALLS[name](series)
    out.dx.values[:] = 7.0
    out.flags.values[:] = 7
    xr.testing.assert_identical(series, copied)
    assert memory(series)[1] == notes


@pytest.mark.parametrize("name", CALLS)
def test_results_come_back_from_disk(name, tmp_path):
    result = CALLS[name](series_of("float32"))
    result.to_zarr(tmp_path / "series.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "series.zarr").compute(), result)


@pytest.mark.parametrize("name", CALLS)
def test_a_series_of_one_date(name):
    series = series_of(missing=0.0).isel(time=[1])
    result = xoffset.rereference(series, DATES[1]) if name == "rereference" else xoffset.resample(series, "30D")
    np.testing.assert_array_equal(result.dx, 0.0 * series.dx if name == "rereference" else series.dx)


def test_a_velocity_of_a_moved_series_is_the_same():
    series = series_of(missing=0.1)
    rate, moved = xoffset.velocity(series), xoffset.velocity(xoffset.rereference(series, DATES[1]))
    both = np.isfinite(moved.vx)
    assert both.any()
    np.testing.assert_allclose(moved.vx.where(both), rate.vx.where(both), rtol=1e-9)
    np.testing.assert_allclose(moved.sigma_vx.where(both), rate.sigma_vx.where(both), rtol=1e-9)
