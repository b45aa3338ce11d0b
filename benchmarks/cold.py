"""What the first call costs: each function alone in a process with an empty folder of kernels, and with a full one.

python benchmarks/cold.py [calls] [demo] [compile_beforehand] [--small]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from _measure import Extent, Rows, run

import xoffset
from xoffset._kernels import _cache

ONE = "--one"
SIDE, NODES = 256, 48
DEMO = "from xoffset.cli import main; main()"


class Inputs(NamedTuple):
    """What the calls take, made without any kernel."""

    stack: xr.DataArray
    network: xr.Dataset
    shifts: xr.Dataset
    series: xr.Dataset


CALLS: dict[str, Callable[[Inputs], Any]] = {
    "correlate": lambda made: xoffset.correlate(made.stack, made.network),
    "correlate, with gaps": lambda made: xoffset.correlate(with_gaps(made.stack), made.network),
    "correlate, phase": lambda made: xoffset.correlate(made.stack, made.network, template=64, matcher="phase"),
    "correlate, regularized": lambda made: xoffset.correlate(made.stack, made.network, matcher="regularized"),
    "correlate, flow": lambda made: xoffset.correlate(made.stack, made.network, matcher="flow"),
    "screen": lambda made: xoffset.screen(made.shifts, min_score=0.5),
    "invert": lambda made: xoffset.invert(made.shifts),
    "velocity of a series": lambda made: xoffset.velocity(made.series),
    "velocity of shifts": lambda made: xoffset.velocity(made.shifts),
    "decompose a series": lambda made: xoffset.decompose(made.series, acceleration=True),
    "closure": lambda made: xoffset.closure(made.shifts),
    "strain": lambda made: xoffset.strain(made.shifts),
}


def calls(extent: Extent) -> Rows:
    """CPU seconds of a call in a fresh process: kernels compiled, and taken from disk."""
    rows = []
    for name in ["closure"] if extent == "small" else CALLS:
        with tempfile.TemporaryDirectory() as folder:
            (cold, kernels), (warm, _) = (_in_fresh_process(name, folder) for _ in range(2))
        rows.append({"call": name, "cold [CPU s]": cold, "kernels": int(kernels), "from disk [CPU s]": warm})
    return rows


def demo(extent: Extent) -> Rows:
    """CPU seconds of the whole demo, start of Python and pictures included."""
    size = "128" if extent == "small" else "1024"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for state in ("warm",) if extent == "small" else ("cold", "warm"):
            command = [sys.executable, "-c", DEMO, "demo", "-o", f"{folder}/demo", "--size", size]
            # a small run only shows that it works: with the kernels that are there
            kernels = None if extent == "small" else f"{folder}/kernels"
            rows.append({"demo": state, "CPU s": _cpu_seconds(command, kernels)})
    return rows


def compile_beforehand(extent: Extent) -> Rows:
    """CPU seconds of `xoffset warmup`, all processes together."""
    code = "from xoffset.pipeline import warmup; warmup.PARTS['screening']()"
    command = [sys.executable, "-c", code if extent == "small" else "import xoffset; xoffset.warmup()"]
    with tempfile.TemporaryDirectory() as folder:
        kernels = None if extent == "small" else folder
        return [{"warmup": "all parts", "CPU s": _cpu_seconds(command, kernels)}]


def inputs() -> Inputs:
    """A scene that moves by a pixel a date, and shifts and a series of noise."""
    random = np.random.default_rng(0)
    dates = np.arange("2020-01", "2020-09", dtype="datetime64[M]").astype("datetime64[ns]")
    noise = random.standard_normal((SIDE, SIDE)).astype(np.float32)
    image = sum(np.roll(noise, (y, x), (0, 1)) for y in range(3) for x in range(3))
    place = {"y": -10.0 * np.arange(SIDE), "x": 10.0 * np.arange(SIDE)}
    images = np.stack([np.roll(image, k, 1) for k in range(dates.size)])
    stack = xr.DataArray(images, dims=("time", "y", "x"), coords={"time": dates} | place)
    network = xoffset.pairs(stack, max_gap=2)

    def product(dim: str, count: int) -> xr.Dataset:
        dims, shape = (dim, "y", "x"), (count, NODES, NODES)
        fields = {name: random.standard_normal(shape) for name in ("dx", "dy")}
        fields |= {name: np.ones(shape) for name in ("sigma_dx", "sigma_dy", "score", "false_alarm", "ambiguity")}
        flags = {"flags": (dims, np.zeros(shape, np.int64))}
        nodes = {name: 80.0 * np.arange(NODES) for name in ("y", "x")}
        return xr.Dataset({name: (dims, field.astype(np.float32)) for name, field in fields.items()} | flags, nodes)

    # without its sampling each match would be judged alone
    sampling = {"pixel_size": 10.0, "window_size": 320.0, "search_area": 36100.0}
    shifts = product("pair", network.sizes["pair"]).assign_coords(dict(network.coords) | sampling)
    return Inputs(stack, network, shifts, product("time", dates.size).assign_coords(time=dates))


def with_gaps(stack: xr.DataArray) -> xr.DataArray:
    """The stack with a strip of missing pixels."""
    return stack.where(abs(stack.x - 900.0) > 50.0)


def call_one(name: str) -> None:
    """Print the CPU seconds of a call, and how many kernels it compiled."""
    made = inputs()
    start = time.process_time()
    CALLS[name](made)
    print(time.process_time() - start, _cache.compiled_here())


def _in_fresh_process(name: str, folder: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, __file__, ONE, name], env=os.environ | {"NUMBA_CACHE_DIR": folder}, text=True, check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return [float(value) for value in done.stdout.split()]


def _cpu_seconds(command: list[str], folder: str | None) -> float:
    environment = {} if folder is None else {"NUMBA_CACHE_DIR": folder}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


PARTS = (calls, demo, compile_beforehand)

if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        call_one(sys.argv[2])
    else:
        run("cold", PARTS)
