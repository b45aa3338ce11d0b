"""Every parameter and product of the services, its place in xoffset and the test that holds it.

`python docs/_services.py` prints the table, and fails where a row is empty or names what is not there. The rows of a
system are in its module of `_service_rows`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from _service_rows import Row, annual_rate, mpic_gdm, pycorr, tio

import xoffset

TESTS = Path(__file__).parents[1] / "tests"
SYSTEMS = (mpic_gdm, pycorr, annual_rate, tio)
ROWS = [row for system in SYSTEMS for row in system.ROWS]
# Numbers that must be there.
WANTED = [number for system in SYSTEMS for number in system.WANTED]


def faults() -> Iterator[str]:
    """Yield what is wrong with the table: rows that lack or are empty, places and tests that are not there."""
    numbers = [row.number for row in ROWS]
    if numbers != WANTED:
        yield f"rows that lack or are too many: {sorted(set(numbers) ^ set(WANTED)) or 'in another order'}"
    for row in ROWS:
        if not all(row):
            yield f"{row.number} is empty"
        yield from (f"{row.number}: there is no {place}" for place in row.place.split() if not _is_there(place))
        yield from (f"{row.number}: there is no {test}" for test in row.test.split() if not _is_tested(test))


def _is_there(place: str) -> bool:
    root, *names = place.split(".")
    found = xoffset if root == "xoffset" else getattr(xoffset.formats, root, None)
    for name in names:
        fields = getattr(found, "__dataclass_fields__", {})
        found = fields[name] if name in fields else getattr(found, name, None)
    return found is not None and bool(names)


def _is_tested(test: str) -> bool:
    file, _, name = test.partition("::")
    path = TESTS / file
    if not path.is_file():
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.parse(path.read_text()).body)


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown."""
    lines = ["| | of the service | in xoffset | held by |", "|---|---|---|---|"]
    for row in rows:
        places = ", ".join(f"`{place.removeprefix('xoffset.')}`" for place in row.place.split())
        tests = ", ".join(f"`{test.partition('::')[2]}`" for test in row.test.split())
        lines.append(f"| {row.number} | {row.what} | {places} | {tests} |")
    return "\n".join(lines)


def page() -> str:
    """All rows as Markdown, under the headings of their systems."""
    parts = []
    for system in SYSTEMS:
        for letter, title in system.TITLES.items():
            parts.append(f"## {title}\n\n" + table([row for row in system.ROWS if row.number[0] == letter]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page() + "\n")
    sys.exit("\n".join(faults()))
