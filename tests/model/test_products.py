"""Labels, units and numbers of shifts, series and rates; stacks from other loaders."""

import json

import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray
import xarray as xr
from affine import Affine

import xoffset
from xoffset import model, synthetic
from xoffset.model import grids
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01", "2020-04-01", "2020-07-01T10:30", "2021-01-01"]
OPTIONS = {"template": 16, "search": 4, "step": 8}
GRIDDED = ("shifts", "series", "rate")


@pytest.fixture(scope="module")
def images():
    """Everything moves north-east by 20 m a year, 5 m pixels."""
    return synthetic.stack(
        (64, 88), dates=DATES, field="constant", velocity=20.0, direction=45.0, pixel_size=5.0, snr=20.0
    )[0]


@pytest.fixture(scope="module")
def products(images):
    network = xoffset.pairs(images)
    shifts = xoffset.correlate(images, network, **OPTIONS)
    series = xoffset.invert(shifts)
    return {"network": network, "shifts": shifts, "series": series, "rate": xoffset.velocity(series)}


def history(product):
    return [step["function"] for step in json.loads(product.attrs["processing"])]


# ---------------------------------------------------------------------------------------------------------------- grid


@pytest.mark.parametrize(("template", "step"), [(16, 8), (15, 8), (16, 5), (9, 1), (32, 40)])
def test_nodes_are_window_centres(images, template, step):
    shifts = xoffset.correlate(images, xoffset.pairs(images), template=template, search=4, step=step)
    for name, size in (("y", 64), ("x", 88)):
        first_pixels = np.arange(0, size - template + 1, step)
        centres = [float(images[name][k : k + template].mean()) for k in first_pixels]
        np.testing.assert_allclose(shifts[name], centres, rtol=0, atol=1e-6)


@pytest.mark.parametrize("flip", [{}, {"y": slice(None, None, -1)}, {"x": slice(None, None, -1)}], ids=str)
def test_rows_keep_the_order_of_the_stack(images, flip):
    flipped = images.isel(flip)
    shifts = xoffset.correlate(flipped, xoffset.pairs(flipped), **OPTIONS)
    for name in ("x", "y"):
        assert np.sign(float(shifts[name][1] - shifts[name][0])) == np.sign(float(flipped[name][1] - flipped[name][0]))
    # the ground moves north-east whatever the order
    rate = xoffset.velocity(shifts)
    assert float(rate.vx.median()) == pytest.approx(20.0 * np.sin(np.pi / 4), abs=0.2)
    assert float(rate.vy.median()) == pytest.approx(20.0 * np.cos(np.pi / 4), abs=0.2)


def test_the_grid_stays_through_the_whole_path(products):
    for name in ("x", "y"):
        for product in GRIDDED:
            xr.testing.assert_identical(products[product][name], products["shifts"][name])


def test_pixels_may_be_oblong(images):
    oblong = images.assign_coords(y=images.y[0] + 2 * (images.y - images.y[0]))
    shifts, square = (xoffset.correlate(data, xoffset.pairs(data), **OPTIONS) for data in (oblong, images))
    np.testing.assert_array_equal(shifts.dx, square.dx)
    np.testing.assert_allclose(shifts.dy, 2 * square.dy, rtol=1e-6)
    np.testing.assert_allclose(shifts.sigma_dy, 2 * square.sigma_dy, rtol=1e-6)
    np.testing.assert_allclose(shifts.cov_dxdy, 2 * square.cov_dxdy, rtol=1e-6)


def test_a_pixel_of_another_size_scales_metres_only(images):
    larger = images.assign_coords(x=10 * images.x, y=10 * images.y)
    shifts, usual = (xoffset.correlate(data, xoffset.pairs(data), **OPTIONS) for data in (larger, images))
    for name, factor in {"dx": 10, "sigma_dx": 10, "cov_dxdy": 100, "score": 1, "peak_gap": 1, "flags": 1}.items():
        np.testing.assert_allclose(shifts[name], factor * usual[name], rtol=1e-5)


# -------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("name", GRIDDED)
def test_the_crs_is_carried(images, products, name):
    assert grids.crs_of(products[name]) == grids.crs_of(images) == pyproj.CRS.from_epsg(32632)
    assert products[name].rio.crs.to_epsg() == 32632
    assert all(
        variable.encoding["grid_mapping"] == "spatial_ref"
        for variable in products[name].data_vars.values()
        if {"y", "x"} <= set(variable.dims)
    )


