"""Errors of the reference of whole pairs: what a correction does not know, carried on to series, rates and events."""

import inspect
import logging

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from test_standard_errors import DATES, series_of, shifts_of

import xoffset
from xoffset.model import carried_errors
from xoffset.model.flags import FLAGS

NUMBER = 10
ENDS = np.array([(i, j) for i in range(NUMBER) for j in range(i + 1, min(i + 4, NUMBER))])
YEARS = np.arange(NUMBER) * 20.0 / 365.25
EVENT = str(DATES[5])
OF_DATE = 0.3


def incidence():
    lever = np.zeros((len(ENDS), NUMBER))
    lever[np.arange(len(ENDS)), ENDS[:, 0]], lever[np.arange(len(ENDS)), ENDS[:, 1]] = -1.0, 1.0
    return lever


def shifts(of_date=OF_DATE, *, maps=1, side=4, noise=0.2):
    """Shifts whose dates err by `noise` at every node, and by `of_date` as a whole; some maps one below the other."""
    generator = np.random.default_rng(0)
    of_date = np.broadcast_to(of_date, NUMBER)
    whole = np.repeat(generator.standard_normal((2, NUMBER, maps, 1)) * of_date[:, None, None], side, axis=2)
    error = noise * generator.standard_normal((2, NUMBER, maps * side, side)) + whole
    found = shifts_of(error[:, ENDS[:, 1]] - error[:, ENDS[:, 0]], ENDS, noise * np.sqrt(2.0))
    sigma = np.hypot(of_date[ENDS[:, 0]], of_date[ENDS[:, 1]])
    return found.assign(sigma_shift=("pair", sigma, {"units": "m"}))


def twin(terms, of_date=OF_DATE):
    """Standard error of each parameter of terms (date, term) by the error of all dates as wholes."""
    design = incidence() @ terms
    estimator = np.linalg.pinv(design)
    return of_date * np.sqrt(((estimator @ incidence()) ** 2).sum(axis=1))


