"""Weights of the inversion by the baseline and the score, against their formulas, and the first date as reference."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic

DATES = ["2020-01-01", "2020-05-01", "2020-12-01", "2022-03-01"]
STACK, _ = synthetic.stack((48, 48), dates=DATES, velocity=6.0, snr=4.0)
SHIFTS = xoffset.correlate(STACK, xoffset.pairs(STACK), template=16, search=6, step=8)
YEARS = abs(SHIFTS.baseline.values) / 365.25
TIO = (1.0 + YEARS**2) ** -2.0
SCORE = np.clip(SHIFTS.score, 0.0, 0.99) / (1.0 - np.clip(SHIFTS.score, 0.0, 0.99))


def of_pairs(values):
    return values[:, None, None]


@pytest.mark.parametrize(
    ("weights", "numbers"),
    [
        ("tio", TIO),
        (("score", "tio"), SCORE * of_pairs(TIO)),
        (("uniform", "score"), SCORE * 1.0),
        (("score", "velocity"), SCORE * of_pairs(YEARS**-2.0)),
        (("score", "long_baseline"), SCORE * of_pairs(YEARS / np.median(YEARS))),
        (("score", "baseline"), SCORE * of_pairs(np.median(YEARS) / YEARS)),
    ],
)
def test_weights_by_name_are_those_of_the_formula(weights, numbers):
    given = numbers if isinstance(numbers, np.ndarray) else numbers.astype("f8").values
    by_name = xoffset.invert(SHIFTS, weights=weights, loss="linear")
    by_array = xoffset.invert(SHIFTS, weights=given, loss="linear")
    for name in ("dx", "dy"):
        assert np.allclose(by_name[name], by_array[name], atol=1e-5, equal_nan=True)
    lazy = xoffset.invert(SHIFTS.chunk(x=3), weights=weights, loss="linear", reference="first").compute()
    assert np.allclose(lazy.dx - lazy.dx[0], by_name.dx - by_name.dx[0], atol=1e-5, equal_nan=True)


def test_tio_as_its_script_has_it():
    assert np.allclose([(1 + t**2) ** -2.0 for t in (0.1, 1.0, 2.0)], [0.98, 0.25, 0.04], atol=1e-3)
    assert np.allclose(TIO, 1.0 / (1.0 + YEARS**2) ** 2)


@pytest.mark.parametrize("weights", [("score",), ("score", "score"), ("tio", "velocity"), ("score", "sigma"), "other"])
def test_other_names_are_refused(weights):
    with pytest.raises(ValueError, match=r"invert\(\) needs .*weights"):
        xoffset.invert(SHIFTS, weights=weights)


def test_the_first_date_may_be_the_reference():
    found = xoffset.invert(SHIFTS, reference="first")
    xr.testing.assert_identical(found, xoffset.invert(SHIFTS, reference=DATES[0]))