def test_without_a_crs_there_is_none(images):
    local = synthetic.stack((40, 40), dates=DATES[:2], crs=None)[0]
    rate = xoffset.velocity(xoffset.invert(xoffset.correlate(local, xoffset.pairs(local), **OPTIONS)))
    assert grids.crs_of(rate) is None
    assert "spatial_ref" not in rate.coords
    assert not any("grid_mapping" in variable.encoding for variable in rate.variables.values())


@pytest.mark.parametrize("name", ["network", *GRIDDED])
def test_dates_are_written_as_whole_microseconds(products, name):
    wanted = {"dtype": "int64", "units": "microseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    dates = [variable for variable in products[name].variables.values() if variable.dtype.kind == "M"]
    assert len(dates) == {"network": 2, "shifts": 2, "series": 1, "rate": 2}[name]
    assert all(wanted.items() <= variable.encoding.items() for variable in dates)


def test_the_dates_are_those_of_the_stack(images, products):
    np.testing.assert_array_equal(products["series"].time, images.time)
    for name in ("reference", "secondary"):
        np.testing.assert_array_equal(products["shifts"][name], products["network"][name])


@pytest.mark.parametrize("name", GRIDDED)
def test_flags_explain_themselves(products, name):
    attrs = products[name].flags.attrs
    assert dict(zip(attrs["flag_meanings"].split(), attrs["flag_masks"], strict=True)) == dict(FLAGS)
    assert "units" not in attrs


@pytest.mark.parametrize("name", GRIDDED)
def test_axes_say_what_they_are(products, name):
    for axis in ("x", "y"):
        assert products[name][axis].attrs["units"] == "m"
        assert products[name][axis].attrs["standard_name"] == f"projection_{axis}_coordinate"


def test_the_history_grows_by_a_step(products):
    shifts = products["shifts"]
    screened = xoffset.screen(shifts, min_score=0.5)
    assert history(shifts) == ["correlate"]
    assert history(screened) == ["correlate", "screen"]
    assert history(xoffset.velocity(screened)) == ["correlate", "screen", "velocity"]
    assert history(xoffset.velocity(xoffset.invert(screened))) == ["correlate", "screen", "invert", "velocity"]


def test_the_history_tells_parameters_and_version_but_no_time(products):
    screened = xoffset.screen(products["shifts"], min_peak_gap=0.25)
    first, second = json.loads(screened.attrs["processing"])
    assert first == {"xoffset": xoffset.__version__, "function": "correlate", **OPTIONS} | {
        "matcher": {
            "name": "ncc", "refine": "icgn", "min_valid": 0.5, "both_ways": False, "flat_block": 7, "curvature": False,
        },
        "prefilter": "bandpass", "prior": None,
    }  # fmt: skip
    assert second == {
        "xoffset": xoffset.__version__, "function": "screen", "min_score": None, "min_peak_gap": 0.25,
        "false_alarm": 0.01, "ambiguity": 0.05, "neighbourhood": True, "max_separation": None,
    }  # fmt: skip


def test_the_history_of_a_stack_is_kept(images):
    opened = images.assign_attrs(processing='[{"function": "open_stack"}]')
    assert history(xoffset.correlate(opened, xoffset.pairs(opened), **OPTIONS)) == ["open_stack", "correlate"]


@pytest.mark.parametrize("text", ["by hand", "{}", "7", 3])
def test_a_history_of_somebody_else_is_no_error(images, text):
    opened = images.assign_attrs(processing=text)
    assert history(xoffset.correlate(opened, xoffset.pairs(opened), **OPTIONS)) == ["correlate"]


def test_wrong_labels_do_not_pass_a_step(products):
    """Arithmetic keeps old attributes: each step sets its own."""
    spoilt = products["shifts"].copy()
    for variable in spoilt.data_vars.values():
        variable.attrs = {"long_name": "spoilt"}
    xr.testing.assert_identical(xoffset.screen(spoilt), xoffset.screen(products["shifts"]))
    xr.testing.assert_identical(xoffset.invert(spoilt), products["series"])
    xr.testing.assert_identical(xoffset.velocity(spoilt), xoffset.velocity(products["shifts"]))


def test_accessors_give_the_same(images, products):
    shifts = images.offset.correlate(images.offset.pairs(), **OPTIONS)
    xr.testing.assert_identical(shifts, products["shifts"])
    xr.testing.assert_identical(shifts.offset.invert(), products["series"])
    xr.testing.assert_identical(shifts.offset.invert().offset.velocity(), products["rate"])
    xr.testing.assert_identical(shifts.offset.screen(min_score=0.4), xoffset.screen(shifts, min_score=0.4))


# ----------------------------------------------------------------------------------------------------------- screening


@pytest.fixture(scope="module")
def noisy():
    cloudy = synthetic.stack((128, 128), dates=DATES[:3], snr=3.0, clouds=0.2, nodata=0.05)[0]
    return xoffset.correlate(cloudy, xoffset.pairs(cloudy), template=16, search=5, step=8)


def has(flags, name):
    return (flags & FLAGS[name]) > 0


@pytest.mark.parametrize(
    ("options", "variable", "flag"),
    [({"min_score": 0.6}, "score", "low_score"), ({"min_peak_gap": 0.3}, "peak_gap", "low_gap")],
)
def test_a_threshold_takes_the_vector_and_leaves_its_reason(noisy, options, variable, flag):
    screened = xoffset.screen(noisy, false_alarm=None, ambiguity=None, neighbourhood=False, **options)
    had = np.isfinite(noisy.dx)
    fails = had & ~(noisy[variable] >= next(iter(options.values())))
    assert 0 < int(fails.sum()) < int(had.sum())
    np.testing.assert_array_equal(has(screened.flags, flag), fails)
    for name in ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy"):
        xr.testing.assert_identical(screened[name], noisy[name].where(~fails))


def test_screening_keeps_score_gap_and_earlier_flags(noisy):
    screened = xoffset.screen(noisy, min_score=0.6, min_peak_gap=0.3)
    for name in ("score", "peak_gap"):
        xr.testing.assert_identical(screened[name], noisy[name])
    np.testing.assert_array_equal(screened.flags & 0x3FF, noisy.flags)
    np.testing.assert_array_equal(screened.flags == 0, np.isfinite(screened.dx))


def test_what_matching_lost_is_not_blamed_on_screening(noisy):
    screened = xoffset.screen(noisy, min_score=1.0, min_peak_gap=1.0)
    np.testing.assert_array_equal(screened.flags.where(np.isnan(noisy.dx)), noisy.flags.where(np.isnan(noisy.dx)))
    assert np.isnan(screened.dx).all()


def test_a_planted_outlier_is_found(products):
    shifts = products["shifts"].copy(deep=True)
    shifts["dx"][0, 3, 5] += 30.0
    screened = xoffset.screen(shifts)
    assert np.isnan(screened.dx[0, 3, 5])
    assert np.isnan(screened.dy[0, 3, 5])
    assert has(screened.flags[0, 3, 5], "neighbourhood")
    assert np.isfinite(screened.dx[1:, 3, 5]).all()
    assert np.isfinite(xoffset.screen(shifts, neighbourhood=False).dx[0, 3, 5])


def test_screening_without_any_test_changes_no_value(noisy):
    same = xoffset.screen(noisy, false_alarm=None, ambiguity=None, neighbourhood=False)
    xr.testing.assert_equal(same, noisy)
    assert same.flags.dtype == "int64"


def test_screening_twice_adds_nothing(products):
    options = {"min_score": 0.6, "min_peak_gap": 0.2, "neighbourhood": False}
    once = xoffset.screen(products["shifts"], **options)
    xr.testing.assert_equal(xoffset.screen(once, **options), once)


@pytest.mark.parametrize("search", [2, 3])
def test_gap_is_unknown_for_small_searches(images, search):
    shifts = xoffset.correlate(images, xoffset.pairs(images), template=16, search=search, step=8)
    assert np.isfinite(shifts.dx).any()
    assert np.isnan(shifts.peak_gap).all()


def test_an_unknown_gap_fails_the_test_of_the_gap(products):
    shifts = products["shifts"].assign(peak_gap=np.nan * products["shifts"].peak_gap)
    screened = xoffset.screen(shifts, min_peak_gap=0.0, neighbourhood=False)
    assert np.isnan(screened.dx).all()
    np.testing.assert_array_equal(has(screened.flags, "low_gap"), np.isfinite(shifts.dx))


# ---------------------------------------------------------------------------------------- exact numbers of known shifts


def made(displacement, dates, pairs=None, *, sigma=0.5, crs=True):
    """Noise-free shifts (pair, 2, 3) of displacement(years) -> (dx, dy), float64."""
    dates = np.asarray(dates, "M8[us]")
    first, second = np.triu_indices(len(dates), 1) if pairs is None else np.array(pairs).T
    at = np.array([displacement(in_years(date - dates[0])) for date in dates], dtype=float)
    moved = at[second] - at[first]
    shape = (len(first), 2, 3)
    fields = {name: np.broadcast_to(moved[:, k, None, None], shape).copy() for k, name in enumerate(("dx", "dy"))}
    fields |= {f"sigma_{name}": np.full(shape, sigma) for name in ("dx", "dy")}
    x, y = 5e5 + 80 * np.arange(3), 5e6 - 80 * np.arange(2)
    like = xr.DataArray(0.0, coords={"spatial_ref": grids.spatial_ref(pyproj.CRS.from_epsg(32632))} if crs else {})
    step = {"function": "made"}
    return model.products.shifts(
        fields, model.products.network(dates[first], dates[second]), x=x, y=y, like=like, step=step
    )


def steady(vx, vy):
    return lambda t: (vx * t, vy * t)


def test_series_of_a_steady_motion_is_exact():
    series = xoffset.invert(made(steady(12.0, -5.0), DATES), reference=DATES[0])
    elapsed = in_years(series.time.values - series.time.values[0])
    np.testing.assert_allclose(series.dx[:, 0, 0], 12.0 * elapsed, atol=1e-12)
    np.testing.assert_allclose(series.dy[:, 1, 2], -5.0 * elapsed, atol=1e-12)
    np.testing.assert_allclose(series.rms, 0.0, atol=1e-12)
    assert (series.n_pairs == 6).all()
    assert (series.n_components == 1).all()
    assert (series.flags == 0).all()


@pytest.mark.parametrize("weights", ["sigma", "uniform"])
@pytest.mark.parametrize(
    "pairs", [None, [(0, 1), (1, 2), (2, 3)], [(3, 0), (2, 1), (0, 2)], [(0, 1), (1, 0), (0, 2), (0, 3)]]
)
def test_velocity_of_pairs_and_of_series_agree(pairs, weights):
    shifts = made(steady(12.0, -5.0), DATES, pairs)
    for rate in (xoffset.velocity(shifts), xoffset.velocity(xoffset.invert(shifts, weights=weights))):
        np.testing.assert_allclose(rate.vx, 12.0, rtol=1e-12)
        np.testing.assert_allclose(rate.vy, -5.0, rtol=1e-12)
        np.testing.assert_allclose(rate.v, 13.0, rtol=1e-12)
        assert (rate.flags == 0).all()
        assert (rate.sigma_vx > 0).all()


@pytest.mark.parametrize("reference", [None, *DATES, "2020-07-01", "2020-07-01T10:30:00"])
def test_the_reference_date_is_zero_and_said(reference):
    series = xoffset.invert(made(steady(12.0, -5.0), DATES), reference=reference)
    said = np.datetime64(series.attrs["reference"])
    assert said in series.time.values
    assert (abs(series.dx.sel(time=said)) < 1e-12).all()
    assert json.loads(series.attrs["processing"])[-1]["reference"] == series.attrs["reference"]
    if reference is not None:
        assert str(said).startswith(reference)
    # another reference moves the whole series by a constant
    other = xoffset.invert(made(steady(12.0, -5.0), DATES), reference=DATES[3])
    np.testing.assert_allclose(series.dx - other.dx, np.full(series.dx.shape, series.dx[3, 0, 0]), atol=1e-12)


def test_the_default_reference_has_the_most_pairs_and_is_the_first_of_them():
    star = xoffset.invert(made(steady(1.0, 1.0), DATES, [(0, 2), (1, 2), (2, 3)]))
    assert star.attrs["reference"].startswith("2020-07-01T10:30")
    full = xoffset.invert(made(steady(1.0, 1.0), DATES))
    assert full.attrs["reference"].startswith("2020-01-01")


def test_a_backward_pair_makes_no_date_better_connected():
    dates = [*DATES, "2021-06-01"]
    series = xoffset.invert(made(steady(1.0, 1.0), dates, [(0, 1), (1, 0), (2, 3), (3, 4)]))
    assert series.attrs["reference"].startswith(dates[3])


def test_the_order_of_the_pairs_changes_no_bit():
    rng = np.random.default_rng(0)
    shifts = made(steady(12.0, -5.0), DATES)
    shifts = shifts.assign({name: shifts[name] + rng.normal(size=shifts[name].shape) for name in ("dx", "dy")})
    mixed = shifts.isel(pair=[4, 0, 5, 2, 1, 3])
    xr.testing.assert_identical(xoffset.invert(mixed), xoffset.invert(shifts))
    xr.testing.assert_identical(xoffset.velocity(mixed), xoffset.velocity(shifts))


def test_backward_pairs_are_the_negative_of_forward_ones():
    forward, backward = (
        made(steady(12.0, -5.0), DATES, [(0, 1), (1, 3)]),
        made(steady(12.0, -5.0), DATES, [(1, 0), (3, 1)]),
    )
    np.testing.assert_array_equal(forward.dx, -backward.dx)
    for name in ("dx", "dy", "sigma_dx"):
        ahead, back = (xoffset.invert(each, reference=DATES[0])[name] for each in (forward, backward))
        np.testing.assert_allclose(ahead, back, atol=1e-12)


@pytest.mark.parametrize(
    ("vx", "vy", "direction"),
    [(0, 1, 0), (1, 1, 45), (1, 0, 90), (1, -1, 135), (0, -1, 180), (-1, -1, 225), (-1, 0, 270), (-1, 1, 315)],
)
def test_direction_is_clockwise_from_grid_north(vx, vy, direction):
    rate = xoffset.velocity(made(steady(vx, vy), DATES))
    np.testing.assert_allclose(rate.direction, direction, atol=1e-9)
    np.testing.assert_allclose(rate.v, np.hypot(vx, vy))


def test_nothing_moves_nowhere():
    rate = xoffset.velocity(made(steady(0.0, 0.0), DATES))
    assert (rate.v == 0).all()
    assert np.isnan(rate.direction).all()
    assert (rate.flags == 0).all()


def test_one_pair_is_enough():
    shifts = made(steady(12.0, -5.0), ["2020-01-01", "2021-01-01"], sigma=0.5)
    series = xoffset.invert(shifts)
    np.testing.assert_allclose(series.dx[1], shifts.dx[0])
    # the variance of the pair is shared by its two dates
    np.testing.assert_allclose(series.sigma_dx, 0.5 / np.sqrt(2.0))
    baseline = 366 / 365.25
    for rate in (xoffset.velocity(shifts), xoffset.velocity(series)):
        np.testing.assert_allclose(rate.vx, 12.0)
        np.testing.assert_allclose(rate.sigma_vx, 0.5 / baseline)


def test_sigma_does_not_shrink_with_more_pairs_of_the_same_images():
    few, many = (xoffset.velocity(made(steady(12.0, -5.0), DATES, pairs)) for pairs in ([(0, 3)], None))
    assert float(many.sigma_vx[0, 0]) > 0.8 * float(few.sigma_vx[0, 0])


def test_a_season_inflates_sigma():
    dates = np.arange("2018-01", "2021-01", 2, dtype="M8[M]").astype("M8[us]")
    still = made(steady(10.0, 0.0), dates, sigma=0.2)
    season = made(lambda t: (10.0 * t + 3.0 * np.sin(2 * np.pi * t), 0.0), dates, sigma=0.2)
    for of in (lambda shifts: shifts, xoffset.invert):
        calm, moved = xoffset.velocity(of(still)), xoffset.velocity(of(season))
        assert (moved.sigma_vx > 3 * calm.sigma_vx).all()
        assert (abs(moved.vx - 10.0) < 4 * moved.sigma_vx).all()


def test_a_missing_pair_is_found_by_the_others():
    shifts = made(steady(12.0, -5.0), DATES)
    shifts["dx"][0, 0, 0] = np.nan  # one component is enough to lose the vector
    series = xoffset.invert(shifts)
    assert int(series.n_pairs[0, 0]) == 5
    assert (series.n_pairs.values.ravel()[1:] == 6).all()
    np.testing.assert_allclose(series.dx[:, 0, 0], series.dx[:, 1, 1], atol=1e-12)
    np.testing.assert_allclose(series.dy[:, 0, 0], series.dy[:, 1, 1], atol=1e-12)


def test_a_pixel_without_the_reference_date_is_missing_throughout():
    shifts = made(steady(12.0, -5.0), DATES)
    is_first = (shifts.reference == np.datetime64(DATES[0])).values
    shifts["dx"][is_first, 0, 0] = np.nan
    series = xoffset.invert(shifts, reference=DATES[0])
    assert np.isnan(series.dx[:, 0, 0]).all()
    assert (series.flags[:, 0, 0] == FLAGS["no_reference"]).all()
    assert np.isfinite(series.dx[:, 1, 1]).all()
    # with another reference only the date itself is lost
    other = xoffset.invert(shifts, reference=DATES[1])
    np.testing.assert_array_equal(np.isnan(other.dx[:, 0, 0]), [True, False, False, False])
    assert int(other.flags[0, 0, 0]) == FLAGS["no_pairs"]


def test_a_pixel_with_one_date_left_has_no_rate():
    series = xoffset.invert(made(steady(12.0, -5.0), DATES))
    series["dx"][1:, 0, 0] = np.nan
    rate = xoffset.velocity(series)
    assert int(rate.flags[0, 0]) == FLAGS["too_few_dates"]
    counts = {"n_pairs", "n_dates", "first", "last", "flags"}
    assert all(np.isnan(rate[name][0, 0]) for name in set(rate.data_vars) - counts)
    assert int(rate.n_dates[0, 0]) == 1
    assert (rate.flags.values.ravel()[1:] == 0).all()


def test_misclosure_shows_in_rms():
    shifts = made(steady(12.0, -5.0), DATES[:3])
    shifts["dx"][1] += 3.0  # 0-2 disagrees with 0-1 and 1-2: a metre is left on each pair
    series = xoffset.invert(shifts)
    np.testing.assert_allclose(series.rms, np.sqrt(0.5))
    np.testing.assert_allclose(xoffset.invert(shifts, weights="uniform").rms, np.sqrt(0.5))


def test_weights_follow_sigma():
    shifts = made(steady(12.0, -5.0), DATES[:3])
    shifts["dx"][1] += 3.0
    shifts["sigma_dx"][1], shifts["sigma_dy"][1] = 1e3, 1e3
    weighted, plain = (xoffset.invert(shifts, weights=weights, reference=DATES[0]) for weights in ("sigma", "uniform"))
    elapsed = in_years(weighted.time.values - weighted.time.values[0])
    np.testing.assert_allclose(weighted.dx[:, 0, 0], 12.0 * elapsed, atol=1e-4)
    np.testing.assert_allclose(plain.dx[:, 0, 0], 12.0 * elapsed + [0.0, 1.0, 2.0], atol=1e-9)


def test_years_have_365_and_a_quarter_days():
    rate = xoffset.velocity(made(lambda t: (t * 1461.0, 0.0), ["2020-01-01", "2024-01-01"]))
    np.testing.assert_allclose(rate.vx, 1461.0)


# ------------------------------------------------------------------------------------------- plain xarray in between


def test_subtracting_the_median_of_stable_ground(tmp_path):
    """One line of xarray between matching and inversion, as the documentation shows it."""
    images, truth = synthetic.stack(
        (128, 128), dates=DATES[:3], field="landslide", velocity=40.0, misregistration=4.0, seed=3
    )
    shifts = xoffset.correlate(images, xoffset.pairs(images), template=24, search=6, step=8)
    at_nodes = truth[["vx", "vy"]].interp(x=shifts.x, y=shifts.y)
    stable = (abs(at_nodes.vx) + abs(at_nodes.vy)) == 0.0
    raw = xoffset.velocity(shifts)

    shifts[["dx", "dy"]] -= shifts[["dx", "dy"]].where(stable).median(("y", "x"))

    series = xoffset.invert(xoffset.screen(shifts))
    rate = xoffset.velocity(series)
    assert float(abs(raw.vx.where(stable)).median()) > 1.0
    for name in ("vx", "vy"):
        assert float(abs(rate[name].where(stable)).median()) < 0.5
        assert float(abs(rate[name]).max()) == pytest.approx(float(abs(at_nodes[name]).max()), rel=0.1)
    for product in (shifts, series, rate):
        assert grids.crs_of(product).to_epsg() == 32632
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"
        product.to_zarr(path, consolidated=False)
        again = xoffset.open_result(path)
        xr.testing.assert_identical(again, product)
        assert again.rio.crs.to_epsg() == 32632
    assert rate.vx.attrs["units"] == "m yr-1"
    assert series.dx.attrs["long_name"] == "displacement along x since the reference date"


@pytest.mark.parametrize(
    "change",
    [
        lambda shifts: shifts - 0 * shifts,
        lambda shifts: shifts.where(shifts.score > 0.3),
        lambda shifts: shifts.assign_attrs(note="mine"),
        lambda shifts: shifts.sel(x=slice(None, float(shifts.x[-2]))),
        lambda shifts: shifts.isel(pair=[2, 0, 1, 3]),
        lambda shifts: shifts.sortby("y"),
        lambda shifts: shifts.drop_vars(["score", "peak_gap", "cov_dxdy"]),
        lambda shifts: shifts.chunk(y=2).persist(),
        lambda shifts: shifts.chunk(pair=1),
        lambda shifts: xr.concat([shifts.isel(pair=[0, 1]), shifts.isel(pair=slice(2, None))], "pair"),
        lambda shifts: shifts.assign_coords(season=("pair", np.arange(shifts.sizes["pair"]))),
        lambda shifts: shifts.astype("float64"),
    ],
    ids=[
        "arithmetic", "where", "attrs", "sel", "isel", "sortby", "drop", "chunk", "chunk pairs", "concat", "coordinate",
        "astype",
    ],
)  # fmt: skip
def test_shifts_survive_plain_xarray(products, change):
    changed = change(products["shifts"])
    screened = xoffset.screen(changed)
    assert screened.flags.dtype == "int64"
    rate = xoffset.velocity(xoffset.invert(screened)).compute()
    assert float(rate.vx.median()) == pytest.approx(20.0 * np.sin(np.pi / 4), abs=0.3)
    assert grids.crs_of(rate).to_epsg() == 32632
    assert rate.vx.attrs["units"] == "m yr-1"


# -------------------------------------------------------------------------------------------- stacks from other loaders


@pytest.fixture(scope="module")
def counts(images):
    """Images as integers with holes of zeros, and the same as floats with NaN."""
    integers = images.round().astype("uint16")
    integers[1, 20:35, 30:60] = 0
    return integers, integers.astype("float32").where(integers != 0)


@pytest.fixture(scope="module")
def usual(counts):
    return xoffset.correlate(counts[1], xoffset.pairs(counts[1]), **OPTIONS)


def assert_same_values(shifts, usual):
    for name in usual.data_vars:
        np.testing.assert_array_equal(shifts[name], usual[name])
    assert grids.crs_of(shifts).to_epsg() == 32632
    assert set(shifts.coords) == set(usual.coords)


@pytest.mark.parametrize("chunks", [None, {"time": 1, "y": 30, "x": 30}], ids=["numpy", "dask"])
@pytest.mark.parametrize("place", ["nodata", "_FillValue", "missing_value", "encoding"])
def test_a_declared_nodata_is_honoured(counts, usual, place, chunks):
    stack = counts[0].copy()
    if place == "encoding":
        stack.encoding["_FillValue"] = 0
    else:
        stack.attrs[place] = 0
    stack = stack if chunks is None else stack.chunk(chunks)
    assert_same_values(stack.offset.correlate(stack.offset.pairs(), **OPTIONS), usual)


def test_nodata_written_by_rioxarray_is_honoured(counts, usual):
    stack = counts[0].rio.write_nodata(0)
    assert_same_values(stack.offset.correlate(stack.offset.pairs(), **OPTIONS), usual)


def test_the_fill_value_of_decoded_floats_is_none_of_theirs(counts):
    """Once decoded, the encoding tells about the file: a zero may be any value, with a scale or an offset."""
    floats = counts[0].astype("float32")
    wanted = xoffset.correlate(floats, xoffset.pairs(floats), **OPTIONS)
    floats.encoding |= {"_FillValue": 0, "scale_factor": 1e-4, "add_offset": -0.1}
    xr.testing.assert_identical(xoffset.correlate(floats, xoffset.pairs(floats), **OPTIONS), wanted)


def test_undeclared_zeros_are_pixels(counts, usual):
    shifts = xoffset.correlate(counts[0], xoffset.pairs(counts[0]), **OPTIONS)
    assert not np.array_equal(shifts.flags, usual.flags)


def test_a_stack_as_odc_stac_loads_it(counts, usual):
    """Lazy integers with nodata among the attributes, and scalar coordinates that belong to no axis."""
    stack = counts[0].rename("red").drop_attrs().chunk(time=1, y=40, x=40)
    stack = stack.assign_attrs(nodata=0, units="1", grid_mapping="spatial_ref")
    stack = stack.assign_coords(
        spatial_ref=((), np.int32(32632), {"spatial_ref": pyproj.CRS.from_epsg(32632).to_wkt()}),
        band="red", mosaic=7, when=np.datetime64("2020-01-01"), id=("time", ["a", "b", "c", "d"]),
    )  # fmt: skip
    dataset = xr.Dataset({"red": stack, "nir": stack + 1})
    network = dataset.red.offset.pairs()
    shifts = dataset.red.offset.correlate(network, **OPTIONS)
    assert shifts.dx.chunks is not None
    assert_same_values(shifts, usual)


def test_a_stack_that_odc_makes(usual, counts):
    odc_xr = pytest.importorskip("odc.geo.xr")
    geobox = pytest.importorskip("odc.geo.geobox").GeoBox((64, 88), Affine(5, 0, 5e5, 0, -5, 5e6), "EPSG:32632")
    stack = odc_xr.wrap_xr(counts[0].values, geobox, time=counts[0].time.values, nodata=0)
    assert stack.dims == ("time", "y", "x")
    assert_same_values(stack.offset.correlate(stack.offset.pairs(), **OPTIONS), usual)


@pytest.fixture(scope="module")
def files(counts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rasters")
    place = {"crs": "EPSG:32632", "transform": Affine(5, 0, 5e5, 0, -5, 5e6)}
    for k, image in enumerate(counts[0].values):
        with rasterio.open(
            folder / f"{k}.tif", "w", driver="GTiff", height=64, width=88, count=1, dtype="uint16", nodata=0, **place
        ) as file:
            file.write(image, 1)
    return sorted(folder.glob("*.tif"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"masked": True},
        {"chunks": {"x": 40, "y": 40}},
        {"masked": True, "chunks": {"x": 88, "y": 64}},
        {"cache": False},
    ],
    ids=str,
)
def test_a_stack_that_rioxarray_opens(files, counts, usual, options):
    opened = [rioxarray.open_rasterio(path, **options).squeeze("band") for path in files]
    stack = xr.concat(opened, dim=xr.Variable("time", counts[0].time.values))
    shifts = stack.offset.correlate(stack.offset.pairs(), **OPTIONS)
    assert (shifts.dx.chunks is not None) == ("chunks" in options)
    assert_same_values(shifts, usual)


def test_a_plain_array_with_local_coordinates(counts, usual):
    stack = xr.DataArray(
        counts[1].values,
        dims=("time", "y", "x"),
        coords={"time": counts[1].time, "y": -5.0 * np.arange(64), "x": 5.0 * np.arange(88)},
    )
    shifts = stack.offset.correlate(stack.offset.pairs(), **OPTIONS)
    np.testing.assert_array_equal(shifts.dx, usual.dx)
    assert float(shifts.x[0]) == 5.0 * 7.5
    assert float(shifts.y[0]) == -5.0 * 7.5


def test_a_stack_read_lazily_without_dask(counts, usual, tmp_path):
    counts[1].to_dataset(name="image").to_zarr(tmp_path / "stack.zarr", consolidated=False)
    with xr.open_dataset(
        tmp_path / "stack.zarr", engine="zarr", chunks=None, consolidated=False, decode_coords="all"
    ) as opened:
        assert_same_values(opened.image.offset.correlate(opened.image.offset.pairs(), **OPTIONS), usual)


def test_a_stack_goes_to_disk_and_back(counts, usual, tmp_path):
    counts[1].to_dataset(name="image").to_zarr(tmp_path / "stack.zarr", consolidated=False)
    stack = xoffset.open_result(tmp_path / "stack.zarr").image
    assert_same_values(stack.offset.correlate(stack.offset.pairs(), **OPTIONS), usual)
