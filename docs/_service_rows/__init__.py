"""Rows of the table of `docs/_services.py`, a module for each system or family of systems."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A parameter or product of a service; several places and tests are apart by blanks."""

    number: str
    what: str
    place: str
    test: str
