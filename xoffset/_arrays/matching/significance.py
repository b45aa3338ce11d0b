"""How likely unrelated ground is to reach the scores of a tile's matches."""

from __future__ import annotations

from functools import cache

import numpy as np

from xoffset._arrays.matching.images import Image
from xoffset._arrays.matching.search import Candidates
from xoffset._kernels.matching import ambiguity as ambiguities
from xoffset._kernels.matching import autocorrelation, moments, significance, surface, zncc

# By how much points without a pre-filter count more: their pixels are all bright, and their share of a window is not
# that of the tile, whose effective pixels hold there.
UNFILTERED = 6.0
# Distance of windows, in sides of them, from which on textures are made around them only.
FAR_APART = 2

_lags = cache(autocorrelation.lags)


def doubts(
    reference: Image,
    secondary: Image,
    nodes: zncc.Nodes,
    candidates: Candidates,
    valid: np.ndarray,
    peaks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (size, rows, columns) that speak against each peak: `false_alarm` and `ambiguity`.

    That the best candidate of unrelated ground reaches its score, and that another peak is the match. All sizes of
    window are tries of their own. `valid` (2, height, width): pixels of both that are fit to be matched; of size zero
    if all are that a window touches. `peaks` (size, rows, columns, surface.PEAK_FIELDS).
    """
    chance, ambiguity = np.empty(peaks.shape[:-1]), np.empty(peaks.shape[:-1])
    tries = len(chance) * (2.0 * candidates.half - 1.0).prod(axis=-1)
    for size, template in enumerate(reference.templates):
        effective, rough = _effective_pixels(reference, secondary, nodes.of_size(template), candidates, peaks[size])
        of_other = np.empty_like(effective)
        excess = _excess(reference, secondary, nodes.of_size(template), valid, peaks[size])
        for field, out in ((2, chance[size]), (surface.OTHER, of_other)):
            score = peaks[size, ..., field].astype(np.float64)
            significance.false_alarm(score, effective, excess, tries, rough, template**2, out)
        ambiguities.ambiguity(peaks[size], effective / (1.0 + excess), of_other, ambiguity[size])
    return chance, ambiguity


def _excess(
    reference: Image, secondary: Image, windows: zncc.Nodes, valid: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
    """How much less evenly than normal the contrast of both windows is spread, per effective pixel."""
    out = np.empty(peaks.shape[:-1])
    moments.excess(_kurtosis(reference, windows), secondary.filtered, valid[1], windows, peaks, out)
    return out * UNFILTERED if reference.colour_reach == 0 else out


def _kurtosis(image: Image, windows: zncc.Nodes) -> np.ndarray:
    """Fourth moments of windows of an image, computed once."""
    if windows not in image.kurtoses:
        out = np.empty((windows.rows, windows.columns))
        valid = np.empty((0, 0), dtype=np.uint8) if image.is_valid else image.valid
        moments.kurtosis(image.filtered, valid, windows, out)
        image.kurtoses[windows] = out
    return image.kurtoses[windows]


def _effective_pixels(
    reference: Image, secondary: Image, windows: zncc.Nodes, candidates: Candidates, peaks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that a score is worth at every node, and the correlation of scores one pixel apart along y and x."""
    effective = np.empty(peaks.shape[:-1])
    if reference.colour_reach == 0:
        # red texture is correlated over whole windows
        found = np.empty(3)
        first, second = (image.filtered * image.valid for image in (reference, secondary))
        valid = np.stack([reference.valid, secondary.valid])
        widest = int(candidates.half[candidates.wanted].max())
        significance.unrelated_scores(first, second, valid, windows.template, widest, found)
        effective[:] = found[0]
        return effective, found[1:]
    lagged = _lags(windows.template, reference.colour_reach)
    inset = _inset(reference)
    windows = windows._replace(top=windows.top - inset, left=windows.left - inset)
    a, b = (texture(image, windows) for image in (reference, secondary))
    if b.products.size > 0:
        autocorrelation.complete(b, lagged, _corners(b.is_known.shape, windows, peaks))
    significance.effective_pixels((a.sums, a.moments), (b.sums, b.moments), lagged.weight, windows, peaks, effective)
    return effective, np.array(significance.roughness(a, b, lagged))


def texture(image: Image, windows: zncc.Nodes) -> autocorrelation.Texture:
    """Local autocorrelation of an image for windows of one size, computed once.

    `windows` are counted from the first pixel that a window reaches. Around all pixels, or, of windows that lie far
    apart, around these at rest, and around others as pairs ask for them: the mean does not depend on the pairs.
    """
    is_sparse = windows.step >= FAR_APART * windows.template
    of = windows if is_sparse else zncc.Nodes(0, 0, 0, 0, 0, windows.template)
    if of not in image.textures:
        inset = _inset(image)
        valid = np.ascontiguousarray(image.valid[inset:-inset, inset:-inset])
        # the mean that some filters leave would pass for likeness at any distance
        pixels = np.empty(valid.shape, dtype=image.filtered.dtype)
        autocorrelation.without_mean(image.filtered, image.valid, inset, pixels)
        corners = None
        if is_sparse:
            at_rest = np.zeros((windows.rows, windows.columns, 2))
            corners = _corners(autocorrelation.count_corners(valid.shape), windows, at_rest)
        lagged = _lags(windows.template, image.colour_reach)
        image.textures[of] = autocorrelation.texture(pixels, valid, lagged, corners)
    return image.textures[of]


def _corners(shape: tuple[int, ...], windows: zncc.Nodes, peaks: np.ndarray) -> np.ndarray:
    """Corners of blocks (uint8) that windows need which are moved by these shifts."""
    out = np.zeros(shape, dtype=np.uint8)
    autocorrelation.mark_corners(windows, peaks, out)
    return out


def _inset(image: Image) -> int:
    """Outer pixels that no window reaches, since an image is known farther than it is searched."""
    return image.colour_reach
