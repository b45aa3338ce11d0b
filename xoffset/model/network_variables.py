"""Registry of variables that tell of a network of pairs."""

from __future__ import annotations

from xoffset.model.tables import table as _table

DIAGNOSIS = _table(
    ("time",),
    {"n_pairs": (None, "number of pairs of the date"), "component": (None, "connected group of dates")},
) | _table(
    (),
    {"n_components": (None, "number of unconnected groups of dates"), "redundancy": ("1", "pairs per unknown")},
)
