"""What must hold of any correct measurement: known motion comes back, with errors as large as they are said to be."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import products
from xoffset.model.dates import YEAR, in_years
from xoffset.model.flags import FLAGS

PIXEL = 10.0


def flag(data, name):
    """Where a flag is set."""
    return (data["flags"] & FLAGS[name]) != 0


@functools.cache
def moving(x=13.3, y=-7.1, *, shape=(256, 256), **kind):
    """Two images, a year apart, of ground that moves by (x, y) m."""
    dates = np.datetime64("2020-01-01", "us") + np.arange(2) * YEAR
    direction = float(np.rad2deg(np.arctan2(x, y)))
    return synthetic.stack(
        shape, dates=dates, field="constant", velocity=float(np.hypot(x, y)), direction=direction, **kind
    )[0]


def match(stack, **grid):
    return xoffset.correlate(stack, xoffset.pairs(stack), **{"search": 4} | grid)


def error(shifts, x=13.3, y=-7.1):
    """Errors in pixels of both components, where there is a value."""
    both = np.concatenate([(shifts["dx"] - x).values.ravel(), (shifts["dy"] - y).values.ravel()]) / PIXEL
    return both[np.isfinite(both)]


def standardised(data, x, y, names=("dx", "dy")):
    """Errors of both components over their standard errors, where there is a value."""
    parts = [(data[name] - true) / data[f"sigma_{name}"] for name, true in zip(names, (x, y), strict=True)]
    both = np.concatenate([part.values.ravel() for part in parts])
    return both[np.isfinite(both)]


# --------------------------------------------------------------------------------------------------------- displacement


@pytest.fixture(scope="module")
def staircase():
    """Shifts of one image with 21 that moved by 0 to 1 px along both axes, noise-free."""
    dates = np.datetime64("2020-01-01", "us") + np.arange(22) * (YEAR / 10)
    stack, _ = synthetic.stack(dates=dates[:21], field="constant", velocity=5.0 * np.sqrt(2.0), direction=45.0)
    network = products.network(dates[:1].repeat(20), dates[1:21])
    shifts = xoffset.correlate(stack, network, search=3, step=16)
    truth = xr.DataArray(0.5 * np.arange(1, 21), dims="pair")
    return shifts, truth


@pytest.mark.parametrize("name", ["dx", "dy"])
def test_bias_without_noise(staircase, name):
    shifts, truth = staircase
    errors = (shifts[name] - truth) / PIXEL
    # 0.002 px of interpolation bias were measured; 0.005 px is the aim of the design
    assert np.abs(errors.mean(("y", "x"))).max() < 0.005
    assert np.abs(errors.median(("y", "x"))).max() < 0.005
    # single windows: aliasing of the texture
    assert np.sqrt((errors**2).mean()) < 0.006


def test_no_motion():
    stack = moving(0.0, 0.0)
    # two images that are equal bit for bit
    assert np.abs(error(match(stack), 0.0, 0.0)).max() < 1e-4


@pytest.mark.parametrize(("snr", "largest"), [(10, 0.010), (4, 0.020), (2, 0.038), (1, 0.080)])
def test_precision_at_given_noise(snr, largest):
    stack = moving(23.0, 14.0, shape=(512, 512), snr=snr, illumination=0.15)
    errors = error(match(stack, search=8), 23.0, 14.0)
    assert np.sqrt((errors**2).mean()) <= largest
    assert errors.size == 2 * (61 - 2) ** 2


@pytest.mark.parametrize(("x", "y"), [(17.0, 12.0), (-17.0, 12.0), (17.0, -12.0), (-17.0, -12.0)])
def test_signs_in_each_quadrant(x, y):
    stack = moving(x, y, shape=(128, 128))
    shifts = match(stack)
    np.testing.assert_allclose(shifts.dx.mean(), x, atol=0.05)
    np.testing.assert_allclose(shifts.dy.mean(), y, atol=0.05)


def test_swapping_the_images_flips_the_sign():
    stack = moving()
    network = xoffset.pairs(stack, direction="both")
    forward, backward = (xoffset.correlate(stack, network, search=4, step=4).isel(pair=[k]) for k in (0, 1))
    # back from where the ground has gone to: one pixel right and down, nearly
    moved = backward.interp(x=forward.x + 13.3, y=forward.y - 7.1)
    for name in ("dx", "dy"):
        back = moved[name].values + forward[name].values
        # aliasing differs a little between the two templates
        assert np.nanmax(np.abs(back)) / PIXEL < 0.02
        assert np.sqrt(np.nanmean(back**2)) / PIXEL < 0.005


def test_gain_and_offset_of_an_image_change_nothing():
    stack = moving().astype(np.float64)
    other = stack.copy()
    other[0] = 3.7 * other[0] + 210.0
    found, expected = match(other), match(stack)
    for name in ("dx", "dy", "score", "peak_gap", "sigma_dx", "sigma_dy"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-10)


def test_gain_and_offset_change_nothing_in_single_precision():
    stack = moving()
    other = (0.01 * stack - 3.0).astype(np.float32)
    for name in ("dx", "dy"):
        # 24 bits of a level 8 times the texture
        np.testing.assert_allclose(match(other)[name] / PIXEL, match(stack)[name] / PIXEL, atol=2e-4)


def test_an_inverted_image_matches_nowhere():
    stack = moving(0.0, 0.0).copy()
    stack[1] = 3000.0 - stack[1]
    shifts = match(stack)
    assert shifts.score.max() < 0.6
    # no correlation at the true place
    assert not (np.hypot(shifts.dx, shifts.dy) < 0.5 * PIXEL).any()


@pytest.mark.parametrize("axis", ["x", "y"])
def test_order_of_rows_and_columns(axis):
    stack = moving()
    # step divides what the windows leave, so that both grids have the same centres
    found, expected = match(stack.isel({axis: slice(None, None, -1)})).sortby(axis), match(stack).sortby(axis)
    np.testing.assert_allclose(found[axis], expected[axis], rtol=1e-12)
    for name in ("dx", "dy", "score", "sigma_dx", "sigma_dy"):
        # sums run the other way, and perhaps there is one last step of 5e-4 px more
        np.testing.assert_allclose(found[name], expected[name], atol=5e-3)
    np.testing.assert_allclose(found["cov_dxdy"], expected["cov_dxdy"], atol=1e-5)


def test_x_and_y_are_treated_alike():
    stack = moving()
    turned = stack.transpose("time", "x", "y").rename(x="y", y="x")
    found, expected = match(turned), match(stack)
    for name, other in (("dx", "dy"), ("dy", "dx"), ("sigma_dx", "sigma_dy")):
        # other sums, and perhaps one last step of 5e-4 px more
        np.testing.assert_allclose(found[name].values, expected[other].values.transpose(0, 2, 1), atol=5e-3)


def test_rectangular_pixels():
    stack = moving()
    wide = stack.assign_coords(x=1000.0 + 30.0 * np.arange(256), y=-5.0 * np.arange(256))
    found, expected = match(wide), match(stack)
    # the same pixels, other metres
    for name, factor in (("dx", 3.0), ("dy", 0.5), ("sigma_dx", 3.0), ("sigma_dy", 0.5), ("cov_dxdy", 1.5)):
        np.testing.assert_allclose(found[name], factor * expected[name], rtol=1e-6)


@pytest.mark.parametrize(("template", "step"), [(16, 8), (17, 5), (32, 32)])
def test_coordinates_are_window_centres(template, step):
    stack = moving(shape=(100, 120))
    shifts = match(stack, template=template, step=step)
    columns, rows = (120 - template) // step + 1, (100 - template) // step + 1
    centres_x = [stack.x.values[k * step : k * step + template].mean() for k in range(columns)]
    centres_y = [stack.y.values[k * step : k * step + template].mean() for k in range(rows)]
    np.testing.assert_allclose(shifts.x, centres_x, rtol=1e-12)
    np.testing.assert_allclose(shifts.y, centres_y, rtol=1e-12)


def test_values_belong_to_the_reference_image():
    # a block of ground moves by 4 px on still ground: it is found where it was
    still = moving(0.0, 0.0, shape=(160, 160))
    values = still.values.copy()
    block = moving(0.0, 0.0, shape=(160, 160), seed=5).values[0, 48:112, 48:112]
    values[0, 48:112, 48:112] = block
    values[1, 48:112, 52:116] = block
    along_x = match(still.copy(data=values), search=7, template=16, step=2).dx.isel(pair=0) / PIXEL
    is_moved = np.abs(along_x - 4.0) < 0.05
    assert is_moved.sum() > 100
    # as many windows on either side of where the block was; half a step more or less at its rims
    for name, start in (("x", 48), ("y", 48)):
        centre = float(along_x[name].where(is_moved).mean())
        assert abs(centre - still[name].values[start : start + 64].mean()) < 1.0 * PIXEL


def test_closure_without_noise():
    dates = np.datetime64("2020-01-01", "us") + np.arange(3) * YEAR
    stack, _ = synthetic.stack(dates=dates, field="constant", velocity=7.3, direction=33.0)
    shifts = match(stack)
    for name in ("dx", "dy"):
        loop = (shifts[name].isel(pair=0) + shifts[name].isel(pair=2) - shifts[name].isel(pair=1)) / PIXEL
        # interpolation bias of three matches, 0.002 px each, and the spread of single windows
        assert np.sqrt((loop**2).mean()) < 0.005
        assert np.abs(loop).max() < 0.02


# ----------------------------------------------------------------------------------------------------- nothing to match


def test_saturated_windows_are_flat():
    stack = moving().copy()
    stack[:, 100:180, 60:140] = 4095.0
    shifts = match(stack)
    is_saturated = np.zeros((256, 256), bool)
    is_saturated[100:180, 60:140] = True
    inside = np.array(
        [
            [is_saturated[8 * i : 8 * i + 32, 8 * j : 8 * j + 32].all() for j in range(shifts.sizes["x"])]
            for i in range(shifts.sizes["y"])
        ]
    )
    assert inside.sum() > 20
    assert flag(shifts, "flat").values[0][inside].all()
    for name in ("dx", "dy", "score"):
        assert np.isnan(shifts[name].values[0][inside]).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 4095.0, 1e9])
def test_constant_images(level):
    stack = xr.full_like(moving(shape=(128, 128)), level)
    shifts = match(stack)
    assert np.isnan(shifts.dx).all()
    assert np.isnan(shifts.score).all()
    inner = ~flag(shifts, "outside")
    assert flag(shifts, "flat").where(inner).sum() == inner.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("prefilter", ["bandpass", None])
@pytest.mark.parametrize("texture", [0.1, 1.0, 10.0])
def test_faint_texture_on_a_high_level(texture, prefilter, dtype):
    stack = moving()
    faint = (1e6 + texture * (stack - stack.mean()) / stack.std()).astype(dtype)
    shifts = match(faint, prefilter=prefilter)
    wrong = np.hypot(shifts.dx - 13.3, shifts.dy + 7.1) > 0.5 * PIXEL
    assert not (wrong & (shifts.score > 0.5)).any()
    if texture < 1.0:
        # one part in ten million is no texture
        assert np.isnan(shifts.dx).all()
    if texture > 1.0 and dtype == np.float64:
        assert np.isfinite(shifts.dx).sum() == (~flag(shifts, "outside")).sum()


def test_dark_ground_beside_bright_ground_without_prefilter():
    stack = moving()
    is_bright = stack.x > stack.x.mean()
    # shadow and snow in 16 bits: levels 300 and 10300, texture 10
    images = (300.0 + 10.0 * (stack - stack.mean()) / stack.std() + 10_000.0 * is_bright).transpose("time", "y", "x")
    shifts = match(images.astype(np.float32), prefilter=None)
    away = np.abs(shifts.x - stack.x.mean()) > 25 * PIXEL
    assert np.isfinite(shifts.dx.where(away & ~flag(shifts, "outside"), 0.0)).all()


def test_no_score_above_one():
    stack = moving(shape=(128, 128))
    rows, columns = np.indices((128, 128))
    bowl = np.stack([(rows - 64) ** 2 + (columns - x) ** 2 for x in (64, 66)])
    assert match(stack.copy(data=bowl.astype(np.float32))).score.max() <= 1.0


def test_images_without_a_value_in_common():
    stack = moving(shape=(128, 128)).copy()
    stack[0, :, :64] = np.nan
    stack[1, :, 64:] = np.nan
    shifts = match(stack, template=16)
    assert np.isnan(shifts.dx).all()
    assert (shifts["flags"] != 0).all()


def test_a_hole_changes_nothing_far_from_it():
    stack = moving(snr=4.0).astype(np.float64)
    holed = stack.copy()
    holed[1, 20:54, 30:64] = np.nan
    found, expected = match(holed), match(stack)
    # beyond the window, the search and the filters' 12 px, and some pixels for the spline to forget
    away = (np.abs(found.x - stack.x.values[47]) > 60 * PIXEL) | (np.abs(found.y - stack.y.values[37]) > 60 * PIXEL)
    assert (found["flags"].where(away) == expected["flags"].where(away)).where(away, True).all()
    for name in ("dx", "dy", "score", "peak_gap", "sigma_dx"):
        np.testing.assert_allclose(found[name].where(away), expected[name].where(away), atol=1e-9)
    assert np.isnan(found.dx).sum() > np.isnan(expected.dx).sum()


def test_unrelated_images_score_low():
    stack = moving(shape=(256, 256)).copy()
    stack[1] = moving(seed=3).values[1]
    shifts = match(stack, search=8)
    # the best of 289 candidates of unrelated ground
    assert shifts.score.quantile(0.99) < 0.5


# ---------------------------------------------------------------------------------------------------------- uncertainty


@pytest.mark.parametrize("template", [16, 32])
@pytest.mark.parametrize("snr", [1, 2, 5, 20])
def test_sigma_is_calibrated(snr, template):
    stack = moving(shape=(320, 320), snr=snr)
    z = standardised(match(stack, template=template, step=template // 2), 13.3, -7.1)
    # cautious where interpolation, not noise, limits the match; never much too small
    assert 0.5 < 1.4826 * np.median(np.abs(z)) < 1.3
    assert (np.abs(z) < 1.96).mean() >= 0.88


def test_covariance_tells_the_direction_of_a_ridge():
    # ground that changes across one diagonal only is known across it, not along it
    stack = moving(shape=(192, 192)).astype(np.float64)
    generator = np.random.default_rng(0)
    rows, columns = np.indices((192, 192))
    ridge = 100.0 * np.sin((rows + columns) / 3.0)
    values = stack.values - stack.values.mean()
    values = ridge + 0.1 * values + generator.standard_normal(values.shape)
    shifts = match(stack.copy(data=values), search=2)
    # rows run against y: x - y is the well-known direction, so the two errors go together
    assert (shifts.cov_dxdy > 0).mean() > 0.95 * np.isfinite(shifts.dx).mean()


@pytest.fixture(scope="module")
def networks():
    """Shifts of all pairs of six dates, by signal-to-noise ratio, and the stack's truth."""
    dates = ["2020-01-01", "2020-04-10", "2020-08-01", "2020-11-20", "2021-03-01", "2021-07-01"]
    found = {}
    ground = synthetic.scene((320, 320))
    for snr in (2, 4):
        stack, truth = synthetic.stack(
            (320, 320), dates=dates, field="constant", velocity=9.7, direction=60.0, snr=snr, ground=ground
        )
        # windows that share no pixel have independent errors
        found[snr] = match(stack, template=24, step=24), truth.mean(("y", "x"))
    return found


