"""Refinement of windows that have holes in or beside them."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.matching.images import Image
from xoffset._kernels.matching import holes, zncc
from xoffset._kernels.matching import refine as refinement


def beside_holes(
    reference: Image, secondary: Image, corners: np.ndarray, shifts: np.ndarray, template: int
) -> np.ndarray:
    """Windows (window,) in which, or as far around as the band-pass reaches, either image has a hole.

    `corners` (window, 2): first row and column in the reference; `shifts` (window, 2) whole, NaN as zero. None where
    the pre-filter is no band-pass.
    """
    found = np.zeros(len(corners), dtype=bool)
    if reference.low_passes is None or not (reference.has_holes or secondary.has_holes):
        return found
    reach = max(half.size for half in reference.low_passes) - 1
    side = template + 2 * reach
    moved = corners + np.nan_to_num(shifts).astype(np.int64)
    for image, first in ((reference, corners - reach), (secondary, moved - reach)):
        sums = image.hole_sums
        top, left = np.clip(first, 0, np.array(sums.shape) - 1).T
        bottom, right = np.clip(first + side, 0, np.array(sums.shape) - 1).T
        found |= sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0
    return found


def refine(
    reference: Image, secondary: Image, corners: np.ndarray, peaks: np.ndarray, flags: np.ndarray, template: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit (window, 6) as of `refine.refine` on the pixels that both images know, and flags with the bits against it.

    `corners` (window, 2), `peaks` (window, PEAK_FIELDS), `flags` (window,) int32. A band-pass is repeated with the
    pixels known to both; what other filters made is compared where it is valid in both.
    """
    out = np.full((len(corners), 6), np.nan, dtype=reference.filtered.dtype)
    flags = flags.copy()
    gain = reference.filtered.dtype.type(reference.colour.gain)
    if reference.low_passes is not None:
        known = np.stack([reference.known, secondary.known])
        holes.refine(
            reference.unfiltered, secondary.filled_coefficients, known, (reference.slopes, gain), reference.low_passes,
            template, corners, peaks, out, flags,
        )  # fmt: skip
        return out, flags
    valid = np.stack([reference.valid, secondary.valid])
    wanted, no_sums = np.ones((1, 1), dtype=np.uint8), np.empty((0, 0), dtype=out.dtype)
    for k, (y, x) in enumerate(corners.tolist()):
        node = zncc.Nodes(1, 1, y, x, 1, template)
        place = peaks[None, k : k + 1], wanted, out[None, k : k + 1], flags[None, k : k + 1]
        refinement.refine(
            reference.filtered, reference.slopes, gain, secondary.coefficients, valid, no_sums, node, *place
        )  # fmt: skip
    return out, flags
