"""A whole run: workers, size, pairs, overhead, bytes; and what it predicts for mountains and for the world.

python benchmarks/scaling.py [parts ...] [--small]     about 15 minutes
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
from _measure import FOLDER, Extent, Rows, run
from _scenes import PIXEL, tiled

import xoffset
from xoffset._blocks import quota
from xoffset.pipeline import costs
from xoffset.pipeline.planning import make_plan

OPTIONS = {"template": 32, "search": 8, "step": 8}
TILE = 10980  # px, side of a Sentinel-2 tile
# Most pixels times pairs that are matched of one image: of more a tenth of the blocks or fewer stand for all.
MOST = 2e8


def workers(extent: Extent) -> Rows:
    """Strong scaling: one image on more and more threads; weak scaling: an image that grows with them."""
    # so large that starting and planning are little of it
    side, count = (128, 3) if extent == "small" else (2048, 30)
    rows: Rows = []
    most = quota.cores()
    # compiled before it is timed
    _run(128, 3, 1)
    for threads in sorted({1, *(2**k for k in range(1, 10) if 2**k <= most), most}):
        strong, weak = (_run(size, count, threads) for size in (side, round(side * math.sqrt(threads) / 8) * 8))
        rows.append({"threads": threads, "strong s": strong["seconds"], "weak s": weak["seconds"]})
    for row in rows:
        row["strong efficiency"] = rows[0]["strong s"] / row["strong s"] / row["threads"]
        row["weak efficiency"] = rows[0]["weak s"] / row["weak s"]
    return rows


def size(extent: Extent) -> Rows:
    """Cost a pixel and pair of images of growing size and of 1 to 400 pairs; a part of the tiles of large ones."""
    sides = (128,) if extent == "small" else (512, 2048, TILE)
    counts = (1, 3) if extent == "small" else (1, 10, 100, 400)
    # compiled before it is timed
    _matching(128, 1)
    return [_matching(side, count) for side in sides for count in counts]


def overhead(extent: Extent) -> Rows:
    """What the scheduler and the store take beside the kernels: a run against the same tiles matched by a loop."""
    side, count = (128, 3) if extent == "small" else (1024, 30)
    rows = []
    for _ in range(1 if extent == "small" else 3):
        found = _run(side, count, 1)
        alone = found["pairs"] / count * _matching(side, count)["CPU s"]
        share = 100.0 * (found["matching CPU s"] / alone - 1.0)
        rows.append({"run CPU s": found["matching CPU s"], "kernels CPU s": alone, "overhead %": share})
    return [min(rows, key=lambda row: row["overhead %"])]


def bytes_moved(extent: Extent) -> Rows:
    """Bytes that each stage of a run on a whole tile reads and writes before compression, against the least."""
    side, dates, gap = (256, 4, 1) if extent == "small" else (TILE, 60, 7)
    stack = _without_pixels(side, dates)
    plan = make_plan("generic", stack, OPTIONS | {"max_gap": gap})
    rows = []
    for stage in costs.stages_of(plan.recipe.steps, plan.results, calibrate=False):
        least = stack.nbytes if stage.name == "matches" else stage.read / _times(stage)
        rows.append({
            "stage": stage.title, "tiles": stage.tiles, "read GB": stage.read / 1e9, "least GB": least / 1e9,
            "written GB": stage.written / 1e9, "memory a thread GB": stage.memory / 1e9,
        })  # fmt: skip
    return rows


def model(extent: Extent) -> Rows:
    """Seconds a pixel of each date, and of each pair, fitted to `size`; what other stages take, by their vectors."""
    rows = size(extent) if extent == "small" else _kept("size")
    pixels = np.array([row["pixels"] for row in rows])
    seconds = np.array([row["CPU s"] for row in rows])
    others = sum(costs.SECONDS_OF_VECTOR[name] for name in ("screen", "invert", "velocity"))
    terms = np.stack([pixels * [row["dates"] for row in rows], pixels * [row["pairs"] for row in rows]], axis=1)
    # relative errors, so that large images do not count alone
    fitted = np.maximum(np.linalg.lstsq(terms / seconds[:, None], np.ones(len(rows)), rcond=None)[0], 0.0)
    worst = np.abs(terms @ fitted / seconds - 1.0).max()
    return [{
        "ns a pixel and date": 1e9 * fitted[0], "ns a pixel and pair": 1e9 * fitted[1],
        "ns a vector, other stages": 1e9 * others,
        "largest error %": 100.0 * worst,
    }]  # fmt: skip


# What is asked, and what it rests on: tiles of 10980² pixels of 10 m, usable dates of each, pairs, and the share of the
# ground that is matched. The Alps lie in about 60 tiles of Sentinel-2; a third of five years of images, one every five
# days, is clear enough: 120. Glaciers of the world cover 706 000 km² in about 3500 tiles, most of them with little ice.
OF_ICE = 706e9 / (3500 * (TILE * PIXEL) ** 2)
CASES = {
    "one tile, 60 dates": {"tiles": 1, "dates": 60, "pairs": 392, "ground": 1.0},
    "all of the Alps, 5 years": {"tiles": 60, "dates": 120, "pairs": 812, "ground": 1.0},
    "all glaciers, 5 years": {
        "tiles": 3500,
        "dates": 120,
        "pairs": 812,
        "ground": OF_ICE,
    },
}
# Of a core of a cloud for an hour, spot; of a terabyte of storage for a month; both in dollars, and about.
CORE_HOUR, TERABYTE = 0.02, 23.0
# Bytes of a vector in a store after compression, of 48 before; of a pixel of an image as it is delivered, of 2.
STORED, DELIVERED = 20.0, 1.2


def predictions(extent: Extent) -> Rows:
    """Core-hours, terabytes and money of large areas by the fitted model."""
    fitted = (model(extent) if extent == "small" else _kept("model"))[0]
    rows = []
    for name, case in CASES.items():
        pixels = case["tiles"] * TILE**2 * case["ground"]
        vectors = pixels * case["pairs"] / OPTIONS["step"] ** 2
        seconds = 1e-9 * (
            pixels * (case["dates"] * fitted["ns a pixel and date"] + case["pairs"] * fitted["ns a pixel and pair"])
            + vectors * fitted["ns a vector, other stages"]
        )
        # whole files are read, whatever share of them is matched
        read = case["tiles"] * TILE**2 * case["dates"] * DELIVERED / 1e12
        stored = 2.0 * vectors * STORED / 1e12
        rows.append({
            "case": name, "tiles": case["tiles"], "dates": case["dates"], "pairs": case["pairs"],
            "matched %": 100.0 * case["ground"], "core-hours": seconds / 3600.0, "read TB": read, "stored TB": stored,
            "computing $": CORE_HOUR * seconds / 3600.0, "storage $ a month": TERABYTE * stored,
        })  # fmt: skip
    return rows


def _times(stage: costs.Stage) -> int:
    return min(costs.AROUND.get({"shifts": "screen"}.get(stage.name, ""), 1), stage.tiles)


def _kept(part: str) -> Rows:
    path = FOLDER / "scaling.json"
    if not path.exists() or part not in json.loads(path.read_text()):
        raise SystemExit(f"run the part {part} first: python benchmarks/scaling.py {part}")
    rows: Rows = json.loads(path.read_text())[part]["rows"]
    return rows


def _run(side: int, count: int, threads: int) -> dict[str, float]:
    """Wall time of a run on so many threads, and of its matching."""
    stack, _ = tiled(side, count)
    began: dict[str, float] = {}
    ended: dict[str, float] = {}

    def note(state: Any) -> None:
        began.setdefault(state.stage, time.process_time())
        ended[state.stage] = time.process_time()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    changes = OPTIONS | {"max_gap": _gap(stack.sizes["time"], count)}
    with tempfile.TemporaryDirectory() as folder, dask.config.set(num_workers=threads):
        start = time.perf_counter()
        found = xoffset.run("generic", stack, Path(folder) / "out", progress=note, **changes)
        seconds, pairs = time.perf_counter() - start, found["matches"].sizes["pair"]
    return {"seconds": seconds, "matching CPU s": ended["Matching"] - began["Matching"], "pairs": pairs}


def _gap(dates: int, count: int) -> int:
    """Longest pair, in acquisitions, that makes at least so many pairs."""
    return next(
        gap for gap in range(1, dates) if sum(dates - k for k in range(1, gap + 1)) >= count or gap == dates - 1
    )


def _matching(side: int, count: int) -> dict[str, Any]:
    """CPU time of matching, one thread: of all blocks of a small image, of a part of those of a large one."""
    stack, network = _repeated(side, count)
    shifts = xoffset.correlate(stack, network, **OPTIONS)
    blocks = [range(len(shifts.chunksizes[dim])) for dim in ("y", "x")]
    places = [(row, column) for row in blocks[0] for column in blocks[1]]
    largest = max(shifts.chunksizes["y"]) * max(shifts.chunksizes["x"]) * OPTIONS["step"] ** 2
    number = max(1, min(len(places), math.ceil(len(places) / 10), int(MOST / (largest * count))))
    if len(places) <= 16 and side**2 * count <= 2 * MOST:
        number = len(places)
    chosen = [places[k] for k in np.linspace(0, len(places) - 1, number + 2).round().astype(int)[1:-1]]
    chosen = places if number == len(places) else chosen
    ends = {dim: np.cumsum((0, *shifts.chunksizes[dim])) for dim in ("y", "x")}
    parts = [
        shifts.isel(y=slice(*ends["y"][row : row + 2]), x=slice(*ends["x"][column : column + 2]))
        for row, column in chosen
    ]
    seconds = 0.0
    with dask.config.set(scheduler="synchronous"):
        for part in parts:
            start = time.process_time()
            part.compute()
            seconds += time.process_time() - start
    share = sum(part.dx.size for part in parts) / shifts.dx.size
    return {
        "size": side, "pairs": count, "dates": stack.sizes["time"], "pixels": side**2, "CPU s": seconds / share,
        "ns a pixel and pair": 1e9 * seconds / share / (side**2 * count), "measured %": 100.0 * share,
    }  # fmt: skip


class _Repeated:
    """Images of any size that repeat small ones, made where they are read."""

    def __init__(self, small: np.ndarray, side: int) -> None:
        self.small, self.shape, self.dtype, self.ndim = small, (len(small), side, side), small.dtype, 3

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        dates, *places = (np.arange(*part.indices(size)) for part, size in zip(key, self.shape, strict=True))
        rows, columns = (place % size for place, size in zip(places, self.small.shape[1:], strict=True))
        return self.small[np.ix_(dates, rows, columns)]


def _repeated(side: int, count: int) -> tuple[xr.DataArray, xr.Dataset]:
    """A lazy stack of any size, and so many pairs of it."""
    import dask.array as da

    small, network = tiled(512, count)
    source = _Repeated(small.values, side)
    pixels = da.from_array(source, chunks=(1, 512, 512), asarray=False, meta=np.empty((0, 0, 0), source.dtype))
    axis = PIXEL * (np.arange(side) + 0.5)
    stack = xr.DataArray(pixels, dims=small.dims, coords={"time": small.time, "y": -axis, "x": axis}, attrs=small.attrs)
    return stack, network


def _without_pixels(side: int, dates: int) -> xr.DataArray:
    """A lazy stack of zeros, of which nothing is computed."""
    import dask.array as da

    when = np.datetime64("2020-01-01", "us") + np.timedelta64(5, "D") * np.arange(dates)
    coords = {"time": when, "y": 5e6 - PIXEL * np.arange(side), "x": 5e5 + PIXEL * np.arange(side)}
    pixels = da.zeros((dates, side, side), chunks=(1, 1024, 1024), dtype="uint16")
    return xr.DataArray(pixels, dims=("time", "y", "x"), coords=coords)


PARTS = (workers, size, overhead, bytes_moved, model, predictions)

if __name__ == "__main__":
    run("scaling", PARTS)
