"""Every parameter of GDM-OPT-ETQ, -SLIDE and -ICE changes what it says that it changes."""

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

import xoffset
from xoffset.recipes import GdmOptEtq, GdmOptIce, GdmOptSlide

sys.path.append(str(Path(__file__).parents[1] / "readers"))
import gdm_scenes
import safe_products
from gdm_scenes import SIDE, made, scene, still, write_classes, write_polygon, write_raster

# of pairs across the split date; cheap
ONE = {"minimum_matching_range": 3, "maximum_matching_range": 3}


@pytest.fixture(scope="module")
def plain():
    """Results of one pair without any change, by recipe and step."""
    return {name: made("slide", name, **ONE) for name in ("matches", "kept")}


@pytest.fixture(scope="module")
def walls(tmp_path_factory):
    """Elevations with a wall across the middle, on 10 m: steep on three columns, and level elsewhere."""
    heights = np.full((SIDE, SIDE), 500.0, dtype=np.float32)
    heights[:, SIDE // 2 :] = 800.0
    return write_raster(tmp_path_factory.mktemp("dem") / "dem.tif", heights, scene()[0])


def known(shifts):
    return shifts.dx.notnull().values


def dates_of(network):
    return [
        tuple(str(each)[:10] for each in pair)
        for pair in zip(network.reference.values, network.secondary.values, strict=True)
    ]


# ------------------------------------------------------------------------------------------------------------- network


def test_matching_ranges_count_acquisitions():
    gaps = {tuple(gdm_scenes.DATES.index(each) for each in pair) for pair in dates_of(made("etq", "network"))}
    assert gaps == {(i, j) for i in range(4) for j in range(i + 1, 4)}
    found = made("etq", "network", minimum_matching_range=2, maximum_matching_range=2)
    assert dates_of(found) == [("2020-01-01", "2020-06-01"), ("2020-02-01", "2020-07-01")]


def test_matching_ranges_may_count_days():
    options = {"minimum_matching_range": 31, "maximum_matching_range": 130}
    found = made("slide", "network", matching_mode="days", **options)
    assert ((found.baseline >= 31) & (found.baseline <= 130)).all()
    assert found.sizes["pair"] == 2


def test_split_date_makes_pairs_across_it_alone():
    found = made("etq", "network", split_date="2020-02-01", maximum_matching_range=1)
    # the image of that day is of the second subset
    assert dates_of(found) == [("2020-01-01", each) for each in gdm_scenes.DATES[1:]]


def test_backward_pairs_have_the_later_date_first():
    found = dates_of(made("etq", "network", matching_direction="forward+backward", maximum_matching_range=1))
    assert ("2020-02-01", "2020-01-01") in found
    assert len(found) == 6


# ------------------------------------------------------------------------------------------------------------- matching


def test_window_size_is_half_a_side(plain):
    found = made("slide", "matches", window_size=1, **ONE)
    assert (float(found.window_size), float(plain["matches"].window_size)) == (30.0, 70.0)
    assert not found.dx.equals(plain["matches"].dx)


def test_windows_above_seven_are_refused():
    with pytest.raises(ValueError, match=r"a whole number from 1 to 7 as window_size|from 1 to 7 as window_size"):
        GdmOptSlide(spatial_matching_range=2, window_size=8)


def test_decorrelation_threshold_discards_low_scores(plain):
    threshold = float(plain["kept"].score.where(plain["kept"].dx.notnull()).quantile(0.3))
    found = made("slide", "kept", decorrelation_threshold=threshold, **ONE)
    lost = known(plain["kept"]) & ~known(found)
    assert lost.any()
    assert (found.score.values[known(found)] >= threshold).all()
    quality = [
        float(made("slide", "quality", decorrelation_threshold=t, **ONE).quality.mean()) for t in (0.2, threshold)
    ]
    assert quality[0] > quality[1]


def test_spatial_matching_range_limits_the_search(plain):
    assert [GdmOptEtq(spatial_matching_range=r).search for r in (0, 1, 2, 3, 7)] == [2, 3, 5, 6, 11]
    fast = scene()[0].copy()
    moved = fast.isel(time=[0, 3]).copy(data=np.stack([fast[0].values, np.roll(fast[0].values, 4, axis=1)])).chunk()
    found = [made("etq", "matches", moved, spatial_matching_range=r) for r in (1, 3)]
    assert found[0].dx.notnull().mean() < 0.2
    assert abs(float(found[1].dx.median()) - 40.0) < 1.0
    with pytest.raises(ValueError, match=r"needs spatial_matching_range \[px\], .*and there is no default"):
        GdmOptEtq()


def test_regularization_parameter_smooths(plain):
    rough, smooth = (made("slide", "matches", regularization_parameter=r, **ONE) for r in (0.05, 1.0))
    assert rough.dx.diff("x").std() > 1.2 * smooth.dx.diff("x").std()


def test_sub_pixel_matching_off_leaves_whole_pixels():
    found = made("slide", "kept", sub_pixel_matching=False, **ONE).dx.values
    found = found[np.isfinite(found)]
    assert np.allclose(found, 10.0 * np.rint(found / 10.0))


def test_gefolki_has_parameters_of_its_own():
    options = {"matcher": "gefolki"} | ONE
    base = made("slide", "matches", **options)
    # the flow goes from wide windows to the narrowest
    for change in ({"radius": (16, 4)}, {"levels": 2}, {"iteration": 4}, {"rank": 0}):
        found = made("slide", "matches", **options, **change)
        assert not found.dx.equals(base.dx), change
    assert float(made("slide", "matches", **options, radius=(16, 4)).window_size) == 90.0
    assert not made("etq", "matches", **options).dx.equals(made("etq", "matches", **ONE).dx)


# ---------------------------------------------------------------------------------------------------------- the masks


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Snow, cloud, shadow and water, each in a corner of the first date."""
    low, high = slice(4, 24), slice(48, 68)
    return write_classes(
        tmp_path_factory.mktemp("classes"), scene()[0], snow=(0, low, low), cloud=(0, low, high), shadow=(0, high, low),
        water=(0, high, high),
    )  # fmt: skip


CORNERS = {"snow": (14, 14), "cloud": (14, 58), "shadow": (58, 14), "water": (58, 58)}


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({}, {"snow", "cloud", "shadow", "water"}),
        ({"snow_mask": False}, {"cloud", "shadow", "water"}),
        ({"cloud_mask": False}, {"snow", "water"}),
    ],
)
def test_snow_and_cloud_masks_and_water_always(classes, changes, gone):
    found = made("etq", "mask", classes=classes, **changes)
    assert {name for name, place in CORNERS.items() if not found.values[0][place]} == gone
    assert found.values[1:].all()


def test_masked_ground_has_no_value(classes):
    found = known(made("etq", "kept", classes=classes, **ONE))
    # windows that are masked in part have a match, which tells nothing of what is masked
    assert not found[0, 2:20, 2:20].any()


def test_slopes_of_the_interval_are_removed(walls):
    found = made("etq", "kept", dem=walls, **ONE)
    column = SIDE // 2
    gone = ~known(found)[0]
    steep = ~made("etq", "slopes", dem=walls).values
    assert (steep[5:-5, 5:-5].any(axis=0).nonzero()[0] + 5).tolist() == [column - 1, column]
    assert gone[:, column - 4 : column - 3].all()
    wide = made("etq", "slopes", dem=walls, slope_mask_range_minimum=0.0)
    assert not wide.values[5:-5, 5:-5].any()
    narrow = made("etq", "slopes", dem=walls, slope_mask_range_maximum=85.0)
    assert narrow.values[5:-5, 5:-5].all()


def test_coarse_elevations_are_told_of(tmp_path, caplog):
    heights = np.outer(np.ones(12), np.arange(12) * 40.0).astype(np.float32)
    coarse = write_raster(tmp_path / "dem.tif", heights, scene()[0], side=90.0)
    with caplog.at_level(logging.WARNING):
        made("etq", "slopes", dem=coarse)
    assert "no slope is from 80 to 90 degrees" in caplog.text
    assert "pixels of 90 m" in caplog.text


def test_topographic_shadow_is_masked(walls):
    found = made("slide", "mask", dem=walls, topographic_shadow=True, slope_mask_range_minimum=89.9)
    shaded = (~found.values).sum(axis=(1, 2))
    # the wall is east of level ground, and the sun in the south-east; the lower it stands the longer the shadow
    assert shaded[1] > shaded[0] > shaded[3]
    assert made("slide", "mask", dem=walls, slope_mask_range_minimum=89.9).values[5:-5, 5:-5].all()


def test_glaciers_are_matched_inside_their_outlines(tmp_path):
    ice = write_polygon(tmp_path / "ice.geojson", scene()[0], (16, 72), (16, 72))
    options = {"glacier_mask": True, "glacier_outlines": ice}
    sizes = [int(made("ice", "mask", **options, buffer_outside_glacier_extent=b).sum()) for b in (0.0, 50.0)]
    assert sizes[0] < 58**2
    assert sizes[1] > sizes[0] + 4 * 5 * 56
    found = known(made("ice", "kept", **options, buffer_outside_glacier_extent=0.0, **ONE))
    assert found.any()
    assert not found[0, 78:].any()


# -------------------------------------------------------------------------------------------- corrections and filters


def slope_of(shifts):
    """Change of dx across the scene [m]."""
    values = shifts.dx[0].values
    rows, columns = np.nonzero(np.isfinite(values))
    design = np.stack([np.ones(rows.size), rows, columns], axis=1)
    fitted = np.linalg.lstsq(design, values[rows, columns], rcond=None)[0]
    return float(np.hypot(fitted[1], fitted[2]) * SIDE)


def test_deramping_takes_a_plane_off(tmp_path):
    ground = write_polygon(tmp_path / "rock.geojson", still(), (0, 85), (0, 95))
    off = {"along_track_destriping": False} | ONE
    ramped = slope_of(made("slide", "kept", still(), **ONE))
    flat = slope_of(made("slide", "corrected", still(), **off))
    assert ramped > 1.0
    assert flat < 0.2 * ramped
    by_ground = made("slide", "corrected", still(), stable=ground, **off)
    assert slope_of(by_ground) < 0.5 * ramped
    assert ((by_ground.flags.values & xoffset.flags.FLAGS["unreferenced"]) == 0).all()


def test_apply_correction_and_filtering_switches_all_of_it():
    recipe = GdmOptSlide(spatial_matching_range=2, classes="none", apply_correction_and_filtering=False)
    assert {step.name for step in recipe.steps}.isdisjoint({"corrected", "deramped", "within", "shifts", "filtered"})
    assert any("FILTER_Displmax" in name for name in recipe.not_written)
    recipe = GdmOptEtq(spatial_matching_range=2, classes="none", apply_correction_and_filtering=False)
    names = {step.name: step for step in recipe.steps}
    # jitter has a switch of its own
    assert names["corrected"].options["order"] == 0
    assert {"within", "shifts"}.isdisjoint(names)
    assert names["displacement"].subjects == ("corrected",)


def test_jitter_comes_off_where_it_is_asked_for():
    plain, filtered = (
        made("slide", "corrected", still(), across_track_destriping=each, along_track_destriping=False, **ONE)
        for each in (False, True)
    )
    # what comes off is a plane, or a plane and a profile along the flight
    curved = [float(np.abs(each.removed_dx.diff("y", 2)).max()) for each in (plain, filtered)]
    assert curved[1] > 1e-3 > 100.0 * curved[0]
    waves, flat = (made("etq", "corrected", still(), apply_jitter_correction=each, **ONE) for each in (True, False))
    assert not waves.dx.equals(flat.dx)


def test_amplitude_threshold_is_in_pixels():
    off = {"along_track_destriping": False, "deramping": False}
    free, bound = (
        made("slide", "within", displacement_amplitude_threshold=t, **off, **ONE) for t in (10.0, 0.3)
    )  # fmt: skip
    assert known(bound).sum() < known(free).sum()
    assert np.hypot(bound.dx, bound.dy).max() <= 3.0
    # that of ETQ is fixed
    assert {s.name: s for s in GdmOptEtq(spatial_matching_range=2).steps}["within"].options[
        "max_displacement"
    ] == "10 px"


def test_direction_filter_follows_the_slope(tmp_path):
    # downhill is toward the north-west, and the slide moves toward 120 degrees
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    uphill = write_raster(tmp_path / "up.tif", (3.0 * (x + y)).astype(np.float32), scene()[0])
    downhill = write_raster(tmp_path / "down.tif", (3.0 * (SIDE * 2 - x - y)).astype(np.float32), scene()[0])
    off = {"along_track_destriping": False, "deramping": False, "displacement_direction": True} | ONE
    fast = np.hypot(*(scene()[1][name].values for name in ("vx", "vy"))) > 15.0
    counts = {}
    for name, dem, angle in (("up", uphill, 45.0), ("down", downhill, 45.0), ("wide", uphill, 180.0)):
        found = made("slide", "within", dem=dem, maximum_angle_deviation=angle, **off)
        grid = scene()[1].vx.copy(data=fast).sel(y=found.y, x=found.x, method="nearest").values
        counts[name] = int((known(found)[0] & grid).sum())
    assert counts["up"] < 0.2 * counts["down"]
    assert counts["wide"] >= counts["down"]


# ------------------------------------------------------------------------------------------------------------- the rest


def names_of(**changes):
    return {step.name for step in GdmOptSlide(spatial_matching_range=2, classes="none", **changes).steps}


def test_motion_analysis_and_tio_may_be_left_out():
    assert {"mean", "quality", "coherence"} <= names_of()
    assert {"mean", "quality", "coherence"}.isdisjoint(names_of(motion_analysis=False))
    assert {"series", "rate", "table"} <= names_of()
    assert {"series", "rate", "table"}.isdisjoint(names_of(run_tio=False))


@pytest.fixture(scope="module")
def inverted():
    """Series by the weights of the inversion."""
    options = {"along_track_destriping": False, "deramping": False, "maximum_matching_range": 3}
    changes = {
        "none": {}, "short": {"inversion_weight": "short-baseline"}, "long": {"inversion_weight": "long-baseline"},
        "scores": {"correlation_weighting": True},
        "discarded": {"discard_pairs": True, "discarding_threshold": 0.0},
        "kept": {"discard_pairs": True, "discarding_threshold": 1.0},
    }  # fmt: skip
    return {name: made("slide", "series", **options, **change) for name, change in changes.items()}


def test_weights_of_the_inversion_have_an_effect(inverted):
    for name in ("short", "long", "scores"):
        assert not inverted[name].dx.equals(inverted["none"].dx), name
    assert (inverted["none"].dx[0].fillna(0.0) == 0.0).all()


def test_pairs_are_discarded_by_their_masked_share(inverted):
    assert inverted["kept"].dx.equals(inverted["none"].dx)
    # every pair lacks the margin
    assert inverted["discarded"].dx.isnull().all()


def test_bands_orbits_regions_classes_and_detectors_of_products(tmp_path):
    for date, orbit in (("2021-07-17T10:20:31", 65), ("2021-07-20T10:10:31", 22), ("2021-07-27T10:20:31", 65)):
        safe_products.write(tmp_path, date=date, orbit=orbit, bands=("B03", "B04"))
    scenes = str(tmp_path / "*.SAFE")
    one = {"sentinel_2_relative_orbit": 65}
    stacks = {"orbit": made("slide", "stack", scenes, band="B04", **one)}
    stacks["band"] = made("slide", "stack", scenes, band="B03", **one)
    assert stacks["orbit"].relative_orbit.values.tolist() == [65, 65]
    assert not stacks["band"].equals(stacks["orbit"])
    with pytest.raises(ValueError, match="scenes of one relative orbit"):
        made("slide", "stack", scenes, band="B04")
    x, y = stacks["orbit"].x.values, stacks["orbit"].y.values
    box = (float(x[10]) - 5.0, float(y[69]) - 5.0, float(x[69]) + 5.0, float(y[10]) + 5.0)
    found = made("slide", "stack", scenes, band="B04", region_of_interest=box, **one)
    assert found.shape == (2, 60, 60)
    recipe = next(iter(GdmOptSlide(spatial_matching_range=2).ways(scenes)))
    assert (recipe.band, recipe.classes, recipe.detectors) == ("B04", "products", "products")
    steps = {step.name: step for step in recipe.steps}
    assert steps["corrected"].options["value"] == "mean"
    assert steps["corrected"].call is xoffset.destripe
    whole = {"band": "B04", "classes": "none", "detectors": "products", "deramping": False} | one
    seen = made("slide", "detector", scenes, **whole)
    assert set(np.unique(seen)) == {0, 5, 6}
    mean, median = (
        made("slide", "corrected", scenes, along_track_destriping_value=v, **whole) for v in ("mean", "median")
    )
    assert not mean.removed_dx.equals(median.removed_dx)
    calls = {step.call.__name__ for step in recipe.changed({"along_track_destriping": False}).steps}
    assert "destripe" not in calls
    assert made("slide", "mask", scenes, band="B04", classes="products", tile="31TGK", **one).dims == ("time", "y", "x")


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("recipe", "changes", "advice"),
    [
        (GdmOptEtq, {"minimum_matching_range": 4, "maximum_matching_range": 2}, "minimum_matching_range of at most m"),
        (GdmOptEtq, {"slope_mask_range_minimum": 90.0, "slope_mask_range_maximum": 80.0}, "slope_mask_range_minimum"),
        (GdmOptEtq, {"split_date": "05/07/2019"}, "a day yyyy-MM-dd as split_date; got '05/07/2019'"),
        (GdmOptEtq, {"use_a_direction_for_regularization": True}, "needs teta0 for use_a_direction"),
        (GdmOptEtq, {"teta0": 45.0}, "needs use_a_direction_for_regularization=True for teta0"),
        (GdmOptEtq, {"matching_direction": "backward"}, "one of forward, forward.backward; got 'backward'"),
        (GdmOptEtq, {"matcher": "gefolki", "window_size": 2}, "needs matcher='micmac' for window_size"),
        (GdmOptSlide, {"rank": 3}, "needs matcher='gefolki' for rank; got matcher='micmac' and rank=3"),
        (GdmOptSlide, {"matcher": "gefolki", "radius": (20,)}, r"one or several of 4, 8, 16, .* as radius \[px\]; got"),
        (GdmOptSlide, {"maximum_angle_deviation": 30.0}, "needs displacement_direction=True for maximum_angle"),
        (GdmOptSlide, {"displacement_direction": True}, "needs dem for displacement_direction=True; got none"),
        (GdmOptSlide, {"topographic_shadow": True}, "needs dem for topographic_shadow=True; got none"),
        (GdmOptSlide, {"run_tio": False, "discard_pairs": True}, "needs run_tio=True for discard_pairs"),
        (GdmOptSlide, {"discarding_threshold": 0.5}, "needs discard_pairs=True for discarding_threshold"),
        (GdmOptSlide, {"discarding_threshold": 1.5}, "from 0 to 1 as discarding_threshold"),
        (GdmOptSlide, {"inversion_weight": "medium"}, "one of none, short-baseline, long-baseline"),
        (GdmOptSlide, {"apply_correction_and_filtering": False, "stable": "a.geojson"}, "a correction for stable"),
        (
            GdmOptSlide, {"along_track_destriping": False, "along_track_destriping_value": "median"},
            "needs along_track_destriping=True for along_track_destriping_value",
        ),
        (GdmOptIce, {"glacier_mask": True}, "needs glacier_outlines for glacier_mask=True"),
        (GdmOptIce, {"buffer_outside_glacier_extent": 10.0}, "needs glacier_mask=True for buffer_outside"),
        (GdmOptIce, {"snow_mask": 1}, "snow_mask to be True or False"),
    ],
)  # fmt: skip
def test_contradictions_are_named(recipe, changes, advice):
    with pytest.raises((ValueError, TypeError), match=advice):
        recipe(spatial_matching_range=2, **changes)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"split_date": "2019-01-01"}, "at least one pair of dates"),
        ({"split_date": "2021-01-01"}, "at least one pair of dates"),
        ({"minimum_matching_range": 8, "maximum_matching_range": 9}, "at least one pair of dates"),
    ],
)
def test_dates_without_pairs_are_refused(changes, advice):
    with pytest.raises(ValueError, match=advice):
        made("etq", "network", **changes)
    with pytest.raises(ValueError, match="at least two dates; got 1"):
        made("etq", "network", scene()[0][:1])


def test_recipes_have_the_parameters_that_the_services_list():
    beside = {"tile", "classes", "detectors", "stable", "matcher", "fault_trace", "glacier_outlines"}
    recipes = (GdmOptEtq, GdmOptSlide, GdmOptIce)
    counts = {recipe: len({field.name for field in dataclasses.fields(recipe)} - beside) for recipe in recipes}
    assert counts == {GdmOptEtq: 18, GdmOptSlide: 37, GdmOptIce: 39}
