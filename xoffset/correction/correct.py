"""correct(): what moves an image as a whole comes off its shifts, and is kept beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.corrections import scene, terms
from xoffset._arrays.corrections.fit import STATISTICS
from xoffset._arrays.corrections.terms import Setup
from xoffset._arrays.layers import Layers
from xoffset._blocks import pixels, whole
from xoffset.correction import dates, layers, traces
from xoffset.correction.jitter import Jitter, as_jitter
from xoffset.correction.scene import Given, as_order, fitting, with_track
from xoffset.correction.topography import without_parallax
from xoffset.model import checks, grids, products
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.lengths import pixels_in_metres
from xoffset.model.shift_errors import after_correction, is_corrected_of
from xoffset.model.stable import check_somewhere, on_nodes
from xoffset.model.tables import IS_CORRECTED
from xoffset.readers.polygons import HasGeometry

_FLOAT = np.dtype(np.float64)
# Flags of a pair, or of nodes.
_BITS = (FLAGS["unreferenced"], FLAGS["not_corrected"])
# Ratio of the locking depths that are tried.
_RATIO = 1.5


def correct(
    shifts: xr.Dataset,
    *,
    stable: xr.DataArray | None = None,
    order: Literal[0, 1, 2, "plane", "auto"] = 0,
    stripes: Literal["auto"] | xr.DataArray | None = None,
    jitter: Literal["profile", "wavelet"] | bool | Jitter | None = None,
    by_date: bool = False,
    trace: str
    | os.PathLike[str]
    | Mapping[str, object]
    | HasGeometry
    | Sequence[tuple[float, float]]
    | np.ndarray
    | None = None,
    dem: xr.DataArray | None = None,
    view: xr.Dataset | None = None,
    min_nodes: int = 500,
    min_share: float = 0.005,
    max_shift: float | str | None = None,
) -> xr.Dataset:
    """Shifts without what moves an image as a whole, which is kept beside them.

    An image lies a little beside the others, is turned or stretched, and has steps where two detectors of its sensor
    meet. Ground that does not move shows it. All of it is fitted at once and taken off; what was taken off can be put
    back.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, best after `screen`.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack.
        None: there is no such ground, and the shift of a pair is the mode of its whole field (half-sample mode), with
        the flag `unreferenced`; a ramp is then told from the whole field too, and takes off motion that looks like one.
    order
        Order of the ramp: 0 is one shift, 1 a plane, 2 a surface of second order. `"auto"` takes the order with the
        least AICc, pair by pair. A ramp that is known worse at some place of the scene than a single vector is one that
        the stable ground cannot carry: pairs then take a lower order, as `order` of the result says. If no pair can
        carry an order that is given by its number, it is refused; `"plane"` is 1 where a pair can carry it and else 0.
    stripes
        Number of the detector that saw each pixel, (time, y, x) as `xoffset.detectors` gives it or (y, x) for all
        dates, whole numbers from 1 to 32 at most, 0 where none did: one step for each of them. `"auto"`: straight
        edges, parallel to one another and within 45 degrees of grid north, are found in the displacements of all pairs,
        which must be of one orbit. A straight fault or margin of moving ground is such an edge too, and its offset
        comes off, unless `trace` tells of it: a warning in the log says where edges were found.
    jitter
        Take off what the shaking of the sensor shifts from line to line, as stable ground shows it: `True` or
        `"profile"`, `"wavelet"`, or a `Jitter` with a heading or wavelengths of its own. None: it stays.
    by_date
        Whether shifts, ramps, steps and jitter are told for each date by all of its pairs, robustly, and a pair takes
        what its second date has more than its first. Pairs that fail are told by the others, noise falls with the
        number of pairs, and sums around triplets stay as they are. The ramps of all pairs have one order. A network in
        parts is adjusted part by part, as a line in the log says.
    trace
        Trace of a fault: a file of GeoJSON, a GeoJSON object, a LineString, or vertices (x, y) of the grid. The motion
        across it is fitted, as a step or as that of a fault that is locked down to some depth, and stays in the shifts,
        so that neither shift nor ramp takes it off. The line goes straight on beyond its ends. Both sides are taken to
        move by half of the offset unless the stable ground lies on one side alone.
    dem
        Elevations (y, x) [m], of any grid and CRS, for sensors whose images were laid on a wrong terrain or that look
        from the side: a polynomial of second order in the elevation. It holds for the elevations of the stable ground
        and a tenth of their range more; farther on it stays as it is there, with the flag `not_corrected`.
    view
        Dataset with `view_zenith` and `view_azimuth` [degree] on (time, y, x), as `xoffset.angles` gives it, or on
        (time) for scenes as wholes, of all dates; azimuths point from the ground toward the satellite, clockwise from
        true north. At each node the error of the terrain model is told from pairs that look at it from two sides, and
        what it makes of these is taken off. Pairs of one orbit stay as they are.
    min_nodes, min_share
        Vectors on stable ground that a pair needs, and their share of all its vectors: both.
    max_shift
        Longest shift that is taken off, in metres, or in pixels of the images as a text such as `"3 px"`. A pair that
        is shifted by more stays as it is, with the flag `not_corrected`.

    Returns
    -------
    xarray.Dataset
        Shifts with corrected `dx`, `dy` [m], and what was taken off as `removed_dx`, `removed_dy` [m] (pair, y, x):
        corrected plus removed are the shifts that were given. Of shifts that were corrected before, it is added to what
        is there. On (pair): `n_stable`, number of vectors on stable ground; `median_before_dx`, `median_after_dx`,
        `nmad_before_dx`, `nmad_after_dx` [m] and so for `dy`, median and spread of these, or of all vectors if there is
        no stable ground (of large grids as told by the nodes that are looked at, see Notes); `sigma_ratio_dx`,
        `sigma_ratio_dy` [1], the spread in units of the standard errors: ground
        that moves, or matches that are worse than they say, make it large; `order` of the ramp; `sigma_shift` [m],
        standard error of the pair as a whole by the last correction that tells one, which all of its vectors share and
        `sigma_dx`, `sigma_dy` do not hold; `sigma_shift_dates`, `sigma_shift_own` [m], the parts of it that belong to
        the two dates and to the pair (the latter before `by_date` lowers it), NaN without stable ground;
        `is_corrected`, 1, or 0 of a pair that the last correction left as it was:
        series, velocities and other motion leave it out, as they do nodes flagged `not_corrected`.

        With `view`, on (y, x), `dem_error` [m], height of the ground above the terrain model, and its standard error
        `sigma_dem_error`, NaN where the views do not tell it from motion. Heights count from that of the stable ground,
        since what all of it has in common is a shift. `sigma_dx` and `sigma_dy` of the pairs across orbits hold the
        error of what was taken off.

        Flags: `unreferenced` where there was no stable ground; `not_corrected` in pairs that have too little of it or
        are shifted by more than `max_shift`, which stay as they are, and on nodes whose stripe, elevation, jitter or
        height above the terrain model is not known, or whose elevation no stable ground has, from which the rest was
        taken off; later corrections leave those of nodes. Lazy if shifts, stable, stripes, dem or view are.

    Raises
    ------
    FileNotFoundError
        If there is no file of the trace.
    ImportError
        If jitter is to be told by wavelets and PyWavelets is not installed (extra `wavelets`).
    TypeError
        If stable is not boolean, or shifts, stripes, trace, dem or view are of the wrong type.
    ValueError
        If a layer lies elsewhere, stripes or view lack a date, the trace misses the grid, a number is out of range, or
        in no pair the stable ground can carry the order, which lazy shifts tell when they are computed.

    Notes
    -----
    The shift is the median on stable ground. Ramp, steps and trace are fitted together, since steps that are fitted
    afterwards leak into the ramp, by Tukey's biweight (4.685 times the spread) from a start of least absolute
    deviations. Standard errors count vectors that err on their own: their number is divided by the number of neighbours
    that err alike, from the autocorrelation of the residuals. `sigma_shift` is the root mean square, over the scene and
    both components, of the standard error of the ramp: of a higher order differences within a map hold a part of it,
    which is known no better than `sigma_shift` says of the whole. It also holds by what the jitter that was taken off
    may be wrong, which lines of the map share (of wavelets what noise makes of it). By date each term is adjusted by
    its own variances alone: pairs whose clouds leave different ground err in shift and slope together, which costs a
    little of what the network gains and biases nothing. Without stable ground it is the spread of what is left of the
    field, since any of its motions may be the wrong one; of a pair that was not corrected it is the shift itself.

    A point at height h above the terrain model is drawn away from the satellite by h·tan(zenith). With `view`, the
    corrected shifts of each node are fitted by a steady velocity and one height, ``d = v·Δt + h·(tan θ1 e1 - tan θ2
    e2)``, with e toward the satellite, by weighted least squares with Huber's loss; weights hold `sigma_shift`, and
    pairs without it take no part. It takes pairs across two orbits, and beside them others of one orbit, both ways
    round or of other lengths. Views that differ by less than 0.01 m per metre are taken for one. Motion that is not
    steady is noise to it.

    Corrections and statistics of a scene with more stable nodes than 200 000 are told from so many of them, drawn at
    random. Of grids with more than two million nodes one row and one column of every few are looked at, and the
    shortest wave of the jitter is two of them long, as `processing` says. All of the scene is needed before the first
    block of the result: save lazy shifts first and correct `open_result(...)` of these.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((256, 256), misregistration=3.0, snr=8.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=8)
    >>> corrected = xoffset.correct(shifts, stable=abs(truth.vx) + abs(truth.vy) == 0.0, min_nodes=100)
    >>> bool(abs(corrected.removed_dx.mean() - truth.misregistration_dx[1]) < 0.3)
    True
    """
    shifts = checks.as_shifts(shifts, "correct")
    is_by_date = _options.as_switch(by_date, "by_date", "correct")
    setup = Setup(
        order=1 if _is_plane(order) else as_order(order, "correct"),
        is_needed=not _is_plane(order),
        has_elevation=dem is not None,
        depths=() if trace is None else _depths(shifts),
        blur=_blur(shifts),
        is_referenced=stable is not None,
        least=_least(min_nodes, min_share),
        largest=_longest(max_shift, shifts),
    )
    setup, given, waves = _gathered(
        shifts,
        setup,
        as_jitter(jitter, stable is not None, stripes is not None),
        stable=stable,
        stripes=stripes,
        trace=trace,
        dem=dem,
    )
    table, statistics = _told(shifts, given, setup, is_by_date)
    parts = _applied(shifts, given, table, setup)
    out = _labelled(shifts, parts, setup.table.split(table), STATISTICS.split(statistics))
    if view is not None:
        out = without_parallax(out, view)
    step = {
        "function": "correct",
        "stable": stable is not None,
        "order": order,
        "stripes": stripes if isinstance(stripes, str) else stripes is not None,
        "jitter": None if waves is None else asdict(waves),
        "by_date": is_by_date,
        "trace": trace is not None,
        "dem": dem is not None,
        "view": view is not None,
        "min_nodes": min_nodes,
        "min_share": min_share,
        "max_shift": max_shift,
    }
    return products.relabel(out, step)


def _is_plane(order: Any) -> bool:
    """Whether a plane is wanted only as far as the ground carries it."""
    return isinstance(order, str) and order == "plane"


def _depths(shifts: xr.Dataset) -> tuple[float, ...]:
    """Locking depths [m] from far less than the distance of nodes to an eighth of the scene, the first of them 0."""
    sides = grids.spacing(shifts, "correct")
    nodes = min(abs(sides.x), abs(sides.y))
    scene = max(abs(sides.x) * shifts.sizes["x"], abs(sides.y) * shifts.sizes["y"])
    number = max(int(np.log(scene / (2.0 * nodes)) / np.log(_RATIO)) + 1, 0)
    return (0.0, *(0.25 * nodes * _RATIO**k for k in range(number)))


def _blur(shifts: xr.Dataset) -> float:
    """Half the diagonal of the largest window [m], 0 if it is not known."""
    if products.WINDOW_SIZE not in shifts.coords:
        return 0.0
    return float(np.sqrt(0.5) * np.nanmax(shifts[products.WINDOW_SIZE].values))


def _least(min_nodes: Any, min_share: Any) -> tuple[float, float]:
    """Vectors on stable ground that a pair needs, and their share of all."""
    _options.check_share(min_share, "min_share", "correct")
    return _options.as_whole_number(min_nodes, "min_nodes", "correct", least=1, example=500), min_share


def _longest(max_shift: Any, shifts: xr.Dataset) -> float:
    """Longest shift that is taken off [m]."""
    if max_shift is None:
        return float("inf")
    if isinstance(max_shift, str):
        max_shift = pixels_in_metres(max_shift, shifts, "max_shift", "correct", example=30.0)
    return _options.as_positive(max_shift, "max_shift", "correct", unit="m", example=30.0)


def _gathered(
    shifts: xr.Dataset, setup: Setup, waves: Jitter | None, **asked: Any
) -> tuple[Setup, Given, Jitter | None]:
    """What is known of the nodes, and with it the setup and the jitter as they are told.

    asked: `stable`, `stripes`, `trace` and `dem` of `correct`.
    """
    stable, stripes, trace, dem = (asked[name] for name in ("stable", "stripes", "trace", "dem"))
    if isinstance(stripes, str):
        setup, stripes = layers.with_edges(setup, stripes, shifts), None
    mask: Any = np.ones(shifts["dx"].shape[1:], dtype=np.bool_)
    if stable is not None:
        mask = on_nodes(stable, shifts, "correct")
        check_somewhere(mask, "stable", "correct")
    x, y = (np.asarray(shifts[name].values, dtype=np.float64) for name in ("x", "y"))
    given = Given(
        mask,
        terms.scaled(x),
        terms.scaled(y),
        None if stripes is None else layers.stripes_on_nodes(stripes, shifts),
        None if trace is None else traces.across(trace, shifts),
        None if dem is None else layers.elevation_on_nodes(dem, shifts),
    )
    if given.stripes is not None:
        setup = replace(setup, stripes=terms.STRIPES)
    return (setup, given, None) if waves is None else with_track(shifts, given, setup, waves)


# ------------------------------------------------------------------------------------------------ from the whole scene


def _told(shifts: xr.Dataset, given: Given, setup: Setup, is_by_date: bool) -> tuple[Any, Any]:
    """Numbers of the pairs (layer, pair) as `Setup.table` says, and their `STATISTICS` (layer, pair)."""
    fit, fields, shared, places = fitting(shifts, given, setup)
    table = dates.adjusted(fit, shifts, setup, "correct") if is_by_date else dates.with_parts(fit([]), shifts, setup)
    table = whole.at_once(
        partial(scene.checked, setup=setup, is_by_date=is_by_date),
        [table],
        _FLOAT,
        (setup.table.count, shifts.sizes["pair"]),
    )
    names = (*fields, "table", *shared)
    judge = partial(scene.judge_pair, names=names, u=places[0], v=places[1], setup=setup)
    statistics = whole.each_pair(judge, [*fields.values(), table.T], list(shared.values()), STATISTICS.count)
    if setup.is_referenced:
        statistics = whole.at_once(scene.judged, [statistics], _FLOAT, (STATISTICS.count, shifts.sizes["pair"]))
    return table, statistics


# ----------------------------------------------------------------------------------------------------------- by blocks


def _applied(shifts: xr.Dataset, given: Given, table: Any, setup: Setup) -> dict[str, Any]:
    """Corrected shifts and what was taken off [m], and flags, each (pair, rows, columns)."""
    pairs = shifts.sizes["pair"]
    parts = Layers(dx=pairs, dy=pairs, removed_dx=pairs, removed_dy=pairs, unknown=pairs if setup.has_unknown else 0)
    dtype = np.result_type(shifts["dx"].dtype, shifts["dy"].dtype)
    arrays = {name: shifts[name].data.astype(dtype, copy=False) for name in ("dx", "dy")}
    arrays["places"] = whole.of_places(_both, given.v, given.u, arrays["dx"], 2)
    arrays |= {name: shifts[name].data for name in ("removed_dx", "removed_dy") if name in shifts}
    if given.stripes is not None:
        arrays["stripes"] = given.stripes.values
    if given.elevation is not None:
        arrays["elevation"] = given.elevation[np.newaxis]
    ends = None if given.stripes is None else given.stripes.ends
    apply = partial(scene.applied, names=tuple(arrays), ends=ends, setup=setup)
    found: dict[str, Any] = parts.split(pixels.per_pixel_of(apply, list(arrays.values()), table, parts.count))
    unknown = found.pop("unknown")
    flags = [_flags_before(shifts), *([unknown] if setup.has_unknown else [])]
    found["flags"] = pixels.per_pixel_of(partial(scene.flagged, setup=setup, bits=_BITS), flags, table, pairs)
    return found


def _flags_before(shifts: xr.Dataset) -> Any:
    """Flags (pair, rows, columns) without those of whole pairs that an earlier correction left as they were."""
    flags = flags_of(shifts, "correct")
    if IS_CORRECTED not in shifts:
        return flags
    was_left = ~is_corrected_of(shifts, "correct")[:, np.newaxis, np.newaxis]
    return flags & ~(was_left * np.int64(FLAGS["not_corrected"]))


def _both(v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Coordinates u and v (2, rows, columns) of each node."""
    return np.stack(np.broadcast_arrays(u[np.newaxis], v[:, np.newaxis]))


def _labelled(
    shifts: xr.Dataset, parts: Mapping[str, Any], told: Mapping[str, Any], statistics: Mapping[str, Any]
) -> xr.Dataset:
    dtype = parts["dx"].dtype
    errors = after_correction(shifts, told["sigma_shift"], told["sigma_parts"])
    of_pairs = {name: each.astype(dtype) for name, each in errors.items()} | {
        "n_stable": told["n_stable"].astype(np.int64),
        "is_corrected": (told["state"] != terms.NOT_CORRECTED).astype(np.int8),
        "order": told["order"].astype(np.int8),
    }
    for k, name in enumerate(("dx", "dy")):
        for each in ("median_before", "median_after", "nmad_before", "nmad_after", "sigma_ratio"):
            of_pairs[f"{each}_{name}"] = statistics[each][k].astype(dtype)
    return shifts.assign(
        {name: (("pair", "y", "x"), values) for name, values in parts.items()}
        | {name: ("pair", values) for name, values in of_pairs.items()}
    )
