"""False-alarm probability: kernels against slow twins, unrelated ground against its promise, true matches kept."""

from __future__ import annotations

import numpy as np
import pytest
import reference_significance as twin
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._kernels.matching import ambiguity, autocorrelation, moments, significance, surface, zncc
from xoffset.model.flags import FLAGS

DTYPES = (np.float64, np.float32)


def nodes(template, rows=3, columns=3, top=20, left=20, step=16):
    return zncc.Nodes(rows, columns, top, left, step, template)


def texture(shape, seed, sigma):
    noise = np.random.default_rng(seed).standard_normal(shape)
    image = scipy.ndimage.gaussian_filter(noise, sigma, mode="wrap") if sigma else noise
    return image / image.std()


def unrelated(count, size, *, seed=0, **options):
    """Stack (time, y, x) of images of different ground."""
    scenes = [
        synthetic.stack((size, size), dates=("2020-01-01",), seed=seed + k, crs=None, **options)[0].values[0]
        for k in range(count)
    ]
    one = synthetic.stack((size, size), dates=[f"20{k:02}-01-01" for k in range(10, 10 + count)], crs=None)[0]
    return one.copy(data=np.stack(scenes))


def alarm(score, effective=40.0, candidates=225.0, rough=(0.8, 0.7), pixels=1024, excess=0.0):
    score = np.atleast_2d(np.asarray(score, dtype=np.float64))
    out = np.empty_like(score)
    effective = np.broadcast_to(np.asarray(effective, dtype=np.float64), score.shape).copy()
    excess, candidates = (np.full(score.shape, float(each)) for each in (excess, candidates))
    significance.false_alarm(score, effective, excess, candidates, np.array(rough), pixels, out)
    return out


# ------------------------------------------------------------------------------------------------------------- kernels


@pytest.mark.small
@pytest.mark.parametrize(("template", "reach"), [(5, 8), (7, 8), (16, 8), (32, 16), (33, 40)])
def test_lags_stand_for_half_a_plane(template, reach):
    lagged = autocorrelation.lags(template, reach)
    lines = set(zip(lagged.y.tolist(), lagged.x.tolist(), strict=True))
    assert (lagged.y[0], lagged.x[0]) == (0, 0)
    assert not lines & {(-y, -x) for y, x in lines - {(0, 0)}}
    assert max(np.abs(lagged.y).max(), np.abs(lagged.x).max()) < template
    near = {(y, x) for y in range(5) for x in range(-4, 5) if (y, x) >= (0, 0) and max(y, abs(x)) < min(4, template)}
    assert near <= lines
    assert lagged.weight[0] == 1.0
    if reach >= template:
        # the weights of all lags together are the pairs of pixels of a window, a pixel
        assert lagged.weight.sum() == pytest.approx(template**2, rel=0.08)


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("template", "reach"), [(7, 8), (16, 8), (48, 20)])
@pytest.mark.parametrize("shape", [(16, 16), (29, 37), (40, 8)])
def test_block_products_against_twin(shape, template, reach, dtype):
    image = texture(shape, 1, 1.0).astype(dtype)
    image[3:9, 2:6] = 0.0
    valid = (image != 0.0).astype(np.uint8)
    lagged = autocorrelation.lags(template, reach)
    everywhere = np.ones(autocorrelation.count_corners(shape), dtype=np.uint8)
    found = autocorrelation.texture(image, valid, lagged, everywhere)
    expected = twin.block_products(image, lagged.y, lagged.x, autocorrelation.BLOCK, found.products.shape[:2])
    np.testing.assert_allclose(found.products, expected, rtol=0, atol=1e-9 if dtype is np.float64 else 1e-4)
    zero = np.zeros(1, dtype=np.int64)
    count = twin.block_products(valid, zero, zero, autocorrelation.BLOCK, found.counts.shape)[..., 0]
    np.testing.assert_array_equal(found.counts, count)