def assert_covers(z):
    """Normal intervals hold 68 % and 95 %; the bounds allow for caution and for the size of the sample."""
    assert 0.58 <= (np.abs(z) < 1.0).mean() <= 0.80
    assert 0.88 <= (np.abs(z) < 1.96).mean() <= 0.99


@pytest.mark.parametrize("snr", [2, 4])
def test_coverage_of_the_series(networks, snr):
    shifts, truth = networks[snr]
    series = xoffset.invert(shifts, reference="2020-01-01")
    z = []
    for name in ("dx", "dy"):
        sigma = np.hypot(series[f"sigma_{name}"], series[f"sigma_{name}"].isel(time=0))
        z.append(((series[name] - truth[name]) / sigma).isel(time=slice(1, None)).values.ravel())
    z = np.concatenate(z)
    assert_covers(z[np.isfinite(z)])


@pytest.mark.parametrize("through", ["pairs", "series"])
@pytest.mark.parametrize("snr", [2, 4])
def test_coverage_of_the_velocity(networks, snr, through):
    shifts, truth = networks[snr]
    rate = xoffset.velocity(shifts if through == "pairs" else xoffset.invert(shifts))
    assert_covers(standardised(rate, float(truth.vx), float(truth.vy), ("vx", "vy")))


def test_more_pairs_of_the_same_dates_do_not_shrink_sigma(networks):
    # the noise belongs to the dates
    shifts, _ = networks[4]
    gap = np.searchsorted(np.unique(shifts.secondary), shifts.secondary) - np.searchsorted(
        np.unique(shifts.secondary), shifts.reference
    )
    few = shifts.isel(pair=np.flatnonzero(gap <= 1))
    assert few.sizes["pair"] < shifts.sizes["pair"]
    sigmas = [float(xoffset.invert(part).sigma_dx.median()) for part in (shifts, few)]
    np.testing.assert_allclose(sigmas[0], sigmas[1], rtol=0.3)


