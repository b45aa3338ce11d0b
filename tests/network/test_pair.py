"""pair(): the one pair of two dates, and the baseline that goes with everything on pairs."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic

DATES = np.array(["2020-01-01T10:30", "2020-02-01T10:30:21.5", "2020-04-01", "2020-07-01T10:31"], "M8[us]")
DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((96, 96), dates=DATES, velocity=20.0)[0]


@pytest.fixture(scope="module")
def shifts(stack):
    return xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=6, step=16)


def days(data):
    return (data.secondary.values - data.reference.values) / DAY


# ---------------------------------------------------------------------------------------------------------- one pair


@pytest.mark.parametrize(
    "form", [str, np.datetime64, pd.Timestamp, lambda date: str(date)[:10], lambda date: pd.Timestamp(date).date()]
)
def test_every_pair_is_found_by_its_dates(shifts, form):
    for k in range(shifts.sizes["pair"]):
        one = shifts.isel(pair=k)
        found = shifts.offset.pair(form(one.reference.values), form(one.secondary.values))
        xr.testing.assert_identical(found, one)


def test_a_pair_of_a_network_has_scalar_dates(stack):
    one = xoffset.pairs(stack).offset.pair("2020-01-01", "2020-04-01")
    assert one.sizes == {}
    assert (one.reference.item(), one.secondary.item()) == (DATES[0].item(), DATES[2].item())
    assert one.baseline == (DATES[2] - DATES[0]) / DAY


def test_a_pair_can_be_drawn_and_turned(shifts, tmp_path):
    one = shifts.offset.pair("2020-01-01", "2020-04-01")
    assert one.dx.dims == ("y", "x")
    assert {"ground", "to_geotiff", "strain", "profile"} <= set(dir(one.offset))
    assert xoffset.plotting.map_of(one.dx, tmp_path / "dx.png").exists()
    np.testing.assert_array_equal(
        xoffset.ground(one).d_east, xoffset.ground(shifts).offset.pair("2020-01-01", "2020-04-01").d_east
    )


def test_products_that_are_no_vectors_have_pairs_too(shifts):
    closed = xoffset.closure(shifts)
    xr.testing.assert_identical(closed.offset.pair("2020-01-01", "2020-04-01").closure, closed.closure[1])


def test_a_day_of_two_images_asks_for_the_time():
    dates = np.array(["2020-01-01T10:30", "2020-01-01T14:00", "2020-02-01"], "M8[us]")
    network = xoffset.pairs(synthetic.stack((64, 64), dates=dates)[0])
    with pytest.raises(
        ValueError, match=r"2020-01-01T10:30 to 2020-02-01, 2020-01-01T14:00 to 2020-02-01\. Give the t"
    ):
        network.offset.pair("2020-01-01", "2020-02-01")
    assert network.offset.pair("2020-01-01T14:00", "2020-02-01").baseline == 31 - 14 / 24


def test_the_nearest_pairs_are_named(stack):
    network = xoffset.pairs(stack)
    with pytest.raises(
        ValueError, match=r"got 2020-01-02 and 2020-04-01\. The nearest are 2020-01-01T10:30 to 2020-04-01"
    ):
        network.offset.pair("2020-01-02", "2020-04-01")
    # an instant is meant to the microsecond
    with pytest.raises(ValueError, match=r"2020-01-01T10:30 to 2020-02-01T10:30:21\.500000"):
        network.offset.pair("2020-01-01T10:30", "2020-02-01T10:30")


# ---------------------------------------------------------------------------------------------------------- baseline


def test_everything_on_pairs_has_its_baseline(stack, shifts):
    line = [(shifts.x.values[0], shifts.y.values[0]), (shifts.x.values[-1], shifts.y.values[-1])]
    products = {
        "pairs": xoffset.pairs(stack, direction="both", split="2020-03-01"),
        "plan": xoffset.plan(stack, v_max=30.0).network,
        "correlate": shifts,
        "screen": xoffset.screen(shifts),
        "closure": xoffset.closure(shifts),
        "strain": xoffset.strain(shifts),
        "profile": xoffset.profile(shifts, line),
        "ground": xoffset.ground(shifts),
        "extend": xoffset.extend(
            shifts.isel(pair=[0]), stack, xoffset.pairs(stack), template=16, search=6, step=16
        ),
        "from_table": xoffset.from_table(
            pd.DataFrame({"reference": DATES[:2], "secondary": DATES[[1, 0]], "dx": 1.0, "dy": 0.0})
        ),
    }  # fmt: skip
    for name, product in products.items():
        assert product.baseline.dims == ("pair",), name
        assert product.baseline.dtype == np.float64, name
        np.testing.assert_array_equal(product.baseline, days(product), err_msg=name)
        assert product.baseline.attrs["units"] == "day", name
    assert (products["from_table"].baseline < 0).any()


def test_a_stale_baseline_is_made_anew_and_none_is_read(shifts):
    wrong = shifts.assign_coords(baseline=("pair", np.full(shifts.sizes["pair"], -3.0)))
    for function in (xoffset.screen, xoffset.invert, xoffset.velocity, xoffset.mean_velocity, xoffset.closure):
        xr.testing.assert_identical(function(wrong), function(shifts))
        xr.testing.assert_identical(function(shifts.drop_vars("baseline")), function(shifts))


def test_stores_without_a_baseline_open_and_grow_as_they_are(shifts, stack, tmp_path):
    old = shifts.drop_vars("baseline").isel(pair=[0, 1])
    old.to_zarr(tmp_path / "old.zarr", consolidated=False)
    opened = xoffset.open_result(tmp_path / "old.zarr")
    xr.testing.assert_identical(opened, old)
    grown = xoffset.extend(opened, stack, xoffset.pairs(stack), template=16, search=6, step=16)
    grown.isel(pair=slice(2, None)).to_zarr(tmp_path / "old.zarr", append_dim="pair", consolidated=False)
    xr.testing.assert_equal(xoffset.open_result(tmp_path / "old.zarr"), shifts.drop_vars("baseline"))


def test_a_baseline_survives_every_format(shifts, tmp_path):
    shifts.to_zarr(tmp_path / "a.zarr", consolidated=False)
    shifts.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    for name in ("a.zarr", "a.nc"):
        xr.testing.assert_identical(xoffset.open_result(tmp_path / name), shifts)
    # a number with a unit, no duration
    assert xr.open_zarr(tmp_path / "a.zarr", consolidated=False).baseline.dtype == np.float64
