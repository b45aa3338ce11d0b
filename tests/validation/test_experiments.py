"""What the experiments stand on: motion that is known exactly, noise as strong as told, and numbers that can fail."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401, registers `.rio`
import scipy.ndimage
import xarray as xr

import xoffset
from validation.experiments import (
    coverage,
    coverage_scene,
    noise,
    null_tests,
    pictures,
    scores,
    semi_synthetic,
    slow_landslide,
    slow_scene,
    textures,
)


def made_up_images(ground, dates, folder):
    """Images of random ground (date, rows, columns), with noise as strong as its detail."""
    rng = np.random.default_rng(2)
    shared = scipy.ndimage.gaussian_filter(rng.standard_normal((160, 160)), 1.0)
    return shared + 0.25 * shared.std() * rng.standard_normal((len(dates), 160, 160))


@pytest.fixture
def made_up(monkeypatch):
    """Random ground in place of the real images, and images of it with noise as strong as its detail."""

    def read(self, folder):
        image = scipy.ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((512, 512)), 2.0)
        return textures.middle(1000.0 * image, 128 * self.factor)

    monkeypatch.setattr(textures.Texture, "read", read)
    monkeypatch.setattr(noise, "images", made_up_images)


# ------------------------------------------------------------------------------------------------------------- textures


@pytest.mark.parametrize(("right", "down"), [(0.25, 0.0), (-1.5, 0.75), (2.0, -3.0)])
def test_a_constant_motion_is_another_cut_of_the_same_image(right, down):
    fine = np.random.default_rng(0).random((160, 200))
    motion = np.stack([np.full(fine.shape, down), np.full(fine.shape, right)])
    after, truth = textures.moved(fine, motion, 4)
    rolled = textures.averaged(np.roll(fine, (round(4 * down), round(4 * right)), (0, 1)), 4)
    inside = (slice(4, -4), slice(4, -4))
    np.testing.assert_array_equal(after[inside], rolled[inside])
    np.testing.assert_array_equal(truth[0], down)
    np.testing.assert_array_equal(truth[1], right)


def test_truth_belongs_to_the_image_before_the_motion():
    """A bright spot is found where the truth says that it went."""
    fine = np.zeros((240, 240))
    fine[100:104, 80:84] = 1.0
    motion = 3.0 * textures.shares("glacier", fine.shape)
    after, truth = textures.moved(fine, motion, 4)
    before = textures.averaged(fine, 4)
    places = [np.array(scipy.ndimage.center_of_mass(image)) for image in (before, after)]
    row, column = np.round(places[0]).astype(int)
    np.testing.assert_allclose(places[1] - places[0], truth[:, row, column], atol=0.13)


def test_kinds_of_ground():
    truth = np.zeros((2, 64, 64))
    truth[1, :, 40:] = 2.0
    mean, kind = textures.kinds_of_ground(truth, 16, 8)
    np.testing.assert_array_equal(kind[0], [0, 0, 0, 0, 2, 1, 1])
    np.testing.assert_allclose(mean[1, 0], [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 2.0])


def test_noise_is_what_the_other_image_does_not_explain():
    rng = np.random.default_rng(0)
    by = rng.standard_normal((200, 200))
    own = rng.standard_normal(by.shape)
    rest, correlation = noise.unexplained(3.0 * by + 1.5 * own + 7.0, by)
    assert noise.detail(rest).std() == pytest.approx(0.5, rel=0.03)
    assert correlation == pytest.approx(1.0 / np.hypot(1.0, 0.5), abs=0.01)
    # an image with it correlates alike
    other = rng.standard_normal((120, 120))
    noisy = noise.added(other, rest, rng)
    assert np.corrcoef(noise.detail(other).ravel(), noise.detail(noisy).ravel())[0, 1] == pytest.approx(
        correlation, abs=0.02
    )


def test_numbers_of_vectors():
    rng = np.random.default_rng(0)
    truth = np.stack([np.full(4000, 2.0), np.zeros(4000)])
    sigma = np.full((2, 4000), 0.1)
    error = 0.1 * rng.standard_normal((2, 4000)) - 0.1 * truth
    error[:, :40], error[:, 40:120] = np.nan, 3.0
    row = scores.of_vectors(error, sigma, truth)
    assert row["kept %"] == pytest.approx(99.0)
    assert row["outliers %"] == pytest.approx(100.0 * 80 / 3960, abs=0.3)
    # 80 of 3960 are far off and show nothing of the motion, the others nine tenths
    assert row["retention"] == pytest.approx(0.9 * 3880 / 3960, abs=0.005)
    across = scores.coverage(error[1, 120:], sigma[1, 120:])
    assert across["68 %"] == pytest.approx(68.3, abs=2.0)
    assert across["95 %"] == pytest.approx(95.0, abs=1.0)


def test_what_is_far_off_retains_nothing():
    """However many vectors point along the motion, far too long or far too short: none of it is retained."""
    truth = np.stack([np.full(100, 2.0), np.zeros(100)])
    error = np.zeros((2, 100))
    for off, share in ((-2.0, 0.5), (1.5, 0.5), (40.0, 0.5), (np.nan, 1.0)):
        error[0, :50] = off
        assert scores.of_vectors(error, None, truth)["retention"] == pytest.approx(share)
    error[0] = 40.0
    assert scores.of_vectors(error, None, truth)["retention"] == 0.0


# ---------------------------------------------------------------------------------------------------------- experiments


def of_still_ground(tables):
    """Numbers of ground that moves with the image alone, by method."""
    return {row["method"]: row for row in tables["by ground"] if row["ground"] == "still"}


def test_windows_tell_the_motion_of_made_up_ground(made_up, tmp_path):
    tables = semi_synthetic.run(tmp_path, is_small=True)
    errors = {(row["noise"], row["method"]): row for row in tables["by noise"]}
    plain, still = errors["none", "xoffset"], of_still_ground(tables)
    assert still["xoffset"]["rmse px"] < 0.05
    assert plain["retention"] == pytest.approx(1.0, abs=0.05)
    assert errors["scree, 3 years", "xoffset"]["sigma px"] > plain["sigma px"]
    if "OpenCV" in still:
        assert still["xoffset"]["rmse px"] < still["OpenCV"]["rmse px"]


@pytest.fixture(scope="module")
def sheared(tmp_path_factory):
    """A landslide in two years on ground wide enough to be corrected by, the results of both ways, and its truth."""

    def read(self, folder):
        return 1000.0 * scipy.ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((768, 768)), 2.0)

    with pytest.MonkeyPatch.context() as changes:
        changes.setattr(textures.Texture, "read", read)
        changes.setattr(noise, "images", made_up_images)
        return by_both_ways(tmp_path_factory.mktemp("sheared"))


def by_both_ways(folder):
    """The scene, what both ways make of it, and its truth."""
    scene = coverage_scene.scene("rock and ice", "landslide", "farmland", folder, 2, 0)
    found = coverage_scene.by_way(
        scene, "landslide", coverage_scene.at_rest("rock and ice", "farmland", folder, 2, 100)
    )
    ends = coverage.ends_of(coverage_scene.shifts_of(found[coverage_scene.WAYS[0]]), scene.images["time"].values)
    return scene, found, coverage.truth_of(scene, ends)


def test_a_coverage_can_be_low(sheared):
    """All steps of the recipe; standard errors of a tenth hold almost nothing: the table tells."""
    scene, found, truth = sheared
    errors = {
        way: coverage.measured(found[way], scene, truth, widens=way == coverage_scene.WAYS[0])
        for way in coverage_scene.WAYS
    }
    assert set(errors[coverage_scene.WAYS[0]]) == set(coverage.QUANTITIES)
    told = coverage.Measured(
        "landslide", "farmland", coverage_scene.WAYS[0], errors[coverage_scene.WAYS[0]], truth.kind
    )
    smaller = {name: each._replace(sigma=0.1 * each.sigma) for name, each in told.errors.items()}
    of_all, low = (
        {row["quantity"]: row["95 %"] for row in coverage.table([each], "quantity")}
        for each in (told, told._replace(errors=smaller))
    )
    assert min(of_all.values()) > 85.0
    assert low["shifts"] < 0.5 * of_all["shifts"]
    # what is known of sheared ground makes intervals wider, of the same matches
    wide, narrow = (errors[way]["velocity"].sigma[:, truth.kind >= 3] for way in coverage_scene.WAYS)
    assert np.nanmedian(wide) > 1.2 * np.nanmedian(narrow)


def test_the_recipe_takes_off_what_images_lie_apart_by(sheared):
    scene, found, truth = sheared
    results = found[coverage_scene.WAYS[0]]
    assert results["corrected"]["is_corrected"].all()
    apart = scene.place - scene.motion
    assert np.abs(apart).max() >= 0.5
    still = truth.kind == 0
    raw, left = (
        np.nanmedian(textures.in_pixels(results[name])[0][..., still], axis=-1) for name in ("shifts", "corrected")
    )
    assert np.abs(raw).max() > 0.3
    assert np.abs(left).max() < 0.1


def test_the_truth_of_a_pair_is_that_of_the_ground_in_its_window():
    """Ground that moves at twice its place to the right: another part of it lies in the window on each date."""
    place = np.zeros((3, 2, 96, 96))
    for date in range(3):
        place[date, 1] = date
    images = textures.stack_of(list(np.zeros((3, 96, 96))), coverage_scene.dates_of(1)[:3])
    motion = place * np.arange(96) / 48.0
    scene = coverage_scene.Scene(images, place, motion)
    of_first, range_of = coverage.lagrangian(scene, 0, 2)
    assert of_first[1, 0, 0] == pytest.approx(2.0 * 15.5 / 48.0)
    assert range_of[1, 0, 0] == pytest.approx(2.0 * 31.0 / 48.0)
    later, _ = coverage.lagrangian(scene, 1, 2)
    # a pixel to the left
    assert later[1, 0, 1] == pytest.approx(22.5 / 48.0)
    np.testing.assert_array_equal(later[0], 0.0)


def test_outlines_hold_all_that_moves():
    images = textures.stack_of(list(np.zeros((2, 40, 50))), coverage_scene.dates_of(1)[:2])
    motion = np.zeros((2, 2, 40, 50))
    motion[1, 0, 10:20, 5:25] = 1.0
    told = coverage_scene.outlines(coverage_scene.Scene(images, motion, motion))
    (ring,) = told["coordinates"][0]
    assert sorted(set(ring)) == [(45.0, -195.0), (45.0, -95.0), (245.0, -195.0), (245.0, -95.0)]


def test_coverage_at_points_of_gnss():
    x, y = 500_000.0 + 100.0 * np.arange(6), 5_000_000.0 - 100.0 * np.arange(6)
    fields = {name: (("y", "x"), np.full((6, 6), value)) for name, value in
              (("vx", 1.0), ("vy", 0.0), ("sigma_vx", 0.1), ("sigma_vy", 0.1))}  # fmt: skip
    rate = xr.Dataset(fields, coords={"x": x, "y": y}).rio.write_crs("EPSG:32632")
    for name in fields:
        rate[name].attrs["units"] = "m yr-1"
    gnss = pd.DataFrame({"x": x[1:5], "y": y[1:5], "v_east": [1.0, 1.05, 1.3, 0.9], "v_north": 0.0})
    row = coverage.of_points(rate, gnss)
    assert row["points"] == 4.0
    assert row["95 %"] == pytest.approx(87.5)


def test_processing_moves_nothing(made_up, tmp_path):
    image = textures.averaged(textures.TEXTURES["farmland"].read(tmp_path), 4)
    process = null_tests.PROCESSINGS["other gain, offset and gamma"]
    pair = null_tests.Pair(
        "two processings", "gamma", "made up", textures.stack_of([image, process(image)], null_tests.DATES)
    )
    for row in null_tests.seems(pair):
        assert abs(row["median right px"]) < 0.01
        assert row["spread px"] < 0.05


def test_a_seam_seems_to_move_until_it_is_corrected():
    pair = next(null_tests.across_a_seam(is_small=True))
    rows = {row["corrected"]: row for row in null_tests.seems(pair)}
    assert rows["a shift"]["spread px"] > 1.5 * rows["steps, detectors told"]["spread px"]


# ------------------------------------------------------------------------------------------------------- slow landslide


def normal_rates(sigma, n=4000):
    """Windows with normal errors, half of which move by 20 cm a year."""
    truth = np.zeros((2, n))
    truth[0, : n // 2] = 20.0
    error = sigma * np.random.default_rng(0).standard_normal((2, n))
    return slow_landslide.Rates(truth + error, np.full((2, n), sigma), truth)


def test_theory_of_white_noise():
    """0.05 px a date, 150 dates in five years: 2.8 cm a year; 95 % are found at 1 % of false alarms from 11 cm on."""
    dates = np.datetime64("2018-01-01", "us") + np.linspace(0.0, 5 * 365.25 * 86_400e6, 150).astype("timedelta64[us]")
    sigma = slow_landslide.theory(dates)
    assert sigma == pytest.approx(2.83, abs=0.05)
    assert slow_landslide.ASKED * sigma == pytest.approx(11.2, abs=0.2)


def test_numbers_of_normal_errors_are_those_of_theory():
    row = slow_landslide.numbers(normal_rates(5.0))
    assert row["false alarms %"] == pytest.approx(1.0, abs=0.4)
    assert row["found %"] == pytest.approx(slow_landslide.expected(20.0, 5.0), abs=1.5)
    assert row["smallest rate cm/yr"] == pytest.approx(slow_landslide.ASKED * 5.0, rel=0.03)
    assert row["bias cm/yr"] == pytest.approx(0.0, abs=0.3)
    for found in slow_landslide.detection(normal_rates(5.0)):
        assert found["found %"] == pytest.approx(slow_landslide.expected(found["rate cm/yr"], 5.0), abs=3.0)


def test_dates_are_of_one_orbit_and_fewer_in_winter():
    dates = slow_scene.acquisitions(150, np.random.default_rng(0))
    assert dates.size == 150
    assert (np.diff(dates) > np.timedelta64(4, "D")).all()
    months = pd.DatetimeIndex(dates).month
    assert np.isin(months, (6, 7, 8)).sum() > np.isin(months, (12, 1, 2)).sum()


def test_the_recipe_tells_what_moves_from_what_does_not():
    """Images with noise alone, of places that move by 3 m a year, and of places that do not."""
    dates = slow_scene.acquisitions(12, np.random.default_rng(0))
    scene = slow_scene.photographed(3.0, dates, 216, 0, white=True)
    shifts, ground = slow_landslide.screened(scene, (32,))
    everywhere = slow_landslide.of_windows(xoffset.velocity(shifts), scene, 32, (0, 1, 2, 3))
    moves = everywhere.truth[0] > 0.0
    assert moves.sum() == (~moves).sum() > 20
    assert np.abs(everywhere.error).mean() < 20.0
    assert everywhere.velocity[0, moves].mean() == pytest.approx(300.0, abs=10.0)
    assert np.abs(everywhere.velocity[:, ~moves].mean(axis=1)).max() < 10.0
    assert slow_landslide.numbers(everywhere)["found %"] > 95.0
    # what is corrected and calibrated has seen none of the places
    at = {"x": scene.images.x, "y": scene.images.y}
    still = ground.reindex(at, method="nearest") if ground.shape != scene.images.shape[1:] else ground
    for row, column in scene.corners:
        assert not still.values[row : row + slow_scene.PLACE, column : column + slow_scene.PLACE].any()


def test_masks_take_snow_in_winter_and_clouds():
    dates = np.array(["2018-01-15T10:30", "2018-07-15T10:30"], "datetime64[us]")
    scene = slow_scene.photographed(0.2, dates, 216, 0)
    known = scene.images.notnull().mean(("y", "x")).values
    assert known[0] < known[1]
    assert known[1] > 0.6


# ---------------------------------------------------------------------------------------------------- real images, kept


@pytest.mark.data
def test_real_ground_and_real_noise(data_folder):
    tables = semi_synthetic.run(data_folder, is_small=True)
    still = of_still_ground(tables)
    assert still["xoffset"]["rmse px"] < 0.04
    assert still["xoffset"]["95 %"] > 88.0
    assert tables["by texture"][0]["retention"] == pytest.approx(1.0, abs=0.02)


def test_pictures_are_drawn_from_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    pictures.main()
    kept = {path.stem for path in Path(pictures.tables.RESULTS).glob("*.json")}
    drawn = {draw.__name__ for draw in pictures.PICTURES}
    assert drawn <= kept
    assert {path.stem for path in tmp_path.glob("*.png")} == drawn
    for name in drawn:
        assert json.loads((pictures.tables.RESULTS / f"{name}.json").read_text())["machine"]["xoffset"]