@pytest.mark.small
def test_textures_of_some_corners_are_those_of_all():
    """Whatever is asked for first, to the last bit; nothing else is computed."""
    image, valid, lagged = texture((60, 90), 1, 1.0), np.ones((60, 90), np.uint8), autocorrelation.lags(48, 20)
    whole = autocorrelation.texture(image, valid, lagged)
    assert (whole.is_known == 1).all()
    windows = nodes(16, 2, 2, top=3, left=5, step=33)
    some = np.zeros(whole.is_known.shape, np.uint8)
    autocorrelation.mark_corners(windows, np.full((2, 2, 2), [[[2.0, -3.0], [np.nan, np.nan]]]), some)
    assert 0 < some.sum() < some.size / 2
    found = autocorrelation.texture(image, valid, lagged, some)
    np.testing.assert_array_equal(found.is_known, some)
    out = np.empty((2, 2, 2))
    for k, each in enumerate((whole, found)):
        peaks = np.full((2, 2, 2), [[[2.0, -3.0], [np.nan, np.nan]]])
        pair = each.sums, each.moments
        significance.effective_pixels(pair, pair, lagged.weight, windows, peaks, out[k])
    np.testing.assert_array_equal(out[0], out[1])
    autocorrelation.complete(found, lagged, np.ones(some.shape, np.uint8))
    np.testing.assert_array_equal(found.sums, whole.sums)
    np.testing.assert_array_equal(found.moments, whole.moments)


@pytest.mark.parametrize(("template", "sigma"), [(7, 0.0), (7, 1.0), (16, 1.0), (20, 1.5)])
def test_effective_pixels_of_known_covariance(template, sigma):
    """The mean over many windows is that of the covariance matrix of a window's pixels."""

    def covariance(y, x):
        return np.exp(-(y**2 + x**2) / (4.0 * sigma**2)) if sigma else (y == 0) * (x == 0)

    where = nodes(template, 24, 24)
    size = 40 + 24 * 16
    valid = np.ones((size, size), dtype=np.uint8)
    lagged = autocorrelation.lags(template, 8)
    first, second = (autocorrelation.texture(texture((size, size), seed, sigma), valid, lagged) for seed in (3, 4))
    out = np.empty((24, 24))
    peaks = np.zeros((24, 24, 4))
    significance.effective_pixels(
        (first.sums, first.moments), (second.sums, second.moments), lagged.weight, where, peaks, out
    )
    expected = 1.0 / twin.variance_of_score(covariance, template)
    corrected = out - significance.OFFSET - significance.SHARE * template**2
    assert np.median(corrected) == pytest.approx(expected, rel=0.08)


def test_roughness_of_known_covariance():
    """Gaussian autocorrelations of width s make scores correlate as a Gaussian of width s·sqrt(2)."""
    lagged = autocorrelation.lags(48, 12)
    valid = np.ones((400, 400), dtype=np.uint8)
    first, second = (autocorrelation.texture(texture((400, 400), seed, 1.5), valid, lagged) for seed in (5, 6))
    expected = np.exp(-1.0 / (8.0 * 1.5**2))
    np.testing.assert_allclose(significance.roughness(first, second, lagged), expected, atol=0.01)


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_unrelated_scores_of_known_covariance(sigma):
    def covariance(y, x):
        return np.exp(-(y**2 + x**2) / (4.0 * sigma**2)) if sigma else (y == 0) * (x == 0)

    out = np.empty(3)
    found = []
    for seed in range(4):
        first, second = (texture((220, 220), 10 * seed + k, sigma) for k in (1, 2))
        significance.unrelated_scores(first, second, np.ones((2, 220, 220), np.uint8), 16, 8, out)
        found.append(out.copy())
    effective, *rough = np.mean(found, axis=0)
    assert effective == pytest.approx(1.0 / twin.variance_of_score(covariance, 16), rel=0.1)
    np.testing.assert_allclose(rough, np.exp(-1.0 / (8.0 * sigma**2)) if sigma else 0.0, atol=0.06)


@pytest.mark.small
def test_no_texture_is_no_evidence():
    valid = np.ones((80, 80), dtype=np.uint8)
    lagged = autocorrelation.lags(16, 8)
    flat = autocorrelation.texture(np.zeros((80, 80)), valid, lagged)
    out = np.empty((2, 2))
    pair = (flat.sums, flat.moments)
    significance.effective_pixels(pair, pair, lagged.weight, nodes(16, 2, 2), np.zeros((2, 2, 4)), out)
    assert (out == 0.0).all()
    assert significance.roughness(flat, flat, lagged) == (0.0, 0.0)
    np.testing.assert_array_equal(alarm(np.full((2, 2), 0.9), out), 1.0)
    lost = np.empty((2, 2))
    ground = autocorrelation.texture(texture((80, 80), 1, 1.0), valid, lagged)
    pair = (ground.sums, ground.moments)
    significance.effective_pixels(pair, pair, lagged.weight, nodes(16, 2, 2), np.full((2, 2, 4), np.nan), lost)
    assert (lost == 0.0).all()
    small = np.empty(3)
    significance.unrelated_scores(np.zeros((20, 20)), np.zeros((20, 20)), np.ones((2, 20, 20), np.uint8), 16, 1, small)
    assert (small == 0.0).all()


