"""Matching: how its CPU time grows with pixels, pairs, shifts, windows and nodes; a tile from files to Zarr.

python benchmarks/matching_scaling.py [parts ...] [--small]     some minutes
python benchmarks/matching_scaling.py --full                    images of 10980 px too; 2 GB of disk and memory
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Extent, Rows, cpu_seconds, on_one_core, run
from _scenes import PIXEL, tiled

import xoffset

USUAL = {"template": 32, "search": 20, "step": 8}
TILE = 10980  # px, side of a Sentinel-2 tile
MATCH_FILES = "--match-files"


def size(extent: Extent) -> Rows:
    """Setting S1 on images of growing size."""
    sides = {"small": (128, 256), "usual": (512, 1024, 2048, 4096), "full": (512, 1024, 2048, 4096, TILE)}[extent]
    return [_row(side, 1, USUAL, {"size": side}) for side in sides]


def pairs(extent: Extent) -> Rows:
    """Growing numbers of pairs of one stack: an image is filtered once, however many pairs it is in."""
    side, counts = (128, (1, 3)) if extent == "small" else (512, (1, 3, 10, 30, 100))
    return [_row(side, count, USUAL | {"search": 8}, {"pairs": count}) for count in counts]


def search(extent: Extent) -> Rows:
    """Growing half-ranges, all shifts and from coarse to fine."""
    side, halves = (160, (4, 8)) if extent == "small" else (1024, (4, 8, 16, 32, 64))
    rows = []
    for half in halves:
        row = {"search": half, "shifts": (2 * half + 1) ** 2}
        row |= _row(side, 1, USUAL | {"search": half}, {})
        row["pyramid us a node"] = _row(side, 1, USUAL | {"search": xoffset.Pyramid(half)}, {})["us a node"]
        rows.append(row)
    return rows


def window(extent: Extent) -> Rows:
    """Growing windows; refinement and covariance look at each of their pixels, the search does not."""
    side, templates = (160, (16, 32)) if extent == "small" else (1024, (16, 24, 32, 48, 64, 96))
    unrefined = xoffset.NCC(refine="none")
    rows = []
    for template in templates:
        row = _row(side, 1, USUAL | {"template": template}, {"template": template})
        row["unrefined us a node"] = _row(side, 1, USUAL | {"template": template, "matcher": unrefined}, {})[
            "us a node"
        ]
        rows.append(row)
    return rows


def step(extent: Extent) -> Rows:
    """Growing distances between windows."""
    side, steps = (160, (8, 16)) if extent == "small" else (1024, (1, 2, 4, 8, 16, 32, 64, 128))
    return [_row(side, 1, USUAL | {"step": each, "search": 8}, {"step": each}) for each in steps]


def _row(side: int, count: int, options: dict[str, Any], labels: dict[str, Any]) -> dict[str, Any]:
    """CPU time of one setting, one thread."""
    stack, network = tiled(side, count)
    match = partial(xoffset.correlate, stack, network, **options)
    nodes = match().dx.size
    repeats = 0 if side < 512 else 1 if side > 2048 or count > 10 else 3
    seconds = cpu_seconds(match, repeats)
    per_pixel = 1e9 * seconds / (side**2 * count)
    return labels | {"seconds": seconds, "us a node": 1e6 * seconds / nodes, "ns a pixel and pair": per_pixel}


# --------------------------------------------------------------------------------------------------------------- files


def files(extent: Extent) -> Rows:
    """Setting S1 from two GeoTIFFs to a Zarr store in a fresh process with all cores."""
    rows = []
    for side in {"small": (256,), "usual": (2048,), "full": (2048, 5490, TILE)}[extent]:
        with tempfile.TemporaryDirectory() as folder:
            write_images(side, Path(folder))
            command = [sys.executable, __file__, MATCH_FILES, folder]
            # a cache of compiled kernels must be there, as after any earlier use
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append({"size": side, "cores": os.cpu_count()} | found)
    return rows


def write_images(side: int, folder: Path) -> None:
    """Two GeoTIFFs as Sentinel-2 scenes come: uint16, in blocks, compressed."""
    import rasterio

    stack, _ = tiled(side)
    for number, image in enumerate(stack.values):
        path = folder / f"T32TLR_2020{number + 1:02d}01T102021_B04.tif"
        layout = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": side, "width": side}
        where = {"crs": "EPSG:32632", "transform": rasterio.transform.from_origin(300_000, 5_000_000, PIXEL, PIXEL)}
        with rasterio.open(path, "w", tiled=True, compress="deflate", **layout, **where) as file:
            file.write(image, 1)


def match_files(folder: Path, options: dict[str, Any]) -> None:
    """Open, match, write; print seconds and memory of this process as JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    # compiled kernels are loaded once a process: not what is measured here
    small, _ = xoffset.synthetic.stack((128, 128))
    xoffset.correlate(small, xoffset.pairs(small), **options)
    wall, cpu = time.perf_counter(), time.process_time()
    stack = xoffset.open_stack(sorted(map(str, folder.glob("*.tif"))), chunks=1024)
    xoffset.correlate(stack, xoffset.pairs(stack), **options).to_zarr(folder / "shifts.zarr", consolidated=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    written = xoffset.open_result(folder / "shifts.zarr")
    valid = float(np.isfinite(written.dx).mean())
    print(
        json.dumps(
            {"seconds": wall, "CPU seconds": cpu, "peak memory GB": _peak_memory() / 1e9, "valid %": 100 * valid}
        )
    )


def _peak_memory() -> float:
    """Largest resident memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the process was forked from
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024.0 * int(line.split()[1])
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


PARTS = (size, pairs, search, window, step, files)

if __name__ == "__main__":
    if MATCH_FILES in sys.argv:
        match_files(Path(sys.argv[-1]), USUAL)
    else:
        on_one_core()
        run("matching_scaling", PARTS)
