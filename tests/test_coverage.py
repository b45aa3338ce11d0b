"""Standard errors of series and velocities hold what they say, on networks that are matched from synthetic images."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch):
    """The benchmark that measures it on more scenes, imported as when it is run."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("inversion_calibration")


@pytest.mark.parametrize("clouds", [0.0, 0.1])
@pytest.mark.parametrize("field", ["constant", "landslide"])
def test_intervals_hold_what_they_say(calibration, field, clouds):
    rows = calibration.scene(field, 4.0, clouds, seeds=3)
    assert len(rows) == 9
    for row in rows:
        # by thirds of the score
        assert 60.0 <= row["68 % least third"] <= row["68 % most third"] <= 76.0, row
        assert 90.0 <= row["95 % least third"] <= row["95 % most third"] <= 98.0, row
        assert row["values"] > 2000
