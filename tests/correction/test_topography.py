"""Errors of the terrain model between two orbits, and what a surface that sinks does to motion."""

import sys
from pathlib import Path

import numpy as np
import pytest
import reference_parallax as reference
import rioxarray  # noqa: F401
import xarray as xr

import xoffset
from xoffset._arrays.corrections import parallax
from xoffset.correction.topography import without_parallax
from xoffset.model.flags import FLAGS

sys.path.append(str(Path(__file__).parents[1] / "motion"))
from test_standard_errors import DATES, shifts_of

NUMBER = 10
ENDS = np.array([(i, j) for i in range(NUMBER) for j in range(i + 1, min(i + 4, NUMBER))])
YEARS = (DATES[:NUMBER] - DATES[0]) / np.timedelta64(1, "D") / 365.25
# every other date belongs to the orbit in the east
IS_EAST = np.arange(NUMBER) % 2 == 1
ACROSS = IS_EAST[ENDS[:, 0]] != IS_EAST[ENDS[:, 1]]
VIEW = xr.Dataset(
    {
        "view_zenith": ("time", np.where(IS_EAST, 9.0, 8.0), {"units": "degree"}),
        "view_azimuth": ("time", np.where(IS_EAST, 104.0, 285.0), {"units": "degree"}),
    },
    {"time": DATES[:NUMBER]},
)


def drawn_at(height, zenith, azimuth):
    """Where a point is drawn (x, y) that lies at a height above the terrain model: where its ray meets the model."""
    satellite = 1e6 * np.array([np.tan(zenith) * np.sin(azimuth), np.tan(zenith) * np.cos(azimuth), 1.0])
    point = np.array([0.0, 0.0, height])
    ray = point - satellite
    return (point - ray * point[2] / ray[2])[:2]


LOOK = np.stack(
    [
        drawn_at(1.0, np.radians(zenith), np.radians(azimuth))
        for zenith, azimuth in zip(VIEW.view_zenith.values, VIEW.view_azimuth.values, strict=True)
    ],
    axis=1,
)


def shifts(height, *, velocity=(5.0, -3.0), noise=0.3, ends=ENDS):
    """Shifts of ground in steady motion at heights (rows, columns) above the terrain model."""
    generator = np.random.default_rng(1)
    place = np.array(velocity)[:, None, None, None] * YEARS[:, None, None] + LOOK[:, :, None, None] * height
    place = place + noise * generator.standard_normal(place.shape)
    return shifts_of(place[:, ends[:, 1]] - place[:, ends[:, 0]], ends, max(noise, 0.01) * np.sqrt(2.0))


def corrected(data, view=VIEW, **options):
    still = xr.ones_like(data.dx.isel(pair=0), dtype=bool)
    return xoffset.correct(data, stable=still, min_nodes=1, view=view, **options)


@pytest.fixture(scope="module")
def heights():
    # what all of the ground has in common looks like a shift
    found = np.random.default_rng(0).normal(0.0, 12.0, (12, 14))
    return found - np.median(found)


def test_look_is_that_of_rays():
    angles = (VIEW[name].values for name in ("view_zenith", "view_azimuth"))
    np.testing.assert_allclose(parallax.look_of(*angles), LOOK, rtol=1e-4, atol=1e-6)


@pytest.mark.small
def test_heights_are_those_of_the_twin():
    generator = np.random.default_rng(3)
    d = generator.normal(0.0, 1.0, (2, len(ENDS), 2, 3))
    d[:, 4] += 20.0
    sigma = generator.uniform(0.5, 2.0, d.shape)
    angles = [np.broadcast_to(VIEW[name].values[:, None, None], (NUMBER, 2, 3)) for name in VIEW]
    found = parallax.solve(*d, *sigma, *angles, ends=ENDS, times=YEARS)
    parts = parallax.layers_of(len(ENDS)).split(found)
    years = YEARS[ENDS[:, 1]] - YEARS[ENDS[:, 0]]
    for row, column in np.ndindex(2, 3):
        here = d[:, :, row, column], LOOK, sigma[:, :, row, column] ** 2
        height, lever, scale = reference.robust_height_error(ENDS, years, *here)
        error = np.sqrt((lever**2 * here[2]).sum())
        assert abs(parts["height"][row, column] - height) < 0.05 * error * scale


def test_heights_and_their_errors_are_true(heights):
    found = corrected(shifts(heights, velocity=(0.0, 0.0)))
    ratio = (found.dem_error - heights) / found.sigma_dem_error
    assert found.dem_error.attrs["units"] == "m"
    assert abs(ratio.mean()) < 0.3
    assert 0.75 < ratio.std() < 1.25