# ------------------------------------------------------------------------------------------------- scenes of the peers


@functools.cache
def damaged(field, velocity):
    """A large scene with noise, changing light, clouds that nobody masked, and gaps."""
    dates = np.datetime64("2020-01-01", "us") + np.arange(2) * YEAR
    spoiled = {"snr": 4.0, "illumination": 0.1, "clouds": 0.03, "nodata": 0.015}
    return synthetic.stack((1024, 1024), dates=dates, field=field, velocity=velocity, **spoiled)


# per scene what a blunder may be: the glacier's margins shear by 15 % within a window
@pytest.mark.parametrize(
    ("field", "velocity", "search", "largest"),
    [("landslide", 30.0, 8, 0.005), ("landslide", 30.0, 20, 0.005), ("glacier", 200.0, 25, 0.015)],
)
def test_blunders_left_after_screening(field, velocity, search, largest):
    stack, truth = damaged(field, velocity)
    shifts = match(stack, search=search).offset.screen().isel(pair=0)
    at = {name: truth[name].isel(time=-1).interp(x=shifts.x, y=shifts.y) for name in ("dx", "dy")}
    errors = np.hypot(shifts.dx - at["dx"], shifts.dy - at["dy"]) / PIXEL
    is_valid = np.isfinite(errors)
    assert float((errors > 0.5).sum() / is_valid.sum()) <= largest
    # and little of what was clear is lost
    inner = ~flag(shifts, "outside")
    assert float(is_valid.sum() / inner.sum()) > 0.8


