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

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

import xoffset
from validation.case import Rows
from validation.experiments import noise, scores, textures
from validation.experiments.command import main
from validation.experiments.coverage_scene import (
    SEARCH,
    STEP,
    WAYS,
    WINDOW,
    WITH_STILL_GROUND,
    YEARS,
    Scene,
    at_rest,
    by_way,
    event_of,
    scene,
    shifts_of,
    terms,
)
from validation.experiments.textures import PIXEL

TEXTURES = ("rock glacier", "rock and ice", "high mountains", "farmland")
# Noises, places of it and misregistrations that each texture gets with each kind of noise.
SEEDS = 3
QUANTITIES = ("shifts", "series", "velocity", "steady part", "step", "seasonal sine", "seasonal cosine")
# Ground: still, moving as one, and margins by how much the motion of a pair, the longest, differs within a window [px].
KINDS = ("still", "moving", "margin, up to 1 px", "margin, 1 to 2 px", "margin, more than 2 px")
# Kind of windows whose search leaves the image.
OUTSIDE = -1


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