@pytest.mark.small
def test_false_alarm_against_twin():
    for score in (-0.3, 0.0, 0.1, 0.4, 0.8, 0.99, np.nan):
        for effective in (0.0, 1.5, 9.0, 115.0, 1020.0):
            for candidates in (1.0, 7921.0):
                for excess in (0.0, 0.3, 7.0, 250.0):
                    found = alarm(score, effective, candidates, excess=excess)
                    expected = twin.false_alarm(score, effective, candidates, (0.8, 0.7), 1024, excess)
                    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("has_holes", [False, True])
def test_excess_against_twin(dtype, has_holes):
    where, generator = nodes(16), np.random.default_rng(1)
    first, second = (generator.standard_normal((90, 90)) ** power for power in (3, 5))
    valid = (generator.random((2, 90, 90)) < 0.8).astype(np.uint8)
    peaks = np.zeros((3, 3, surface.PEAK_FIELDS), dtype)
    peaks[..., :2] = generator.integers(-5, 6, (3, 3, 2))
    peaks[1, 1] = np.nan
    out = np.empty((3, 3))
    known = valid if has_holes else np.empty((2, 0, 0), np.uint8)
    of_first = np.empty((3, 3))
    moments.kurtosis(first.astype(dtype), known[0], where, of_first)
    moments.excess(of_first, second.astype(dtype), known[1], where, peaks, out)
    for row, column in np.ndindex(3, 3):
        expected = 0.0
        if (row, column) != (1, 1):
            y, x = 20 + 16 * row, 20 + 16 * column
            dy, dx = peaks[row, column, :2].astype(int)
            here = (slice(y, y + 16), slice(x, x + 16)), (slice(y + dy, y + dy + 16), slice(x + dx, x + dx + 16))
            windows = [
                image[part][mask[part] > 0] if has_holes else image[part]
                for image, mask, part in zip((first, second), valid, here, strict=True)
            ]
            expected = twin.excess(*windows)
        assert out[row, column] == pytest.approx(expected, rel=1e-8 if dtype is np.float64 else 1e-3)
    moments.kurtosis(np.ones((90, 90), dtype), known[0], where, of_first)
    moments.excess(of_first, second.astype(dtype), known[1], where, peaks, out)
    assert (out == 0.0).all()


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("has_holes", [False, True])
@pytest.mark.parametrize("template", [1, 7, 12])
def test_kurtosis_at_every_pixel_is_that_of_each_window(template, has_holes, dtype):
    generator = np.random.default_rng(2)
    image = (generator.standard_normal((40, 61)) ** 3).astype(dtype)
    image[:14, :14] = 1.0
    valid = (generator.random(image.shape) < (0.8 if has_holes else 2.0)).astype(np.uint8)
    valid[20:33, 20:33] = not has_holes
    # of windows two pixels apart each is taken by itself
    dense, every_second = zncc.Nodes(9, 41, 3, 2, 1, template), zncc.Nodes(5, 21, 3, 2, 2, template)
    known = valid if has_holes else np.empty((0, 0), np.uint8)
    found, wanted = np.empty((9, 41)), np.empty((5, 21))
    moments.kurtosis(image, known, dense, found)
    moments.kurtosis(image, known, every_second, wanted)
    np.testing.assert_allclose(found[::2, ::2], wanted, rtol=1e-9 if dtype is np.float64 else 1e-4, atol=1e-9)
    assert (found[0, 0] < 1e-9) == (template < 12)
    # whatever lies beside a window
    for first, count in ((0, 1), (5, 17), (40, 1)):
        alone = np.empty((9, count))
        moments.kurtosis(image, known, dense._replace(left=2 + first, columns=count), alone)
        np.testing.assert_array_equal(alone, found[:, first : first + count])