def test_a_planted_outlier_is_flagged():
    shifts = match(moving(snr=4.0))
    planted = shifts.copy(deep=True)
    planted["dx"][0, 10, 12] += 2.0 * PIXEL
    found = planted.offset.screen()
    assert np.isnan(found.dx[0, 10, 12])
    assert bool(flag(found, "neighbourhood")[0, 10, 12])
    # and its neighbours are not
    around = found.dx[0, 9:12, 11:14].values
    assert np.isfinite(around).sum() == 8


def test_screening_keeps_score_gap_and_earlier_flags():
    shifts = match(moving(snr=1.0), template=8)
    found = shifts.offset.screen(min_score=0.8)
    for name in ("score", "peak_gap"):
        xr.testing.assert_identical(found[name], shifts[name])
    assert ((found["flags"] & shifts["flags"]) == shifts["flags"]).all()
    assert (flag(found, "low_score") == ((shifts.score < 0.8) & np.isfinite(shifts.dx))).all()


# ------------------------------------------------------------------------------------------------------------ inversion


DATES = np.array(["2020-01-01", "2020-02-11", "2020-06-01", "2020-12-24", "2021-05-05"], dtype="M8[us]")


def network_of(pairs, displacement, dates=DATES, sigma=0.3, shape=(2, 3)):
    """Shifts of a network whose dates have this displacement (date,) along x, and twice minus that along y."""
    first, second = np.array(pairs).T
    along_x = np.multiply.outer(displacement[second] - displacement[first], np.ones(shape))
    fields = {"dx": along_x, "dy": -2.0 * along_x}
    fields |= {name: np.full(along_x.shape, sigma) for name in ("sigma_dx", "sigma_dy")}
    like = products.stack(
        np.zeros((1, *shape)),
        time=dates[:1],
        x=80.0 * np.arange(shape[1]),
        y=-80.0 * np.arange(shape[0]),
        crs=None,
        attrs={},
    )
    return products.shifts(
        fields, products.network(dates[first], dates[second]), x=like.x.values, y=like.y.values, like=like,
        step={"function": "test"},
    )  # fmt: skip


