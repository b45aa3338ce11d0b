"""How often the intervals of 68 and 95 % hold the truth: of shifts, series, velocities, steps and seasonal terms.

What an interval is of: the mean motion of the window, over all of its pixels on the reference image, at the dates of
the images. Not that of its centre, and not that of a point. Real textures are moved through time by whole fine pixels,
so that this mean is known exactly; each date has its own noise of real images of stable ground, and lies a fraction of
a pixel apart where ground stands still that this can be told by.

All steps are those of the recipe `glacier`, whose windows have one size: pairs, matches, screen, correction and
calibration where ground stands still, and what it does about sheared ground. Beside it stands the same without that.

python -m validation.experiments.coverage --data ../shared/data          all, some minutes
python -m validation.experiments.coverage --data ../shared/data --small  one stack, to see that it works
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import dask
import numpy as np
import pandas as pd
import rasterio.features
import rasterio.transform
import xarray as xr

import xoffset
from validation.case import Rows
from validation.experiments import noise, scores, textures
from validation.experiments.command import main
from validation.experiments.textures import PIXEL
from xoffset.pipeline.planning import called, make_plan
from xoffset.recipes import Glacier
from xoffset.recipes.base import filled
from xoffset.recipes.own import Own

WINDOW, STEP, SEARCH = 32, 8, 8
# Dates: four a year, so that motion through the year comes in whole fine pixels.
YEARS, A_YEAR = 3, 4
# Of a pixel, at the place that moves most: steady motion in a year, amplitude of the cycle of a year, step.
STEADY, CYCLE, JUMP = 1.0, 0.5, 1.5
# What is said of the motion beforehand: the fastest that is looked for [px a year].
FASTEST = 5.0
# Distance from what moves beyond which ground is stable [px], and vectors on it that a pair needs: scenes of less than
# 2 km have few.
BUFFER, STABLE = 8, 40
TEXTURES = ("rock glacier", "rock and ice", "high mountains", "farmland")
# Noises, places of it and misregistrations that each texture gets with each kind of noise.
SEEDS = 3
QUANTITIES = ("shifts", "series", "velocity", "steady part", "step", "seasonal sine", "seasonal cosine")
# Ground: still, moving as one, and margins by how much the motion of a pair, the longest, differs within a window [px].
KINDS = ("still", "moving", "margin, up to 1 px", "margin, 1 to 2 px", "margin, more than 2 px")
# Kind of windows whose search leaves the image.
OUTSIDE = -1
# The recipe, and the same without what it does about sheared ground, neither the test nor wider standard errors.
WAYS = ("as the recipe", "without sheared")
# Range that no window reaches [px].
UNLIMITED = 100.0
# Fields that leave a good part of the images where they are: there the recipe is told what moves.
WITH_STILL_GROUND = ("landslide",)


class Errors(NamedTuple):
    """Errors and standard errors (..., 2, rows, columns) of one quantity [px, or px a year]."""

    error: np.ndarray
    sigma: np.ndarray


class Measured(NamedTuple):
    """Errors by quantity, the kind (rows, columns) of the ground of each window, and what was looked at."""

    field: str
    noise: str
    way: str
    errors: dict[str, Errors]
    kind: np.ndarray


class Scene(NamedTuple):
    """Images (time, y, x), and what is known of the ground that each pixel shows on the first date, in pixels.

    Where it lies on each date since the first, errors of the images' positions included, and how far it has moved, both
    (time, 2, rows, columns), down and right.
    """

    images: xr.DataArray
    place: np.ndarray
    motion: np.ndarray


# --------------------------------------------------------------------------------------------------------------- scene


def dates_of(years: int) -> np.ndarray:
    """Dates (time), an even part of a year of 365.25 days apart."""
    apart = np.timedelta64(int(365.25 * 86_400_000_000 / A_YEAR), "us")
    return np.datetime64("2018-01-01", "us") + apart * np.arange(A_YEAR * years + 1)


def event_of(dates: np.ndarray) -> np.datetime64:
    """Instant of the step: between the two dates in the middle."""
    return dates[dates.size // 2] - np.timedelta64(30, "D")


def terms(dates: np.ndarray) -> np.ndarray:
    """What motion consists of (term, time): one, years since the middle, sine and cosine of the year, and the step."""
    years = (dates - np.datetime64("2000-01-01")) / np.timedelta64(1, "us") / (365.25 * 86_400_000_000.0)
    middle = 0.5 * (years[0] + years[-1])
    cycle = 2.0 * np.pi * years
    return np.stack([np.ones_like(years), years - middle, np.sin(cycle), np.cos(cycle), dates >= event_of(dates)])


def history(dates: np.ndarray) -> np.ndarray:
    """Displacement (time) of the place that moves most, since the first date [px]."""
    _, years, sine, _, step = terms(dates)
    told = STEADY * years + CYCLE * sine + JUMP * step
    return np.asarray(told - told[0])


def scene(texture: str, field: str, ground: str, folder: Path, years: int, seed: int) -> Scene:
    """Images of moving ground with noise by date.

    Where a part of the ground stands still, each image lies apart by fractions of a pixel: the recipe takes that off.
    """
    told, generator = textures.TEXTURES[texture], np.random.default_rng(seed)
    fine, dates = told.read(folder), dates_of(years)
    share, noises = textures.shares(field, fine.shape), noise.of_dates(ground, folder)
    apart = generator.integers(told.factor, size=(dates.size, 2)) / told.factor
    apart = apart - apart[0] if field in WITH_STILL_GROUND else np.zeros_like(apart)
    images, places, motions = [], [], []
    for moved, by in zip(history(dates), apart, strict=True):
        image, place = textures.moved(fine, moved * share + by[:, None, None], told.factor)
        images.append(noise.added(image, noises[generator.integers(len(noises))], generator))
        places.append(place)
        motions.append(place - by[:, None, None])
    inside = _inside(dates)
    stack = textures.stack_of(list(np.stack(images)[inside]), dates)
    return Scene(stack, np.stack(places)[inside], np.stack(motions)[inside])


def at_rest(texture: str, ground: str, folder: Path, years: int, seed: int) -> xr.DataArray:
    """Images of the same ground that never moves, with other noise."""
    told, generator, dates = textures.TEXTURES[texture], np.random.default_rng(seed), dates_of(years)
    image, noises = textures.averaged(told.read(folder), told.factor), noise.of_dates(ground, folder)
    images = [noise.added(image, noises[generator.integers(len(noises))], generator) for _ in dates]
    return textures.stack_of(list(np.stack(images)[_inside(dates)]), dates)


def _inside(dates: np.ndarray) -> tuple[Any, ...]:
    """The part of the images that nothing comes into from beyond them."""
    rim = int(np.ceil(np.abs(history(dates)).max())) + 1
    return (..., slice(rim, -rim), slice(rim, -rim))


def outlines(scene: Scene) -> dict[str, object]:
    """GeoJSON of the pixels that move on any date."""
    moves = (np.abs(scene.motion) > 0.0).any(axis=(0, 1))
    x, y = scene.images["x"].values, scene.images["y"].values
    transform = rasterio.transform.from_origin(x[0] - 0.5 * PIXEL, y[0] + 0.5 * PIXEL, PIXEL, PIXEL)
    found = rasterio.features.shapes(moves.astype(np.uint8), mask=moves, transform=transform)
    return {"type": "MultiPolygon", "coordinates": [shape["coordinates"] for shape, _ in found]}


# ---------------------------------------------------------------------------------------------------------- the recipe


def recipe_of(scene: Scene, field: str, folder: Path) -> Glacier:
    """The recipe, told what moves where a part of the ground stands still."""
    told = {}
    if field in WITH_STILL_GROUND:
        (folder / "moving.geojson").write_text(json.dumps(outlines(scene)))
        told = {"moving": str(folder / "moving.geojson"), "buffer": BUFFER * PIXEL, "min_nodes": STABLE}
    return Glacier(max_velocity=FASTEST * PIXEL, max_search=SEARCH, **told)


def by_way(scene: Scene, field: str, still: xr.DataArray | None) -> dict[str, dict[str, Any]]:
    """Results of the recipe's steps by their names, for each of `WAYS`; what is matched is the same.

    The ground that stands still is too little to tell standard errors: images of `still` ground beside it do.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(recipe_of(scene, field, Path(folder)), scene.images.chunk({"time": -1}), {})
        names = [name for name in ("stack", "planned", "network", "ground", "matches") if name in plan.results]
        given = dict(zip(names, dask.compute(*(plan.results[name] for name in names)), strict=True))
    beside = None if still is None else xoffset.correlate(still, given["network"], **plan.options_of(xoffset.correlate))
    return {
        way: results_of(replace(plan.recipe, max_range=largest), given, beside)
        for way, largest in zip(WAYS, (Glacier.max_range, UNLIMITED), strict=True)
    }


