"""Command line that the experiments share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import _measure
from validation import tables
from validation.case import Rows

# Where the real images lie if nothing else is told: beside the repository.
DATA = Path(__file__).parents[3] / "shared" / "data"


def main(name: str, run: Callable[..., dict[str, Rows]], arguments: list[str] | None = None) -> None:
    """Run an experiment, print its tables, and keep them, unless they are of a small run."""
    parser = argparse.ArgumentParser(prog=f"python -m validation.experiments.{name}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real images")
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder that the tables are kept in")
    parser.add_argument("--small", action="store_true", help="a part, to see that it works; nothing is kept")
    given = parser.parse_args(arguments)
    found = run(given.data, is_small=given.small)
    for part, rows in found.items():
        _measure.print_table(f"{name}, {part}", rows)
    if not given.small:
        tables.keep(name, found, given.results)