ALL = [(i, j) for i in range(5) for j in range(i + 1, 5)]
MOTION = np.array([0.0, 1.7, -0.4, 12.0, 5.5])


@pytest.mark.parametrize("weights", ["sigma", "uniform"])
def test_a_network_without_noise_returns_the_truth(weights):
    series = xoffset.invert(network_of(ALL, MOTION), weights=weights, reference="2020-01-01")
    np.testing.assert_allclose(series.dx[:, 0, 0], MOTION, atol=1e-6)
    np.testing.assert_allclose(series.dy[:, 1, 2], -2.0 * MOTION, atol=1e-6)
    np.testing.assert_allclose(series.rms, 0.0, atol=1e-6)
    assert (series.n_pairs == 10).all()
    assert (series.n_components == 1).all()


def test_gaps_in_a_network_change_nothing_but_the_pairs():
    shifts = network_of(ALL, MOTION)
    shifts["dx"][[1, 2, 5], 0, 0] = np.nan
    series = xoffset.invert(shifts, reference="2020-01-01")
    np.testing.assert_allclose(series.dx[:, 0, 0], MOTION, atol=1e-6)
    assert int(series.n_pairs[0, 0]) == 7


def test_the_reference_date_is_a_choice_of_zero():
    shifts = network_of(ALL, MOTION)
    first, last = (xoffset.invert(shifts, reference=date) for date in ("2020-01-01", "2021-05-05"))
    np.testing.assert_allclose(first.dx - first.dx[-1], last.dx, atol=1e-6)
    np.testing.assert_allclose(first.sigma_dx, last.sigma_dx, rtol=1e-9)


