"""combine_bands: bands of the same pairs whose errors are known, alike or not, gross or missing."""

import functools

import numpy as np
import pytest
import reference_bands as twin
import xarray as xr

import xoffset
from xoffset._arrays import bands as arrays
from xoffset.model import products
from xoffset.model.flags import FLAGS

DISAGREE = FLAGS["bands_disagree"]


@functools.cache
def made(ratios=(1.0, 1.0, 1.0), *, alike=0.4, gross=0.0, shape=(30, 40), pairs=2, understated=1.0, seed=0):
    """Shifts by band whose errors correlate, with standard errors of these ratios, and the true displacement."""
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2020-01-01", "us") + np.arange(pairs + 1) * np.timedelta64(30, "D")
    network = products.network(dates[:-1], dates[1:])
    y, x = -100.0 * np.arange(shape[0]), 100.0 * np.arange(shape[1])
    like = xr.DataArray(np.zeros(shape), coords={"y": y, "x": x}, dims=("y", "x"))
    size = (2, pairs, *shape)
    truth, texture, common = rng.uniform(-2, 2, size), np.exp(rng.normal(0.0, 0.4, size)), rng.standard_normal(size)
    found = {}
    for k, ratio in enumerate(ratios):
        sigma = 0.1 * ratio * texture
        error = sigma * understated * (np.sqrt(alike) * common + np.sqrt(1.0 - alike) * rng.standard_normal(size))
        is_gross = rng.random(size[1:]) < gross
        error = np.where(is_gross, rng.uniform(-20.0, 20.0, size), error)
        fields = {"dx": truth[0] + error[0], "dy": truth[1] + error[1], "sigma_dx": sigma[0], "sigma_dy": sigma[1]}
        fields |= {"cov_dxdy": 0.0 * sigma[0], "score": np.full(size[1:], 0.5 + 0.1 * k)}
        found[f"B0{k}"] = products.shifts(fields, network, x=x, y=y, like=like, step={})
    return found, truth


def errors(found, truth):
    """Errors in units of their standard errors, where there is a value."""
    for axis, name in enumerate(("dx", "dy")):
        error = (found[name] - truth[axis]) / found[f"sigma_{name}"]
        yield error.values[np.isfinite(error.values)]


