"""Matching every pixel: CPU time and accuracy of the dense matchers beside windows and OpenCV's flow, one thread each.

python benchmarks/dense_matching.py [speed] [accuracy] [steps] [sigma] [tile] [--small | --full]     some minutes
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import _peers
import numpy as np
import scipy.ndimage
import xarray as xr
from _measure import Extent, Rows, least_cpu_seconds, on_one_core, run
from _scenes import PIXEL, constant, errors, in_pixels, pair
from matching_scaling import TILE, match_files, write_images

import xoffset

# scenes that the tests have too
sys.path.append(str(Path(__file__).parents[1] / "tests" / "reference"))
from reference_scenes import bent, cut_out

# Images of every row of accuracy: the worse of them counts.
SEEDS = (11, 12)
# Pixels at the sides of an image that say nothing of a matcher, besides those that a search leaves out.
RIM = 24
# Where ground moves by more than this it moves [px].
MOVES = 0.1
# Motion along the fault, 20 degrees off the rows (right, down) [px].
ALONG = np.array([np.cos(np.deg2rad(20.0)), np.sin(np.deg2rad(20.0))])

MATCHERS: dict[str, dict[str, Any]] = {
    "Regularized": {"matcher": "regularized"},
    "Flow": {"matcher": "flow"},
    "Flow, smoothness 0.3": {"matcher": xoffset.Flow(smoothness=0.3)},
    "NCC 7 px": {"template": 7},
    "NCC 32 px": {"template": 32},
}
DIS = "OpenCV DIS"


def matched(stack: xr.DataArray, name: str, search: int, step: int = 1, mask: xr.DataArray | None = None) -> xr.Dataset:
    """Shifts of one matcher; those of OpenCV as a Dataset of the same form."""
    if name != DIS:
        return xoffset.correlate(stack, xoffset.pairs(stack), search=search, step=step, mask=mask, **MATCHERS[name])
    right, down = _peers.opencv_dis(stack.values if mask is None else stack.where(mask).values)
    place = {"y": stack.y, "x": stack.x}
    fields = {"dx": PIXEL * right, "dy": -PIXEL * down}
    return xr.Dataset({each: (("pair", "y", "x"), values[None]) for each, values in fields.items()}, coords=place)


def names(without: Iterable[str] = ()) -> list[str]:
    """What is compared."""
    every = [*MATCHERS, DIS] if _peers.has("cv2") else list(MATCHERS)
    return [name for name in every if name not in without]


# -------------------------------------------------------------------------------------------------------------- speed


def speed(extent: Extent) -> Rows:
    """CPU time a pixel of the image, tiles, pre-filter, standard errors and labels included."""
    size, repeats = (160, 0) if extent == "small" else (1024, 3)
    stack, _ = pair(size, field="landslide", velocity=30.0, snr=4.0, illumination=0.15, seed=SEEDS[0])
    settings = [("Regularized", 4), ("Regularized", 11), ("Flow", 4), ("Flow", 24), ("Flow, smoothness 0.3", 4)]
    settings += [("NCC 7 px", 4), ("NCC 7 px", 11)]
    calls = {setting: partial(matched, stack, *setting) for setting in settings}
    if _peers.has("cv2"):
        calls[DIS, 0] = partial(_peers.opencv_dis, stack.values)
    seconds = least_cpu_seconds(calls, repeats)
    rows = []
    for (name, search), spent in seconds.items():
        row = {"matcher": name, "size": size, "us a pixel": 1e6 * spent / size**2}
        rows.append(row | ({"search": search} if search else {}))
    return rows


# ----------------------------------------------------------------------------------------------------------- accuracy


def accuracy(extent: Extent) -> Rows:
    """Smooth motion, shearing ground and clouds."""
    size, seeds = (160, SEEDS[:1]) if extent == "small" else (1024, SEEDS)
    return [
        *_worst(lambda seed: _bias(size // 2, seed, extent), seeds),
        *_worst(lambda seed: _landslide(size, seed), seeds),
        *_worst(lambda seed: _fault(size, seed), seeds),
        *_worst(lambda seed: _glacier(size, seed, extent), seeds),
        *_worst(lambda seed: _clouds(size, seed), seeds),
    ]


def _worst(measure: Callable[[int], Rows], seeds: tuple[int, ...] = SEEDS) -> Rows:
    """Rows of the seed whose number is larger, or smaller where it should be large, number by number."""
    first, *others = (measure(seed) for seed in seeds)
    for rows in others:
        for row, other in zip(first, rows, strict=True):
            worse = min if row["better"] == "large" else max
            row.update({key: worse(value, other[key]) for key, value in row.items() if isinstance(value, float)})
    return first


def _row(scene: str, measure: str, values: dict[str, float], better: str = "small") -> dict[str, Any]:
    return {"scene": scene, "measure": measure, "better": better} | {key: float(value) for key, value in values.items()}


def _bias(size: int, seed: int, extent: Extent) -> Rows:
    """Largest median error of ground that moves by whole pixels and a fraction."""
    fractions = (0.25, 0.5) if extent == "small" else np.arange(0.0, 1.0, 0.1)
    found: dict[str, list[float]] = {name: [] for name in names()}
    for fraction in fractions:
        right, down = 2.0 + fraction, -1.0 - fraction
        stack = constant(size, right, down, snr=10.0, seed=seed)
        for name, biases in found.items():
            error = _error(matched(stack, name, 4, step=1 if name != "NCC 32 px" else 4), stack, right, down)
            biases.append(float(np.abs(np.nanmedian(error, axis=(1, 2))).max()))
    return [_row("constant shift, SNR 10", "bias, px", {name: max(biases) for name, biases in found.items()})]


def _landslide(size: int, seed: int) -> Rows:
    stack, truth = pair(size, field="landslide", velocity=30.0, direction=120.0, snr=4.0, illumination=0.15, seed=seed)
    nmad, rmse = {}, {}
    for name in names():
        shifts = matched(stack, name, 4, step=4 if name == "NCC 32 px" else 1)
        error = inner(errors(shifts, truth, shifts), shifts, stack)
        nmad[name] = spread(error)
        rmse[name] = root_mean_square(error[:, inner(moving(truth, shifts), shifts, stack) > MOVES])
    scene = "landslide, SNR 4"
    return [_row(scene, "spread (NMAD), px", nmad), _row(scene, "RMSE where it moves, px", rmse)]


def _fault(size: int, seed: int) -> Rows:
    shape = (size, size)

    def share(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return 2.0 / np.pi * np.arctan(across(rows, columns, shape) / 6.0)

    stack = bent(share, shape, *ALONG, snr=4.0, seed=seed)
    rmse, beside = {}, {}
    for name in names():
        shifts = matched(stack, name, 4, step=4 if name == "NCC 32 px" else 1)
        places = node_places(shifts, stack)
        found = in_pixels(shifts)
        error = found - share(*places) * ALONG[:, None, None]
        rmse[name] = root_mean_square(inner(error, shifts, stack))
        away = inner(across(*places, shape), shifts, stack)
        along = inner(np.tensordot(ALONG, found, 1), shifts, stack)
        near = np.abs(np.abs(away) - 8.0) < 0.5
        beside[name] = np.nanmean((np.sign(away) * along)[near])
    scene = "fault ±1 px, SNR 4"
    return [_row(scene, "RMSE, px", rmse), _row(scene, "at 8 px of the trace (0.590), px", beside, better="large")]


def _glacier(size: int, seed: int, extent: Extent) -> Rows:
    search, speed_a_year = (9, 60.0) if extent == "small" else (24, 200.0)
    stack, truth = pair(size, field="glacier", velocity=speed_a_year, direction=70.0, snr=10.0, seed=seed)
    rmse, outliers = {}, {}
    for name in names(without=["NCC 7 px"]):
        shifts = matched(stack, name, search, step=8 if name == "NCC 32 px" else 1)
        error = inner(errors(shifts, truth, shifts), shifts, stack)
        rmse[name], outliers[name] = root_mean_square(error[:, np.hypot(*error) <= 0.5]), share_of_outliers(error)
    scene = "glacier 20 px, SNR 10"
    return [_row(scene, "RMSE without outliers, px", rmse), _row(scene, "outliers over 0.5 px, %", outliers)]


def _clouds(size: int, seed: int) -> Rows:
    """Outliers on ground that both images show, with clouds left in and masked."""
    stack, truth = pair(
        size, field="landslide", velocity=30.0, direction=120.0, snr=4.0, illumination=0.15, clouds=0.1, nodata=0.05,
        seed=seed,
    )  # fmt: skip
    hidden = (truth.cloud | stack.isnull()).values
    rows = []
    for scene, mask in (("clouds and nodata, SNR 4", None), ("the same, clouds masked", ~truth.cloud)):
        outliers = {}
        for name in names():
            shifts = matched(stack, name, 4, step=4 if name == "NCC 32 px" else 1, mask=mask)
            error = errors(shifts, truth, shifts)
            error[:, _is_hidden(hidden, truth, shifts)] = np.nan
            outliers[name] = share_of_outliers(inner(error, shifts, stack))
        rows.append(_row(scene, "outliers over 0.5 px, %", outliers))
    return rows


# -------------------------------------------------------------------------------------------------------------- steps


def steps(extent: Extent) -> Rows:
    """Small objects that move as one, and a sharp step."""
    size = 128 if extent == "small" else 512
    rows = []
    for radius in (12,) if extent == "small" else (6, 8, 12, 16):
        rows += _worst(partial(_discs, size, radius))
    return [*rows, *_worst(partial(_step, size))]


def _discs(size: int, radius: int, seed: int) -> Rows:
    y, x = np.indices((size, size))
    grid = range(40, size - 30, 64)
    inside = np.any([np.hypot(y - row, x - column) < radius for row in grid for column in grid], axis=0)
    stack = cut_out(inside, (11, -8), snr=4.0, seed=seed)
    away = ~scipy.ndimage.binary_dilation(inside, iterations=8)
    median, outliers = {}, {}
    for name in names():
        shifts = matched(stack, name, 4)
        within, beyond = (_at_nodes(each.astype(float), shifts, stack) == 1.0 for each in (inside, away))
        error = in_pixels(shifts)
        outliers[name] = share_of_outliers(np.where(beyond, error, np.nan))
        # what is lost is as wrong as what is still
        length = np.hypot(error[0] - 2.75, error[1] + 2.0)[within]
        median[name] = np.median(np.nan_to_num(length, nan=3.4))
    scene = f"discs of radius {radius} px moving 3.4 px, SNR 4"
    return [_row(scene, "median error, px", median), _row(scene, "outliers elsewhere, %", outliers)]


def _step(size: int, seed: int) -> Rows:
    """A step of 3 px between two halves that shear past each other, and its sides within 5 px."""
    inside = np.indices((size, size))[0] >= size // 2
    stack = cut_out(inside, (12, 0), snr=4.0, seed=seed)
    error = {}
    for name in names():
        shifts = matched(stack, name, 4)
        away = _at_nodes(np.indices((size, size))[0] - (size / 2 - 0.5), shifts, stack)
        found = in_pixels(shifts) - np.stack([np.where(away > 0.0, 3.0, 0.0), np.zeros_like(away)])
        found = inner(found, shifts, stack)
        near = np.abs(inner(away, shifts, stack)) < 5.5
        error[name] = np.nanmean(np.hypot(*found)[near])
    return [_row("step of 3 px, SNR 4", "mean error 1 to 5 px beside it, px", error)]


# -------------------------------------------------------------------------------------------------------------- sigma


def sigma(extent: Extent) -> Rows:
    """NMAD of error over standard error, where the ground moves and where it stands, along x and y: should be 1."""
    size = 160 if extent == "small" else 1024
    scenes = {
        "landslide, SNR 4": {"field": "landslide", "velocity": 30.0, "snr": 4.0},
        "landslide, SNR 10": {"field": "landslide", "velocity": 30.0, "snr": 10.0},
        "glacier, SNR 4": {"field": "glacier", "velocity": 25.0, "snr": 4.0},
        "constant shift, SNR 4": {"field": "constant", "velocity": 23.0, "snr": 4.0},
    }
    rows = []
    for scene, options in scenes.items():
        stack, truth = pair(size, direction=120.0, illumination=0.15, seed=SEEDS[0], **options)
        for name in names(without=[DIS]):
            shifts = matched(stack, name, 4, step=4 if "NCC" in name else 1)
            error, moves = (
                inner(each, shifts, stack) for each in (errors(shifts, truth, shifts), moving(truth, shifts))
            )
            sigmas = np.stack([shifts[f"sigma_{axis}"].values[0] for axis in ("dx", "dy")]) / PIXEL
            ratio = error / inner(sigmas, shifts, stack)
            for where, is_there in (("moves", moves > MOVES), ("stands", moves <= MOVES)):
                if is_there.mean() > 0.05:
                    dx, dy = (spread(each[is_there][None]) for each in ratio)
                    rows.append({"scene": scene, "where it": where, "matcher": name, "dx": dx, "dy": dy})
    return rows


# --------------------------------------------------------------------------------------------------------------- tile


def tile(extent: Extent) -> Rows:
    """A pair of files matched at every pixel, ±4 px, and written to Zarr in a fresh process with all cores."""
    rows = []
    for side in {"small": (160,), "usual": (2048,), "full": (2048, TILE)}[extent]:
        for matcher in ("regularized", "flow"):
            with tempfile.TemporaryDirectory() as folder:
                write_images(side, Path(folder))
                command = [sys.executable, __file__, MATCH_DENSELY, matcher, folder]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append({"matcher": matcher, "size": side, "cores": os.cpu_count()} | found)
    return rows


MATCH_DENSELY = "--match-densely"

# ----------------------------------------------------------------------------------------------------------- measures


def spread(error: np.ndarray) -> float:
    """Mean of the spreads (NMAD) of the components."""
    middle = np.nanmedian(error.reshape(len(error), -1), axis=1)
    return float(
        np.mean([1.4826 * np.nanmedian(np.abs(each - level)) for each, level in zip(error, middle, strict=True)])
    )


def root_mean_square(error: np.ndarray) -> float:
    """By component, of what is known."""
    return float(np.sqrt(np.nanmean(error**2)))


def share_of_outliers(error: np.ndarray) -> float:
    """Percent of known displacements that are off by more than half a pixel."""
    length = np.hypot(*error)
    return float(100.0 * np.mean(length[np.isfinite(length)] > 0.5))


def inner(values: np.ndarray, shifts: xr.Dataset, stack: xr.DataArray) -> np.ndarray:
    """Values (..., rows, columns) of nodes that are not at the rim of the image."""
    keep = []
    for axis in ("y", "x"):
        first, last = sorted((float(stack[axis][0]), float(stack[axis][-1])))
        found = np.flatnonzero((shifts[axis] > first + RIM * PIXEL) & (shifts[axis] < last - RIM * PIXEL))
        keep.append(slice(found[0], found[-1] + 1))
    return values[(..., *keep)]


def moving(truth: xr.Dataset, shifts: xr.Dataset) -> np.ndarray:
    """Length of the true displacement (rows, columns) in pixels."""
    true = truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
    return np.hypot(true.dx.values, true.dy.values) / PIXEL


def across(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Distance in pixels of places from a trace through the middle that runs along the motion."""
    return (rows - 0.5 * (shape[0] - 1)) * ALONG[0] - (columns - 0.5 * (shape[1] - 1)) * ALONG[1]


