"""Matchers beside each other on the same scenes: speed, memory, error, outliers, and whether they know their error.

python -m validation.head_to_head [--small] [--results FOLDER]     some minutes

Each runs alone in a process of its own, on one core. Programs of others are run where they are on the path.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xoffset
from benchmarks import _measure, _scenes
from validation import tables
from validation.case import Rows
from validation.experiments import scores
from validation.measures import nmad, window_mean
from validation.peers import ABSENT, PEERS
from validation.programs import PROGRAMS
from validation.settings import Setting

SIZE, SMALL = 384, 224
SCENES: dict[str, tuple[Setting, dict[str, Any]]] = {
    "landslide, SNR 4": (Setting(32, 8, 8), {"field": "landslide", "snr": 4.0}),
    "clouds and nodata": (Setting(32, 8, 8), {"field": "landslide", "snr": 4.0, "clouds": 0.1, "nodata": 0.03}),
    "fault, 2 px": (Setting(32, 8, 8), {"field": "fault", "velocity": 10.0, "snr": 4.0}),
    "sheared glacier, 10 px": (Setting(32, 12, 8), {"field": "glacier", "velocity": 100.0, "snr": 4.0}),
}
OURS: dict[str, dict[str, Any]] = {"xoffset": {}, "xoffset, regularized": {"matcher": "regularized"}}
# Methods that answer at every pixel, from windows of this side.
DENSE, SIDE = ("xoffset, regularized", "MicMac"), 7
# A run that is shorter is repeated [CPU s], and the least counts.
SHORT = 2.0


def methods() -> list[str]:
    """What can run here: ours, and the peers that are installed."""
    return [*OURS, *(name for name, peer in PEERS.items() if peer.is_here)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every method on every scene, show the table and keep it."""
    parser = argparse.ArgumentParser(prog="python -m validation.head_to_head", description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "SCENE"), help="one method on one scene, as JSON")
    parser.add_argument("--small", action="store_true", help="small images, to see that it works; nothing is kept")
    parser.add_argument("--results", type=Path, default=tables.RESULTS, metavar="FOLDER")
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(measured(*given.one, size=SMALL if given.small else SIZE)))
        return 0
    rows = run(is_small=given.small)
    _measure.print_table("Head to head", rows)
    print(f"not here: {', '.join([*(name for name, peer in PEERS.items() if not peer.is_here), *ABSENT])}")
    if not given.small:
        tables.keep("head_to_head", {"matchers": rows, "versions": versions()}, given.results)
    return 0