def test_parallax_comes_off_and_one_orbit_stays(heights):
    data = shifts(heights, velocity=(0.0, 0.0), noise=0.02)
    found, plain = corrected(data), corrected(data, view=None)
    assert "dem_error" not in plain
    np.testing.assert_array_equal(found.dx[~ACROSS], plain.dx[~ACROSS])
    np.testing.assert_array_equal(found.sigma_dx[~ACROSS], plain.sigma_dx[~ACROSS])
    assert plain.dx[ACROSS].std() > 2.0
    assert found.dx[ACROSS].std() < 0.1
    assert (found.sigma_dx[ACROSS] > plain.sigma_dx[ACROSS]).all()
    np.testing.assert_allclose(found.dx + found.removed_dx, data.dx, atol=1e-9)
    np.testing.assert_allclose(found.dy + found.removed_dy, data.dy, atol=1e-9)
    # closure is kept: what comes off belongs to dates
    triplet = [int(np.flatnonzero((pair == ENDS).all(axis=1))[0]) for pair in ((0, 1), (1, 2), (0, 2))]
    removed = (found.removed_dx - plain.removed_dx).values[triplet]
    np.testing.assert_allclose(removed[0] + removed[1], removed[2], atol=1e-9)
    again = corrected(found)
    np.testing.assert_allclose(again.dem_error, heights, atol=0.5)
    # errors hold that of the height once
    np.testing.assert_array_equal(again.sigma_dx, found.sigma_dx)
    np.testing.assert_array_equal(corrected(found.chunk({"y": 5})).sigma_dy, found.sigma_dy)


def test_pairs_that_were_not_corrected_tell_no_height(heights):
    """One that is wrong by its whole shift would be one vote among the others."""
    data = shifts(heights, velocity=(0.0, 0.0), noise=0.1)
    still = xr.ones_like(data.dx.isel(pair=0), dtype=bool)
    wrong = np.flatnonzero(ACROSS)[::3]
    data["dx"][wrong] += 30.0
    found = xoffset.correct(data, stable=still, min_nodes=1, view=VIEW, max_shift=10.0)
    assert (np.flatnonzero(found.is_corrected == 0) == wrong).all()
    without = corrected(data.isel(pair=np.delete(np.arange(len(ENDS)), wrong)))
    np.testing.assert_allclose(found.dem_error, without.dem_error, rtol=1e-9)
    np.testing.assert_allclose(found.sigma_dem_error, without.sigma_dem_error, rtol=1e-9)


def test_a_badly_known_shift_counts_little_for_heights(heights):
    data = shifts(heights, velocity=(0.0, 0.0), noise=0.02).assign(
        sigma_shift=("pair", np.full(len(ENDS), 0.01)), is_corrected=("pair", np.ones(len(ENDS), "int8"))
    )
    wrong = np.flatnonzero(ACROSS)[::3]
    # alike for heights: those of one sign
    data["dx"][wrong] += np.where(IS_EAST[ENDS[wrong, 1]], 3.0, -3.0)[:, None, None]
    trusting = without_parallax(data, VIEW)
    data["sigma_shift"][wrong] = 3.0
    knowing = without_parallax(data, VIEW)
    missed = [float(np.sqrt(((found.dem_error - heights) ** 2).mean())) for found in (knowing, trusting)]
    assert missed[0] < 0.6 * missed[1], missed


def test_motion_is_no_height():
    found = corrected(shifts(np.zeros((4, 4)), noise=0.0).assign(), order=0)
    # the median of all took the common motion: what is left is none
    assert abs(found.dem_error).max() < 1e-6
    moving = np.zeros((4, 4))
    data = shifts(moving, noise=0.01)
    from_motion = parallax.solve(
        *(data[name].values for name in ("dx", "dy", "sigma_dx", "sigma_dy")),
        *(np.broadcast_to(VIEW[name].values[:, None, None], (NUMBER, 4, 4)) for name in VIEW),
        ends=ENDS,
        times=YEARS,
    )
    assert abs(from_motion[0]).max() < 0.2


@pytest.mark.parametrize("east", [False, True])
def test_views_that_do_not_tell(heights, east, caplog):
    """Pairs of one length from west to east look all the same as motion; one orbit has nothing to tell."""
    ends = np.array([(k, k + 1) for k in range(0, NUMBER - 1, 2)])
    view = VIEW
    if not east:
        view = xr.zeros_like(VIEW) + VIEW.isel(time=0, drop=True)
    data = shifts(heights, ends=ends)
    found = corrected(data, view=view)
    assert np.isnan(found.dem_error).all()
    assert "tell no error of the terrain model" in caplog.text
    np.testing.assert_array_equal(found.dx, corrected(data, view=None).dx)
    is_flagged = (found.flags & FLAGS["not_corrected"]) != 0
    assert is_flagged.all() == east
    assert is_flagged.any() == east


def test_a_view_that_is_unknown_leaves_its_pairs(heights):
    view = VIEW.copy(deep=True)
    view.view_zenith[4] = np.nan
    data = shifts(heights, velocity=(0.0, 0.0))
    found = corrected(data, view=view)
    has = (ENDS == 4).any(axis=1)
    assert ((found.flags[has] & FLAGS["not_corrected"]) != 0).all()
    assert ((found.flags[~has] & FLAGS["not_corrected"]) == 0).all()
    assert np.isfinite(found.dem_error).all()


