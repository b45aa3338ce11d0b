"""How slow a landslide do 150 free images of 10 m reveal? One of 20 cm a year, by the whole recipe, not tuned to it.

python -m validation.experiments.slow_landslide          all, half an hour of one core
python -m validation.experiments.slow_landslide --small  few images, to see that it works
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
import xarray as xr

import xoffset
from validation.case import Rows
from validation.experiments import scores, slow_scene
from validation.experiments.command import main
from validation.experiments.slow_scene import BUFFER, DIRECTION, MOVING, PIXEL, PLACE, STILL, YEARS, Scene
from xoffset._arrays import acquisition
from xoffset.pipeline.planning import make_plan
from xoffset.recipes import Landslide

RATE = 0.2  # m a year
# What is said of the motion beforehand: the fastest that is looked for [m yr-1].
FASTEST = 1.0
DATES, SIDE, SEEDS = 150, 288, (0,)
WINDOWS: dict[str, tuple[int, ...]] = {"32": (32,), "16, 32, 64": (16, 32, 64), "16": (16,)}
USUAL = "32"  # window that theory speaks of
# Windows of which the means of places are taken, too.
WHOLE = ("32", "16, 32, 64")
# Probability of a false alarm, of detection, and the multiple of the standard error that both ask for together.
ALARM, FOUND = 0.01, 0.95
THRESHOLD = float(scipy.stats.norm.isf(ALARM))
ASKED = THRESHOLD + float(scipy.stats.norm.ppf(FOUND))
WHITE = 0.05  # px, noise of a date that theory takes


class Rates(NamedTuple):
    """Velocity down the slope and across it (2, n) [cm yr-1], standard errors, and true velocity, of one or more runs.

    Of windows that lie within a place, or of the means of places.
    """

    velocity: np.ndarray
    sigma: np.ndarray
    truth: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Velocity less the truth (2, n)."""
        return self.velocity - self.truth


# ----------------------------------------------------------------------------------------------------------- the recipe


class Made(NamedTuple):
    """What the recipe made of a scene: shifts after its screen, stable ground, and its velocity."""

    shifts: xr.Dataset
    ground: xr.DataArray
    velocity: xr.Dataset


def recipe_of(scene: Scene, window: tuple[int, ...], folder: Path) -> Landslide:
    """The recipe: what lies within the outlines may move, what is farther than `BUFFER` does not."""
    outlines = folder / "outlines.geojson"
    outlines.write_text(json.dumps(scene.polygons((*MOVING, *STILL))))
    return Landslide(max_velocity=FASTEST, moving=str(outlines), buffer=BUFFER, window=window)


def screened(scene: Scene, window: tuple[int, ...]) -> tuple[xr.Dataset, xr.DataArray]:
    """Shifts after the screen of the recipe, and its stable ground."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = recipe_of(scene, window, Path(folder))
        results = make_plan(recipe, scene.images.chunk({"time": -1}), {}).results
        return results["shifts"].compute(), results["ground"].compute()


def made_of(scene: Scene, window: tuple[int, ...]) -> Made:
    """What a whole run of the recipe makes of a scene."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = recipe_of(scene, window, Path(folder))
        images = scene.images.chunk({"time": -1})
        products = xoffset.run(recipe, images, Path(folder) / "out")
        ground = make_plan(recipe, images, {}).results["ground"].compute()
        return Made(products["shifts"].load(), ground, products["velocity"].load())


def corrections(scene: Scene) -> dict[str, dict[str, Any] | None]:
    """Options of `correct` by what they take off; those of the recipe are `BY_DATE`."""
    of_recipe = {"order": "plane", "by_date": True}
    along = xoffset.Jitter(heading=acquisition.HEADING)
    return {
        "nothing": None,
        "shift": {"order": 0},
        "plane": {"order": "plane"},
        BY_DATE: of_recipe,
        "plane, by date, and detectors": {**of_recipe, "stripes": scene.detector},
        "plane, by date, and jitter": {**of_recipe, "jitter": along},
    }


BY_DATE = "plane, by date"
RECIPE = "the recipe: plane, by date, and a term of the sun"


def rate_of(shifts: xr.Dataset, ground: xr.DataArray, options: dict[str, Any] | None) -> xr.Dataset:
    """Velocity from screened shifts with these corrections, with neither a term of the sun nor wider errors."""
    if options is not None:
        shifts = xoffset.correct(shifts, stable=ground, min_nodes=100, **options)
    return xoffset.velocity(xoffset.calibrate(shifts, ground))


def with_cycle(shifts: xr.Dataset, ground: xr.DataArray) -> xr.Dataset:
    """Velocity with the recipe's corrections, and a cycle of a year in place of the sun."""
    shifts = xoffset.correct(shifts, stable=ground, min_nodes=100, order="plane", by_date=True)
    return xoffset.decompose(xoffset.calibrate(shifts, ground), seasonal=True)


