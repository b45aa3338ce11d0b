"""correlate() and extend(): checks, match, labelled result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _request
from xoffset._blocks import halos, pixels, tiles
from xoffset._kernels import neighbours
from xoffset._ncc import NCC
from xoffset._phase import Phase
from xoffset._prefilters import Prefilter
from xoffset._pyramid import Pyramid
from xoffset._request import Options
from xoffset.model import checks, grids, history, products
from xoffset.model.dates import as_dates
from xoffset.model.flags import FLAGS


def correlate(
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int | Sequence[int] = 32,
    search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
    step: int = 8,
    matcher: Literal["ncc", "phase"] | NCC | Phase = "ncc",
    prefilter: str | Prefilter | None = "bandpass",
    prior: xr.Dataset | None = None,
) -> xr.Dataset:
    """Displacement between the two images of every pair, with its uncertainty, on a grid.

    Parameters
    ----------
    stack
        Images (time, y, x) with x and y in metres. NaN, infinity and a declared nodata value are left out of every
        window. NumPy gives a computed result, dask a lazy one with the same bits.
    network
        Pairs of dates, from `pairs`.
    template
        Side of the square window, in pixels. Several sides, such as (16, 32, 64), are all tried, and each node keeps
        the smallest whose match stands out and agrees with its neighbours; they differ by multiples of twice the
        greatest common divisor of step and templates, so that all share their centre.
    search
        Largest displacement looked for around the prior, in pixels, inclusive: one number, `(y, x)`, or a DataArray
        (y, x) of numbers, of which the nearest holds for a node (0 or NaN leaves it out). A peak on the outermost ring
        is not accepted: choose at least one pixel more than the motion. A `Pyramid` goes from coarse to fine.
    step
        Distance between windows, in pixels.
    matcher
        `"ncc"`; `"phase"` for windows of 64 px and more; or an `NCC` or a `Phase` with options of its own.
    prefilter
        `"bandpass"` removes detail finer than 0.7 px (noise) and coarser than 3 px (light and shade) before matching;
        None matches the pixels as they are.
    prior
        What the displacement is about, rounded to whole pixels: a Dataset (y, x) with `vx` and `vy` in metres a year,
        or `dx` and `dy` in metres, per pair if it has `pair`, on any grid of the stack's CRS. NaN means around zero;
        such nodes are flagged `no_prior`, and keep their match. It never moves where a match is reported.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) at the window centres in the reference image. `dx`, `dy`: displacement in metres of the
        grid, positive toward increasing x and y; a feature at (x, y) on the reference date is at (x + dx, y + dy) on
        the secondary date. `score`: correlation at the match, or at the whole-pixel peak where the refinement failed.
        `gap`: whole-pixel peak minus the best score more than 3 px away (NaN if `search` is at most 3). `sigma_dx`,
        `sigma_dy`: standard errors in metres; `sigma_dxdy`: covariance in m2. `false_alarm`: probability that unrelated
        ground is accepted with so high a score (not with `"phase"`). `flags`: why dx and dy are NaN. With several
        templates `template_size`: the side in pixels that was kept. Matched both ways `mismatch`: length in metres of
        the sum of the displacement and the one back. The CRS is that of the stack.

    Raises
    ------
    TypeError
        If stack, network or prior are of the wrong type, or the pixels are no real numbers.
    ValueError
        If dims, dates, grid or CRS are not those of a stack, a date of the network is not in it, template, search
        and step do not fit the image or one another, or the prior is lazy or of another CRS.

    Notes
    -----
    Masked zero-mean normalised correlation after Padfield (2012, IEEE Trans. Image Process. 21, 2706-2718); sub-pixel
    refinement by inverse-compositional Gauss-Newton. The standard errors come from the Hessian and the residual of the
    fit, corrected for the colour that the pre-filter gives to noise, and contain the 0.002 px of interpolation bias.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0, direction=90.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> float(shifts.dx.median().round(1))
    12.0
    """
    request = _request.prepare(stack, network, Options(template, search, step, matcher, prefilter, prior))
    return _labelled(_match(stack, request), stack, network, request)


def extend(
    shifts: xr.Dataset,
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int | Sequence[int] = 32,
    search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
    step: int = 8,
    matcher: Literal["ncc", "phase"] | NCC | Phase = "ncc",
    prefilter: str | Prefilter | None = "bandpass",
    prior: xr.Dataset | None = None,
) -> xr.Dataset:
    """Shifts of a network of which some pairs were matched before: only the new ones are.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) as `correlate` or `extend` made them. Once they are screened, calibrated or otherwise
        changed they are refused: keep the raw ones, and screen what this function returns.
    stack
        Images (time, y, x) of all dates of the network. Only those of new pairs are read.
    network
        Pairs of dates, old and new, from `pairs`. Pairs of `shifts` that it does not name are left out.
    template, search, step, matcher, prefilter, prior
        As in `correlate`, and the same as those that the shifts were made with. Of a prior or a map of `search` it is
        the caller who must see to that: only the names of their variables are on record.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of all pairs of the network in its order: `dx`, `dy`, their standard errors and the other
        variables that `shifts` have, in the units and with the signs of `correlate`, NaN where there is no match. The
        same as `correlate(stack, network)`: to the last bit, unless that would cut large images into other tiles for
        more dates, or give tiles another margin for a prior of more motion; then within rounding. Lazy if `stack` or
        `shifts` are; where no pair is new, if `shifts` are.

    Raises
    ------
    TypeError
        If shifts, stack, network or prior are of the wrong type.
    ValueError
        If the shifts were made with other options, by another function or on another grid, or for the reasons of
        `correlate`.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates)
    >>> before = xoffset.correlate(stack[:2], xoffset.pairs(stack[:2]), search=6)
    >>> shifts = xoffset.extend(before, stack, xoffset.pairs(stack), search=6)
    >>> shifts.identical(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    True
    """
    shifts = checks.as_shifts(shifts, "extend")
    request = _request.prepare(stack, network, Options(template, search, step, matcher, prefilter, prior))
    _check_origin(shifts, stack, request)
    order, new = _order(shifts, network)
    parts = [shifts]
    if new:
        dates, of_new = request.only(new)
        images = stack.isel(time=dates)
        parts.append(_labelled(_match(images, of_new), images, network.isel(pair=new), of_new))
    fields = {
        name: pixels.per_pixel(partial(_in_order, order=order), [part[name].data for part in parts], order.size)
        for name in _names_of_all(parts)
    }
    return products.shifts(
        fields, network, x=request.grid.x, y=request.grid.y, like=stack,
        step={"function": "correlate"} | request.parameters,
    )  # fmt: skip


def _match(stack: xr.DataArray, request: _request.Request) -> dict[str, Any]:
    """Fields of the matcher, in pixels."""
    found = tiles.match_tiles(
        stack.data, request.guide.fields, request.lattice, request.kernel(request.guide.pairs), request.shape
    )
    fields = dict(zip(request.names, found, strict=True))
    fields["flags"] = fields["flags"].astype(np.int32) | request.guide.is_blind * np.int32(FLAGS["no_prior"])
    return _checked_both_ways(fields, request.lattice.step)


def _labelled(
    fields: dict[str, Any], stack: xr.DataArray, network: xr.Dataset, request: _request.Request
) -> xr.Dataset:
    return products.shifts(
        _request.in_metres(fields, grids.spacing(stack, "correlate")),
        network,
        x=request.grid.x,
        y=request.grid.y,
        like=stack,
        step={"function": "correlate"} | request.parameters,
    )


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
    out["flags"] = fields["flags"] | fails * np.int32(FLAGS["forward_backward"])
    return out


def _fails_to_come_back(*fields: np.ndarray, step: int) -> np.ndarray:
    out = np.empty(fields[0].shape, dtype=np.uint8)
    for layers in zip(*fields, out, strict=True):
        neighbours.fails_to_come_back(*(np.ascontiguousarray(layer) for layer in layers[:-1]), step, layers[-1])
    return out


def _check_origin(shifts: xr.Dataset, stack: xr.DataArray, request: _request.Request) -> None:
    """Refuse shifts that `correlate` would not have made of this stack with these options."""
    advice = "Keep what correlate() returns, extend that, and screen or calibrate the result."
    recorded = history.steps(shifts)
    if not recorded or recorded[-1].get("function") != "correlate":
        came = f"those of {recorded[-1].get('function')}()" if recorded else "shifts that do not say how they were made"
        raise ValueError(f"extend() needs shifts as correlate() made them; got {came}. {advice}")
    wanted = json.loads(json.dumps({"function": "correlate"} | request.parameters))
    *before, last = recorded
    differ = [name for name in sorted(wanted.keys() | last.keys()) if wanted.get(name) != last.get(name)]
    if differ:
        raise ValueError(
            f"extend() needs the options that the shifts were made with; got {differ[0]}={wanted.get(differ[0])!r} "
            f"instead of {last.get(differ[0])!r}. Pass the old ones, or match all pairs again."
        )
    # how files were read may differ by what a new file needs
    earlier, now = (
        [each for each in steps if each["function"] != "open_stack"] for steps in (before, history.steps(stack))
    )
    if earlier != now:
        raise ValueError(
            f"extend() needs images prepared like those of the shifts; got steps {_listed(now)} instead of "
            f"{_listed(earlier)}. Prepare the stack alike, or match all pairs again: correlate(stack, network)."
        )
    spacing = grids.spacing(stack, "correlate")
    for name in ("y", "x"):
        ours, theirs = getattr(request.grid, name), shifts[name].values
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-3 * abs(getattr(spacing, name)):
            raise ValueError(
                f"extend() needs a stack on whose grid the shifts lie; got {ours.size} nodes along {name} from "
                f"{ours[0]:g} to {ours[-1]:g} m, and shifts with {theirs.size} from {theirs[0]:g} to {theirs[-1]:g} m. "
                "Open the same part of the images: open_stack(..., bbox=...)."
            )
    if grids.crs_of(shifts) != grids.crs_of(stack):
        raise ValueError(
            "extend() needs shifts in the CRS of the stack; got those of another one. "
            "Match all pairs again: correlate(stack, network)."
        )


def _listed(steps: list[dict[str, Any]]) -> str:
    return ", ".join(str(step["function"]) for step in steps) or "none"


def _order(shifts: xr.Dataset, network: xr.Dataset) -> tuple[np.ndarray, list[int]]:
    """Place of every pair of the network among those matched before and the new ones after them, and the new ones."""
    before, wanted = (
        list(zip(*(as_dates(data[name].values) for name in ("reference", "secondary")), strict=True))
        for data in (shifts, network)
    )
    place = {pair: k for k, pair in enumerate(before)}
    new: list[int] = []
    for k, pair in enumerate(wanted):
        if pair not in place:
            place[pair] = len(before) + len(new)
            new.append(k)
    return np.array([place[pair] for pair in wanted]), new


def _names_of_all(parts: list[xr.Dataset]) -> list[str]:
    """Variables that all parts have, after checking that they fit together."""
    names = [name for name in products.variables_of_shifts(parts[-1]) if name in parts[0]]
    for name in names:
        ours, theirs = parts[-1][name], parts[0][name]
        if theirs.dims != ("pair", "y", "x") or theirs.dtype != ours.dtype:
            raise ValueError(
                f"extend() needs '{name}' as correlate() makes it of this stack, ('pair', 'y', 'x') of {ours.dtype}; "
                f"got {theirs.dims} of {theirs.dtype}. Keep what correlate() returns, or match all pairs again."
            )
    return names


def _in_order(*parts: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.asarray(np.concatenate(parts)[order])
