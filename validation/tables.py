"""Tables of results: ours beside what is published, kept as small JSON files that the documentation reads."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benchmarks import _measure
from validation.case import Case, Rows

RESULTS = Path(__file__).parent / "results"


def keep(name: str, tables: dict[str, Rows], folder: Path = RESULTS, notes: tuple[str, ...] = ()) -> Path:
    """Write the tables of one case or experiment as `<name>.json`, with the machine that made them; NaN is null."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {
        part: [{key: _measure._plain(value) for key, value in row.items()} for row in rows]
        for part, rows in tables.items()
    }
    path = folder / f"{name}.json"
    told = {"machine": _measure.machine(), "notes": list(notes), "tables": plain}
    path.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n")
    return path


def read(name: str, folder: Path = RESULTS) -> dict[str, Rows] | None:
    """Tables of one case or experiment by name; None if it was never run."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text())["tables"] if path.exists() else None


def beside(case: Case, rows: Rows) -> Rows:
    """Our numbers beside the published ones of the same quantity; also those that were not measured, without ours.

    `rows` have `quantity`, `unit` and `xoffset`, and may have others. A quantity that several texts tell has as many
    rows. `met` is yes or no where the published number says what ours should be; no where ours has no value.
    """
    found: Rows = []
    told = {row["quantity"]: row for row in rows}
    for row in rows:
        of_row = [each for each in case.published if each.quantity == row["quantity"]]
        for figure in of_row:
            if figure.unit != row["unit"]:
                raise ValueError(
                    f"the case {case.name} needs {row['quantity']} in {figure.unit}, as it is published; got "
                    f"{row['unit']}. Convert what is measured."
                )
            known = row["xoffset"] is not None and math.isfinite(row["xoffset"])
            # whatever it should be, NaN is not that
            is_met = figure.is_met(float(row["xoffset"]) if known else math.nan)
            verdict = "" if is_met is None else "yes" if is_met else "no"
            found.append(row | {"published": figure.value, "of": figure.of, "met": verdict})
        if not of_row:
            found.append(row | {"published": None, "of": "", "met": ""})
    for figure in case.published:
        if figure.quantity not in told:
            ours: dict[str, Any] = {"quantity": figure.quantity, "unit": figure.unit, "xoffset": None}
            found.append(ours | {"published": figure.value, "of": figure.of, "met": "not measured"})
    return found


def show(case: Case, tables: dict[str, Rows], notes: tuple[str, ...]) -> None:
    """Print the tables of a case, and what is to be said about them."""
    for part, rows in tables.items():
        title = case.title if part == "table" else f"{case.title}: {part}"
        _measure.print_table(
            title, [{key: "" if value is None else value for key, value in row.items()} for row in rows]
        )
    for source in dict.fromkeys(f"{each.of}: {each.source}" for each in case.published):
        print(source)
    for note in (*notes, *(f"not known: {each}" for each in case.missing)):
        print(note)
    if case.note:
        print(case.note)
