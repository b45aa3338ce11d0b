"""Closure: what does not close around three dates, the bad dates, and what their names are good for."""

import itertools

import numpy as np
import pytest
import reference_triplets
import xarray as xr

import xoffset
from xoffset._arrays.networks import graph
from xoffset._blocks import halos
from xoffset._kernels.networks import triplets
from xoffset.model import products
from xoffset.model.dates import in_years
from xoffset.uncertainty import closure

DATES = np.datetime64("2020-01-01", "us") + np.timedelta64(20, "D") * np.arange(10)
SHAPE = (7, 9)


def all_pairs(dates):
    return np.array(list(itertools.combinations(range(dates), 2)))


def as_shifts(dx, dy, ends, *, sigma=0.4, dates=DATES, spacing=(100.0, -100.0), dtype="float64"):
    """Shifts of given displacements (pair, rows, columns) between dates, as indices (pair, 2)."""
    fields = {"dx": dx, "dy": dy, "sigma_dx": np.full(dx.shape, sigma), "sigma_dy": np.full(dx.shape, sigma)}
    y, x = (5e5 + step * np.arange(size) for step, size in zip(spacing[::-1], dx.shape[1:], strict=True))
    grid = xr.DataArray(np.zeros(dx.shape[1:]), coords={"y": y, "x": x}, dims=("y", "x"))
    fields = {name: field.astype(dtype) for name, field in fields.items()}
    return products.shifts(fields, products.network(*dates[ends].T), x=x, y=y, like=grid, step={"function": "test"})


def made_up(ends=None, *, of_date=0.3, of_pair=0.02, bad=None, seed=0, shape=SHAPE, **options):
    """Steady motion of 40 m a year, noise of dates and of pairs; `bad` gives one date more of both."""
    ends = all_pairs(len(DATES)) if ends is None else ends
    rng = np.random.default_rng(seed)
    noise = of_date * rng.standard_normal((2, len(DATES), *shape))
    own = of_pair * rng.standard_normal((2, len(ends), *shape))
    if bad is not None:
        date, more_of_date, more_of_pair = bad
        noise[:, date] += more_of_date * rng.standard_normal((2, *shape))
        is_bad = (ends == date).any(axis=1)
        own[:, is_bad] += more_of_pair * rng.standard_normal((2, is_bad.sum(), *shape))
    position = 40.0 * in_years(DATES - DATES[0])[:, None, None] + noise
    dx, dy = position[:, ends[:, 1]] - position[:, ends[:, 0]] + own
    return as_shifts(dx, dy, ends, **options)


def everywhere(shifts):
    return xr.DataArray(np.ones(shifts.dx.shape[1:], bool), coords={"y": shifts.y, "x": shifts.x}, dims=("y", "x"))


def by_date(found, name):
    return found[name].values


# -------------------------------------------------------------------------------------------------------------- kernel


@pytest.mark.small
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("density", [1.0, 0.6])
def test_triplets_of_a_network(density, seed):
    rng = np.random.default_rng(seed)
    ends = all_pairs(8)
    ends = ends[rng.random(len(ends)) < density]
    found = graph.triplets(ends)
    assert sorted(map(tuple, found.tolist())) == sorted(reference_triplets.triplets(ends))
    assert len(found) == 56 or density < 1.0


@pytest.mark.small
def test_networks_without_triplets():
    assert graph.triplets(np.array([[0, 1], [1, 2], [2, 3]])).shape == (0, 3)
    assert graph.triplets(np.array([[3, 7]])).shape == (0, 3)


