"""Speckle whose motion is known at each pixel: a wave of a tenth of a pixel that shortens."""

from __future__ import annotations

import warnings

import numpy as np

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import Row, opencv, row

TEMPLATE, SEARCH, STEP = 21, 3, 7


def run(found: Found) -> dict[str, Rows]:
    """Error of each of the three images."""
    return {"table": [error(found, image) for image in ("L1", "L3", "L5")]}


def error(found: Found, image: str) -> Row:
    """Root mean square error along x, of medians over the rows."""
    paths = [found.one("reference"), next(path for path in found.all("images") if path.stem == image)]
    stack = xoffset.open_stack(paths, date=["2020-01-01", "2020-01-02"], pixel_size=1.0)
    shifts = stack.offset.correlate(stack.offset.pairs(), template=TEMPLATE, search=SEARCH, step=STEP).isel(pair=0)
    commanded = np.genfromtxt(found.one("command"), delimiter=",")
    truth = np.interp(shifts.x.values - 0.5, commanded[:, 0], commanded[:, int(image[1])])
    of_peer = opencv(stack, TEMPLATE, SEARCH, STEP)
    beside = None
    if of_peer is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns at the rim have no value at all
            beside = _rms(np.nanmedian(of_peer[0], axis=0) - truth)
    return row(f"error along x, {image}", _rms(shifts.dx.median("y").values - truth), "px", OpenCV=beside)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(values**2)))