@pytest.mark.small
def test_ambiguity_against_twin():
    peaks = np.full((1, 7, surface.PEAK_FIELDS), 0.1)
    tops, others = [0.9, 0.95, 0.6, 0.5, np.nan, 0.8, 0.8], [0.89, 0.2, 0.55, 0.49, 0.3, np.nan, surface.NO_OTHER]
    peaks[0, :, 2], peaks[0, :, surface.OTHER] = tops, others
    peaks[0, :, 5], peaks[0, :, 7], peaks[0, :, 9] = 0.3, 0.2, np.nan  # along x a neighbour is unknown
    peaks[0, :, surface.OTHER + 1] = 0.02
    effective, chance, out = np.full((1, 7), 60.0), np.full((1, 7), 0.01), np.empty((1, 7))
    ambiguity.ambiguity(peaks, effective, chance, out)
    for k in range(4):
        rise = (0.1 - 0.3) ** 2 / (8.0 * (2.0 * tops[k] - 0.4))
        assert out[0, k] == pytest.approx(twin.ambiguity((tops[k], rise), (others[k], 0.02), 60.0, 0.01))
    assert np.isnan(out[0, 4:6]).all()
    assert out[0, 6] == 0.0


@pytest.mark.small
def test_one_candidate_of_independent_pixels_has_the_tail_of_student():
    """White windows: what remains of the formula is the exact tail of a correlation, within a few percent."""
    for effective in (20.0, 100.0, 1000.0):
        for score in np.array([2.0, 3.0, 4.0]) / np.sqrt(effective):
            exact = twin.tail(score, effective - 1.0)
            expected = alarm(score, effective, 1.0, (0.0, 0.0), effective) / (1.0 - exact) ** 4
            np.testing.assert_allclose(expected, exact, rtol=0.06)


@pytest.mark.small
@pytest.mark.parametrize("candidates", [1.0, 9.0, 1521.0])
@pytest.mark.parametrize("effective", [1.3, 5.0, 100.0, 1000.0])
def test_false_alarm_falls_with_the_score_and_its_worth(effective, candidates):
    score = np.linspace(-1.0, 1.0, 401)
    for rough in ((0.0, 0.0), (0.7, 0.95), (0.999, 0.999)):
        found = alarm(score, effective, candidates, rough)[0]
        assert (np.diff(found) <= 1e-12).all()
        assert (found >= 0.0).all()
        assert (found[:201] == 1.0).all()
        assert (alarm(score, effective, 2.0 * candidates, rough)[0] >= found).all()
        assert found[-1] < 0.5 * found[202]


# --------------------------------------------------------------------------------------------------- unrelated ground


def share_passed(stack, template, search, step, prefilter="bandpass"):
    """Windows (percent) whose best candidate is accepted and significant at 1 %, and their number."""
    network = xoffset.pairs(stack, direction="both")
    shifts = xoffset.correlate(stack, network, template=template, search=search, step=step, prefilter=prefilter)
    has_score = np.isfinite(shifts.score.values)
    is_border = (shifts.flags.values & FLAGS["border"]) > 0
    passed = (shifts.false_alarm.values <= 0.01) & ~is_border
    return 100.0 * passed[has_score].mean(), int(has_score.sum())


@pytest.mark.parametrize(
    ("template", "search", "redness", "prefilter"),
    [
        (16, 8, 0.0, "bandpass"), (16, 8, 1.3, "bandpass"), (16, 8, 2.0, "bandpass"), (16, 8, 0.0, None),
        (32, 4, 1.3, "bandpass"), (32, 20, 1.3, "bandpass"), (20, 16, 1.3, "bandpass"),
    ],
)  # fmt: skip
def test_one_percent_of_unrelated_ground_passes(template, search, redness, prefilter):
    ground = [synthetic.scene((320, 320), redness=redness, seed=40 + k) for k in range(5)]
    one = unrelated(5, 320)
    scenes = [synthetic.stack((320, 320), dates=("2020-01-01",), ground=each, crs=None)[0].values[0] for each in ground]
    found, count = share_passed(one.copy(data=np.stack(scenes)), template, search, template, prefilter)
    # 0.3 of the promise, and two standard errors of a count
    allowed = 0.3 + 2.0 * np.sqrt(100.0 / count)
    assert abs(found - 1.0) < allowed, f"{found:.2f} % of {count}"


