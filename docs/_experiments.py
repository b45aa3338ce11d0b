"""Tables of the experiments of `validation/`, from the files that they keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "validation" / "results"


def rows(experiment: str, part: str, **wanted: Any) -> list[dict[str, Any]]:
    """Rows of one table whose columns have the wanted values."""
    found = json.loads((RESULTS / f"{experiment}.json").read_text())["tables"][part]
    return [row for row in found if all(row.get(name) == value for name, value in wanted.items())]
