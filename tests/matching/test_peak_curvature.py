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


def of_equation(stack, found):
    """Second derivatives of the spline through the ZNCC of 7 x 7 whole shifts, at the match, the sign turned."""
    pad = 30 + SEARCH
    images = [reference.prepare(raw.astype(np.float64), "bandpass", pad) for raw in stack.values]
    images = [image._replace(valid=np.isfinite(image.raw)) for image in images]
    out = np.full((2, *found.dx.shape[1:]), np.nan)
    for row, column in np.argwhere(found.dx[0].notnull().values):
        y, x = row * STEP + pad, column * STEP + pad
        score = reference.surface(*images, y, x, SIDE, (SEARCH, SEARCH), 2).score
        i, j = np.unravel_index(np.nanargmax(score), score.shape)
        if min(i, j) < 3 or max(i, j) > 2 * SEARCH - 3:
            continue
        spline = RectBivariateSpline(range(-3, 4), range(-3, 4), score[i - 3 : i + 4, j - 3 : j + 4])
        down, right = -float(found.dy[0, row, column]) / 10.0, float(found.dx[0, row, column]) / 10.0
        at = (down - (i - SEARCH), right - (j - SEARCH))
        out[:, row, column] = -spline.ev(*at, dy=2), -spline.ev(*at, dx=2)
    return out


def test_curvature_is_that_of_the_equation(stack):
    found = correlated(stack, curvature=True)
    for name, each in zip(("curvature_x", "curvature_y"), of_equation(stack, found), strict=True):
        np.testing.assert_array_equal(np.isnan(found[name].values[0]), np.isnan(each))
        np.testing.assert_allclose(found[name].values[0], each, atol=2e-3)
        assert found[name].attrs["units"] == "pixel-2"
        assert (found[name] > 0.1).sum() > 20


def test_nothing_else_changes(stack):
    with_it, without = (correlated(stack, curvature=each) for each in (True, False))
    assert set(with_it.data_vars) - set(without.data_vars) == {"curvature_x", "curvature_y"}
    xr.testing.assert_equal(with_it[list(without.data_vars)], without)


@pytest.mark.parametrize("options", [{"both_ways": True}, {"min_valid": 0.4}])
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


def test_matches_near_the_end_of_the_search_have_none():
    images, _ = synthetic.stack((96, 96), field="constant", velocity=42.0, direction=90.0, snr=8.0, seed=5)
    found = xoffset.correlate(
        images, xoffset.pairs(images), template=16, search=6, step=8, matcher=xoffset.NCC(curvature=True)
    )
    assert found.dx.notnull().sum() > 20
    assert found.curvature_x.isnull().all()


def test_sharp_peaks_have_large_ones():
    """The finer the detail that the filter leaves, the sharper the peak."""
    images, _ = synthetic.stack((96, 96), field="constant", velocity=13.0, direction=60.0, snr=20.0, seed=5)
    options = {"template": 20, "search": 6, "step": 8, "matcher": xoffset.NCC(curvature=True)}
    found = [
        float(xoffset.correlate(images, xoffset.pairs(images), prefilter=each, **options).curvature_y.median())
        for each in (xoffset.filtering.Highpass(1.5), xoffset.filtering.Highpass(3.0), "bandpass")
    ]
    assert found[0] > found[1] > found[2] > 0.0
