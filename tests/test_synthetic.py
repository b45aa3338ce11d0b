"""Synthetic stacks do what their truth says."""

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import grids

SHAPE = (48, 64)
YEARS = ("2020-01-01", "2024-01-01")  # four years of 365.25 days, exactly
FIELDS = ("constant", "landslide", "fault", "glacier")
SPOILT = {"snr": 4.0, "illumination": 0.2, "clouds": 0.1, "nodata": 0.1, "misregistration": 3.0, "season": 2.0}


def make(shape=SHAPE, **options):
    return synthetic.stack(shape, **options)


# --------------------------------------------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("field", FIELDS)
def test_the_same_seed_gives_the_same_bits(field):
    for first, again in zip(make(field=field, **SPOILT), make(field=field, **SPOILT), strict=True):
        xr.testing.assert_identical(first, again)


@pytest.mark.parametrize("name", SPOILT)
def test_another_seed_gives_another_ground_and_other_flaws(name):
    first, other = (make(seed=seed, **{name: SPOILT[name]}) for seed in (0, 1))
    assert not np.array_equal(first[0], other[0], equal_nan=True)
    ground = synthetic.scene(SHAPE)
    first, other = (make(seed=seed, ground=ground, **{name: SPOILT[name]})[0] for seed in (0, 1))
    assert np.array_equal(first, other, equal_nan=True) == (name == "season")


def test_ground_can_be_photographed_again():
    xr.testing.assert_identical(make(ground=synthetic.scene(SHAPE, seed=3), seed=3)[0], make(seed=3)[0])


def test_random_numbers_of_the_caller_are_left_alone():
    np.random.seed(0)  # noqa: NPY002, the old generator is the one that a library could disturb
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make(**SPOILT)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# --------------------------------------------------------------------------------------------------------------- ground


def test_ground_is_four_times_finer_than_the_pixels():
    ground = synthetic.scene(SHAPE)
    assert (ground.dims, ground.shape, ground.dtype) == (("y", "x"), (192, 256), "float32")
    assert float(ground.mean()) == pytest.approx(1500.0, abs=1.0)
    assert float(ground.std()) == pytest.approx(200.0, rel=1e-3)


def test_redness_sets_how_fast_the_spectrum_falls():
    def slope(ground):
        power = np.abs(np.fft.rfft(ground.values - ground.values.mean(), axis=1)).mean(0)
        waves = np.arange(4, 60)
        return np.polyfit(np.log(waves), np.log(power[waves]), 1)[0]

    white, red = (slope(synthetic.scene((128, 128), redness=redness)) for redness in (0.0, 1.3))
    assert abs(white) < 0.1
    assert -1.5 < red < -0.6


# -------------------------------------------------------------------------------------------------------------- labels


def test_the_stack_is_a_stack():
    images, _ = make()
    assert (images.dims, images.shape, images.dtype) == (("time", "y", "x"), (2, *SHAPE), "float32")
    assert grids.crs_of(images).to_epsg() == 32632
    np.testing.assert_allclose(images.x[:2], [500_005.0, 500_015.0])
    np.testing.assert_allclose(images.y[:2], [4_999_995.0, 4_999_985.0])
    assert xoffset.pairs(images).sizes["pair"] == 1


def test_a_stack_of_local_metres():
    images, truth = make(crs=None, pixel_size=0.5)
    assert grids.crs_of(images) is None
    assert "spatial_ref" not in truth.coords
    np.testing.assert_allclose(images.x[:2], [0.25, 0.75])
    np.testing.assert_allclose(images.y[:2], [-0.25, -0.75])


