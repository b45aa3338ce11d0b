"""Smoothing takes noise and leaves edges, and says where it was."""

import geometry
import numpy as np
import pytest
import reference_smoothing
import xarray as xr

import xoffset
from xoffset._arrays.corrections import smoothing
from xoffset._arrays.corrections.smoothing import REACH, Median, NonlocalMeans
from xoffset.model.flags import FLAGS

SHAPE = (60, 70)
METHODS = ("median", "nlm")


def holed(shape=(14, 17), seed=0):
    """Vectors with standard errors of their own and holes, one layer."""
    generator = np.random.default_rng(seed)
    fields = [generator.normal(size=shape), generator.normal(size=shape)]
    fields[0][:, 8:] += 4.0
    fields += [generator.uniform(0.5, 1.5, shape), generator.uniform(0.5, 1.5, shape)]
    holes = generator.random(shape) < 0.2
    for field in fields:
        field[holes] = np.nan
    return fields


def edge():
    """Shifts with a step of 8 m along x in the middle, noise of 1 m and a hole."""
    motion = np.zeros((2, *SHAPE))
    motion[0, :, 35:] = 8.0
    shifts = geometry.shifts(SHAPE, motion=motion)[0]
    hole = np.zeros(SHAPE, dtype=bool)
    hole[20:26, 10:19] = True
    return shifts.where(~geometry.on_grid(hole, shifts)), motion, hole


# --------------------------------------------------------------------------------------------------------------- twins


@pytest.mark.small
@pytest.mark.parametrize("size", [3, 5])
def test_median_is_that_of_the_twin(size):
    fields = holed()
    found = Median(size)(fields[0][np.newaxis], fields[1][np.newaxis])
    for k in range(2):
        np.testing.assert_allclose(found[k, 0], reference_smoothing.median(fields[k], size), rtol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize("size", [3, 5])
def test_nonlocal_means_are_those_of_the_twin(size):
    fields = holed((9, 10))
    found = NonlocalMeans(size)(*(field[np.newaxis] for field in fields))
    wanted = reference_smoothing.nonlocal_means(fields, size, REACH, smoothing._STEEPNESS)
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-9)


# -------------------------------------------------------------------------------------------------------------- effect


@pytest.mark.parametrize(("method", "noise", "beside"), [("median", 0.5, 1.0), ("nlm", 0.4, 0.3)])
def test_noise_falls_and_an_edge_stays(method, noise, beside):
    shifts, motion, hole = edge()
    smooth = xoffset.denoise(shifts, method=method)
    away = smooth.dx.values[0] - motion[0]
    inside = np.abs(np.arange(70) - 34.5) > 2.0
    assert np.nanstd(away[:, inside]) < noise
    # both sides of the step keep their level up to it; a mean would be off by a third of it
    left, right = (np.nanmean(smooth.dx.values[0][:, column]) for column in (34, 35))
    assert abs(left) < beside
    assert abs(right - 8.0) < beside
    # sigma, holes and what was there before stay
    np.testing.assert_array_equal(smooth.sigma_dx, shifts.sigma_dx)
    np.testing.assert_array_equal(np.isnan(smooth.dx.values[0]), hole)
    np.testing.assert_array_equal((smooth.flags.values[0] & FLAGS["smoothed"]) > 0, ~hole)
    assert (smooth.flags.values[0][hole] == FLAGS["nodata"]).all()
    assert f'"method": "{method}"' in smooth.attrs["processing"]


@pytest.mark.parametrize("method", METHODS)
def test_what_was_smoothed_away_can_be_put_back(method):
    shifts = edge()[0]
    corrected = xoffset.correct(shifts)
    for start in (shifts, corrected):
        smooth = xoffset.denoise(start, method=method)
        for name in ("dx", "dy"):
            np.testing.assert_allclose(smooth[name] + smooth[f"removed_{name}"], shifts[name], atol=1e-9)
            assert smooth[f"removed_{name}"].attrs["units"] == "m"
            assert 0.5 < float((smooth[name] - start[name]).std()) < 1.5


def test_what_stands_out_by_more_than_its_error_is_no_noise():
    shifts, _, _ = edge()
    shifts["dy"][0, 40, 50] = 30.0
    assert float(xoffset.denoise(shifts, method="nlm").dy[0, 40, 50]) == pytest.approx(30.0, abs=0.01)
    assert abs(float(xoffset.denoise(shifts).dy[0, 40, 50])) < 2.0


def test_vectors_without_a_standard_error_are_left_alone():
    shifts, _, _ = edge()
    shifts["sigma_dx"][0, 30:33, 40] = 0.0
    smooth = xoffset.denoise(shifts, method="nlm")
    np.testing.assert_array_equal(smooth.dx[0, 30:33, 40], shifts.dx[0, 30:33, 40])
    assert not (smooth.flags[0, 30:33, 40] & FLAGS["smoothed"]).any()
    assert ((smooth.flags[0, 33:36, 40] & FLAGS["smoothed"]) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_lazy_shifts_give_the_same_bits(method):
    shifts = edge()[0].isel(y=slice(40), x=slice(20, 60)).astype(np.float32)
    eager = xoffset.denoise(shifts, method=method, size=5)
    for chunks in ({"y": 13, "x": 40}, {"y": 5, "x": 7}):
        lazy = xoffset.denoise(shifts.chunk(chunks), method=method, size=5)
        assert lazy.dx.chunks is not None
        xr.testing.assert_identical(lazy.compute(), eager)


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"method": "mean"}, r"got 'mean'\. Choose one of these"),
        ({"size": 4}, r"odd number of at least 3 nodes as size; got 4\. Pass a number such as size=5"),
        ({"size": 1}, r"got 1\. Pass a number"),
        ({"size": 3.0}, r"got 3\.0\. Pass a number"),
        ({"size": 17}, r"at most 15 nodes as size; got 17\. Pass size=3"),
    ],
)
def test_errors(options, advice):
    with pytest.raises(ValueError, match=advice):
        xoffset.denoise(edge()[0], **options)


def test_series_are_no_shifts():
    with pytest.raises(ValueError, match="denoise"):
        xoffset.denoise(edge()[0].drop_vars("dx"))
