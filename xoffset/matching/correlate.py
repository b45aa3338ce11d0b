"""Displacement between the images of every pair: checks, match, labelled result."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.matching import curvature
from xoffset._arrays.matching.options import MatcherName
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset._blocks import halos
from xoffset._kernels.maps import neighbours
from xoffset.matching.request import Options, Request, in_metres, prepare
from xoffset.model import products
from xoffset.model.flags import FLAGS
from xoffset.model.lazy import in_few_tasks


@in_few_tasks
def correlate(
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int | Sequence[int] | None = None,
    search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
    step: int = 8,
    matcher: MatcherName | Matcher = "ncc",
    prefilter: str | Prefilter | None = "bandpass",
    prior: xr.Dataset | None = None,
    mask: xr.DataArray | None = None,
) -> xr.Dataset:
    """Displacement between the two images of every pair, with its uncertainty, on a grid.

    Parameters
    ----------
    stack
        Images (time, y, x) with x and y in metres. NaN, infinity and a declared nodata value are left out of every
        window, and so are constant blocks, see `flat_block` of `NCC`. NumPy gives a computed result, dask a lazy one
        with the same bits.
    network
        Pairs of dates, from `pairs`.
    template
        Side of the square window, in pixels. None: 32, or the window of a matcher that has one of its own, which takes
        no other. Several sides, such as (16, 32, 64), are all tried, and each node keeps the smallest whose match
        stands out and agrees with its neighbours; they differ by multiples of twice the greatest common divisor of step
        and templates, so that all share their centre.
    search
        Largest displacement looked for around the prior, in pixels, inclusive: one number, `(y, x)`, or a DataArray
        (y, x) of numbers, of which the nearest holds for a node (0 or NaN leaves it out), whose `units`, if stated, are
        pixels. A peak on the outermost ring is not accepted: choose at least one pixel more than the motion. A
        `Pyramid` goes from coarse to fine.
    step
        Distance between windows, in pixels; 1 for a value at every pixel.
    matcher
        `"ncc"`; `"phase"` for windows of 64 px and more; the dense matchers `"regularized"` and `"flow"` for small
        windows whose neighbours help, with `step=1` for a value at every pixel; or an `NCC`, `Phase`, `Regularized` or
        `Flow` with options of its own, or another `Matcher`.
    prefilter
        `"bandpass"` removes detail finer than 0.7 px (noise) and coarser than 3 px (light and shade) before matching;
        None matches the pixels as they are.
    prior
        What the displacement is about, rounded to whole pixels: a Dataset (y, x) with `vx` and `vy` in metres a year,
        or `dx` and `dy` in metres, per pair if it has `pair`, on any grid of the stack's CRS. NaN means around zero;
        such nodes are flagged `no_prior`, and keep their match. It never moves where a match is reported.
    mask
        Pixels that may be matched, boolean: (time, y, x) with the dates of the network, or (y, x) for all of them.
        False acts exactly like NaN in that image: at x in the reference and at x plus the displacement in the
        secondary. A mask on another grid is laid on by position, one of another CRS by the nearest pixel, as the log
        and the attribute `processing` say: a pixel may be matched where all of the mask that it touches is True, and
        nowhere beyond the mask. A lazy mask makes the result lazy.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) at the window centres in the reference image. `dx`, `dy`: displacement in metres of the
        grid, positive toward increasing x and y; a feature at (x, y) on the reference date is at (x + dx, y + dy) on
        the secondary date. `score`: correlation at the match, or at the whole-pixel peak where the refinement failed;
        of `Flow` negative where the contrast is inverted. `peak_gap`: whole-pixel peak minus the best score more than
        3 px away (NaN if `search` is at most 3, and of dense matchers).
        `sigma_dx`, `sigma_dy`: standard errors in metres; `cov_dxdy`: covariance in m2. `false_alarm`: probability that
        unrelated ground is accepted with so high a score (not with `"phase"`; of dense matchers see there).
        `ambiguity`: probability that another peak, more than 3 px away, is the match (NaN if `search` is at most 3;
        with `"ncc"`). `valid_fraction`: share of the pixels of the window in the reference whose partners at the match,
        to a whole pixel, are known, too, of the template that was kept; 1 without holes, NaN where `score` is, at least
        `min_valid` wherever dx is not.
        `flags`: why dx and dy are NaN. With several templates `template_size`: the side in pixels that was kept.
        Matched both ways `mismatch`: length in metres of the sum of the displacement and the one back. The CRS is that
        of the stack.

    Raises
    ------
    TypeError
        If stack, network, prior or mask are of the wrong type, or the pixels are no real numbers.
    ValueError
        If dims, dates, grid or CRS are not those of a stack, a date of the network is not in it, template, search
        and step do not fit the image or one another, or the prior is lazy or of another CRS; if the mask lacks a date
        of the network, lies elsewhere, or was made of values with a nodata value.

    Notes
    -----
    Masked zero-mean normalised correlation after Padfield (2012, IEEE Trans. Image Process. 21, 2706-2718); sub-pixel
    refinement by inverse-compositional Gauss-Newton; dense matchers have notes of their own. The standard errors of
    windows come from the Hessian and the residual of the fit, corrected for the colour that the pre-filter gives to
    noise, and contain the 0.002 px of interpolation bias.
    Two images that were both resampled from one larger pixel size (coordinate `native_pixel_size`) are drawn to whole
    pixels of that size; their standard errors contain this bias too, as measured on natural textures.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0, direction=90.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> float(shifts.dx.median().round(1))
    12.0
    """
    request = prepare(stack, network, Options(template, search, step, matcher, prefilter, prior, mask))
    return label_shifts(match_pairs(stack, request), stack, network, request)


def match_pairs(stack: xr.DataArray, request: Request) -> dict[str, Any]:
    """Fields of the matcher, in pixels."""
    return checked_fields(request.match(stack), request)


def checked_fields(found: Any, request: Request) -> dict[str, Any]:
    """Fields of the matcher (field, pair, rows, columns) by name, after what looks at neighbouring nodes."""
    fields = dict(zip(request.names, found, strict=True))
    fields["flags"] = fields["flags"].astype(np.int64) | request.guide.is_blind * np.int64(FLAGS["no_prior"])
    return _checked_both_ways(_with_curvature(fields, request), request.lattice.step)


def label_shifts(fields: dict[str, Any], stack: xr.DataArray, network: xr.Dataset, request: Request) -> xr.Dataset:
    """Shifts in metres, with their coordinates, from the fields of the matcher in pixels."""
    return products.shifts(
        in_metres(fields, request.frame.spacing),
        network,
        x=request.grid.x,
        y=request.grid.y,
        like=stack,
        step={"function": "correlate"} | request.parameters,
        sampling=request.sampling,
    )


def _with_curvature(fields: dict[str, Any], request: Request) -> dict[str, Any]:
    """Fields whose variances hold what strain leaves of curved motion; those of matchers without strain as they are."""
    if "side" not in fields:
        return fields
    step = request.lattice.step
    depth = curvature.reach(max(request.lattice.templates), step)
    names = ("dx", "dy", "variance_dx", "variance_dy", "side")
    variances = halos.fields_with_halo(partial(_curved, step=step), [fields[name] for name in names], depth, 2)
    return fields | {"variance_dx": variances[0], "variance_dy": variances[1]}


def _curved(*fields: np.ndarray, step: int) -> np.ndarray:
    """Variances along x and y (2, pair, rows, columns) with the square of what curvature leaves."""
    out = np.stack(fields[2:4])
    sides = np.nan_to_num(fields[4])
    for pair in range(out.shape[1]):
        for component in range(2):
            out[component, pair] += curvature.variance(fields[component][pair], sides[pair], step)
    return out


def _checked_both_ways(fields: dict[str, Any], step: int) -> dict[str, Any]:
    """Fields without the matches that do not come back, and the sums of both ways; those of one way as they are."""
    if "back_dx" not in fields:
        return fields
    names = ("dx", "dy", "back_dx", "back_dy", "variance_dx", "variance_dy")
    fails = halos.with_halo(
        partial(_fails_to_come_back, step=step), [fields[name] for name in names], 1, np.dtype(np.uint8)
    ).astype(bool)
    out = fields | {f"sum_{name}": fields[name] + fields[f"back_{name}"] for name in ("dx", "dy")}
    for name in ("dx", "dy", "variance_dx", "variance_dy", "covariance"):
        out[name] = np.where(fails, np.nan, fields[name])
    out["flags"] = fields["flags"] | fails * np.int64(FLAGS["forward_backward"])
    return out


def _fails_to_come_back(*fields: np.ndarray, step: int) -> np.ndarray:
    out = np.empty(fields[0].shape, dtype=np.uint8)
    for layers in zip(*fields, out, strict=True):
        neighbours.fails_to_come_back(*(np.ascontiguousarray(layer) for layer in layers[:-1]), step, layers[-1])
    return out
