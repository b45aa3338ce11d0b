"""AutoRIFT and MintPy, one image a year."""

from __future__ import annotations

from _service_rows import Row

ROWS: list[Row] = []
# Numbers that must be there.
WANTED: list[str] = []
# Headings of the rows whose numbers begin with a letter.
TITLES: dict[str, str] = {}
