"""Matching: pixel locking, the error beside the Cramér-Rao bound, outliers, and whether sigma and chance are true.

python benchmarks/matching_accuracy.py [parts ...] [--small]     some minutes
"""

from __future__ import annotations

from typing import Any

import _peers
import numpy as np
import scipy.ndimage
from _measure import Extent, Rows, run
from _scenes import PIXEL, constant, decorrelated, errors, in_pixels, pair, searched, summary

import xoffset
from xoffset import synthetic

REFINEMENTS = ("icgn", "parabola", "gauss", "quadratic")
AFFINE = xoffset.NCC(refine="affine")
NEST = (16, 32, 64)


def correlate(stack: Any, **options: Any) -> Any:
    """Shifts of the only pair of a stack."""
    return stack.offset.correlate(stack.offset.pairs(), **options)


# ---------------------------------------------------------------------------------------------------------- sub-pixel


def locking(extent: Extent) -> Rows:
    """Median error along x of windows that move by a fraction of a pixel."""
    size, templates = (192, (16,)) if extent == "small" else (512, (16, 20, 24, 32, 48, 64))
    steps = np.arange(0.0, 1.01, 0.5 if extent == "small" else 0.05)
    ground = synthetic.scene((size, size))
    rows = []
    for snr in (np.inf, 10.0):
        stacks = {right: constant(size, right, 0.0, snr=snr, ground=ground) for right in steps}
        for template in templates:
            for method in REFINEMENTS:
                options = {"template": template, "search": 4, "step": 16, "matcher": xoffset.NCC(refine=method)}
                bias = [float(np.nanmedian(in_pixels(correlate(stack, **options))[0])) - right
                        for right, stack in stacks.items()]  # fmt: skip
                rows.append(_locking_row(snr, template, f"xoffset {method}", bias))
            if _peers.has("cv2"):
                found = {right: _peers.opencv_loop(stack.values, template, 4, 16) for right, stack in stacks.items()}
                bias = [float(np.nanmedian(shift[0])) - right for right, shift in found.items()]
                rows.append(_locking_row(snr, template, "OpenCV parabola", bias))
    return rows


def _locking_row(snr: float, template: int, method: str, bias: list[float]) -> dict[str, Any]:
    return {
        "snr": snr,
        "template": template,
        "method": method,
        "largest bias px": np.abs(bias).max(),
        "rms bias px": np.sqrt(np.mean(np.square(bias))),
        "curve": [round(float(value), 5) for value in bias],
    }


def bound(extent: Extent) -> Rows:
    """RMSE of a constant shift beside the least that noise allows, over windows and noise."""
    size, templates = (192, (16,)) if extent == "small" else (512, (15, 16, 20, 24, 32, 48, 64))
    right, down = 2.3, -1.4
    ground = synthetic.scene((size, size))
    still = constant(size, 0.0, 0.0, ground=ground)[0].values.astype(np.float64)
    rows = []
    for snr in (4.0,) if extent == "small" else (20.0, 10.0, 4.0, 2.0, 1.0):
        stack = constant(size, right, down, snr=snr, ground=ground)
        for template in templates:
            least = cramer_rao(still, template, snr)
            row = {"snr": snr, "template": template, "bound px": least, "asked px": np.hypot(1.25 * least, 0.005)}
            error = in_pixels(correlate(stack, template=template)) - np.array([right, down])[:, None, None]
            row["rmse px"] = np.sqrt(np.nanmean(error**2))
            row["of the bound"] = row["rmse px"] / least
            for method in ("parabola", "gauss"):
                found = in_pixels(correlate(stack, template=template, matcher=xoffset.NCC(refine=method)))
                row[f"{method} px"] = np.sqrt(np.nanmean((found - np.array([right, down])[:, None, None]) ** 2))
            if _peers.has("cv2"):
                found = _peers.opencv_loop(stack.values, template, 8, 16) - np.array([right, down])[:, None, None]
                row["OpenCV px"] = np.sqrt(np.nanmean(np.where(np.abs(found) < 2.0, found, np.nan) ** 2))
            rows.append(row)
    return rows