@pytest.mark.parametrize("options", [{"clouds": 0.3}, {"nodata": 0.2}, {"clouds": 0.3, "nodata": 0.2}])
def test_clouds_and_holes_raise_no_false_alarms(options):
    found, count = share_passed(unrelated(5, 320, seed=60, **options), 32, 12, 32)
    assert found < 1.3 + 2.0 * np.sqrt(100.0 / count), f"{found:.2f} % of {count}"


def bright_points(share, side, size, seed, bright=500.0):
    """Two images of unrelated ground whose contrast few squares of `side` px carry, on a `share` of the pixels."""
    generator = np.random.default_rng(seed)
    points = (generator.random((2, size, size)) < share / side**2).astype(float)
    return bright * scipy.ndimage.maximum_filter(points, (1, side, side)) + generator.standard_normal(points.shape)


@pytest.mark.parametrize(
    ("share", "side", "template", "search", "prefilter"),
    [
        (0.001, 1, 32, 8, "bandpass"), (0.01, 1, 32, 8, "bandpass"), (0.01, 1, 16, 4, "bandpass"),
        (0.01, 3, 32, 8, "bandpass"), (0.03, 5, 48, 8, "bandpass"), (0.01, 3, 32, 8, None), (0.01, 1, 32, 8, None),
    ],
)  # fmt: skip
def test_few_bright_points_raise_no_false_alarms(share, side, template, search, prefilter):
    stack = unrelated(2, 224)
    stack = stack.copy(data=bright_points(share, side, 224, 5).astype(stack.dtype))
    found, count = share_passed(stack, template, search, 8, prefilter)
    assert found <= 1.3, f"{found:.2f} % of {count}"


# ---------------------------------------------------------------------------------------------------------- true match


def test_true_matches_of_many_bright_points_are_significant():
    generator = np.random.default_rng(2)
    points = 500.0 * (generator.random((160, 160)) < 0.03)
    images = np.stack([points, np.roll(points, (2, -3), (0, 1))]) + generator.standard_normal((2, 160, 160))
    stack = unrelated(2, 160)
    shifts = xoffset.correlate(
        stack.copy(data=images.astype(stack.dtype)), xoffset.pairs(stack), search=6, template=32, step=16
    )
    assert (shifts.false_alarm.values[np.isfinite(shifts.dx.values)] < 0.01).mean() > 0.95


# ----------------------------------------------------------------------------------------------------------- ambiguity


PATTERNS = {
    "grid": lambda y, x: np.sin(2 * np.pi * x / 8) * np.sin(2 * np.pi * y / 8),
    "diagonal": lambda y, x: np.sin(2 * np.pi * x / 11) * np.sin(2 * np.pi * y / 11),
    "short": lambda y, x: np.sin(2 * np.pi * x / 4.5) * np.sin(2 * np.pi * y / 4.5),
    "furrows": lambda y, x: np.sin(2 * np.pi * (x + 0.4 * y) / 7),
}


@pytest.mark.parametrize("noise", [2.0, 20.0])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_repeated_ground_is_ambiguous(pattern, noise):
    """Whether the match is right or an alias, and wherever between the pixels either lies."""
    y, x = np.indices((128, 128)).astype(float)
    generator = np.random.default_rng(3)
    stack = unrelated(2, 128)
    for dx, dy in ((2.0, 1.15), (2.5, 1.5)):
        images = np.stack([100.0 * PATTERNS[pattern](y - k * dy, x - k * dx) for k in (0, 1)])
        images += noise * generator.standard_normal(images.shape)
        shifts = stack.copy(data=images.astype(stack.dtype)).offset.correlate(xoffset.pairs(stack), search=8, step=16)
        is_matched = np.isfinite(shifts.dx.values)
        assert (shifts.ambiguity.values[is_matched] > 0.03).all()


