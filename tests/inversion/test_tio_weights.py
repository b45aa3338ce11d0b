"""The inversion as TIO has it: one step of weights by residuals, and its smoothing, against its own equations."""

import numpy as np
import pytest
import reference_inversion as twin
import reference_tio as tio
import xarray as xr

import xoffset
from xoffset.model import products
from xoffset.model.dates import in_years

DATES = np.datetime64("2019-05-03T10:15", "us") + (np.array([0, 9, 31, 40, 77, 91, 120, 158]) * 86400e6).astype(
    "m8[us]"
)
ENDS = np.array([(i, j) for i in range(8) for j in range(i + 1, min(i + 5, 8))])
TIMES = in_years(DATES - DATES[0])
WEIGHT = (1.0 + (TIMES[ENDS[:, 1]] - TIMES[ENDS[:, 0]]) ** 2) ** -2.0


def observed(columns=7, seed=1):
    """Displacements (2, pair, columns) [m] of a motion that speeds up, with noise, blunders and holes."""
    rng = np.random.default_rng(seed)
    moved = np.stack([4.0 * TIMES**2, -2.0 * TIMES])
    found = (moved[:, ENDS[:, 1]] - moved[:, ENDS[:, 0]])[:, :, None] + rng.normal(0.0, 0.5, (2, len(ENDS), columns))
    found[:, rng.integers(len(ENDS), size=columns), np.arange(columns)] += 9.0
    found[:, rng.random((len(ENDS), columns)) < 0.1] = np.nan
    return found


def shifts_of(values, sigma=0.5, dtype=float):
    fields = dict(zip(("dx", "dy"), values[:, :, None, :].astype(dtype), strict=True))
    fields |= {name: np.full(fields["dx"].shape, sigma, dtype) for name in ("sigma_dx", "sigma_dy")}
    network = products.network(DATES[ENDS[:, 0]], DATES[ENDS[:, 1]])
    x = 80.0 * np.arange(values.shape[2])
    return products.shifts(fields, network, x=x, y=np.zeros(1), like=xr.DataArray(0.0), step={"function": "test"})


@pytest.mark.small
@pytest.mark.parametrize(("scale", "limit"), [(2.0, None), (0.4, 5.0), (100.0, 3.0)])
@pytest.mark.parametrize("weights", ["tio", "sigma"])
def test_weights_by_residuals_are_those_of_the_twin(weights, scale, limit):
    values = observed()
    series = xoffset.invert(
        shifts_of(values), weights=weights, loss="tio", reference="first", residual_scale=scale, residual_limit=limit
    )
    given = WEIGHT if weights == "tio" else np.full(len(ENDS), 4.0)
    for column in range(values.shape[2]):
        found = twin.invert(
            ENDS, values[:, :, column].T, np.full((len(ENDS), 2), 0.25), given, TIMES, [0], loss="tio",
            is_general=True, residuals=(scale, np.inf if limit is None else limit),
        )  # fmt: skip
        for axis, name in enumerate(("dx", "dy")):
            np.testing.assert_allclose(series[name][:, 0, column], found.displacement[:, axis], atol=1e-8)
            np.testing.assert_allclose(series[f"sigma_{name}"][:, 0, column] ** 2, found.variance[:, axis], rtol=1e-6)
        assert float(series.rms[0, column]) == pytest.approx(found.rms)


def test_residuals_in_metres_hold_blunders_off():
    values = observed()
    truth = 4.0 * TIMES**2
    errors = [
        float(abs(xoffset.invert(shifts_of(values), weights="tio", reference="first", **options).dx[:, 0]
                  - truth[:, None]).mean())
        for options in ({"loss": "linear"}, {"loss": "tio"}, {"loss": "tio", "residual_limit": 5.0})
    ]  # fmt: skip
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < errors[1]


