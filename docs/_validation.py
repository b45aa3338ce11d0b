"""Tables of the page on validation, from what `validation/` keeps and says of its cases."""

from __future__ import annotations

from typing import Any

from _benchmarks import table
from IPython.display import Markdown

from validation import tables
from validation.case import Case, load, names

Row = dict[str, Any]


def overview() -> Markdown:
    """Every case: how many published figures are met, not met and not measured."""
    found = []
    for name in names():
        told, case = tables.read(name), load(name)
        verdicts = [row["met"] for row in told["table"]] if told else []
        counts = {word: str(verdicts.count(word)) if told else "" for word in ("yes", "no")}
        open_figures = verdicts.count("not measured") if told else len(case.published)
        found.append({"case": case.title, **counts, "open": str(open_figures), "run": "yes" if told else "no images"})
    heads = {"case": "case", "run": "run here", "yes": "figures met", "no": "not met", "open": "not measured"}
    return table(found, heads)


def measured(*cases: str) -> Markdown:
    """Ours beside the published numbers, of cases that were run."""
    found = []
    for name in cases:
        title = load(name).title.split(":")[0]
        for row in (tables.read(name) or {"table": []})["table"]:
            found.append(row | {"case": title, "published": row["published"], "OpenCV": row.get("OpenCV")})
            title = ""
    heads = {
        "case": "case",
        "quantity": "quantity",
        "unit": "unit",
        "xoffset": "xoffset:.4g",
        "OpenCV": "OpenCV, same scene:.4g",
    }
    return table(found, heads | {"published": "published:.4g", "of": "of", "met": "met"})


def part(name: str, of: str, columns: dict[str, str]) -> Markdown:
    """Another table of a case."""
    return table((tables.read(name) or {of: []})[of], columns)


def absent() -> Markdown:
    """Cases that were never run: what they need, what is published, what no source gives."""
    return Markdown("\n\n".join(_told(load(name)) for name in names() if tables.read(name) is None))


def _told(case: Case) -> str:
    needs = "; ".join(f"`{each.id}`" for each in case.products if not each.without)
    lines = [f"**{case.title}.** {case.about} {case.note}".strip(), f"- needs {needs}"]
    for each in case.published:
        bound = f" ({each.ours} that)" if each.ours in ("at most", "at least") else ""
        lines.append(f"- published: {each.quantity} {each.value:g} {each.unit}{bound}, {each.of}; {each.source}")
    lines += [f"- not known: {each}" for each in case.missing]
    return "\n".join([lines[0], "", *lines[1:]])


def sources(*cases: str) -> Markdown:
    """Where the published numbers of cases stand."""
    found: dict[str, None] = {}
    for name in cases:
        case = load(name)
        found |= dict.fromkeys(f"- {case.title.split(':')[0]}, {each.of}: {each.source}" for each in case.published)
    return Markdown("\n".join(found))


def unmet() -> Markdown:
    """Published numbers that ours does not meet, case by case, and what the case says of it."""
    found = []
    for name in names():
        rows = [row for row in (tables.read(name) or {"table": []})["table"] if row["met"] == "no"]
        if rows:
            case = load(name)
            listed = "; ".join(
                f"{row['quantity']} {_number(row['xoffset'])} {row['unit']}, not {row['published']:g}" for row in rows
            )
            found.append(f"- **{case.title.split(':')[0]}**: {listed}. {case.note}")
    return Markdown("\n".join(found))


def _number(value: float | None) -> str:
    return "without a value" if value is None else f"{value:.3g}"
