"""thinning_bias(): what a surface that sinks or rises does to its horizontal motion."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xoffset._arrays.corrections.parallax import look_of
from xoffset._arrays.networks import graph
from xoffset.correction.views import views_on_nodes
from xoffset.model import checks, products
from xoffset.model.dates import as_dates
from xoffset.model.topography_variables import THINNING


def thinning_bias(dataset: xr.Dataset, *, view: xr.Dataset) -> xr.Dataset:
    """Horizontal motion that seems to be there for each metre that the surface rises.

    Images are laid on one terrain model. Where a glacier thins below it, what the satellite sees is drawn elsewhere:
    toward the satellite, by the change of height times the tangent of its zenith angle. Pairs of one orbit show that
    too, and nothing in them tells it from motion.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x), a series (time, y, x), a rate or a displacement (y, x).
    view
        Dataset with `view_zenith` and `view_azimuth` [degree] on (time, y, x), as `angles` gives it, or on (time) for
        scenes as wholes; of all dates of shifts or of a series.

    Returns
    -------
    xarray.Dataset
        `bias_x`, `bias_y` [1], metres along x and y for each metre that the surface rises: of shifts between both dates
        (pair, y, x), seen as from the mean of both views; of a series at each date, above the terrain model
        (time, y, x); of anything else from the mean of all views (y, x), and then metres a year for each metre a year.
        Multiply them by a change of height, below zero for a glacier that thins, and take the product off. NaN where
        the view is unknown. Lazy if `dataset` or `view` are.

    Raises
    ------
    TypeError
        If dataset or view is of the wrong type.
    ValueError
        If the dataset has no vectors on a grid, or angles or dates are missing, of other dims or units, or lie
        elsewhere.

    Notes
    -----
    A point at height h above the model lies at h·tan(zenith) from where it is drawn, away from the satellite. Views of
    Sentinel-2 reach 10 to 12 degrees at the edges of the swath: a metre makes up to 0.2 m.

    Examples
    --------
    >>> import xarray as xr, xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((96, 96))
    >>> names = {"view_zenith": ("time", [8.0] * stack.time.size), "view_azimuth": ("time", [285.0] * stack.time.size)}
    >>> bias = xoffset.thinning_bias(truth[["vx", "vy"]], view=xr.Dataset(names, {"time": stack.time}))
    >>> round(float(bias.bias_x.mean()), 2)
    0.14
    """
    data, names = checks.as_vectors(dataset, "thinning_bias")
    like = data[names[0]]
    kind = str(like.dims[0]) if like.ndim == 3 else ""
    ends = None
    dates = as_dates(data["time"].values) if kind == "time" else None
    if kind == "pair":
        checks.check_pairs(data, "thinning_bias")
        dates, ends = graph.incidence(*(as_dates(data[name].values) for name in ("reference", "secondary")))
    look = look_of(*views_on_nodes(view, like.isel({kind: 0}) if kind else like, dates, "thinning_bias"))
    if ends is not None:
        bias = 0.5 * (look[:, ends[:, 0]] + look[:, ends[:, 1]])
    else:
        # of dates without a view others tell it
        is_known = np.isfinite(look)
        bias = look if kind == "time" else np.where(is_known, look, 0.0).sum(axis=1) / is_known.sum(axis=1)
    dims = (kind, "y", "x") if kind in ("pair", "time") else ("y", "x")
    fields = {name: (dims, bias[k].astype(like.dtype)) for k, name in enumerate(("bias_x", "bias_y"))}
    return products.product(
        fields,
        THINNING,
        like=data,
        step={"function": "thinning_bias"},
        coords=checks.layer_coords(like) if len(dims) == 3 else None,
    )
