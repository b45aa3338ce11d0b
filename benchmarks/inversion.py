"""Inversion: CPU time and accuracy beside NumPy and other programs in the same run, growth with pixels.

python benchmarks/inversion.py                          all, some minutes
python benchmarks/inversion.py speed scaling            some
python benchmarks/inversion.py --small                  few pixels, to see that it works

MintPy takes part where it is installed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

# idle threads of a library would count as CPU time of its calls
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import xarray as xr
from _measure import Extent, Rows, cpu_seconds, on_one_core, run

from xoffset import open_result
from xoffset.model import products

NETWORKS = ((20, 100, None), (40, 250, None), (60, 500, None), (60, 392, 7))
NOISE, OUTLIERS, WILD, GAPS = 0.1, 0.03, 3.0, 0.1


def network(dates: int, pairs: int, longest: int | None, generator: np.random.Generator) -> np.ndarray:
    """Random connected pairs (pair, 2) of dates at most `longest` apart; neighbours are always paired."""
    first, second = np.triu_indices(dates, 1)
    near = (second - first) <= (longest or dates)
    ends = np.stack([first[near], second[near]], axis=1)
    chain = ends[ends[:, 1] - ends[:, 0] == 1]
    rest = ends[ends[:, 1] - ends[:, 0] > 1]
    extra = generator.choice(len(rest), min(pairs, len(ends)) - len(chain), replace=False)
    chosen = np.concatenate([chain, rest[np.sort(extra)]])
    return chosen[np.lexsort((chosen[:, 1], chosen[:, 0]))]


def motion(dates: int, side: int, generator: np.random.Generator) -> np.ndarray:
    """Displacement (component, date, row, column) [px] of a steady motion with a season and a step."""
    years = 12.0 * np.arange(dates) / 365.25
    rate, season, step = generator.standard_normal((3, 2, 1, side, side))
    shape = years[None, :, None, None]
    return 2.0 * rate * shape + 0.3 * season * np.sin(2.0 * np.pi * shape) + step * (shape > years[dates // 2])


def shifts(ends: np.ndarray, truth: np.ndarray, generator: np.random.Generator) -> xr.Dataset:
    """Noisy shifts of a motion, a tenth of the pairs missing in each pixel and some of the others wild."""
    _, dates, side, _ = truth.shape
    moment = np.datetime64("2020-01-01") + 12 * np.arange(dates)
    shape = (len(ends), side, side)
    is_missing = generator.random(shape) < GAPS
    is_wild = generator.random(shape) < OUTLIERS
    fields = {}
    for name, of_dates in zip(("dx", "dy"), truth, strict=True):
        values = of_dates[ends[:, 1]] - of_dates[ends[:, 0]] + NOISE * generator.standard_normal(shape)
        values += WILD * is_wild * generator.choice([-1.0, 1.0], shape)
        fields[name] = np.where(is_missing, np.nan, values).astype(np.float32)
        fields[f"sigma_{name}"] = np.where(is_missing, np.nan, np.float32(NOISE))
    grid = 80.0 * np.arange(side)
    like = products.stack(np.zeros((1, side, side)), time=moment[:1], x=grid, y=-grid, crs=None, attrs={})
    pairs = products.network(moment[ends[:, 0]], moment[ends[:, 1]])
    return products.shifts(fields, pairs, x=grid, y=-grid, like=like, step={})


# --------------------------------------------------------------------------------------------------------------- peers


def design_of(ends: np.ndarray, dates: int) -> np.ndarray:
    design = np.zeros((len(ends), dates))
    design[np.arange(len(ends)), ends[:, 1]] = 1.0
    design[np.arange(len(ends)), ends[:, 0]] -= 1.0
    return design[:, 1:]


def lstsq(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Least squares of each component and pixel: values (pair, pixel), results (date, pixel)."""
    out = np.empty((design.shape[1], values.shape[1]))
    for pixel, value in enumerate(values.T):
        found = np.isfinite(value)
        out[:, pixel] = np.linalg.lstsq(design[found], value[found], rcond=None)[0]
    return out


