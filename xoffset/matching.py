"""correlate(): the sampling grid, the checks, the choice of matcher, the labelled result."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _blocks, _guide, _images, _ncc, _phase, _prefilters, _pyramid, model
from xoffset._kernels import neighbours
from xoffset._ncc import NCC
from xoffset._phase import Phase
from xoffset._prefilters import Prefilter
from xoffset._pyramid import Pyramid


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
    stack = model.as_stack(stack, "correlate")
    network = model.as_network(network, stack, "correlate")
    matcher, used = _as_matcher(matcher), _prefilters.as_prefilter(prefilter)
    step = _as_size(step, "step", 1)
    templates = _as_templates(template, step)
    grid = _guide.Grid.of(stack, templates[-1], step)
    guide = _guide.guide(stack, network, search, prior, grid)
    lattice = _lattice(stack, templates, step, guide, used)
    if isinstance(matcher, Phase):
        matcher.check(lattice, is_uniform=not isinstance(search, xr.DataArray))
    options: dict[str, Any] = {"pairs": guide.pairs, "lattice": lattice, "matcher": matcher, "prefilter": used}
    if isinstance(matcher, Phase):
        names, kernel = _phase.FIELDS, partial(_phase.match_tile, **options)
    else:
        names, kernel = _ncc.fields(matcher, templates), partial(_ncc.match_tile, **options)
    found = _blocks.match_tiles(stack.data, guide.fields, lattice, kernel, (len(names), len(guide.pairs)))
    fields = dict(zip(names, found, strict=True))
    fields["flags"] = fields["flags"].astype(np.int32) | guide.is_blind * np.int32(model.FLAGS["no_prior"])
    return model.shifts(
        _in_metres(_checked_both_ways(fields, step), model.spacing(stack, "correlate")),
        network,
        x=grid.x,
        y=grid.y,
        like=stack,
        step={
            "function": "correlate",
            "template": list(templates) if len(templates) > 1 else templates[0],
            "search": _described(search),
            "step": step,
            "matcher": {"name": type(matcher).__name__} | dataclasses.asdict(matcher),
            "prefilter": _prefilters.described(used),
            "prior": None if prior is None else sorted(map(str, prior.data_vars)),
        },
    )


def _in_metres(fields: dict[str, Any], spacing: model.Spacing) -> dict[str, Any]:
    """Fields of a matcher, in pixels, as variables of shifts."""
    out = {
        "dx": fields["dx"] * spacing.x,
        "dy": fields["dy"] * spacing.y,
        "score": fields["score"],
        "gap": fields["gap"],
        "sigma_dx": np.sqrt(fields["variance_dx"]) * abs(spacing.x),
        "sigma_dy": np.sqrt(fields["variance_dy"]) * abs(spacing.y),
        "sigma_dxdy": fields["covariance"] * (spacing.x * spacing.y),
        "flags": fields["flags"],
    }
    out |= {name: fields[name] for name in ("false_alarm", "template_size") if name in fields}
    if "back_dx" in fields:
        along_x, along_y = fields["dx"] + fields["back_dx"], fields["dy"] + fields["back_dy"]
        out["mismatch"] = np.hypot(along_x * spacing.x, along_y * spacing.y)
    return out


def _checked_both_ways(fields: dict[str, Any], step: int) -> dict[str, Any]:
    """Fields without the matches that do not come back; those of one way as they are."""
    if "back_dx" not in fields:
        return fields
    names = ("dx", "dy", "back_dx", "back_dy", "variance_dx", "variance_dy")
    fails = _blocks.with_halo(
        partial(_fails_to_come_back, step=step), [fields[name] for name in names], 1, np.dtype(np.uint8)
    ).astype(bool)
    out = dict(fields)
    for name in ("dx", "dy", "variance_dx", "variance_dy", "covariance"):
        out[name] = np.where(fails, np.nan, fields[name])
    out["flags"] = fields["flags"] | fails * np.int32(model.FLAGS["forward_backward"])
    return out


def _fails_to_come_back(*fields: np.ndarray, step: int) -> np.ndarray:
    out = np.empty(fields[0].shape, dtype=np.uint8)
    for layers in zip(*fields, out, strict=True):
        neighbours.fails_to_come_back(*(np.ascontiguousarray(layer) for layer in layers[:-1]), step, layers[-1])
    return out


def _described(search: int | tuple[int, int] | xr.DataArray | Pyramid) -> Any:
    """Search as a parameter to be written down."""
    if isinstance(search, xr.DataArray):
        return "map"
    return dataclasses.asdict(search) if isinstance(search, Pyramid) else search


def _as_matcher(matcher: Literal["ncc", "phase"] | NCC | Phase) -> NCC | Phase:
    if isinstance(matcher, (NCC, Phase)):
        return matcher
    if isinstance(matcher, str) and matcher in ("ncc", "phase"):
        return NCC() if matcher == "ncc" else Phase()
    raise ValueError(
        f"correlate() needs matcher 'ncc', 'phase', an NCC or a Phase; got {matcher!r}. Pass matcher='ncc'."
    )


def _as_size(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(
            f"correlate() needs a whole number of at least {least} pixels as {name}; got {value!r}. "
            f"Pass a number such as {name}={ {'template': 32}.get(name, 8) }."
        )
    return int(value)


def _as_templates(template: int | Sequence[int], step: int) -> tuple[int, ...]:
    """Sides of the windows, ascending, after checking that they share their centres and the grid of blocks."""
    sides: Sequence[int] = template if isinstance(template, (tuple, list)) else (template,)
    sizes = sorted({_as_size(side, "template", 5) for side in sides})
    if not sizes:
        raise ValueError("correlate() needs at least one template; got none. Pass a number such as template=32.")
    apart = 2 * math.gcd(step, *sizes)
    if any((size - sizes[0]) % apart for size in sizes):
        raise ValueError(
            f"correlate() needs templates that differ by multiples of {apart} pixels (twice the greatest common "
            f"divisor of step={step} and the templates), so that they share their centres; got {tuple(sizes)}. Pass "
            f"sides such as {sizes[0]}, {sizes[0] + apart} and {sizes[0] + 3 * apart}."
        )
    return tuple(sizes)


def _lattice(
    stack: xr.DataArray, templates: tuple[int, ...], step: int, guide: _guide.Guide, prefilter: Prefilter | None
) -> _blocks.Lattice:
    """Sampling grid, after checking that the windows fit the image."""
    shape = stack.shape[1], stack.shape[2]
    extent = tuple(templates[-1] + 2 * half for half in guide.half)
    if any(side > size for side, size in zip(extent, shape, strict=True)):
        raise ValueError(
            f"correlate() needs images of at least {extent[0]} x {extent[1]} pixels for template={templates[-1]} and "
            f"search={guide.half}; got {shape[0]} x {shape[1]}. Use a smaller template or search."
        )
    reach = max(guide.half) + guide.prior + _images.margin(prefilter, templates[-1])
    return _blocks.Lattice(
        shape=shape,
        step=step,
        templates=templates,
        search=guide.half,
        reach=reach,
        margin=reach + (_pyramid.margin(prefilter, templates[-1], step, guide.levels) if guide.levels else 0),
        levels=guide.levels,
        dates=len({date for pair in guide.pairs for date in pair[:2]}),
        nodata=model.nodata_of(stack),
        dtype=np.dtype(np.float64 if stack.dtype.kind == "f" and stack.dtype.itemsize > 4 else np.float32),
    )
