"""What every benchmark here shares: one core, CPU seconds, a JSON file and a table."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def on_one_core() -> None:
    """Pin the process, since a comparison is fair only with one thread each."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def cpu_seconds(function: Callable[[], Any], repeats: int = 3) -> float:
    """Least CPU time of a few calls, after one that compiles."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def report(name: str, rows: list[dict[str, Any]]) -> None:
    """Print a table and write `<name>.json` beside the script."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = [[_format(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[k]) for line in text)) for k, column in enumerate(columns)]
    for line in [columns, ["-" * width for width in widths], *text]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print()
    (Path(__file__).parent / f"{name}.json").write_text(json.dumps(rows, indent=1, default=float) + "\n")


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