def test_lazy_shifts_give_the_same_bits(heights):
    data = shifts(heights)
    expected = corrected(data)
    for chunks in ({"pair": 5, "y": 5, "x": 3}, {"y": 12, "x": 14}):
        found = corrected(data.chunk(chunks))
        assert found.dem_error.chunks is not None
        xr.testing.assert_equal(found.compute(), expected)


def test_views_of_pixels_are_laid_on_the_nodes(heights):
    data = shifts(heights)
    fine = {"y": np.arange(2.5, -120.0, -5.0), "x": np.arange(-2.5, 140.0, 5.0)}
    maps = VIEW.expand_dims(fine).transpose("time", "y", "x")
    xr.testing.assert_equal(corrected(data, view=maps), corrected(data))


@pytest.mark.parametrize(
    ("view", "error", "match"),
    [
        (VIEW.view_zenith, TypeError, "needs a Dataset with 'view_zenith'"),
        (VIEW[["view_zenith"]], ValueError, "got none of \\['view_azimuth'\\]"),
        (VIEW.isel(time=slice(-1)), ValueError, "needs the view of all dates; 1 are not there"),
        (VIEW.expand_dims("band"), ValueError, "with dims"),
        (VIEW.assign(view_zenith=-VIEW.view_zenith), ValueError, "from 0 to 90 degrees; got -8"),
        (VIEW.assign(view_azimuth=10.0 * VIEW.view_azimuth), ValueError, "from -360 to 360 degrees"),
        (
            VIEW.assign(view_zenith=VIEW.view_zenith.assign_attrs(units="m")),
            ValueError,
            "needs 'view_zenith' in degree",
        ),
        (VIEW.assign(view_zenith=("time", ["8"] * NUMBER)), TypeError, "needs numbers in 'view_zenith'"),
    ],
)
def test_bad_views_are_refused(heights, view, error, match):
    with pytest.raises(error, match=match):
        corrected(shifts(heights), view=view)
    with pytest.raises(error, match=match):
        xoffset.thinning_bias(shifts(heights), view=view)


# ------------------------------------------------------------------------------------------------------------- thinning


def test_a_surface_that_sinks_is_drawn_toward_the_satellite():
    data = shifts(np.zeros((2, 3)))
    west = np.flatnonzero(~ACROSS & ~IS_EAST[ENDS[:, 0]])
    bias = xoffset.thinning_bias(data, view=VIEW)
    assert bias.bias_x.dims == ("pair", "y", "x")
    moved = -1.0 * np.array([bias.bias_x[west[0], 0, 0], bias.bias_y[west[0], 0, 0]])
    np.testing.assert_allclose(moved, drawn_at(-1.0, np.radians(8.0), np.radians(285.0)), rtol=1e-4)
    across = np.flatnonzero(ACROSS)[0]
    expected = LOOK[:, ENDS[across]].mean(axis=1)
    np.testing.assert_allclose([bias.bias_x[across, 0, 0], bias.bias_y[across, 0, 0]], expected, rtol=1e-3, atol=1e-5)


def test_thinning_of_series_and_rates():
    data = shifts(np.zeros((2, 3)))
    of_dates = xoffset.thinning_bias(xoffset.invert(data), view=VIEW).bias_x
    np.testing.assert_allclose(of_dates[:, 0, 0], LOOK[0], rtol=1e-4)
    rate = xoffset.velocity(data)
    bias = xoffset.thinning_bias(rate, view=VIEW)
    assert bias.bias_y.dims == ("y", "x")
    np.testing.assert_allclose(bias.bias_y[0, 0], LOOK[1].mean(), rtol=1e-3)
    view = VIEW.copy(deep=True)
    view.view_zenith[:-1] = np.nan
    np.testing.assert_allclose(xoffset.thinning_bias(rate, view=view).bias_x[0, 0], LOOK[0, -1], rtol=1e-4)
    lazy = xoffset.thinning_bias(rate.chunk(), view=VIEW.chunk())
    xr.testing.assert_equal(lazy.compute(), bias)


def test_azimuths_are_from_true_north():
    """North of Greenland the grid of EPSG:3413 lies turned by the longitude from 45 degrees west."""
    rate = xoffset.velocity(shifts(np.zeros((3, 3))))
    place = {"x": 400e3 + 10.0 * np.arange(3), "y": -1000e3 - 10.0 * np.arange(3)}
    there = rate.assign_coords(place).rio.write_crs("EPSG:3413")
    found, plain = xoffset.thinning_bias(there, view=VIEW), xoffset.thinning_bias(rate, view=VIEW)
    turn = np.arctan2(place["x"][1], -place["y"][1])
    x, y = plain.bias_x[1, 1], plain.bias_y[1, 1]
    np.testing.assert_allclose(found.bias_x[1, 1], x * np.cos(turn) - y * np.sin(turn), rtol=1e-3)
    np.testing.assert_allclose(found.bias_y[1, 1], x * np.sin(turn) + y * np.cos(turn), rtol=1e-3)
