"""The table of faults in the guide names tests that there are."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "howto" / "long_run.md"
COMMANDS = re.findall(r"`(tests/[^`]+)` \|$", GUIDE.read_text(), re.M)


def names_in(paths):
    files = [
        each for path in paths for each in ([ROOT / path] if path.endswith(".py") else (ROOT / path).rglob("*.py"))
    ]
    return [name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)]


def test_each_fault_has_a_test():
    assert len(COMMANDS) >= 13


@pytest.mark.parametrize("command", COMMANDS)
def test_each_word_chooses_a_test(command):
    words = shlex.split(command)
    names = names_in([each for each in words if each.startswith("tests/")])
    for wanted in words[words.index("-k") + 1].split(" or "):
        assert [name for name in names if wanted in name], wanted
