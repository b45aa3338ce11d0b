"""Every benchmark runs on small images and measures something; whether it is good is for the other tests to say."""

import importlib
import math
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = (
    "catalogues",
    "cloud_screening",
    "cold",
    "corrections",
    "dense_matching",
    "formats",
    "inversion",
    "inversion_calibration",
    "matching_accuracy",
    "matching_kernels",
    "matching_scaling",
    "matching_speed",
    "reading",
    "recipes",
    "scaling",
    "sheared",
    "sigma_coverage",
    "terrain",
)


@pytest.fixture
def benchmark(request, monkeypatch):
    """Module of one benchmark, imported as when it is run."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module(request.param)


@pytest.mark.parametrize(("benchmark", "name"), [(name, name) for name in NAMES], indirect=["benchmark"])
def test_small_run(benchmark, name, monkeypatch, tmp_path, capsys):
    measure = importlib.import_module("_measure")
    monkeypatch.setattr(measure, "FOLDER", tmp_path)
    tables = measure.run(name, benchmark.PARTS, ["--small"])
    assert list(tables) == [part.__name__ for part in benchmark.PARTS]
    printed = capsys.readouterr().out
    for part, rows in tables.items():
        assert rows
        assert f"{name} {part}" in printed
        for row in rows:
            numbers = {key: value for key, value in row.items() if isinstance(value, float)}
            assert numbers
            assert all(math.isfinite(value) or key == "snr" for key, value in numbers.items()), row
    # small runs are no results
    assert not list(tmp_path.iterdir())


def test_every_benchmark_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("[!_]*.py")) == sorted(NAMES)


def test_results_are_kept_part_by_part(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FOLDER)
    measure = importlib.import_module("_measure")
    monkeypatch.setattr(measure, "FOLDER", tmp_path)

    def first(extent):
        return [{"seconds": 1.25, "outliers %": math.nan, "snr": math.inf}]

    def second(extent):
        return [{"extent": extent}]

    measure.run("made_up", (first, second), [])
    measure.run("made_up", (first, second), ["second", "--full"])
    found = measure.json.loads((tmp_path / "made_up.json").read_text())
    assert found["first"]["rows"] == [{"seconds": 1.25, "outliers %": None, "snr": "inf"}]
    assert found["second"]["rows"] == [{"extent": "full"}]
    assert found["first"]["machine"]["cores"] >= 1
