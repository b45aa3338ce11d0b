"""Every parameter of our own recipes has an effect, and contradictions are named."""

import dataclasses

import numpy as np
import pytest
import safe_products
from click.testing import CliRunner
from gdm_scenes import write_classes, write_raster
from own_scenes import DATES, LONG, SHORT, earthquake, landslide, made, write_rectangle, write_shape

import xoffset
from xoffset import synthetic
from xoffset.cli import main
from xoffset.recipes import Earthquake, Glacier, Landslide
from xoffset.recipes.base import read_toml
from xoffset.recipes.known import RECIPES
from xoffset.recipes.own import Own

OURS = (Landslide, Glacier, Earthquake)
GIVEN = {
    Landslide: {"max_velocity": 60.0}, Glacier: {"max_velocity": 60.0},
    Earthquake: {"date": "2020-03-20", "max_displacement": 8.0},
}  # fmt: skip


def steps_of(recipe):
    return {step.name: step for step in recipe.steps}


@pytest.fixture(scope="module")
def small():
    """Four images of a landslide of 128 px, lazy."""
    return synthetic.stack((128, 128), dates=DATES[:4], velocity=60.0, direction=90.0, snr=8.0, seed=4)[0].chunk()


@pytest.fixture(scope="module")
def base(small):
    return made(Landslide(max_velocity=60.0), "matches", small)


# -------------------------------------------------------------------------------------------------- pairs and matching


def test_pairs_follow_from_the_speed():
    stack = landslide()[0]

    def days(**changes):
        network = made(Landslide(**({"max_velocity": 60.0} | changes)), "network", stack)
        found = (network.secondary - network.reference) / np.timedelta64(1, "D")
        return int(found.min()), int(found.max()), network.sizes["pair"]

    assert days() == (48, 192, 14)
    # 1500 m a year are 39 px in 96 days: beyond the search
    assert days(max_velocity=1500.0)[1] == 48
    assert days(min_motion=1.5)[0] == 96
    assert days(pairs_per_date=1) == (48, 48, 5)
    assert days(max_search=3)[1] == 48
    with pytest.raises(ValueError, match=r"plan\(\) needs two dates .* change v_min, v_max"):
        days(max_velocity=1e4)


def test_search_is_that_of_the_motion():
    stack = landslide()[0]
    assert [made(Landslide(max_velocity=v), "planned", stack).search for v in (20.0, 60.0)] == [4, 7]
    assert made(Earthquake(date="2020-03-20", max_displacement=30.0), "planned", earthquake()[0]).search == 6
    wide = Landslide(max_velocity=20.0, max_search=60)
    assert steps_of(wide)["matches"].options["search"] == xoffset.Pyramid(60)
    with pytest.raises(ValueError, match=r"takes 33 px of 10 m, and max_search=32. Pass max_search=33"):
        made(Earthquake(date="2020-03-20", max_displacement=305.0), "planned", earthquake()[0])


def test_windows_filter_and_step_have_an_effect(small, base):
    assert {16, 32, 64} >= set(np.unique(base.template_size.values[np.isfinite(base.template_size)])) >= {16}
    one = made(Landslide(max_velocity=60.0, window=32), "matches", small)
    assert "template_size" not in one
    assert one.sizes["x"] == (128 - 32) // 8 + 1
    other = made(Landslide(max_velocity=60.0, prefilter="highpass"), "matches", small)
    assert not other.dx.equals(base.dx)
    assert not made(Landslide(max_velocity=60.0, prefilter="none"), "matches", small).dx.equals(other.dx)
    wide = made(Landslide(max_velocity=60.0, window=32, step=16), "matches", small)
    assert wide.sizes["x"] == (128 - 32) // 16 + 1
    assert Landslide(max_velocity=60.0, window=[16, 32]).window == (16, 32)


def test_windows_in_which_the_motion_differs_too_much_are_left_out(small):
    few, every = (made(Landslide(max_velocity=60.0, window=32, max_range=most), "shifts", small) for most in (0.5, 9.0))
    assert 0 < int(few.dx.notnull().sum()) < int(every.dx.notnull().sum())
    assert not (every.flags & xoffset.flags.FLAGS["sheared"]).any()


def test_pairs_across_an_event():
    stack = earthquake()[0]
    network = made(Earthquake(**GIVEN[Earthquake]), "network", stack)
    split = np.datetime64("2020-03-20")
    assert bool(((network.reference < split) & (network.secondary >= split)).all())
    assert network.sizes["pair"] == 9
    assert made(Earthquake(**GIVEN[Earthquake], pairs_per_date=1), "network", stack).sizes["pair"] == 5
    for date, advice in (("2019-01-01", "at least one pair of dates"), ("2021-01-01", "at least one pair of dates")):
        with pytest.raises(ValueError, match=advice):
            made(Earthquake(date=date, max_displacement=8.0), "network", stack)


