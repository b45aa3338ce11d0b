"""The kernels of dense matching against their slow twins."""

from __future__ import annotations

import numpy as np
import pytest
import reference_dense as twin
import scipy.optimize

from xoffset._arrays.matching import dense_certainty, dense_field, labels
from xoffset._arrays.matching.dense_field import Solution
from xoffset._kernels import bits
from xoffset._kernels.images import filters
from xoffset._kernels.matching import growth, judging, regularized, residuals, variation

RNG = np.random.default_rng(5)


def smooth(shape, sigma=1.2):
    import scipy.ndimage

    image = scipy.ndimage.gaussian_filter(RNG.standard_normal(shape), sigma)
    return (image / image.std()).astype(np.float32)


@pytest.mark.parametrize(("half", "window"), [((2, 3), 7), ((1, 1), 3), ((3, 1), 17)])
def test_costs_of_blocks(half, window):
    weights = labels.weights_of(window)
    second = smooth((16 + 2 * half[0], 24 + 2 * half[1]))
    second[:4, :6] = 0.0
    first = second[half[0] + 1 : half[0] + 17, half[1] - 1 : half[1] + 23] + 0.3 * smooth((16, 24))
    found = labels.costs(np.ascontiguousarray(first), second, half, weights, 0.3)
    expected = twin.block_costs(first, second, half, weights, 0.3)
    assert found.dtype == np.int16
    np.testing.assert_allclose(found, expected, atol=2.0)
    # the shift by which the second image is the first
    shift = (half[0] + 1) * (2 * half[1] + 1) + half[1] - 1
    assert (found.argmin(axis=1)[1:-1, 1:-1] == shift).mean() > 0.8


@pytest.mark.parametrize("slope", [-1, 0, 1])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_paths(slope, is_reversed):
    half = (1, 2)
    cost = RNG.integers(0, 1000, (6, 15, 5)).astype(np.int16)
    total = np.zeros_like(cost)
    regularized.sweep(cost, 3, 5, slope, is_reversed, np.int16(90), np.int16(300), total)
    np.testing.assert_array_equal(total, twin.swept(cost, half, slope, is_reversed, 90, 300))


@pytest.mark.parametrize("direction", [(1.0, -1.0), (1.0, 1.0), (2.0, -1.0), None])
def test_shifts_of_a_turned_volume_are_turned(direction):
    """Upside down with the direction mirrored, and by half a turn with the same direction."""
    half = (2, 1)
    cost = np.random.default_rng(1).integers(0, 1000, (9, 15, 11)).astype(np.int16)
    by_shift = cost.reshape(9, 5, 3, 11)
    mirrored = None if direction is None else (direction[0], -direction[1])
    prior, other = (dense_field.Prior(1.0, dense_field.metric_along(each, 0.1)) for each in (direction, mirrored))
    dx, dy = labels.optimise(cost, half, prior)
    flipped = np.ascontiguousarray(by_shift[::-1, ::-1]).reshape(cost.shape)
    np.testing.assert_array_equal(labels.optimise(flipped, half, other), [dx[::-1], -dy[::-1]])
    turned = np.ascontiguousarray(by_shift[::-1, ::-1, ::-1, ::-1]).reshape(cost.shape)
    np.testing.assert_array_equal(labels.optimise(turned, half, prior), [-dx[::-1, ::-1], -dy[::-1, ::-1]])


def test_shifts_about_a_centre_that_varies():
    y, x = np.indices((8, 10)) * 2.0  # px
    centre = np.stack([3.0 + 0.1 * x - 0.05 * y, -2.0 + 0.2 * y]).astype(np.float32)
    shift = np.zeros((2, 8, 10), np.float32)
    shift[0, 2:6, 2:7], shift[1, 2:6, 2:7] = 4.0, -3.0
    found = labels.about(shift, centre)
    inner = (slice(2, 6), slice(2, 7))
    np.testing.assert_allclose(found[0][inner], (4.0 + 3.0 + 0.1 * (x + 4.0) - 0.05 * (y - 3.0))[inner], atol=1e-5)
    np.testing.assert_allclose(found[1][inner], (-3.0 - 2.0 + 0.2 * (y - 3.0))[inner], atol=1e-5)
    np.testing.assert_allclose(found[:, 0], centre[:, 0], atol=1e-6)
    np.testing.assert_array_equal(labels.about(shift, centre[:, :1, :1]), shift + centre[:, :1, :1])


