"""interval_velocity: networks, single pairs and series whose motion between the dates is known."""

import logging

import numpy as np
import pytest
import reference_inversion as twin
import xarray as xr

import xoffset
from xoffset.model import products
from xoffset.model.flags import FLAGS

PHOTOGRAPHS = np.array([1953.67, 1971.6, 2003.6, 2010.6, 2015.6, 2020.6, 2023.6])
SPEED = np.array([0.2, 0.5, 1.0, 1.6, 1.5, 0.9])


def instants(years):
    return np.datetime64("1950-01-01", "us") + np.round((years - 1950.0) * 365.25 * 86400.0e6).astype("m8[us]")


def made(ends, *, years=PHOTOGRAPHS, speed=SPEED, of_dates=0.0, of_pairs=0.0, shape=(4, 5), sigma=None, seed=0):
    """Shifts that move along (0.8, -0.6) at the speed of each interval, noisy by date and by pair."""
    rng = np.random.default_rng(seed)
    ends = np.asarray(ends)
    place = np.concatenate([[0.0], np.cumsum(speed * np.diff(years))])[:, None, None]
    fields = {}
    for name, share in (("dx", 0.8), ("dy", -0.6)):
        seen = share * place + of_dates * rng.standard_normal((years.size, *shape))
        own = np.broadcast_to(of_pairs, len(ends))[:, None, None] * rng.standard_normal((len(ends), *shape))
        fields[name] = seen[ends[:, 1]] - seen[ends[:, 0]] + own
    told = np.sqrt(2.0 * of_dates**2 + np.broadcast_to(of_pairs, len(ends)) ** 2) if sigma is None else sigma
    for name in ("sigma_dx", "sigma_dy"):
        fields[name] = np.broadcast_to(np.asarray(told)[..., None, None], fields["dx"].shape).copy()
    y, x = -100.0 * np.arange(shape[0]), 100.0 * np.arange(shape[1])
    like = xr.DataArray(np.zeros(shape), coords={"y": y, "x": x}, dims=("y", "x"))
    dates = instants(years)
    return products.shifts(fields, products.network(dates[ends[:, 0]], dates[ends[:, 1]]), x=x, y=y, like=like, step={})


ALL = np.column_stack(np.triu_indices(7, 1))
CHAIN = np.column_stack([np.arange(6), np.arange(1, 7)])


@pytest.mark.parametrize("ends", [ALL, CHAIN, ALL[np.random.default_rng(1).permutation(21)], CHAIN[:, ::-1]])
def test_known_motion(ends):
    found = xoffset.interval_velocity(made(ends, sigma=0.1))
    assert found.vx.dims == ("interval", "y", "x")
    np.testing.assert_array_equal(found.reference, instants(PHOTOGRAPHS[:-1]))
    np.testing.assert_array_equal(found.secondary, instants(PHOTOGRAPHS[1:]))
    assert found.reference.dims == found.baseline.dims == ("interval",)
    np.testing.assert_allclose(found.vx, 0.8 * SPEED[:, None, None] * np.ones((6, 4, 5)), rtol=1e-9)
    np.testing.assert_allclose(found.vy, -0.6 * SPEED[:, None, None] * np.ones((6, 4, 5)), rtol=1e-9)
    np.testing.assert_allclose(found.v, np.hypot(found.vx, found.vy))
    np.testing.assert_allclose(found.direction, np.rad2deg(np.arctan2(0.8, -0.6)))
    spans = [[np.sum((ends.min(1) <= k) & (ends.max(1) > k))] * 20 for k in range(6)]
    np.testing.assert_array_equal(found.n_pairs.values.reshape(6, -1), spans)
    assert not found.flags.any()
    assert found.vx.attrs["units"] == found.sigma_vx.attrs["units"] == "m yr-1"


@pytest.mark.parametrize(("of_dates", "of_pairs"), [(0.2, 0.02), (0.1, 0.3), (0.0, 0.3)])
def test_sigma_holds_the_errors_of_both_dates_and_of_the_pairs(of_dates, of_pairs):
    found = xoffset.interval_velocity(made(ALL, of_dates=of_dates, of_pairs=of_pairs, shape=(40, 50)))
    z = (found.vx - 0.8 * xr.DataArray(SPEED, dims="interval")) / found.sigma_vx
    assert 0.92 <= float((abs(z) < 1.96).mean()) <= 0.985
    assert (np.abs(np.log(z.std(("y", "x")))) < 0.25).all()


def test_a_single_pair_has_its_own_sigma():
    """A chain of good and bad pairs: each interval is as good as the pair that it is made of."""
    sigma = np.array([0.1, 2.0, 0.1, 0.5, 0.1, 0.1])
    found = xoffset.interval_velocity(made(CHAIN, sigma=sigma))
    np.testing.assert_allclose(found.sigma_vx[:, 0, 0], sigma / np.diff(PHOTOGRAPHS), rtol=1e-5)


