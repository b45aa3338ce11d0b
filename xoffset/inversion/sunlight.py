"""What moves with the sun and not with the ground, told from the shifts and taken off before they are inverted."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.networks import nuisance, terms
from xoffset._blocks import pixels
from xoffset.inversion.weights import weighting
from xoffset.model import checks, sun
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS
from xoffset.model.pair_shares import pair_shares


class Light(NamedTuple):
    """What was taken off: parts of `Nuisance.layers`, and its functions of the dates (date, 2)."""

    parts: dict[str, Any]
    slants: np.ndarray
    times: np.ndarray  # (date,) [yr]

    def carried(self, fields: dict[str, Any], is_home: Any) -> dict[str, Any]:
        """Variables of a series with what was removed, and with its errors in theirs; is_home (date,): 1 or 0."""
        out = dict(fields)
        zero = (is_home[:, np.newaxis] * self.slants).sum(axis=0) / is_home.sum()
        for axis, name in enumerate(("dx", "dy")):
            found, spread = self.parts["value"][axis], self.parts["covariance"][axis]
            since = self.slants - zero
            removed = sum(_outer(since[:, k], found[k]) for k in range(2)).astype(found.dtype)
            out[f"removed_{name}"] = np.where(np.isnan(fields[name]), np.nan, removed)
            # the difference of two dates is off by no more than the root of the sum of both squares
            own = nuisance_variance(self.slants - self.slants.mean(axis=0), spread)
            out[f"sigma_{name}"] = np.sqrt(fields[f"sigma_{name}"] ** 2 + 2.0 * own).astype(found.dtype)
            lever = self.times - self.times.mean()
            slope = (lever @ self.slants / (lever @ lever))[np.newaxis]
            drift = fields[f"sigma_drift_{name}"] ** 2 + nuisance_variance(slope, spread)[0]
            out[f"sigma_drift_{name}"] = np.sqrt(drift).astype(found.dtype)
        is_left = (self.parts["is_told"] == 0.0) & np.isfinite(fields["dx"])
        out["flags"] = fields["flags"] | is_left * np.int64(FLAGS["not_corrected"])
        return out | {"sun_condition": self.parts["condition"]}


def nuisance_variance(functions: np.ndarray, spread: Any) -> Any:
    """Variance (n, ...) of functions (n, 2) times parameters with a covariance (2, 2, ...), NumPy or dask."""
    first, second = functions.T
    cross = _outer(2.0 * first * second, spread[0, 1])
    return _outer(first**2, spread[0, 0]) + cross + _outer(second**2, spread[1, 1])


def _outer(line: Any, field: Any) -> Any:
    return line[:, np.newaxis, np.newaxis] * field[np.newaxis]


def without(shifts: xr.Dataset, light: xr.DataArray | xr.Dataset, weights: Any, loss: int) -> tuple[xr.Dataset, Light]:
    """Shifts without what moves with the sun, and what that was."""
    order, epochs, ends = checks.sorted_pairs(shifts)
    slants = sun.slants(sun.angles_of(light, epochs, "sun", "invert"))
    times, slow = in_years(epochs - epochs[0]), terms.slow(epochs)
    season = np.stack(terms.season(epochs, 1), axis=1)
    # in the order of the shifts, which are given back as they came
    given = np.empty_like(ends)
    given[order] = ends
    fields = [shifts[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    base = None
    if not isinstance(weights, str):
        options, more = weighting(weights, shifts, slice(None), times[given[:, 1]] - times[given[:, 0]])
        base, fields = options.get("base"), fields + more
    what = nuisance.Nuisance(slants, slow, season, times, given, loss, base=base)
    _check(what, epochs.size)
    remove, shares = partial(nuisance.remove, nuisance=what), pair_shares(fields[:4], given, times)
    found = pixels.per_pixel_of(remove, fields, shares, what.layers.count)
    parts = what.layers.split(found)
    dims = shifts["dx"].dims
    return shifts.assign({name: (dims, parts[name]) for name in ("dx", "dy")}), Light(parts, slants, times)


def _check(what: nuisance.Nuisance, dates: int) -> None:
    """Refuse dates that do not tell light from motion in any pixel."""
    needed = what.unknowns + nuisance.SPARE
    if dates < needed:
        raise ValueError(
            f"invert() needs {needed} dates to tell light from motion; got {dates}. Leave sun out, and pair dates of "
            "one season: pairs(max_season_gap='30D')."
        )
    columns = np.concatenate([np.ones((dates, 1)), what.slow, what.terms], axis=1)
    if np.linalg.matrix_rank(columns / np.linalg.norm(columns, axis=0), tol=1e-6) < columns.shape[1]:
        raise ValueError(
            "invert() needs a sun that moves between the dates, both along and across its azimuth; got the same of "
            "all, or one that moves as a steady motion would. Leave sun out: such light moves nothing, or nobody can "
            "tell it."
        )
