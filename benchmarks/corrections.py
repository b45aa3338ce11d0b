"""Corrections: wall and CPU time and memory for pairs of a Sentinel-2 tile, block by block on all cores.

python benchmarks/corrections.py                10 pairs, a minute
python benchmarks/corrections.py --full         100 pairs too, some minutes
python benchmarks/corrections.py --small        few nodes, to see that it works
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from functools import partial
from typing import Any

# idle threads of a library would count as CPU time of its calls
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import dask.array as da
import numpy as np
import xarray as xr
from _measure import Extent, Rows, run

from xoffset.model import products

# Nodes along a side of a tile of 10 980 px with step 8, pairs, and dates that are at most LONGEST apart.
SIDES = {"small": 48, "usual": 1372, "full": 1372}
COUNTS = {"small": (10,), "usual": (10,), "full": (10, 100)}
DATES, LONGEST = 23, 5
PAIRS = 10  # of a block
NOISE, DETECTORS = 1.0, 6
KINDS: dict[str, dict[str, Any]] = {
    "a shift": {},
    "ramp of order 2, steps": {"order": 2, "is_striped": True},
    "ramp of order 2, steps, by date": {"order": 2, "is_striped": True, "by_date": True},
}


def tile(extent: Extent) -> Rows:
    """Wall and CPU seconds and peak memory of each kind of correction, every one in a fresh process."""
    rows = []
    for count in COUNTS[extent]:
        for kind in KINDS:
            command = [sys.executable, __file__, "--correct", kind, str(count), str(SIDES[extent])]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            wall, cpu, memory = map(float, done.stdout.split())
            row = {"correction": kind, "pairs": count, "nodes": SIDES[extent] ** 2}
            rows.append(row | {"wall s": wall, "CPU s": cpu, "peak GB": memory})
    return rows


def shifts(side: int) -> tuple[xr.Dataset, xr.DataArray, xr.DataArray]:
    """Lazy shifts of images that lie apart, are turned and have steps; ground that stands still, and the detectors.

    All pairs have one field of noise, up to its sign, so that little of the time goes into making it.
    """
    first, second = np.triu_indices(DATES, 1)
    ends = np.stack([first, second], axis=1)[second - first <= LONGEST]
    generator = np.random.default_rng(0)
    chunk = side // 4
    grid, u = 80.0 * np.arange(side), np.linspace(-1.0, 1.0, side, dtype=np.float32)
    v = u[:, np.newaxis]
    detector = np.digitize(u + 0.2 * v, np.linspace(-1.0, 1.0, DETECTORS + 1)[1:-1]).astype(np.uint8)
    patterns = [np.ones((side, side), np.float32), u + 0.0 * v, v + 0.0 * u, detector.astype(np.float32)]
    patterns.append(generator.normal(0.0, NOISE, (side, side)).astype(np.float32))
    fields = {}
    for name in ("dx", "dy"):
        of_dates = generator.normal(0.0, (5.0, 2.0, 2.0, 1.0), (DATES, 4))
        weights = np.column_stack(
            [of_dates[ends[:, 1]] - of_dates[ends[:, 0]], generator.choice((-1.0, 1.0), len(ends))]
        )
        fields[name] = da.blockwise(
            partial(np.tensordot, axes=1),
            "pyx",
            da.from_array(weights.astype(np.float32), chunks=(PAIRS, -1)),
            "pk",
            da.from_array(np.stack(patterns), chunks=(-1, chunk, chunk)),
            "kyx",
            concatenate=True,
            dtype=np.float32,
        )
        fields[f"sigma_{name}"] = da.full_like(fields[name], NOISE)
    moment = np.datetime64("2020-01-01") + 12 * np.arange(DATES)
    like = products.stack(np.zeros((1, side, side)), time=moment[:1], x=grid, y=-grid, crs=None, attrs={})
    network = products.network(moment[ends[:, 0]], moment[ends[:, 1]])
    found = products.shifts(fields, network, x=grid, y=-grid, like=like, step={})
    coords = {"y": found.y, "x": found.x}
    stable = xr.DataArray(np.hypot(u, v) > 0.5, coords, ("y", "x"))
    return found, stable, xr.DataArray(detector + np.uint8(1), coords, ("y", "x"))


class Nowhere:
    """Takes blocks and keeps none: the time of a disk is not that of a correction."""

    def __setitem__(self, key: object, value: object) -> None:
        pass


def correct(kind: str, count: int, side: int) -> None:
    """Correct all blocks and print wall and CPU seconds and peak memory [GB]."""
    options = dict(KINDS[kind])
    is_striped = options.pop("is_striped", False)
    for size in sorted({SIDES["small"], side}):  # the first compiles
        data, stable, detector = shifts(size)
        data = data.isel(pair=slice(0, count))
        stripes = detector if is_striped else None
        start, used = time.perf_counter(), time.process_time()
        lazy = data.offset.correct(stable=stable, stripes=stripes, **options)
        arrays = [each.data for each in lazy.values() if isinstance(each.data, da.Array)]
        da.store(arrays, [Nowhere()] * len(arrays), lock=False)
        wall, cpu = time.perf_counter() - start, time.process_time() - used
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


PARTS = (tile,)

if __name__ == "__main__":
    if "--correct" in sys.argv:
        correct(sys.argv[-3], int(sys.argv[-2]), int(sys.argv[-1]))
    else:
        run("corrections", PARTS)
