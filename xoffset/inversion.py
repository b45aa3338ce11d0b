"""invert(): from a network of shifts to displacement through time."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _blocks, _graph, model
from xoffset._kernels import laplacian

_STATES = {1: "no_pairs", 2: "disconnected", 3: "no_reference"}


def invert(
    shifts: xr.Dataset,
    *,
    weights: Literal["sigma", "uniform"] = "sigma",
    reference: str | np.datetime64 | pd.Timestamp | None = None,
) -> xr.Dataset:
    """Displacement at every date from a network of pairwise shifts.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate` or `screen`; pairs may be missing (NaN) in any pixel. A pair matched in
        both directions counts as two observations.
    weights
        `"sigma"`: each pair vector weighs the inverse of the mean of its two variances. `"uniform"`: all weigh alike.
    reference
        Date whose displacement is zero. None: the date with the most pairs, the first of them; the attribute
        `reference` says which.

    Returns
    -------
    xarray.Dataset
        Series (time, y, x). `dx`, `dy`: displacement in metres of the grid since the reference date, NaN where a date
        has no pair, where its pairs do not connect it with the reference date, or where the pixel lacks the reference
        date altogether; `flags` says which. `sigma_dx`, `sigma_dy`: standard error in metres that belongs to each
        date, the reference date included; the one of a difference of two dates is their root sum of squares. On
        (y, x): `rms`, misclosure of the pairs in metres (a test of consistency, not a measure of precision),
        `n_pairs`, pairs with a value, and `n_components`, the number of groups of dates that no pair connects. Lazy if
        `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts, a pair occurs twice, or the reference is none of their dates.

    Notes
    -----
    Weighted least squares per pixel on the graph of the pairs. Most noise of a match belongs to its two images and
    closes around every triplet; the variances of the pairs are therefore split into a share of each date, and only the
    part that the misclosure reveals is treated as noise of the pairs, which redundancy reduces. A network without
    redundancy reveals nothing: there all noise is taken for that of the dates, and if it belongs to the pairs (ground
    that changes its look) the displacement over many dates is less certain than its sigma says.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=6)
    >>> xoffset.invert(shifts, reference="2020-01-01").sizes["time"]
    3
    """
    shifts = model.as_shifts(shifts, "invert")
    if weights not in ("sigma", "uniform"):
        raise ValueError(f"invert() needs weights 'sigma' or 'uniform'; got {weights!r}. Choose one of the two.")
    order, epochs, ends = model.sorted_pairs(shifts)
    home = _reference(epochs, ends, reference)

    solve = partial(_solve, ends=ends, dates=epochs.size, home=home, is_uniform=weights == "uniform")
    fields = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    found = _blocks.per_pixel(solve, fields, 5 * epochs.size + 3)

    dx, dy, variance_x, variance_y, state = (found[k * epochs.size : (k + 1) * epochs.size] for k in range(5))
    rms, n_pairs, n_components = found[-3], found[-2], found[-1]
    series = model.series(
        {
            "dx": dx,
            "dy": dy,
            "sigma_dx": np.sqrt(variance_x),
            "sigma_dy": np.sqrt(variance_y),
            "flags": sum((state == code) * np.int32(model.FLAGS[name]) for code, name in _STATES.items()),
            "rms": rms,
            "n_pairs": n_pairs.astype(np.int32),
            "n_components": n_components.astype(np.int32),
        },
        epochs,
        like=shifts,
        step={"function": "invert", "weights": weights, "reference": str(epochs[home])},
    )
    series.attrs["reference"] = str(epochs[home])
    return series


def _reference(epochs: np.ndarray, ends: np.ndarray, reference: Any) -> int:
    """Index of the reference date."""
    if reference is None:
        return int(np.argmax(_graph.degree(epochs.size, _graph.undirected(ends))))
    wanted = model.as_instant(reference, "reference", "invert")
    found = np.flatnonzero(epochs == wanted)
    if not found.size and model.is_bare_date(reference):
        # a bare day names the only image of that day, whatever its time
        found = np.flatnonzero(epochs.astype("datetime64[D]") == wanted.astype("datetime64[D]"))
    if found.size != 1:
        nearest = epochs[np.argmin(np.abs(epochs - wanted))]
        raise ValueError(
            f"invert() needs one of the {epochs.size} dates of the network as reference; got {reference}. "
            f"The nearest is {nearest}."
        )
    return int(found[0])


def _solve(*fields: np.ndarray, ends: np.ndarray, dates: int, home: int, is_uniform: bool) -> np.ndarray:
    """Fields of `laplacian.invert` for dx, dy and their sigma in one block of pixels (pair, rows, columns)."""
    dx, dy, sigma_x, sigma_y = fields
    variance_x, variance_y = sigma_x.astype(np.float64) ** 2, sigma_y.astype(np.float64) ** 2
    weight_variance = 0.5 * (variance_x + variance_y)
    if is_uniform:
        # one weight for all that keeps the scale of the variances
        known = np.isfinite(weight_variance)
        count = np.maximum(known.sum(axis=0), 1)
        weight_variance = np.where(known, np.where(known, weight_variance, 0.0).sum(axis=0) / count, np.nan)
    out = np.empty((5 * dates + 3, *dx.shape[1:]), dtype=dx.dtype)
    laplacian.invert(ends, _graph.bandwidth(ends) + 1, home, dx, dy, variance_x, variance_y, weight_variance, out)
    return out
