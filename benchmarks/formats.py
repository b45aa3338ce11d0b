"""What it costs to read the results of other systems, and to write theirs.

python benchmarks/formats.py [cube] [--small | --full]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _measure import Extent, Rows, run

import xoffset

sys.path.append(str(Path(__file__).parents[1] / "tests" / "formats"))

import itslive_files

# Pairs and side of a cube in nodes.
CUBES = {"small": (20, 12), "usual": (1000, 100), "full": (5000, 200)}


def cube(extent: Extent) -> Rows:
    """Seconds from an ITS_LIVE cube to shifts in memory, and back to a cube."""
    pairs, side = CUBES[extent]
    first = np.datetime64("2015-01-01T10:20:30", "us") + np.arange(pairs) * np.timedelta64(3, "D")
    second = first + np.timedelta64(16, "D")
    rng = np.random.default_rng(0)
    values = [rng.integers(-3000, 3000, (pairs, side, side)).astype("i2") for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        path = itslive_files.cube(Path(folder) / "cube.zarr", first, second, values=values, shape=(side, side),
                                  errors=[np.full(pairs, 20.0)] * 2)  # fmt: skip
        calls = {
            "open_shifts": lambda: xoffset.open_shifts(path),
            "and compute": lambda: xoffset.open_shifts(path).load(),
            "write": lambda: xoffset.formats.itslive_cube.write(shifts, Path(folder) / "out.zarr", overwrite=True),
        }
        shifts = calls["and compute"]()
        rows = []
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            rows.append({"call": name, "pairs": pairs, "side": side, "wall [s]": wall, "CPU [s]": cpu})
    return rows


PARTS = (cube,)

if __name__ == "__main__":
    run("formats", PARTS)
