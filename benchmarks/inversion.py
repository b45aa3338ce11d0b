"""Inversion: CPU time a pixel beside numpy.linalg.lstsq, in the same run.

python benchmarks/inversion.py            a minute
python benchmarks/inversion.py --small    few pixels, to see that it works
"""

from __future__ import annotations

import numpy as np
from _measure import Extent, Rows, cpu_seconds, on_one_core, run

from xoffset import model


def network(dates: int, pairs: int, longest: int | None, generator: np.random.Generator) -> np.ndarray:
    """Random connected pairs (pair, 2) of dates at most `longest` apart; neighbours are always paired."""
    first, second = np.triu_indices(dates, 1)
    near = (second - first) <= (longest or dates)
    ends = np.stack([first[near], second[near]], axis=1)
    chain = ends[ends[:, 1] - ends[:, 0] == 1]
    rest = ends[ends[:, 1] - ends[:, 0] > 1]
    extra = generator.choice(len(rest), min(pairs, len(ends)) - len(chain), replace=False)
    return np.concatenate([chain, rest[np.sort(extra)]])


def shifts(ends: np.ndarray, dates: int, side: int, generator: np.random.Generator):
    """Noisy shifts with a tenth of the pairs missing in each pixel."""
    time = np.datetime64("2020-01-01") + 12 * np.arange(dates)
    shape = (len(ends), side, side)
    truth = np.cumsum(generator.standard_normal((dates, side, side)), axis=0)
    is_missing = generator.random(shape) < 0.1
    fields = {}
    for name in ("dx", "dy"):
        values = truth[ends[:, 1]] - truth[ends[:, 0]] + 0.1 * generator.standard_normal(shape)
        fields[name] = np.where(is_missing, np.nan, values).astype(np.float32)
        fields[f"sigma_{name}"] = np.full(shape, 0.1, dtype=np.float32)
    grid = 80.0 * np.arange(side)
    like = model.stack(np.zeros((1, side, side)), time=time[:1], x=grid, y=-grid, crs=None, attrs={})
    pairs = model.network(time[ends[:, 0]], time[ends[:, 1]])
    return model.shifts(fields, pairs, x=grid, y=-grid, like=like, step={})


def lstsq(data, ends: np.ndarray, dates: int, pixels: int) -> None:
    """Least squares of both components, pixel by pixel."""
    design = np.zeros((len(ends), dates))
    design[np.arange(len(ends)), ends[:, 1]] = 1.0
    design[np.arange(len(ends)), ends[:, 0]] -= 1.0
    values = np.stack([data.dx.values, data.dy.values], axis=-1).reshape(len(ends), -1, 2)
    for pixel in range(pixels):
        found = np.isfinite(values[:, pixel, 0])
        np.linalg.lstsq(design[found, 1:], values[found, pixel], rcond=None)


def speed(extent: Extent) -> Rows:
    """CPU microseconds a pixel for both components, xoffset with standard errors."""
    generator = np.random.default_rng(0)
    rows = []
    for dates, pairs, longest in ((20, 100, None), (40, 250, None), (60, 392, 7), (60, 500, None)):
        ends = network(dates, pairs, longest, generator)
        side, few = (12, 20) if extent == "small" else (48, 100)
        data = shifts(ends, dates, side, generator)
        ours = cpu_seconds(lambda d=data: d.offset.invert()) / side**2
        peer = cpu_seconds(lambda d=data, e=ends, n=dates, k=few: lstsq(d, e, n, k), repeats=1) / few
        rows.append(
            {"dates": dates, "pairs": len(ends), "xoffset us": 1e6 * ours, "lstsq us": 1e6 * peer, "ratio": ours / peer}
        )
    return rows


PARTS = (speed,)

if __name__ == "__main__":
    on_one_core()
    run("inversion", PARTS)