def test_the_default_reference_is_the_date_with_most_pairs():
    series = xoffset.invert(network_of([(0, 2), (1, 2), (2, 3), (3, 4)], MOTION))
    assert series.attrs["reference"].startswith("2020-06-01")
    np.testing.assert_array_equal(series.dx[2], 0.0)


def test_unconnected_dates_are_never_joined():
    series = xoffset.invert(network_of([(0, 1), (2, 3), (3, 4), (2, 4)], MOTION), reference="2020-01-01")
    np.testing.assert_allclose(series.dx[:2, 0, 0], MOTION[:2], atol=1e-6)
    for name in ("dx", "dy", "sigma_dx", "sigma_dy"):
        assert np.isnan(series[name][2:]).all()
    assert (series["flags"][2:] == FLAGS["disconnected"]).all()
    assert (series["flags"][:2] == 0).all()
    assert (series.n_components == 2).all()


def test_a_pixel_without_the_reference_date():
    shifts = network_of(ALL, MOTION)
    shifts["dx"][:4, 0, 1] = np.nan
    series = xoffset.invert(shifts, reference="2020-01-01")
    assert np.isnan(series.dx[:, 0, 1]).all()
    assert (series["flags"][:, 0, 1] == FLAGS["no_reference"]).all()
    np.testing.assert_allclose(series.dx[:, 0, 0], MOTION, atol=1e-6)


def test_a_date_without_pairs():
    shifts = network_of(ALL, MOTION)
    shifts["dy"][[0, 4, 5, 6], 1, 1] = np.nan
    series = xoffset.invert(shifts, reference="2020-01-01")
    assert int(series["flags"][1, 1, 1]) == FLAGS["no_pairs"]
    assert np.isnan(series.dx[1, 1, 1])
    assert np.isfinite(series.dx[[0, 2, 3, 4], 1, 1]).all()


def test_a_pixel_without_any_pair():
    shifts = network_of(ALL, MOTION)
    shifts["dx"][:, 0, 0] = np.nan
    series = xoffset.invert(shifts)
    assert np.isnan(series.dx[:, 0, 0]).all()
    assert np.isnan(series.rms[0, 0])
    assert int(series.n_pairs[0, 0]) == int(series.n_components[0, 0]) == 0


def test_a_wrong_pair_shows_in_the_misclosure():
    shifts = network_of(ALL, MOTION)
    shifts["dx"][3, 0, 0] += 10.0
    series = xoffset.invert(shifts)
    assert float(series.rms[0, 0]) > 1.0
    np.testing.assert_allclose(series.rms[1], 0.0, atol=1e-6)


def test_backward_pairs_say_the_same():
    both = network_of([*ALL, *((j, i) for i, j in ALL)], MOTION)
    series = xoffset.invert(both, reference="2020-01-01")
    np.testing.assert_allclose(series.dx[:, 0, 0], MOTION, atol=1e-6)


