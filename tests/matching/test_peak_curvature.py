"""NCC(curvature=True): how sharp the peak is, against scores by the equation, at no cost to all else."""

import numpy as np
import pytest
import reference
import xarray as xr
from scipy.interpolate import RectBivariateSpline

import xoffset
from xoffset import synthetic

SIDE, SEARCH, STEP = 16, 5, 8


@pytest.fixture(scope="module")
def stack():
    images, _ = synthetic.stack((72, 80), field="constant", velocity=17.0, direction=130.0, snr=6.0, seed=2)
    holed = images.copy(data=images.values)
    holed[0, 30:34, 20:60] = np.nan
    holed[1, 60:, :12] = np.nan
    return holed


def correlated(stack, **options):
    matcher = xoffset.NCC(**options)
    return xoffset.correlate(
        stack, xoffset.pairs(stack), template=SIDE, search=SEARCH, step=STEP, matcher=matcher, prefilter="bandpass"
    )


def of_equation(stack):
    """Second differences of the ZNCC at the best whole shift and on both sides of it, the sign turned."""
    pad = 30 + SEARCH
    images = [reference.prepare(raw.astype(np.float64), "bandpass", pad) for raw in stack.values]
    images = [image._replace(valid=np.isfinite(image.raw)) for image in images]
    counts = [(size - SIDE) // STEP + 1 for size in stack.shape[1:]]
    out = np.full((2, *counts), np.nan)
    least = int(np.ceil(0.8 * np.ceil(0.5 * SIDE**2)))
    for row, column in np.ndindex(*counts):
        y, x = row * STEP, column * STEP
        inside = all(s >= SEARCH and s + SEARCH + SIDE <= n for s, n in zip((y, x), stack.shape[1:], strict=True))
        if inside:
            found = reference.surface(*images, y + pad, x + pad, SIDE, (SEARCH, SEARCH), least)
            around = reference.find_peak(found).around
            out[0, row, column] = 2.0 * around[1, 1] - around[1, 0] - around[1, 2]
            out[1, row, column] = 2.0 * around[1, 1] - around[0, 1] - around[2, 1]
    return out


def test_curvature_is_that_of_the_equation(stack):
    found, wanted = correlated(stack, curvature=True), of_equation(stack)
    for name, each in zip(("curvature_x", "curvature_y"), wanted, strict=True):
        np.testing.assert_array_equal(np.isnan(found[name].values[0]), np.isnan(each))
        np.testing.assert_allclose(found[name].values[0], each, atol=2e-4)
        assert found[name].attrs["units"] == "pixel-2"
        assert (found[name] > 0.0).sum() > 20


def test_nothing_else_changes(stack):
    with_it, without = (correlated(stack, curvature=each) for each in (True, False))
    assert set(with_it.data_vars) - set(without.data_vars) == {"curvature_x", "curvature_y"}
    xr.testing.assert_equal(with_it[list(without.data_vars)], without)


@pytest.mark.parametrize("options", [{"both_ways": True}, {"refine": "affine"}, {"refine": "none"}])
def test_other_options_leave_it_as_it_is(stack, options):
    plain, other = correlated(stack, curvature=True), correlated(stack, curvature=True, **options)
    for name in ("curvature_x", "curvature_y"):
        np.testing.assert_array_equal(plain[name], other[name])


def test_nested_windows_tell_that_of_the_one_that_was_kept(stack):
    options = {"search": SEARCH, "step": STEP, "matcher": xoffset.NCC(curvature=True)}
    network = xoffset.pairs(stack)
    nested = xoffset.correlate(stack, network, template=(SIDE, 2 * SIDE), **options)
    small = xoffset.correlate(stack, network, template=SIDE, **options)
    both = nested.curvature_x.where(nested.template_size == SIDE)
    at = small.curvature_x.sel(x=both.x, y=both.y)
    known = both.notnull().values
    assert known.sum() > 5
    np.testing.assert_allclose(both.values[known], at.values[known], rtol=1e-5)


def test_chunks_do_not_matter(stack):
    lazy = correlated(stack.chunk({"time": 1, "y": 30, "x": 40}), curvature=True).compute()
    xr.testing.assert_equal(lazy, correlated(stack, curvature=True))


def test_beside_the_curvature_of_a_spline():
    """As pycorr tells it: of a cubic spline through 7 x 7 scores, at its top. Ours is lower."""
    images, _ = synthetic.stack((120, 120), field="constant", velocity=13.0, direction=60.0, snr=8.0, seed=5)
    found = xoffset.correlate(
        images, xoffset.pairs(images), template=20, search=6, step=20, matcher=xoffset.NCC(curvature=True),
        prefilter=xoffset.filtering.Highpass(3.0),
    ).isel(pair=0)  # fmt: skip
    high = xoffset.filtering.highpass(images, coarse=3.0).values
    ratios = []
    for row, column in np.argwhere(found.dx.notnull().values):
        y, x = row * 20, column * 20
        score = np.array([
            [reference.zncc(high[0, y : y + 20, x : x + 20], high[1, y + v : y + v + 20, x + u : x + u + 20])
             for u in range(-6, 7)] for v in range(-6, 7)
        ])  # fmt: skip
        i, j = np.unravel_index(score.argmax(), score.shape)
        if 3 <= i <= 9 and 3 <= j <= 9:
            spline = RectBivariateSpline(range(-3, 4), range(-3, 4), score[i - 3 : i + 4, j - 3 : j + 4])
            fine = np.arange(-100, 101) * 0.01
            v, u = np.unravel_index(spline(fine, fine).argmax(), (201, 201))
            of_spline = -spline.ev(fine[v], fine[u], dy=2)
            ratios.append(float(found.curvature_x[row, column]) / float(of_spline))
    assert len(ratios) > 10
    assert 0.6 < np.median(ratios) < 1.0