@pytest.mark.parametrize("ends", [ALL, CHAIN, [(0, 2), (1, 2), (1, 3), (2, 3), (3, 5), (4, 5), (4, 6), (5, 6)]])
def test_sigma_is_that_of_the_dense_algebra(ends):
    """Equal pairs that close, whose dates hold half of the variance each but for the share that is expected."""
    ends = np.asarray(ends)
    design = np.eye(7)[ends[:, 1]] - np.eye(7)[ends[:, 0]]
    inverse = np.linalg.pinv(design.T @ design)
    free = len(ends) - 6
    moved = np.concatenate([[0.0], np.cumsum(SPEED * np.diff(PHOTOGRAPHS))])[:, None] * [0.8, -0.6]
    of_dates, years = np.full((7, 2), 0.125), PHOTOGRAPHS - PHOTOGRAPHS[0]
    logs = twin.log_likelihoods(ends, np.full(len(ends), 4.0), of_dates, moved, list(range(7)), years)
    found = xoffset.interval_velocity(made(ends, sigma=0.5))
    pixel = ends, moved[ends[:, 1]] - moved[ends[:, 0]], np.full((len(ends), 2), 0.25)
    before = twin.shares_of_scene([pixel] * 20, years, twin.envelope(ends, 7)) if free < 4 else None
    shown = twin.mean_share(logs, before)
    share = (0.03 + max(1.0 - free / 4.0, 0.0) ** 2 * (shown - 0.03)) / (free + 1)
    between = np.diff(np.eye(7), axis=0)
    spread = np.einsum("ik,kl,il->i", between, inverse, between)
    # a pair that nothing checks is all that its interval has
    is_alone = np.isclose(spread, 1.0)
    variance = 0.25 * np.where(is_alone, 1.0, 1.0 - share + share * spread)
    np.testing.assert_allclose(found.sigma_vx[:, 1, 1], np.sqrt(variance) / np.diff(PHOTOGRAPHS), rtol=1e-5)


def test_it_is_what_the_series_of_the_network_says():
    shifts = made(ALL, of_dates=0.2, of_pairs=0.1)
    series = xoffset.invert(shifts)
    of_pairs, of_series = xoffset.interval_velocity(shifts), xoffset.interval_velocity(series)
    np.testing.assert_allclose(of_series.vx, of_pairs.vx, rtol=2e-5)
    np.testing.assert_allclose(of_series.sigma_vx, of_pairs.sigma_vx, rtol=0.05)
    assert "n_pairs" not in of_series
    smooth = xoffset.interval_velocity(xoffset.invert(shifts, smooth=1.0))
    assert np.isfinite(smooth.vx).all()
    assert np.isnan(smooth.sigma_vx).all()


def test_nan_where_no_pairs_tie_the_dates(caplog):
    """Two groups of dates in turn, and a date without pairs: a longer pair tells nothing of where it was between."""
    shifts = made([(0, 1), (1, 2), (0, 2), (3, 5), (4, 6)], sigma=0.1)
    shifts["dx"][:3, 0, 0] = np.nan  # loses the first group
    shifts["dx"][:2, 1, 1] = np.nan  # of it the long pair is left
    with caplog.at_level(logging.WARNING, "xoffset"):
        found = xoffset.interval_velocity(shifts)
    assert "4 of 6 intervals" in caplog.text
    here = found.isel(y=2, x=2)
    np.testing.assert_array_equal(np.isfinite(here.vx), [True, True, False, False, False, False])
    np.testing.assert_array_equal(here.flags[2:], FLAGS["disconnected"])
    np.testing.assert_array_equal(found.flags[:2, 0, 0], FLAGS["no_pairs"])
    np.testing.assert_array_equal(found.flags[:2, 1, 1], FLAGS["no_pairs"])
    np.testing.assert_array_equal(found.n_pairs[:2, 1, 1], 1)
    assert np.isnan(found.vx[:, 0, 0]).all()
    for name in ("vy", "sigma_vx", "sigma_vy", "v", "direction"):
        assert not np.isfinite(found[name].where(np.isnan(found.vx))).any()


def test_a_pixel_that_lacks_the_first_date_has_its_other_intervals():
    shifts = made(ALL, sigma=0.1)
    shifts["dx"][ALL.min(1) == 0, :2] = np.nan
    found = xoffset.interval_velocity(shifts)
    np.testing.assert_allclose(found.vx[1:], 0.8 * SPEED[1:, None, None] * np.ones((5, 4, 5)), rtol=1e-9)
    assert np.isnan(found.vx[0, :2]).all()
    assert np.isfinite(found.vx[0, 2:]).all()


@pytest.mark.small
@pytest.mark.parametrize("islands", ["separate", "bridge"])
def test_a_series_that_lacks_the_reference_has_its_other_intervals(islands):
    shifts = made(ALL, of_dates=0.1)
    lacks = shifts.reference == shifts.reference.values[0]
    shifts["dx"], shifts["dy"] = shifts.dx.where(~lacks), shifts.dy.where(~lacks)
    found = xoffset.interval_velocity(xoffset.invert(shifts, reference=shifts.reference.values[0], islands=islands))
    assert np.isnan(found.vx[0]).all()
    assert (found.flags[0] > 0).all()
    assert (found.flags[1:] == 0).all()
    whole = xoffset.interval_velocity(xoffset.invert(shifts))
    np.testing.assert_allclose(found.vx[1:], whole.vx[1:], atol=1e-9)


