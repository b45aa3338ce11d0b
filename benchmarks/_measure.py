"""What every benchmark here shares: its arguments, one core, CPU seconds, a table and a JSON file for the docs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np

import xoffset
from xoffset._kernels.matching.vectors import ARE_AT_HAND, REGISTER

Extent = Literal["small", "usual", "full"]
Rows = list[dict[str, Any]]
Part = Callable[[Extent], Rows]
# Kind of processor that kernels are compiled for, if it is not this one.
OTHER = os.environ.get("NUMBA_CPU_NAME", "")
FOLDER = Path(__file__).parents[1] / "docs" / "_static" / "benchmarks"


def run(name: str, parts: Sequence[Part], arguments: Sequence[str] | None = None) -> dict[str, Rows]:
    """Run the parts that the command line names, all if none: print their tables, keep them in `<name>.json`.

    Small runs are printed only, since they show that a benchmark works and nothing else.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(part.__name__ for part in parts)}; all if none")
    parser.add_argument("--small", action="store_true", help="small images, to see that it works; nothing is written")
    parser.add_argument("--full", action="store_true", help="a whole Sentinel-2 tile too")
    given = parser.parse_args(arguments)
    unknown = set(given.parts) - {part.__name__ for part in parts}
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    extent: Extent = "small" if given.small else "full" if given.full else "usual"
    tables = {}
    for part in parts:
        if not given.parts or part.__name__ in given.parts:
            tables[part.__name__] = part(extent)
            made_on = machine()
            print_table(f"{name} {part.__name__}, {made_on['processor']}, {made_on['vectors']}", tables[part.__name__])
            if extent != "small":
                # a table of its own for each kind of processor
                keep(name, " ".join(filter(None, (part.__name__, OTHER))), tables[part.__name__])
    return tables


def keep(name: str, part: str, rows: Rows) -> None:
    """Replace one table of `<name>.json`, and say on which machine it was made."""
    path = FOLDER / f"{name}.json"
    tables = json.loads(path.read_text()) if path.exists() else {}
    tables[part] = {"machine": machine(), "rows": [{key: _plain(value) for key, value in row.items()} for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tables, indent=1, allow_nan=False) + "\n")


def machine() -> dict[str, Any]:
    """What the timings depend on."""
    info = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    found = {
        "processor": models[0] if models else platform.processor(),
        "vectors": vectors(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "xoffset": xoffset.__version__,
    }
    for peer, module in (("opencv", "cv2"), ("scikit-image", "skimage")):
        try:
            found[peer] = __import__(module).__version__
        except ImportError:
            continue
    return found


def vectors() -> str:
    """Width of the vectors that the search is compiled with, and the kind of processor if it is not this one.

    `NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=""` stands for a processor with AVX2.
    """
    width = f"{8 * REGISTER} bits" if ARE_AT_HAND else "plain loops"
    return f"{width}, as for {OTHER}" if OTHER else width


def on_one_core() -> None:
    """Pin the process, since a comparison is fair only with one thread each."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def cpu_seconds(function: Callable[[], Any], repeats: int = 3) -> float:
    """Least CPU time of a few calls, after one that compiles; of that one if it is not repeated."""
    return least_cpu_seconds({"": function}, repeats)[""]


def least_cpu_seconds(functions: dict[str, Callable[[], Any]], repeats: int = 3) -> dict[str, float]:
    """Least CPU time of each of several functions, after a call that compiles; taken in turns, so that none profits.

    Without repeats the call that compiles is timed: small runs only show that a benchmark works.
    """
    spent: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(1 + repeats):
        for name, function in functions.items():
            start = time.process_time()
            function()
            spent[name].append(time.process_time() - start)
    return {name: min(each[1:] or each) for name, each in spent.items()}


def print_table(title: str, rows: Rows) -> None:
    """Print rows as columns."""
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "curve"]
    text = [[_format(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[k]) for line in text)) for k, column in enumerate(columns)]
    print(title)
    for line in [columns, ["-" * width for width in widths], *text]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print(flush=True)


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _plain(value: Any) -> Any:
    """A number as JSON knows it, with no more digits than mean anything: none is NaN, infinity is a word."""
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, float):
        return value
    if np.isnan(value):
        return None
    return float(f"{value:.5g}") if np.isfinite(value) else "inf"
