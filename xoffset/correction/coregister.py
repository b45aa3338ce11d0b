"""coregister(): images put on top of each other, or how far each lies beside the others."""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.corrections import moved, terms
from xoffset._arrays.corrections.by_date import OF_DATES
from xoffset._arrays.corrections.terms import Setup
from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.matching.options import MatcherName, as_matcher
from xoffset._arrays.matching.protocol import Matcher
from xoffset._blocks import moved as moved_blocks
from xoffset._blocks import whole
from xoffset._options import speaking_as
from xoffset.correction import dates
from xoffset.correction.scene import Given, as_order, fitting
from xoffset.matching.correlate import correlate
from xoffset.model import checks, grids, history, masks, products
from xoffset.model.correction_variables import COREGISTRATION
from xoffset.model.dates import Date, as_dates, index_of_date
from xoffset.model.stable import check_somewhere, on_nodes
from xoffset.network.pairs import pairs

# Dates of which all pairs are matched, and the most acquisitions between the two dates of a pair if there are more.
FEW, GAP = 30, 10
# Side of the windows of a matcher that has none of its own, px.
TEMPLATE = 64
# Windows of a pair, about, and the least distance between two [pixel].
WINDOWS, LEAST_STEP = 1000, 4
# Part of the longest displacement by which images are cut larger: between the places that are looked at it may be more.
MARGIN = 1.5
# Places along x and y where a displacement is looked at.
PLACES = 9

_log = logging.getLogger(__name__)


