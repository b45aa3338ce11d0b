"""What it takes to plan a stack from the items of a catalogue, and to choose one image a year.

python benchmarks/catalogues.py [planning] [yearly] [--small | --full]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from _measure import Extent, Rows, run

import xoffset
from xoffset._arrays.scenes import year_days

sys.path.append(str(Path(__file__).parents[1] / "tests" / "readers"))

import stac_items

# Items of a catalogue, and years of dates.
ITEMS = {"small": 20, "usual": 500, "full": 2000}
YEARS = {"small": 3, "usual": 30, "full": 100}


def planning(extent: Extent) -> Rows:
    """Seconds until the items of a Sentinel-2 tile are a lazy stack; no file is opened."""
    items = stac_items.without_files(ITEMS[extent], side=10_980)
    rows = []
    for name, options in (
        ("all", {}),
        ("area", {"bbox": (9.2, 44.6, 9.4, 44.8)}),
        ("one a year", {"season": ("01-01", "03-31"), "one_a_year": True}),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        stack = xoffset.open_stac(items, band="B04", chunks=1024, **options)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rows.append({
            "items": ITEMS[extent], "wanted": name, "images": stack.sizes["time"], "wall [s]": wall, "CPU [s]": cpu
        })  # fmt: skip
    return rows


def yearly(extent: Extent) -> Rows:
    """Seconds for the choice of one date of each year, of dates every five days."""
    years = YEARS[extent]
    days = np.random.default_rng(0).integers(1, 366, 73 * years)
    cpu = time.process_time()
    chosen = year_days.one_each(days, np.repeat(np.arange(years), 73))
    cpu = time.process_time() - cpu
    return [{"years": years, "dates": days.size, "spread [days]": year_days.spread(days[chosen]), "CPU [s]": cpu}]


PARTS = (planning, yearly)

if __name__ == "__main__":
    run("catalogues", PARTS)
