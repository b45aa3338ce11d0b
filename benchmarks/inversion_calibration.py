"""Whether the standard errors of series and velocities tell the errors: on networks matched from synthetic images.

python benchmarks/inversion_calibration.py              all, some minutes
python benchmarks/inversion_calibration.py coverage     one part
python benchmarks/inversion_calibration.py --small      few scenes, to see that it works
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr
from _measure import Extent, Rows, run

import xoffset
from xoffset import synthetic

SIDE = 32  # px of a window
DATES = np.datetime64("2020-01-01") + 52 * np.arange(8)
NETWORKS = {"sequential": 1, "up to 3 apart": 3, "all pairs": 7}
# field, SNR, share of clouds
SCENES = tuple(
    (field, snr, clouds) for field in ("constant", "landslide") for snr in (2.0, 4.0, 10.0) for clouds in (0.0, 0.1)
)


def matched(field: str, snr: float, clouds: float, seed: int, size: int = 768) -> tuple[xr.Dataset, xr.Dataset]:
    """Shifts of all pairs of a stack with its clouds masked, windows side by side, and the mean truth in each."""
    stack, truth = synthetic.stack(
        (size, size), dates=DATES, field=field, velocity=10.0, direction=120.0, snr=snr, clouds=clouds, seed=seed
    )
    stack = stack.where(~truth.cloud)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=SIDE, step=SIDE, search=4)
    means = truth[["dx", "dy", "vx", "vy"]].coarsen(y=SIDE, x=SIDE).mean()
    return xoffset.screen(shifts), means.assign_coords(y=shifts.y, x=shifts.x)


def networks(shifts: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """The shifts of each network by name."""
    gap = np.searchsorted(DATES, shifts.secondary) - np.searchsorted(DATES, shifts.reference)
    for name, most in NETWORKS.items():
        yield name, shifts.isel(pair=gap <= most)


def ratios(shifts: xr.Dataset, truth: xr.Dataset) -> dict[str, np.ndarray]:
    """Errors over standard errors (component, ..., y, x): of displacements since the reference, and of velocities."""
    series = shifts.offset.invert()
    home = int(np.searchsorted(DATES, np.datetime64(series.attrs["reference"])))
    others = np.delete(np.arange(DATES.size), home)
    of_series, of_shifts = series.offset.velocity(), shifts.offset.velocity()
    found: dict[str, list[np.ndarray]] = {"displacement": [], "velocity of shifts": [], "velocity of series": []}
    for along, rate in (("dx", "vx"), ("dy", "vy")):
        error = series[along].values - (truth[along].values - truth[along].values[home])
        sigma = np.hypot(series[f"sigma_{along}"].values, series[f"sigma_{along}"].values[home])
        found["displacement"].append((error / sigma)[others])
        for name, velocity in (("velocity of shifts", of_shifts), ("velocity of series", of_series)):
            found[name].append((velocity[rate].values - truth[rate].values) / velocity[f"sigma_{rate}"].values)
    return {name: np.stack(each) for name, each in found.items()}


def terciles(shifts: xr.Dataset) -> np.ndarray:
    """Third (y, x) of the scores that the median score of each window lies in: 0, 1 or 2."""
    score = shifts.score.where(shifts.dx.notnull()).median("pair").values
    return np.digitize(score, np.nanquantile(score, [1.0 / 3.0, 2.0 / 3.0]))


def scene(field: str, snr: float, clouds: float, seeds: int, size: int = 768) -> Rows:
    """Coverage of each network and quantity in some stacks of one kind."""
    gathered: dict[tuple[str, str], list[list[np.ndarray]]] = {}
    for seed in range(seeds):
        shifts, truth = matched(field, snr, clouds, seed, size)
        for network, part in networks(shifts):
            third = terciles(part)
            for quantity, ratio in ratios(part, truth).items():
                groups = [ratio[..., third == k] for k in range(3)]
                gathered.setdefault((network, quantity), []).append([each[np.isfinite(each)] for each in groups])
    rows = []
    for (network, quantity), stacks in gathered.items():
        thirds = [np.concatenate(each) for each in zip(*stacks, strict=True)]
        row = {"scene": field, "snr": snr, "clouds %": 100.0 * clouds, "network": network, "quantity": quantity}
        for percent, limit in ((68, 1.0), (95, 1.96)):
            within = [100.0 * float(np.mean(np.abs(each) < limit)) for each in thirds]
            row[f"{percent} %"] = 100.0 * float(np.mean(np.abs(np.concatenate(thirds)) < limit))
            row |= {f"{percent} % least third": min(within), f"{percent} % most third": max(within)}
        rows.append(row | {"values": sum(each.size for each in thirds)})
    return rows


# --------------------------------------------------------------------------------------------------------------- parts


def coverage(extent: Extent) -> Rows:
    """Share of the errors within 1 and 1.96 standard errors, by terciles of the score."""
    if extent == "small":
        return scene("constant", 4.0, 0.1, 1, 192)
    return [row for each in SCENES for row in scene(*each, seeds=3)]


def textbook(extent: Extent) -> Rows:
    """Error of the last date beside its standard error, and that of textbooks: of residuals, if pairs were free."""
    seeds, size = (1, 192) if extent == "small" else (3, 768)
    found: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for seed in range(seeds):
        shifts, truth = matched("constant", 4.0, 0.0, seed, size)
        for network, part in networks(shifts):
            ends = np.stack([np.searchsorted(DATES, part[name]) for name in ("reference", "secondary")], axis=1)
            spare = len(ends) - (DATES.size - 1)
            if spare == 0:
                continue
            design = np.eye(DATES.size)[ends[:, 1]] - np.eye(DATES.size)[ends[:, 0]]
            series = part.offset.invert(loss="linear", reference=DATES[0])
            error = (series.dx - (truth.dx.values - truth.dx.values[0]))[-1].values
            variance = series.rms**2 * len(ends) / spare * np.linalg.inv(design[:, 1:].T @ design[:, 1:])[-1, -1]
            sigma = np.hypot(series.sigma_dx[-1], series.sigma_dx[0])
            found.setdefault(network, []).append((error, sigma.values, np.sqrt(variance.values)))
    rows = []
    for network, parts in found.items():
        error, sigma, classical = (np.concatenate([part[k].ravel() for part in parts]) for k in range(3))
        row = {"network": network, "error m": np.nanstd(error), "sigma m": np.nanmedian(sigma)}
        rows.append(row | {"textbook m": np.nanmedian(classical), "too small by": np.nanstd(error / classical)})
    return rows


def locking(extent: Extent) -> Rows:
    """Error that all windows of steadily moving ground share, since sub-pixel matches lean by the same part of a pixel.

    No closure shows it where the motion is slow, and no standard error tells it.
    """
    size, fractions = (192, (0.25,)) if extent == "small" else (512, (0.05, 0.15, 0.25, 0.35, 0.5, 0.65, 0.75, 0.9))
    pixel, interval = 10.0, 52.0 / 365.25
    rows = []
    for snr in (10.0,) if extent == "small" else (4.0, 10.0):
        for fraction in fractions:
            stack, truth = synthetic.stack(
                (size, size),
                dates=DATES,
                field="constant",
                velocity=fraction * pixel / interval,
                direction=90.0,
                snr=snr,
            )
            network = xoffset.pairs(stack)
            shifts = xoffset.correlate(stack, network, template=SIDE, step=SIDE, search=10)
            for name, part in networks(shifts):
                velocity = part.offset.velocity()
                # of steps from date to date, in pixels
                error = (velocity.vx - truth.vx.values[0, 0]) * interval / pixel
                sigma = velocity.sigma_vx * interval / pixel
                row = {"snr": snr, "network": name, "step px": fraction, "common error px": float(error.median())}
                row |= {"sigma px": float(sigma.median()), "in sigma": float(error.median() / sigma.median())}
                rows.append(row)
    return rows


PARTS = (coverage, textbook, locking)

if __name__ == "__main__":
    run("inversion_calibration", PARTS)