def test_paths_across_are_those_down_turned():
    cost = RNG.integers(0, 1000, (6, 9, 37)).astype(np.int16)
    turned = np.empty((37, 9, 6), dtype=np.int16)
    regularized.turn(cost, turned)
    np.testing.assert_array_equal(turned, cost.transpose(2, 1, 0))


def test_cheapest_shift_and_the_vertex_beside_it():
    place = np.array([[-1.0, 0.5], [0.25, 1.0]])  # of blocks (1, 2) along y, x
    y, x = np.mgrid[-2:3, -2:3]
    total = 100.0 * ((y.ravel()[:, None] - place[0]) ** 2 + (x.ravel()[:, None] - place[1]) ** 2)
    best, dx, dy = np.empty((1, 2), np.int32), np.empty((1, 2), np.float32), np.empty((1, 2), np.float32)
    regularized.cheapest(np.rint(total)[None].astype(np.int16), 5, 5, best, dx, dy)
    np.testing.assert_allclose(dx[0], place[1], atol=0.02)
    np.testing.assert_allclose(dy[0], place[0], atol=0.02)
    # at the rim there is no vertex
    total = 100.0 * ((y.ravel()[:, None] - 2.4) ** 2 + x.ravel()[:, None] ** 2)
    regularized.cheapest(np.rint(total)[None].astype(np.int16), 5, 5, best[:, :1], dx[:, :1], dy[:, :1])
    assert dy[0, 0] == 2.0
    assert dx[0, 0] == 0.0


def test_shifts_are_counted_beyond_sixteen_bits():
    total = np.full((1, 3 * 16001, 1), 500, np.int16)
    total[0, 2 * 16001 + 15000] = 10
    best, dx, dy = np.empty((1, 1), np.int32), np.empty((1, 1), np.float32), np.empty((1, 1), np.float32)
    regularized.cheapest(total, 3, 16001, best, dx, dy)
    assert (dx[0, 0], dy[0, 0]) == (7000.0, 1.0)


@pytest.mark.parametrize("side", [1, 3, 31])
def test_box(side):
    image = smooth((13, 17))
    found = np.empty_like(image)
    residuals.box(image, side, found)
    padded = np.pad(image.astype(np.float64), side // 2)
    expected = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).sum((-2, -1))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def seen(field, hole=False):
    """What `residuals.look` makes of two images of 12 x 16 px, the second one 5 px larger on each side."""
    first, second = smooth((12, 16)), smooth((22, 26))
    weight, known = np.ones_like(first), np.ones_like(second)
    if hole:
        weight[2, 3], known[9, 9:12] = 0.0, 0.0
    spline = np.empty_like(second)
    filters.spline_coefficients(second, spline)
    values, shared, sums = np.empty_like(first), np.empty_like(first), np.empty((4, 6, 8), np.float32)
    residuals.look(first, weight, spline, known, (5, 5), field[0], field[1], values, shared, sums)
    return first, weight, spline, known, values, shared, sums


