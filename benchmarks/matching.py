"""Matching: CPU time and accuracy beside an OpenCV loop with a parabola, in the same run.

python benchmarks/matching.py            all of it, some minutes
python benchmarks/matching.py --small    small images, to see that it works
"""

from __future__ import annotations

import sys

import numpy as np
import scipy.ndimage
from _measure import cpu_seconds, on_one_core, report

import xoffset
from xoffset import synthetic

DATES = ["2020-01-01T00:00", "2020-12-31T06:00"]  # one year of 365.25 days apart
PIXEL = 10.0


def pair(size: int, **options):
    """Two images a year apart and the displacement in pixels."""
    return synthetic.stack((size, size), dates=DATES, pixel_size=PIXEL, **options)


def constant(size: int, right: float, down: float, **options):
    """Two images of ground that moves by (right, down) pixels."""
    speed, direction = PIXEL * np.hypot(right, down), np.degrees(np.arctan2(right, -down))
    return pair(size, field="constant", velocity=speed, direction=direction, **options)[0]


def opencv(stack, template: int, search: int, step: int) -> np.ndarray:
    """Displacement (2, rows, columns) in pixels by matchTemplate window by window, after the 3 px high-pass."""
    import cv2

    cv2.setNumThreads(1)
    first, second = (image - scipy.ndimage.gaussian_filter(image, 3.0) for image in stack.values)
    nodes = (first.shape[0] - template) // step + 1
    out = np.full((2, nodes, nodes), np.nan)
    for row in range(nodes):
        for column in range(nodes):
            y, x = row * step - search, column * step - search
            side = template + 2 * search
            if min(y, x) < 0 or max(y, x) + side > first.shape[0]:
                continue
            chip = first[y + search : y + search + template, x + search : x + search + template]
            score = cv2.matchTemplate(second[y : y + side, x : x + side], chip, cv2.TM_CCOEFF_NORMED)
            j, i = cv2.minMaxLoc(score)[3]
            if 0 < i < 2 * search and 0 < j < 2 * search:
                out[0, row, column] = j - search + vertex(score[i, j - 1 : j + 2])
                out[1, row, column] = i - search + vertex(score[i - 1 : i + 2, j])
    return out


def vertex(three: np.ndarray) -> float:
    """Offset of the vertex of a parabola through three values."""
    bend = three[0] - 2.0 * three[1] + three[2]
    return 0.5 * (three[0] - three[2]) / bend if bend else 0.0


def speed(is_small: bool) -> None:
    """CPU microseconds a window: pre-filter, search, refinement and covariance included."""
    size = 512 if is_small else 2048
    stack, _ = pair(size, snr=4.0)
    network = stack.offset.pairs()
    rows = []
    for template, search, step in ((32, 20, 8), (20, 45, 10), (32, 8, 8), (32, 8, 16)):
        options = {"template": template, "search": search, "step": step}
        nodes = stack.offset.correlate(network, **options).dx.size
        ours = cpu_seconds(lambda o=options: stack.offset.correlate(network, **o))
        peer = cpu_seconds(lambda o=options: opencv(stack, **o), repeats=1)
        rows.append(
            options
            | {"size": size, "xoffset us": 1e6 * ours / nodes, "opencv us": 1e6 * peer / nodes, "ratio": ours / peer}
        )
    report("matching_speed", rows)


def locking(is_small: bool) -> None:
    """Bias over fractions of a pixel."""
    size = 256 if is_small else 512
    rows = []
    for snr in (np.inf, 10.0):
        ours, peer = [], []
        for shift in np.arange(0.0, 1.01, 0.25 if is_small else 0.05):
            stack = constant(size, shift, 0.0, snr=snr)
            shifts = stack.offset.correlate(stack.offset.pairs(), search=4, step=16)
            ours.append(float(shifts.dx.median()) / PIXEL - shift)
            peer.append(np.nanmedian(opencv(stack, 32, 4, 16)[0]) - shift)
        rows.append({"snr": snr, "xoffset largest bias px": np.abs(ours).max(), "opencv": np.abs(peer).max()})
    report("matching_locking", rows)


def noise(is_small: bool) -> None:
    """RMSE on a constant shift under changing light, and how well sigma describes it."""
    right, down = 2.3, -1.4
    rows = []
    for snr in (10.0, 4.0, 2.0, 1.0):
        stack = constant(256 if is_small else 512, right, down, snr=snr, illumination=0.15)
        shifts = stack.offset.correlate(stack.offset.pairs())
        error = shifts.dx.values / PIXEL - right, -shifts.dy.values / PIXEL - down
        ratio = (shifts.dx.values / PIXEL - right) / (shifts.sigma_dx.values / PIXEL)
        peer = opencv(stack, 32, 8, 8) - np.array([right, down])[:, None, None]
        rows.append(
            {
                "snr": snr,
                "xoffset rmse px": np.sqrt(np.nanmean(np.square(error))),
                "opencv rmse px": np.sqrt(np.nanmean(np.square(peer))),
                "error over sigma, NMAD": 1.4826 * np.nanmedian(np.abs(ratio)),
                "within 1.96 sigma": float(np.mean(np.abs(ratio[np.isfinite(ratio)]) < 1.96)),
            }
        )
    report("matching_noise", rows)


def damage(is_small: bool) -> None:
    """Outliers beyond 0.5 px on scenes with clouds and nodata, before and after screen()."""
    size = 512 if is_small else 1024
    rows = []
    for field, velocity, search in (("landslide", 30.0, 20), ("glacier", 200.0, 25)):
        stack, truth = pair(
            size, field=field, velocity=velocity, direction=180.0, snr=4.0, illumination=0.1, clouds=0.03, nodata=0.015
        )
        shifts = stack.offset.correlate(stack.offset.pairs(), search=search)
        true = truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
        row = {"field": field}
        for name, kept in (("matched", shifts), ("screened", shifts.offset.screen())):
            error = np.hypot(kept.dx[0] - true.dx, kept.dy[0] - true.dy).values / PIXEL
            row |= {f"{name} valid": np.isfinite(error).mean(), f"{name} outliers %": 100 * np.nanmean(_beyond(error))}
        peer = opencv(stack.fillna(0.0), 32, search, 8)
        error = np.hypot(peer[0] - true.dx / PIXEL, peer[1] + true.dy / PIXEL).values
        rows.append(row | {"opencv outliers %": 100 * np.nanmean(_beyond(error))})
    report("matching_damage", rows)


def _beyond(error: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(error), error > 0.5, np.nan)


if __name__ == "__main__":
    on_one_core()
    print(f"xoffset {xoffset.__version__}, one thread, CPU time")
    for part in (speed, locking, noise, damage):
        part("--small" in sys.argv)
