"""denoise(): shifts with less noise and the same edges."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.corrections.smoothing import Median, NonlocalMeans
from xoffset._blocks import halos
from xoffset.model import checks, products
from xoffset.model.flags import FLAGS, flags_of

_METHODS: dict[str, type[Median | NonlocalMeans]] = {"median": Median, "nlm": NonlocalMeans}
# Side of a window, at most.
_MOST = 15


def denoise(shifts: xr.Dataset, *, method: Literal["median", "nlm"] = "median", size: int = 3) -> xr.Dataset:
    """Shifts that are smoothed, map by map, with edges of what moves kept.

    For maps to be looked at. Noise falls, but so does the resolution, and neighbours err alike afterwards; series and
    rates are better made of shifts as they were matched.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, best after `screen` and `correct`.
    method
        `"median"`: the median of each component over a square of nodes; what is narrower than half of the square goes.
        `"nlm"`: nonlocal means: the mean of the vectors up to 5 nodes away, each with a weight that falls with how much
        its surroundings differ from those of the node, by more than the standard errors explain.
    size
        Side of the square, or of the surroundings that are compared, in nodes: an odd number from 3 to 15.

    Returns
    -------
    xarray.Dataset
        Shifts with smoothed `dx`, `dy` [m] and the flag `smoothed` where they are. What was taken off adds to
        `removed_dx`, `removed_dy` [m], so that smoothed plus removed are the shifts of the matcher. What is NaN stays
        NaN, and is not filled. Standard errors stay those of the matches: how much smaller the noise is depends on how
        far it is shared by neighbours, and a smoothed vector is no independent one. With `"nlm"`, vectors without a
        standard error above 0 stay as they are, without the flag. Lazy if the shifts are.

    Raises
    ------
    TypeError
        If the shifts are none.
    ValueError
        If they do not lie on a grid, the method is unknown, or the size is no odd number in the range.

    Notes
    -----
    Nonlocal means: Buades, Coll & Morel 2005, Multiscale Modeling & Simulation 4, 490-530. They trust the standard
    errors: where these are too small, little is smoothed. `calibrate` them first.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), snr=4.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=8)
    >>> smooth = xoffset.denoise(shifts)
    >>> bool(smooth.dx.diff("x").std() < shifts.dx.diff("x").std())
    True
    """
    shifts = checks.as_shifts(shifts, "denoise")
    _options.check_name(method, _METHODS, "method", "denoise")
    radius = _options.as_radius(size, "denoise", least=3, name="size")
    _options.check_count(size, _MOST, "nodes as size", "denoise", "Pass size=3")
    smoother = _METHODS[method](2 * radius + 1)

    dtype = np.result_type(shifts["dx"].dtype, shifts["dy"].dtype)
    fields = [shifts[name].data.astype(dtype, copy=False) for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    fields = fields if method == "nlm" else fields[:2]
    found = halos.fields_with_halo(smoother, fields, smoother.depth, 2)

    out = shifts.copy()
    dims = shifts["dx"].dims
    is_smooth = np.isfinite(found[0])
    for k, name in enumerate(("dx", "dy")):
        given = shifts[name].data
        out[name] = (dims, np.where(is_smooth, found[k], given).astype(given.dtype))
        taken = np.where(is_smooth, given - found[k], 0.0).astype(given.dtype)
        removed = f"removed_{name}"
        out[removed] = (dims, taken + shifts[removed].data if removed in shifts else taken)
    out["flags"] = (dims, flags_of(shifts, "denoise") | is_smooth * np.int64(FLAGS["smoothed"]))
    return products.relabel(out, {"function": "denoise", "method": method, "size": 2 * radius + 1})
