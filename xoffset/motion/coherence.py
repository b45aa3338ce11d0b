"""How far pairs agree: vector_coherence() and quality()."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.layers import Layers
from xoffset._arrays.networks.observations import Observations
from xoffset._blocks import halos, pixels
from xoffset._kernels.networks import coherence
from xoffset.model import checks, variables
from xoffset.model.flags import FLAGS
from xoffset.model.points import takes_points
from xoffset.motion.maps import on_grid

# What `_directions_of_block` finds, in the order of the kernel; the sums are those of x, y and the lengths.
_DIRECTIONS = Layers(
    sums=3, n_pairs=(), flags=(), normalised_vector_coherence=(), noise_floor=(), debiased_vector_coherence=()
)


def vector_coherence(
    shifts: xr.Dataset, *, window: int = 11, min_displacement: float = 0.15, min_valid: float = 0.4
) -> xr.Dataset:
    """How far the displacements agree on one direction: near 1 where the ground moves steadily.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate` or `screen`; pairs may be missing (NaN) in any pixel. Backward pairs count
        with their sign turned; matches of the same two dates, in either direction, count once.
    window
        Side, in nodes, of the window of `vector_coherence`; odd. It ends at the edges of the grid. 1 takes each node
        alone.
    min_displacement
        Least length in metres of a node's mean displacement; below it `vector_coherence` is NaN.
    min_valid
        Least share, 0 to 1, of a node's pairs that have a value; below it `vector_coherence` is NaN.

    Returns
    -------
    xarray.Dataset
        On (y, x), from 0 to 1: `vector_coherence`, length of the sum of the displacements of all pairs and all nodes of
        the window, over the sum of their lengths; long displacements count most. Of the pairs of the node alone, each
        with length 1: `normalised_vector_coherence`, length of the mean direction; `noise_floor`, its value for noise
        alone; `debiased_vector_coherence`, what it has beyond that, 0 where it has less, NaN for a single pair.
        `n_pairs`: pairs of dates with a value. `flags`: `no_pairs` where there is none, `few_valid` below `min_valid`,
        `insignificant` below `min_displacement`. Lazy if `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts, the window is no odd number, or a limit is out of range.

    Notes
    -----
    The window form is that of MPIC (Stumpf et al. 2017, Remote Sens. Environ. 189), which writes 0 where this
    has NaN. The normalised form is that of TICOI.

    The directions of N independent pairs of noise have a mean of length 1/√N, in root mean square. Here N counts pairs,
    never nodes: the windows of neighbours share their pixels. Nor are pairs independent that share an image: where
    many begin or end with the same image they turn alike. `noise_floor` is 1/√N with the number of independent pairs
    that the noise of the images leaves, N²/(N + 0.406·(Σ b² − 2N)), b the pairs that end with a date less those that
    begin with it; it is the number of pairs N itself where they share none, and never more. `debiased_vector_coherence`
    is √((N·C² − 1)/(N − 1)) with that number.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates, field="constant", velocity=20.0)
    >>> coherence = xoffset.vector_coherence(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> float(coherence.vector_coherence.median().round(2))
    1.0
    """
    shifts = checks.as_shifts(shifts, "vector_coherence")
    radius = _options.as_radius(window, "vector_coherence", least=1)
    least = _options.as_number(min_displacement, "min_displacement", "vector_coherence")
    _options.check_share(min_valid, "min_valid", "vector_coherence")

    order, _, ends = checks.sorted_pairs(shifts)
    seen = Observations.of(ends)
    fields = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    directions = partial(_directions_of_block, seen=seen, min_displacement=least, min_valid=float(min_valid))
    found = _DIRECTIONS.split(pixels.per_pixel(directions, fields, _DIRECTIONS.count))
    sums, n_pairs, flags = (found.pop(name) for name in ("sums", "n_pairs", "flags"))
    x, y, length = halos.with_halo(partial(_window_sums_of_block, radius=radius), [sums], radius, sums.dtype)

    flags = flags.astype(np.int64)
    # a window where nothing moves has no direction
    length = np.where((flags == 0) & (length > 0), length, np.nan)
    values = {
        "vector_coherence": np.minimum(np.hypot(x, y) / length, 1.0),
        **found,
        "n_pairs": n_pairs.astype(np.int32),
        "flags": flags,
    }
    step = {
        "function": "vector_coherence",
        "window": 2 * radius + 1,
        "min_displacement": least,
        "min_valid": float(min_valid),
    }
    return on_grid(values, variables.COHERENCE, shifts, step)


@takes_points
def quality(shifts: xr.Dataset, *, threshold: float = 0.2) -> xr.Dataset:
    """Share of the pairs whose score exceeds a threshold.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, with `score`; NaN where nothing could be matched. Of the matches of the
        same two dates the best counts.
    threshold
        Score, 0 to 1, that a pair must exceed. What unrelated ground reaches depends on window and search: see
        `false_alarm` of `screen`.

    Returns
    -------
    xarray.Dataset
        On (y, x): `quality`, percent of all pairs of dates of the network whose score exceeds the threshold;
        `quality_of_valid`, percent of those pairs that have a score; `n_valid`, number of these. The first two are NaN,
        and `flags` says `no_pairs`, where there is none. Lazy if `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts or have no score, or the threshold is no share.

    Notes
    -----
    "Quality index" of the GDM services.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=20.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> float(xoffset.quality(shifts).quality.max())
    100.0
    """
    shifts = checks.as_shifts(shifts, "quality")
    _options.check_share(threshold, "threshold", "quality")
    if "score" not in shifts or shifts["score"].dims != ("pair", "y", "x") or shifts["score"].dtype.kind not in "iuf":
        raise ValueError(
            "quality() needs numbers 'score' with dims ('pair', 'y', 'x'); got none. Use the result of correlate()."
        )
    order, _, ends = checks.sorted_pairs(shifts)
    seen = Observations.of(ends)
    score = shifts["score"].data[order].astype(np.result_type(shifts["score"].dtype, np.float32))
    count = partial(_count_of_block, seen=seen, threshold=float(threshold))
    percent, of_valid, n_valid = pixels.per_pixel(count, [score], 3)
    fields = {
        "quality": percent,
        "quality_of_valid": of_valid,
        "n_valid": n_valid.astype(np.int32),
        "flags": (n_valid == 0) * np.int64(FLAGS["no_pairs"]),
    }
    return on_grid(fields, variables.QUALITY, shifts, {"function": "quality", "threshold": float(threshold)})


def _directions_of_block(
    *fields: np.ndarray, seen: Observations, min_displacement: float, min_valid: float
) -> np.ndarray:
    observed = seen.merge(*fields)
    found = np.empty((_DIRECTIONS.count, *observed.shape[2:]))
    coherence.of_pairs(seen.ends, seen.dates, observed[0], observed[1], found)
    named = _DIRECTIONS.split(found)
    x, y, _ = named["sums"]
    count = named["n_pairs"]
    named["flags"][:] = np.where(
        count == 0,
        FLAGS["no_pairs"],
        (count < min_valid * len(seen.ends)) * FLAGS["few_valid"]
        + (np.hypot(x, y) < min_displacement * count) * FLAGS["insignificant"],
    )
    return found.astype(fields[0].dtype)


def _window_sums_of_block(sums: np.ndarray, radius: int) -> np.ndarray:
    out = np.empty_like(sums)
    for field, total in zip(sums, out, strict=True):
        coherence.window_sum(field, radius, total)
    return out


def _count_of_block(score: np.ndarray, seen: Observations, threshold: float) -> np.ndarray:
    best = np.full((len(seen.ends), *score.shape[1:]), np.nan, dtype=score.dtype)
    for pair, group in enumerate(seen.group):
        best[group] = np.fmax(best[group], score[pair])
    valid = np.isfinite(best).sum(axis=0)
    good = 100.0 * (np.isfinite(best) & (best > threshold)).sum(axis=0)
    known = np.where(valid > 0, good, np.nan)
    return np.stack([known / len(best), known / np.maximum(valid, 1), valid]).astype(score.dtype)
