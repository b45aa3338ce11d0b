"""Bad input of the recipes of services: a clear error before anything is computed, and nothing is lost."""

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import xoffset
from xoffset import cli, synthetic
from xoffset.pipeline.planning import make_plan
from xoffset.recipes import GdmOptEtq, GdmOptIce, GdmOptSlide, MpicOpt

RECIPES = {each.name: each for each in (MpicOpt, GdmOptEtq, GdmOptSlide, GdmOptIce)}
DATES = ["2020-01-01", "2020-02-01", "2020-03-01"]


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((64, 64), dates=DATES, velocity=50.0)[0].chunk()


def at(stack, *times):
    return stack.isel(time=slice(len(times))).assign_coords(time=np.array(times, dtype="datetime64[us]"))


@pytest.mark.parametrize("name", RECIPES)
def test_pairs_of_one_day_are_refused_before_anything_is_computed(stack, tmp_path, name):
    """Names of files tell days: a run would end when the first file is written."""
    with pytest.raises(ValueError, match=r"images of two days in each pair.*got 1 pairs of one day.* 2020-01-01"):
        xoffset.run(
            name, at(stack, "2020-01-01T10", "2020-01-01T12", "2020-03-01"), tmp_path / "out", spatial_matching_range=2
        )
    assert not (tmp_path / "out").exists()


def test_days_of_single_images_are_told_apart_where_names_need_it(stack):
    twice = at(stack, "2020-01-01T10", "2020-03-01T10", "2020-03-01T12")
    split = {"spatial_matching_range": 2, "split_date": "2020-02-01"}
    assert make_plan(GdmOptEtq(**split), twice, {}).results["network"].sizes["pair"] == 2
    assert make_plan(GdmOptSlide(**split, run_tio=False), twice, {}).results["network"].sizes["pair"] == 2
    with pytest.raises(ValueError, match=r"gdm-opt-slide needs one image a day.*got two of 2020-03-01\. Leave one"):
        make_plan(GdmOptSlide(**split), twice, {})


def test_images_without_data_end_after_matching(stack, tmp_path):
    nothing = stack.where(stack.x < 0.0)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"needs a match in at least one pair; got none of 3, as.*Check images"):
            xoffset.run("mpic-opt", nothing, tmp_path / "out", spatial_matching_range=1, window_size=1)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.zarr")) == ["matches.zarr"]


@pytest.mark.parametrize("name", RECIPES)
def test_numbers_of_numpy_are_those_of_python(name):
    recipe = RECIPES[name](
        spatial_matching_range=np.float32(2), window_size=np.int64(2), decorrelation_threshold=np.array(0.25)
    )
    assert recipe == RECIPES[name](spatial_matching_range=2.0, window_size=2, decorrelation_threshold=0.25)
    assert RECIPES[name].from_toml(recipe.to_toml()) == recipe


def test_radii_may_be_an_array():
    recipe = GdmOptSlide(spatial_matching_range=2, matcher="gefolki", radius=np.array([8, 16]))
    assert recipe.radius == (16, 8)
    assert GdmOptSlide.from_toml(recipe.to_toml()) == recipe


def test_words_may_be_those_of_the_services(stack, tmp_path):
    """They write Forward+Backward, MicMac, None, Short-baseline."""
    slide = GdmOptSlide(
        spatial_matching_range=2, matching_direction="Forward+Backward", matcher="GeFolki",
        inversion_weight="Short-baseline", matching_mode="Days",
    )  # fmt: skip
    assert (slide.matching_direction, slide.matcher) == ("forward+backward", "gefolki")
    assert (slide.inversion_weight, slide.matching_mode) == ("short-baseline", "days")
    told = CliRunner().invoke(cli.main, ["run", "gdm-opt-slide", "nothing", "-o", str(tmp_path / "out"),
                                         "--spatial-matching-range", "2", "--inversion-weight", "None"])  # fmt: skip
    assert "no file" in told.output


@pytest.mark.parametrize(
    ("recipe", "changes", "advice"),
    [
        (GdmOptEtq, {"slope_mask_range_minimum": 30}, "needs dem='a file' for slope_mask_range_minimum; got dem=None"),
        (GdmOptIce, {"slope_mask_range_maximum": 85}, "needs dem='a file' for slope_mask_range_maximum; got dem=None"),
        (
            GdmOptEtq,
            {"fault_trace": "f.geojson", "apply_jitter_correction": False, "apply_correction_and_filtering": False},
            "needs a correction for fault_trace; got fault_trace='f.geojson' and no correction",
        ),
        (GdmOptEtq, {"dem": 5}, "needs a text as dem; got 5. Pass one.$"),
    ],
)
def test_what_would_have_no_effect_is_refused(recipe, changes, advice):
    with pytest.raises(ValueError, match=advice):
        recipe(spatial_matching_range=2, **changes)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("field", ["classes", "detectors"])
