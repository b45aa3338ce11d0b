"""The command line of the recipes of GDM-OPT: options are the fields."""

import dataclasses

import pytest
from click.testing import CliRunner

from xoffset.cli import main
from xoffset.recipes import GdmOptEtq, GdmOptIce, GdmOptSlide


@pytest.mark.parametrize("recipe", [GdmOptEtq, GdmOptSlide, GdmOptIce])
def test_every_field_is_an_option(recipe):
    told = CliRunner().invoke(main, ["run", recipe.name, "--help"])
    assert told.exit_code == 0
    for field in dataclasses.fields(recipe):
        assert f"--{field.name.replace('_', '-')}" in told.output


def test_options_that_contradict_are_one_message(tmp_path):
    options = ["--spatial-matching-range", "2", "--matcher", "gefolki", "--radius", "20", "-o", str(tmp_path / "out")]
    told = CliRunner().invoke(main, ["run", "gdm-opt-slide", str(tmp_path), *options])
    assert told.exit_code != 0
    assert "needs one or several of 4, 8, 16, 32, 64, 128 as radius" in told.output
    assert "Traceback" not in told.output
