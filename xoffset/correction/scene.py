"""What a scene tells its corrections: the nodes that are looked at, and the fit of each pair to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.corrections import edges, scene
from xoffset._arrays.corrections.terms import Setup
from xoffset._blocks import pixels, whole
from xoffset.correction.jitter import Jitter, along_edges, flight, track_of
from xoffset.correction.layers import Stripes

# Nodes of a scene that are looked at, and nodes of a pair that a correction is told from, at most.
MOST, SAMPLE = 2_000_000, 200_000
_FLOAT = np.dtype(np.float64)


class Given(NamedTuple):
    """What is known of the nodes, (rows, columns) where nothing else is said, NumPy or dask."""

    stable: Any
    u: np.ndarray  # (columns,), -1 to 1
    v: np.ndarray  # (rows,)
    stripes: Stripes | None
    across: np.ndarray | None  # distance from the trace [m]
    elevation: Any
    flight: Any = None  # direction (1,) in degrees; None: that of the edges of stripes that are found


def as_order(order: Any, caller: str) -> int | None:
    """Order of a ramp as a number, None where it is told from the data."""
    if isinstance(order, str) and order == "auto":
        return None
    if not _options.is_whole(order) or order not in (0, 1, 2):
        plane = ", 'plane'" if caller == "correct" else ""
        raise ValueError(f"{caller}() needs order 0, 1, 2{plane} or 'auto'; got {order!r}. Choose one of these.")
    return int(order)


class Fitting(NamedTuple):
    """What the numbers of the pairs are told from, in a sample of the nodes, and what tells them."""

    fit: Callable[[list[Any]], Any]  # table (layer, pair), of the orders (pair,) of ramps if it is given them
    fields: dict[str, Any]  # (pair, rows, columns), or as `whole.where_wanted` makes them
    shared: dict[str, Any]  # of all pairs
    places: list[Any]  # coordinates along x and y


def with_track(shifts: xr.Dataset, given: Given, setup: Setup, waves: Jitter) -> tuple[Setup, Given, Jitter]:
    """Setup and nodes with the track along which jitter is told, and the jitter with the shortest wave that it has."""
    track = track_of(waves, shifts, setup.stripes if given.stripes is None else given.stripes.highest, MOST)
    given = given._replace(flight=flight(waves, given.stripes, shifts, SAMPLE))
    return replace(setup, track=track), given, replace(waves, shortest=track.shortest)


def fitting(shifts: xr.Dataset, given: Given, setup: Setup) -> Fitting:
    """What makes the table (layer, pair) of `Setup.table`."""
    fields = {name: shifts[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")}
    fields = dict(zip(fields, whole.read_anew(list(fields.values())), strict=True))
    all_nodes = [fields["dx"], fields["dy"], given.stable[np.newaxis]]
    counts = pixels.total(scene.counts, all_nodes, (shifts.sizes["pair"], 2))
    if given.stripes is not None:
        fields |= given.stripes.of_pairs()
    shared = {"used": given.stable, "across": given.across, "elevation": given.elevation}
    shared = {name: values for name, values in shared.items() if values is not None}
    fields, shared, places = _looked_at(fields, shared, given)

    if setup.half is not None:
        # bins as wide as if nodes were looked at on a lattice
        columns = whole.sample([given.u[np.newaxis]], given.u.size * given.v.size, SAMPLE)[0].shape[-1]
        find = partial(scene.found_edges, names=(*fields, *shared), u=places[0], v=places[1], setup=setup)
        find = partial(find, width=2.0 * setup.half[0] / max(columns - 1, 1))
        shared["edges"] = whole.at_once(find, [*fields.values(), *shared.values()], _FLOAT, (edges.SIZE,))
    if setup.track is not None:
        shared["heading"] = along_edges(shared["edges"]) if given.flight is None else given.flight

    def fit(orders: list[Any]) -> Any:
        names = (*fields, "counts", *["order"][: len(orders)], *shared)
        of_pair = partial(scene.fit_pair, names=names, u=places[0], v=places[1], setup=setup)
        return whole.each_pair(of_pair, [*fields.values(), counts, *orders], list(shared.values()), setup.table.count)

    return Fitting(fit, fields, shared, places)


def _looked_at(
    fields: dict[str, Any], shared: dict[str, Any], given: Given
) -> tuple[dict[str, Any], dict[str, Any], list[np.ndarray]]:
    """The nodes of fields and of what is shared that are looked at, and their coordinates along x and y.

    Stable ground may be a small part of the scene: nodes are chosen among it. Of lazy fields these alone are kept.
    """
    rows, columns = whole.lattice((given.v.size, given.u.size), MOST)
    fields, shared = (
        {name: values[..., rows, :][..., columns] for name, values in each.items()} for each in (fields, shared)
    )
    places = [given.u[np.newaxis, columns], given.v[rows, np.newaxis]]
    shape = shared["used"].shape
    if shape[0] * shape[1] <= SAMPLE:
        return fields, shared, places
    boolean = np.dtype(np.bool_)
    used = whole.at_once(partial(scene.thinned, most=SAMPLE), [shared["used"]], boolean, shape)
    kept = whole.at_once(scene.with_probes, [used], boolean, shape)
    fields = {name: whole.where_wanted(values, kept) for name, values in fields.items()}
    return fields, shared | {"used": used}, places