@pytest.mark.small
@pytest.mark.parametrize("gaps", [0.0, 0.25])
@pytest.mark.parametrize("spacing", [(10.0, -10.0), (-7.0, 20.0)])
def test_kernel_equals_its_twin(gaps, spacing):
    rng = np.random.default_rng(3)
    ends = all_pairs(6)[rng.random(15) < 0.9]
    count = len(ends)
    dx, dy = 3.0 * rng.standard_normal((2, count, 4, 5))
    variances = rng.uniform(0.1, 1.0, (2, count, 4, 5))
    dx[rng.random(dx.shape) < gaps] = np.nan
    dy[np.isnan(dx)] = np.nan
    variances[:, rng.random(dx.shape) < 0.3 * gaps] = np.nan
    is_backward = rng.random(count) < 0.3
    merged = np.pad(np.array([dx, dy, *variances]), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    out = np.full((3 * count + 12, 4, 5), 9.0)
    triplets.misclosure(graph.triplets(ends), ends, is_backward, *spacing, merged, out)
    expected = reference_triplets.closure(ends, is_backward, spacing, dx, dy, variances.sum(axis=0))
    np.testing.assert_allclose(out, np.concatenate(expected), rtol=1e-10)
    assert np.isfinite(out[:count]).mean() > 0.2


# ------------------------------------------------------------------------------------------------------------- physics


def test_a_network_without_noise_closes():
    found = xoffset.closure(made_up(of_date=0.0, of_pair=0.0))
    assert float(found.closure.max()) < 1e-9
    assert float(found.date_closure.max()) < 1e-9
    assert (found.n_triplets == 8).all()
    assert (found.date_n_triplets == 36).all()
    assert found.attrs["triplets"] == 120
    assert found.attrs["bad_dates"] == ""
    assert (found.sigma_factor == 1.0).all()
    assert (found.share_beyond == 0.0).all()


def test_rounding_makes_no_date_bad():
    assert xoffset.closure(made_up(of_pair=0.0, dtype="float32")).attrs["bad_dates"] == ""


def test_errors_of_dates_close():
    noisy = xoffset.closure(made_up(of_date=5.0, of_pair=0.0))
    assert float(noisy.closure.max()) < 1e-9


def test_errors_of_pairs_do_not_close_and_keep_their_size():
    found = xoffset.closure(made_up(of_pair=0.5, shape=(20, 20)))
    # along both components
    np.testing.assert_allclose(np.sqrt((found.closure**2).mean()), 0.5 * np.sqrt(2.0), rtol=0.05)
    np.testing.assert_allclose(np.sqrt((found.date_closure**2).mean()), 0.5 * np.sqrt(2.0), rtol=0.05)
    assert found.attrs["bad_dates"] == ""


def test_noise_as_large_as_the_standard_errors_is_tolerated():
    # twice the errors of a vector of three alike pairs, without motion to speak of
    found = xoffset.closure(made_up(of_date=0.0, of_pair=0.4, sigma=0.4, shape=(30, 30)))
    assert float(found.tolerance.mean()) == pytest.approx(2.0 * 0.4 * np.sqrt(2.0), rel=0.05)
    assert float(found.share_beyond.max()) < 0.01
    single = xoffset.closure(made_up(all_pairs(3), of_date=0.0, of_pair=0.4, sigma=0.4, shape=(60, 60)))
    assert 0.01 < float(single.share_beyond.mean()) < 0.03


def test_an_outlier_has_the_largest_closure_and_blames_no_date():
    shifts = made_up(of_pair=0.1)
    shifts.dx[17] += 8.0
    found = xoffset.closure(shifts)
    assert int(found.closure.argmax("pair").min()) == int(found.closure.argmax("pair").max()) == 17
    table = found[["median_closure", "share_beyond", "sigma_factor"]].to_dataframe()
    worst = table.sort_values("median_closure").iloc[-1]
    assert (worst.reference, worst.secondary) == (shifts.reference.values[17], shifts.secondary.values[17])
    assert worst.median_closure == pytest.approx(8.0 / np.sqrt(3.0), rel=0.1)
    assert worst.share_beyond == 1.0
    assert found.attrs["bad_dates"] == ""


def test_a_wrong_date_does_not_show():
    """Closure sums over images; when they were taken is no part of it."""
    shifts = made_up(of_pair=0.1)
    wrong = DATES.copy()
    wrong[4] = DATES[8] + np.timedelta64(7, "D")
    ends = all_pairs(len(DATES))
    other = xoffset.closure(
        shifts.assign_coords(reference=("pair", wrong[ends[:, 0]]), secondary=("pair", wrong[ends[:, 1]]))
    )
    found = xoffset.closure(shifts)
    np.testing.assert_allclose(other.closure, found.closure, rtol=1e-9)
    assert other.attrs["bad_dates"] == ""
    # images that were exchanged in some of the pairs do show
    swapped = shifts.copy(deep=True)
    swapped.dx[[3, 4]] = shifts.dx.values[[4, 3]]
    broken = xoffset.closure(swapped)
    assert set(np.argsort(broken.median_closure.values)[-2:]) == {3, 4}


def flow(matrix, *, days=DATES, shape=SHAPE, curve=0.0, ends=None):
    """Shifts of a steady field v = matrix·x (1 + curve·x): each pair where the feature was on its first date."""
    ends = all_pairs(len(days)) if ends is None else ends
    x, y = np.meshgrid(100.0 * np.arange(shape[1]) - 300.0, -100.0 * np.arange(shape[0]) + 300.0)
    times = in_years(days - days[0])

    def velocity(place):
        return np.einsum("ab,b...->a...", matrix, place) * (1.0 + curve * place[0])

    dx, dy = np.empty((2, len(ends), *shape))
    for p, (first, second) in enumerate(ends):
        place = start = np.array([x, y])
        step = (times[second] - times[first]) / 50
        for _ in range(50):
            k1 = velocity(place)
            k2 = velocity(place + 0.5 * step * k1)
            k3 = velocity(place + 0.5 * step * k2)
            place = place + step / 6.0 * (k1 + 4.0 * k2 + velocity(place + step * (2.0 * k2 - k1)) + 0.0 * k3)
        dx[p], dy[p] = place - start
    return dx, dy, ends


@pytest.mark.parametrize(
    "matrix",
    [
        np.array([[0.0, -0.2], [0.2, 0.0]]),
        np.array([[0.25, 0.0], [0.0, -0.15]]),
        np.array([[0.1, 0.2], [-0.05, 0.1]]),
    ],
)
def test_the_tolerance_covers_rotation_and_strain(matrix):
    dx, dy, ends = flow(matrix)
    assert np.hypot(dx, dy).max() > 30.0
    sigma = 1e-3
    found = xoffset.closure(as_shifts(dx, dy, ends, sigma=sigma))
    # far beyond what the standard errors alone would allow, and all of it is the change of place
    limit = 2.0 * sigma * np.sqrt(2.0)
    assert float((found.closure > limit).mean()) > 0.8
    assert (found.share_beyond == 0.0).all()
    np.testing.assert_allclose(found.tolerance - limit, found.closure, rtol=1e-6, atol=1e-9)


def test_the_tolerance_follows_a_field_that_is_curved():
    dx, dy, ends = flow(np.array([[0.2, 0.1], [-0.1, 0.1]]), curve=2e-4)
    found = xoffset.closure(as_shifts(dx, dy, ends, sigma=0.01)).isel(x=slice(1, -1), y=slice(1, -1))
    assert float((found.closure > 0.03).mean()) > 0.8
    np.testing.assert_allclose(found.tolerance - 0.02 * np.sqrt(2.0), found.closure, rtol=0.2, atol=0.01)


def test_pairs_matched_backward_are_tolerated_where_they_are_reported():
    matrix = np.array([[0.0, -0.2], [0.2, 0.0]])
    backward = all_pairs(5)[:, ::-1]
    dx, dy, ends = flow(matrix, ends=backward)
    assert np.hypot(dx, dy).max() > 10.0
    found = xoffset.closure(as_shifts(dx, dy, ends, sigma=1e-3))
    assert float(found.closure.max()) > 0.1
    assert (found.share_beyond == 0.0).all()


# ----------------------------------------------------------------------------------------------------------- bad dates

BAD = 6


def error_at_other_dates(series, truth):
    others = np.arange(len(DATES)) != BAD
    error = (series.dx - truth)[others]
    return float(np.sqrt(((error - error.mean("time")) ** 2).mean()))


def test_a_date_whose_pairs_are_poor_is_named_and_weighed_down():
    shifts = made_up(of_pair=0.05, bad=(BAD, 0.0, 3.0), shape=(15, 16), sigma=0.42)
    found = xoffset.closure(shifts)
    assert found.attrs["bad_dates"] == str(DATES[BAD])
    np.testing.assert_array_equal(found.is_bad, np.arange(10) == BAD)
    is_mine = (all_pairs(10) == BAD).any(axis=1)
    assert (found.sigma_factor[is_mine] > 3.0).all()
    assert (found.sigma_factor[~is_mine] == 1.0).all()
    factor = found.sigma_factor
    better = shifts.assign(sigma_dx=shifts.sigma_dx * factor, sigma_dy=shifts.sigma_dy * factor)
    truth = xr.DataArray(40.0 * in_years(DATES - DATES[0]), dims="time")
    # least squares, since robust losses pass over much of it
    series = [xoffset.invert(each, loss="linear") for each in (shifts, better)]
    errors = [error_at_other_dates(each, truth) for each in series]
    assert errors[1] < 0.8 * errors[0]
    rates = [xoffset.velocity(each, loss="linear") for each in series]
    spreads = [float((rate.vx - 40.0).std()) for rate in rates]
    assert spreads[1] < 0.8 * spreads[0]


def test_an_error_of_a_date_is_seen_on_stable_ground_only():
    shifts = made_up(of_pair=0.05, bad=(BAD, 4.0, 0.0), shape=(15, 16), sigma=0.42)
    assert xoffset.closure(shifts).attrs["bad_dates"] == ""
    assert "spread" not in xoffset.closure(shifts)
    found = xoffset.closure(shifts, stable=everywhere(shifts))
    assert found.attrs["bad_dates"] == str(DATES[BAD])
    is_bad = np.arange(10) == BAD
    assert float(found.date_spread[~is_bad].max()) < 0.25 * float(found.date_spread[BAD])
    np.testing.assert_allclose(found.date_spread[is_bad], 4.0 * np.sqrt(2.0), rtol=0.25)
    is_mine = (all_pairs(10) == BAD).any(axis=1)
    np.testing.assert_allclose(found.spread[is_mine], 4.0 * np.sqrt(2.0), rtol=0.25)
    # the sum of what both dates have, over what the standard errors say
    np.testing.assert_allclose(found.sigma_factor[is_mine], found.spread[is_mine] / (0.42 * np.sqrt(2.0)), rtol=0.25)
    factor = found.sigma_factor
    better = shifts.assign(sigma_dx=shifts.sigma_dx * factor, sigma_dy=shifts.sigma_dy * factor)
    series = [xoffset.invert(each, loss="linear") for each in (shifts, better)]
    spreads = [float((xoffset.velocity(each, loss="linear").vx - 40.0).std()) for each in series]
    assert spreads[1] < 0.8 * spreads[0]


def test_standard_errors_that_know_are_not_raised():
    shifts = made_up(of_pair=0.05, bad=(BAD, 0.0, 3.0), shape=(15, 16), sigma=0.42)
    is_mine = (all_pairs(10) == BAD).any(axis=1)
    for name in ("sigma_dx", "sigma_dy"):
        shifts[name][is_mine] = 3.5
    found = xoffset.closure(shifts)
    assert found.attrs["bad_dates"] == str(DATES[BAD])
    np.testing.assert_allclose(found.sigma_factor, 1.0)


@pytest.mark.parametrize("gap", [2, 3])
def test_a_bad_date_of_a_network_of_short_pairs(gap):
    ends = all_pairs(10)
    ends = ends[ends[:, 1] - ends[:, 0] <= gap]
    found = xoffset.closure(made_up(ends, of_pair=0.05, bad=(BAD, 0.0, 3.0), shape=(15, 16)))
    assert found.attrs["bad_dates"] == str(DATES[BAD])
    assert int(found.date_error.values.argmax()) == BAD


@pytest.mark.parametrize("seed", range(5))
def test_dates_that_are_alike_are_not_bad(seed):
    shifts = made_up(of_pair=0.3, seed=seed, shape=(10, 10))
    assert xoffset.closure(shifts, stable=everywhere(shifts)).attrs["bad_dates"] == ""


def test_stable_ground_on_either_grid_and_too_little_of_it():
    shifts = made_up()
    mask = everywhere(shifts)
    mask[:, 4:] = False
    y, x = (np.repeat(shifts[name].values, 4) + np.tile([-37.5, -12.5, 12.5, 37.5], size) * (1 if name == "x" else -1)
            for name, size in (("y", SHAPE[0]), ("x", SHAPE[1])))  # fmt: skip
    fine = xr.DataArray(np.kron(mask.values, np.ones((4, 4), bool)), coords={"y": y, "x": x}, dims=("y", "x"))
    found = xoffset.closure(shifts, stable=mask)
    xr.testing.assert_equal(xoffset.closure(shifts, stable=fine), found)
    there = shifts.dx[0].values[mask]
    along_y = shifts.dy[0].values[mask]
    expected = np.hypot(*(1.4826 * np.median(abs(each - np.median(each))) for each in (there, along_y)))
    np.testing.assert_allclose(found.spread[0], expected)
    mask[:] = False
    mask[0] = True
    few = xoffset.closure(shifts, stable=mask)
    assert np.isnan(few.spread).all()
    assert np.isnan(few.date_spread).all()
    assert np.isfinite(few.median_closure).all()


# ------------------------------------------------------------------------------------------------- networks and values


def test_matches_there_and_back_and_again_are_one():
    shifts = made_up(of_pair=0.2)
    back = shifts.isel(pair=[5, 20, 21])
    back = back.assign(dx=-back.dx, dy=-back.dy).assign_coords(reference=back.secondary, secondary=back.reference)
    both = xr.concat([shifts, back, shifts.isel(pair=[7])], "pair", data_vars="minimal")
    once, found = xoffset.closure(shifts), xoffset.closure(both)
    for name in ("closure", "n_triplets", "median_closure"):
        np.testing.assert_allclose(found[name][:45], once[name])
        np.testing.assert_allclose(found[name][45:], once[name][[5, 20, 21, 7]])
    np.testing.assert_allclose(found.date_closure, once.date_closure)
    np.testing.assert_array_equal(found.date_n_triplets, once.date_n_triplets)
    # shifts and factors belong together
    assert (both.sigma_dx * found.sigma_factor).shape == both.sigma_dx.shape


def test_order_of_the_pairs_and_origin_of_time_do_not_matter():
    shifts = made_up(of_pair=0.2)
    found = xoffset.closure(shifts, stable=everywhere(shifts))
    order = np.random.default_rng(1).permutation(45)
    other = xoffset.closure(shifts.isel(pair=order), stable=everywhere(shifts))
    xr.testing.assert_identical(other, found.isel(pair=order))
    later = shifts.assign_coords({name: shifts[name] + np.timedelta64(999, "D") for name in ("reference", "secondary")})
    moved = xoffset.closure(later, stable=everywhere(shifts))
    for name in found.data_vars:
        np.testing.assert_array_equal(moved[name], found[name])


def test_a_network_without_triplets_says_so():
    chain = np.array([[k, k + 1] for k in range(9)])
    shifts = made_up(chain)
    for some in (shifts, shifts.isel(pair=[0])):
        with pytest.warns(UserWarning, match=r"no three dates .* Match longer pairs too: pairs\(max_gap=2\)"):
            found = xoffset.closure(some, stable=everywhere(some))
        assert found.attrs["triplets"] == 0
        assert found.attrs["bad_dates"] == ""
        for name in ("closure", "tolerance", "date_closure", "median_closure", "share_beyond", "date_share_beyond"):
            assert np.isnan(found[name]).all()
        assert not found.n_triplets.any()
        assert (found.sigma_factor == 1.0).all()
        assert np.isfinite(found.spread).all()


def test_what_is_missing_costs_its_triplets():
    shifts = made_up(of_pair=0.2)
    shifts.dx[4, 2, 3] = np.nan
    shifts.dy[:, 0, 0] = np.inf
    found = xoffset.closure(shifts)
    assert found.n_triplets[4, 2, 3] == 0
    assert np.isnan(found.closure[4, 2, 3])
    assert int(found.date_n_triplets[:, 2, 3].sum()) == 3 * (120 - 8)
    assert np.isnan(found.closure[:, 0, 0]).all()
    assert np.isnan(found.date_closure[:, 0, 0]).all()
    assert np.isfinite(found.closure[:, 1:, 4:]).all()


@pytest.mark.parametrize("sigma", [np.nan, 0.0, -1.0, np.inf])
def test_unknown_standard_errors_leave_the_tolerance_unknown(sigma):
    found = xoffset.closure(made_up(of_pair=0.05, bad=(BAD, 0.0, 3.0), sigma=sigma))
    assert np.isfinite(found.closure).all()
    assert np.isnan(found.tolerance).all()
    assert np.isnan(found.share_beyond).all()
    assert found.attrs["bad_dates"] == str(DATES[BAD])
    assert (found.sigma_factor == 1.0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1)])
