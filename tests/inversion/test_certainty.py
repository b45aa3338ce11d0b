"""What an inversion must not hide: smeared steps, references that the moving ground lacks, locked pairs."""

import numpy as np
import pytest
import reference_inversion as twin
import xarray as xr

import xoffset
from xoffset._arrays.networks import solver
from xoffset.model import products
from xoffset.model.flags import flagged

START = np.datetime64("2020-01-01", "us")


def up_to(days, most):
    """Pairs (pair, 2) of dates at most so many days apart."""
    first, second = np.triu_indices(days.size, 1)
    near = days[second] - days[first] <= most
    return np.stack([first[near], second[near]], axis=1)


def shifts_of(days, truth, ends, pixels, sd=0.05, own=0.005, seed=0, is_locked=None):
    """Shifts of a motion (date, 2) with noise of each date and pair; is_locked (pair, pixel): those tell none."""
    generator = np.random.default_rng(seed)
    of_dates = sd * generator.standard_normal((days.size, 2, pixels))
    moved = (truth[ends[:, 1]] - truth[ends[:, 0]])[:, :, None] * np.ones(pixels)
    if is_locked is not None:
        moved = np.where(is_locked[:, None], 0.0, moved)
    moved += of_dates[ends[:, 1]] - of_dates[ends[:, 0]] + own * generator.standard_normal(moved.shape)
    sigma = np.full((len(ends), 1, pixels), np.sqrt(2.0 * sd**2 + own**2))
    fields = {"dx": moved[:, :1], "dy": moved[:, 1:], "sigma_dx": sigma, "sigma_dy": sigma}
    dates = START + (days * 86400e6).astype("m8[us]")
    network = products.network(dates[ends[:, 0]], dates[ends[:, 1]])
    x = 10.0 * np.arange(pixels)
    return products.shifts(fields, network, x=x, y=np.zeros(1), like=xr.DataArray(0.0), step={"function": "test"})


def both(motion):
    return np.stack([motion, 0.5 * motion], axis=1)


def centred(values):
    return values - values.mean(axis=0)


def errors(series, truth):
    """Of dx (date, pixel), and sigma, relative to the mean of the dates."""
    return centred(series.dx.values[:, 0]) - centred(truth)[:, None], series.sigma_dx.values[:, 0]


# ---------------------------------------------------------------------------------------------------------- smoothness

DAYS = 15.0 * np.arange(24)
YEARS = DAYS / 365.25
MIDDLE = slice(9, 15)


def test_a_step_is_not_smeared():
    truth = 2.0 * YEARS + 20.0 * (np.arange(24) >= 12)
    shifts = shifts_of(DAYS, both(truth), up_to(DAYS, 45.0), 60)
    error, sigma = errors(xoffset.invert(shifts, smooth="gcv"), truth)
    assert np.abs(error).max() < 0.3
    assert np.mean(np.abs(error) < 1.96 * sigma) > 0.93


@pytest.mark.parametrize(("step", "least"), [(0.2, 0.8), (0.4, 0.9), (1.0, 0.9)])
def test_sigma_holds_beside_a_step(step, least):
    truth = 2.0 * YEARS + step * (np.arange(24) >= 12)
    shifts = shifts_of(DAYS, both(truth), up_to(DAYS, 45.0), 120)
    error, sigma = errors(xoffset.invert(shifts, smooth="gcv"), truth)
    assert np.mean(np.abs(error) < 1.96 * sigma) > 0.93
    assert np.mean((np.abs(error) < 1.96 * sigma)[MIDDLE]) > least


@pytest.mark.parametrize("motion", ["line", "season"])
def test_smooth_ground_keeps_its_benefit(motion):
    truth = 2.0 * YEARS if motion == "line" else 0.3 * np.sin(2.0 * np.pi * YEARS)
    shifts = shifts_of(DAYS, both(truth), up_to(DAYS, 45.0), 120)
    plain, _ = errors(xoffset.invert(shifts), truth)
    series = xoffset.invert(shifts, smooth="gcv")
    error, sigma = errors(series, truth)
    assert error.std() < (0.5 if motion == "line" else 0.7) * plain.std()
    assert np.mean(np.abs(error) < 1.96 * sigma) > 0.95
    assert np.sqrt(np.mean(sigma**2)) < 1.8 * error.std()
    assert not flagged(series, "oversmoothed").any()


@pytest.mark.parametrize("motion", ["step", "season"])
def test_a_strength_that_is_too_high_is_flagged_and_widens_sigma(motion):
    truth = 1.0 * (np.arange(24) >= 12) if motion == "step" else 0.5 * np.sin(2.0 * np.pi * YEARS)
    shifts = shifts_of(DAYS, both(truth), up_to(DAYS, 45.0), 60)
    series = xoffset.invert(shifts, smooth=30.0)
    error, sigma = errors(series, truth)
    is_told = flagged(series, "oversmoothed").values[:, 0]
    assert np.abs(error).max() > 5.0 * 0.05
    assert np.mean(is_told) > 0.2
    assert (is_told | (np.abs(error) < 3.0 * sigma)).all()
    assert np.mean(np.abs(error) < 1.96 * sigma) > 0.95
    assert np.isfinite(series.dx).all()