@pytest.mark.parametrize(
    ("template", "snr", "prefilter"), [(16, 2.0, "bandpass"), (32, 1.0, "bandpass"), (32, 4.0, None)]
)
def test_ordinary_ground_is_not_ambiguous(template, snr, prefilter):
    stack, _ = synthetic.stack((160, 160), field="constant", velocity=23.0, direction=60.0, snr=snr, crs=None)
    shifts = stack.offset.correlate(stack.offset.pairs(), template=template, search=8, prefilter=prefilter)
    known = shifts.ambiguity.values[np.isfinite(shifts.dx.values)]
    assert known.size > 50
    assert (known < 0.01).mean() > 0.97


def test_a_narrow_search_knows_of_no_other_peak():
    stack, _ = synthetic.stack((96, 96), field="constant", velocity=10.0, direction=60.0, crs=None)
    shifts = stack.offset.correlate(stack.offset.pairs(), search=3)
    assert np.isfinite(shifts.dx.values).any()
    assert np.isnan(shifts.ambiguity.values).all()


@pytest.mark.parametrize(("template", "search"), [(32, 8), (32, 2), (32, 1), (64, 20)])
def test_true_matches_are_significant(template, search):
    stack, _ = synthetic.stack((256, 256), field="constant", velocity=2.0, snr=2.0, crs=None, seed=2)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=template, search=search, step=16)
    is_matched = np.isfinite(shifts.dx.values)
    assert is_matched.sum() >= 20
    assert (shifts.false_alarm.values[is_matched] < 0.01).mean() > 0.99


def test_false_alarm_has_the_same_bits_for_any_chunks():
    stack = unrelated(2, 200, nodata=0.1)
    stack[:, 40:90, 120:150] = np.nan
    network = xoffset.pairs(stack)
    whole = xoffset.correlate(stack, network, template=16, search=5, step=8)
    assert np.isfinite(whole.false_alarm.values).any()
    for chunks in ({"y": 37, "x": 200}, {"y": 128, "x": 64}):
        pieces = xoffset.correlate(stack.chunk(chunks), network, template=16, search=5, step=8).compute()
        np.testing.assert_array_equal(pieces.false_alarm.values, whole.false_alarm.values)


# -------------------------------------------------------------------------------------------------------------- screen


def shifts_with(alarms):
    grid = {"y": np.arange(3.0), "x": np.arange(3.0)}
    dates = {
        "reference": ("pair", [np.datetime64("2020-01-01", "us")]),
        "secondary": ("pair", [np.datetime64("2021-01-01", "us")]),
    }
    names = ("dx", "dy", "sigma_dx", "sigma_dy", "score")
    fields = {name: (("pair", "y", "x"), np.full((1, 3, 3), 0.5)) for name in names}
    if alarms is not None:
        fields["false_alarm"] = (("pair", "y", "x"), np.asarray(alarms).reshape(1, 3, 3))
    return xr.Dataset(fields, coords=dates | grid)


@pytest.mark.small
def test_screen_flags_what_chance_explains():
    alarms = np.array([0.0, 0.01, 0.0101, 0.5, 1.0, np.nan, 0.001, 0.02, 0.005])
    bit = FLAGS["insignificant"]
    found = xoffset.screen(shifts_with(alarms), neighbourhood=False)
    np.testing.assert_array_equal(found.flags.values.ravel() > 0, ~(alarms <= 0.01))
    assert set(np.unique(found.flags.values)) == {0, bit}
    np.testing.assert_array_equal(np.isnan(found.dx.values), found.flags.values > 0)
    np.testing.assert_array_equal(found.false_alarm.values.ravel(), alarms)
    loose = xoffset.screen(shifts_with(alarms), false_alarm=0.5, neighbourhood=False)
    np.testing.assert_array_equal(loose.flags.values.ravel() > 0, ~(alarms <= 0.5))
    untested = xoffset.screen(shifts_with(alarms), false_alarm=None, neighbourhood=False)
    assert not untested.flags.values.any()
    xr.testing.assert_identical(shifts_with(alarms).offset.screen(neighbourhood=False), found)


@pytest.mark.small
def test_screen_of_shifts_without_the_probability():
    assert np.isfinite(xoffset.screen(shifts_with(None), neighbourhood=False).dx.values).all()
    with pytest.raises(ValueError, match="Leave false_alarm out"):
        xoffset.screen(shifts_with(None), false_alarm=0.05)
    with pytest.raises(ValueError, match="false_alarm"):
        xoffset.screen(shifts_with(np.zeros(9)), false_alarm=2.0)
