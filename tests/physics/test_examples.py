"""The worked examples of the documentation give what their pages show."""

import contextlib
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("kaiserberg", "perito_moreno", "earthquake", "columbia")


@pytest.fixture
def examples(monkeypatch):
    """Module that runs the examples, imported as when it is run."""
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("_examples")


def assert_alike(found, stored, where):
    if isinstance(stored, dict):
        assert list(found) == list(stored), where
        for name, value in stored.items():
            assert_alike(found[name], value, f"{where}: {name}")
    else:
        # another processor rounds otherwise, and a node more or less passes a test
        np.testing.assert_allclose(found, stored, rtol=0.05, atol=0.02, err_msg=where)


# a date, or a number that stands alone or before its unit
NUMBER = re.compile(r"(\d{4}-\d{2}-\d{2}|(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?)")


def assert_says_the_same(found, stored, where):
    """Printed lines have the same words and dates, and numbers within 10 % or two of their last digit."""
    lines = [[NUMBER.split(" ".join(line.split())) for line in text.splitlines()] for text in (found, stored)]
    assert len(lines[0]) == len(lines[1]), where
    for one, other in zip(*lines, strict=True):
        assert one[::2] == other[::2], (where, other)
        for value, expected in zip(one[1::2], other[1::2], strict=True):
            if expected.count("-") == 2:
                assert value == expected, (where, other)
                continue
            digit = 10.0 ** -len(expected.partition(".")[2])
            numbers = [float(each.replace(",", "")) for each in (value, expected)]
            np.testing.assert_allclose(*numbers, rtol=0.1, atol=2.0 * digit, err_msg=f"{where}: {expected}")


def check(examples, name, folder, out):
    found = examples.run(name, folder, out)
    stored = examples.STORED / name
    assert_alike(found, json.loads((stored / "numbers.json").read_text()), name)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in stored.iterdir())
    for path in stored.glob("*.txt"):
        assert_says_the_same((out / path.name).read_text(), path.read_text(), f"{name}/{path.name}")


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("1,234 pairs  from 2020-01-31, 0.10 m", True), ("1,300 pairs from 2020-01-31, 0.12 m", True),
        ("1,500 pairs from 2020-01-31, 0.10 m", False), ("1,234 pairs from 2020-02-01, 0.10 m", False),
        ("1,234 pairs from 2020-01-31, 0.10 px", False), ("1,234 pairs from 2020-01-31, -0.10 m", False),
        ("1,234 pairs from 2020-01-31, nan m", False), ("1,234 pairs from 2020-01-31, 0.10 m\nmore", False),
    ],
)  # fmt: skip
def test_printed_lines_differ_by_little(other, is_same):
    with contextlib.nullcontext() if is_same else pytest.raises(AssertionError):
        assert_says_the_same(other, "1,234 pairs from 2020-01-31, 0.10 m", "a page")


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["kaiserberg", "perito_moreno", "columbia"])
def test_real_examples_give_what_is_stored(examples, name, data_folder, tmp_path):
    check(examples, name, data_folder, tmp_path / "out")


@pytest.mark.slow
def test_the_synthetic_example_gives_what_is_stored(examples, tmp_path):
    check(examples, "earthquake", tmp_path / "nothing", tmp_path / "out")


@pytest.mark.parametrize("name", NAMES)
def test_pages_show_all_that_is_stored_and_no_more(name):
    page = (DOCS / "examples" / f"{name}.md").read_text()
    shown = set(re.findall(rf"_static/examples/{name}/([\w.]+)", page))
    stored = {path.name: path.stat().st_size for path in (DOCS / "_static" / "examples" / name).iterdir()}
    assert shown == set(stored) - {"numbers.json"}
    assert max(stored.values()) < 150_000
    titles = re.findall(r"^# %% (\w+)$", (DOCS / "examples" / f"{name}.py").read_text(), re.MULTILINE)
    assert re.findall(r":start-after: '# %% (\w+)'", page) == titles[:-1]


def test_every_example_is_tested(examples):
    assert examples.NAMES == NAMES
    assert sorted(path.stem for path in (DOCS / "examples").glob("*.py")) == sorted(NAMES)