def test_one_component_alone_may_step():
    truth = np.stack([1.0 * (np.arange(24) >= 12), np.zeros(24)], axis=1)
    shifts = shifts_of(DAYS, truth, up_to(DAYS, 45.0), 60)
    error, sigma = errors(xoffset.invert(shifts, smooth="gcv"), truth[:, 0])
    assert np.mean((np.abs(error) < 1.96 * sigma)[MIDDLE]) > 0.9


def test_without_standard_errors_the_difference_is_in_sigma():
    truth = 20.0 * (np.arange(24) >= 12)
    shifts = shifts_of(DAYS, both(truth), up_to(DAYS, 45.0), 30, own=0.05)
    for name in ("sigma_dx", "sigma_dy"):
        shifts[name].values[:] = np.nan
    error, sigma = errors(xoffset.invert(shifts, smooth=10.0, weights="uniform"), truth)
    assert np.abs(error).max() > 3.0
    assert (np.abs(error) < 3.0 * sigma).all()


# ----------------------------------------------------------------------------------------------------------- reference


def with_gaps(seed=0, pixels=17):
    """A network with holes of any kind, islands among them."""
    generator = np.random.default_rng(seed)
    days = np.cumsum(generator.integers(5, 60, 8)).astype(float)
    ends = up_to(days, 110.0)
    shifts = shifts_of(days, both(days / 100.0), ends, pixels)
    shifts["dx"].values[generator.random(shifts.dx.shape) < 0.55] = np.nan
    return shifts, ends


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lanes", [5, 128])
def test_values_known_with_each_reference_are_counted(seed, lanes, monkeypatch):
    shifts, ends = with_gaps(seed)
    monkeypatch.setattr(solver, "NARROW", lanes)
    fields = [shifts[name].values for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    kept = solver.kept(*fields, setup=solver.Setup(ends, np.arange(8.0)))
    expected = twin.kept_values(ends, np.isfinite(shifts.dx.values[:, 0]), 8)
    np.testing.assert_array_equal(kept[0], expected)
    known = [np.isfinite(xoffset.invert(shifts, reference=date).dx).sum() for date in np.unique(shifts.reference)]
    np.testing.assert_array_equal(kept[0][: len(known)], known)
    series = xoffset.invert(shifts)
    assert np.isfinite(series.dx).sum() == expected.max()


def test_the_reference_is_a_date_that_the_moving_ground_has():
    days = np.array([0.0, 365.0, 381.0, 396.0])
    ends = up_to(days, 1e4)
    shifts = shifts_of(days, both(days / 10.0), ends, 12)
    # a quarter of the places lacks the first date, which has as many pairs as any
    shifts["dx"].values[(ends == 0).any(axis=1), :, 9:] = np.nan
    series = xoffset.invert(shifts)
    assert series.attrs["reference"] == str(START + np.timedelta64(365, "D"))
    assert np.isfinite(series.dx[1:]).all()
    assert "better_reference" not in series.attrs
    given = xoffset.invert(shifts, reference=START)
    assert given.attrs["better_reference"] == series.attrs["reference"]


def test_of_dates_that_lose_alike_the_moving_ground_has_a_say():
    days = 30.0 * np.arange(4)
    shifts = shifts_of(days, both(days), np.array([(0, 1), (2, 3)]), 2)
    # the first place rests and has two dates, the other moves and has two others
    for name in ("dx", "dy"):
        shifts[name].values[0, 0, 0] = 0.0
        shifts[name].values[1, 0, 0] = shifts[name].values[0, 0, 1] = np.nan
    assert xoffset.invert(shifts).attrs["reference"] == str(START + np.timedelta64(60, "D"))


def refuse(*_, **__):
    raise AssertionError("computed early")


@pytest.mark.parametrize(
    "options", [{}, {"islands": "separate"}, {"smooth": "gcv"}, {"weights": "map", "stable": True}]
)
def test_lazy_shifts_find_the_same_reference_when_computed(options):
    import dask

    shifts, _ = with_gaps(1, 64)
    shifts = xr.concat([shifts] * 3, "y").assign_coords(y=10.0 * np.arange(3))
    options = dict(options)
    if options.pop("stable", False):
        options["stable"] = xr.DataArray(np.ones((3, 64), bool), dims=("y", "x"), coords={"y": shifts.y, "x": shifts.x})
        options["weights"] = xr.DataArray(np.where(shifts.dx > 1.0, 0.0, 1.0), dims=shifts.dx.dims)
    expected = xoffset.invert(shifts, **options)
    # the dates stay loaded
    cut = {"pair": 3, "x": 7, "y": 2}
    fields = shifts.assign({name: shifts[name].copy(data=shifts[name].chunk(cut).data) for name in shifts.data_vars})
    with dask.config.set(scheduler=refuse):
        lazy = xoffset.invert(fields, **options)
    assert lazy.attrs["reference"].startswith("the date with which the fewest values are lost")
    xr.testing.assert_identical(lazy.compute().drop_attrs(deep=False), expected.drop_attrs(deep=False))


@pytest.mark.parametrize("islands", ["separate", "bridge"])
def test_a_place_without_the_reference_keeps_its_series(islands):
    days = 100.0 * np.arange(7)
    ends = up_to(days, 300.0)
    rate = 2.0
    shifts = shifts_of(days, both(rate * days / 365.25), ends, 4, sd=1e-4, own=1e-5)
    is_across = (ends[:, 0] < 4) & (ends[:, 1] >= 4)
    # one lacks the first date, one two dates and is torn, one everything
    shifts["dx"].values[(ends == 0).any(axis=1), :, 1:] = np.nan
    shifts["dx"].values[is_across, :, 2] = np.nan
    shifts["dx"].values[:, :, 3] = np.nan
    series = xoffset.invert(shifts, islands=islands, reference=START)
    dx, truth = series.dx.values[:, 0], rate * days / 365.25
    own, bridged, apart = (flagged(series, name).values[:, 0] for name in ("no_reference", "bridged", "disconnected"))
    assert not own[:, 0].any()
    assert own[1:, 1].all()
    assert own[1:4, 2].all()
    assert not own[4:, 2].any()
    assert own[:, 3].all()
    assert np.isnan(dx[:, 3]).all()
    if islands == "bridge":
        np.testing.assert_allclose(dx[1:, 1:3], np.stack([truth[1:]] * 2, axis=1), atol=0.01)
        assert bridged[1:, 1:3].all()
    else:
        np.testing.assert_allclose(dx[1:, 1], truth[1:] - truth[1], atol=0.01)
        np.testing.assert_allclose(dx[1:4, 2], truth[1:4] - truth[1], atol=0.01)
        np.testing.assert_allclose(dx[4:, 2], truth[4:] - truth[4], atol=0.01)
        assert apart[4:, 2].all()
    # a slope needs no reference
    velocity = xoffset.velocity(series)
    np.testing.assert_allclose(velocity.vx[0, :3], rate, atol=0.01)
    assert np.isfinite(velocity.sigma_vx[0, :3]).all()
    # and another reference puts it right
    moved = xoffset.rereference(series, START + np.timedelta64(200, "D"))
    np.testing.assert_allclose(moved.dx[1:4, 0, :3], np.stack([truth[1:4] - truth[2]] * 3, axis=1), atol=0.01)
    assert not moved.flags[1:4, 0, :3].any()
    # displacements of places with different zeros are not compared
    wide = series.isel(x=slice(0, 3), y=[0] * 3).assign_coords(y=10.0 * np.arange(3))
    exx = xoffset.strain(wide).exx
    assert np.isnan(exx[4]).all() or islands == "bridge"


# --------------------------------------------------------------------------------------------------------- locked pairs


def surging(seed, loss, locked):
    """A glacier at rest that surges by a kilometre, some of whose long pairs hold on to what stays."""
    days = 12.0 * np.arange(50)
    truth = both(5.0 * np.clip(days - 300.0, 0.0, 200.0))
    ends = up_to(days, 400.0)
    generator = np.random.default_rng(seed)
    ends = ends[np.sort(generator.choice(len(ends), 600, replace=False))]
    is_long = days[ends[:, 1]] - days[ends[:, 0]] > 60.0
    is_locked = (generator.random((len(ends), 20)) < locked) & is_long[:, None]
    shifts = shifts_of(days, truth, ends, 20, sd=1.0, own=1.0, seed=seed, is_locked=is_locked)
    series = xoffset.invert(shifts, loss=loss, reference=START)
    return np.abs(series.dx.values[:, 0] - truth[:, :1]).max(axis=0), flagged(series, "inconsistent").any("time")


@pytest.mark.parametrize("loss", ["huber", "tukey", "l1"])
def test_locked_pairs_are_told(loss):
    error, is_told = surging(0, loss, 0.7)
    assert np.nanmin(error) > 200.0
    assert is_told.all()
    error, is_told = surging(0, loss, 0.0)
    assert np.nanmax(error) < 10.0
    assert not is_told.any()


@pytest.mark.parametrize("loss", ["linear", "huber", "tukey", "l1"])
def test_consistent_ground_is_not_called_inconsistent(loss):
    days = 12.0 * np.arange(30)
    ends = up_to(days, 200.0)
    truth = both(4.0 * np.sin(days / 50.0) + (days / 100.0) ** 2)
    shifts = shifts_of(days, truth, ends, 1500, sd=0.3, own=0.3)
    generator = np.random.default_rng(3)
    is_wild = generator.random(shifts.dx.shape) < 0.1
    for name in ("dx", "dy"):
        shifts[name].values[:] += is_wild * generator.uniform(-30.0, 30.0, shifts.dx.shape)
        # and standard errors that are too small
        shifts[f"sigma_{name}"].values[:] *= 0.4
    series = xoffset.invert(shifts, loss=loss)
    assert float(flagged(series, "inconsistent").any("time").mean()) < 0.001