def test_truth_has_dims_and_units():
    images, truth = make(dates=["2020-01-01", "2020-06-01T12:00", "2021-01-01"], clouds=0.1)
    wanted = {
        "dx": (("time", "y", "x"), "m"), "dy": (("time", "y", "x"), "m"), "vx": (("y", "x"), "m yr-1"),
        "vy": (("y", "x"), "m yr-1"), "misregistration_dx": (("time",), "m"), "misregistration_dy": (("time",), "m"),
        "cloud": (("time", "y", "x"), None),
    }  # fmt: skip
    assert {name: (data.dims, data.attrs.get("units")) for name, data in truth.items()} == wanted
    assert truth.cloud.dtype == bool
    for name in ("x", "y", "time", "spatial_ref"):
        xr.testing.assert_identical(truth[name].variable, images[name].variable)


# -------------------------------------------------------------------------------------------------------------- motion


@pytest.mark.parametrize("direction", [0.0, 90.0, 120.0, 200.0, 315.0])
def test_truth_of_a_constant_field(direction):
    _, truth = make(field="constant", velocity=12.0, direction=direction, dates=YEARS)
    east, north = np.sin(np.deg2rad(direction)), np.cos(np.deg2rad(direction))
    for name, part in (("x", east), ("y", north)):
        np.testing.assert_allclose(truth[f"v{name}"], 12.0 * part, atol=1e-12)
        np.testing.assert_array_equal(truth[f"d{name}"][0], 0.0)
        np.testing.assert_allclose(truth[f"d{name}"][1], 48.0 * part, atol=1e-12)


@pytest.mark.parametrize("field", FIELDS)
def test_without_motion_all_images_are_alike(field):
    images, truth = make(field=field, velocity=0.0, dates=["2020-01-01", "2020-06-01", "2021-01-01"])
    assert (images == images[0]).all()
    assert (truth.dx == 0).all()


@pytest.mark.parametrize(
    ("direction", "shift"), [(0.0, (-1, 0)), (90.0, (0, 1)), (180.0, (1, 0)), (270.0, (0, -1)), (45.0, None)]
)
@pytest.mark.parametrize("pixels", [1, 3])
def test_a_move_by_whole_pixels_rolls_the_image(direction, shift, pixels):
    """North is up: a row less. The ground repeats itself beyond the edges."""
    length = np.sqrt(2.0) if shift is None else 1.0
    images, _ = make(
        field="constant", velocity=2.5 * pixels * length, direction=direction, dates=YEARS, pixel_size=10.0
    )
    rows, columns = shift or (-1, 1)
    rolled = np.roll(images[0].values, (pixels * rows, pixels * columns), axis=(0, 1))
    np.testing.assert_allclose(images[1], rolled, rtol=1e-6)
    if direction == 0.0:
        np.testing.assert_array_equal(images[1], rolled)


@pytest.mark.parametrize("parts", [2, 3, 4, 7])
def test_moves_by_parts_of_a_pixel_add_up(parts):
    """No image is interpolated from another: errors of parts do not add up."""
    dates = np.datetime64("2020-01-01") + np.arange(parts + 1) * np.timedelta64(1461, "D")
    images, truth = make(field="constant", velocity=10.0 / parts / 4.0, direction=0.0, dates=dates)
    assert float(truth.dy[-1, 0, 0]) == pytest.approx(10.0, abs=1e-12)
    assert not np.allclose(images[1], images[0], atol=1.0)
    np.testing.assert_allclose(images[-1], np.roll(images[0].values, -1, axis=0), rtol=1e-6)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("direction", [0.0, 120.0])
def test_no_shape_exceeds_one(field, direction):
    _, truth = make((64, 64), field=field, velocity=1.0, direction=direction)
    speed = np.hypot(truth.vx, truth.vy)
    assert 0.9 < float(speed.max()) <= 1.0 + 1e-12


def test_ground_that_does_not_move_keeps_its_pixels():
    images, truth = make((64, 64), field="landslide", velocity=30.0)
    still = scipy.ndimage.minimum_filter(((truth.vx == 0) & (truth.vy == 0)).values, 5)
    assert 0.5 < still.mean() < 0.95
    np.testing.assert_array_equal(images.values[1][still], images.values[0][still])
    assert (abs(images[1] - images[0]).values[~still] > 0).mean() > 0.8


