"""Ground whose motion differs within a window: errors by the range of the motion, and what standard errors then hold.

python benchmarks/sheared.py                     all, some four minutes
python benchmarks/sheared.py law                 one part
python benchmarks/sheared.py --small             few windows, to see that it works
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _measure import Extent, Rows, run
from _sheared import errors, fields, pair, prior

import xoffset
from xoffset.recipes.own import Own

SNR = 6.0
# Range that our own recipes allow [px].
LARGEST = Own.__dataclass_fields__["max_range"].default


def measured(kind: str, span: float, side: int, seeds: int, options: dict[str, Any], **tests: Any) -> dict[str, Any]:
    """Errors of windows of several images, screened, with more tests if they are told."""
    found = []
    size = 160 if side < 64 else 256
    options = dict(options)
    of_images = {name: options.pop(name) for name in ("snr", "redness") if name in options}
    for seed in range(seeds):
        moves = fields(span, side)[kind]
        stack = pair(moves, size, seed=seed, **({"snr": SNR} | of_images))
        given = {"template": side, "search": 10, "step": 8, "prior": prior(moves, stack)} | options
        shifts = xoffset.screen(xoffset.correlate(stack, xoffset.pairs(stack), **given), **tests)
        found.append(errors(moves, shifts, side))
    return {name: np.concatenate([each[name] for each in found], axis=-1) for name in found[0]}


def row(found: dict[str, Any]) -> dict[str, Any]:
    """What is known, errors of the worse and the better component, standard errors, and what intervals hold."""
    is_known = np.isfinite(found["error"]).all(axis=0)
    error, sigma = found["error"][:, is_known], found["sigma"][:, is_known]
    of_both = np.sqrt((error**2).mean(axis=1)) if is_known.any() else np.zeros(2)
    return {
        "known %": 100.0 * float(is_known.mean()),
        "rmse px": float(of_both.max()),
        "other rmse px": float(of_both.min()),
        "sigma px": float(np.median(sigma)) if is_known.any() else 0.0,
        "covered %": 100.0 * float((np.abs(error) < 1.96 * sigma).mean()) if is_known.any() else 100.0,
    }


def law(extent: Extent) -> Rows:
    """Errors by range, window, texture, filter and matcher, with the standard errors of the matches."""
    seeds, small = (1, True) if extent == "small" else (2, False)
    of_kinds = {
        "32 px": (32, {}),
        "16 px": (16, {}),
        "64 px": (64, {}),
        "32 px, SNR 3": (32, {"snr": 3.0}),
        "32 px, SNR 20": (32, {"snr": 20.0}),
        "32 px, finer ground": (32, {"redness": 0.7}),
        "32 px, coarser ground": (32, {"redness": 1.8}),
        "32 px, no filter": (32, {"prefilter": None}),
        "64 px, phase": (64, {"matcher": "phase"}),
        "32 px, affine": (32, {"matcher": xoffset.NCC(refine="affine")}),
    }
    return [
        {"windows": name, "range px": span} | row(measured("shear", span, side, seeds, options))
        for name, (side, options) in (list(of_kinds.items())[:1] if small else of_kinds.items())
        for span in ((1.0,) if small else (0.0, 1.0, 2.0, 3.0, 4.0, 6.0))
    ]


def intervals(extent: Extent) -> Rows:
    """What intervals of matches hold once windows of a larger range are left out."""
    seeds, small = (1, True) if extent == "small" else (2, False)
    return [
        {"kind": kind, "windows": f"{side} px", "range px": span}
        | row(measured(kind, span, side, seeds, {}, max_range=LARGEST))
        for kind in (("shear",) if small else fields(1.0, 32))
        for side in ((32,) if small else (16, 32, 64))
        for span in ((1.0,) if small else (0.0, 1.0, 2.0, 3.0, 5.0))
    ]


PARTS = (law, intervals)

if __name__ == "__main__":
    run("sheared", PARTS)
