"""Shifts of a network that grew: only its new pairs are matched."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.matching.options import MatcherName
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset._blocks import pixels
from xoffset.matching.correlate import label_shifts, match_pairs
from xoffset.matching.recorded import Recorded, completed
from xoffset.matching.request import Request, prepare
from xoffset.model import checks, grids, history, products
from xoffset.model.dates import as_dates
from xoffset.model.flags import FLAGS, flagged


def extend(
    shifts: xr.Dataset,
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int | Sequence[int] | Recorded | None = "recorded",
    search: int | tuple[int, int] | xr.DataArray | Pyramid | Recorded = "recorded",
    step: int | Recorded = "recorded",
    matcher: MatcherName | Matcher | Recorded = "recorded",
    prefilter: str | Prefilter | None = "recorded",
    prior: xr.Dataset | Recorded | None = "recorded",
    mask: xr.DataArray | Recorded | None = "recorded",
    only_new: bool = False,
) -> xr.Dataset:
    """Shifts of a network of which some pairs were matched before: only the new ones are.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) as `correlate` or `extend` made them. Once they are screened, calibrated or otherwise
        changed they are refused: keep the raw ones, and screen what this function returns. Pairs with `unwritten`
        values, of `open_result(path, partial=True)`, are matched again.
    stack
        Images (time, y, x) of all dates of the network. Only those of new pairs are read.
    network
        Pairs of dates, old and new, from `pairs`. Pairs of `shifts` that it does not name are left out.
    template, search, step, matcher, prefilter, prior, mask
        As in `correlate`, and the same as those that the shifts were made with. What is left out is taken from the
        record that they carry (`"recorded"`); of a prior, a mask and a map of `search` no values are on record: these
        have to be given, and it is the caller who must see to it that they are the same.
    only_new
        Return the new pairs alone, to be appended to the store that holds `shifts`:
        `new.to_zarr(path, append_dim="pair")`. They have the variables and, along y and x, the chunks of `shifts`.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of all pairs of the network in its order: `dx`, `dy`, their standard errors and the other
        variables that `shifts` have, in the units and with the signs of `correlate`, NaN where there is no match. The
        same as `correlate(stack, network)`: to the last bit, unless that would cut large images into other tiles for
        more dates (not with a dense matcher), or give tiles another margin for a prior of more motion; then within
        rounding, or of a dense matcher, whose values depend on the tile, within the standard errors. Lazy if `stack` or
        `shifts` are; where no pair is new, if `shifts` are. With `only_new` those of the new pairs, of which there may
        be none; lazy if `stack` is.

    Raises
    ------
    TypeError
        If shifts, stack, network or prior are of the wrong type.
    ValueError
        If the shifts were made with other options, by another function or on another grid, if an option is needed that
        is not on record, if only new pairs are wanted of shifts that are not whole, or for the reasons of `correlate`.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates)
    >>> before = xoffset.correlate(stack[:2], xoffset.pairs(stack[:2]), search=6)
    >>> shifts = xoffset.extend(before, stack, xoffset.pairs(stack))
    >>> shifts.identical(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    True
    """
    # told by the flags as they were given: the check makes them as lazy as the vectors
    shifts, is_whole = checks.as_shifts(shifts, "extend"), _are_whole(shifts)
    _options.as_switch(only_new, "only_new", "extend")
    *before, record = _steps(shifts)
    given = {
        "template": template, "search": search, "step": step, "matcher": matcher, "prefilter": prefilter,
        "prior": prior, "mask": mask,
    }  # fmt: skip
    request = prepare(stack, network, completed(given, record), "extend")
    _check_options(record, request)
    _check_images(before, stack)
    _check_grid(shifts, request)
    order, new = _order(shifts, network, is_whole)
    if only_new:
        _check_whole(is_whole)
        return _only_new(shifts, stack, network.isel(pair=new), request.only(new) if new else None)
    parts = [shifts]
    if new:
        parts.append(_matched(stack, network.isel(pair=new), request.only(new)))
    fields = {
        name: pixels.per_pixel(_gather(name, order), [part[name].data for part in parts], order.size)
        for name in _names_of_all(parts)
    }
    extended = products.shifts(
        fields, network, x=request.grid.x, y=request.grid.y, like=stack,
        step={"function": "correlate"} | request.parameters, sampling=request.sampling,
    )  # fmt: skip
    return _with_old_coordinates(shifts, extended)


def _matched(stack: xr.DataArray, network: xr.Dataset, request: tuple[list[int], Request]) -> xr.Dataset:
    dates, of_new = request
    images = stack.isel(time=dates)
    return label_shifts(match_pairs(images, of_new), images, network, of_new)


def _only_new(
    shifts: xr.Dataset, stack: xr.DataArray, network: xr.Dataset, request: tuple[list[int], Request] | None
) -> xr.Dataset:
    """Shifts of the new pairs alone, fit to be appended to the store of the old ones."""
    others = sorted(str(name) for name in shifts.data_vars if name not in products.variables_of_shifts(shifts))
    if others:
        raise ValueError(
            f"extend() needs shifts that hold nothing but those of correlate() for only_new=True; got {others[0]!r} "
            f"too, which new pairs lack. Drop it: shifts.drop_vars({others!r})."
        )
    if request is None:
        return _with_old_coordinates(shifts, products.finish(shifts.isel(pair=slice(0))))
    found = _matched(stack, network, request)
    found = found[_names_of_all([shifts, found])]
    if isinstance(found["dx"].data, np.ndarray) or isinstance(shifts["dx"].data, np.ndarray):
        return _with_old_coordinates(shifts, products.finish(found))
    chunks = {"pair": (found.sizes["pair"],)} | {dim: shifts.chunksizes[dim] for dim in ("y", "x")}
    return _with_old_coordinates(shifts, products.finish(found.chunk(chunks)))


def _check_whole(is_whole: np.ndarray) -> None:
    """Refuse shifts of which an append leaves some pairs unwritten."""
    if not is_whole.all():
        raise ValueError(
            f"extend() needs whole shifts for only_new=True; got {np.count_nonzero(~is_whole)} pairs with "
            "unwritten values, which cannot be mended by an append. Leave only_new out, and write what comes of it to "
            "a new store."
        )


def _with_old_coordinates(shifts: xr.Dataset, extended: xr.Dataset) -> xr.Dataset:
    """Result without the coordinates that older stores lack: what is appended must hold what the store holds."""
    lacking = [name for name in ("baseline", *products.SAMPLING, products.TIED_SIZE) if name not in shifts.coords]
    return extended.drop_vars(lacking, errors="ignore")


def _steps(shifts: xr.Dataset) -> list[dict[str, Any]]:
    """Steps on record, after checking that the last one was `correlate`."""
    recorded = history.steps(shifts)
    if not recorded or recorded[-1].get("function") != "correlate":
        came = f"those of {recorded[-1].get('function')}()" if recorded else "shifts that do not say how they were made"
        raise ValueError(
            f"extend() needs shifts as correlate() made them; got {came}. "
            "Keep what correlate() returns, extend that, and screen or calibrate the result."
        )
    return recorded


def _check_options(last: dict[str, Any], request: Request) -> None:
    """Refuse options that differ from those on record."""
    wanted = json.loads(json.dumps({"function": "correlate"} | request.parameters))
    differ = [name for name in sorted(wanted.keys() | last.keys()) if wanted.get(name) != last.get(name)]
    if differ:
        raise ValueError(
            f"extend() needs the options that the shifts were made with; got {differ[0]}={wanted.get(differ[0])!r} "
            f"instead of {last.get(differ[0])!r}. Pass the old ones, or match all pairs again."
        )


def _check_images(before: list[dict[str, Any]], stack: xr.DataArray) -> None:
    """Refuse images that were prepared in another way than those of the shifts."""
    # how files were read may differ by what a new file needs
    earlier, now = (
        [each for each in steps if each["function"] != "open_stack"] for steps in (before, history.steps(stack))
    )
    if earlier != now:
        raise ValueError(
            f"extend() needs images prepared like those of the shifts; got steps {_listed(now)} instead of "
            f"{_listed(earlier)}. Prepare the stack alike, or match all pairs again: correlate(stack, network)."
        )


def _check_grid(shifts: xr.Dataset, request: Request) -> None:
    """Refuse shifts that do not lie on the nodes of the request."""
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


def _order(shifts: xr.Dataset, network: xr.Dataset, is_whole: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Place of every pair of the network among those matched before and the new ones after them, and the new ones.

    Pairs that are not whole count as new.
    """
    before, wanted = (
        list(zip(*(as_dates(data[name].values) for name in ("reference", "secondary")), strict=True))
        for data in (shifts, network)
    )
    place = {pair: k for k, pair in enumerate(before) if is_whole[k]}
    new: list[int] = []
    for k, pair in enumerate(wanted):
        if pair not in place:
            place[pair] = len(before) + len(new)
            new.append(k)
    return np.array([place[pair] for pair in wanted]), new


def _names_of_all(parts: list[xr.Dataset]) -> list[str]:
    """Variables that all parts have, after checking that they fit together."""
    if "flags" not in parts[0]:
        raise ValueError(
            "extend() needs 'flags' of the shifts, which tell why a value is missing; got shifts without. "
            "Keep what correlate() returns."
        )
    names = [name for name in products.variables_of_shifts(parts[-1]) if name in parts[0]]
    for name in names:
        ours, theirs = parts[-1][name], parts[0][name]
        if theirs.dims != ("pair", "y", "x") or theirs.dtype != ours.dtype:
            raise ValueError(
                f"extend() needs '{name}' as correlate() makes it of this stack, ('pair', 'y', 'x') of {ours.dtype}; "
                f"got {theirs.dims} of {theirs.dtype}. Keep what correlate() returns, or match all pairs again."
            )
    return names


def _are_whole(shifts: xr.Dataset) -> np.ndarray:
    """Which pairs (pair,) have no unwritten value; lazy flags are taken for good here and looked at when computed."""
    if "flags" not in shifts or shifts["flags"].chunks is not None:
        return np.ones(shifts.sizes["pair"], dtype=bool)
    return np.asarray(~flagged(shifts, "unwritten").any(("y", "x")).values)


def _gather(name: str, order: np.ndarray) -> Callable[..., np.ndarray]:
    return partial(_flags_in_order if name == "flags" else _in_order, order=order)


def _flags_in_order(*parts: np.ndarray, order: np.ndarray) -> np.ndarray:
    flags = _in_order(*parts, order=order)
    if (flags & flags.dtype.type(FLAGS["unwritten"])).any():
        raise ValueError(
            "extend() needs to know which pairs have unwritten values; got flags that were not computed. "
            "Load them first: shifts.load()."
        )
    return flags


def _in_order(*parts: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.asarray(np.concatenate(parts)[order])
