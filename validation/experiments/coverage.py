"""How often the intervals of 68 and 95 % hold the truth: of shifts, series, velocities, steps and seasonal terms.

What an interval is of: the mean motion of the window, over all of its pixels on the reference image, at the dates of
the images. Not that of its centre, and not that of a point. Real textures are moved through time by whole fine pixels,
so that this mean is known exactly; each date has its own noise of real images of stable ground.

python -m validation.experiments.coverage --data ../shared/data          all, some minutes
python -m validation.experiments.coverage --data ../shared/data --small  one stack, to see that it works
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

import xoffset
from validation.case import Rows
from validation.experiments import noise, scores, textures
from validation.experiments.command import main
from validation.experiments.textures import PIXEL

WINDOW, STEP, SEARCH = 32, 8, 8
# Dates: four a year, so that motion through the year comes in whole fine pixels.
YEARS, A_YEAR = 3, 4
# Of a pixel, at the place that moves most: steady motion in a year, amplitude of the cycle of a year, step.
STEADY, CYCLE, JUMP = 1.0, 0.5, 1.5
# Longest pairs, in dates.
LONGEST = 3
TEXTURES = ("rock glacier", "rock and ice", "high mountains", "farmland")
QUANTITIES = ("shifts", "series", "velocity", "steady part", "step", "seasonal sine", "seasonal cosine")
# Ground: still, moving as one, and margins by how much the motion of a pair, the longest, differs within a window [px].
KINDS = ("still", "moving", "margin, up to 1 px", "margin, 1 to 2 px", "margin, more than 2 px")


class Errors(NamedTuple):
    """Errors and standard errors (..., 2, rows, columns) of one quantity [px, or px a year]."""

    error: np.ndarray
    sigma: np.ndarray


class Measured(NamedTuple):
    """Errors by quantity, the kind (rows, columns) of the ground of each window, and what was looked at."""

    field: str
    noise: str
    is_calibrated: bool
    errors: dict[str, Errors]
    kind: np.ndarray


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


def scene(
    texture: str, field: str, ground: str, folder: Path, years: int, seed: int, *, is_still: bool = False
) -> tuple[xr.DataArray, np.ndarray]:
    """Images of moving ground, or of the same at rest, with noise by date, and the motion since the first one [px].

    The motion is (time, 2, rows, columns), down and right.
    """
    told, generator = textures.TEXTURES[texture], np.random.default_rng(seed)
    fine, dates = told.read(folder), dates_of(years)
    share, noises = textures.shares(field, fine.shape), noise.of_dates(ground, folder)
    before = textures.averaged(fine, told.factor)
    at_rest = before, np.zeros((2, *before.shape))
    images, truth = [], []
    for moved in history(dates):
        image, motion = at_rest if is_still else textures.moved(fine, moved * share, told.factor)
        images.append(noise.added(image, noises[generator.integers(len(noises))], generator))
        truth.append(motion)
    rim = int(np.ceil(np.abs(history(dates)).max())) + 1
    inside = (..., slice(rim, -rim), slice(rim, -rim))
    return textures.stack_of(list(np.stack(images)[inside]), dates), np.stack(truth)[inside]


# ------------------------------------------------------------------------------------------------------------- results


def kinds(truth: np.ndarray) -> np.ndarray:
    """Which of `KINDS` each window is (rows, columns); truth (time, 2, rows, columns) [px]."""
    pairs = [truth[k + gap] - truth[k] for gap in range(1, LONGEST + 1) for k in range(len(truth) - gap)]
    spread = np.max([np.hypot(*textures.in_windows(each, WINDOW, STEP)[1]) for each in pairs], axis=0)
    length = np.hypot(*textures.in_windows(truth[-1], WINDOW, STEP)[0])
    found = np.where(length > 0.0, 1, 0)
    for k, limit in enumerate((0.36, 1.0, 2.0)):
        found = np.where(spread > limit, 2 + k, found)
    return found.astype(np.int8)


def lagrangian(truth: np.ndarray, first: int, second: int) -> np.ndarray:
    """Mean motion (2, rows, columns) of windows from one date to another, of the ground in them on the earlier [px].

    The window stays where it is, and other ground comes into it: motion is told where the ground is on that date.
    """
    back = np.rint(-truth[first]).astype(np.int64)
    rows, columns = np.indices(back.shape[1:]) + back
    rows, columns = (np.clip(each, 0, size - 1) for each, size in zip((rows, columns), back.shape[1:], strict=True))
    return textures.in_windows((truth[second] - truth[first])[:, rows, columns], WINDOW, STEP)[0]


def matched(stack: xr.DataArray) -> xr.Dataset:
    """Each date with the next ones, screened."""
    network = xoffset.pairs(stack, max_gap=LONGEST)
    return xoffset.screen(xoffset.correlate(stack, network, template=WINDOW, search=SEARCH, step=STEP))


def calibrated(shifts: xr.Dataset, at_rest: xr.DataArray) -> xr.Dataset:
    """Shifts whose standard errors are scaled to what is seen on the same ground at rest, with other noise."""
    still = matched(at_rest)
    everywhere = xr.DataArray(
        np.ones(still["dx"].shape[1:], bool), coords={"y": still.y, "x": still.x}, dims=("y", "x")
    )
    return xoffset.calibrate(still, everywhere, apply_to=shifts)


def measured(shifts: xr.Dataset, truth: np.ndarray, dates: np.ndarray) -> dict[str, Errors]:
    """Errors of all quantities."""
    found, sigma = textures.in_pixels(shifts)
    ends = [np.searchsorted(dates, shifts[name].values) for name in ("reference", "secondary")]
    true = np.stack([lagrangian(truth, i, j) for i, j in zip(*ends, strict=True)])
    errors = {"shifts": Errors(found - true, sigma)}
    means = np.stack([textures.in_windows(each, WINDOW, STEP)[0] for each in truth])
    series = xoffset.invert(shifts, reference=dates[0])
    moved, of_date = textures.in_pixels(series.rename(time="pair"))
    errors["series"] = Errors((moved - means)[1:], np.hypot(of_date, of_date[:1])[1:])
    return (
        errors
        | _of_terms(shifts, means, dates)
        | {"velocity": _of_velocity(shifts, errors["shifts"].error, means, dates)}
    )


def _parts(means: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """Terms (term, 2, rows, columns) of the true motion (time, 2, rows, columns), by least squares."""
    found = np.linalg.lstsq(terms(dates).T, means.reshape(dates.size, -1), rcond=None)[0]
    return np.asarray(found.reshape(-1, *means.shape[1:]))


def _of_terms(shifts: xr.Dataset, means: np.ndarray, dates: np.ndarray) -> dict[str, Errors]:
    """Errors of the parts of a motion that are fitted together."""
    true = _parts(means, dates)
    parts = xoffset.decompose(shifts, seasonal=True, steps=[event_of(dates)])
    labels = {"steady part": "v{}", "step": "step_d{}", "seasonal sine": "annual_sin_d{}"}
    labels["seasonal cosine"] = "annual_cos_d{}"
    values = dict(zip(labels, (true[1], true[4], true[2], true[3]), strict=True))
    return {name: _of_product(parts, label, values[name]) for name, label in labels.items()}


def _of_velocity(shifts: xr.Dataset, error: np.ndarray, means: np.ndarray, dates: np.ndarray) -> Errors:
    """Errors of the velocity of ground that would move steadily alone, its shifts being as wrong as these.

    A line has no truth where the ground also jumps and swings.
    """
    steady = _parts(means, dates)[1]
    years = shifts["baseline"].values / 365.25
    seen = (years[:, None, None, None] * steady + error) * PIXEL
    alone = shifts.assign(dx=shifts["dx"].copy(data=seen[:, 1]), dy=shifts["dy"].copy(data=-seen[:, 0]))
    return _of_product(xoffset.velocity(alone), "v{}", steady)


def _of_product(product: xr.Dataset, label: str, true: np.ndarray) -> Errors:
    """Errors of a quantity by its label, in which {} stands for the axis."""
    names = [label.format(axis) for axis in "yx"]
    found = np.stack([product[each].squeeze().values for each in names]) / PIXEL
    sigma = np.stack([product[f"sigma_{each}"].squeeze().values for each in names]) / PIXEL
    return Errors(found * np.array([-1.0, 1.0])[:, None, None] - true, sigma)


def all_measured(folder: Path, *, is_small: bool) -> Iterator[Measured]:
    """All stacks, with the standard errors as they are matched, and calibrated; the fields take turns."""
    grounds, years = tuple(noise.GROUNDS), 2 if is_small else YEARS
    combinations = list(product(TEXTURES, grounds))[: 1 if is_small else None]
    for k, (texture, ground) in enumerate(combinations):
        field = tuple(textures.FIELDS)[sum(divmod(k, len(grounds))) % len(textures.FIELDS)]
        stack, truth = scene(texture, field, ground, folder, years, k)
        at_rest, _ = scene(texture, field, ground, folder, years, 100 + k, is_still=True)
        shifts, dates, kind = matched(stack), stack["time"].values, kinds(truth)
        yield Measured(field, ground, False, measured(shifts, truth, dates), kind)
        yield Measured(field, ground, True, measured(calibrated(shifts, at_rest), truth, dates), kind)


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
        row = dict(zip(keys, names, strict=True)) | {"values": int(is_known.sum())}
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


def run(folder: Path, *, is_small: bool = False) -> dict[str, Rows]:
    """Tables by quantity and ground, as matched and calibrated, and by quantity and noise."""
    stacks = list(all_measured(folder, is_small=is_small))
    raw, scaled = ([each for each in stacks if each.is_calibrated is is_it] for is_it in (False, True))
    return {
        "as matched": table(raw, "quantity", "ground"),
        "calibrated": table(scaled, "quantity", "ground"),
        "by noise": table(scaled, "quantity", "noise"),
    }


if __name__ == "__main__":
    main("coverage", run)
