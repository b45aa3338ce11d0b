"""Scenes of our own recipes, what recipes make of them, and an image that a fault cuts."""

import functools
import json
from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401, registers `.rio`
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.pipeline.planning import make_plan

# Sides of images that are tall, or wide [px]: what moves is in the middle, and ground that stands still beside it.
LONG, SHORT = 448, 224
DATES = np.arange("2020-01-01", "2020-09-01", 48, dtype="datetime64[D]")


@functools.cache
def landslide():
    """A landslide toward the east, with noise, and images that are misplaced; lazy, and the truth about it."""
    stack, truth = synthetic.stack(
        (LONG, SHORT), dates=DATES, field="landslide", velocity=60.0, direction=90.0, snr=6.0, misregistration=3.0,
        illumination=0.1, seed=5,
    )  # fmt: skip
    return stack.chunk(), truth


@functools.cache
def glacier():
    """Ice that flows east through a trough, by up to 10 px from one date to the next; lazy, and the truth about it."""
    dates = np.arange("2020-01-01", "2020-06-01", 30, dtype="datetime64[D]")
    stack, truth = synthetic.stack(
        (LONG, SHORT), dates=dates, field="glacier", velocity=1200.0, direction=90.0, snr=6.0, misregistration=3.0,
        seed=6,
    )  # fmt: skip
    return stack.chunk(), truth


@functools.cache
def earthquake():
    """Two sides of a fault toward the north, three images before it slipped and three after; lazy, and the truth."""
    dates = np.arange("2020-01-01", "2020-07-01", 30, dtype="datetime64[D]")[:6]
    stack, truth = synthetic.stack(
        (SHORT, LONG), dates=dates, field="fault", velocity=0.0, step=8.0, step_date="2020-03-20", direction=0.0,
        snr=6.0, misregistration=3.0, ramp=2.0, seed=7,
    )  # fmt: skip
    return stack.chunk(), truth


def seen(truth, shifts, window):
    """Velocity (y, x) that windows at fixed places see: of the ground that is there on the first date of each pair."""
    size = {"vx": (window, window), "vy": (window, window)}
    mean = truth[["vx", "vy"]].map(
        lambda each: each.copy(data=scipy.ndimage.uniform_filter(each.values, size[each.name]))
    )
    if window % 2 == 0:
        # the middle of such a window is half a pixel before the pixel that the filter puts its mean at
        half = {dim: 0.5 * float(mean[dim][1] - mean[dim][0]) for dim in ("x", "y")}
        mean = mean.assign_coords({dim: mean[dim].values - each for dim, each in half.items()})
    y, x = xr.broadcast(shifts.y, shifts.x)
    found = []
    for date in shifts.reference.values:
        moved, x0, y0 = truth[["dx", "dy"]].sel(time=date), x, y
        for _ in range(8):
            here = moved.interp(x=x0, y=y0)
            x0, y0 = x - here.dx.drop_vars(["x", "y"]), y - here.dy.drop_vars(["x", "y"])
        found.append(mean.interp(x=x0, y=y0)[["vx", "vy"]].drop_vars(["x", "y"]))
    return xr.concat(found, dim="pair").mean("pair").assign_coords(x=shifts.x, y=shifts.y)


def made(recipe, name, scenes):
    """A result of a recipe, by its name among the steps."""
    found = make_plan(recipe, scenes, {}).results[name]
    return found.compute() if hasattr(found, "compute") else found


def write_shape(path, like, kind, pixels, epsg=32632):
    """GeoJSON of a Polygon, or a LineString, through these pixels (row, column)."""
    points = [[float(like.x[column]), float(like.y[row])] for row, column in pixels]
    coordinates = [[*points, points[0]]] if kind == "Polygon" else points
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": kind, "coordinates": coordinates}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [shape]}))
    return str(path)


def write_rectangle(path, like, rows, columns):
    """GeoJSON of a rectangle between these rows and columns."""
    (first, last), (left, right) = rows, columns
    return write_shape(path, like, "Polygon", [(first, left), (first, right), (last, right), (last, left)])


def warped_by_a_fault(folder: Path, strike: str) -> tuple[xr.DataArray, float]:
    """A real image and the same with its two sides moved against each other, and the slip between them [m].

    Both sides of a line are moved by whole fine pixels, then areas are averaged: nothing is interpolated.
    """
    files = folder / "kaiserberg_rock_glacier" / "ortho_2020.tif"
    fine = xoffset.open_stack([files], date="ortho_%Y")[0].isel(x=slice(1300, 2100), y=slice(0, 640)).astype(float)
    values = fine.values.T if strike == "east" else fine.values
    half, moved, coarse = values.shape[1] // 2, 3, 4
    warped = np.concatenate(
        [np.roll(values[:, :half], moved, axis=0), np.roll(values[:, half:], -moved, axis=0)], axis=1
    )
    pair = np.stack([values, warped]) if strike == "north" else np.stack([values.T, warped.T])
    side = abs(float(fine.x[1] - fine.x[0]))
    time = np.array(["2020-01-01", "2020-04-01"], dtype="datetime64[us]")
    stack = xr.DataArray(pair, dims=("time", "y", "x"), coords={"time": time, "y": fine.y, "x": fine.x})
    stack = stack.coarsen(y=coarse, x=coarse, boundary="trim").mean().rio.write_crs("EPSG:31254")
    return stack, 2 * moved * side


def slip_of(displacement: xr.Dataset, stack: xr.DataArray, strike: str, near: float) -> float:
    """Slip [m] across the middle of a stack, of straight lines through both sides from `near` to 45 px beside it."""
    along, axis = (displacement.dy, "x") if strike == "north" else (displacement.dx, "y")
    across = (displacement[axis] - stack[axis].mean()) / abs(stack[axis][1] - stack[axis][0])
    across = across.broadcast_like(along).transpose(*along.dims).values
    ends = []
    for sign in (1.0, -1.0):
        is_of = (sign * across > near) & (sign * across < 45) & np.isfinite(along.values)
        ends.append(np.polyfit(across[is_of], along.values[is_of], 1)[1])
    return abs(ends[0] - ends[1])