def with_pair_noise():
    """Shifts of all pairs with noise of their own, and the same ones with each pair also the other way round."""
    forward = network_of(ALL, MOTION)
    noise = np.random.default_rng(0).standard_normal(forward.dx.shape)
    forward["dx"] = forward["dx"] + 0.3 * noise
    backward = forward.assign({name: -forward[name] for name in ("dx", "dy")}).drop_vars(("reference", "secondary"))
    backward = backward.assign_coords(
        reference=("pair", forward.secondary.values), secondary=("pair", forward.reference.values)
    )
    return forward, xr.concat([forward, backward], "pair")


def test_backward_pairs_add_no_certainty():
    forward, both = (xoffset.invert(shifts, reference="2020-01-01") for shifts in with_pair_noise())
    np.testing.assert_allclose(both.sigma_dx, forward.sigma_dx, rtol=1e-6)


def test_backward_pairs_leave_displacement_and_velocity():
    forward, both = with_pair_noise()
    inverted = [xoffset.invert(shifts, reference="2020-01-01") for shifts in (forward, both)]
    np.testing.assert_allclose(inverted[1].dx, inverted[0].dx, atol=1e-9)
    fitted = [xoffset.velocity(shifts) for shifts in (forward, both)]
    for name in ("vx", "vy", "sigma_vx", "sigma_vy"):
        np.testing.assert_allclose(fitted[1][name], fitted[0][name], rtol=1e-9)


# ----------------------------------------------------------------------------------------------------------------- rate


STEADY = 3.0 * in_years(DATES - DATES[0])


@pytest.mark.parametrize("through", ["pairs", "series"])
def test_steady_motion(through):
    shifts = network_of(ALL, STEADY)
    rate = xoffset.velocity(shifts if through == "pairs" else xoffset.invert(shifts))
    np.testing.assert_allclose(rate.vx, 3.0, rtol=1e-9)
    np.testing.assert_allclose(rate.vy, -6.0, rtol=1e-9)
    np.testing.assert_allclose(rate.v, np.hypot(3.0, 6.0), rtol=1e-9)
    # clockwise from north: east and twice as much south
    np.testing.assert_allclose(rate.direction, 180.0 - np.rad2deg(np.arctan2(3.0, 6.0)), rtol=1e-9)


@pytest.mark.parametrize("through", ["pairs", "series"])
def test_the_origin_of_time_is_irrelevant(through):
    generator = np.random.default_rng(0)
    motion = STEADY + generator.standard_normal(5)
    rates = []
    for delay in (0, 30 * 365, -40 * 365):
        shifts = network_of(ALL, motion, dates=DATES + np.timedelta64(delay, "D"))
        rates.append(xoffset.velocity(shifts if through == "pairs" else xoffset.invert(shifts)))
    for other in rates[1:]:
        for name in ("vx", "vy", "sigma_vx", "sigma_vy"):
            np.testing.assert_allclose(other[name], rates[0][name], rtol=1e-9)


def test_one_date_has_no_velocity():
    shifts = network_of(ALL, STEADY)
    shifts["dx"][:, 0, 0] = np.nan
    for data in (shifts, xoffset.invert(shifts)):
        rate = xoffset.velocity(data)
        assert np.isnan(rate.vx[0, 0])
        assert np.isnan(rate.sigma_vy[0, 0])
        assert int(rate["flags"][0, 0]) == FLAGS["too_few_dates"]
        assert int(rate["flags"][1, 1]) == 0


def test_direction_of_no_motion_is_unknown():
    rate = xoffset.velocity(network_of(ALL, 0.0 * STEADY))
    assert (rate.v == 0.0).all()
    assert np.isnan(rate.direction).all()
    assert (rate["flags"] == 0).all()


@pytest.mark.parametrize(("x", "y", "degrees"), [(0, 1, 0), (1, 1, 45), (1, 0, 90), (0, -1, 180), (-1, 0, 270)])
def test_direction_is_clockwise_from_north(x, y, degrees):
    shifts = network_of(ALL, STEADY)
    shifts["dx"], shifts["dy"] = x * shifts["dx"], y * shifts["dx"]
    np.testing.assert_allclose(xoffset.velocity(shifts).direction, degrees, atol=1e-9)