def run(*, is_small: bool = False) -> Rows:
    """Rows of all scenes and methods; small runs take one scene."""
    rows = []
    for scene in list(SCENES)[: 1 if is_small else None]:
        for method in methods():
            command = [sys.executable, "-m", "validation.head_to_head", "--one", method, scene]
            command += ["--small"] if is_small else []
            # on one core, threads of BLAS would spend most of the time waiting for one another
            environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            row = {"scene": scene, "method": method}
            if done.returncode and method not in PEERS:
                raise RuntimeError(f"{method} failed on {scene}: {done.stderr[-500:]}")
            if done.returncode:
                # a program of others that does not run here is no reason to lose the others
                print(f"{method} failed on {scene}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                rows.append(row | {"failed": "yes"})
            else:
                rows.append(row | json.loads(done.stdout.splitlines()[-1]))
    return rows


def versions() -> Rows:
    """Versions of all that ran."""
    ran = [{"method": "xoffset", "version": xoffset.__version__}]
    return ran + [{"method": name, "version": peer.version} for name, peer in PEERS.items() if peer.is_here]


def measured(method: str, scene: str, size: int) -> dict[str, float | None]:
    """One method on one scene: CPU time of a window, memory beside that before, errors, and coverage if it has any."""
    _measure.on_one_core()
    setting, options = SCENES[scene]
    if method in DENSE:
        setting = setting._replace(template=SIDE)
    stack, truth = _scenes.pair(size, **options)
    if method not in PROGRAMS:
        _matched(method, stack.isel(y=slice(0, 112), x=slice(0, 112)), setting)  # compiles
    before = _memory_before()
    found, seconds = _timed(method, stack, setting)
    of_programs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0
    peak = of_programs if method in PROGRAMS else _memory("VmHWM") - before
    if seconds < SHORT:
        seconds = min(seconds, _timed(method, stack, setting)[1])
    error = _scenes.errors(found, truth, _nodes(stack, setting))
    where = _inside(stack, setting)
    counted = int(np.isfinite(error[0]).sum()) or 1
    told: dict[str, float | None] = {"us a window": 1e6 * seconds / counted, "memory MB": peak}
    told |= _scenes.summary(error, where) | _spread(error, where)
    told |= _coverage(found, truth, where, setting) if method in OURS else {}
    return {name: float(f"{value:.4g}") if value is not None else None for name, value in told.items()}


def _timed(method: str, stack: xr.DataArray, setting: Setting) -> tuple[Any, float]:
    """What a method found, and CPU seconds that it took, with those of programs that it called."""

    def spent() -> float:
        return sum(sum(resource.getrusage(whose)[:2]) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    start = spent()
    return _matched(method, stack, setting), spent() - start


def _matched(method: str, stack: xr.DataArray, setting: Setting) -> Any:
    """Shifts of ours, or an array of a peer."""
    if method in OURS:
        size = {} if "matcher" in OURS[method] else {"template": setting.template}
        options = {"search": setting.search, "step": setting.step} | size | OURS[method]
        return stack.offset.correlate(stack.offset.pairs(), **options)
    # the peers take no missing values, each has another way around them: they get the mean of the image
    filled = [np.where(np.isfinite(image), image, np.nanmean(image)) for image in stack.values]
    return PEERS[method].match(np.stack(filled), setting)


def _nodes(stack: xr.DataArray, setting: Setting) -> xr.Dataset:
    """Dataset with the coordinates of the windows."""
    count = [(size - setting.template) // setting.step + 1 for size in stack.shape[1:]]
    middle = (setting.template - 1) / 2
    axes = {
        dim: np.interp(np.arange(n) * setting.step + middle, np.arange(stack[dim].size), stack[dim].values)
        for dim, n in zip(("y", "x"), count, strict=True)
    }
    return xr.Dataset(coords=axes)


def _inside(stack: xr.DataArray, setting: Setting) -> np.ndarray:
    """Windows (rows, columns) whose search lies inside the images, which every method can match."""
    starts = [np.arange((n - setting.template) // setting.step + 1) * setting.step for n in stack.shape[1:]]
    ok = [
        (each >= setting.search) & (each + setting.template + setting.search <= n)
        for each, n in zip(starts, stack.shape[1:], strict=True)
    ]
    return np.asarray(ok[0][:, None] & ok[1][None])


def _spread(error: np.ndarray, where: np.ndarray) -> dict[str, float | None]:
    """NMAD of a component, outliers included, and the length of the mean error without them [px]; None of none."""
    known = error[:, where & np.isfinite(error).all(axis=0)]
    if not known.size:
        return {"nmad px": None, "bias px": None}
    good = known[:, np.hypot(*known) <= _scenes.OUTLIER]
    bias = float(np.hypot(*good.mean(axis=1))) if good.size else None
    return {"nmad px": nmad(known - np.median(known, axis=1, keepdims=True)), "bias px": bias}


def _coverage(shifts: xr.Dataset, truth: xr.Dataset, where: np.ndarray, setting: Setting) -> dict[str, float]:
    """Share of components within the intervals of 68 and 95 % around the mean motion of their window [%]."""
    true = window_mean(truth[["dx", "dy"]].isel(time=1), setting.template).interp(x=shifts.x, y=shifts.y)
    names = ("dx", "dy")
    error = np.stack([(shifts[name].isel(pair=0) - true[name]).values[where] for name in names])
    sigma = np.stack([shifts[f"sigma_{name}"].isel(pair=0).values[where] for name in names])
    return scores.coverage(error, sigma)


def _memory(kind: str) -> float:
    """Memory of this process now (VmRSS), or the most that it has had (VmHWM) [MB]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024.0


def _memory_before() -> float:
    """Memory of this process now [MB], from which on the most is told: compilers and imports took more."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


if __name__ == "__main__":
    raise SystemExit(main())
