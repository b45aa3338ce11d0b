"""Shifts of a network that grew: only its new pairs are matched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.matching.options import Matcher, MatcherName
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset._blocks import pixels
from xoffset.matching.correlate import label_shifts, match_pairs
from xoffset.matching.request import Options, Request, prepare
from xoffset.model import checks, grids, history, products
from xoffset.model.dates import as_dates


def extend(
    shifts: xr.Dataset,
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int | Sequence[int] = 32,
    search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
    step: int = 8,
    matcher: MatcherName | Matcher = "ncc",
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
    request = prepare(stack, network, Options(template, search, step, matcher, prefilter, prior), "extend")
    _check_origin(shifts, stack, request)
    order, new = _order(shifts, network)
    parts = [shifts]
    if new:
        dates, of_new = request.only(new)
        images = stack.isel(time=dates)
        parts.append(label_shifts(match_pairs(images, of_new), images, network.isel(pair=new), of_new))
    fields = {
        name: pixels.per_pixel(partial(_in_order, order=order), [part[name].data for part in parts], order.size)
        for name in _names_of_all(parts)
    }
    extended = products.shifts(
        fields, network, x=request.grid.x, y=request.grid.y, like=stack,
        step={"function": "correlate"} | request.parameters,
    )  # fmt: skip
    # what is appended to a store must hold the variables that the store holds
    return extended if "baseline" in shifts.coords else extended.drop_vars("baseline")


def _check_origin(shifts: xr.Dataset, stack: xr.DataArray, request: Request) -> None:
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
    for name in ("y", "x"):
        ours, theirs = getattr(request.grid, name), shifts[name].values
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-3 * abs(getattr(request.frame.spacing, name)):
            raise ValueError(
                f"extend() needs a stack on whose grid the shifts lie; got {ours.size} nodes along {name} from "
                f"{ours[0]:g} to {ours[-1]:g} m, and shifts with {theirs.size} from {theirs[0]:g} to {theirs[-1]:g} m. "
                "Open the same part of the images: open_stack(..., bbox=...)."
            )
    if not grids.agree(grids.crs_of(shifts), request.frame.crs):
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