def coregister(
    stack: xr.DataArray,
    *,
    stable: xr.DataArray | None = None,
    order: Literal[0, 1, 2, "auto"] = 0,
    reference: Date | None = None,
    network: xr.Dataset | None = None,
    template: int | None = None,
    search: int = 8,
    step: int | None = None,
    matcher: MatcherName | Matcher = "ncc",
    prefilter: str | Prefilter | None = "bandpass",
    mask: xr.DataArray | None = None,
    min_score: float = 0.3,
    min_nodes: int = 20,
    max_shift: float | None = None,
    apply: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Images that lie on top of each other, or how far each lies beside the others.

    The images are matched in pairs, every pair tells how far its two images lie beside each other, and all pairs
    together, robustly, tell the position of each date. Each image is then resampled once.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are left out. NumPy gives a computed result, dask
        a lazy one with the same bits.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the stack or any other. Nothing else is
        matched: windows see no other pixels. None: the position of a pair is the mode of its whole field (half-sample
        mode), which most of the ground must share.
    order
        How an image lies beside the others: 0 by one shift, 1 by a plane, 2 by a surface of second order; `"auto"`
        takes the order with the least AICc.
    reference
        Date on which the others are put, whose image stays as it is; what no chain of pairs ties to it is NaN. None:
        the mean position of all dates that pairs tie together.
    network
        Pairs to be matched, from `pairs`. None: all pairs of up to 30 dates, across orbits and classes of processing;
        of more dates each with its next ten. Where seasons look different, name pairs of like seasons.
    template, search, step
        Side of the windows, largest displacement that is looked for, and distance between windows, in pixels. Template
        None: 64, or the window of a matcher that has one of its own. Step None: some 1000 windows a pair.
    matcher, prefilter, mask
        As in `correlate`.
    min_score
        Score below which a match is left out.
    min_nodes
        Matches on stable ground that a pair needs.
    max_shift
        Farthest in metres that an image is moved. An image that lies farther off is NaN. None: as far as the search.
    apply
        Whether the images are resampled. False: only their positions are returned.

    Returns
    -------
    xarray.DataArray or xarray.Dataset
        Images (time, y, x), floats, in the unit of the stack: a feature lies where it does on the reference date or on
        the mean of its group. NaN where a pixel that the value needs is unknown or beyond the image, and throughout of
        a date whose position no pair tells. The attribute `processing` records the resampling.

        With `apply=False` a Dataset on (time): `misregistration_dx`, `misregistration_dy` [m], how far the image lies
        beside the others, on average over the image, positive toward increasing x and y; `sigma_shift` [m], the
        standard error of the position of the date itself, root mean square of both components; `n_pairs`, the pairs
        that tell of it; `group`, a number for the dates that pairs tie together, from 1, and 0 for a date that none
        ties: dates of different groups do not lie on top of each other; with ramps
        `ramp_dx`, `ramp_dy` [m] (time, term), factors of 1, u, v, u², uv, v² with u and v
        from -1 to 1 along x and y over the windows. Lazy if the stack, stable or mask are.

    Raises
    ------
    TypeError
        If stack, stable, mask or network are of the wrong type.
    ValueError
        If dims, dates, grid or CRS are not those of a stack, stable or mask lie elsewhere, a number is out of range,
        there are fewer than two dates, or, of lazy images when they are computed: no pair has enough matches, no pair
        tells of the reference date, or the ground cannot carry the order.

    Notes
    -----
    Cubic convolution (Keys 1981, IEEE Trans. Acoust., Speech, Signal Process. 29, 1153-1160) makes an image a little
    smoother, the more the farther from whole pixels it is moved: matches of images that were moved by different parts
    of a pixel are a little worse. To keep the pixels as they are, take the error off the shifts instead:
    `correct(..., by_date=True)`. Dates that no chain of pairs ties together are put on the mean of their own group
    where no reference is asked for, which a line in the log says.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-02-01", "2020-03-01"]
    >>> stack, truth = xoffset.synthetic.stack((128, 128), dates=dates, velocity=0.0, misregistration=8.0)
    >>> placed = xoffset.coregister(stack, reference="2020-01-01", template=32, step=8, apply=False)
    >>> bool(abs(placed.misregistration_dx - truth.misregistration_dx).max() < 0.5)
    True
    """
    stack = checks.as_stack(stack, "coregister")
    frame = grids.frame_of(stack, "coregister")
    _options.as_switch(apply, "apply", "coregister")
    _options.as_whole_number(search, "search", "coregister", least=2, example=8)
    _options.check_share(min_score, "min_score", "coregister")
    with speaking_as("coregister", "pairs"):
        chosen = _network(stack) if network is None else network
    home = None
    if reference is not None:
        home = index_of_date(frame.dates, reference, "reference", "coregister")
    side = min(abs(frame.spacing.x), abs(frame.spacing.y))
    longest = search * side
    if max_shift is not None:
        longest = _options.as_positive(max_shift, "max_shift", "coregister", unit="m", example=20.0)

    setup = Setup(
        order=as_order(order, "coregister"),
        is_referenced=stable is not None,
        least=(_options.as_whole_number(min_nodes, "min_nodes", "coregister", least=1, example=20), 0.0),
    )
    if template is None and as_matcher(matcher, "coregister").window is None:
        template = TEMPLATE
    with speaking_as("coregister", "correlate"):
        shifts = correlate(
            stack, chosen, template=template, search=search, step=_step(frame.shape) if step is None else step,
            matcher=matcher, prefilter=prefilter, mask=_matched(stack, stable, mask, chosen),
        )  # fmt: skip
    shifts = shifts.assign({name: shifts[name].where(shifts["score"] >= min_score) for name in ("dx", "dy")})
    table, moves = _positions(shifts, setup, (frame.dates, home, longest))
    told = {
        "function": "coregister", "stable": stable is not None, "order": order,
        "reference": "mean" if home is None else str(frame.dates[home]), "pairs": chosen.sizes["pair"],
        "template": template, "search": search, "min_score": min_score, "min_nodes": min_nodes, "max_shift": max_shift,
    }  # fmt: skip
    places = _places(stack, shifts)
    if not apply:
        return _described(stack, table, moves, places, told, order != 0)
    reach = min(MARGIN * longest / side, max(frame.shape))
    return _resampled(stack, frame, moves, places, math.ceil(reach), told)


def _network(stack: xr.DataArray) -> xr.Dataset:
    gap = None if stack.sizes["time"] <= FEW else GAP
    return pairs(stack, max_gap=gap, same_orbit=False, same_geometry=False)


def _step(shape: tuple[int, int]) -> int:
    return max(math.ceil(math.sqrt(shape[0] * shape[1] / WINDOWS)), LEAST_STEP)


def _matched(
    stack: xr.DataArray, stable: xr.DataArray | None, mask: xr.DataArray | None, network: xr.Dataset
) -> xr.DataArray | None:
    """Pixels that are matched: those of stable ground alone, since a window sees all that it covers."""
    if stable is None:
        return mask
    still = on_nodes(stable, stack.to_dataset(name="image"), "coregister")
    check_somewhere(still, "stable", "coregister")
    coords = {name: stack[name] for name in ("y", "x")}
    if mask is None:
        return xr.DataArray(still, coords, ("y", "x"))
    laid = masks.on_stack(mask, stack, network, "coregister").values
    if laid.shape[0] == 1:
        return xr.DataArray(still & laid[0], coords, ("y", "x"))
    return xr.DataArray(still & laid, coords | {"time": stack["time"]}, stack.dims)


# ------------------------------------------------------------------------------------------------------- of the network


def _positions(shifts: xr.Dataset, setup: Setup, wanted: tuple[np.ndarray, int | None, float]) -> tuple[Any, Any]:
    """Table `OF_DATES` (layer, date) of all dates of the stack, and the ramps (date, 2, term) [m] that are taken off.

    wanted: dates of the stack, place of the reference among them, and the longest displacement [m].
    """
    every = wanted[0]
    everywhere = np.ones(shifts["dx"].shape[1:], dtype=np.bool_)
    x, y = (np.asarray(shifts[name].values, dtype=np.float64) for name in ("x", "y"))
    given = Given(everywhere, terms.scaled(x), terms.scaled(y), None, None, None)
    fit = fitting(shifts, given, setup).fit
    table = dates.of_dates(fit, shifts, setup, "coregister")
    own = np.unique(np.concatenate([as_dates(shifts[name].values) for name in ("reference", "secondary")]))
    spread = partial(_of_all, place=np.searchsorted(every, own), count=every.size)
    table = whole.at_once(spread, [table], np.dtype(np.float64), (OF_DATES.count, every.size))
    choose = partial(_moves, wanted=wanted, order=setup.order)
    ramp = OF_DATES["ramp"]
    shape = (every.size, 2, (ramp.stop - ramp.start) // 2)
    return table, whole.at_once(choose, [table], np.dtype(np.float64), shape)


def _of_all(table: np.ndarray, place: np.ndarray, count: int) -> np.ndarray:
    """Table (layer, date) of all dates of a stack, from that of the dates of its pairs; NaN of the others."""
    out = np.full((len(table), count), np.nan)
    out[:, place] = table
    part = OF_DATES.at("part")
    out[part, place] = place[table[part].astype(np.int64, copy=False)] if np.isfinite(table[part]).all() else np.nan
    out[OF_DATES.at("n_pairs")] = np.nan_to_num(out[OF_DATES.at("n_pairs")])
    return out


def _moves(table: np.ndarray, wanted: tuple[np.ndarray, int | None, float], order: int | None) -> np.ndarray:
    """Ramps (date, 2, term) [m] that bring each date on the reference; NaN of dates that cannot be."""
    every, home, longest = wanted
    told = OF_DATES.split(table)
    is_told = np.isfinite(told["ramp"][0, 0])
    if not is_told.any():
        raise ValueError(
            "coregister() needs a pair with enough matches on stable ground; got none. Enlarge stable, lower min_nodes "
            "or min_score, or match more of the image with a smaller step."
        )
    if order is not None and np.nanmax(told["order"]) < order:
        raise ValueError(
            f"coregister() needs ground all around to carry a ramp of order {order}; got such that carries no more "
            f"than order {int(np.nanmax(told['order']))}. Enlarge stable, or lower the order."
        )
    if order is not None and (told["order"][is_told] < order).any():
        _log.warning(
            "coregister(): the ground of %d of %d dates cannot carry a ramp of order %d: they take a lower one.",
            (told["order"][is_told] < order).sum(), is_told.sum(), order,
        )  # fmt: skip
    ramp = np.moveaxis(told["ramp"], 2, 0).copy()
    if home is not None:
        if not is_told[home]:
            raise ValueError(
                f"coregister() needs pairs that tell of the reference date; got none of {every[home]} with enough "
                "matches on stable ground. Choose another reference, or enlarge stable."
            )
        ramp -= ramp[home].copy()
        # nothing tells where the others lie
        ramp[told["part"] != told["part"][home]] = np.nan
    groups = _groups(table).max()
    if groups > 1:
        _log.warning(
            "coregister(): no chain of pairs ties all dates together; they fall into %d groups, and %s.",
            groups, "each is put on its own mean" if home is None else "those without the reference are left out",
        )  # fmt: skip
    along = np.linspace(-1.0, 1.0, PLACES)
    u, v = (each.ravel() for each in np.meshgrid(along, along))
    there = np.einsum("dct,tp->dcp", ramp, np.stack(terms.ramp(u, v, ramp.shape[2])))
    with np.errstate(invalid="ignore"):
        ramp[~(np.hypot(there[:, 0], there[:, 1]).max(axis=1) <= longest)] = np.nan
    lost = ~np.isfinite(ramp[:, 0, 0])
    if lost.any():
        _log.warning(
            "coregister(): %d of %d dates have no pair with enough matches, are not tied to the reference, or lie "
            "farther off than %g m, and are left out: %s.",
            lost.sum(), lost.size, longest, ", ".join(str(each)[:10] for each in every[lost][:5]),
        )  # fmt: skip
    return np.asarray(ramp)


def _groups(table: np.ndarray) -> np.ndarray:
    """Number of the group of each date (date,) that pairs tie together, from 1 on; 0 of a date that none ties."""
    told = OF_DATES.split(table)
    is_told = np.isfinite(told["ramp"][0, 0])
    out = np.zeros(is_told.size, dtype=np.int64)
    out[is_told] = np.unique(told["part"][is_told], return_inverse=True)[1] + 1
    return out


def _places(stack: xr.DataArray, shifts: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of all pixels along y and x, -1 to 1 over the windows of the shifts."""
    found = []
    for name in ("y", "x"):
        ends, own = (np.asarray(each[name].values, dtype=np.float64) for each in (shifts, stack))
        found.append(terms.scaled(ends, own))
    return found[0], found[1]


# ------------------------------------------------------------------------------------------------------------- labelled


def _means(moves: Any, places: tuple[np.ndarray, np.ndarray]) -> Any:
    """Mean over the image of ramps (date, 2, term): (date, 2)."""
    v, u = places
    means = [u**i for i, _ in terms.POWERS], [v**j for _, j in terms.POWERS]
    weights = np.array([first.mean() * second.mean() for first, second in zip(*means, strict=True)])
    return (moves * weights).sum(axis=2)


def _described(
    stack: xr.DataArray,
    table: Any,
    moves: Any,
    places: tuple[np.ndarray, np.ndarray],
    step: dict[str, Any],
    has_ramp: bool,
) -> xr.Dataset:
    means, told = _means(moves, places), OF_DATES.split(table)
    fields = {
        "misregistration_dx": means[:, 0],
        "misregistration_dy": means[:, 1],
        "sigma_shift": told["sigma_shift"],
        "n_pairs": told["n_pairs"].astype(np.int64),
        "group": whole.at_once(_groups, [table], np.dtype(np.int64), told["n_pairs"].shape),
    }
    if has_ramp:
        fields |= {"ramp_dx": moves[:, 0], "ramp_dy": moves[:, 1]}
    coords = {"time": stack["time"].reset_coords(drop=True)} | (
        {"term": ["1", "u", "v", "u2", "uv", "v2"]} if has_ramp else {}
    )
    labelled = {
        name: (COREGISTRATION[name].dims, values, products.attrs_of(COREGISTRATION[name]))
        for name, values in fields.items()
    }
    attrs = {"Conventions": "CF-1.11", "processing": history.processed(stack, step)}
    return products.finish(xr.Dataset(labelled, coords=coords, attrs=attrs))


def _resampled(
    stack: xr.DataArray,
    frame: Any,
    moves: Any,
    places: tuple[np.ndarray, np.ndarray],
    reach: int,
    step: dict[str, Any],
) -> xr.DataArray:
    sides = np.array([frame.spacing.x, frame.spacing.y])
    pixels = moved.Setup(frame.nodata, frame.working)
    found = moved_blocks.move(stack.data, moves / sides[:, np.newaxis], places, reach, pixels)
    attrs = {name: stack.attrs[name] for name in ("long_name", "units") if name in stack.attrs}
    attrs["processing"] = history.processed(stack, step | {"resampling": "cubic"})
    out = xr.DataArray(found, dims=stack.dims, coords=stack.coords, name=stack.name, attrs=attrs)
    mapping = stack.encoding.get("grid_mapping", stack.attrs.get("grid_mapping"))
    if mapping is not None:
        out.encoding["grid_mapping"] = mapping
    return out