def test_few_nodes_will_do(shape):
    found = xoffset.closure(made_up(of_pair=0.2, shape=shape))
    assert found.closure.shape == (45, *shape)
    assert np.isfinite(found.tolerance).all()
    np.testing.assert_allclose(found.median_closure, found.closure.median(("y", "x")))


# ------------------------------------------------------------------------------------------------------ types and files


@pytest.mark.parametrize(
    ("dtype", "chunks"),
    [("float32", {"pair": 20, "y": 1, "x": 6}), ("float64", {"pair": -1, "y": 5, "x": 2}), ("float32", {})],
)
def test_chunks_change_no_bit(dtype, chunks, monkeypatch):
    shifts = made_up(of_pair=0.2, bad=(BAD, 1.0, 2.0), dtype=dtype, shape=(11, 13))
    monkeypatch.setattr(closure, "SAMPLE", shifts.dx.size // 3)
    monkeypatch.setattr(halos, "TILE", 4)
    mask = everywhere(shifts)
    expected = xoffset.closure(shifts, stable=mask)
    found = xoffset.closure(shifts.chunk(chunks), stable=mask)
    assert all(variable.chunks is not None for variable in found.data_vars.values())
    names = expected.attrs.pop("bad_dates")
    xr.testing.assert_identical(found.compute(), expected)
    assert expected.time[found.is_bad.values].values.astype(str).tolist() == names.split(", ") == [str(DATES[BAD])]
    for variable in expected.data_vars.values():
        assert variable.dtype in (dtype, "int32", "int64", "bool")


@pytest.mark.parametrize("bad", [None, (BAD, 0.0, 3.0)])
@pytest.mark.parametrize("form", ["zarr", "netcdf"])
def test_it_comes_back_from_disk(form, bad, tmp_path):
    found = xoffset.closure(made_up(of_pair=0.1, bad=bad))
    path = tmp_path / ("found.zarr" if form == "zarr" else "found.nc")
    if form == "zarr":
        found.to_zarr(path, consolidated=False)
    else:
        found.to_netcdf(path, engine="h5netcdf")
    xr.testing.assert_identical(xoffset.open_result(path).compute(), found)


def test_it_is_a_product_like_others():
    shifts = made_up()
    found = shifts.offset.closure(stable=everywhere(shifts))
    assert found.closure.dims == ("pair", "y", "x")
    assert found.date_closure.dims == ("time", "y", "x")
    assert found[["date_median_closure", "date_spread", "is_bad"]].to_dataframe().index.name == "time"
    assert found.closure.attrs["units"] == "m"
    assert '"function": "closure"' in found.processing
    np.testing.assert_array_equal(found.time, DATES)