@pytest.mark.parametrize("gross", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("alike", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("ratios", [(1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 2.0, 3.0)])
def test_standard_errors_are_right_however_alike_the_bands_err(ratios, alike, gross):
    found = xoffset.combine_bands(*made(ratios, alike=alike, gross=gross)[:1])
    for error in errors(found, made(ratios, alike=alike, gross=gross)[1]):
        assert 0.64 < (np.abs(error) < 1.0).mean() < 0.73
        assert 0.93 < (np.abs(error) < 1.96).mean() < 0.97
    np.testing.assert_allclose(found.band_correlation, alike, atol=0.15)


def test_gross_errors_are_voted_down():
    given, truth = made(gross=0.05)
    found = xoffset.combine_bands(given)
    has_error = np.hypot(*(found[name].values - truth[k] for k, name in enumerate(("dx", "dy")))) > 1.5
    assert has_error.mean() < 5e-4
    assert np.hypot(given["B00"].dx - truth[0], given["B00"].dy - truth[1]).values.__gt__(1.5).mean() > 0.04
    # 0.95³ of the nodes have no gross error, and two of three bands are right at 0.993
    is_flagged = (found.flags.values & DISAGREE) > 0
    assert 0.12 < is_flagged.mean() < 0.17
    assert 0.002 < np.isnan(found.dx.values).mean() < 0.012
    assert is_flagged[np.isnan(found.dx.values)].all()
    np.testing.assert_array_equal(found.n_bands.values == 3, ~is_flagged)
    np.testing.assert_array_equal(found.n_bands.values == 0, np.isnan(found.dx.values))


def test_false_alarms_are_as_many_as_asked_for():
    for level in (0.01, 0.05):
        found = xoffset.combine_bands(made(shape=(80, 100))[0], false_alarm=level)
        share = ((found.flags.values & DISAGREE) > 0).mean()
        assert abs(share - level) < 0.2 * level


def test_two_bands_have_no_majority():
    given, _ = made((1.0, 1.0), gross=0.1)
    found = xoffset.combine_bands(given)
    is_out = np.isnan(found.dx.values)
    assert 0.15 < is_out.mean() < 0.25
    np.testing.assert_array_equal((found.flags.values & DISAGREE) > 0, is_out)


def test_more_bands_are_no_better_than_what_they_share():
    for alike, lower, upper in ((0.0, 0.54, 0.62), (0.4, 0.74, 0.81), (0.9, 0.95, 0.99)):
        given, truth = made(alike=alike)
        found = xoffset.combine_bands(given)
        ratio = float((found.sigma_dx / given["B00"].sigma_dx).median())
        assert lower < ratio < upper
        one, all_of_them = (np.std(each.dx.values - truth[0]) for each in (given["B00"], found))
        assert lower - 0.04 < all_of_them / one < upper + 0.04


def test_errors_that_are_too_small_grow_to_the_differences():
    given, truth = made(alike=0.0, understated=2.0)
    found = xoffset.combine_bands(given)
    np.testing.assert_allclose(found.band_spread, 4.0, rtol=0.1)
    for error in errors(found, truth):
        assert 0.65 < (np.abs(error) < 1.0).mean() < 0.72


def test_slow_twin():
    rng = np.random.default_rng(3)
    given, _ = made((1.0, 1.5, 1.0, 2.0), gross=0.15, shape=(8, 9), pairs=3)
    given = {name: each.copy(deep=True) for name, each in given.items()}
    for each in given.values():
        product = each.sigma_dx.values * each.sigma_dy.values
        each["cov_dxdy"].values[:] = product * rng.uniform(-0.9, 0.9, product.shape)
        each["dx"].values[rng.random(each.dx.shape) < 0.2] = np.nan
    found = xoffset.combine_bands(given, false_alarm=0.01)
    fields = [each[name].values for each in given.values() for name in arrays.VECTORS]
    table = arrays.spread(*fields, bands=4)
    dx, dy, sigma_x, sigma_y, cross = np.stack(fields).reshape(4, 5, *found.dx.shape).swapaxes(0, 1)
    names = ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy", "n_bands")
    result = np.stack([found[name].values for name in names])
    for at in np.ndindex(found.dx.shape):
        there = [b for b in range(4) if np.isfinite(dx[b][at])]
        values = [np.array([dx[b][at], dy[b][at]]) for b in there]
        covariances = [
            np.array([[sigma_x[b][at] ** 2, cross[b][at]], [cross[b][at], sigma_y[b][at] ** 2]]) for b in there
        ]
        told = twin.combined(values, covariances, table[:, at[0]], 0.01) if there else None
        here = result[(slice(None), *at)]
        if told is None:
            assert np.isnan(here[:5]).all()
            assert here[5] == 0
            continue
        centre, covariance, number = told
        assert here[5] == number
        np.testing.assert_allclose(here[:2], centre, rtol=1e-9, atol=1e-9)
        expected = [np.sqrt(covariance[0, 0]), np.sqrt(covariance[1, 1]), covariance[0, 1]]
        np.testing.assert_allclose(here[2:5], expected, rtol=1e-7, atol=1e-12)


def test_order_and_chunks_do_not_change_a_bit():
    given, _ = made((1.0, 2.0, 1.5), gross=0.1)
    given = {name: each.astype("float32") for name, each in given.items()}
    expected = xoffset.combine_bands(given)
    assert expected.dx.dtype == expected.band_spread.dtype == "float32"
    xr.testing.assert_identical(expected, xoffset.combine_bands(dict(reversed(given.items()))))
    for chunks in ({"y": 7, "x": 11}, {"y": 30, "x": 3}, {"pair": 1, "y": 16}):
        chunked = {name: each.chunk(chunks) for name, each in given.items()}
        found = xoffset.combine_bands(chunked)
        assert found.dx.chunks
        xr.testing.assert_identical(expected, found.compute())


def test_a_band_agrees_with_itself():
    band = made(pairs=1)[0]["B00"]
    for number in (2, 3):
        found = xoffset.combine_bands({str(k): band for k in range(number)})
        assert (found.n_bands == number).all()
        np.testing.assert_allclose(found.dx, band.dx, rtol=1e-12)
        # and is no better than it is
        np.testing.assert_allclose(found.sigma_dx, band.sigma_dx, rtol=1e-9)


@pytest.mark.parametrize("short", ["B00", "B01"])
def test_one_band_of_float64_gives_float64(short):
    given = {name: made(pairs=1)[0][name] for name in ("B00", "B01")}
    given[short] = given[short].astype("float32")
    found = xoffset.combine_bands(given)
    assert found.dx.dtype == found.sigma_dx.dtype == found.score.dtype == np.float64


def test_bands_that_are_missing_drop_out():
    given, _ = made(alike=0.0)
    given = {name: each.copy(deep=True) for name, each in given.items()}
    given["B01"]["dx"].values[:, :10] = np.nan
    given["B02"]["sigma_dy"].values[:, :5] = np.nan
    given["B01"]["flags"] = (given["B01"].dx.dims, np.where(np.isnan(given["B01"].dx), FLAGS["low_score"], 0))
    given["B00"]["flags"] = given["B02"]["flags"] = 0 * given["B01"].flags
    for each in given.values():
        each["dx"].values[:, 20:, 30:] = np.nan
        each["flags"].values[:, 20:, 30:] = FLAGS["nodata"]
    found = xoffset.combine_bands(given)
    assert (found.n_bands.values[:, :5, :30] == 1).all()
    np.testing.assert_allclose(found.dx[:, :5, :30], given["B00"].dx[:, :5, :30])
    assert (found.n_bands.values[:, 5:10, :30] <= 2).all()
    assert np.isnan(found.dx.values[:, 20:, 30:]).all()
    assert (found.flags.values[:, 20:, 30:] == FLAGS["nodata"]).all()
    assert not (found.flags.values[:, :10, :30] & FLAGS["low_score"]).any()
    np.testing.assert_allclose(found.score[:, :5, :30], 0.5)
    np.testing.assert_allclose(found.score[:, 5:10, :30].where(found.n_bands == 2).mean(), 0.6)


def test_few_nodes_are_no_evidence_that_bands_err_each_by_itself():
    given, _ = made(alike=0.0, shape=(3, 3))
    found = xoffset.combine_bands(given)
    np.testing.assert_array_equal(found.band_correlation, 1.0)
    assert np.isnan(found.band_spread).all()
    np.testing.assert_allclose(found.sigma_dx, given["B00"].sigma_dx, rtol=1e-6)


def test_what_belongs_to_pairs_is_that_of_the_worst_band():
    given, _ = made()
    errors_of_pairs = ([0.1, 0.5], [0.3, 0.2], [0.2, 0.2])
    told = {
        name: each.assign(sigma_shift=("pair", values), is_corrected=("pair", [1, k % 2]))
        for k, ((name, each), values) in enumerate(zip(given.items(), errors_of_pairs, strict=True))
    }
    found = xoffset.combine_bands(told)
    np.testing.assert_array_equal(found.sigma_shift, [0.3, 0.5])
    np.testing.assert_array_equal(found.is_corrected, [1, 0])
    with pytest.raises(ValueError, match="Give all bands the same corrections"):
        xoffset.combine_bands(told | {"B01": given["B01"]})


def test_result_is_taken_by_what_follows():
    found = xoffset.combine_bands(made(gross=0.1)[0])
    assert found.offset.losses().lost.sel(stage="bands_disagree").sum() == np.isnan(found.dx).sum()
    assert np.isfinite(xoffset.velocity(found).vx).mean() > 0.99
    assert '"bands": ["B00", "B01", "B02"]' in found.attrs["processing"]


def test_points_get_what_nodes_get():
    given, _ = made(alike=0.2, shape=(1, 60))
    row = xoffset.combine_bands(given)
    points = {
        name: each.isel(y=xr.DataArray(np.zeros(60, int), dims="point"), x=xr.DataArray(np.arange(60), dims="point"))
        for name, each in given.items()
    }
    found = xoffset.combine_bands(points)
    assert found.dx.dims == ("pair", "point")
    np.testing.assert_array_equal(found.dx, row.dx[:, 0])


@pytest.mark.parametrize(
    ("change", "error", "advice"),
    [
        (lambda b: list(b.values()), TypeError, r"by the name of their band; got list.*Pass \{'B03'"),
        (lambda b: {"B00": b["B00"]}, ValueError, r"got 1\. Match another band"),
        (lambda b: b | {"B01": b["B01"].isel(pair=[0])}, ValueError, r"same pairs.*'B01' with 1 for 2.*one network"),
        (lambda b: b | {"B01": b["B01"].isel(pair=[1, 0])}, ValueError, r"same pairs.*'B01' with others"),
        (lambda b: b | {"B02": b["B02"].isel(x=slice(5))}, ValueError, r"same nodes.*'B02'.*one step"),
        (lambda b: b | {"B01": b["B01"].drop_vars("sigma_dx")}, ValueError, r"none called sigma_dx"),
        (lambda b: b | {"B01": b["B01"].dx}, TypeError, r"combine_bands\(\) needs a Dataset"),
    ],
)  # fmt: skip
def test_bad_input(change, error, advice):
    with pytest.raises(error, match=advice):
        xoffset.combine_bands(change(made()[0]))


@pytest.mark.parametrize("level", [-0.1, 2.0, "few", True, None, np.nan])
def test_bad_false_alarm(level):
    with pytest.raises(ValueError, match=r"false_alarm between 0 and 1"):
        xoffset.combine_bands(made()[0], false_alarm=level)


@pytest.mark.data
def test_bands_of_ice_err_alike(data_folder):
    """Perito Moreno in near infrared, red and green: what they share is more than half of the error."""
    files = [data_folder / "perito_moreno_s2" / f"2020{date}.jpg" for date in ("0131", "0207", "0210", "0220")]
    given = {}
    for band, name in enumerate(("nir", "red", "green"), start=1):
        stack = xoffset.open_stack(files, band=band, date="%Y%m%d", pixel_size=6.5)
        stack = stack.isel(y=slice(400, 720), x=slice(900, 1220)).astype("float32").load()
        stack = stack.where(stack > 2)
        given[name] = stack.offset.correlate(stack.offset.pairs(), template=32, search=12, step=16).offset.screen()
    found = xoffset.combine_bands(given)
    assert ((found.band_correlation > 0.4) & (found.band_correlation < 0.85)).all()
    assert found.offset.flagged("bands_disagree").mean() < 0.04
    best = min(float(each.sigma_dx.median()) for each in given.values())
    assert 0.8 * best < float(found.sigma_dx.median()) < best
    assert found.dx.notnull().mean() >= max(float(each.dx.notnull().mean()) for each in given.values()) - 0.01
