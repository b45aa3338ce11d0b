"""Windows beside gaps: against slow twins, as many matches and as true a sigma as of whole windows."""

import numpy as np
import pytest
import reference_holes as twin
import scipy.ndimage
import xarray as xr

from xoffset import synthetic
from xoffset._arrays.filters.options import Bandpass
from xoffset._arrays.matching.images import prepare
from xoffset._kernels import bits
from xoffset._kernels.images.holes import fill_holes
from xoffset._kernels.matching import holes as kernels
from xoffset._kernels.matching.surface import COMMON, PEAK_FIELDS
from xoffset._kernels.matching.zncc import Nodes

SIZE = 256


def gaps(kind, generator):
    """Two masks of what is missing."""
    rows, columns = np.indices((SIZE, SIZE))
    if kind == "stripes":
        return [(rows + 0.2 * columns + start) % 33 < 7 for start in (0, 15)]
    if kind == "checkerboard":
        return [((rows + k * 6) % 12 < 5) & ((columns + k * 4) % 12 < 5) for k in range(2)]
    side = {"holes of 3 px": 3}.get(kind, 1)
    same = scipy.ndimage.maximum_filter(generator.random((SIZE, SIZE)) < 0.2 / side**2, side)
    return [same, same]


def moved(kind=None, right=1.5, down=-0.7, snr=4.0, seed=0):
    """Stack that moves by constant pixels, and its errors in pixels and in sigma after `correlate(**options)`."""
    velocity, direction = 10.0 * np.hypot(right, down), np.degrees(np.arctan2(right, -down)) % 360
    stack, truth = synthetic.stack(
        (SIZE, SIZE), field="constant", velocity=velocity, direction=direction, snr=snr, seed=seed
    )
    if kind is not None:
        missing = np.stack(gaps(kind, np.random.default_rng(seed)))
        stack = stack.where(~xr.DataArray(missing, dims=stack.dims, coords=stack.coords))
    return stack, [float(truth[name][1].mean()) for name in ("dx", "dy")]


def match(stack, truth, **options):
    shifts = stack.offset.correlate(stack.offset.pairs(), **{"template": 32, "search": 6, "step": 16} | options)
    errors = np.stack([(shifts[name] - true).values[0] for name, true in zip(("dx", "dy"), truth, strict=True)])
    sigma = np.stack([shifts.sigma_dx.values[0], shifts.sigma_dy.values[0]])
    inside = (shifts.flags.values[0] & 1) == 0
    return errors[:, inside] / 10.0, (errors / sigma)[:, inside]


# ----------------------------------------------------------------------------------------------------------- slow twins


@pytest.mark.small
def test_holes_are_filled_by_the_biharmonic_equation():
    generator = np.random.default_rng(0)
    ground = scipy.ndimage.gaussian_filter(generator.standard_normal((30, 34)), 1.5)
    known = np.ones(ground.shape, dtype=bool)
    known[8, 9] = known[15:17, 20] = known[22, 5] = known[23, 6] = False
    out = np.empty_like(ground)
    fill_holes(np.where(known, ground, np.nan), known.astype(np.uint8), out)
    np.testing.assert_allclose(out, twin.biharmonic(ground, known), atol=1e-3 * np.ptp(ground))


@pytest.mark.small
def test_variance_beside_holes_is_a_jackknife():
    generator = np.random.default_rng(1)
    slopes, residual = generator.standard_normal((2, 16, 16)), generator.standard_normal((16, 16))
    # few blocks hold the match
    slopes[:, 4:] *= 0.1
    out = np.empty(3)
    number = kernels.scatter_of_blocks(slopes[0], slopes[1], residual, out)
    wanted = twin.jackknife(slopes, residual, 16, 4)
    np.testing.assert_allclose(out, [wanted[0, 0], wanted[0, 1], wanted[1, 1]], rtol=1e-9)
    hold = (slopes**2).sum(0).reshape(4, 4, 4, 4).sum((1, 3))
    assert number == pytest.approx(hold.sum() ** 2 / (hold**2).sum())


