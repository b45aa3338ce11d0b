"""Sub-pixel methods: closed forms, strained windows, and what they promise of error and sigma."""

import numpy as np
import pytest
import reference
import reference_refine
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._kernels import bits
from xoffset._kernels.matching import affine, peaks, refine, zncc

PIXEL = 10.0
DATES = ["2020-01-01T00:00", "2020-12-31T06:00"]  # one year of 365.25 days apart
CLOSED = {
    "parabola": (peaks.PARABOLA, reference_refine.parabola),
    "gauss": (peaks.GAUSS, reference_refine.gauss),
    "quadratic": (peaks.QUADRATIC, reference_refine.quadratic),
}


def moving(right, down, size=192, redness=1.3, **options):
    """Two images of ground that moves by (right, down) pixels."""
    return synthetic.stack(
        (size, size),
        dates=DATES,
        pixel_size=PIXEL,
        field="constant",
        velocity=PIXEL * np.hypot(right, down),
        direction=np.degrees(np.arctan2(right, -down)),
        ground=synthetic.scene((size, size), redness=redness),
        **options,
    )[0]


def match(stack, method="icgn", **options):
    """Shift right and down, and sigma of both, in px."""
    options = {"template": 32, "search": 4, "step": 16} | options
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), matcher=xoffset.NCC(refine=method), **options).isel(pair=0)
    return (
        np.stack([shifts.dx.values, -shifts.dy.values]) / PIXEL,
        np.stack([shifts.sigma_dx.values, shifts.sigma_dy.values]) / PIXEL,
        shifts,
    )


def nmad(values):
    return 1.4826 * np.median(np.abs(values[np.isfinite(values)]))


# -------------------------------------------------------------------------------------------------------- closed forms