# --------------------------------------------------------------------------------------------------------- what it told


def _turned(rate: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Velocity down the slope and across it (2, ...) [cm yr-1], and standard errors."""
    east, north = np.sin(np.deg2rad(DIRECTION)), np.cos(np.deg2rad(DIRECTION))
    vx, vy, sx, sy = (100.0 * rate[name].values for name in ("vx", "vy", "sigma_vx", "sigma_vy"))
    velocity = np.stack([vx * east + vy * north, -vx * north + vy * east])
    return velocity, np.stack([np.hypot(sx * east, sy * north), np.hypot(sx * north, sy * east)])


def of_windows(rate: xr.Dataset, scene: Scene, side: int, places: tuple[int, ...]) -> Rates:
    """Windows of a side [px] that lie within places."""
    first = {"y": scene.images["y"].values[0], "x": scene.images["x"].values[0]}
    row, column = ((first["y"] - rate["y"].values) / PIXEL, (rate["x"].values - first["x"]) / PIXEL)
    velocity, sigma = _turned(rate)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for place in places:
        inside = np.logical_and.outer(
            *(
                (at >= corner - 0.5 + 0.5 * side) & (at <= corner + PLACE - 0.5 - 0.5 * side)
                for at, corner in zip((row, column), scene.corners[place], strict=True)
            )
        )
        truth = np.zeros((2, int(inside.sum())))
        truth[0] = 100.0 * scene.rate if place in MOVING else 0.0
        found.append((velocity[:, inside], sigma[:, inside], truth))
    return Rates(*(np.concatenate(each, axis=1) for each in zip(*found, strict=True)))


def of_places(rate: xr.Dataset, ground: xr.DataArray, scene: Scene, places: tuple[int, ...]) -> Rates:
    """Means over places."""
    found = []
    for place in places:
        mean = xoffset.area_mean(rate, scene.polygons((place,)), stable=ground)
        velocity, sigma = _turned(mean)
        found.append((velocity, sigma, np.array([100.0 * scene.rate if place in MOVING else 0.0, 0.0])))
    return Rates(*(np.stack(each, axis=1) for each in zip(*found, strict=True)))


def joined(parts: list[Rates]) -> Rates:
    """Rates of several runs."""
    return Rates(*(np.concatenate(each, axis=1) for each in zip(*parts, strict=True)))


def numbers(rates: Rates) -> dict[str, float]:
    """What was found of 20 cm a year, and what was seen where nothing moves, at a nominal 1 % of false alarms."""
    known = np.isfinite(rates.velocity).all(axis=0)
    if known.sum() < 2:
        return {"values": float(known.size), "known %": 100.0 * float(known.mean())}
    velocity, sigma, truth = (each[:, known] for each in rates)
    error, moves = velocity - truth, truth[0] > 0.0
    z = velocity / sigma
    nothing = np.concatenate([z[0, ~moves], z[1]])  # across the slope nothing moves anywhere
    rmse = float(np.sqrt(np.mean(error**2)))
    return {
        "values": float(velocity[0].size),
        "known %": 100.0 * float(known.mean()),
        "bias cm/yr": float(error[0, moves].mean()),
        "rmse cm/yr": rmse,
        "sigma cm/yr": float(np.median(sigma)),
        **scores.coverage(error, sigma),
        "false alarms %": 100.0 * float((np.abs(nothing) > THRESHOLD).mean()) / 2.0,
        "found %": 100.0 * float((z[0, moves] > THRESHOLD).mean()),
        "smallest rate cm/yr": ASKED * rmse,
    }


def theory(dates: np.ndarray, noise: float = WHITE) -> float:
    """Standard error [cm yr-1] of a line through dates with white noise [px]."""
    years = (dates - dates[0]) / np.timedelta64(1, "us") / (365.25 * 86_400_000_000.0)
    return float(100.0 * noise * PIXEL / np.sqrt(((years - years.mean()) ** 2).sum()))


def expected(rate: float, sigma: float) -> float:
    """Share [%] of values with normal errors in which a rate is told from zero, at 1 % of false alarms."""
    return 100.0 * float(scipy.stats.norm.sf(THRESHOLD - rate / sigma))


def detection(rates: Rates) -> Rows:
    """Share of the windows in which a rate is told from zero, the errors being those that were seen, beside theory.

    The threshold is that which 1 % of the windows exceed where nothing moves. Motion adds to errors: it is too small to
    change them.
    """
    known = np.isfinite(rates.velocity).all(axis=0)
    error, sigma = rates.error[:, known], rates.sigma[:, known]
    z, scale = (error / sigma).ravel(), sigma.ravel()
    threshold = float(np.quantile(np.concatenate([z, -z]), 1.0 - ALARM))
    rows = []
    for rate in np.arange(0.0, 40.1, 2.0):
        found = np.concatenate([(rate + sign * error.ravel()) / scale > threshold for sign in (1.0, -1.0)])
        rows.append({"rate cm/yr": float(rate), "found %": 100.0 * float(found.mean())})
    return rows


# ------------------------------------------------------------------------------------------------------------------ run


class Runs:
    """Rates of windows and of places by name, gathered over scenes."""

    def __init__(self) -> None:
        self.windows: dict[tuple[str, str], list[Rates]] = {}
        self.places: dict[tuple[str, str], list[Rates]] = {}

    def add(self, kind: str, name: str, rate: xr.Dataset, scene: Scene, side: int, ground: xr.DataArray | None) -> None:
        """Add the rates of one scene; with stable ground those of the places as wholes, too."""
        everywhere = (*MOVING, *STILL)
        self.windows.setdefault((kind, name), []).append(of_windows(rate, scene, side, everywhere))
        if ground is not None:
            self.places.setdefault((kind, name), []).append(of_places(rate, ground, scene, everywhere))

    def table(self, kind: str, column: str) -> Rows:
        """Rows of one kind: of single windows, and of the means of places."""
        rows = []
        for of, found in (("one window", self.windows), ("mean of a place", self.places)):
            for (which, name), parts in found.items():
                if which == kind:
                    rows.append({column: name, "of": of} | numbers(joined(parts)))
        return rows


def of_each_window(runs: Runs, scene: Scene, windows: dict[str, tuple[int, ...]]) -> None:
    """Rates of the recipe with each window, and of its corrections alone."""
    for name, window in windows.items():
        made = made_of(scene, window)
        side = window[0] if len(window) == 1 else int(USUAL)
        ground = made.ground if name in WHOLE else None
        runs.add("window", name, made.velocity, scene, side, ground)
        runs.add("without", name, rate_of(made.shifts, made.ground, corrections(scene)[BY_DATE]), scene, side, ground)


def of_each_correction(runs: Runs, scene: Scene) -> None:
    """Rates of the usual window with each correction."""
    made = made_of(scene, WINDOWS[USUAL])
    rates = {name: rate_of(made.shifts, made.ground, options) for name, options in corrections(scene).items()}
    rates |= {f"{BY_DATE}, and a cycle of a year": with_cycle(made.shifts, made.ground), RECIPE: made.velocity}
    for name, rate in rates.items():
        runs.add("corrected", name, rate, scene, int(USUAL), None)


def of_fewer_errors(runs: Runs, dates: np.ndarray, seed: int) -> None:
    """Rates of the usual window from images with white noise alone."""
    white = slow_scene.photographed(RATE, dates, SIDE, seed, white=True)
    shifts, ground = screened(white, WINDOWS[USUAL])
    runs.add("errors", "white noise alone", rate_of(shifts, ground, None), white, int(USUAL), None)


def one_scene(runs: Runs, seed: int, *, is_small: bool) -> np.ndarray:
    """All runs of one scene; its dates. Corrections are compared on every second date."""
    dates = slow_scene.acquisitions(30 if is_small else DATES, np.random.default_rng([seed, 8]))
    scene = slow_scene.photographed(RATE, dates, SIDE, seed)
    of_each_window(runs, scene, {USUAL: WINDOWS[USUAL]} if is_small else WINDOWS)
    if not is_small:
        of_fewer_errors(runs, dates[::2], seed)
    of_each_correction(runs, replace(scene, images=scene.images[:: 1 if is_small else 2]))
    return dates


def run(folder: Path | None = None, *, is_small: bool = False) -> dict[str, Rows]:
    """Tables by window with and without the sun, by correction, of white noise, the curve, and the errors."""
    runs = Runs()
    for seed in SEEDS[: 1 if is_small else None]:
        dates = one_scene(runs, seed, is_small=is_small)
    return tables_of(runs, dates)


def tables_of(runs: Runs, dates: np.ndarray) -> dict[str, Rows]:
    """Tables of all that was gathered."""
    usual = joined(runs.windows["window", USUAL])
    sigma = theory(dates)
    known = {"theory": sigma, "mean of a place": numbers(joined(runs.places["window", USUAL]))["rmse cm/yr"]}
    curve = [
        row | {f"{name} %": expected(row["rate cm/yr"], each) for name, each in known.items()}
        for row in detection(usual)
    ]
    tables = {
        "windows": runs.table("window", "window px"),
        "without the sun": runs.table("without", "window px"),
        "corrections": runs.table("corrected", "corrected"),
        "fewer errors": runs.table("errors", "images"),
        "theory": [
            {
                "dates": each.size,
                "years": YEARS,
                "sigma cm/yr": theory(each),
                "smallest rate cm/yr": ASKED * theory(each),
            }
            for each in (dates, dates[::2])
        ],
        "detection": curve,
        "errors": [{"error": name} | error._asdict() for name, error in slow_scene.ERRORS.items()],
    }
    return {name: rows for name, rows in tables.items() if rows}


if __name__ == "__main__":
    main("slow_landslide", run)