@pytest.mark.small
def test_pixels_that_two_windows_share_are_counted_and_too_few_are_flagged():
    known = np.ones((2, 20, 20), dtype=np.uint8)
    known[0, :, 9:] = known[1, 8:] = 0
    valid = known.copy()
    valid[0, 0] = 0
    peaks = np.full((1, 3, PEAK_FIELDS), np.nan)
    peaks[0, :, :2] = [[0.0, 0.0], [3.0, 1.0], [np.nan, 0.0]]
    for least in ((60, 0), (65, 0), (0, 41), (0, 65), (0, 0)):
        flags = np.zeros((1, 3), dtype=np.int32)
        kernels.count_common(known, valid, Nodes(1, 3, 0, 0, 1, 10), np.ones((1, 3), np.uint8), least, peaks, flags)
        wanted = []
        for column, shift in ((0, (0, 0)), (1, (3, 1))):
            counts = [
                (m[0, :10, column : column + 10] & m[1, shift[0] : shift[0] + 10, column + shift[1] :][:, :10]).sum()
                for m in (known, valid)
            ]
            wanted.append(bits.FEW_VALID if counts[0] < least[0] or counts[1] < least[1] else 0)
            assert peaks[0, column, COMMON] == counts[0] / 100.0
        assert flags[0].tolist() == [*wanted, 0]
        assert np.isnan(peaks[0, 2, COMMON])


# ------------------------------------------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("kind", ["stripes", "checkerboard", "holes of 1 px", "holes of 3 px"])
def test_windows_that_are_half_known_match_as_whole_ones(kind):
    whole, _ = match(*moved())
    error, z = match(*moved(kind))
    assert np.isfinite(error).mean() > 0.95
    assert np.sqrt(np.nanmean(error**2)) < 1.5 * np.sqrt(np.nanmean(whole**2))
    assert 0.9 < (np.abs(z[np.isfinite(z)]) < 1.96).mean() < 0.995


@pytest.mark.parametrize("kind", ["stripes", "holes of 3 px"])
def test_gaps_leave_no_trace_at_whole_shifts_without_noise(kind):
    error, _ = match(*moved(kind, 2.0, -3.0, snr=1e6))
    assert np.isfinite(error).all()
    assert np.abs(error).max() < 5e-3


@pytest.mark.parametrize("motion", [(0.5, 0.0), (1.0, -1.0)])
def test_holes_that_stay_do_not_hold_the_match(motion):
    errors = [match(*moved("holes of 3 px", *motion, seed=seed)) for seed in range(2)]
    along = np.concatenate([error[0] for error, _ in errors])
    assert abs(np.nanmean(along)) < 0.006
    error, z = match(*moved("holes of 1 px", *motion), matcher="phase", template=64)
    assert (np.abs(z[np.isfinite(z)]) < 1.96).mean() > 0.88
    assert abs(np.nanmean(error[0])) < 0.006


def test_sigma_of_clipped_windows():
    found = []
    for seed in range(2):
        stack, truth = moved(seed=seed)
        _, z = match(np.minimum(stack, float(np.quantile(stack, 0.5))), truth, search=8)
        found.append(z[np.isfinite(z)])
    assert 0.9 < (np.abs(np.concatenate(found)) < 1.96).mean() < 0.99


def test_whole_images_are_not_touched_by_what_is_done_beside_holes():
    raw = moved()[0].values[0].astype(np.float32)
    frame = (slice(4, 250), slice(0, 256))
    padded = raw.copy()
    padded[:4] = padded[250:] = np.nan
    image = prepare(padded, frame, (16,), Bandpass(), np.dtype(np.float32))
    # the edge of the image is no hole
    assert not image.has_holes
    assert image.hole_sums[-1, -1] == 0
