"""The rules that a run is judged by, one by one, as docs/report.md states them."""

import math
from pathlib import Path

import numpy as np
import pytest

import xoffset
from xoffset._arrays import codes
from xoffset.report import verdict
from xoffset.report.verdict import Facts, judge

GOOD = {
    "share": 0.9, "moving": 0.2, "area": 3.0, "fastest": 10.0, "sigma": 0.5, "lost": 0.2, "worst": "low_score",
    "advice": "other dates", "at_border": 0.01, "dates": 8, "pairs": 20, "groups": 1, "redundancy": 2.5, "beyond": 0.05,
    "is_corrected": True, "bias": 0.1, "spread": 0.4, "ratio": 1.1,
}  # fmt: skip


def test_a_good_run_is_worth_using():
    found = judge(Facts(**GOOD))
    assert found.grade == "good"
    assert found.sentence == (
        "Worth using. 90 % of the map has a velocity; 20 % of that (3 km²) moves by more than twice its standard "
        "error, the fastest that moves together at 10 m/yr."
    )
    assert {reason.grade for reason in found.reasons} == {"good"}


@pytest.mark.parametrize(
    ("facts", "grade", "reason"),
    [
        ({"unfinished": ["series: not begun"]}, "unfinished", "Stages that lack: series: not begun"),
        ({"share": 0.009}, "bad", "The map is empty: 0.9 %"),
        ({"share": 0.0}, "bad", "The map is empty: 0 %"),
        ({"share": 0.29}, "care", "full of holes: 29 %"),
        ({"sigma": 10.0}, "care", "Nothing rises above the noise"),
        ({"lost": 0.71}, "care", "71 % of the matches were lost, most to low_score (other dates)"),
        ({"at_border": 0.06}, "care", "6 % of the matches lie on the rim of the search"),
        ({"groups": 2}, "care", "No pair connects the 2 groups"),
        ({"redundancy": 1.0, "pairs": 7}, "care", "Nothing checks the matches: 7 pairs of 8 dates"),
        ({"redundancy": 1.0, "pairs": 1, "dates": 2}, "care", "1 pair of 2 dates"),
        ({"redundancy": 1.0, "pairs": 1, "dates": 2, "both_ways": 1}, "care", "1 pair of 2 dates (matched both ways)"),
        ({"redundancy": 1.0, "pairs": 7, "both_ways": 3}, "care", "7 pairs of 8 dates (3 of them matched both ways)"),
        (
            {"bad_dates": ["2020-01-01", "2020-02-01", "2020-03-01"]},
            "care",
            "Bad dates, 3 of 8: 2020-01-01, 2020-02-01",
        ),
        ({"beyond": 0.21}, "care", "21 % of the triplets do not close"),
        ({"bias": 0.5}, "care", "Stable ground has a median of 0.5 and a spread of 0.4 m/yr"),
        ({"ratio": 2.1}, "care", "Standard errors are too small: stable ground spreads 2.1 times as far"),
        ({"ratio": 0.4}, "care", "Standard errors are too large: stable ground spreads 0.40 times as far"),
        ({"spread": math.nan, "is_corrected": False, "moving": 0.6}, "care", "60 % of the map moves, and nothing was"),
    ],
)
def test_each_rule_gives_its_grade_and_reason(facts, grade, reason):
    found = judge(Facts(**(GOOD | facts)))
    assert found.grade == grade
    assert reason in found.reasons[0].text
    assert found.sentence.startswith(verdict.SENTENCES[grade])


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({"bad_dates": ["2020-01-01", "2020-02-01"]}, "Bad dates, 2 of 8"),
        ({"spread": math.nan}, "No stable ground is known"),
        ({"spread": math.nan, "is_corrected": False, "moving": 0.4}, "No stable ground is known"),
    ],
)
def test_what_is_told_makes_no_run_worse(facts, note):
    found = judge(Facts(**(GOOD | facts)))
    assert found.grade == "good"
    assert any(reason.grade == verdict.NOTE and note in reason.text for reason in found.reasons)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"share": None}, "There is no map of motion yet."),
        ({"moving": math.nan}, "90 % of the map has a velocity."),
        ({"moving": 0.0}, "nothing moves by more than twice its standard error"),
        ({"area": math.nan}, "20 % of that moves by more"),
    ],
)
def test_the_sentence_tells_what_the_map_shows(facts, sentence):
    assert sentence in judge(Facts(**(GOOD | facts))).sentence


def test_nothing_known_is_no_fault():
    assert judge(Facts()).grade == "good"


def test_the_documentation_states_the_thresholds():
    page = Path(xoffset.__file__).parents[1] / "docs" / "report.md"
    if not page.exists():
        pytest.skip("no documentation here")
    shares = [verdict.NOTHING, verdict.HOLES, verdict.MANY_LOST, verdict.MANY_AT_BORDER, verdict.MANY_BAD]
    shares += [verdict.MANY_OPEN, verdict.MOST]
    for share in shares:
        assert f"{100 * share:.0f} %" in page.read_text()


# -------------------------------------------------------------------------------------------------------- packed values


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_values_come_back_to_half_a_step(scale):
    values = np.random.default_rng(0).normal(0.0, scale, (30, 40))
    values[3, :4] = np.nan, np.inf, 0.0, -0.0
    held = codes.linear(values, scale / 20.0)
    found = codes.unpacked(held)
    assert np.isnan(found[3, :2]).all()
    is_known = np.isfinite(values)
    assert np.abs(found - values)[is_known].max() <= 0.5 * held["step"] * (1.0 + 1e-9)
    assert held["step"] == scale / 20.0


def test_a_range_beyond_two_bytes_widens_the_step():
    held = codes.linear(np.array([0.0, -1e9, 1e9]), 0.1)
    assert codes.unpacked(held).tolist() == pytest.approx([0.0, -1e9, 1e9], abs=held["step"])


def test_standard_errors_come_back_to_half_a_ratio():
    values = np.array([[0.0, 1e-3, 0.5, 2.0, np.nan, np.inf, -1.0]])
    held = codes.logarithmic(values, 0.05)
    found = codes.unpacked(held)
    assert np.isnan(found[0, 4:]).all()
    assert found[0, 0] == 0.0
    assert np.abs(np.log(found[0, 1:4] / values[0, 1:4])).max() <= 0.5 * held["rate"] * (1.0 + 1e-9)


@pytest.mark.parametrize("values", [np.full((2, 3), np.nan), np.empty((0, 3)), np.zeros((1, 1))])
def test_what_has_no_range_can_be_packed(values):
    for pack in (codes.linear, codes.logarithmic):
        np.testing.assert_array_equal(codes.unpacked(pack(values, 0.1)), values)


def test_counts_come_back():
    values = np.array([[0, 7, 300, -1]])
    np.testing.assert_array_equal(codes.unpacked(codes.counts(values, values >= 0)), [[0.0, 7.0, 300.0, np.nan]])