def test_the_sides_of_a_fault_move_against_each_other():
    _, truth = make((64, 64), field="fault", velocity=1.0, direction=90.0)
    np.testing.assert_allclose(truth.vx[0], -truth.vx[-1], atol=1e-12)
    assert float(abs(truth.vx[0]).min()) > 0.9
    assert (np.sign(truth.vx.values[31]) == -np.sign(truth.vx.values[32])).all()


def test_a_glacier_stands_still_beyond_its_margins():
    _, truth = make((100, 100), field="glacier", velocity=1.0, direction=0.0)
    assert (truth.vy[:, :19] == 0).all()
    assert (truth.vy[:, -19:] == 0).all()
    assert (truth.vy[:, 45:55] > 0.99).all()


def test_season_and_step_are_in_the_history():
    dates = np.arange("2020-01-01", "2022-01-01", 30, dtype="M8[D]")
    _, truth = make(
        (8, 8), field="constant", velocity=6.0, direction=90.0, dates=dates, season=2.0, step=5.0,
        step_date=str(dates[10]),
    )  # fmt: skip
    years = (dates - dates[0]) / np.timedelta64(1, "D") / 365.25
    wanted = 6.0 * years + 2.0 * np.sin(2.0 * np.pi * years) + 5.0 * (np.arange(dates.size) >= 10)
    np.testing.assert_allclose(truth.dx[:, 3, 3], wanted, atol=1e-9)
    np.testing.assert_allclose(truth.vx, 6.0)


def test_a_step_before_the_first_date_is_no_motion():
    _, truth = make(field="constant", velocity=0.0, step=5.0, step_date="2019-01-01")
    assert (truth.dx == 0).all()


# --------------------------------------------------------------------------------------------------------------- flaws


@pytest.mark.parametrize("snr", [1.0, 4.0, 10.0])
def test_snr_is_that_of_the_detail(snr):
    shape = (128, 128)
    noise = (make(shape, snr=snr)[0] - make(shape)[0]).values
    clean = make(shape)[0][0].values
    detail = np.std(clean - scipy.ndimage.gaussian_filter(clean, 3.0, mode="wrap"))
    assert detail / noise.std() == pytest.approx(snr, rel=0.02)
    assert abs(noise.mean()) < 0.05 * noise.std()
    # of its own on each date, and white
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(noise[0, :, 1:].ravel(), noise[0, :, :-1].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 1.0])
def test_nodata_covers_its_share_elsewhere_on_each_date(share):
    images, _ = make((96, 128), nodata=share, dates=["2020-01-01", "2020-06-01", "2021-01-01"])
    lost = np.isnan(images)
    np.testing.assert_allclose(lost.mean(("y", "x")), share, atol=0.02)
    if share < 0.5:
        assert not (lost == lost[0]).all()
    np.testing.assert_array_equal(images.where(~lost), make((96, 128), dates=images.time.values)[0].where(~lost))


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_clouds_are_in_the_truth_and_hide_the_ground(share):
    shape = (128, 128)
    images, truth = make(shape, clouds=share, velocity=0.0)
    clean, clear = make(shape, velocity=0.0)
    assert not clear.cloud.any()
    np.testing.assert_array_equal(images.where(~truth.cloud), clean.where(~truth.cloud))
    cover = truth.cloud.mean(("y", "x"))
    assert (cover > share).all()  # with their thin margins
    assert (cover < share + 0.15).all()
    assert (images.where(truth.cloud).mean(("y", "x")) > clean.mean(("y", "x")) + 300.0).all()
    assert not (truth.cloud[0] == truth.cloud[1]).all()


def test_illumination_changes_brightness_smoothly_within_its_bounds():
    changed, clean = (make(velocity=0.0, illumination=light)[0] for light in (0.2, 0.0))
    factor = (changed / clean).values - 1.0
    np.testing.assert_allclose(np.abs(factor).max(axis=(1, 2)), 0.2, atol=1e-3)
    assert np.abs(np.diff(factor, axis=1)).max() < 0.06
    assert not np.allclose(factor[0], factor[1], atol=0.02)