def batched(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Normal equations of all pixels at once."""
    found = np.isfinite(values).T.astype(np.float64)
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    normal = (found @ products).reshape(-1, design.shape[1], design.shape[1])
    right = np.nan_to_num(values.T) @ design
    return np.linalg.solve(normal, right[..., None])[..., 0].T


def mintpy(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    """MintPy's ordinary least squares, pixel by pixel, as it does wherever a pixel has a gap."""
    from mintpy.ifgram_inversion import estimate_timeseries

    span = np.ones((design.shape[1], 1))
    out = np.empty((design.shape[1], values.shape[1]))
    for pixel, value in enumerate(values.T):
        found = np.isfinite(value)
        out[:, pixel] = estimate_timeseries(
            design[found],
            design[found],
            value[found][:, None],
            tbase_diff=span,
            min_norm_velocity=False,
            print_msg=False,
        )[0][1:, 0]
    return out


def peers() -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Programs that solve the same network, by name."""
    found: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"numpy lstsq": lstsq, "numpy batched": batched}
    return found | ({"mintpy": mintpy} if find_spec("mintpy") else {})


# --------------------------------------------------------------------------------------------------------------- parts


def speed(extent: Extent) -> Rows:
    """CPU microseconds a pixel and component, with standard errors, and the error of the displacements [px]."""
    generator = np.random.default_rng(0)
    side, few, repeats = (12, 8, 0) if extent == "small" else (128, 64, 3)
    rows = []
    for dates, pairs, longest in NETWORKS:
        ends = network(dates, pairs, longest, generator)
        truth = motion(dates, side, generator)
        data = shifts(ends, truth, generator)
        truth = truth - truth[:, :1]
        first = data.reference.values.min()
        for loss in ("linear", "huber", "tukey"):
            seconds = cpu_seconds(lambda d=data, kind=loss: d.offset.invert(loss=kind), repeats)
            series = data.offset.invert(loss=loss, reference=first)
            error = np.stack([series.dx, series.dy]) - truth
            rows.append(row(dates, ends, f"xoffset {loss}", seconds / side**2 / 2, error[:, 1:]))
        values = data.dx.values.reshape(len(ends), -1)[:, :few].astype(np.float64)
        expected = truth[0].reshape(dates, -1)[1:, :few]
        for name, peer in peers().items():
            design = design_of(ends, dates)
            seconds = cpu_seconds(lambda p=peer, v=values, d=design: p(v, d), repeats)
            rows.append(row(dates, ends, name, seconds / values.shape[1], peer(values, design) - expected))
    return rows


def row(dates: int, ends: np.ndarray, program: str, seconds: float, error: np.ndarray) -> dict[str, object]:
    rmse = float(np.sqrt(np.nanmean(error**2)))
    return {"dates": dates, "pairs": len(ends), "program": program, "us": 1e6 * seconds, "RMSE px": rmse}


def scaling(extent: Extent) -> Rows:
    """Wall and CPU seconds and peak memory from Zarr to Zarr, 40 dates and 250 pairs, both components, on all cores."""
    sides = (64,) if extent == "small" else (250, 500, 1000)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for side in sides:
            place = Path(folder) / f"shifts-{side}.zarr"
            write_shifts(place, side)
            done = subprocess.run(
                [sys.executable, __file__, "--invert", str(place)], capture_output=True, text=True, check=True
            )
            wall, cpu, memory = map(float, done.stdout.split())
            rows.append({"pixels": side**2, "wall s": wall, "CPU s": cpu, "peak GB": memory})
    return rows


def write_shifts(place: Path, side: int) -> None:
    """Store of shifts of a map made of copies of a smaller one, tile by tile."""
    generator = np.random.default_rng(0)
    ends = network(40, 250, None, generator)
    tile = min(side, 125)
    data = shifts(ends, motion(40, tile, generator), generator).chunk(pair=-1, y=tile, x=tile)
    rows = xr.concat([data] * (side // tile), "x", compat="override", coords="minimal", data_vars="minimal")
    whole = xr.concat([rows] * (side // tile), "y", compat="override", coords="minimal", data_vars="minimal")
    grid = 80.0 * np.arange(side)
    whole.assign_coords(x=grid, y=-grid).to_zarr(place, consolidated=False)


def invert_store(place: str) -> None:
    """Invert a store into another one and print wall and CPU seconds and peak memory [GB]."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    open_result(place).isel(y=slice(0, 64), x=slice(0, 64)).compute().offset.invert()
    start, used = time.perf_counter(), time.process_time()
    open_result(place).offset.invert().to_zarr(f"{place}-series", consolidated=False)
    wall, cpu = time.perf_counter() - start, time.process_time() - used
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


PARTS = (speed, scaling)

if __name__ == "__main__":
    if "--invert" in sys.argv:
        invert_store(sys.argv[-1])
    else:
        on_one_core()
        run("inversion", PARTS)
