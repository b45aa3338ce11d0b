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
from xoffset.model.history import digest_of
from xoffset.model.pair_shares import pair_shares
from xoffset.model.shift_errors import with_shift_error


class Light(NamedTuple):
    """What was taken off the shifts: as `nuisance.remove` finds it."""

    what: nuisance.Nuisance
    found: Any  # (layer, rows, columns)

    @property
    def told(self) -> str:
        """What a step records of the sun."""
        return digest_of(self.what.terms)

    def carried(self, fields: dict[str, Any], is_home: Any, root: Any) -> dict[str, Any]:
        """Variables of a series with what was removed, and with its errors in theirs.

        is_home (date,): 1 or 0; root: of `SeriesLayers`.
        """
        parts = self.what.layers.split(self.found)
        drift = [fields[f"sigma_drift_{name}"][np.newaxis] for name in ("dx", "dy")]
        series = [fields[name] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
        given = [self.found[self.what.layers[name]] for name in ("value", "covariance")]
        layers = nuisance.carried(len(self.what.times))
        carry = partial(nuisance.carry, nuisance=self.what)
        home = is_home[:, np.newaxis, np.newaxis]
        roots = [root] if root.shape[0] else []
        more = pixels.per_pixel_of(carry, [*series, *drift, *given, *roots], home, layers.count)
        is_left = (parts["is_told"] == 0.0) & np.isfinite(fields["dx"])
        flags = fields["flags"] | is_left * np.int64(FLAGS["not_corrected"])
        return fields | layers.split(more) | {"flags": flags, "sun_condition": parts["condition"]}


def without(shifts: xr.Dataset, light: xr.DataArray | xr.Dataset, weights: Any, loss: int) -> tuple[xr.Dataset, Light]:
    """Shifts without what moves with the sun, and what that was."""
    order, epochs, ends = checks.sorted_pairs(shifts)
    slants = sun.slants(sun.angles_of(light, epochs, "sun", "invert"))
    slow = terms.slow(epochs)
    sun.check_told(slants, slow, "invert")
    times, season = in_years(epochs - epochs[0]), np.stack(terms.season(epochs, 1), axis=1)
    # in the order of the shifts, which are given back as they came
    given = np.empty_like(ends)
    given[order] = ends
    told = with_shift_error(shifts, "invert")
    fields, base = [told[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")], None
    if not isinstance(weights, str):
        options, more = weighting(weights, shifts, slice(None), times[given[:, 1]] - times[given[:, 0]])
        base, fields = options.get("base"), fields + more
    what = nuisance.Nuisance(slants, slow, season, times, given, loss, base=base)
    remove, shares = partial(nuisance.remove, nuisance=what), pair_shares(fields[:4], given, times)
    found = pixels.per_pixel_of(remove, fields, shares, what.layers.count)
    dims, parts = shifts["dx"].dims, what.layers.split(found)
    return shifts.assign({name: (dims, parts[name]) for name in ("dx", "dy")}), Light(what, found)