def node_places(shifts: xr.Dataset, stack: xr.DataArray) -> list[np.ndarray]:
    """Rows and columns (rows, columns) of nodes in pixels of the image."""
    y, x = np.meshgrid(shifts.y, shifts.x, indexing="ij")
    return [(float(stack.y[0]) - y) / PIXEL, (x - float(stack.x[0])) / PIXEL]


def _error(shifts: xr.Dataset, stack: xr.DataArray, right: float, down: float) -> np.ndarray:
    return inner(in_pixels(shifts) - np.array([right, down])[:, None, None], shifts, stack)


def _at_nodes(values: np.ndarray, shifts: xr.Dataset, stack: xr.DataArray) -> np.ndarray:
    """Values (rows, columns) of pixels at the nodes, between pixels where nodes are."""
    return (
        xr.DataArray(values, dims=("y", "x"), coords={"y": stack.y, "x": stack.x}).interp(x=shifts.x, y=shifts.y).values
    )


def _is_hidden(hidden: np.ndarray, truth: xr.Dataset, shifts: xr.Dataset) -> np.ndarray:
    """Nodes (rows, columns) whose ground is hidden (date, rows, columns) in the reference, or where it went."""
    true = truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
    place = np.meshgrid(shifts.y, shifts.x, indexing="ij")
    answer = np.zeros(place[0].shape, dtype=bool)
    for date, moved in ((0, (0.0, 0.0)), (1, (true.dy.values, true.dx.values))):
        rows = np.rint((float(truth.y[0]) - place[0] - moved[0]) / PIXEL).astype(int)
        columns = np.rint((place[1] + moved[1] - float(truth.x[0])) / PIXEL).astype(int)
        sides = [size - 1 for size in hidden.shape[1:]]
        answer |= hidden[date, rows.clip(0, sides[0]), columns.clip(0, sides[1])]
    return answer


PARTS = (speed, accuracy, steps, sigma, tile)

if __name__ == "__main__":
    if MATCH_DENSELY in sys.argv:
        match_files(Path(sys.argv[-1]), {"search": 4, "step": 1, "matcher": sys.argv[-2]})
    else:
        on_one_core()
        run("dense_matching", PARTS)
