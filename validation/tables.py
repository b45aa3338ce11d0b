"""Tables of results: kept as small JSON files that the documentation reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import _measure

RESULTS = Path(__file__).parent / "results"
Rows = list[dict[str, Any]]


def keep(name: str, tables: dict[str, Rows], folder: Path = RESULTS) -> Path:
    """Write the tables of one case or experiment as `<name>.json`, with the machine that made them; NaN is null."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {
        part: [{key: _measure._plain(value) for key, value in row.items()} for row in rows]
        for part, rows in tables.items()
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": _measure.machine(), "tables": plain}, indent=1, allow_nan=False) + "\n")
    return path


def read(name: str, folder: Path = RESULTS) -> dict[str, Rows] | None:
    """Tables of one case or experiment by name; None if it was never run."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text())["tables"] if path.exists() else None
