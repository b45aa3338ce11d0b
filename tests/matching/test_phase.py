"""The phase matcher against its slow twin, known motion, holes, other chunks and bad input."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import reference_phase
import scipy.fft
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays.filters.options import as_prefilter
from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching.phase import Phase
from xoffset._arrays.matching.search import Pair
from xoffset._blocks import tiles
from xoffset._kernels.matching import orientations, planes
from xoffset._kernels.matching.spectra import find_lines, find_peaks
from xoffset.model import products
from xoffset.model.dates import YEAR
from xoffset.model.flags import FLAGS

PIXEL = 10.0
NAMES = ("dx", "dy", "score", "peak_gap", "sigma_dx", "sigma_dy", "cov_dxdy")


def flag(data, name):
    return (data["flags"] & FLAGS[name]) != 0


@functools.cache
def ground(shape):
    return synthetic.scene(shape)


@functools.cache
def moving(right=1.33, down=0.71, *, shape=(256, 256), **kind):
    """Two images of ground that moves by so many pixels."""
    dates = np.datetime64("2020-01-01", "us") + np.arange(2) * YEAR
    direction = float(np.rad2deg(np.arctan2(right, -down)))
    velocity = PIXEL * float(np.hypot(right, down))
    return synthetic.stack(
        shape, dates=dates, field="constant", velocity=velocity, direction=direction, ground=ground(shape), **kind
    )[0]


def match(stack, matcher="phase", **grid):
    return xoffset.correlate(stack, xoffset.pairs(stack), matcher=matcher, **{"template": 64, "search": 4} | grid)


def errors(shifts, right=1.33, down=0.71):
    """Errors (component, pair, y, x) in pixels."""
    return np.stack([shifts.dx.values / PIXEL - right, -shifts.dy.values / PIXEL - down])


def standardised(shifts, right=1.33, down=0.71):
    sigma = np.stack([shifts.sigma_dx.values, shifts.sigma_dy.values]) / PIXEL
    z = errors(shifts, right, down) / sigma
    return z[np.isfinite(z)]


def with_holes(stack, kind):
    stack = stack.copy()
    rows, columns = np.indices(stack.shape[1:])
    if kind == "stripes":
        stack.values[0][(rows + columns // 4) % 40 < 6] = np.nan
        stack.values[1][(rows + columns // 4 + 17) % 40 < 6] = np.nan
    elif kind == "patches":
        generator = np.random.default_rng(1)
        for image in stack.values:
            for _ in range(12):
                y, x = generator.integers(0, 230, 2)
                image[y : y + 22, x : x + 22] = np.nan
    return stack


# ----------------------------------------------------------------------------------------------------------- slow twins


def pixels(size, seed=0):
    """Random texture of two images, float64, the second moved by a fraction and noisy."""
    generator = np.random.default_rng(seed)
    fine = generator.standard_normal((4 * size, 4 * size))
    fine = scipy.fft.irfft2(
        scipy.fft.rfft2(fine) / (0.02 + np.hypot(*np.meshgrid(*[scipy.fft.fftfreq(4 * size)] * 2))[:, : 2 * size + 1])
    )
    images = []
    for right, down in ((0, 0), (5, -3)):
        moved = np.roll(fine, (down, right), axis=(0, 1))
        images.append(moved.reshape(size, 4, size, 4).mean(axis=(1, 3)))
    images = np.stack(images)
    return images / images.std() + 0.2 * generator.standard_normal(images.shape)


def as_stack(values):
    _, rows, columns = values.shape
    return products.stack(
        values,
        time=np.array(["2020-01-01", "2021-01-01"], dtype="M8[us]"),
        x=1.0 * np.arange(columns),
        y=-1.0 * np.arange(rows),
        crs=None,
        attrs={},
    )


@pytest.mark.parametrize(
    ("template", "options"),
    [
        pytest.param(32, {}, marks=pytest.mark.small),
        pytest.param(33, {}, marks=pytest.mark.small),
        (64, {}),
        (64, {"mask": 0.7, "iterations": 1}),
        (48, {"mask": 1.0, "iterations": 0}),
    ],
)
def test_plane_equals_its_twin(template, options):
    values = pixels(template + 16)
    shifts = match(as_stack(values), Phase(**options), template=template, search=5, step=6, prefilter=None)
    # nodes start at 0, 6, 12: the search fits around the second one only
    assert (~flag(shifts, "outside")).values[0].tolist() == [[False] * 3, [False, True, False], [False] * 3]
    options = {"share": options.get("mask", 0.9), "rounds": options.get("iterations", 4)}
    expected = reference_phase.plane(*values, (6, 6), template, 5, **options)
    found = shifts.isel(pair=0, y=1, x=1)
    u, v, score, gap, variance_x, variance_y, covariance = expected
    # the last step is below 5e-4 px, and what is left after it much less
    np.testing.assert_allclose([found.dx, -found.dy], [u, v], atol=2e-4)
    np.testing.assert_allclose([found.score, found.peak_gap], [score, gap], atol=2e-4)
    least = planes.LEAST_SIGMA**2
    np.testing.assert_allclose(found.sigma_dx**2, variance_x + least, rtol=5e-3)
    np.testing.assert_allclose(found.sigma_dy**2, variance_y + least, rtol=5e-3)
    np.testing.assert_allclose(found.cov_dxdy, -covariance, atol=5e-3 * variance_x)
    np.testing.assert_allclose([u, v], [1.25, -0.75], atol=0.2)


@pytest.mark.parametrize("template", [pytest.param(32, marks=pytest.mark.small), 65])
@pytest.mark.parametrize("has_holes", [False, True])
def test_orientation_equals_its_twin(template, has_holes):
    values = pixels(template + 16)
    if has_holes:
        values[0, 20:24, 13:20] = np.nan
        values[1, 30, 8:] = np.nan
    shifts = match(as_stack(values), Phase("orientation"), template=template, search=5, step=6, prefilter=None)
    u, v, gap = reference_phase.orientation(*values, (6, 6), template, 5)
    found = shifts.isel(pair=0, y=1, x=1)
    np.testing.assert_allclose([found.dx, -found.dy, found.peak_gap], [u, v, gap], atol=1e-9)
    np.testing.assert_allclose([u, v], [1.25, -0.75], atol=0.2)


def fit_planes(first, second, start=0.0, rounds=4):
    out, flags = np.empty((1, 6)), np.zeros(1, dtype=np.int32)
    spectra = [scipy.fft.rfft2(window)[None] for window in (first, second)]
    planes.fit_planes(*spectra, np.full((1, 2), start), (0.9, rounds), np.ones(1), out, flags)
    return out[0], int(flags[0])


@pytest.mark.small
def test_verdicts_on_planes():
    texture = np.random.default_rng(0).standard_normal((24, 24))
    found, verdict = fit_planes(texture, texture, start=0.3)
    assert verdict == 0
    np.testing.assert_allclose(found[:3], [0.0, 0.0, 1.0], atol=1e-6)
    # nothing in a window: no phase, no score
    found, verdict = fit_planes(texture, 0.0 * texture)
    assert verdict == FLAGS["ill_conditioned"]
    assert np.isnan(found).all()
    # texture along one axis only
    found, verdict = fit_planes(*[np.repeat(texture[:1], 24, axis=0)] * 2)
    assert verdict == FLAGS["ill_conditioned"]
    assert found[2] == pytest.approx(1.0)
    # further than a pixel from where the search ended
    smooth = scipy.fft.irfft2(scipy.fft.rfft2(texture) * (np.hypot(*np.meshgrid(np.arange(13), np.arange(24))) < 4))
    found, verdict = fit_planes(smooth, np.roll(smooth, 2, axis=1))
    assert verdict == FLAGS["refine_failed"]
    assert np.isnan(found[[0, 1, 3, 4, 5]]).all()
    assert 0.0 < found[2] < 0.9
    # phases that agree on no plane
    verdicts = set()
    for seed in range(8):
        found, verdict = fit_planes(texture, np.random.default_rng(10 + seed).standard_normal((24, 24)))
        verdicts.add(verdict)
        assert np.isfinite(found[0]) == (verdict == 0)
        assert abs(found[2]) < 0.4
    assert verdicts & {FLAGS["ill_conditioned"], FLAGS["refine_failed"]}


@pytest.mark.small
def test_verdicts_on_surfaces():
    generator = np.random.default_rng(0)
    first, other = np.exp(2j * np.pi * generator.random((2, 24, 24)))
    corner = np.array([[4, 4]])
    rows, columns = np.indices((24, 24))
    smooth = np.exp(1j * (2.0 * np.sin(columns / 3.0) + 2.0 * np.sin(rows / 3.0)))
    # itself, two pixels off, anything, nothing
    found = []
    for one, second in ((first, first), (smooth, np.roll(smooth, 2, axis=1)), (first, other), (first, 0.0 * first)):
        out, flags = np.empty((1, 6)), np.zeros(1, dtype=np.int32)
        orientations.fit_surfaces(one, second, corner, corner, 16, out, flags)
        found.append(int(flags[0]))
        assert np.isfinite(out[0, 0]) == (found[-1] == 0)
    assert found[0] == 0
    assert found[1] == FLAGS["refine_failed"]
    assert found[3] == FLAGS["ill_conditioned"]


@pytest.mark.small
def test_peaks_on_the_rim_and_their_rivals():
    surfaces = np.zeros((2, 32, 32))
    surfaces[0, 3, -2], surfaces[0, -3, -2], surfaces[0, 8, 8] = 0.9, 0.5, 1.0
    surfaces[1, 5, 1] = 1.0
    out, flags = np.empty((2, 6)), np.zeros(2, dtype=np.int32)
    find_peaks(surfaces, 5, out, flags)
    # what lies beyond the search does not count
    np.testing.assert_allclose(out[:, :4], [[3, -2, 0.9, 0.4], [5, 1, 1.0, 1.0]])
    assert flags.tolist() == [0, FLAGS["border"]]
    find_peaks(surfaces[:1], 3, out[:1], flags[:1])
    assert np.isnan(out[0, 3])


@pytest.mark.small
def test_lines_are_found():
    rows, columns = np.indices((20, 20)).astype(float)
    generator = np.random.default_rng(0)
    images = [np.sin(columns), np.sin(columns + rows), np.sin(columns) + np.sin(rows), generator.random((20, 20))]
    valid, out = np.ones((20, 20), dtype=np.uint8), np.empty(1, dtype=np.uint8)
    found = []
    for image in images:
        find_lines(image, valid, np.array([[2, 3]]), 16, out)
        found.append(int(out[0]))
    assert found == [1, 1, 0, 0]
    # a scratch without values does not count
    scratched = images[0].copy()
    scratched[8:10, 4:15] = 50.0
    valid[8:10, 4:15] = 0
    find_lines(scratched, valid, np.array([[2, 3]]), 16, out)
    assert out[0] == 1


@pytest.mark.small
@pytest.mark.parametrize("size", [32, 33])
def test_transforms_have_the_same_bits_in_any_batch(size):
    for dtype in (np.float32, np.float64):
        windows = np.random.default_rng(0).standard_normal((9, size, size)).astype(dtype)
        spectra = scipy.fft.rfft2(windows, workers=1)
        whole = scipy.fft.irfft2(spectra, s=(size, size), workers=1)
        turned = scipy.fft.fft2(windows + 1j * windows[::-1], workers=1)
        for start, stop in ((0, 1), (3, 5), (4, 9), (8, 9)):
            part = slice(start, stop)
            assert (scipy.fft.rfft2(windows[part], workers=1) == spectra[part]).all()
            assert (scipy.fft.irfft2(spectra[part], s=(size, size), workers=1) == whole[part]).all()
            assert (scipy.fft.fft2((windows + 1j * windows[::-1])[part], workers=1) == turned[part]).all()


# ------------------------------------------------------------------------------------------------------------ precision


@pytest.fixture(scope="module")
def staircase():
    """One image and ten more that moved by 0.1 to 1 px along both axes, noise-free."""
    dates = np.datetime64("2020-01-01", "us") + np.arange(11) * (YEAR / 10)
    stack, _ = synthetic.stack(
        dates=dates, field="constant", velocity=10.0 * np.sqrt(2.0), direction=135.0, ground=ground((256, 256))
    )
    return stack, products.network(dates[:1].repeat(10), dates[1:]), np.linspace(0.1, 1.0, 10)[:, None, None]


# measured: plane 0.003 and 0.004 px, orientation 0.011 and 0.014 px
@pytest.mark.parametrize(
    ("method", "bias", "rmse"),
    [("plane", 0.005, 0.006), ("orientation_plane", 0.005, 0.006), ("orientation", 0.02, 0.025)],
)
def test_locking_without_noise(staircase, method, bias, rmse):
    stack, network, truth = staircase
    shifts = xoffset.correlate(stack, network, template=64, search=4, step=24, matcher=Phase(method))
    wrong = errors(shifts, truth, truth)
    inner = ~flag(shifts, "outside").values
    assert np.isfinite(wrong[:, inner]).all()
    assert np.abs(np.nanmean(wrong, axis=(2, 3))).max() < bias
    assert np.sqrt(np.nanmean(wrong**2)) < rmse


@pytest.mark.parametrize("right", [(1.33, 0.71), (12.3, -7.6)])
@pytest.mark.parametrize(("snr", "plane", "orientation"), [(10, 0.008, 0.02), (4, 0.016, 0.02), (2, 0.033, 0.033)])
def test_precision_at_given_noise(snr, plane, orientation, right):
    stack = moving(*right, snr=snr, illumination=0.15)
    for method, largest in (("plane", plane), ("orientation", orientation), ("orientation_plane", plane)):
        shifts = match(stack, Phase(method), search=16, step=20)
        wrong = errors(shifts, *right)[:, ~flag(shifts, "outside").values]
        # no outlier, none lost
        assert np.sqrt((wrong**2).mean()) <= largest


@pytest.mark.parametrize("template", [32, 64])
@pytest.mark.parametrize("snr", [2, 5, 20])
def test_sigma_is_calibrated(snr, template):
    stack = moving(shape=(320, 320), snr=snr)
    z = standardised(match(stack, template=template, step=template // 2))
    assert 0.75 < 1.4826 * np.median(np.abs(z)) < 1.25
    assert (np.abs(z) < 1.96).mean() >= 0.88
    z = standardised(match(stack, Phase("orientation"), template=template, step=template // 2))
    # cautious where the shape of the peak, not noise, limits the match
    assert 0.4 < 1.4826 * np.median(np.abs(z)) < 1.4


def test_coarser_noise_on_one_axis_is_told():
    # stripes give all the texture: known across them, not along them
    stack = moving(shape=(160, 160)).astype(np.float64)
    columns = np.indices((160, 160))[1]
    generator = np.random.default_rng(0)
    stripes = np.convolve(generator.standard_normal(200), np.ones(3), mode="same")[columns]
    noise = generator.standard_normal((2, 160, 160))
    shifts = match(stack.copy(data=stripes + 0.05 * stack.values / stack.values.std() + 0.1 * noise), step=16)
    found = shifts.where(shifts["flags"] == 0)
    assert found.dx.count() > 0
    assert float((found.sigma_dx / found.sigma_dy).median()) < 0.5


# ------------------------------------------------------------------------------------------------ signs and invariances


@pytest.mark.parametrize("method", ["plane", "orientation"])
@pytest.mark.parametrize(("right", "down"), [(1.7, 1.2), (-1.7, 1.2), (1.7, -1.2), (-1.7, -1.2)])
def test_signs_in_each_quadrant(right, down, method):
    stack = moving(right, down, shape=(128, 128))
    # pixels of 30 m by 5 m, rows from north to south and from south to north
    south = stack.assign_coords(x=30.0 * np.arange(128), y=-5.0 * np.arange(128))
    for order in (slice(None), slice(None, None, -1)):
        shifts = match(south.isel(y=order), Phase(method), step=16)
        np.testing.assert_allclose(shifts.dx.mean(), 30.0 * right, atol=0.03 * 30.0)
        np.testing.assert_allclose(shifts.dy.mean(), -5.0 * down, atol=0.03 * 5.0)


def test_swapping_the_images_flips_the_sign():
    stack = moving(0.33, 0.21)
    network = xoffset.pairs(stack, direction="both")
    shifts = xoffset.correlate(stack, network, template=64, search=4, step=16, matcher="phase")
    for name in ("dx", "dy"):
        # the windows differ by a third of a pixel of ground
        assert np.nanmax(np.abs(shifts[name].sum("pair", skipna=False))) / PIXEL < 0.005
    np.testing.assert_allclose(shifts.score[0], shifts.score[1], atol=1e-3)


@pytest.mark.parametrize("method", ["plane", "orientation"])
@pytest.mark.parametrize("has_holes", [False, True])
def test_gain_and_offset_of_one_image_change_nothing(method, has_holes):
    stack = moving(snr=4.0, shape=(160, 160)).astype(np.float64)
    if has_holes:
        stack = with_holes(stack, "stripes")
    other = stack.copy()
    other[0] = 3.7 * other[0] + 210.0
    found, expected = (match(each, Phase(method), step=16) for each in (other, stack))
    assert np.isfinite(expected.dx).any()
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-9)
    single = match(other.astype(np.float32), Phase(method), step=16)
    np.testing.assert_allclose(single.dx, expected.dx, atol=5e-3)


def test_no_motion():
    stack = moving(0.0, 0.0, shape=(128, 128))
    assert np.nanmax(np.abs(errors(match(stack), 0.0, 0.0))) < 1e-4
    assert match(stack).score.min() > 0.9999
    assert match(stack).peak_gap.min() > 0.8


# ---------------------------------------------------------------------------------------------------------------- holes


@pytest.mark.parametrize(("kind", "least"), [("stripes", 0.012), ("patches", 0.01)])
@pytest.mark.parametrize("method", ["plane", "orientation_plane"])
def test_holes_do_not_hold_the_match(kind, least, method):
    stack = with_holes(moving(1.5, 0.5), kind)
    shifts = match(stack, Phase(method), step=16)
    wrong = errors(shifts, 1.5, 0.5)[:, shifts["flags"].values == 0]
    assert wrong.shape[1] > 0.9 * (~flag(shifts, "outside")).sum()
    assert np.abs(wrong.mean(axis=1)).max() < 0.004
    assert np.sqrt((wrong**2).mean()) < least
    z = standardised(match(with_holes(moving(1.5, 0.5, snr=4), kind), Phase(method), step=16), 1.5, 0.5)
    assert 0.7 < 1.4826 * np.median(np.abs(z)) < 1.3


def test_orientation_tolerates_stripes():
    stack = with_holes(moving(1.33, 0.71), "stripes")
    shifts = match(stack, Phase("orientation"), step=16)
    assert np.sqrt(np.nanmean(errors(shifts) ** 2)) < 0.03
    assert np.isfinite(shifts.dx).sum() == (~flag(shifts, "outside")).sum()


@pytest.mark.parametrize("method", ["plane", "orientation"])
def test_flags_of_holes(method):
    stack = moving(shape=(160, 160)).copy()
    stack[1, :, 60:] = np.nan
    shifts = match(stack, Phase(method), step=16).isel(pair=0, y=2)
    # windows from 16 on: 44, 28 and 12 of 64 columns, then none
    assert np.isfinite(shifts.dx.values[1])
    names = ["few_valid", "few_valid", "nodata"]
    assert [bool(flag(shifts, name)[k]) for k, name in zip((2, 3, 4), names, strict=True)] == [True] * 3
    assert np.isnan(shifts.dx.values[2:]).all()
    assert np.isnan(shifts.score.values[4])
    all_gone = stack.copy()
    all_gone[0] = np.nan
    assert flag(match(all_gone, Phase(method), step=16), "nodata").values[0, 1:-1, 1:-1].all()


@pytest.mark.parametrize("method", ["plane", "orientation"])
@pytest.mark.parametrize("level", [0.0, 4095.0, 1e9])
def test_constant_images_are_flat(level, method):
    stack = moving(shape=(128, 128))
    for spoilt in (xr.full_like(stack, level), xr.concat([stack[:1], xr.full_like(stack[1:], level)], "time")):
        shifts = match(spoilt, Phase(method), step=16)
        inner = ~flag(shifts, "outside")
        assert np.isnan(shifts.dx).all()
        assert flag(shifts, "flat").where(inner).sum() == inner.sum()


def test_a_slope_is_flat():
    stack = moving(shape=(128, 128))
    rows, columns = np.indices((128, 128))
    slope = np.stack([1000.0 + 3.0 * rows - 2.0 * (columns - k) for k in range(2)])
    assert np.isnan(match(stack.copy(data=slope.astype(np.float32)), step=16).dx).all()


def test_a_peak_on_the_outermost_ring_is_not_taken():
    stack = moving(4.1, 0.3, shape=(160, 160))
    shifts = match(stack, search=4, step=16)
    inner = ~flag(shifts, "outside")
    assert flag(shifts, "border").where(inner).sum() == inner.sum()
    assert np.isnan(shifts.dx).all()
    assert np.isnan(shifts.sigma_dx).all()
    # the score of the whole-pixel peak stays
    assert (shifts.score.where(inner) > 0.9).sum() == inner.sum()
    assert np.isfinite(match(stack, search=5, step=16).dx).any()


@pytest.mark.parametrize("method", ["plane", "orientation"])
@pytest.mark.parametrize("slant", [0, 1])
def test_lines_alone_are_ill_conditioned(slant, method):
    stack = moving(shape=(128, 128)).astype(np.float64)
    rows, columns = np.indices((128, 128))
    across = [columns + slant * rows - shift for shift in (0.0, 0.4)]
    ridge = np.stack([np.sin(place / 3.0) + np.sin(place / 1.7) for place in across])
    # along the lines all pixels are alike, so they would be taken for constant
    shifts = match(stack.copy(data=ridge), Phase(method, flat_block=0), step=16)
    inner = ~flag(shifts, "outside")
    assert flag(shifts, "ill_conditioned").where(inner).sum() == inner.sum()
    assert np.isnan(shifts.dx).all()
    assert (shifts.score.where(inner) > 0.5).sum() == inner.sum()


def test_unrelated_images_score_low():
    stack = moving(shape=(256, 256)).copy()
    stack[1] = synthetic.stack((256, 256), seed=3)[0].values[1]
    shifts = match(stack, search=8, step=16)
    assert shifts.score.max() < 0.5
    assert shifts.peak_gap.max() < 0.2


# --------------------------------------------------------------------------------------------------------------- prior


def cut_tile(stack, search, margin, template=64, step=16):
    lattice = Lattice(
        shape=stack.shape[1:],
        step=step,
        templates=(template,),
        search=(search, search),
        reach=margin,
        margin=margin,
        levels=0,
        dates=2,
        nodata=(),
        dtype=np.dtype(np.float32),
    )
    (tile,) = lattice.tiles()
    return tiles.cut(stack.values, None, (0, 0), tile, lattice), tile, lattice


@pytest.mark.parametrize("method", ["plane", "orientation"])
def test_search_around_a_prior(method):
    stack = moving(12.3, -7.6, shape=(180, 200))
    images, tile, lattice = cut_tile(stack, 3, 40)
    match_tile = functools.partial(Phase(method).match_tile, lattice=lattice, prefilter=as_prefilter("bandpass"))
    shape = (tile[0].stop, tile[1].stop)
    half = np.full((2, *shape), 3.0)
    plain = match_tile(images, tile, np.empty((0, *shape)), pairs=[Pair(0, 1)])
    still = np.concatenate([half, np.zeros((2, *shape))])
    np.testing.assert_array_equal(match_tile(images, tile, still, pairs=[Pair(0, 1)]), plain)
    # each node around a whole pixel of its own near the true one, in the second of two priors, at half its scale
    generator = np.random.default_rng(0)
    centres = np.array([-8, 12])[:, None, None] + generator.integers(-1, 2, (2, *shape))
    guide = np.concatenate([still, 2.0 * centres])
    found = match_tile(images, tile, guide, pairs=[Pair(0, 1, 1, 0.5)])[:, 0]
    right, down = found[0], found[1]
    inside = found[-1] == 0
    assert inside.sum() > 20
    np.testing.assert_allclose(right[inside], 12.3, atol=0.05)
    np.testing.assert_allclose(down[inside], -7.6, atol=0.05)
    rows, columns = np.indices(shape) * 16
    top, left = rows + centres[0] - 3, columns + centres[1] - 3
    leaves = (top < 0) | (left < 0) | (top + 70 > 180) | (left + 70 > 200)
    np.testing.assert_array_equal(found[-1] == FLAGS["outside"], leaves)


# ------------------------------------------------------------------------------------------------------------ same bits


def assert_same_bits(found, expected):
    xr.testing.assert_identical(found.compute(), expected)


@pytest.fixture(scope="module", params=["plane", "orientation_plane"])
def matched(request):
    """Three images with holes, several tiles."""
    dates = np.array(["2020-01-01", "2020-05-01", "2021-01-01"], dtype="M8[us]")
    stack, _ = synthetic.stack((200, 330), dates=dates, field="constant", velocity=9.0, snr=4.0)
    stack.values[1, 60:75, 200:240] = np.nan
    matcher = Phase(request.param)
    return stack, matcher, match(stack, matcher, step=16)


@pytest.mark.parametrize("cut", [(1, 200, 330), (3, 37, 41), (2, 129, 256)])
def test_chunks_change_no_bit(matched, cut):
    stack, matcher, expected = matched
    lazy = match(stack.chunk(dict(zip(stack.dims, cut, strict=True))), matcher, step=16)
    assert lazy.chunks
    assert_same_bits(lazy, expected)


@pytest.mark.parametrize("chosen", [[1], [2, 0]])
def test_a_pair_knows_nothing_of_the_others(matched, chosen):
    stack, matcher, expected = matched
    network = xoffset.pairs(stack).isel(pair=chosen)
    found = xoffset.correlate(stack, network, template=64, search=4, step=16, matcher=matcher)
    assert_same_bits(found, expected.isel(pair=chosen))


def test_batches_change_no_bit(matched, monkeypatch):
    stack, matcher, expected = matched
    monkeypatch.setattr("xoffset._arrays.matching.spectra.BUFFER", 3 * 64 * 64 * 3 * 4 * 3)  # three windows
    assert_same_bits(match(stack, matcher, step=16), expected)


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"method": "svd"}, "Choose one of the three"),
        ({"mask": 0.0}, "Pass a share"),
        ({"mask": 1.2}, "Phase"),
        ({"min_valid": 0.0}, "Pass a share"),
        ({"min_valid": np.nan}, "Phase"),
        ({"iterations": -1}, "Pass a whole number"),
        ({"iterations": 2.5}, "Pass a whole number"),
        ({"iterations": True}, "Pass a whole number"),
    ],
)
def test_senseless_options_are_refused(options, advice):
    with pytest.raises((ValueError, TypeError), match=advice):
        Phase(**options)


@pytest.mark.parametrize(
    ("grid", "advice"),
    [
        ({"template": 31}, "Pass template=64"),
        ({"template": 32, "search": 17}, "Pass template=34 or more"),
        ({"matcher": "fft"}, "Pass matcher='ncc'"),
        ({"matcher": Phase}, "Pass matcher='ncc'"),
        ({"template": 200}, "smaller template"),
    ],
)
def test_windows_that_do_not_fit_are_refused(grid, advice):
    with pytest.raises(ValueError, match=advice):
        match(moving(shape=(128, 128)), **grid)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">i4", "float64"])
def test_types_of_pixels(dtype):
    stack = moving(shape=(128, 128))
    counts = np.clip((stack - stack.mean()) / stack.std() * 40.0 + 128.0, 0.0, 255.0).astype(dtype)
    counts.values.flags.writeable = False
    shifts = match(counts, step=16)
    # 8 bits, clipped at 3.2 standard deviations
    assert np.nanmax(np.abs(errors(shifts))) < 0.05
    assert shifts.dx.dtype == ("float64" if dtype == "float64" else "float32")


@pytest.mark.parametrize("method", ["plane", "orientation", "orientation_plane"])
def test_a_flagged_match_has_no_value(method):
    stack, _ = synthetic.stack((160, 160), field="constant", velocity=60.0, direction=90.0)
    values = stack.values.copy()
    values[0, 40:90, 40:90] = np.nan
    network = stack.offset.pairs()
    for images, search in ((stack, 6), (stack.copy(data=values), 12)):
        matcher = xoffset.Phase(method=method, min_valid=0.7)
        shifts = images.offset.correlate(network, template=32, search=search, matcher=matcher)
        assert int((shifts.flags > 1).sum()) > 0
        for name in ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy"):
            assert not (np.isfinite(shifts[name]) & (shifts.flags != 0)).any()