def test_lazy_is_eager():
    shifts = shifts_of(observed(), dtype="f4")
    options = {"weights": "tio", "loss": "tio", "residual_limit": 5.0, "reference": "first", "smooth": 0.01}
    lazy = xoffset.invert(shifts.chunk(x=3), **options)
    xr.testing.assert_equal(lazy.compute(), xoffset.invert(shifts, **options))


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"residual_scale": 2.0}, "needs loss='tio' for residual_scale.*got loss='huber'"),
        ({"loss": "linear", "residual_limit": 2.0}, "needs loss='tio'"),
        ({"loss": "tio", "residual_scale": 0.0}, r"above 0 as residual_scale \[m\]"),
        ({"loss": "tio", "residual_limit": "5 m"}, r"above 0 as residual_limit \[m\]"),
    ],
)
def test_scales_that_say_nothing_are_refused(options, advice):
    with pytest.raises(ValueError, match=advice):
        xoffset.invert(shifts_of(observed()), **options)


# ------------------------------------------------------------------------------------------------------------ smoothing


def one_component(seed=3):
    """Displacements along x (pair, pixel) without holes; nothing moves along y, so that lengths are those of x."""
    values = observed(columns=4, seed=seed)
    return np.where(np.isfinite(values), values, 0.0)[0]


def of_tio(along_x, **options):
    return np.stack([
        tio.solve(ENDS, each, TIMES, weight=WEIGHT, residuals=(2.0, 5.0), **options) for each in along_x.T
    ], axis=2)  # fmt: skip


def of_xoffset(along_x, coefficient):
    shifts = shifts_of(np.stack([along_x, np.zeros_like(along_x)]))
    strength = shifts.offset.tio_smoothness(coefficient=coefficient)
    return xoffset.invert(
        shifts, weights="tio", loss="tio", residual_limit=5.0, reference="first", smooth=strength
    ).dx.values[:, 0]  # fmt: skip


@pytest.mark.parametrize("coefficient", [0.003, 0.00005])
def test_the_usual_smoothing_is_that_of_tio(coefficient):
    """What TIO hands out are the increments of the pairs, which its smooth series hardly holds."""
    along_x = one_component()
    np.testing.assert_allclose(of_xoffset(along_x, coefficient), of_tio(along_x, smoothing=coefficient)[0], atol=1e-3)


@pytest.mark.parametrize("coefficient", [0.003, 0.3, 30.0])
def test_strong_smoothing_is_that_of_tio_where_its_two_series_are_one(coefficient):
    """Where the link is stiff; of three dates around each, without the one-sided rows of the first and last date."""
    along_x = one_component()
    shifts = shifts_of(np.stack([along_x, np.zeros_like(along_x)]))
    strength = xoffset.tio_smoothness(shifts, coefficient=coefficient)
    ours = xoffset.invert(shifts, weights="tio", loss="linear", reference="first", smooth=strength).dx.values[:, 0]
    stiff = {"weight": WEIGHT, "smoothing": coefficient, "link": 1e4}
    theirs = [tio.solve(ENDS, each, TIMES, points=3, has_ends=False, **stiff)[1] for each in along_x.T]
    np.testing.assert_allclose(ours, np.stack(theirs, axis=1), atol=2e-5)
    # the rows at the ends say again what those beside them say, and five dates bend a little: as large, not the same
    whole = np.stack([tio.solve(ENDS, each, TIMES, **stiff)[1] for each in along_x.T], axis=1)
    plain = xoffset.invert(shifts, weights="tio", loss="linear", reference="first").dx.values[:, 0]
    assert 0.3 < np.abs(whole - plain).mean() / np.abs(ours - plain).mean() < 3.0


def test_coefficients_become_strengths():
    network = products.network(DATES[ENDS[:, 0]], DATES[ENDS[:, 1]])
    steps = 0.5 * (TIMES[2:] - TIMES[:-2])
    steps = np.array([steps[0], *steps, steps[-1]])
    found = xoffset.tio_smoothness(network, coefficient=0.003)
    assert found == pytest.approx(0.003 / 2.0 / np.mean(1.0 / steps))
    rows = tio.second_differences(TIMES, points=3)[1:-1]
    np.testing.assert_allclose(0.003 * rows, found * twin.curvature(TIMES, list(range(8)), 8), rtol=1e-9, atol=1e-12)
    assert xoffset.tio_smoothness(network, coefficient=0.00009) == 0.0
    assert xoffset.tio_smoothness(network.isel(pair=[0])) == 0.0
    with pytest.raises(ValueError, match="number of at least 0 as coefficient"):
        xoffset.tio_smoothness(network, coefficient=-1.0)
