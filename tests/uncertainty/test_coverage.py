"""Standard errors of series and velocities hold what they say, on networks that are matched from synthetic images."""

import importlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch):
    """The benchmark that measures it on more scenes, imported as when it is run."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("inversion_calibration")


@pytest.mark.parametrize(
    ("field", "snr", "clouds"),
    [("constant", 4.0, 0.1), ("landslide", 4.0, 0.0), ("landslide", 2.0, 0.1)],
)
def test_intervals_hold_what_they_say(calibration, field, snr, clouds):
    rows = calibration.scene(field, snr, clouds, seeds=2)
    assert len(rows) == 9
    for row in rows:
        assert row["values"] > 1500
        assert 60.0 <= row["68 %"] <= 76.0, row
        assert 90.0 <= row["95 %"] <= 98.0, row
        # by thirds of the score
        assert 60.0 <= row["68 % least third"] <= row["68 % most third"] <= 76.0, row
        assert 90.0 <= row["95 % least third"] <= row["95 % most third"] <= 98.0, row


def test_intervals_at_little_noise(calibration):
    """What windows err by alike, some thousandths of a pixel, is no longer small beside the noise."""
    rows = calibration.scene("landslide", 10.0, 0.1, seeds=4)
    for row in rows:
        assert 60.0 <= row["68 %"] <= 76.0, row
        assert 90.0 <= row["95 %"] <= 98.0, row
        assert 60.0 <= row["68 % least third"] <= row["68 % most third"] <= 76.0, row
        # velocities of networks that redundancy makes precise feel it most
        is_plain = row["quantity"] == "displacement" or row["network"] == "sequential"
        assert (90.0 if is_plain else 87.0) <= row["95 % least third"] <= row["95 % most third"] <= 98.0, row


def test_windows_lean_by_a_thousandth_of_a_pixel(calibration):
    """The error that the standard errors leave out, as the benchmark states it."""
    rows = calibration.locking("small")
    assert {row["network"] for row in rows} == set(calibration.NETWORKS)
    assert max(abs(row["common error px"]) for row in rows) < 0.003