def test_misregistration_is_recorded_and_not_part_of_the_displacement():
    dates = np.arange("2020-01", "2023-01", dtype="M8[M]").astype("M8[us]")
    _, truth = make((8, 8), dates=dates, misregistration=3.0)
    _, exact = make((8, 8), dates=dates)
    xr.testing.assert_identical(truth[["dx", "dy"]], exact[["dx", "dy"]])
    for name in ("misregistration_dx", "misregistration_dy"):
        assert float(truth[name][0]) == 0.0
        assert 2.0 < float(truth[name][1:].std()) < 4.0
        assert (exact[name] == 0).all()


def test_misregistration_is_what_matching_finds():
    images, truth = make((96, 96), velocity=0.0, misregistration=8.0, dates=["2020-01-01", "2020-02-01", "2020-03-01"])
    shifts = xoffset.correlate(images, xoffset.pairs(images), search=5, step=16)
    for axis in ("x", "y"):
        known = truth[f"misregistration_d{axis}"].values
        wanted = known[[1, 2, 2]] - known[[0, 0, 1]]
        np.testing.assert_allclose(shifts[f"d{axis}"].median(("y", "x")), wanted, atol=0.1)


def test_images_and_truth_agree_on_directions():
    images, truth = make((96, 96), field="constant", velocity=17.0, direction=200.0, misregistration=5.0)
    shifts = xoffset.correlate(images, xoffset.pairs(images), search=6, step=16)
    for axis in ("x", "y"):
        wanted = truth[f"d{axis}"][1].mean() + truth[f"misregistration_d{axis}"][1]
        np.testing.assert_allclose(shifts[f"d{axis}"].median(), wanted, atol=0.1)


# ------------------------------------------------------------------------------------------------------------ geometry

GEOMETRY = {"ramp": 3.0, "stripes": 2.0, "jitter": 1.5}


def test_geometry_is_left_out_unless_asked_for():
    plain, exact = make(**SPOILT)
    images, truth = make(**SPOILT, **GEOMETRY)
    xr.testing.assert_identical(plain[0], images[0])
    assert not np.array_equal(plain[1], images[1], equal_nan=True)
    xr.testing.assert_identical(exact, truth.drop_vars(["geometry_dx", "geometry_dy", "detector"]))
    xr.testing.assert_identical(make(**GEOMETRY, seed=4)[1], make(**GEOMETRY, seed=4)[1])
    assert not np.allclose(make(**GEOMETRY)[1].geometry_dx[1], make(**GEOMETRY, seed=4)[1].geometry_dx[1], atol=0.5)


def test_parts_of_the_geometry_add_up_and_scale():
    parts = [make(**{name: value})[1] for name, value in GEOMETRY.items() if name != "jitter"]
    parts.append(make(stripes=1e-9, jitter=1.5)[1])  # whose detectors see two parts of the shaking
    whole = make(**GEOMETRY)[1]
    for name in ("geometry_dx", "geometry_dy"):
        np.testing.assert_allclose(whole[name], sum(part[name] for part in parts), atol=1e-7)
        assert (whole[name].dims, whole[name].attrs["units"]) == (("time", "y", "x"), "m")
        assert not whole[name][0].any()
        np.testing.assert_allclose(make(ramp=6.0)[1][name], 2.0 * parts[0][name], atol=1e-12)


def test_a_ramp_is_a_plane_whose_largest_value_is_told():
    dates = np.arange("2020-01", "2020-07", dtype="M8[M]").astype("M8[us]")
    _, truth = make(ramp=3.0, dates=dates)
    for name in ("geometry_dx", "geometry_dy"):
        field = truth[name].values[1:]
        np.testing.assert_allclose(np.abs(field).max((1, 2)), 3.0, rtol=1e-12)
        np.testing.assert_allclose(np.diff(field, 2, axis=1), 0.0, atol=1e-12)
        np.testing.assert_allclose(np.diff(field, 2, axis=2), 0.0, atol=1e-12)
        np.testing.assert_allclose(field.mean((1, 2)), 0.0, atol=1e-12)


