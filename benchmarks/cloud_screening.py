"""Scenes with clouds: how many of the wrong matches a mask, the screen and both take out, and how many right ones stay.

python benchmarks/cloud_screening.py                    all, some minutes
python benchmarks/cloud_screening.py --small            two small scenes, to see that it works
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from _measure import Extent, Rows, on_one_core, run
from _scenes import OUTLIER, PIXEL, errors, pair

# Motion of the scenes by name: field, speed in tenths of a pixel, and search [px] that reaches a little farther.
MOTIONS: dict[str, tuple[str, float, int]] = {
    "slow landslide": ("landslide", 10.0, 8),
    "landslide": ("landslide", 30.0, 8),
    "fault": ("fault", 30.0, 8),
    "glacier": ("glacier", 60.0, 10),
    "plain motion": ("constant", 40.0, 8),
}
CLOUDS = (0.05, 0.10, 0.15, 0.20)
WINDOW, STEP = 32, 8  # px, those of correlate()
LIMITS = (OUTLIER, 1.0)  # px
# Motion of the ground of a window is alike if it spreads by less than this: no window tells its middle otherwise [px].
ALIKE = 1.0
ALIKE_WRONG, ALIKE_LEFT = f"wrong by {OUTLIER:g} px, alike", f"mask + screen: left by {OUTLIER:g} px, alike"


def visible(stack: xr.DataArray, truth: xr.Dataset) -> np.ndarray:
    """Share of the ground of each window (rows, columns) that neither clouds nor strips hide in any of the images."""
    clear = (~truth.cloud & stack.notnull()).values
    _, rows, columns = clear.shape
    # of whole pixels: where the ground of a pixel of the first image is in the second
    down = np.rint(-truth.dy[1].values / PIXEL).astype(int) + np.arange(rows)[:, None]
    right = np.rint(truth.dx[1].values / PIXEL).astype(int) + np.arange(columns)
    is_inside = (down >= 0) & (down < rows) & (right >= 0) & (right < columns)
    both = clear[0] & is_inside & clear[1][down.clip(0, rows - 1), right.clip(0, columns - 1)]
    return windows(both).mean(axis=(-2, -1))


def spread(truth: xr.Dataset) -> np.ndarray:
    """By how much the motion of the ground of each window differs (rows, columns) [px]."""
    sides = (windows(truth[name][1].values) for name in ("dx", "dy"))
    return np.hypot(*(np.ptp(each, axis=(-2, -1)) for each in sides)) / PIXEL


def windows(pixels: np.ndarray) -> np.ndarray:
    """Windows around the nodes (rows, columns, WINDOW, WINDOW)."""
    return np.lib.stride_tricks.sliding_window_view(pixels, (WINDOW, WINDOW))[::STEP, ::STEP]


def scene(motion: str, clouds: float, size: int, seed: int) -> dict[str, Any]:
    """One scene: its wrong and right matches where nothing is masked or screened, and what is left of them."""
    field, velocity, search = MOTIONS[motion]
    stack, truth = pair(
        size, field=field, velocity=velocity, snr=4.0, illumination=0.1, clouds=clouds, nodata=0.015, seed=seed
    )
    network, options = stack.offset.pairs(), {"template": WINDOW, "search": search, "step": STEP}
    plain = stack.offset.correlate(network, **options)
    masked = stack.offset.correlate(network, mask=~truth.cloud, **options)
    ways = {"mask": masked, "screen": plain.offset.screen(), "mask + screen": masked.offset.screen()}

    def lengths(shifts: xr.Dataset) -> np.ndarray:
        return np.hypot(*errors(shifts, truth, shifts))

    before = lengths(plain)
    # a window that sees less than half of its ground has nothing to keep
    is_right = (before <= OUTLIER) & (visible(stack, truth) >= 0.5)
    wrong = {limit: int((before > limit).sum()) for limit in LIMITS}
    row: dict[str, Any] = {"motion": motion, "clouds %": 100.0 * clouds, "seed": seed, "right": int(is_right.sum())}
    row |= {f"wrong by {limit:g} px": count for limit, count in wrong.items()}
    is_alike = spread(truth) < ALIKE
    row[ALIKE_WRONG] = int((is_alike & (before > OUTLIER)).sum())
    for way, shifts in ways.items():
        error = lengths(shifts)
        left = {limit: int((error > limit).sum()) for limit in LIMITS}
        row |= {f"{way}: left by {limit:g} px": left[limit] for limit in LIMITS}
        row |= {f"{way}: kept": int((is_right & (error <= OUTLIER)).sum())}
    row[ALIKE_LEFT] = int((is_alike & (error > OUTLIER)).sum())  # of mask and screen, the last
    return row


def _with_shares(row: dict[str, Any]) -> dict[str, Any]:
    """Counts of a scene, or of several together, as shares of what there was."""
    shares = {}
    for way in ("mask", "screen", "mask + screen"):
        for limit in LIMITS:
            wrong = max(row[f"wrong by {limit:g} px"], 1)
            shares[f"{way}: gone by {limit:g} px %"] = 100.0 * (1.0 - row[f"{way}: left by {limit:g} px"] / wrong)
        shares[f"{way}: kept %"] = 100.0 * row[f"{way}: kept"] / max(row["right"], 1)
    shares["mask + screen: gone, alike %"] = 100.0 * (1.0 - row[ALIKE_LEFT] / max(row[ALIKE_WRONG], 1))
    return {name: value for name, value in row.items() if ": " not in name} | shares


def scenes(extent: Extent) -> Rows:
    """Every scene, those of each kind of motion together, and all together."""
    size = 224 if extent == "small" else 512
    motions, clouds = (list(MOTIONS)[1:3], CLOUDS[-1:]) if extent == "small" else (list(MOTIONS), CLOUDS)
    wanted = [(motion, share) for motion in motions for share in clouds]
    found = [scene(motion, share, size, seed) for seed, (motion, share) in enumerate(wanted)]
    together = [_sum([row for row in found if row["motion"] == motion], motion) for motion in motions]
    return [_with_shares(row) for row in [*found, *together, _sum(found, "all")]]


def _sum(rows: Rows, motion: str) -> dict[str, Any]:
    """Counts of several scenes together; `scenes` tells how many, since clouds and seeds are those of none."""
    counts = {name: sum(row[name] for row in rows) for name in rows[0] if name not in ("motion", "clouds %", "seed")}
    return {"motion": motion, "scenes": len(rows)} | counts


PARTS = (scenes,)


if __name__ == "__main__":
    on_one_core()
    run("cloud_screening", PARTS)
