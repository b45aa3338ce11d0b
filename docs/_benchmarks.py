"""Tables and curves of the documentation from the JSON files that `benchmarks/` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from IPython.display import Markdown

FOLDER = Path(__file__).parent / "_static" / "benchmarks"
Row = dict[str, Any]


def rows(benchmark: str, part: str, **wanted: Any) -> list[Row]:
    """Rows of one part whose columns have the wanted values."""
    found = json.loads((FOLDER / f"{benchmark}.json").read_text())[part]["rows"]
    return [row for row in found if all(row.get(name) == value for name, value in wanted.items())]


def machine(benchmark: str, part: str) -> str:
    """Where one part was run."""
    told = json.loads((FOLDER / f"{benchmark}.json").read_text())[part]["machine"]
    peers = [f"{name} {told[name]}" for name in ("opencv", "scikit-image") if name in told]
    versions = [f"Python {told['python']}", f"NumPy {told['numpy']}", f"numba {told['numba']}", *peers]
    vectors = f", vectors of {told['vectors']}" if "vectors" in told else ""
    return f"{told['processor']}, {told['cores']} cores{vectors}; xoffset {told['xoffset']}, {', '.join(versions)}"


def table(found: list[Row], columns: dict[str, str]) -> Markdown:
    """Columns of rows as a table; `columns` are headings by name, with the format of their numbers after a colon."""
    split = [heading.rpartition(":") if ":" in heading else (heading, "", "") for heading in columns.values()]
    heads, formats = [head for head, _, _ in split], [form for _, _, form in split]
    lines = [" | ".join(heads), " | ".join(["---:" if form else "---" for form in formats])]
    for row in found:
        lines.append(" | ".join(_shown(row.get(name), form) for name, form in zip(columns, formats, strict=True)))
    return Markdown("\n".join(f"| {line} |" for line in lines))


def _shown(value: Any, form: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, (int, float)) or not form:
        return str(value).replace("inf", "∞")
    if form.endswith("g") and 1e4 <= abs(value) < 1e12:  # no powers of ten where digits are few
        return f"{value:,.0f}"
    # without the sign of what is rounded to zero
    return f"{value:z{form}}" if form.startswith(".") and isinstance(value, float) else f"{value:{form}}"