# -------------------------------------------------------------------------------------------------------------- ground


def test_ground_is_stable_or_away_from_what_moves(tmp_path, small):
    place = write_rectangle(tmp_path / "slide.geojson", small, (32, 96), (16, 112))
    sizes = [
        int(made(Landslide(max_velocity=60.0, moving=place, buffer=b), "ground", small).sum()) for b in (0.0, 100.0)
    ]
    assert sizes[1] < sizes[0] < 128**2
    within = made(Landslide(max_velocity=60.0, stable=place), "ground", small)
    assert 64 * 96 - 400 < int(within.sum()) < 65 * 97 + 1
    heights = np.full((128, 128), 480.0, dtype=np.float32)
    heights[:, 60:] = 500.0 + 20.0 * np.arange(68)
    dem = write_raster(tmp_path / "dem.tif", heights, small)
    gentle = made(Landslide(max_velocity=60.0, stable=place, dem=dem), "ground", small)
    assert int(gentle.sum()) < 0.6 * int(within.sum())


def test_shadow_of_the_terrain_is_left_out(tmp_path, small):
    lit = small.assign_coords(sun_azimuth=("time", [90.0] * 4), sun_elevation=("time", [30.0] * 4))
    heights = np.full((128, 128), 400.0, dtype=np.float32)
    heights[:, 80:83] = 600.0
    dem = write_raster(tmp_path / "dem.tif", heights, small)
    mask = made(Landslide(max_velocity=60.0, dem=dem, shadows=True), "mask", lit)
    assert not mask.values[:, 20:100, 60:78].any()
    assert mask.values[:, 20:100, 20:40].all()


def test_classes_are_left_out_but_snow_of_glaciers(tmp_path):
    stack = synthetic.stack((96, 96), dates=["2020-01-01", "2020-02-01", "2020-06-01", "2020-07-01"])[0].chunk()
    low, high = slice(4, 34), slice(48, 78)
    paths = write_classes(tmp_path, stack, snow=(0, low, low), cloud=(0, low, high), water=(0, high, high))
    for recipe, gone in ((Landslide, {"snow", "cloud", "water"}), (Glacier, {"cloud", "water"})):
        mask = made(recipe(max_velocity=60.0, classes=paths), "mask", stack)
        places = {"snow": (19, 19), "cloud": (19, 63), "water": (63, 63)}
        assert {name for name, place in places.items() if not mask.values[0][place]} == gone


def test_least_vectors_on_stable_ground(tmp_path, small):
    place = write_rectangle(tmp_path / "stable.geojson", small, (4, 60), (4, 124))
    few, many = (
        made(Landslide(max_velocity=60.0, stable=place, window=16, min_nodes=n), "corrected", small) for n in (20, 1000)
    )
    assert few.is_corrected.all()
    assert not many.is_corrected.any()


