"""Matching: CPU time and outliers beside OpenCV and scikit-image, in the same run, one thread each.

python benchmarks/matching_speed.py [grid] [dense] [options] [--small]     some minutes
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import _peers
import numpy as np
from _measure import Extent, Rows, least_cpu_seconds, on_one_core, run
from _scenes import errors, pair, searched, summary

import xoffset

# template, search, step [px]
SETTINGS = {"S1": (32, 20, 8), "S2": (20, 45, 10)}


def grid(extent: Extent) -> Rows:
    """Windows on a grid: pre-filter, search, refinement, covariance and significance included."""
    size = 160 if extent == "small" else 2048
    stack, truth = pair(size, snr=4.0)
    part = stack.isel(x=slice(size // 4), y=slice(size // 4)) if extent == "usual" else stack
    network = stack.offset.pairs()
    rows = []
    for name, (template, search, step) in SETTINGS.items():
        options = {"template": template, "step": step}
        like = stack.offset.correlate(network, search=search, **options)
        calls = {
            "xoffset, all shifts": partial(stack.offset.correlate, network, search=search, **options),
            "xoffset, Pyramid": partial(stack.offset.correlate, network, search=xoffset.Pyramid(search), **options),
        }
        if _peers.has("cv2"):
            calls["OpenCV loop, parabola"] = partial(_peers.opencv_loop, stack.values, template, search, step)
        nodes = dict.fromkeys(calls, int(searched(like).sum()))
        seconds = least_cpu_seconds(calls, 0 if extent == "small" else 3)
        if _peers.has("skimage"):
            # a part of the image: it takes a minute for all of it
            phase = partial(_peers.skimage_phase, part.values, template, search, step)
            nodes["scikit-image phase"] = int(np.isfinite(phase()[0]).sum())
            seconds |= least_cpu_seconds({"scikit-image phase": phase}, 1)
        found = {method: call() for method, call in calls.items()}
        for method, spent in seconds.items():
            row = {"setting": name} | options | {"search": search, "size": size, "method": method}
            row |= {"us a node": 1e6 * spent / nodes[method]}
            if "OpenCV loop, parabola" in seconds:
                row["of OpenCV"] = row["us a node"] / (
                    1e6 * seconds["OpenCV loop, parabola"] / nodes["OpenCV loop, parabola"]
                )
            if method in found:
                row |= summary(errors(found[method], truth, like), searched(like))
            rows.append(row)
    return rows


def dense(extent: Extent) -> Rows:
    """Windows of 7 px at every pixel, whole shifts only."""
    size = 96 if extent == "small" else 512
    stack, truth = pair(size, snr=4.0)
    network = stack.offset.pairs()
    crop = stack.values[:, : size // 2, : size // 2]
    rows = []
    for search in (4,) if extent == "small" else (4, 11):
        ours = partial(
            stack.offset.correlate, network, template=7, search=search, step=1, matcher=xoffset.NCC(refine="none")
        )
        like = ours()
        calls: dict[str, Callable] = {"xoffset": ours}
        pixels = {"xoffset": int(searched(like).sum())}
        if _peers.has("cv2"):
            calls["OpenCV box filters"] = partial(_peers.opencv_sliding, stack.values, 7, search)
            calls["OpenCV loop, parabola"] = partial(_peers.opencv_loop, crop, 7, search, 1)
            pixels["OpenCV box filters"] = (size - 2 * search) ** 2
            pixels["OpenCV loop, parabola"] = (crop.shape[1] - 6 - 2 * search) ** 2
        seconds = least_cpu_seconds(calls, 0 if extent == "small" else 3)
        for method, spent in seconds.items():
            row = {"template": 7, "search": search, "size": size, "method": method}
            row["us a pixel"] = 1e6 * spent / pixels[method]
            if method != "OpenCV loop, parabola":
                row |= summary(errors(calls[method](), truth, like), searched(like), limit=1.0)
            rows.append(row)
    return rows


def options(extent: Extent) -> Rows:
    """What the options of `correlate` cost beside the usual ones, in setting S1 at half its range."""
    size = 160 if extent == "small" else 1024
    stack, truth = pair(size, snr=4.0)
    network = stack.offset.pairs()
    usual = {"template": 32, "search": 10, "step": 8}
    changes = {
        "usual": {},
        "template=(16, 32, 64)": {"template": (16, 32, 64)},
        "NCC(both_ways=True)": {"matcher": xoffset.NCC(both_ways=True)},
        "NCC(refine='affine')": {"matcher": xoffset.NCC(refine="affine")},
        "NCC(refine='parabola')": {"matcher": xoffset.NCC(refine="parabola")},
        "NCC(refine='none')": {"matcher": xoffset.NCC(refine="none")},
        "prefilter=None": {"prefilter": None},
        "prefilter='wallis'": {"prefilter": "wallis"},
        "prefilter='rank'": {"prefilter": "rank"},
        "matcher='phase', template=64": {"matcher": "phase", "template": 64},
    }
    calls = {name: partial(stack.offset.correlate, network, **usual | change) for name, change in changes.items()}
    seconds = least_cpu_seconds(calls, 0 if extent == "small" else 3)
    rows = []
    for name, call in calls.items():
        shifts = call()
        row = {"options": name, "us a node": 1e6 * seconds[name] / int(searched(shifts).sum())}
        rows.append(row | summary(errors(shifts, truth, shifts), searched(shifts)))
    return rows


PARTS = (grid, dense, options)

if __name__ == "__main__":
    on_one_core()
    run("matching_speed", PARTS)
