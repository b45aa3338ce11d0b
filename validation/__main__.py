"""Cases against what is published about them, and experiments whose truth is known.

python -m validation --list
python -m validation CASE --data FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from validation import data, tables
from validation.case import load, names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if a case cannot be run."""
    parser = argparse.ArgumentParser(prog="python -m validation", description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help=f"of {', '.join(names())}")
    parser.add_argument("--list", action="store_true", help="the cases: whether their data are there and their state")
    parser.add_argument("--data", type=Path, default=data.HERE, metavar="FOLDER", help="folder of the data")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="folder to keep the tables in; else only shown")
    parser.add_argument("--any-version", action="store_true", help="run with files of another checksum, and say so")
    given = parser.parse_args(arguments)
    if given.list:
        show_state(given.data, given.results or tables.RESULTS)
        return 0
    if not given.case:
        parser.print_help()
        return 1
    for name in given.case:
        try:
            run(name, given.data, given.results, is_any_version=given.any_version)
        except (FileNotFoundError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def run(
    name: str, folder: Path, results: Path | None = None, *, is_any_version: bool = False
) -> dict[str, tables.Rows]:
    """Run one case, print its tables beside the published ones, and keep them if a folder is told."""
    case = load(name)
    found = data.find(case, folder, is_any_version=is_any_version)
    measured = case.recipe(found)
    measured["table"] = tables.beside(case, measured["table"])
    tables.show(case, measured, found.notes)
    if results is not None:
        tables.keep(name, measured, results, found.notes)
    return measured


def show_state(folder: Path, results: Path) -> None:
    """Print each case, whether its data are in the folder, and how many published numbers its last run met."""
    for name in names():
        case = load(name)
        absent = data.lacking(case, folder)
        needed = [each.id for each in absent if not each.without]
        others = "".join(f", without {each.key}" for each in absent)
        state = f"data missing: {'; '.join(needed)}" if needed else f"runs here{others}"
        told = tables.read(name, results)
        print(f"{name:16} {_tally(told):32} {state}")


def _tally(told: dict[str, tables.Rows] | None) -> str:
    if told is None:
        return "never run"
    verdicts = [row["met"] for row in told["table"] if row["met"] in ("yes", "no")]
    return f"{verdicts.count('yes')} of {len(verdicts)} published figures met"


if __name__ == "__main__":
    raise SystemExit(main())