def test_without_standard_errors_all_pairs_weigh_alike():
    shifts = made(ALL, of_pairs=0.3, shape=(20, 20))
    shifts["sigma_dx"][:, :10] = np.nan
    found = xoffset.interval_velocity(shifts)
    z = ((found.vx - 0.8 * xr.DataArray(SPEED, dims="interval")) / found.sigma_vx)[:, :10]
    assert 0.85 < float(z.std()) < 1.2
    lone = made(CHAIN, sigma=np.nan)
    assert np.isfinite(xoffset.interval_velocity(lone).vx).all()
    assert np.isnan(xoffset.interval_velocity(lone).sigma_vx).all()


def test_one_wrong_pair_is_outvoted():
    shifts = made(ALL, of_dates=0.05, of_pairs=0.02)
    shifts["dx"][3] += 20.0
    error = xoffset.interval_velocity(shifts).vx - 0.8 * xr.DataArray(SPEED, dims="interval")
    assert float(abs(error * xr.DataArray(np.diff(PHOTOGRAPHS), dims="interval")).max()) < 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_change_no_bit(dtype):
    shifts = made(ALL, of_dates=0.2, of_pairs=0.1, shape=(9, 11)).astype(dtype)
    rng = np.random.default_rng(2)
    shifts["dx"] = shifts.dx.where(rng.random(shifts.dx.shape) > 0.4)
    expected = xoffset.interval_velocity(shifts)
    assert expected.vx.dtype == dtype
    assert np.isnan(expected.vx).any()
    for chunks in ({"pair": 4, "y": 2, "x": 3}, {"pair": -1, "y": 9, "x": 1}):
        found = xoffset.interval_velocity(shifts.chunk(chunks))
        assert found.vx.chunks
        xr.testing.assert_identical(found.compute(), expected)


def test_exports(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    found = xoffset.interval_velocity(made(ALL, sigma=0.1))
    found.offset.to_geotiff(tmp_path / "maps", variables=["vx"])
    with rasterio.open(tmp_path / "maps" / "vx.tif") as file:
        assert file.count == 6
        assert file.descriptions[0] == "/".join(
            each.item().isoformat()
            for each in (found.reference.values[0].astype("M8[us]"), found.secondary.values[0].astype("M8[us]"))
        )
        assert file.tags(2)["baseline"] == str(float(found.baseline[1]))
        np.testing.assert_array_equal(file.read(1), found.vx[0])
    found.to_zarr(tmp_path / "intervals.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "intervals.zarr").load(), found)
    assert set(found.to_dataframe().reset_index()) >= {"reference", "secondary", "vx", "sigma_vx", "n_pairs", "flags"}


# ------------------------------------------------------------------------------------------------- yearly_velocity


def test_yearly_velocity_says_what_it_needs():
    with pytest.raises(
        ValueError, match=r"single calendar years.*3\.0 to 69\.9 years.*71 years.*interval_velocity\(\)"
    ):
        xoffset.yearly_velocity(made(ALL, sigma=0.1))


def test_yearly_velocity_counts_the_years_that_it_does_not_tell(caplog):
    years = np.array([2000.0, 2000.5, 2001.0, 2010.0])
    shifts = made([(0, 1), (1, 2), (2, 3)], years=years, speed=np.ones(3), sigma=0.1)
    with caplog.at_level(logging.WARNING, "xoffset"):
        rate = xoffset.yearly_velocity(shifts, max_separation=None)
    told = np.isfinite(rate.vx).all(("y", "x")).values
    assert told.any()
    assert f"{(~told).sum()} of the {told.size} years" in caplog.text


# ------------------------------------------------------------------------------------------------------ pair_share


def test_a_share_is_never_more_than_all():
    """Pairs that scatter five times as far as they say, and pairs without standard errors in metres."""
    shifts = made(ALL, of_pairs=5.0, sigma=1.0)
    assert float(xoffset.invert(shifts).pair_share.max()) == 1.0
    np.testing.assert_array_equal(
        xoffset.invert(shifts.assign(sigma_dx=shifts.sigma_dx * np.nan), weights="uniform").pair_share, 1.0
    )


@pytest.mark.data
def test_a_rock_glacier_between_aerial_photographs(data_folder):
    """The lobe is known to have sped up after 2010: the fastest of it by interval, m/yr."""
    folder, years = data_folder / "kaiserberg_rock_glacier", (2003, 2010, 2015, 2020, 2023)
    paths = [folder / f"ortho_{year}.tif" for year in years]
    stack = xoffset.open_stack(paths, date=[f"{year}-08-01" for year in years])[:, 200:640, 660:1180]
    shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), template=48, step=24, search=24)
    found = xoffset.interval_velocity(shifts.offset.screen())
    fastest = [float(np.nanquantile(each, 0.96)) for each in found.v]
    np.testing.assert_allclose(fastest, [1.16, 1.61, 1.62, 1.55], rtol=0.12)
    assert (found.sigma_vx.median(("y", "x")) < 0.02).all()
