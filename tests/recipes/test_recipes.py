"""Recipes: their fields, files and scripts."""

import dataclasses
import subprocess
import sys

import pytest
import xarray as xr
from click.testing import CliRunner

import xoffset
from xoffset import synthetic
from xoffset.cli import main
from xoffset.pipeline import planning
from xoffset.recipes import Generic
from xoffset.recipes.base import Recipe, read_toml
from xoffset.recipes.known import RECIPES, as_recipe

FULL = Generic(
    band="B04", tile=("31TGK",), bbox=(0.0, 0.0, 10.0, 10.0), max_baseline="90D", min_score=0.25,
    stable="a 'b'.geojson", order="auto", by_date=True, min_nodes=20, reference="2020-01-01",
)  # fmt: skip


@pytest.mark.parametrize("recipe", [Generic(), FULL])
def test_files_hold_the_whole_recipe(recipe, tmp_path):
    assert read_toml(recipe.to_toml(), RECIPES) == recipe == Generic.from_toml(recipe.to_toml())
    (tmp_path / "mine.toml").write_text(recipe.to_toml())
    assert as_recipe(tmp_path / "mine.toml") == recipe.placed(tmp_path)


@pytest.mark.parametrize("name", list(RECIPES))
def test_no_field_hides_what_all_recipes_have(name):
    """A field of the name of a method of all recipes would be called in its place."""
    assert not [field.name for field in dataclasses.fields(RECIPES[name]) if hasattr(Recipe, field.name)]


@pytest.mark.parametrize("name", ["landslide", "glacier", "earthquake", "pycorr", "tio", "annual-rate", "gdm-opt-ice"])
def test_images_matches_and_network_are_found_under_any_name(name):
    """What the command tells before a run, of recipes that call their matches differently."""
    dates = ["2020-01-01", "2021-01-01", "2022-01-01", "2023-01-01"]
    stack, _ = synthetic.stack((320, 320), dates=dates)
    needs = {
        "landslide": {"max_velocity": 10.0}, "glacier": {"max_velocity": 10.0},
        "earthquake": {"max_displacement": 9.0, "date": "2021-07-01"}, "gdm-opt-ice": {"spatial_matching_range": 1},
    }  # fmt: skip
    images, network, matches = planning.make_plan(name, stack.chunk(), needs.get(name, {})).matched
    assert images.dims == ("time", "y", "x")
    assert set(network.dims) == {"pair"}
    assert matches.dx.sizes["pair"] == network.sizes["pair"]


@pytest.mark.parametrize("name", list(RECIPES))
def test_help_tells_parameters_once_and_the_recipe_in_its_place(name):
    told = CliRunner().invoke(main, ["run", name, "--help"]).output
    assert "Parameters ---" not in " ".join(told.split())
    assert name == "generic" or f"run {name} [OPTIONS] FILES..." in told


def test_a_recipe_that_is_misspelt_is_told(tmp_path):
    told = CliRunner().invoke(main, ["run", "landslid", str(tmp_path), "-o", str(tmp_path / "out")])
    assert told.exit_code == 1
    assert "got landslid, which is neither. Recipes are annual-rate" in told.output


def test_every_field_is_told():
    assert set(RECIPES) >= {"generic", "mpic-opt"}
    for recipe in RECIPES.values():
        assert recipe.__doc__
        for field in dataclasses.fields(recipe):
            assert field.metadata["what"]


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"search": 0}, r"a number from 1 to inf as search \[px\]; got 0. Pass a number such as search=8"),
        ({"search": None}, r"needs a value of search; got None. Leave it out"),
        ({"search": True}, r"as search \[px\]; got True"),
        ({"min_score": 2}, r"from 0 to 1 as min_score; got 2"),
        ({"align": "linear"}, r"one of nearest, cubic; got 'linear'. Choose"),
        ({"min_nodes": 3}, r"--order or --by-date beside --min-nodes; got --min-nodes 3 alone"),
    ],
)
def test_values_out_of_range_are_refused(changes, advice):
    with pytest.raises(ValueError, match=advice):
        Generic().changed(changes)


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError, match=r"one of its fields; got 'serch'. Did you mean 'search'"):
        Generic().changed({"serch": 3})
    with pytest.raises(TypeError, match=r"got 'qqq'. There are: band, "):
        Generic().changed({"qqq": 3})


@pytest.mark.parametrize(
    ("text", "error", "advice"),
    [
        ("search = ", ValueError, "needs a TOML file; got .*Write one with"),
        ("search = 3", ValueError, 'a line such as recipe = "generic"; got None. There are: generic'),
        ('recipe = "other"', ValueError, "got 'other'. There are: generic"),
        ('recipe = "generic"\nserch = 3', TypeError, "Did you mean 'search'"),
        ('recipe = "generic"\nsearch = 0', ValueError, "as search"),
    ],
)
def test_files_that_hold_no_recipe_are_refused(text, error, advice):
    with pytest.raises(error, match=advice):
        read_toml(text, RECIPES)


def test_only_recipes_are_recipes(tmp_path):
    with pytest.raises(ValueError, match=r"which is neither. There are: generic"):
        as_recipe("rockfall")
    with pytest.raises(TypeError, match=r"needs a recipe; got int. Pass the name"):
        as_recipe(3)
    assert as_recipe(FULL) is FULL


def test_scripts_name_every_step():
    lines = FULL.script(["a.SAFE", "b.SAFE"], "out").splitlines()
    assert lines[2] == (
        "stack = xoffset.open_stack(['a.SAFE', 'b.SAFE'], band='B04', tile=['31TGK'], bbox=[0.0, 0.0, 10.0, 10.0], "
        "chunks=1024)"
    )
    assert "ground = xoffset.masking.stable_ground(shifts, polygons=\"a 'b'.geojson\")" in lines
    assert "corrected = xoffset.correct(shifts, stable=ground, order='auto', by_date=True, min_nodes=20)" in lines
    assert lines[-1] == "files = xoffset.to_geotiff(velocity, 'out/velocity', overwrite=True)"
    assert lines[-2] == "velocity = velocity.offset.to_zarr('out/velocity.zarr', resume=True)"
    masked = Generic(mask="classes").script("scenes/*.SAFE")
    assert "seen = xoffset.masking.classes('scenes/*.SAFE', like=stack)" in masked
    assert "mask=mask" in masked


def test_a_script_makes_what_a_run_makes(tmp_path):
    stack, _ = synthetic.stack((120, 120), dates=["2020-01-01", "2020-07-01"], field="constant", velocity=10.0)
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    recipe = Generic(template=16, search=4)
    found = xoffset.run(recipe, tmp_path / "stack.zarr", tmp_path / "run")
    script = recipe.script(str(tmp_path / "stack.zarr"), str(tmp_path / "script"))
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    by_script = xoffset.open_result(tmp_path / "script" / "velocity.zarr")
    xr.testing.assert_identical(by_script.compute(), found["velocity"].compute())