def test_only_products_tell_classes_and_detectors(stack, name, field):
    with pytest.raises(ValueError, match=rf"needs products, such as.* for {field}='products'; got other images"):
        make_plan(RECIPES[name](spatial_matching_range=2, **{field: "products"}), stack, {})


def test_regions_of_images_in_memory(stack):
    box = (float(stack.x[4]), float(stack.y[59]), float(stack.x[59]), float(stack.y[0]))
    for scenes in (stack, stack.compute()):
        recipe = GdmOptSlide(spatial_matching_range=1, region_of_interest=box)
        assert make_plan(recipe, scenes, {}).results["stack"].sizes == {"time": 3, "y": 60, "x": 56}
    with pytest.raises(ValueError, match="needs a bbox that holds pixels"):
        make_plan(GdmOptSlide(spatial_matching_range=1, region_of_interest=(0, 0, 1, 1)), stack, {})


def test_amplitudes_keep_all_digits():
    for given, wanted in ((10.0, "10 px"), (1.23456789, "1.23456789 px"), (2e7, "20000000 px")):
        steps = GdmOptSlide(spatial_matching_range=2, displacement_amplitude_threshold=given).steps
        assert next(step for step in steps if step.name == "within").options["max_displacement"] == wanted


# ---------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("line", "error", "advice"),
    [
        ("windowsize = 3", TypeError, "Did you mean 'window_size'"),
        ('dem = "../dem.tif"', ValueError, "paths within its folder.*which leaves"),
        ('dem = "a/../../dem.tif"', ValueError, "paths within its folder.*which leaves"),
        ('classes = ["in.tif", "../out.tif"]', ValueError, "paths within its folder.*which leaves"),
        ('xoffset = "0.0.0"', ValueError, "of this version of xoffset"),
        ("split_date = 2020-02-01", ValueError, "needs a text as split_date"),
        ("window_size = [3]", ValueError, "as window_size"),
    ],
)
def test_files_of_recipes_are_checked(stack, tmp_path, line, error, advice):
    file = tmp_path / "my recipe.toml"
    file.write_text(f'recipe = "gdm-opt-slide"\nspatial_matching_range = 2\n{line}\n')
    with pytest.raises(error, match=advice):
        xoffset.run(file, stack, tmp_path / "out")
    told = CliRunner().invoke(cli.main, ["run", str(file), "nothing.tif", "-o", str(tmp_path / "out")])
    assert told.exit_code == 1
    assert "Traceback" not in told.output
    assert not (tmp_path / "out").exists()


def test_options_may_stand_before_the_recipe(tmp_path):
    for before in (["-o", "OUT"], ["--out=OUT"], ["-oOUT"], ["--dry-run", "--out=OUT"]):
        given = [each.replace("OUT", str(tmp_path / "out")) for each in before]
        told = CliRunner().invoke(cli.main, ["run", *given, "mpic-opt", "nothing.tif", "--spatial-matching-range", "2"])
        assert "there is no file" in " ".join(told.output.split()), told.output


def test_scripts_of_images_in_memory_have_no_classes(stack):
    for name, recipe in RECIPES.items():
        text = recipe(spatial_matching_range=2).script(stack)
        assert "masking.classes(" not in text, name
        assert "detectors(" not in text


def test_interrupted_runs_do_not_go_on_with_another_tile(stack, tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    given = {
        "spatial_matching_range": 1,
        "window_size": 1,
        "maximum_matching_range": 1,
        "apply_jitter_correction": False,
    }
    with pytest.raises(KeyboardInterrupt):
        xoffset.run("gdm-opt-etq", stack, tmp_path / "out", progress=stop, **given)
    with pytest.raises(ValueError, match=r"got other ones: .*window: was 3, is 5"):
        xoffset.run("gdm-opt-etq", stack, tmp_path / "out", **given | {"window_size": 2})
    made = xoffset.run("gdm-opt-etq", stack, tmp_path / "out", tile="A1", **given)
    assert len(list((tmp_path / "out" / "Displacements").glob("MM_EW_displ_A1_*_corrected.tif"))) == 2
    with pytest.raises(ValueError, match=r"same parameters.*tile: was A1, is B2"):
        xoffset.run("gdm-opt-etq", stack, tmp_path / "out", tile="B2", **given)
    (tmp_path / "out" / "recipe.toml").unlink()
    with pytest.raises(FileExistsError, match="without results is needed"):
        xoffset.run("gdm-opt-etq", stack, tmp_path / "out", tile="B2", **given)
    for name, each in made.items():
        xr.testing.assert_identical(xoffset.open_result(tmp_path / "out" / f"{name}.zarr").compute(), each.compute())