STEP = (np.arange(NUMBER) >= 5).astype(float)
# function, component, sigma_shift as the twin tells it
CASES = {
    "velocity": (xoffset.velocity, "vx", lambda: twin(YEARS[:, None])[0]),
    "mean_velocity": (xoffset.mean_velocity, "vx", lambda: twin(YEARS[:, None])[0]),
    "mean_displacement": (
        xoffset.mean_displacement,
        "dx",
        lambda: OF_DATE * np.sqrt((incidence().mean(axis=0) ** 2).sum()),
    ),
    "coseismic": (lambda data: xoffset.coseismic(data, EVENT), "dx", lambda: twin(STEP[:, None])[0]),
    "decompose": (xoffset.decompose, "vx", lambda: twin(YEARS[:, None])[0]),
    "velocity of a series": (
        lambda data: xoffset.velocity(xoffset.invert(data)),
        "vx",
        lambda: OF_DATE / np.sqrt(((YEARS - YEARS.mean()) ** 2).sum()),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_shared_errors_are_those_of_the_twin(name):
    function, component, expected = CASES[name]
    data = shifts()
    found, plain = function(data), function(data.drop_vars("sigma_shift"))
    assert found.sigma_shift.dims == ()
    assert found.sigma_shift.attrs["units"] == found[component].attrs["units"]
    np.testing.assert_allclose(found.sigma_shift, expected(), rtol=1e-5)
    assert "sigma_shift" not in plain
    # vectors whose weights are all alike stay where they are
    if name in ("mean_displacement", "mean_velocity"):
        np.testing.assert_allclose(found[component], plain[component], rtol=1e-9)
        total = np.hypot(plain[f"sigma_{component}"], found.sigma_shift)
        np.testing.assert_allclose(found[f"sigma_{component}"], total, rtol=0.05)


OF_PAIR = 0.4


def with_own(data):
    """Pairs that err by themselves, beside their dates, as told by a correction."""
    names = {"sigma_shift_dates": data.sigma_shift.values, "sigma_shift_own": np.full(len(ENDS), OF_PAIR)}
    parts = {name: ("pair", values, {"units": "m"}) for name, values in names.items()}
    total = np.hypot(data.sigma_shift, OF_PAIR).assign_attrs(units="m")
    return data.assign(parts).assign(sigma_shift=total)


def test_errors_of_the_pairs_themselves_are_added_pair_by_pair():
    data = with_own(shifts())
    estimator = np.linalg.pinv(incidence() @ YEARS[:, None])[0]
    expected = np.hypot(twin(YEARS[:, None])[0], OF_PAIR * np.sqrt((estimator**2).sum()))
    for function in (xoffset.velocity, xoffset.decompose, xoffset.mean_velocity):
        np.testing.assert_allclose(function(data).sigma_shift, expected, rtol=1e-5)
    mean = np.hypot(OF_DATE * np.sqrt((incidence().mean(axis=0) ** 2).sum()), OF_PAIR / np.sqrt(len(ENDS)))
    np.testing.assert_allclose(xoffset.mean_displacement(data).sigma_shift, mean, rtol=1e-5)
    order = np.random.default_rng(0).permutation(len(ENDS))
    np.testing.assert_allclose(xoffset.velocity(data.isel(pair=order)).sigma_shift, expected, rtol=1e-5)
    lazy = xoffset.velocity(data.chunk({"pair": 5, "y": 2}))
    assert lazy.sigma_shift.chunks is not None
    xr.testing.assert_equal(lazy.compute(), xoffset.velocity(data))


def test_of_many_pairs_they_are_drawn_by_lot(monkeypatch):
    data = with_own(shifts())
    exact = float(xoffset.velocity(data).sigma_shift)
    monkeypatch.setattr(carried_errors, "PROBES", 20)
    np.testing.assert_allclose(xoffset.velocity(data).sigma_shift, exact, rtol=0.3)


def test_they_pile_up_in_a_series():
    data = with_own(shifts())
    lever = YEARS - YEARS.mean()
    lever = lever / (lever @ lever)
    of_pairs = lever @ np.linalg.pinv(incidence())
    expected = np.hypot(OF_DATE * np.linalg.norm(lever), OF_PAIR * np.linalg.norm(of_pairs))
    series = xoffset.invert(data)
    assert series.sigma_shift_drift.dims == ()
    found = xoffset.velocity(series)
    np.testing.assert_allclose(found.sigma_shift, expected, rtol=0.02)
    # without knowing, the pairs count as their dates
    assert xoffset.velocity(xoffset.invert(data.drop_vars("sigma_shift_own"))).sigma_shift < 0.9 * expected
    assert (found.sigma_vx > found.sigma_shift).all()
    xr.testing.assert_equal(
        xoffset.invert(data.chunk({"pair": 5})).compute().sigma_shift_drift, series.sigma_shift_drift
    )
    pairs = xoffset.velocity(data).sigma_shift
    np.testing.assert_allclose(found.sigma_shift, pairs, rtol=0.1)


def test_what_no_pair_tells_does_not_pile_up():
    data = with_own(shifts())
    unknown = data.assign({name: data[name] * np.nan for name in data if name.startswith("sigma_shift")})
    for given in (unknown, unknown.chunk({"pair": 5})):
        assert np.isnan(xoffset.invert(given).compute().sigma_shift_drift)


def test_intervals_and_years_have_their_own():
    data = shifts()
    intervals = xoffset.interval_velocity(data).sigma_shift
    assert intervals.dims == ("interval",)
    np.testing.assert_allclose(intervals, OF_DATE * np.sqrt(2.0) / (20.0 / 365.25), rtol=1e-5)
    years = xoffset.yearly_velocity(data)
    assert years.sigma_shift.dims == ("year",)
    assert (years.sigma_shift > 0.0).all()


def test_each_parameter_has_its_own():
    data = shifts()
    found = xoffset.decompose(data, acceleration=True, steps=[EVENT])
    moment = YEARS - YEARS.mean()
    expected = twin(np.stack([moment, 0.5 * moment**2, STEP], axis=1))
    told = [found.sigma_shift, found.sigma_shift_a, found.sigma_shift_step.isel(step=0)]
    np.testing.assert_allclose(told, expected, rtol=1e-4)
    assert found.sigma_shift_step.dims == ("step",)
    event = xoffset.coseismic(data, EVENT, trend=True)
    expected = twin(np.stack([STEP, moment], axis=1))
    np.testing.assert_allclose([event.sigma_shift, event.sigma_shift_v], expected, rtol=1e-4)
    searched = xoffset.decompose(xoffset.invert(data), steps="search")
    assert "sigma_shift" in searched
    assert "sigma_shift_step" not in searched


@pytest.mark.parametrize("function", [xoffset.velocity, lambda data: xoffset.velocity(xoffset.invert(data))])
def test_total_and_shared_errors_cover_what_is_seen(function):
    of_date = np.linspace(0.1, 0.5, NUMBER)
    found = function(shifts(of_date, maps=100))
    maps = np.stack([found.vx, found.vy]).reshape(2, 100, 16)
    whole = maps.mean(axis=2, keepdims=True)
    of_node = np.sqrt((found.sigma_vx**2 - found.sigma_shift**2).clip(0.0)).median()
    assert 0.8 < (found.vx / found.sigma_vx).std() < 1.1
    assert 0.85 < whole.std() / found.sigma_shift < 1.15
    assert 0.85 < (maps - whole).std() / of_node < 1.15


def test_dates_have_the_shares_of_their_pairs():
    of_date = np.linspace(0.1, 0.5, NUMBER)
    series = xoffset.invert(shifts(of_date))
    assert series.sigma_shift.dims == ("time",)
    np.testing.assert_allclose(series.sigma_shift, of_date, atol=0.03)
    other = xoffset.rereference(series, str(DATES[3]))
    xr.testing.assert_equal(other.sigma_shift, series.sigma_shift)
    between = xoffset.resample(series, [str(DATES[2]), str(DATES[2] + np.timedelta64(10, "D"))]).sigma_shift.values
    near = series.sigma_shift.values[2:4]
    np.testing.assert_allclose(between, [near[0], 0.5 * np.hypot(*near)], rtol=1e-6)


def test_a_pair_and_its_reverse_count_as_one():
    data = shifts()
    turned = data.assign_coords(reference=("pair", data.secondary.values), secondary=("pair", data.reference.values))
    turned = turned.assign(dx=-data.dx, dy=-data.dy)
    both = xr.concat([data, turned], dim="pair").drop_vars("baseline")
    np.testing.assert_allclose(xoffset.velocity(both).sigma_shift, xoffset.velocity(data).sigma_shift, rtol=1e-5)
    np.testing.assert_allclose(xoffset.invert(both).sigma_shift, xoffset.invert(data).sigma_shift, rtol=1e-5)


def test_a_pair_that_is_badly_referenced_loses_its_weight():
    data = shifts(0.02, noise=0.05)
    data["dx"][-1] += 8.0
    sigma = data.sigma_shift.copy()
    sigma[-1] = 8.0
    found = xoffset.velocity(data.assign(sigma_shift=sigma), loss="linear")
    plain = xoffset.velocity(data, loss="linear")
    assert abs(plain.vx).min() > 4.0 * abs(found.vx).max()
    # an unknown error takes it out
    sigma[-1] = np.nan
    left = xoffset.velocity(data.assign(sigma_shift=sigma))
    without = xoffset.velocity(data.isel(pair=slice(-1)))
    np.testing.assert_array_equal(left.vx, without.vx)
    np.testing.assert_allclose(left.sigma_shift, without.sigma_shift, rtol=1e-4)
    assert (left.n_pairs == len(ENDS) - 1).all()


def weighed(data, variance):
    """Displacement along x (date, rows, columns) since the first date by least squares with the variances of pairs."""
    design = incidence()[:, 1:] / np.sqrt(variance)[:, None]
    observed = data.dx.values.reshape(len(ENDS), -1) / np.sqrt(variance)[:, None]
    found = np.linalg.lstsq(design, observed, rcond=None)[0]
    return np.concatenate([np.zeros((1, found.shape[1])), found]).reshape(NUMBER, *data.dx.shape[1:])


@pytest.mark.parametrize("weights", ["sigma", "baseline"])
def test_series_weigh_pairs_by_their_total_errors(weights):
    data = shifts(0.02, noise=0.05)
    data["dx"][5] += 8.0
    sigma = data.sigma_shift.copy()
    sigma[5] = 8.0
    data = data.assign(sigma_shift=sigma)
    options = {"loss": "linear", "weights": weights, "reference": DATES[0]}
    series = xoffset.invert(data, **options)
    factor = 1.0 if weights == "sigma" else np.diff(ENDS, axis=1)[:, 0]
    total = factor * (data.sigma_dx.values[:, 0, 0] ** 2 + sigma.values**2)
    np.testing.assert_allclose(series.dx, weighed(data, total), atol=1e-6)
    assert abs(series.dx).max() < 0.5 < 0.3 * abs(weighed(data, total * 0.0 + 1.0)).max()
    lazy = xoffset.invert(data.chunk({"pair": 4, "y": 3, "x": 2}), **options)
    xr.testing.assert_equal(lazy.compute(), series)
    # whoever tells weights of his own has them
    own = xoffset.invert(data, weights="uniform", loss="linear", reference=DATES[0])
    np.testing.assert_allclose(own.dx, weighed(data, total * 0.0 + 1.0), atol=1e-6)
    alone = data.assign(sigma_dx=data.sigma_dx.where(data.pair != 3), sigma_dy=data.sigma_dy.where(data.pair != 3))
    np.testing.assert_array_equal(
        xoffset.invert(alone, **options).dx, xoffset.invert(alone.where(alone.pair != 3), **options).dx
    )


def test_shared_errors_that_change_no_weight_change_no_bit():
    for of_date in (0.02, 0.3):
        data = shifts(of_date)
        plain = xoffset.invert(data.drop_vars("sigma_shift"))
        xr.testing.assert_equal(xoffset.invert(data).drop_vars("sigma_shift"), plain)


@pytest.mark.parametrize("of_date", [0.02, np.linspace(0.02, 0.6, NUMBER)])
def test_errors_of_series_hold_whatever_pairs_share(of_date):
    data = shifts(of_date, maps=60)
    series = xoffset.invert(data, reference=DATES[0])
    maps = np.stack([series.dx, series.dy])[:, 1:].reshape(2, NUMBER - 1, 60, 16)
    whole = maps.mean(axis=3, keepdims=True)
    sigma = np.hypot(series.sigma_dx[1:], series.sigma_dx[0]).values.reshape(NUMBER - 1, 60, 16)
    shared = np.hypot(series.sigma_shift[1:], series.sigma_shift[0]).values
    assert 0.85 < ((maps - whole) / sigma).std() < 1.1
    noise = 0.2 * np.sqrt(2.0) / 4.0
    assert 0.85 < (whole[..., 0] / np.hypot(shared, noise)[:, None]).std() < 1.15


# ---------------------------------------------------------------------------- pairs that a correction left as they were

# no pair but those that a correction left leads over the middle
LEFT = (ENDS[:, 0] < 5) & (ENDS[:, 1] >= 5)
TAKING_PAIRS = {
    "invert": lambda data: xoffset.invert(data, reference=DATES[0]),
    "velocity": xoffset.velocity,
    "mean_velocity": xoffset.mean_velocity,
    "mpic": lambda data: xoffset.mean_velocity(data, estimator="mpic"),
    "mean_displacement": xoffset.mean_displacement,
    "decompose": xoffset.decompose,
    "interval_velocity": xoffset.interval_velocity,
    "yearly_velocity": lambda data: xoffset.yearly_velocity(data, max_separation=None),
}


def with_left(how):
    """Ground that stands still, and images from the sixth on 5 m beside the others, which some pairs still hold."""
    data = shifts(0.02, noise=0.1)
    data["dx"][LEFT] += 5.0
    is_left = xr.DataArray(LEFT, dims="pair")
    if how == "unknown":
        return data.assign(sigma_shift=data.sigma_shift.where(~is_left))
    # what a fit knew of them that was not applied
    return data.assign(is_corrected=(~is_left).astype("int8"))


@pytest.mark.parametrize("how", ["left", "unknown"])
@pytest.mark.parametrize("name", TAKING_PAIRS)
def test_pairs_that_were_not_corrected_take_no_part(name, how, caplog):
    data = with_left(how)
    with caplog.at_level(logging.WARNING):
        found = TAKING_PAIRS[name](data)
    assert f"{LEFT.sum()} of {len(ENDS)} pairs were not corrected" in caplog.text
    without = TAKING_PAIRS[name](data.isel(pair=~LEFT))
    component = "dx" if "dx" in found else "vx"
    np.testing.assert_array_equal(found[component], without[component])
    np.testing.assert_array_equal(found[f"sigma_{component}"], without[f"sigma_{component}"])
    np.testing.assert_allclose(found.sigma_shift, without.sigma_shift, rtol=1e-6)
    lazy = TAKING_PAIRS[name](data.chunk({"pair": 4, "y": 3, "x": 2}))
    assert lazy[component].chunks is not None
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        xr.testing.assert_equal(lazy.compute(), found)
    assert "pairs were not corrected" in caplog.text


def test_dates_that_only_such_pairs_reach_are_apart():
    series = xoffset.invert(with_left("left"), reference=DATES[0])
    assert np.isnan(series.dx[5:]).all()
    assert ((series.flags[5:] & FLAGS["disconnected"]) != 0).all()
    assert abs(series.dx[:5]).max() < 1.0
    # whoever tells weights of his own does not bring them back
    weighed = xoffset.invert(with_left("left"), weights="uniform", reference=DATES[0])
    assert np.isnan(weighed.dx[5:]).all()


AT = (slice(None), 1, 2)
TAKING_NODES = TAKING_PAIRS | {
    "coseismic": lambda data: xoffset.coseismic(data, EVENT),
    "resample": lambda data: xoffset.resample(xoffset.invert(data, reference=DATES[0]), "25D"),
}


def with_left_node(left=LEFT):
    """Ground that stands still, and one node that is 5 m off in some pairs, and flagged there."""
    data = shifts(0.02, noise=0.1).assign(is_corrected=("pair", np.ones(len(ENDS), "int8")))
    data["dx"].values[AT] += 5.0 * left
    flags = np.zeros(data.dx.shape, "int64")
    flags[AT] = left * FLAGS["not_corrected"]
    return data.assign(flags=(data.dx.dims, flags))


@pytest.mark.parametrize("name", TAKING_NODES)
def test_nodes_that_were_not_corrected_take_no_part(name, caplog):
    data = with_left_node()
    with caplog.at_level(logging.WARNING):
        found = TAKING_NODES[name](data)
    assert f"{LEFT.sum()} vectors of single nodes" in caplog.text
    missing = data.drop_vars("flags")
    for component in ("dx", "dy"):
        missing[component].values[AT] = np.where(LEFT, np.nan, missing[component].values[AT])
    xr.testing.assert_equal(found, TAKING_NODES[name](missing))
    component = "dx" if "dx" in found else "vx"
    at_node = found[component][..., 1, 2]
    assert not (abs(at_node) > 3.0 * np.hypot(found[f"sigma_{component}"][..., 1, 2], 0.2)).any()
    if name not in ("invert", "velocity"):
        return
    lazy = TAKING_NODES[name](data.chunk({"pair": 4, "y": 3, "x": 2}))
    assert lazy[component].chunks is not None
    xr.testing.assert_equal(lazy.compute(), found)


@pytest.mark.parametrize("left", ["bridge", "first", "all"])
def test_dates_of_a_node_that_only_such_pairs_reach_are_apart(left):
    is_left = {"bridge": LEFT, "first": ENDS[:, 0] == 0, "all": np.ones(len(ENDS), bool)}[left]
    series = xoffset.invert(with_left_node(is_left), reference=DATES[1])
    lost = {"bridge": np.arange(NUMBER) >= 5, "first": np.arange(NUMBER) == 0, "all": np.ones(NUMBER, bool)}[left]
    name = {"bridge": "disconnected", "first": "no_pairs", "all": "no_reference"}[left]
    np.testing.assert_array_equal(np.isnan(series.dx[AT]), lost)
    assert ((series.flags[AT].values[lost] & (FLAGS[name] | FLAGS["no_pairs"])) != 0).all()
    assert abs(series.dx[AT]).max() < 1.0 or left == "all"
    assert np.isfinite(series.dx[:, 0, 0]).all()


def test_what_correct_does_not_know_of_nodes_gets_no_number():
    data = shifts(0.0, maps=6, noise=0.1)
    height = xr.DataArray(np.arange(24.0)[:, None] * 20.0 + np.zeros(4), dims=("y", "x"), coords=data.dx[0].coords)
    of_pair = xr.DataArray(YEARS[ENDS[:, 1]] - YEARS[ENDS[:, 0]], dims="pair")
    data["dx"] = data.dx + 0.1 * of_pair * height.drop_vars(("reference", "secondary"), errors="ignore")
    hole = height.where((height.y != height.y[12]) | (height.x != height.x[1]))
    options = {"stable": hole.notnull(), "dem": hole, "min_nodes": 20, "min_share": 0.0}
    corrected = xoffset.correct(data.drop_vars("sigma_shift"), **options)
    for found in (xoffset.invert(corrected).dx, xoffset.velocity(corrected).vx):
        is_known = np.isfinite(found).values.reshape(-1, 24, 4)
        assert not is_known[:, 12, 1].any()
        assert is_known.sum() == 95 * len(is_known)
        assert abs(found).max() < 3.0


def test_shifts_of_which_none_was_corrected_tell_nothing():
    data = shifts(0.02).assign(is_corrected=("pair", np.zeros(len(ENDS), "int8")))
    assert np.isnan(xoffset.velocity(data).vx).all()
    assert np.isnan(xoffset.invert(data).sigma_shift).all()
    alone = xoffset.velocity(data.drop_vars("sigma_shift"))
    assert np.isnan(alone.vx).all()
    assert "sigma_shift" not in alone


def test_what_was_corrected_keeps_every_bit():
    data = shifts()
    told = data.assign(is_corrected=("pair", np.ones(len(ENDS), "int8")))
    for function in (xoffset.invert, xoffset.velocity):
        xr.testing.assert_identical(function(told), function(data))
        plain = data.drop_vars("sigma_shift")
        xr.testing.assert_identical(function(told.drop_vars("sigma_shift")), function(plain))


@pytest.mark.parametrize("function", [xoffset.velocity, xoffset.invert])
def test_what_tells_of_the_correction_is_of_pairs(function):
    for told in (xr.DataArray(1), xr.DataArray(np.full(len(ENDS), "a"), dims="pair")):
        with pytest.raises(ValueError, match=r"needs 1 or 0 with the dim 'pair' in 'is_corrected'.*drop_vars"):
            function(shifts().assign(is_corrected=told))


# options that change what is fitted, or what is done with it, and not what a date weighs in the fit by the data
# (weights that are asked for stay the same when it is found out what the errors of dates do)
OF_THE_MODEL = {
    "acceleration", "block", "date", "epoch", "estimator", "exponential", "logarithmic", "postseismic", "seasonal",
    "seed", "semiannual", "sun", "trend", "weights",
}  # fmt: skip


def test_every_option_of_what_carries_them_is_known():
    """One that makes weights of the data would change what the errors of dates are found to do."""
    names = ("coseismic", "decompose", "interval_velocity", "mean_displacement", "mean_velocity", "velocity")
    functions = [getattr(xoffset, name) for name in (*names, "yearly_velocity")]
    options = {name for function in functions for name in [*inspect.signature(function).parameters][1:]}
    known = {*carried_errors.WITH_PLAIN_WEIGHTS, *carried_errors.TOLD_BY_DATA, *OF_THE_MODEL}
    assert options <= known, options - known
    assert known <= options, known - options


# ----------------------------------------------------------------------------------------------------- what is unknown


def test_unknown_errors_stay_unknown():
    data = shifts().assign(sigma_shift=("pair", np.full(len(ENDS), np.nan)))
    found = xoffset.velocity(data)
    assert np.isnan(found.sigma_shift)
    assert np.isfinite(found.vx).all()
    assert np.isnan(xoffset.invert(data).sigma_shift).all()


@pytest.mark.parametrize("name", ["mean_velocity", "velocity of a series"])
def test_lazy_shifts_give_the_same_bits(name):
    data, function = shifts(), CASES[name][0]
    for chunks in ({"y": 3, "x": 2}, {"pair": 5, "y": 4, "x": 4}):
        found = function(data.chunk(chunks))
        assert found.sigma_shift.chunks is not None
        xr.testing.assert_equal(found.compute(), function(data))


def test_points_and_no_error():
    data = shifts()
    points = data.isel(y=xr.DataArray([0, 2], dims="point"), x=xr.DataArray([1, 3], dims="point"))
    np.testing.assert_allclose(xoffset.velocity(points).sigma_shift, xoffset.velocity(data).sigma_shift, rtol=1e-6)
    nothing = xoffset.velocity(data.assign(sigma_shift=0.0 * data.sigma_shift))
    assert nothing.sigma_shift == 0.0
    xr.testing.assert_allclose(nothing.drop_vars("sigma_shift"), xoffset.velocity(data.drop_vars("sigma_shift")))


def test_units_are_minded():
    data = shifts()
    other = data.assign(sigma_shift=(100.0 * data.sigma_shift).assign_attrs(units="cm"))
    np.testing.assert_allclose(xoffset.velocity(other).sigma_shift, xoffset.velocity(data).sigma_shift, rtol=1e-6)


def test_units_must_be_stated_beside_others():
    data, names = shifts(), ("dx", "dy", "sigma_dx", "sigma_dy", "sigma_shift")
    feet = data.assign({name: (data[name] / 0.3048).assign_attrs(units="ft") for name in names})
    np.testing.assert_allclose(xoffset.velocity(feet).sigma_shift, xoffset.velocity(data).sigma_shift, rtol=1e-6)
    bare = feet.assign(sigma_shift=feet.sigma_shift.drop_attrs())
    for function in (xoffset.velocity, xoffset.invert):
        with pytest.raises(ValueError, match=r"needs units of 'sigma_shift' beside those of 'd[xy]', 'ft'"):
            function(bare)


def test_dates_that_were_made_of_others_are_no_evidence():
    series = xoffset.invert(shifts())
    smooth = xoffset.invert(shifts(), smooth=0.1)
    for each in (xoffset.resample(series, "5D"), xoffset.resample(series, "20D"), smooth):
        for function in (xoffset.velocity, xoffset.decompose, lambda data: xoffset.coseismic(data, EVENT)):
            found = function(each)
            assert np.isnan(found.sigma_shift)
        assert np.isnan(xoffset.interval_velocity(each).sigma_shift).all()


@pytest.mark.parametrize("function", [xoffset.velocity, xoffset.invert])
@pytest.mark.parametrize(
    ("sigma", "error", "match"),
    [
        (xr.DataArray(0.1), ValueError, "with the dim 'pair'"),
        (xr.DataArray(np.full(len(ENDS), "a"), dims="pair"), TypeError, "needs real numbers in 'sigma_shift'"),
        (xr.DataArray(np.ones(len(ENDS)), dims="pair", attrs={"units": "s"}), ValueError, "needs 'sigma_shift' in m"),
    ],
)
def test_errors_of_another_kind_are_refused(function, sigma, error, match):
    with pytest.raises(error, match=match):
        function(shifts().assign(sigma_shift=sigma))


# ------------------------------------------------------------------------------------------------- what is made of maps


def test_differences_within_a_map_do_not_have_them():
    rate = xoffset.velocity(shifts(noise=0.05, side=8))
    alone = rate.drop_vars("sigma_shift")
    found, plain = xoffset.strain(rate), xoffset.strain(alone)
    assert (found.sigma_exx / plain.sigma_exx).max() < 0.5
    np.testing.assert_array_equal(found.exx, plain.exx)
    still = xr.ones_like(rate.vx, dtype=bool)
    ratio = [xoffset.stable_statistics(each, still).sigma_ratio_vx for each in (rate, alone)]
    assert 0.6 < ratio[0] < 1.6
    assert ratio[1] < 0.5 * ratio[0]


def test_a_mean_of_an_area_keeps_them():
    rate = xoffset.velocity(shifts(noise=0.05, side=8)).rio.write_crs("EPSG:32632")
    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)]) * 70.0 - [1.0, 71.0]
    crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
    area = {"type": "Polygon", "coordinates": [square.tolist()], "crs": crs}
    mean = xoffset.area_mean(rate, area)
    assert rate.sigma_shift < mean.sigma_vx < 1.2 * rate.sigma_shift
    series = xoffset.invert(shifts(noise=0.05, side=8)).isel(time=[0, 4]).rio.write_crs("EPSG:32632")
    assert (xoffset.area_mean(series, area).sigma_dx > 0.9 * series.sigma_shift).all()


def test_paths_of_points_have_them():
    series = series_of(np.zeros((2, 6, 3, 3)), 0.1).assign(sigma_shift=("time", np.full(6, 0.4)))
    path, plain = (xoffset.trajectory(each, [(10.0, -10.0)]) for each in (series, series.drop_vars("sigma_shift")))
    ratio = (path.sigma_dx / plain.sigma_dx).values[0, 1:]
    np.testing.assert_allclose(ratio, np.hypot(0.1, 0.4) / 0.1, rtol=1e-6)


def test_they_are_kept_in_files(tmp_path):
    rate = xoffset.velocity(shifts())
    rate.to_zarr(tmp_path / "rate.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "rate.zarr").compute(), rate)
