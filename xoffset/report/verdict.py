"""What a run is worth, in a sentence and its reasons, by rules that `docs/report.md` states."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

# From best to worst; a note is a reason for none of them.
GRADES = ("good", "care", "bad", "unfinished")
NOTE = "note"
SENTENCES = {
    "good": "Worth using.",
    "care": "Usable with care.",
    "bad": "Not usable as it is.",
    "unfinished": "Not finished.",
}
# Shares of nodes with a value below which a map is useless, and below which it is full of holes.
NOTHING, HOLES = 0.01, 0.3
# Shares of lost matches: of all, and of those that the rim of the search took.
MANY_LOST, MANY_AT_BORDER = 0.7, 0.05
# Share of the dates that are bad, and of triplets beyond their tolerance.
MANY_BAD, MANY_OPEN = 0.25, 0.2
# Share of the nodes that move, of a map that nothing was corrected in.
MOST = 0.5
# Times that the spread on stable ground may be the standard errors, or that they may be the spread.
SIGMA_OFF = 2.0
# Standard errors beyond which a vector moves.
SIGNIFICANT = 2.0


@dataclass(frozen=True)
class Facts:
    """Numbers that a run is judged by; None or NaN where one is not known."""

    unfinished: list[str] = field(default_factory=list)
    share: float | None = None  # of the nodes that have a vector
    what: str = "velocity"
    unit: str = "m/yr"
    moving: float = math.nan  # share of the vectors longer than two standard errors
    area: float = math.nan  # of these, km2
    fastest: float = math.nan  # length of the fastest that moves together
    sigma: float = math.nan  # median standard error of a vector's length
    lost: float = math.nan  # share of the matches
    worst: str = ""  # stage that took most, and what helps
    advice: str = ""
    at_border: float = math.nan
    dates: int = 0
    pairs: int = 0  # a pair and its way back count once
    both_ways: int = 0  # of these
    groups: int = 1
    redundancy: float = math.nan
    bad_dates: list[str] = field(default_factory=list)
    beyond: float = math.nan
    is_corrected: bool = False
    bias: float = math.nan  # on stable ground: length of the median
    spread: float = math.nan
    ratio: float = math.nan  # of the spread to the standard errors


class Reason(NamedTuple):
    """Why a run has its grade: the grade that this alone would give it, or a note, and a text."""

    grade: str
    text: str


class Verdict(NamedTuple):
    """Grade of a run, one sentence, and all reasons, the worst first."""

    grade: str
    sentence: str
    reasons: list[Reason]


def judge(facts: Facts) -> Verdict:
    """Verdict by all rules: the worst that any of them gives."""
    told = [reason for rule in RULES for reason in rule(facts)]
    reasons = [Reason(grade, f"{text[:1].upper()}{text[1:]}") for grade, text in told]
    reasons.sort(key=lambda reason: -1 if reason.grade == NOTE else GRADES.index(reason.grade), reverse=True)
    grade = max((reason.grade for reason in reasons if reason.grade != NOTE), key=GRADES.index, default="good")
    return Verdict(grade, f"{SENTENCES[grade]} {_motion(facts)}", reasons)


def percent(share: float) -> str:
    """Share in per cent; neither all nor nothing where it is not."""
    if not math.isfinite(share):
        return "unknown"
    if 0.0 < share < 0.001:
        return "less than 0.1 %"
    if 0.999 < share < 1.0:
        return "more than 99.9 %"
    return f"{100.0 * share:.1f}".removesuffix(".0") + " %"


def number(value: float) -> str:
    """Number to three digits, without exponents where it can be."""
    return f"{value:,.0f}" if 1000.0 <= abs(value) < 1e7 else f"{value:.3g}"


def _motion(facts: Facts) -> str:
    """What the map shows, in a sentence."""
    if facts.share is None:
        return "There is no map of motion yet."
    told = f"{percent(facts.share)} of the map has a {facts.what}"
    if not math.isfinite(facts.moving):
        return f"{told}."
    if facts.moving == 0.0:
        return f"{told}; nothing moves by more than twice its standard error."
    area = f" ({number(facts.area)} km²)" if math.isfinite(facts.area) else ""
    return (
        f"{told}; {percent(facts.moving)} of that{area} moves by more than twice its standard error, the fastest that "
        f"moves together at {number(facts.fastest)} {facts.unit}."
    )


# --------------------------------------------------------------------------------------------------------------- rules


def _is_finished(facts: Facts) -> Iterator[Reason]:
    if facts.unfinished:
        yield Reason("unfinished", f"Stages that lack: {'; '.join(facts.unfinished)}. The same command goes on.")


def _has_values(facts: Facts) -> Iterator[Reason]:
    if facts.share is None:
        return
    if facts.share < NOTHING:
        yield Reason("bad", f"The map is empty: {percent(facts.share)} of the nodes have a value.")
    elif facts.share < HOLES:
        yield Reason("care", f"The map is full of holes: {percent(facts.share)} of the nodes have a value.")
    else:
        yield Reason("good", f"{percent(facts.share)} of the nodes have a value.")


def _rises_above_noise(facts: Facts) -> Iterator[Reason]:
    if not math.isfinite(facts.sigma) or not facts.share:
        return
    told = f"a vector's standard error is {number(facts.sigma)} {facts.unit} in the median"
    if facts.fastest <= facts.sigma:
        yield Reason("care", f"Nothing rises above the noise: {told}, as large as the fastest motion.")
    else:
        yield Reason("good", f"{told}.")


def _kept_its_matches(facts: Facts) -> Iterator[Reason]:
    if facts.at_border > MANY_AT_BORDER:
        yield Reason(
            "care",
            f"{percent(facts.at_border)} of the matches lie on the rim of the search, so faster motion is cut off: "
            "raise search.",
        )
    if not math.isfinite(facts.lost):
        return
    most = f", most to {facts.worst} ({facts.advice})" if facts.worst else ""
    grade = "care" if facts.lost > MANY_LOST else "good"
    yield Reason(grade, f"{percent(facts.lost)} of the matches were lost{most}.")


def _is_checked_by_its_network(facts: Facts) -> Iterator[Reason]:
    if facts.groups > 1:
        yield Reason(
            "care",
            f"No pair connects the {facts.groups} groups of dates: between them no displacement is known. Allow longer "
            "pairs.",
        )
    if not math.isfinite(facts.redundancy):
        return
    told = f"{facts.pairs} pair{'s' * (facts.pairs != 1)} of {facts.dates} dates"
    if facts.both_ways:
        told += f" ({'' if facts.both_ways == facts.pairs else f'{facts.both_ways} of them '}matched both ways)"
    if facts.redundancy <= 1.0:
        yield Reason("care", f"Nothing checks the matches: {told} are as many as the displacements between dates.")
    else:
        yield Reason("good", f"{told}, {facts.redundancy:.1f} for each displacement between dates.")


def _closes(facts: Facts) -> Iterator[Reason]:
    if facts.bad_dates:
        grade = "care" if len(facts.bad_dates) > MANY_BAD * facts.dates else NOTE
        yield Reason(grade, f"Bad dates, {len(facts.bad_dates)} of {facts.dates}: {', '.join(facts.bad_dates)}.")
    if math.isfinite(facts.beyond):
        grade = "care" if facts.beyond > MANY_OPEN else "good"
        yield Reason(grade, f"{percent(facts.beyond)} of the triplets do not close within their tolerance.")


def _stands_on_stable_ground(facts: Facts) -> Iterator[Reason]:
    if not math.isfinite(facts.spread):
        if not facts.is_corrected and facts.moving > MOST:
            yield Reason(
                "care",
                f"{percent(facts.moving)} of the map moves, and nothing was corrected: either all of it moves, or the "
                "images are misplaced. Name stable ground.",
            )
        else:
            yield Reason(NOTE, "No stable ground is known, so nothing independent tells the error.")
        return
    told = f"Stable ground has a median of {number(facts.bias)} and a spread of {number(facts.spread)} {facts.unit}"
    yield Reason("care" if facts.bias > facts.spread else "good", f"{told}.")
    if facts.ratio > SIGMA_OFF:
        yield Reason("care", f"Standard errors are too small: stable ground spreads {facts.ratio:.1f} times as far.")
    elif facts.ratio < 1.0 / SIGMA_OFF:
        yield Reason("care", f"Standard errors are too large: stable ground spreads {facts.ratio:.2f} times as far.")


RULES: tuple[Callable[[Facts], Iterator[Reason]], ...] = (
    _is_finished,
    _has_values,
    _rises_above_noise,
    _kept_its_matches,
    _is_checked_by_its_network,
    _closes,
    _stands_on_stable_ground,
)
