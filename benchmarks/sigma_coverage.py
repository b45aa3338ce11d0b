"""What sigma covers: errors beside standard errors by kind of images, networks and motion, and beside those of others.

python benchmarks/sigma_coverage.py                     all, under two minutes
python benchmarks/sigma_coverage.py networks            one part
python benchmarks/sigma_coverage.py --small             few windows, to see that it works
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from _measure import Extent, Rows, run
from _scenes import PIXEL, constant, in_pixels, searched

import xoffset
from xoffset.model import products

DAY = np.timedelta64(1, "D")
YEAR = 365.25
# Numbers of one kind: error over standard error, both in one unit, and whether a flag warns of the value.
Errors = tuple[np.ndarray, np.ndarray, np.ndarray]


def row(kind: str, quantity: str, ours: Errors, other: tuple[np.ndarray, np.ndarray] | None = None) -> dict[str, Any]:
    """Coverage of the intervals of 95 % and RMSE over the median sigma, of values without a flag; and of others."""
    error, sigma, is_flagged = (np.ravel(each) for each in ours)
    is_known = np.isfinite(error)
    found: dict[str, Any] = {"kind": kind, "quantity": quantity, "values": int(is_known.sum())}
    found["known %"] = 100.0 * float(is_known.mean())
    found["flagged %"] = 100.0 * float(np.mean(is_flagged[is_known])) if is_known.any() else 0.0
    found |= _judged("", error[~is_flagged], sigma[~is_flagged])
    if other is not None:
        found |= _judged("residual-scaled ", np.ravel(other[0]), np.ravel(other[1]))
    return found


def _judged(name: str, error: np.ndarray, sigma: np.ndarray) -> dict[str, float]:
    """Nothing where there is nothing to judge; a value without a standard error is not covered."""
    is_known = np.isfinite(error)
    error, sigma = error[is_known], sigma[is_known]
    has_sigma = np.isfinite(sigma)
    if not has_sigma.any():
        return {}
    covered = np.abs(error) < 1.96 * np.where(has_sigma, sigma, 0.0)
    return {
        f"{name}covered %": 100.0 * float(covered.mean()),
        f"{name}rmse / sigma": float(np.sqrt(np.mean(error**2)) / np.median(sigma[has_sigma])),
    }


# ------------------------------------------------------------------------------------------------------------- matches


def matched(stack: xr.DataArray, **options: Any) -> xr.Dataset:
    """Screened shifts of the first pair."""
    options = {"template": 32, "search": 8, "step": 16} | options
    return xoffset.screen(xoffset.correlate(stack, xoffset.pairs(stack), **options))


def errors(shifts: xr.Dataset, true: np.ndarray) -> Errors:
    """Of matches in pixels along x and down, beside the true ones (2, rows, columns)."""
    sigma = np.stack([shifts.sigma_dx.values[0], shifts.sigma_dy.values[0]]) / PIXEL
    return in_pixels(shifts) - true, sigma, np.zeros(sigma.shape, bool)


def residual_scaled(shifts: xr.Dataset, stack: xr.DataArray, side: int, step: int) -> np.ndarray:
    """Standard errors of textbooks [px]: variance of the residuals, 2 V (1 - score), over the sum of squared slopes."""
    image = stack.values[0].astype(np.float64)
    slopes = np.gradient(image)
    rows, columns = shifts.dx.shape[1:]
    out = np.empty((2, rows, columns))
    for y in range(rows):
        for x in range(columns):
            window = slice(y * step, y * step + side), slice(x * step, x * step + side)
            residual = 2.0 * np.nanvar(image[window]) * max(1.0 - float(shifts.score[0, y, x]), 0.0)
            for axis, slope in enumerate(slopes[::-1]):
                out[axis, y, x] = np.sqrt(residual / max(np.nansum(slope[window] ** 2), 1e-30))
    return out


def gathered(kind: str, stacks: list[tuple[xr.DataArray, Any]], **options: Any) -> dict[str, Any]:
    """Row of matches of some stacks, each with its truth."""
    ours, theirs = [], []
    side, step = options.get("template", 32), options.get("step", 16)
    for stack, true in stacks:
        shifts = matched(stack, **options)
        at_nodes = true(shifts) if callable(true) else np.asarray(true)[:, None, None]
        inside = searched(shifts)
        found = tuple(each[:, inside] for each in errors(shifts, at_nodes))
        ours.append(found)
        theirs.append(residual_scaled(shifts, stack, side, step)[:, inside])
    joined = tuple(np.concatenate([each[k].ravel() for each in ours]) for k in range(3))
    return row(kind, "match", joined, (joined[0], np.concatenate([each.ravel() for each in theirs])))


def curved(seed: int, rows: int = 320, columns: int = 160) -> tuple[xr.DataArray, Any]:
    """Waves whose ground moves by up to 4.5 px in a bend of 60 px, with noise; and the truth at nodes."""
    rng = np.random.default_rng(seed)
    waves, noise = 300, 0.05

    def motion(row: np.ndarray) -> np.ndarray:
        return 4.5 * np.tanh((row - rows / 2) / 60.0)

    length = np.exp(rng.uniform(np.log(5.0), np.log(40.0), waves))
    angle, phase = rng.uniform(0.0, 2.0 * np.pi, (2, waves))
    along, down = 2.0 * np.pi * np.cos(angle) / length, 2.0 * np.pi * np.sin(angle) / length
    row, column = np.arange(float(rows)), np.arange(float(columns))

    def image(place: np.ndarray) -> np.ndarray:
        # a sum of products, since every wave is one of the row and the column
        left, right = np.exp(1j * (np.outer(place, down) + phase)), np.exp(1j * np.outer(column, along))
        return (left @ right.T).real + noise * np.sqrt(waves / 2.0) * rng.standard_normal((rows, columns))

    # what is at row r of the second image was at r + motion(r) in the first
    pixels = 1000.0 + 10.0 * np.stack([image(row), image(row + motion(row))])
    time = np.array(["2020-01-01", "2020-12-31"], "M8[us]")
    x, y = PIXEL * np.arange(columns), -PIXEL * np.arange(rows)
    stack = products.stack(pixels.astype("f4"), time=time, x=x, y=y, crs=None, attrs={})

    def true(shifts: xr.Dataset) -> np.ndarray:
        wanted = np.interp(-shifts.y.values / PIXEL, row + motion(row), -motion(row))
        return np.stack([np.zeros(shifts.dx.shape[1:]), np.broadcast_to(wanted[:, None], shifts.dx.shape[1:])])

    return stack, true


def holes(stack: xr.DataArray, kind: str, seed: int) -> xr.DataArray:
    """Stack with a fifth of its pixels unknown."""
    rng = np.random.default_rng(seed)
    shape = stack.shape
    if kind == "scattered":
        return stack.where(rng.random(shape) > 0.1)
    if kind == "static":
        return stack.where(np.broadcast_to(rng.random(shape[1:]) > 0.2, shape))
    row, column = np.mgrid[: shape[1], : shape[2]]
    gaps = [(row + 0.2 * column + shift) % 33 < 6 for shift in (0, 15)]
    return stack.where(~np.stack(gaps))


def matches(extent: Extent) -> Rows:
    """Matches of pairs of images."""
    size, seeds = (128, 1) if extent == "small" else (256, 2)
    right, down = 1.99, 1.15
    stacks = [constant(size, right, down, snr=4.0, seed=seed) for seed in range(seeds)]
    rows = [gathered("whole windows", [(stack, (right, down)) for stack in stacks])]
    for share in (0.8, 0.9):
        clipped = [np.minimum(stack, float(np.quantile(stack, 1.0 - share))) for stack in stacks]
        rows.append(gathered(f"{share:.0%} clipped", [(stack, (right, down)) for stack in clipped]))
    bends = [curved(seed) for seed in range(seeds)]
    for refine in ("icgn", "affine"):
        options = {"step": 8, "matcher": xoffset.NCC(refine=refine)}
        rows.append(gathered(f"curved motion, {refine}", bends, **options))
    sharp = [constant(size, right, down, snr=100.0, seed=seed) for seed in range(seeds)]
    rows.append(gathered("hardly any noise", [(stack, (right, down)) for stack in sharp]))
    for kind in ("scattered", "static", "striped"):
        for matcher in ("ncc", "phase"):
            open_stacks = [(holes(stack, kind, seed), (right, down)) for seed, stack in enumerate(stacks)]
            rows.append(
                gathered(f"{kind} holes, {matcher}", open_stacks, template=64 if size > 128 else 32, matcher=matcher)
            )
    return rows


def unrelated(extent: Extent) -> Rows:
    """Windows of unrelated ground that pass, where few bright points carry the contrast: almost none should."""
    size, found = 128 if extent == "small" else 256, []
    for share in (0.0, 0.001, 0.01, 0.03):
        rng = np.random.default_rng(0)
        pixels = (rng.random((2, size, size)) < share) * 500.0 + rng.standard_normal((2, size, size))
        time = np.array(["2020-01-01", "2021-01-01"], "M8[us]")
        x = PIXEL * np.arange(size)
        stack = products.stack(pixels.astype("f4"), time=time, x=x, y=-x, crs=None, attrs={})
        shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=32, search=8, step=8)
        inside = searched(shifts)
        passed = {
            "of chance %": xoffset.screen(shifts, neighbourhood=False),
            "of the screen %": xoffset.screen(shifts),
        }
        shares = {name: 100.0 * float(np.isfinite(each.dx.values[0][inside]).mean()) for name, each in passed.items()}
        found.append({"bright pixels %": 100.0 * share, "windows": int(inside.sum())} | shares)
    return found


# ------------------------------------------------------------------------------------------------------------ networks


class Simulated:
    """Pairs of dates that see a motion, with noise of dates and of pairs, in pixels that err independently."""

    def __init__(self, dates: int, most: int, *, days: float = 24.0, shape: tuple[int, int] = (10, 20)) -> None:
        self.years = days / YEAR * np.arange(dates)
        self.time = np.datetime64("2018-01-01", "us") + np.round(days * np.arange(dates)).astype(int) * DAY
        self.ends = np.array([(i, j) for i in range(dates) for j in range(i + 1, min(dates, i + 1 + most))])
        self.shape = shape

    def shifts(
        self, motion: np.ndarray, of_dates: np.ndarray, of_pairs: float, lost: np.ndarray | None = None
    ) -> xr.Dataset:
        """Shifts whose standard errors are true; of_dates (2, date, y, x) errors; lost (pair, y, x): show no motion."""
        rng = np.random.default_rng(7)
        i, j = self.ends.T
        seen = np.broadcast_to(motion[j] - motion[i], (*self.shape, len(i))).transpose(2, 0, 1)
        seen = seen if lost is None else np.where(lost, 0.0, seen)
        sigma = np.full(seen.shape, np.sqrt(2.0 * of_dates.var() + of_pairs**2))
        fields = {"sigma_dx": sigma, "sigma_dy": sigma}
        for name, share, error in (("dx", 1.0, of_dates[0]), ("dy", 0.0, of_dates[1])):
            fields[name] = share * seen + error[j] - error[i] + of_pairs * rng.standard_normal(seen.shape)
        y, x = -PIXEL * np.arange(self.shape[0]), PIXEL * np.arange(self.shape[1])
        like = xr.DataArray(np.zeros(self.shape), coords={"y": y, "x": x}, dims=("y", "x"))
        network = products.network(self.time[i], self.time[j])
        return products.shifts(fields, network, x=x, y=y, like=like, step={})

    def noise(self, sigma: float, correlation: float = 0.0) -> np.ndarray:
        """Errors of the dates (2, date, y, x); of neighbouring dates correlated."""
        rng = np.random.default_rng(11)
        white = rng.standard_normal((2, self.years.size, *self.shape))
        out = white.copy()
        for k in range(1, self.years.size):
            out[:, k] = correlation * out[:, k - 1] + np.sqrt(1.0 - correlation**2) * white[:, k]
        return sigma * out

    def least_squares(self, shifts: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Displacement since the first date and its standard error from the residuals, unweighted (date, y, x)."""
        dates, pairs = self.years.size, len(self.ends)
        design = np.zeros((pairs, dates))
        design[np.arange(pairs), self.ends[:, 1]], design[np.arange(pairs), self.ends[:, 0]] = 1.0, -1.0
        seen = shifts.dx.values.reshape(pairs, -1)
        inverse = np.linalg.inv(design[:, 1:].T @ design[:, 1:])
        solution = np.vstack([np.zeros(seen.shape[1]), inverse @ design[:, 1:].T @ seen])
        freedom = pairs - (dates - 1)
        residual = (
            ((seen - design @ solution) ** 2).sum(axis=0) / freedom if freedom else np.full(seen.shape[1], np.nan)
        )
        sigma = np.sqrt(np.concatenate([[0.0], np.diag(inverse)])[:, None] * residual)
        return solution.reshape(dates, *self.shape), sigma.reshape(dates, *self.shape)

    def slope(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slope of a line through a series (date, y, x) and its standard error from the residuals."""
        centred = self.years - self.years.mean()
        spread, values = (centred**2).sum(), series - series.mean(axis=0)
        slope = np.tensordot(centred, values, 1) / spread
        residual = ((values - centred[:, None, None] * slope) ** 2).sum(axis=0) / (self.years.size - 2)
        return slope, np.sqrt(residual / spread)


def of_series(kind: str, made: Simulated, shifts: xr.Dataset, motion: np.ndarray, **options: Any) -> dict[str, Any]:
    """Row of the displacements since the first date."""
    series = xoffset.invert(shifts, reference=made.time[0], **options)
    true = (motion - motion[0])[:, None, None]
    sigma = np.hypot(series.sigma_dx.values, series.sigma_dx.values[0])
    error, theirs = series.dx.values - true, made.least_squares(shifts)
    ours = error[1:], sigma[1:], (series.flags.values != 0)[1:]
    other = ((theirs[0] - true)[1:], theirs[1][1:]) if np.isfinite(theirs[1]).all() else None
    return row(kind, "displacement", ours, other)


def of_velocity(kind: str, made: Simulated, shifts: xr.Dataset, velocity: float) -> Iterator[dict[str, Any]]:
    """Rows of the velocity of the series and of the shifts."""
    slope, sigma = made.slope(made.least_squares(shifts)[0])
    for name, data in (("velocity of series", xoffset.invert(shifts)), ("velocity of shifts", shifts)):
        rate = xoffset.velocity(data)
        error = rate.vx.values - velocity
        yield row(kind, name, (error, rate.sigma_vx.values, rate.flags.values != 0), (slope - velocity, sigma))


def networks(extent: Extent) -> Rows:
    """Series and velocities of networks whose errors are known."""
    shape = (4, 5) if extent == "small" else (12, 25)
    rows = []
    for kind, dates, most, of_pairs in (
        ("chain of 60 dates, noise of dates", 60, 1, 0.02),
        ("chain of 60 dates, noise of pairs", 60, 1, 0.5),
        ("chain of 10 dates, noise of dates", 10, 1, 0.02),
        ("chain of 10 dates, noise of pairs", 10, 1, 0.5),
        ("3 pairs a date", 30, 3, 0.1),
        ("8 pairs a date", 30, 8, 0.5),
    ):
        made = Simulated(dates, most, shape=shape)
        motion = 5.0 * made.years
        shifts = made.shifts(motion, made.noise(0.2), of_pairs)
        rows += [of_series(kind, made, shifts, motion), *of_velocity(kind, made, shifts, 5.0)]
    made = Simulated(30, 3, shape=shape)
    motion = 5.0 * made.years
    for correlation in (0.5, 0.8):
        shifts = made.shifts(motion, made.noise(0.2, correlation), 0.05)
        rows += of_velocity(f"dates correlated by {correlation}", made, shifts, 5.0)
    step = 20.0 * (np.arange(30) >= 15) + 2.0 * made.years
    shifts = made.shifts(step, made.noise(0.05), 0.005)
    rows.append(of_series("step of 20 m, smoothed", made, shifts, step, smooth="gcv"))
    rows.append(of_series("step of 20 m", made, shifts, step))
    return rows + _single(shape) + [_locked(shape)]


def _single(shape: tuple[int, int]) -> Rows:
    """Velocities of one pair, and of the intervals of a small network."""
    rows = []
    for dates, kind in ((2, "single pair"), (3, "two pairs")):
        made = Simulated(dates, 1, days=400.0, shape=shape)
        shifts = made.shifts(5.0 * made.years, made.noise(0.2), 0.1)
        rate = xoffset.velocity(shifts)
        rows.append(
            row(kind, "velocity of shifts", (rate.vx.values - 5.0, rate.sigma_vx.values, rate.flags.values != 0))
        )
    for most, kind in ((1, "single pairs"), (6, "all pairs of 7 dates")):
        made = Simulated(7, most, days=2500.0, shape=shape)
        shifts = made.shifts(0.8 * made.years, made.noise(0.2), 0.1)
        found = xoffset.interval_velocity(shifts)
        ours = found.vx.values - 0.8, found.sigma_vx.values, found.flags.values != 0
        solution, _ = made.least_squares(shifts)
        slopes = np.diff(solution, axis=0) / np.diff(made.years)[:, None, None] - 0.8
        rows.append(
            row(kind, "velocity of intervals", ours, None if most == 1 else (slopes, _of_intervals(made, shifts)))
        )
    return rows


def _of_intervals(made: Simulated, shifts: xr.Dataset) -> np.ndarray:
    """Standard errors from the residuals of the velocities between neighbouring dates (interval, y, x)."""
    dates, pairs = made.years.size, len(made.ends)
    design = np.zeros((pairs, dates - 1))
    for p, (i, j) in enumerate(made.ends):
        design[p, i:j] = np.diff(made.years)[i:j]
    seen = shifts.dx.values.reshape(pairs, -1)
    inverse = np.linalg.inv(design.T @ design)
    residual = ((seen - design @ (inverse @ design.T @ seen)) ** 2).sum(axis=0) / (pairs - dates + 1)
    return np.sqrt(np.diag(inverse)[:, None] * residual).reshape(dates - 1, *made.shape)


def _locked(shape: tuple[int, int]) -> dict[str, Any]:
    """Row of a glacier at rest that surges, and of whose long pairs 70 % hold on to ground that does not move."""
    made = Simulated(30, 8, shape=shape)
    surge = 400.0 * np.clip((made.years - 0.8) / 0.5, 0.0, 1.0)
    is_long = (np.diff(made.ends, axis=1)[:, 0] > 3)[:, None, None]
    lost = is_long & (np.random.default_rng(3).random((len(made.ends), *shape)) < 0.7)
    shifts = made.shifts(surge, made.noise(0.5), 0.2, lost)
    return of_series("surge, 70 % of the long pairs locked", made, shifts, surge)


PARTS = (matches, unrelated, networks)


if __name__ == "__main__":
    run("sigma_coverage", PARTS)