def test_without_ground_the_mode_counts_for_landslides_and_nothing_comes_off_glaciers(tmp_path, small):
    line = write_shape(
        tmp_path / "trace.geojson", earthquake()[0], "LineString", [(0, LONG // 2), (SHORT - 1, LONG // 2)]
    )
    slide, ice = Landslide(max_velocity=60.0), Glacier(max_velocity=60.0)
    assert steps_of(slide)["corrected"].options == {"order": 0, "by_date": True, "min_nodes": 100}
    assert "corrected" not in steps_of(ice)
    assert steps_of(ice)["velocity_of_pairs"].subjects == ("shifts",)
    assert steps_of(ice)["velocity"].options == {"shifts": "shifts"}
    quake = Earthquake(**GIVEN[Earthquake])
    assert steps_of(quake)["corrected"].options["order"] == 0
    by_trace = steps_of(quake.changed({"trace": line}))["corrected"].options
    assert (by_trace["order"], by_trace["trace"]) == ("plane", line)
    for recipe, word in ((slide, "mode"), (ice, "as they lie"), (quake, "ramps stay")):
        assert word in recipe.warnings[0]
        assert not recipe.changed({"stable": line}).warnings


# -------------------------------------------------------------------------------------------------------------- scenes


def test_bands_orbits_boxes_and_detectors_of_products(tmp_path):
    for date, orbit in (("2021-07-17T10:20:31", 65), ("2021-07-20T10:10:31", 22), ("2021-07-27T10:20:31", 65)):
        safe_products.write(tmp_path, date=date, orbit=orbit, bands=("B03", "B04"))
    scenes = str(tmp_path / "*.SAFE")
    given = {"max_velocity": 600.0, "classes": "none", "detectors": "none", "window": (16,)}
    red, green = (made(Landslide(band=b, orbit=65, **given), "stack", scenes) for b in ("B04", "B03"))
    assert red.relative_orbit.values.tolist() == [65, 65]
    assert not red.equals(green)
    with pytest.raises(ValueError, match="scenes of one relative orbit"):
        made(Landslide(band="B04", **given), "stack", scenes)
    x, y = red.x.values, red.y.values
    box = (float(x[10]) - 5.0, float(y[69]) - 5.0, float(x[69]) + 5.0, float(y[10]) + 5.0)
    assert made(Landslide(band="B04", orbit=65, bbox=box, **given), "stack", scenes).shape == (2, 60, 60)
    fullest = next(iter(Landslide(max_velocity=600.0, stable="rock.geojson", orbit=65).ways(scenes)))
    assert (fullest.band, fullest.classes, fullest.detectors) == ("B04", "products", "products")
    assert "stripes" in steps_of(fullest)["corrected"].options
    assert "detector" not in steps_of(fullest.changed({"detectors": "none"}))
    assert made(Landslide(band="B04", orbit=65, tile="31TGK", **given), "stack", scenes).sizes["time"] == 2


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("recipe", "changes", "advice"),
    [
        (Landslide, {"max_velocity": None}, r"needs max_velocity \[m/yr\], fastest motion that is expected; got none"),
        (Landslide, {"max_velocity": -1.0}, r"from 1e-06 to inf as max_velocity \[m/yr\]; got -1.0"),
        (Landslide, {"max_velocity": "fast"}, r"as max_velocity \[m/yr\]; got 'fast'"),
        (Earthquake, {"date": None}, r"needs date, instant of the earthquake, UTC; got none"),
        (Earthquake, {"max_displacement": None}, r"needs max_displacement \[m\]"),
        (Landslide, {"buffer": 100.0}, r"needs moving for buffer; got buffer=100.0 alone, which would have no effect"),
        (Landslide, {"shadows": True}, r"needs dem for shadows; got shadows=True alone"),
        (Landslide, {"dem": "dem.tif"}, r"needs stable or moving or shadows for dem; got dem='dem.tif' alone"),
        (Landslide, {"detectors": "products"}, r"needs stable or moving for detectors; got detectors='products' alone"),
        (Glacier, {"min_nodes": 30}, r"needs stable or moving for min_nodes; got min_nodes=30 alone"),
        (Landslide, {"bands": ("B04",)}, r"needs two bands or more as bands, each once; got \('B04',\)"),
        (Landslide, {"bands": ("B04", "B04")}, r"each once; got"),
        (Landslide, {"band": "B04", "bands": ("B03", "B08")}, r"one band or several; got band='B04' and bands="),
        (Landslide, {"prefilter": "bandpas"}, r"one of bandpass, highpass, .*; got 'bandpas'"),
        (Glacier, {"pairs_per_date": 0}, r"as pairs_per_date; got 0"),
        (Glacier, {"step": 1.5}, r"a whole number from 1 to inf as step \[px\]; got 1.5"),
    ],
)  # fmt: skip
def test_values_out_of_range_and_contradictions_are_named(recipe, changes, advice):
    with pytest.raises(ValueError, match=advice):
        recipe(**(GIVEN[recipe] | changes))


def test_windows_that_share_no_centre_are_refused(small):
    with pytest.raises(ValueError, match="template"):
        made(Landslide(max_velocity=60.0, window=(16, 20)), "matches", small)
    with pytest.raises(ValueError, match="at least two dates; got 1"):
        made(Landslide(max_velocity=60.0), "network", small[:1])


@pytest.mark.parametrize("recipe", OURS)
def test_files_hold_the_whole_recipe_and_every_field_is_an_option(recipe, tmp_path):
    mine = recipe(**GIVEN[recipe], window=(16, 48), stable="a 'b'.geojson", bands=("B03", "B04"))
    assert issubclass(recipe, Own)
    assert read_toml(mine.to_toml(), RECIPES) == mine
    told = CliRunner().invoke(main, ["run", recipe.name, "--help"])
    assert told.exit_code == 0
    for field in dataclasses.fields(recipe):
        assert f"--{field.name.replace('_', '-')}" in told.output
    options = ["--bands", "B04", "-o", str(tmp_path / "out")]
    told = CliRunner().invoke(main, ["run", recipe.name, str(tmp_path), *options])
    assert told.exit_code != 0
    assert "Traceback" not in told.output
