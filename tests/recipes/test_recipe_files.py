"""Files of recipes: version, places of their paths, and what they tell of a run."""

import dataclasses
import tomllib
from importlib.metadata import version

import pytest

from xoffset.recipes import Generic, MpicOpt
from xoffset.recipes.base import read_toml
from xoffset.recipes.known import RECIPES, as_recipe

MPIC = MpicOpt(spatial_matching_range=3, split_date="2016-11-13", classes=("a.tif", "b.tif"))


def of_file(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    return as_recipe(tmp_path / "mine.toml")


def test_files_tell_every_field_and_the_version():
    text = MPIC.to_toml({"inputs": {"a.tif": "3 bytes"}, "not_written": {"x.tif": 'no "x"'}})
    held = tomllib.loads(text)
    for field in dataclasses.fields(MPIC):
        assert field.name in held or f"# {field.name} is not given" in text
    assert (held["recipe"], held["xoffset"]) == ("mpic-opt", version("xoffset"))
    assert held["inputs"] == {"a.tif": "3 bytes"}
    assert held["not_written"] == {"x.tif": 'no "x"'}
    assert read_toml(text, RECIPES) == MPIC


def test_files_of_another_version_are_refused():
    text = MPIC.to_toml().replace(f'"{version("xoffset")}"', '"0.0.1"')
    with pytest.raises(ValueError, match=r"this version of xoffset, .*, to make the same again; got '0.0.1'. Install"):
        read_toml(text, RECIPES)


def test_changes_hold_over_the_file(tmp_path):
    (tmp_path / "mine.toml").write_text('recipe = "mpic-opt"\nwindow_size = 2\n')
    assert as_recipe(tmp_path / "mine.toml", {"spatial_matching_range": 5.0}).window_size == 2
    with pytest.raises(ValueError, match=r"needs spatial_matching_range \[px\], .*got none, and there is no default"):
        as_recipe(tmp_path / "mine.toml")
    with pytest.raises(TypeError, match=r"got 'window_sice'. Did you mean 'window_size'"):
        of_file(tmp_path, 'recipe = "mpic-opt"\nwindow_sice = 2\n')


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path):
    text = 'recipe = "generic"\nstable = "ground/rock.geojson"\nmask = "classes"\nmoving = "s3://bucket/ice.geojson"\n'
    found = of_file(tmp_path, text)
    assert found.stable == str(tmp_path / "ground" / "rock.geojson")
    assert (found.mask, found.moving) == ("classes", "s3://bucket/ice.geojson")
    assert of_file(tmp_path, f'recipe = "generic"\nmask = ["{tmp_path}/a.tif", "b.tif"]\n').mask == (
        f"{tmp_path}/a.tif", str(tmp_path / "b.tif")
    )  # fmt: skip


@pytest.mark.parametrize("path", ["../rock.geojson", "a/../../rock.geojson", ".."])
def test_paths_that_leave_the_folder_are_refused(tmp_path, path):
    with pytest.raises(ValueError, match=r"paths within its folder, or whole ones, as stable; got .*which leaves"):
        of_file(tmp_path, f'recipe = "generic"\nstable = "{path}"\n')


def test_files_that_are_named_by_a_path_are(tmp_path):
    found = Generic(stable=tmp_path / "rock.geojson")
    assert found.files == {"stable": str(tmp_path / "rock.geojson")}
    assert Generic(mask="classes").files == {}


@pytest.mark.parametrize(
    ("recipe", "values", "advice"),
    [
        (MpicOpt, {}, r"needs spatial_matching_range \[px\], .* Pass one such as spatial_matching_range=3"),
        (MpicOpt, {"window_size": 2.5}, r"a whole number from 1 to 31 as window_size \[px\]; got 2.5"),
        (MpicOpt, {"window_size": 32}, r"a number from 1 to 31 as window_size \[px\]; got 32. Pass .*window_size=3"),
        (MpicOpt, {"window_size": "3"}, r"a number from 1 to 31 as window_size"),
        (MpicOpt, {"decorrelation_threshold": 1.5}, r"from 0 to 1 as decorrelation_threshold; got 1.5"),
        (MpicOpt, {"temporal_matching_range": 0}, r"from 1 to inf as temporal_matching_range \[acquisitions\]; got 0"),
        (MpicOpt, {"regularization_parameter": -1}, r"from 0 to 100 as regularization_parameter"),
        (MpicOpt, {"spatial_matching_range": None}, r"needs spatial_matching_range"),
        (MpicOpt, {"split_date": "13.11.2016"}, r"a day yyyy-MM-dd as split_date; got '13.11.2016'"),
        (MpicOpt, {"split_date": 2016}, r"needs a text as split_date; got 2016"),
        (MpicOpt, {"tile": "../31TGK"}, r"letters and digits as tile; got '../31TGK'"),
        (MpicOpt, {"detectors": "mine"}, r"detectors to be one of auto, products, none; got 'mine'"),
    ],
)
def test_values_of_services_out_of_range_are_refused(recipe, values, advice):
    given = ({"spatial_matching_range": 3} if values else {}) | values
    with pytest.raises(ValueError, match=advice):
        recipe(**given)


def test_switches_of_services_are_true_or_false():
    with pytest.raises(TypeError, match="activate_backward_matching to be True or False; got 1"):
        MpicOpt(spatial_matching_range=3, activate_backward_matching=1)


def test_no_split_is_the_word_of_the_service():
    assert MpicOpt(spatial_matching_range=3, split_date="NONE").split_date is None