def surfaces():
    """Scores with a peak in the middle: smooth ones, then rough ones."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[-1:2, -1:2]
    for spread in (0.0, 0.02):
        for _ in range(20):
            v, u = generator.uniform(-0.6, 0.6, 2)
            yield np.exp(-0.3 * ((x - u) ** 2 + 0.5 * (x - u) * (y - v) + (y - v) ** 2)) * 0.9 + (
                spread * generator.uniform(-1.0, 1.0, (3, 3))
            )


@pytest.mark.small
@pytest.mark.parametrize("name", CLOSED)
def test_vertex_equals_twin(name):
    form, twin = CLOSED[name]
    accepted = 0
    for scores in surfaces():
        found = np.empty(2)
        expected = twin(scores)
        is_inside = bool((np.abs(expected) <= 1).all())
        assert peaks.vertex(scores.ravel(), form, found) == is_inside
        if is_inside:
            np.testing.assert_allclose(found, expected, atol=1e-12)
            accepted += 1
    assert accepted > 30


@pytest.mark.small
@pytest.mark.parametrize(("name", "u", "v"), [("gauss", 0.3, -0.4), ("parabola", -0.2, 0.45), ("quadratic", 0.1, 0.25)])
def test_vertex_of_the_surface_that_a_form_assumes_is_exact(name, u, v):
    y, x = np.mgrid[-1:2, -1:2]
    height = -((x - u) ** 2) - 0.7 * (y - v) ** 2
    scores = np.exp(0.2 * height) if name == "gauss" else 0.9 + 0.1 * height
    found = np.empty(2)
    assert peaks.vertex(scores.ravel(), CLOSED[name][0], found)
    np.testing.assert_allclose(found, [u, v], atol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize(
    "scores",
    [
        pytest.param(np.full((3, 3), 0.5), id="flat"),
        pytest.param(0.5 + 0.1 * np.mgrid[-1:2, -1:2].sum(axis=0), id="ramp"),
        pytest.param(0.5 + 0.1 * (np.mgrid[-1:2, -1:2] ** 2).sum(axis=0), id="trough"),
        pytest.param(np.where(np.arange(9).reshape(3, 3) == 5, np.nan, 0.5), id="unknown neighbour"),
    ],
)
def test_vertex_is_refused_where_there_is_no_peak(name, scores):
    assert not peaks.vertex(scores.ravel(), CLOSED[name][0], np.empty(2))


@pytest.mark.small
def test_gauss_needs_positive_scores():
    scores = np.array([[-0.2, -0.1, -0.2], [-0.1, 0.5, -0.1], [-0.2, -0.1, -0.2]])
    assert not peaks.vertex(scores.ravel(), peaks.GAUSS, np.empty(2))
    assert peaks.vertex(scores.ravel(), peaks.PARABOLA, np.empty(2))


# -------------------------------------------------------------------------------------------- all methods, by correlate


@pytest.mark.parametrize(
    ("method", "largest"),
    [("icgn", 0.005), ("affine", 0.005), ("gauss", 0.03), ("parabola", 0.04), ("quadratic", 0.04)],
)
@pytest.mark.parametrize(("right", "down"), [(1.3, 0.6), (-1.3, 0.6), (1.3, -0.6), (-1.3, -0.6)])
def test_signs(method, largest, right, down):
    found, _, shifts = match(moving(right, down, size=128), method)
    assert np.isfinite(found).any()
    assert set(np.unique(shifts["flags"])) <= {0, bits.OUTSIDE}
    np.testing.assert_allclose(np.nanmedian(found, axis=(1, 2)), [right, down], atol=largest)


def test_whole_shifts():
    found, sigma, shifts = match(moving(1.3, -0.6, size=128), "none")
    good = shifts["flags"].values == 0
    assert good.any()
    assert (found[0][good] == 1.0).all()
    assert (found[1][good] == -1.0).all()
    # at least that of a number rounded to whole ones
    assert (sigma[:, good] > 1.0 / np.sqrt(12.0)).all()


@pytest.mark.parametrize("method", ["icgn", "affine", "gauss", "parabola", "quadratic", "none"])
def test_gain_and_offset_of_an_image_change_nothing(method):
    stack = moving(1.3, -0.6, size=128, snr=8.0)
    changed = stack.copy()
    # a power of two and an offset that float32 holds without loss: only the rounding of the filters differs
    changed[1] = 4.0 * changed[1] + 1024.0
    found, sigma, _ = match(stack, method)
    again, sigma_again, _ = match(changed, method)
    np.testing.assert_allclose(again, found, atol=2e-3)
    np.testing.assert_allclose(sigma_again, sigma, rtol=0.05)


@pytest.mark.parametrize("method", ["parabola", "gauss", "quadratic"])
def test_score_of_a_closed_form_is_that_of_its_shift(method):
    stack = moving(1.3, -0.6, size=128, snr=8.0)
    _, _, shifts = match(stack, method)
    _, _, best = match(stack, "icgn")
    _, _, whole = match(stack, "none")
    good = (shifts["flags"] == 0) & (best["flags"] == 0)
    assert good.any()
    # better than the whole shift, and by no more worse than the best than a tenth of a pixel costs
    assert (shifts.score > whole.score - 1e-2).where(good, True).all()
    assert (shifts.score < best.score + 1e-4).where(good, True).all()
    assert (shifts.score > best.score - 1e-2).where(good, True).all()


def test_closed_forms_say_that_they_lock():
    errors, sigmas = [], []
    for right in (0.2, 0.3, 0.7):
        found, sigma, _ = match(moving(right, 0.0, size=160), "parabola")
        errors.append((found[0] - right).ravel())
        sigmas.append(sigma[0].ravel())
    error, sigma = np.concatenate(errors), np.concatenate(sigmas)
    known = np.isfinite(error)
    ratio = np.sqrt(np.mean((error[known] / sigma[known]) ** 2))
    assert 0.6 < ratio < 1.5


@pytest.mark.parametrize("method", ["bicubic", "", None])
def test_unknown_methods_are_refused(method):
    with pytest.raises(ValueError, match=r"needs refine to be one of icgn.*Pass refine='icgn'"):
        xoffset.NCC(refine=method)


# ------------------------------------------------------------------------------------------------------------ accuracy


@pytest.mark.parametrize("template", [16, 32])
@pytest.mark.parametrize(("snr", "largest"), [(np.inf, 0.004), (10.0, 0.008)])
def test_no_pixel_locking(template, snr, largest):
    for right in np.arange(0.0, 1.01, 0.25):
        found, _, _ = match(moving(right, 0.0, snr=snr), template=template)
        assert abs(np.nanmedian(found[0]) - right) < largest


def filtered_scene(redness, size):
    """Noise-free band-passed image, its twice filtered slopes, and the standard deviation of its detail."""
    raw = moving(0.0, 0.0, size, redness)[0].values.astype(np.float64)
    filtered, _ = reference.bandpass(raw)
    coloured = [reference.bandpass(reference.derivative(filtered, axis))[0] for axis in (1, 0)]
    return filtered, coloured, np.std(raw - scipy.ndimage.gaussian_filter(raw, 3.0, mode="wrap"))


@pytest.mark.parametrize("template", [15, 32])
@pytest.mark.parametrize("snr", [10.0, 2.0])
def test_error_is_close_to_the_bound(template, snr):
    size = 192
    stack = moving(1.3, -0.6, size, snr=snr)
    found, _, _ = match(stack, template=template, step=8)
    error = found - np.array([1.3, -0.6])[:, None, None]
    filtered, coloured, detail = filtered_scene(1.3, size)
    tops = np.arange(16, size - 48, 24)
    bound = np.sqrt(np.mean(reference_refine.bound(filtered, coloured, template, tops, detail / snr) ** 2))
    rmse = np.sqrt(np.nanmean(error**2))
    assert rmse < np.hypot(1.25 * bound, 0.005)
    # a bound that anything beats by far is none
    assert rmse > 0.75 * bound


@pytest.mark.parametrize("redness", [0.7, 1.3, 2.0])
@pytest.mark.parametrize(("template", "step"), [(16, 8), (32, 8)])
@pytest.mark.parametrize("snr", [20.0, 4.0, 1.0])
def test_sigma_is_that_of_the_errors(redness, template, step, snr):
    found, sigma, shifts = match(moving(1.3, -0.6, 256, redness, snr=snr), template=template, step=step)
    good = shifts["flags"].values == 0
    ratio = ((found - np.array([1.3, -0.6])[:, None, None]) / sigma)[:, good]
    # few independent windows: the wide limits are for chance
    assert 0.7 < nmad(ratio) < 1.3
    assert np.mean(np.abs(ratio) < 1.96) > 0.87


# -------------------------------------------------------------------------------------------------------------- strain


def strained_pair(side, motion, noise=0.0):
    """Nodes, filtered images and true motion of a window of this side that strains about its centre."""
    size = side + 48
    generator = np.random.default_rng(3)
    fine = scipy.ndimage.gaussian_filter(generator.standard_normal((size, size)), 1.6, mode="wrap")
    top = 24
    centre = top + 0.5 * (side - 1)
    y, x = np.mgrid[:size, :size] - centre
    u, v, xx, xy, yx, yy = motion
    forward = np.array([[1 + xx, xy], [yx, 1 + yy]])
    # where on the first date the pixels of the second were
    back = np.einsum("ij,jkl->ikl", np.linalg.inv(forward), np.stack([x - u, y - v]))
    second = scipy.ndimage.map_coordinates(fine, back[::-1] + centre, order=5, mode="grid-wrap")
    images = [image + noise * generator.standard_normal(image.shape) for image in (fine, second)]
    nodes = zncc.Nodes(rows=1, columns=1, top=top, left=top, step=8, template=side)
    return nodes, *images


def refine_strain(nodes, first, second, start, is_masked=False):
    slopes = np.stack([reference.derivative(first, axis) for axis in (1, 0)] * 2)
    valid = np.ones((2, *first.shape), np.uint8) if is_masked else np.empty((2, 0, 0), np.uint8)
    coefficients = np.ascontiguousarray(reference.spline_coefficients(second))
    found = np.full((1, 1, 13), np.nan)
    found[0, 0, :4] = *start[::-1], -1.0, 0.0
    wanted, out, flags = np.ones((1, 1), np.uint8), np.full((1, 1, 6), np.nan), np.zeros((1, 1), np.int32)
    refine.refine(first, slopes, 1.0, coefficients, valid, np.empty((0, 0)), nodes, found, wanted, out, flags)
    pure = out[0, 0].copy()
    affine.refine(first, slopes, 1.0, coefficients, valid, nodes, wanted, out, flags, np.zeros((1, 1), np.int64))
    return pure, out[0, 0], int(flags[0, 0])


MOTIONS = [
    (0.3, -0.2, 0.0, 0.06, 0.0, 0.0),
    (-0.2, 0.4, 0.05, 0.0, 0.0, -0.05),
    (0.1, 0.1, 0.0, -0.05, 0.08, 0.03),
]


@pytest.mark.small
@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("is_masked", [False, True])
def test_strained_window_equals_twin(motion, is_masked):
    # a side that leaves no smaller window to start from
    nodes, first, second = strained_pair(12, motion, noise=0.002)
    _, found, flag = refine_strain(nodes, first, second, np.round(motion[:2]), is_masked)
    window = reference_refine.StrainedWindow(
        first, reference.spline_coefficients(second), np.ones((12, 12)), nodes.top, nodes.left, 12
    )
    expected = window.solve_strain(np.array(motion))
    assert flag == 0
    # the last step is below 1e-3 px
    np.testing.assert_allclose(found[:2], expected[:2], atol=1e-3)
    residual = window.residual_of(expected)
    assert found[2] == pytest.approx(1.0 - 0.5 * (residual**2).sum() / (window.template**2).sum(), abs=1e-5)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("side", [24, 33, 48])
def test_shift_of_a_strained_window_is_that_of_its_centre(motion, side):
    pure, found, flag = refine_strain(*strained_pair(side, motion), np.round(motion[:2]))
    assert flag == 0
    np.testing.assert_allclose(found[:2], motion[:2], atol=4e-3)
    assert found[2] > pure[2]
    assert (found[3:5] < 0.01**2).all()


@pytest.mark.small
def test_rigid_windows_keep_the_pure_shift():
    pure, found, flag = refine_strain(*strained_pair(16, (0.3, -0.2, 0.0, 0.0, 0.0, 0.0), noise=0.02), np.zeros(2))
    assert flag == 0
    np.testing.assert_array_equal(found, pure)


@pytest.mark.small
def test_strain_needs_slopes_in_both_directions():
    nodes, first, _ = strained_pair(12, MOTIONS[0])
    stripes = np.broadcast_to(first[20], first.shape).copy()
    out, flags = np.array([[[0.1, 0.2, 0.9, 1.0, 1.0, 0.0]]]), np.zeros((1, 1), np.int32)
    before = out.copy()
    slopes = np.stack([reference.derivative(stripes, axis) for axis in (1, 0)] * 2)
    affine.refine(
        stripes, slopes, 1.0, stripes, np.empty((2, 0, 0), np.uint8), nodes, np.ones((1, 1), np.uint8), out, flags,
        np.zeros((1, 1), np.int64),
    )  # fmt: skip
    np.testing.assert_array_equal(out, before)


@pytest.mark.small
def test_strain_of_unwanted_and_flagged_nodes_is_left_alone():
    nodes, first, second = strained_pair(12, MOTIONS[0])
    slopes = np.stack([reference.derivative(first, axis) for axis in (1, 0)] * 2)
    arguments = (
        first,
        slopes,
        1.0,
        np.ascontiguousarray(reference.spline_coefficients(second)),
        np.empty((2, 0, 0), np.uint8),
        nodes,
    )
    for wanted, flag in ((0, 0), (1, bits.BORDER)):
        out = np.array([[[0.3, -0.2, 0.9, 1.0, 1.0, 0.0]]])
        before = out.copy()
        flags = np.full((1, 1), flag, np.int32)
        affine.refine(*arguments, np.full((1, 1), wanted, np.uint8), out, flags, np.zeros((1, 1), np.int64))
        np.testing.assert_array_equal(out, before)
        found = np.full((1, 1, 13), np.nan)
        found[0, 0, :4] = 0.0, 0.0, 0.5, 0.0
        refine.refine(*arguments[:-1], np.empty((0, 0)), nodes, found, np.full((1, 1), wanted, np.uint8), out, flags)
        if wanted:
            assert np.isnan(out[0, 0, [0, 1, 3, 4, 5]]).all()
            assert out[0, 0, 2] == 0.5
        else:
            np.testing.assert_array_equal(out, before)


def sheared(template, method):
    """Errors in px on a glacier, in all and by the margin, where the pure shift is good to half a pixel or not."""
    stack, truth = synthetic.stack(
        (384, 384), dates=DATES, pixel_size=PIXEL, field="glacier", velocity=150.0, direction=180.0, snr=10.0
    )
    found, sigma, shifts = match(stack, method, template=template, search=18, step=8)
    true = truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
    error = found - np.stack([true.dx.values, -true.dy.values]) / PIXEL
    return error, sigma


@pytest.mark.parametrize("template", [16, 32])
def test_strain_is_no_error_on_sheared_ground(template):
    pure, _ = sheared(template, "icgn")
    found, sigma = sheared(template, "affine")
    # both methods know the same nodes
    np.testing.assert_array_equal(np.isnan(found), np.isnan(pure))
    is_outlier = [np.hypot(*error) > 0.5 for error in (pure, found)]
    assert is_outlier[1].sum() < 0.3 * is_outlier[0].sum()
    rmse = [np.sqrt(np.nanmean(error[:, ~out] ** 2)) for error, out in zip((pure, found), is_outlier, strict=True)]
    assert rmse[0] > 0.08
    assert rmse[1] < 0.05
    assert nmad((found / sigma)[:, ~is_outlier[1]]) < 1.7


def test_strain_costs_little_on_rigid_ground():
    stack = moving(1.3, -0.6, 192, snr=4.0)
    pure, _, _ = match(stack, "icgn", template=24, step=8)
    found, _, _ = match(stack, "affine", template=24, step=8)
    truth = np.array([1.3, -0.6])[:, None, None]
    assert np.mean((found != pure)[np.isfinite(pure)]) < 0.1
    assert np.sqrt(np.nanmean((found - truth) ** 2)) < 1.1 * np.sqrt(np.nanmean((pure - truth) ** 2))


def test_sigma_holds_along_dunes_whose_slopes_are_mostly_noise():
    y, x = np.indices((160, 160)).astype(float)
    random = np.random.default_rng(0)
    moved = [np.sin(2 * np.pi * (x - dx + 6 * np.sin((y - dy) / 25)) / 14) for dx, dy in ((0.0, 0.0), (2.0, 1.15))]
    images = 100 * np.stack(moved) + random.normal(0.0, 5.0, (2, 160, 160))
    stack = xr.DataArray(
        images.astype("f4"),
        dims=("time", "y", "x"),
        coords={"time": np.array(["2020-01-01", "2021-01-01"], "M8[ns]"), "y": -10.0 * y[:, 0], "x": 10.0 * x[0]},
    )
    shifts = stack.offset.correlate(stack.offset.pairs(), template=32, search=5, step=8)
    for error, sigma in ((shifts.dx - 20.0, shifts.sigma_dx), (shifts.dy + 11.5, shifts.sigma_dy)):
        told = (np.abs(error) < 1.96 * sigma).where(np.abs(error) < 30.0)
        assert float(told.mean()) > 0.9