def cramer_rao(clean: np.ndarray, template: int, snr: float, windows: int = 12) -> float:
    """Least standard error by component in px of windows of a periodic noise-free image, root mean square.

    Cov ≥ 2σ² H⁻¹ J H⁻¹ with H = Σ ∇T ∇Tᵀ of the band-passed template, J = Σ F∇T (F∇T)ᵀ and F the band-pass that
    coloured the white noise σ of either image: what remains of the bound where filtered pixels are compared alike
    (Robinson & Milanfar 2004, IEEE Trans. Image Process. 13, 1185-1199, for F = 1). Of windows² windows.
    """
    noise = np.std(clean - scipy.ndimage.gaussian_filter(clean, 3.0, mode="wrap")) / snr
    slopes = np.stack([_derivative(bandpass(clean), axis) for axis in (1, 0)])
    variances = []
    for y, x in np.ndindex(windows, windows):
        top, left = (index * (clean.shape[0] - template) // windows for index in (y, x))
        part = slopes[:, top : top + template, left : left + template]
        part = part - part.mean(axis=(1, 2), keepdims=True)
        # noise enters a window from beside it too
        coloured = np.stack([bandpass(np.pad(slope, 13)) for slope in part]).reshape(2, -1)
        inverse = np.linalg.inv(part.reshape(2, -1) @ part.reshape(2, -1).T)
        variances.append(np.diag(inverse @ coloured @ coloured.T @ inverse))
    return float(np.sqrt(2.0 * noise**2 * np.mean(variances)))


def bandpass(image: np.ndarray) -> np.ndarray:
    """The usual band-pass of an image that repeats itself."""
    fine, coarse = (scipy.ndimage.gaussian_filter(image, sigma, mode="wrap") for sigma in (0.7, 3.0))
    return fine - coarse


def _derivative(image: np.ndarray, axis: int) -> np.ndarray:
    """Five-point central difference."""
    weights = ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))
    return sum(weight * np.roll(image, -offset, axis) for offset, weight in weights)


def light(extent: Extent) -> Rows:
    """RMSE of a constant shift of 32 px windows under changing light, and what sigma says of it."""
    size, right, down = (192 if extent == "small" else 512), 2.3, -1.4
    rows = []
    for snr, asked in ((10.0, 0.010), (4.0, 0.019), (2.0, 0.036), (1.0, 0.078)):
        stack = constant(size, right, down, snr=snr, illumination=0.15)
        error = in_pixels(correlate(stack)) - np.array([right, down])[:, None, None]
        row = {"snr": snr, "asked px": asked, "rmse px": np.sqrt(np.nanmean(error**2))}
        found = in_pixels(correlate(stack, matcher="phase", template=64)) - np.array([right, down])[:, None, None]
        row["phase, 64 px windows, px"] = np.sqrt(np.nanmean(found**2))
        if _peers.has("cv2"):
            found = _peers.opencv_loop(stack.values, 32, 8, 16) - np.array([right, down])[:, None, None]
            row["OpenCV px"] = np.sqrt(np.nanmean(found**2))
        rows.append(row)
    return rows


# -------------------------------------------------------------------------------------------------------------- scenes


