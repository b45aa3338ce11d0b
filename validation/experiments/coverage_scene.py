"""Stacks of images of ground that moves in a known way through time, and all steps of a recipe on them."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import dask
import numpy as np
import rasterio.features
import rasterio.transform
import xarray as xr

import xoffset
from validation.experiments import noise, textures
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
# The recipe, and the same without what it does about sheared ground, neither the test nor wider standard errors.
WAYS = ("as the recipe", "without sheared")
# Range that no window reaches [px].
UNLIMITED = 100.0
# Fields that leave a good part of the images where they are: there the recipe is told what moves.
WITH_STILL_GROUND = ("landslide",)


class Scene(NamedTuple):
    """Images (time, y, x), and what is known of the ground that each pixel shows on the first date, in pixels.

    Where it lies on each date since the first, errors of the images' positions included, and how far it has moved, both
    (time, 2, rows, columns), down and right.
    """

    images: xr.DataArray
    place: np.ndarray
    motion: np.ndarray


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