@pytest.mark.parametrize("hole", [False, True])
def test_second_image_at_the_field(hole):
    field = RNG.uniform(-2.0, 2.0, (2, 6, 8)).astype(np.float32)
    field[:, 0, 0] = -6.0
    field[:, 1, 1] = np.nan
    first, weight, spline, known, values, shared, sums = seen(field, hole)
    for y, x in np.ndindex(first.shape):
        dx, dy = field[:, y // 2, x // 2]
        if (y // 2, x // 2) in ((0, 0), (1, 1)):
            assert shared[y, x] == 0.0
            continue
        at_y, at_x = y + 5 + dy, x + 5 + dx
        top, left = int(at_y), int(at_x)
        assert shared[y, x] == weight[y, x] * known[top : top + 2, left : left + 2].min()
        np.testing.assert_allclose(values[y, x], twin.spline_at(spline.astype(float), at_y, at_x), atol=2e-5)
    layers = np.stack([first * first, values * values, first * values, np.ones_like(first)]) * shared
    np.testing.assert_allclose(sums, layers.reshape(4, 6, 2, 8, 2).sum(axis=(2, 4)), atol=1e-4)


def test_gains_and_residuals_of_blocks():
    first, _, _, _, values, shared, sums = seen(np.zeros((2, 6, 8), np.float32), hole=True)
    gain, residual = np.empty((6, 8), np.float32), np.empty((6, 8), np.float32)
    residuals.gains(sums[0], sums[1], gain)
    residuals.mean_residual(sums, gain, residual)
    blocks = np.repeat(np.repeat(gain, 2, 0), 2, 1)
    square = ((first - blocks * values) ** 2 * shared).reshape(6, 2, 8, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(residual, square / np.maximum(sums[3], 1), atol=1e-4)
    np.testing.assert_allclose(gain, np.clip(np.sqrt((sums[0] + 1e-3) / (sums[1] + 1e-3)), 0.25, 4.0), rtol=1e-5)


def test_equations():
    field = RNG.uniform(-1.0, 1.0, (2, 6, 8)).astype(np.float32)
    first, _, _, _, values, shared, _ = seen(field, hole=True)
    images = np.stack([first, smooth(first.shape), smooth(first.shape)])
    gain = RNG.uniform(0.5, 2.0, (6, 8)).astype(np.float32)
    residual = RNG.uniform(0.0, 4.0, (6, 8)).astype(np.float32)
    system = np.empty((5, 6, 8), np.float32)
    residuals.equations(
        images, values, shared, gain, residual, *field, np.array([0.2, 2.4], np.float32), np.float32(1.5), system
    )
    large = [np.repeat(np.repeat(each.astype(float), 2, 0), 2, 1) for each in (gain, residual, *field)]
    error = first - large[0] * values
    weight = shared / (0.2 * 2.4) / (1.0 + (large[1] / 1.5) ** 2)
    weight *= np.minimum(1.0, 2.5 * np.sqrt(0.2) / np.abs(error))
    u, v = images[1:].astype(float)
    right = u * large[2] + v * large[3] + error
    layers = weight * np.stack([u * u, u * v, v * v, u * right, v * right])
    np.testing.assert_allclose(system, layers.reshape(5, 6, 2, 8, 2).sum(axis=(2, 4)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("direction", [None, (1.0, 0.0), (0.6, -0.8)])
def test_descent_finds_the_least_energy(direction):
    metric = dense_field.metric_along(direction, 0.25)
    shape = (5, 6)
    information = RNG.uniform(0.5, 2.0, (2, *shape))
    system = np.stack([information[0], 0.3 * information.min(0), information[1], *RNG.standard_normal((2, *shape))])
    limit = np.full(shape, 0.3)
    single = [each.astype(np.float32) for each in (system, limit)]
    dx, dy = (np.zeros(shape, np.float32) for _ in range(2))
    dual, work = np.zeros((4, *shape), np.float32), np.empty((5, *shape), np.float32)
    variation.descend(*single, metric, np.float32(0.1), 600, dx, dy, dual, work)

    def energy(flat):
        return twin.energy_of(flat.reshape(2, *shape), system, limit, metric)

    found = np.stack([dx, dy]).astype(float).ravel()
    best = scipy.optimize.minimize(energy, found, method="Powell", options={"maxiter": 3, "xtol": 1e-4})
    assert energy(found) < energy(np.zeros_like(found)) - 0.1
    assert energy(found) <= best.fun + 2e-3


def test_halves_and_what_they_change():
    image = smooth((7, 9))
    half = np.empty((3, 4), np.float32)
    variation.halve(image, np.float32(0.25), half)
    np.testing.assert_allclose(half, image[:6, :8].reshape(3, 2, 4, 2).mean(axis=(1, 3)), atol=1e-6)
    out = np.zeros_like(image)
    variation.add_change(half + 1.0, half, out)
    np.testing.assert_allclose(out, 1.0, atol=1e-6)


def test_steps_cost_less():
    field = np.zeros((2, 4, 6), np.float32)
    field[0, :, 3:] = 3.0
    weight = np.ones((4, 6), np.float32)
    known = np.full((4, 6), 0.5, np.float32)
    # beneath a cloud
    known[3, 3] = 0.01
    variation.soften(field[0], field[1], known, known, np.float32(0.6), np.float32(2.0), weight)
    assert (weight[:, [0, 1, 3, 4]] == 1.0).all()
    np.testing.assert_allclose(weight[:3, 2], 1.0 / (1.0 + 25.0**3), rtol=1e-5)
    np.testing.assert_allclose(weight[3, 2], 1.0 / (1.0 + (25.0 * 0.04**2) ** 3), rtol=1e-5)


def test_scores_of_windows():
    first, second = smooth((20, 24)), smooth((20, 24))
    second[:, :12] = first[:, :12]
    shared = np.ones_like(first)
    shared[3:9, 15:22] = 0.0
    score, count = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
    residuals.scores(first, second, shared, (1e-6, 1e-6), 5, 1, 2, 6, score, count)
    for i, j in np.ndindex(score.shape):
        window = slice(1 + 6 * i, 6 + 6 * i), slice(2 + 6 * j, 7 + 6 * j)
        expected = twin.window_score(first[window].astype(float), second[window].astype(float), shared[window])
        np.testing.assert_allclose(score[i, j], expected, atol=1e-5)
        assert count[i, j] == shared[window].sum()
    residuals.scores(first, second, shared, (0.0, 1e3), 5, 1, 2, 6, score, count)
    assert np.isnan(score).all()


def test_blocks_take_over_the_shift_of_a_neighbour_that_suits():
    second = smooth((60, 60))
    spline = np.empty_like(second)
    filters.spline_coefficients(second, spline)
    # the middle has moved by (2, -1), the rest is at rest
    first = second[10:50, 10:50].copy()
    first[14:26, 14:26] = second[23:35, 26:38]
    known, weight = np.ones_like(second), np.ones_like(first)
    before = np.zeros((2, 20, 20), np.float32)
    before[0, 9:11, 9:11], before[1, 9:11, 9:11] = 2.0, -1.0
    field, score = before.copy(), np.full((20, 20), growth.UNSEEN, np.float32)
    limits = np.float32(0.5), np.float32(0.65), np.float32(0.02)
    for _ in range(4):
        last = field.copy()
        growth.grow(first, weight, spline, known, (10, 10), 3, 1, limits, last, field, score)
    grown = field[0] == 2.0
    assert grown[8:12, 8:12].all()
    assert grown.sum() <= 64
    assert not grown[:5].any()
    # where nothing suits better nothing changes, and only edges are looked at
    assert (score[:4] == growth.UNSEEN).all()
    # of three pixels nothing is told, however alike they are
    weight[:] = 0.0
    weight[::6, ::6] = 1.0
    field = before.copy()
    score[:] = growth.UNSEEN
    growth.grow(first, weight, spline, known, (10, 10), 3, 1, limits, before, field, score)
    np.testing.assert_array_equal(field, before)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("shape", [(9, 11), (1, 6), (5, 1)])
def test_values_at_nodes_are_bilinear_between_the_middles_of_blocks(step, shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    # a linear field of pixels is one of the middles of blocks
    plane = 0.1 * (2 * x + 0.5) - 0.05 * (2 * y + 0.5)
    layers = np.stack([plane, -0.5 * plane, 0.3 * RNG.standard_normal(shape)]).astype(np.float32)
    found = np.empty((3, 4, 5), np.float32)
    residuals.at_nodes(layers, 2, 1, step, np.float32(1.0), found)
    for k, i, j in np.ndindex(found.shape):
        expected = twin.value_at(layers[k].astype(float), 2 + step * i, 1 + step * j)
        np.testing.assert_allclose(found[k, i, j], expected, atol=1e-5)
    if shape == (9, 11):
        rows, columns = np.mgrid[:4, :5]
        np.testing.assert_allclose(found[0], 0.1 * (1 + step * columns) - 0.05 * (2 + step * rows), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_between_blocks_that_move_apart_the_nearest_one_tells(axis):
    layers = np.zeros((3, 6, 6), np.float32)
    layers[:, 3:] = np.array([0.4, 3.0, 7.0])[:, None, None]
    if axis == 1:
        layers = np.ascontiguousarray(layers.swapaxes(1, 2))
    found = np.empty((3, 12, 12), np.float32)
    residuals.at_nodes(layers, 0, 0, 1, np.float32(1.0), found)
    np.testing.assert_array_equal(found, np.repeat(np.repeat(layers, 2, axis=1), 2, axis=2))
    # a little step is none
    layers *= np.float32(0.3)
    residuals.at_nodes(layers, 0, 0, 1, np.float32(1.0), found)
    assert len(np.unique(found[1].round(4))) == 4


def test_why_a_node_tells_nothing():
    side, step, first, least, half = 5, 2, 4, 0.5, (3, 4)
    shape = (9, 10)
    layers = np.stack([RNG.uniform(-5.0, 5.0, shape), RNG.uniform(-4.0, 4.0, shape), *np.full((3, *shape), 0.01)])
    layers = layers.astype(np.float32)
    layers[0, 0, 0], layers[1, 1, 1], layers[2, 2, 2], layers[3, 3, 3] = np.nan, np.inf, np.nan, np.nan
    score = RNG.uniform(0.0, 1.0, shape).astype(np.float32)
    score[RNG.random(shape) < 0.1] = np.nan
    count = RNG.integers(0, side**2 + 1, shape).astype(np.float32)
    count[RNG.random(shape) < 0.7] = side**2
    centre = RNG.uniform(-1.0, 1.0, (2, *shape)).astype(np.float32)
    left_out = RNG.random(shape) < 0.1
    frame = np.array([(2, 26), (3, 28)])
    windows = [
        (RNG.integers(0, 6, (26, 28)).astype(np.int32), (RNG.random((26, 28)) < 0.1).astype(np.uint8)) for _ in range(2)
    ]
    out = np.empty((9, *shape), np.float32)
    limits = (first, step, side), (least, *half)
    judging.judge(layers, score, count, centre, left_out, *windows[0], *windows[1], frame, *limits, out)

    def at(layer):
        return lambda y, x: layer[min(max(y, 0), layer.shape[0] - 1), min(max(x, 0), layer.shape[1] - 1)]

    looks = [(at(known), at(flat)) for known, flat in windows]
    seen = set()
    for i, j in np.ndindex(shape):
        place = first + step * i, first + step * j
        node = (*layers[:2, i, j], layers[2:4, i, j], score[i, j], count[i, j], centre[:, i, j], left_out[i, j], place)
        name = twin.verdict(node, looks, frame, side, least, half)
        seen.add(name)
        assert out[8, i, j] == (0 if name is None else getattr(bits, name))
        told = np.where([name is None] * 5, layers[:, i, j], np.nan)
        np.testing.assert_array_equal(out[[0, 1, 4, 5, 6], i, j], told)
        is_few = count[i, j] < least * side**2
        share = np.float32(count[i, j] / side**2)
        np.testing.assert_array_equal(out[[2, 7], i, j], [np.nan] * 2 if is_few else [score[i, j], share])
    assert {None, "OUTSIDE", "NODATA", "FEW_VALID", "FLAT", "BORDER"} <= seen
    # nothing else can be wrong with it where holes and flat windows are not to be had
    none = np.empty((0, 0), np.int32), np.empty((0, 0), np.uint8)
    judging.judge(
        layers, np.abs(np.nan_to_num(score)), np.full_like(count, side**2), centre, np.zeros_like(left_out), *none,
        *none, frame, *limits, out,
    )  # fmt: skip
    assert set(np.unique(out[8])) == {0.0, bits.BORDER, bits.ILL_CONDITIONED}


def test_information_that_is_missing():
    shape = (140, 150)
    system = np.zeros((5, *shape), np.float32)
    system[0], system[2] = 2.0, 3.0
    # distrusted: a tenth of what is known there counts
    system[:, 10:30, 20:40] *= 0.1
    level = np.full(shape, 7.0, np.float32)
    nothing = np.zeros(shape, np.float32)
    field = np.zeros((2, *shape), np.float32)
    known = np.ones(shape, np.float32)
    dual = np.zeros((4, *shape), np.float32)
    solution = Solution(field, system, nothing, level, dual, nothing, nothing, 1.0, system[:3], known)
    found = dense_certainty._missing(solution)
    side = dense_certainty.SIDE // 2
    for y, x in [(0, 0), (20, 30), (10, 20), (139, 25), (30, 12)]:
        square = slice(max(y - side, 0), y + side + 1), slice(max(x - side, 0), x + side + 1)
        np.testing.assert_allclose(found[y, x], 5.0 / (system[0] + system[2])[square].mean(), rtol=1e-3)
    assert found[20, 30] == pytest.approx(10.0, rel=1e-3)
    # most of the tile is a hole, or distrusted: the same elsewhere
    known[50:], system[:, 50:], level[50:] = 0.0, 0.0, 0.0
    np.testing.assert_allclose(dense_certainty._missing(solution)[:40], found[:40], rtol=1e-3)
    known[50:], system[:, 50:], level[50:] = 1.0, 0.02, 7.0
    np.testing.assert_allclose(dense_certainty._missing(solution)[:40], np.maximum(found[:40] / 1.15, 1.0), rtol=1e-3)