def scenes(extent: Extent) -> Rows:
    """Outliers and RMSE on ground that moves in different ways, by windows and refinement."""
    size = 256 if extent == "small" else 1024
    glacier = {"field": "glacier", "velocity": 200.0, "direction": 180.0}
    cases: dict[str, tuple[dict[str, Any], int]] = {
        "glacier, SNR 10": (glacier | {"snr": 10.0}, 25),
        "glacier, SNR 4": (glacier | {"snr": 4.0}, 25),
        "fault, SNR 10": ({"field": "fault", "velocity": 10.0, "snr": 10.0}, 4),
        "fault, SNR 4": ({"field": "fault", "velocity": 10.0, "snr": 4.0}, 4),
        "landslide, SNR 4": ({"field": "landslide", "velocity": 30.0, "direction": 180.0, "snr": 4.0}, 20),
    }
    ways: dict[str, dict[str, Any]] = {
        "32 px": {},
        "32 px, affine": {"matcher": AFFINE},
        "nested": {"template": NEST},
        "nested, affine": {"template": NEST, "matcher": AFFINE},
    }
    rows = []
    for case, (options, search) in list(cases.items())[: 1 if extent == "small" else None]:
        stack, truth = pair(size, **options)
        rows += _compare(case, stack, truth, search, ways)
    return rows


def decorrelation(extent: Extent) -> Rows:
    """A landslide whose second image got a quarter of its variance from other ground (`decor5`)."""
    size = 256 if extent == "small" else 1024
    moving = {"field": "landslide", "velocity": 30.0, "direction": 180.0}
    ways: dict[str, dict[str, Any]] = {
        "32 px": {},
        "32 px, high-pass": {"prefilter": "highpass"},
        "nested": {"template": NEST},
        "nested, affine": {"template": NEST, "matcher": AFFINE},
    }
    stack, truth = decorrelated(size, 0.25, snr=4.0, **moving)
    return _compare("a quarter decorrelated", stack, truth, 20, ways)


def _compare(case: str, stack: Any, truth: Any, search: int, ways: dict[str, dict[str, Any]]) -> Rows:
    """Rows of one scene: each way to match, as matched and screened, then OpenCV."""
    rows = []
    for way, options in ways.items():
        shifts = correlate(stack, search=search, **options)
        where = searched(shifts)
        row = {"scene": case, "method": f"xoffset {way}"} | summary(errors(shifts, truth, shifts), where)
        screened = shifts.offset.screen()
        kept = summary(errors(screened, truth, shifts), where)
        rows.append(row | {f"screened: {name}": value for name, value in kept.items()})
    if _peers.has("cv2"):
        like = correlate(stack, search=search)
        found = _peers.opencv_loop(np.nan_to_num(stack.values), 32, search, 8)
        row = {"scene": case, "method": "OpenCV loop, parabola"}
        rows.append(row | summary(errors(found, truth, like), searched(like)))
    return rows


def damage(extent: Extent) -> Rows:
    """Scenes with unmasked clouds and strips without data."""
    size = 320 if extent == "small" else 1024
    rows = []
    fields = (("landslide", 30.0, 20), ("glacier", 200.0, 25))
    for field, velocity, search in fields[: 1 if extent == "small" else None]:
        options = {"field": field, "velocity": velocity, "direction": 180.0, "illumination": 0.1, "snr": 4.0}
        stack, truth = pair(size, clouds=0.03, nodata=0.015, **options)
        is_bad = (np.isnan(stack.values) | truth.cloud.values).any(axis=0)
        for way, change in (("32 px", {}), ("nested", {"template": NEST}),
                            ("nested, affine", {"template": NEST, "matcher": AFFINE})):  # fmt: skip
            shifts = correlate(stack, search=search, **change)
            side = np.max(change.get("template", 32))
            windows = np.lib.stride_tricks.sliding_window_view(is_bad, (side, side))[::8, ::8]
            is_clean = searched(shifts) & ~windows.any(axis=(-1, -2))
            error = errors(shifts.offset.screen(), truth, shifts)
            rows.append(
                {"scene": f"{field}, clouds and nodata", "method": f"xoffset {way}"}
                | {"matched: outliers %": summary(errors(shifts, truth, shifts))["outliers %"]}
                | summary(error, searched(shifts))
                | {"valid % of clean nodes": summary(error, is_clean)["valid %"]}
            )
        if _peers.has("cv2"):
            found = _peers.opencv_loop(np.nan_to_num(stack.values), 32, search, 8)
            like = correlate(stack, search=search)
            row = {"scene": f"{field}, clouds and nodata", "method": "OpenCV loop, parabola"}
            rows.append(row | summary(errors(found, truth, like), searched(like)))
    return rows