def test_stripes_are_shifted_each_by_itself_and_tilted():
    dates = np.arange("2000-01", "2020-01", dtype="M8[M]").astype("M8[us]")
    _, truth = make((40, 40), stripes=2.0, dates=dates)
    assert np.unique(truth.detector).tolist() == [1, 2, 3, 4]
    steps = np.stack(
        [
            truth[f"geometry_d{axis}"].where(truth.detector == k).mean(("y", "x"))[1:]
            for axis in "xy"
            for k in (1, 2, 3, 4)
        ]
    )
    assert 1.8 < steps.std() < 2.2
    assert np.abs(np.corrcoef(steps) - np.eye(8)).max() < 0.25
    for k in (1, 2, 3, 4):
        assert float(truth.geometry_dx.where(truth.detector == k).std(("y", "x")).max()) < 1e-12
    # edges lean to the east toward north, by 12 degrees; the first detector sees the east
    edge = (truth.detector == 1).sum("x").values
    assert np.polyfit(np.arange(40.0)[8:32], edge[8:32], 1)[0] == pytest.approx(np.tan(np.deg2rad(12.0)), abs=0.05)


def test_jitter_is_a_wave_along_the_track():
    _, truth = make((400, 300), jitter=1.5, velocity=0.0)
    heading = np.deg2rad(192.0)
    y, x = truth.y - truth.y.mean(), truth.x - truth.x.mean()
    along = (y * np.cos(heading) + x * np.sin(heading)).values.ravel()
    for name in ("geometry_dx", "geometry_dy"):
        field = truth[name].values[1].ravel()
        found = [
            np.hypot(*(2.0 * np.mean(field * part(2.0 * np.pi * along / length)) for part in (np.sin, np.cos)))
            for length in (2000.0, 5000.0, 500.0)
        ]
        assert found[0] == pytest.approx(1.5, rel=0.15)
        assert max(found[1:]) < 0.45
        # it is the same everywhere across the track
        order = np.argsort(along)
        assert np.abs(np.diff(field[order])).max() < 0.05


def test_geometry_is_what_matching_finds():
    images, truth = make(
        (160, 160), velocity=0.0, ramp=8.0, stripes=6.0, dates=["2020-01-01", "2020-02-01", "2020-03-01"]
    )
    shifts = xoffset.correlate(images, xoffset.pairs(images), template=16, search=4, step=8)
    inside = truth.detector.sel(x=shifts.x, y=shifts.y, method="nearest") == 2
    for axis in ("x", "y"):
        known = truth[f"geometry_d{axis}"].interp(x=shifts.x, y=shifts.y)
        error = shifts[f"d{axis}"].values - known.values[[1, 2, 2]] + known.values[[0, 0, 1]]
        assert np.abs(np.nanmedian(np.where(inside, error, np.nan), axis=(1, 2))).max() < 0.25


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"field": "lake"}, r"got 'lake'\. Choose one of these"),
        ({"step": 3.0}, r"step without step_date\. Pass step_date='2020-06-01'"),
        ({"shape": (1, 5)}, r"got \(1, 5\)\. Pass shape=\(rows, columns\)"),
        ({"shape": (5,)}, r"Pass shape=\(rows, columns\)"),
        (
            {"ground": synthetic.scene((8, 8))},
            r"4 times the shape \(48, 64\); got \(32, 32\)\. Use scene\(\(48, 64\)\)",
        ),
    ],
    ids=["field", "step", "small", "dims", "ground"],
)
def test_errors(options, advice):
    with pytest.raises(ValueError, match=advice):
        make(**options)


@pytest.mark.parametrize("shape", [(1, 8), (8, 0), (8,), (8, 8, 8)])
def test_errors_of_scenes(shape):
    with pytest.raises(ValueError, match=r"Pass shape=\(rows, columns\)"):
        synthetic.scene(shape)
