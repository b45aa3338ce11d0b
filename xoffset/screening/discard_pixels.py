"""discard_pixels(): shifts without the pixels that too few pairs are left of."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import residuals
from xoffset._blocks import pixels
from xoffset.model import checks
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.points import takes_points
from xoffset.screening import stages

_CALLER = "discard_pixels"


@takes_points
def discard_pixels(shifts: xr.Dataset, *, max_discarded: float = 0.7, min_pairs: int = 1) -> xr.Dataset:
    """Shifts without the pixels, and the dates of pixels, that too few pairs are left of to be inverted.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) after `screen` or other steps that take vectors out.
    max_discarded
        Largest share of the pairs that a pixel may lack, 0 to 1: 0.7 in TIO.
    min_pairs
        Fewest pairs of a date of a pixel: 1 in TIO. Pairs of a date that has fewer are taken out, until all have
        enough.

    Returns
    -------
    xarray.Dataset
        Shifts whose `dx`, `dy`, `sigma_dx`, `sigma_dy` and `cov_dxdy` are NaN, with the flag `sparse`, where too few
        pairs are left; the rest stays. Lazy if the shifts are.

    Raises
    ------
    TypeError, ValueError
        If the shifts are none, or an option is out of range.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> shifts["dx"][:2, 0, 0] = float("nan")
    >>> xoffset.discard_pixels(shifts, max_discarded=0.5).dx[:, 0, 0].isnull().values
    array([ True,  True,  True])
    """
    shifts = checks.as_shifts(shifts, _CALLER)
    _options.check_share(max_discarded, "max_discarded", _CALLER)
    least = _options.as_whole_number(min_pairs, "min_pairs", _CALLER, least=1, example=2)
    flags = flags_of(shifts, _CALLER)
    order, _, ends = checks.sorted_pairs(shifts)
    of_pairs = np.empty_like(ends)
    of_pairs[order] = ends
    count = partial(residuals.too_few, ends=of_pairs, max_discarded=float(max_discarded), min_pairs=least)
    found = pixels.per_pixel(count, [shifts["dx"].data, shifts["dy"].data], len(ends))
    step = {"function": _CALLER, "max_discarded": float(max_discarded), "min_pairs": least}
    return stages.without_failed(shifts, flags, (found > 0) * np.int64(FLAGS["sparse"]), step)