# ------------------------------------------------------------------------------------------------- sigma and chance


def sigma(extent: Extent) -> Rows:
    """Whether error over sigma spreads by one, over noise, window and texture."""
    size, right, down = (192 if extent == "small" else 512), 2.3, -1.4
    rows = []
    for redness in (1.3,) if extent == "small" else (0.0, 1.3, 2.0):
        ground = synthetic.scene((size, size), redness=redness)
        for snr in (4.0,) if extent == "small" else (20.0, 10.0, 4.0, 2.0, 1.0):
            stack = constant(size, right, down, snr=snr, ground=ground)
            for template in (16,) if extent == "small" else (16, 24, 32, 48, 64):
                shifts = correlate(stack, template=template, search=6)
                error = in_pixels(shifts) - np.array([right, down])[:, None, None]
                scale = np.stack([shifts.sigma_dx.values[0], shifts.sigma_dy.values[0]]) / PIXEL
                where = (shifts.flags.values[0] == 0) & (np.abs(error) < 1.0).all(axis=0)
                ratio = (error / scale)[:, where]
                rows.append(
                    {"redness": redness, "snr": snr, "template": template}
                    | {"valid %": 100.0 * where.sum() / searched(shifts).sum()}
                    | {"sigma px": np.median(scale[:, where]), "rmse px": np.sqrt(np.mean(error[:, where] ** 2))}
                    | {"NMAD of error/sigma": 1.4826 * np.median(np.abs(ratio - np.median(ratio)))}
                    | {"within 1.96 sigma %": 100.0 * np.mean(np.abs(ratio) < 1.96)}
                )
    return rows


def chance(extent: Extent) -> Rows:
    """Share of the windows on unrelated ground that pass as significant at 1 %, and what is left of them."""
    size, scenes = (256, 1) if extent == "small" else (512, 10)
    rows = []
    for redness in (1.3,) if extent == "small" else (0.0, 1.3, 2.0):
        stacks = [_unrelated(size, redness, 2 * seed + 10) for seed in range(scenes)]
        for template, search in ((7, 11), (16, 8), (20, 45), (32, 8), (32, 20), (64, 20)):
            counts, scores = np.zeros(3), []
            for stack in stacks:
                shifts = correlate(stack, template=template, search=search)
                significant = shifts.offset.screen(neighbourhood=False)
                # all windows that were searched are tries, those that are refused for other reasons too
                counts += (
                    searched(shifts).sum(),
                    np.isfinite(significant.dx.values).sum(),
                    np.isfinite(shifts.offset.screen().dx.values).sum(),
                )
                scores.append(shifts.score.values[np.isfinite(shifts.score.values)])
            rows.append(
                {"redness": redness, "template": template, "search": search, "windows": int(counts[0])}
                | {"99 % of the scores are below": np.quantile(np.concatenate(scores), 0.99)}
                | {"pass %": 100.0 * counts[1] / counts[0], "left by screen() %": 100.0 * counts[2] / counts[0]}
            )
    return rows


def _unrelated(size: int, redness: float, seed: int) -> Any:
    """A pair of images of two different grounds."""
    first, second = (
        constant(size, 0.0, 0.0, snr=4.0, ground=synthetic.scene((size, size), redness=redness, seed=each), seed=each)
        for each in (seed, seed + 1)
    )
    return first.copy(data=np.stack([first.values[0], second.values[1]]))


PARTS = (locking, bound, light, scenes, decorrelation, damage, sigma, chance)

if __name__ == "__main__":
    run("matching_accuracy", PARTS)