def results_of(recipe: Own, given: dict[str, Any], beside: xr.Dataset | None) -> dict[str, Any]:
    """Results of all steps of the recipe, of which some are given; matches of ground beside it tell standard errors."""
    results = dict(given)
    for step in recipe.steps:
        if step.folder is not None or step.name in results:
            continue
        if step.call is xoffset.calibrate and beside is not None:
            still = xoffset.screen(beside, **recipe.screen_options)
            everywhere = xr.ones_like(still["dx"].isel(pair=0, drop=True), dtype=bool)
            results[step.name] = xoffset.calibrate(still, everywhere, apply_to=filled(step.subjects[0], results))
        else:
            results[step.name] = called(step, results, {}, None)
    return results


def shifts_of(results: dict[str, Any]) -> xr.Dataset:
    """Shifts as the recipe leaves them to what is made of them."""
    found: xr.Dataset = results.get("calibrated", results["shifts"])
    return found


# ------------------------------------------------------------------------------------------------------------- results


def lagrangian(scene: Scene, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean motion of windows from one date to another, and its range (2, rows, columns) [px].

    Of the ground that is in a window on the first of the two dates: the window stays, and other ground comes into it.
    """
    back = np.rint(-scene.place[first]).astype(np.int64)
    rows, columns = np.indices(back.shape[1:]) + back
    rows, columns = (np.clip(each, 0, size - 1) for each, size in zip((rows, columns), back.shape[1:], strict=True))
    return textures.in_windows((scene.motion[second] - scene.motion[first])[:, rows, columns], WINDOW, STEP)


class Truth(NamedTuple):
    """Motion (pair, 2, rows, columns) [px] of the ground in each window in each pair, and the kind of ground."""

    of_pairs: np.ndarray
    kind: np.ndarray


def truth_of(scene: Scene, ends: tuple[np.ndarray, np.ndarray]) -> Truth:
    """Truth of pairs by the numbers of their two dates; the kind is that of `KINDS`, or `OUTSIDE`."""
    found = [lagrangian(scene, i, j) for i, j in zip(*ends, strict=True)]
    means, ranges = (np.stack([each[k] for each in found]) for k in range(2))
    kind = np.where(np.hypot(means[:, 0], means[:, 1]).max(axis=0) > 0.0, 1, 0)
    for k, limit in enumerate((0.36, 1.0, 2.0)):
        kind = np.where(np.hypot(ranges[:, 0], ranges[:, 1]).max(axis=0) > limit, 2 + k, kind)
    inside = textures.searched(scene.images.shape[1:], WINDOW, SEARCH, STEP)
    return Truth(means, np.where(inside, kind, OUTSIDE).astype(np.int8))


def ends_of(shifts: xr.Dataset, dates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the two dates of each pair (pair,)."""
    first, second = (np.searchsorted(dates, shifts[name].values) for name in ("reference", "secondary"))
    return first, second


def measured(results: dict[str, Any], scene: Scene, truth: Truth, *, widens: bool) -> dict[str, Errors]:
    """Errors of all quantities; what is made of the shifts knows that ground is sheared if it `widens`."""
    shifts, dates = shifts_of(results), scene.images["time"].values
    found, sigma = textures.in_pixels(shifts)
    shared = shifts["sigma_shift"].values / PIXEL if "sigma_shift" in shifts else np.zeros(len(found))
    error = found - truth.of_pairs
    parts = _parts(truth.of_pairs, ends_of(shifts, dates), dates)
    return (
        {"shifts": Errors(error, np.hypot(sigma, shared[:, None, None, None]))}
        | {"series": _of_series(results["series" if widens else "series_of_pairs"], scene)}
        | {"velocity": _of_velocity(shifts, error, parts[1], widens=widens)}
        | _of_terms(shifts, parts, dates, widens=widens)
    )


def _parts(of_pairs: np.ndarray, ends: tuple[np.ndarray, np.ndarray], dates: np.ndarray) -> np.ndarray:
    """Terms (term, 2, rows, columns) of true motions (pair, 2, rows, columns), by least squares; of the first none."""
    every = terms(dates)
    design = (every[:, ends[1]] - every[:, ends[0]])[1:]
    found = np.linalg.lstsq(design.T, of_pairs.reshape(len(of_pairs), -1), rcond=None)[0]
    found = found.reshape(-1, *of_pairs.shape[1:])
    return np.concatenate([np.full_like(found[:1], np.nan), found])


def _of_series(series: xr.Dataset, scene: Scene) -> Errors:
    """Errors of displacements since the reference date of the series, of the ground in each window on that date."""
    moved, of_date = textures.in_pixels(series.rename(time="pair"))
    first = int(np.searchsorted(scene.images["time"].values, np.datetime64(series.attrs["reference"])))
    others = np.delete(np.arange(len(moved)), first)
    true = np.stack([lagrangian(scene, first, int(k))[0] for k in others])
    sigma = np.hypot(of_date, of_date[first])
    if "sigma_shift" in series:
        shared = series["sigma_shift"].values / PIXEL
        sigma = np.hypot(sigma, np.hypot(shared, shared[first])[:, None, None, None])
    return Errors(moved[others] - true, sigma[others])


def _of_terms(shifts: xr.Dataset, true: np.ndarray, dates: np.ndarray, *, widens: bool) -> dict[str, Errors]:
    """Errors of the parts of a motion that are fitted together."""
    parts = xoffset.decompose(shifts, seasonal=True, steps=[event_of(dates)]).squeeze("step", drop=True)
    labels = {"steady part": "v", "step": "step_d", "seasonal sine": "annual_sin_d", "seasonal cosine": "annual_cos_d"}
    values = dict(zip(labels, (true[1], true[4], true[2], true[3]), strict=True))
    return {
        name: _of_product(_as_vectors(parts, label), values[name], shifts, widens) for name, label in labels.items()
    }


def _as_vectors(parts: xr.Dataset, label: str) -> xr.Dataset:
    """One term of a motion as a velocity or as a displacement, which `widen_sheared` takes."""
    wanted = {f"{label}{axis}": f"{label[-1]}{axis}" for axis in "xy"}
    wanted |= {f"sigma_{name}": f"sigma_{new}" for name, new in wanted.items()}
    return parts[list(wanted)].rename(wanted)


def _of_velocity(shifts: xr.Dataset, error: np.ndarray, steady: np.ndarray, *, widens: bool) -> Errors:
    """Errors of the velocity of ground that would move steadily alone, its shifts being as wrong as these.

    A line has no truth where the ground also jumps and swings.
    """
    years = shifts["baseline"].values / 365.25
    seen = (years[:, None, None, None] * steady + error) * PIXEL
    alone = shifts.assign(dx=shifts["dx"].copy(data=seen[:, 1]), dy=shifts["dy"].copy(data=-seen[:, 0]))
    return _of_product(xoffset.velocity(alone), steady, alone, widens)


def _of_product(product: xr.Dataset, true: np.ndarray, shifts: xr.Dataset, widens: bool) -> Errors:
    """Errors of a velocity or a displacement (2, rows, columns)."""
    if widens:
        product = xoffset.widen_sheared(product, shifts=shifts)
    kind = "v" if "vx" in product else "d"
    found = np.stack([-product[f"{kind}y"].values, product[f"{kind}x"].values]) / PIXEL
    sigma = np.stack([product[f"sigma_{kind}{axis}"].values for axis in "yx"]) / PIXEL
    return Errors(found - true, sigma)


def all_measured(folder: Path, *, is_small: bool, part: slice = slice(None)) -> Iterator[Measured]:
    """All stacks, or a part of them, in each of `WAYS`; each texture with each noise is moved by each field in turn."""
    grounds, fields, years = tuple(noise.GROUNDS), tuple(textures.FIELDS), 2 if is_small else YEARS
    combinations = list(enumerate(product(range(SEEDS), TEXTURES, grounds)))
    for k, (seed, texture, ground) in combinations[:1] if is_small else combinations[part]:
        field = fields[(seed + TEXTURES.index(texture) + grounds.index(ground)) % len(fields)]
        made = scene(texture, field, ground, folder, years, k)
        still = at_rest(texture, ground, folder, years, 100 + k) if field in WITH_STILL_GROUND else None
        found = by_way(made, field, still)
        truth = truth_of(made, ends_of(shifts_of(found[WAYS[0]]), made.images["time"].values))
        for way, results in found.items():
            yield Measured(field, ground, way, measured(results, made, truth, widens=way == WAYS[0]), truth.kind)


def table(stacks: list[Measured], *keys: str) -> Rows:
    """Coverage of each quantity by what is named, such as the kind of ground or the noise."""
    gathered: dict[tuple[str, ...], list[tuple[np.ndarray, np.ndarray]]] = {}
    for stack in stacks:
        for quantity, each in stack.errors.items():
            for k, name in enumerate(KINDS):
                told = {"quantity": quantity, "ground": name, "noise": stack.noise, "field": stack.field}
                here = stack.kind == k
                gathered.setdefault(tuple(told[key] for key in keys), []).append(
                    (each.error[..., here].ravel(), each.sigma[..., here].ravel())
                )
    rows = []
    for names, parts in gathered.items():
        error, sigma = (np.concatenate([part[k] for part in parts]) for k in range(2))
        is_known = np.isfinite(error) & np.isfinite(sigma)
        if is_known.sum() < 20:
            continue
        row = dict(zip(keys, names, strict=True)) | {"values": int(is_known.sum()), "known %": 100.0 * is_known.mean()}
        row |= {"rmse px": float(np.sqrt(np.mean(error[is_known] ** 2))), "sigma px": float(np.median(sigma[is_known]))}
        rows.append(row | scores.coverage(error[is_known], sigma[is_known]))
    order = {name: k for k, name in enumerate((*QUANTITIES, *KINDS, *noise.GROUNDS))}
    return sorted(rows, key=lambda row: [order.get(row[key], 0) for key in keys])


def of_points(product: xr.Dataset, gnss: pd.DataFrame) -> dict[str, float]:
    """Coverage of a product at the points of a GNSS table, as `xoffset.compare` takes it, by its residuals' intervals.

    A window's mean motion is not that of a point: where they differ, the share is too small however right sigma is.
    """
    found = xoffset.compare(product, gnss)
    error, sigma = (
        np.stack([found[f"{name}_{axis}"] for axis in ("east", "north")]) for name in ("residual", "sigma_residual")
    )
    return {"points": float(found["n"]), "rmse": float(found["rmse"])} | scores.coverage(error, sigma)


def tables(stacks: list[Measured]) -> dict[str, Rows]:
    """Tables by quantity and ground in each of `WAYS`, and by quantity and noise, and quantity and field."""
    whole, without = ([each for each in stacks if each.way == way] for way in WAYS)
    return {
        "as the recipe": table(whole, "quantity", "ground"),
        "without sheared": table(without, "quantity", "ground"),
        "by noise": table(whole, "quantity", "noise"),
        "by field": table(whole, "quantity", "field"),
    }


def run(folder: Path, *, is_small: bool = False) -> dict[str, Rows]:
    """Tables of all stacks."""
    return tables(list(all_measured(folder, is_small=is_small)))


if __name__ == "__main__":
    main("coverage", run)
