"""Nodes that the rows of a table are of: those of a regular grid, or scattered points."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from xoffset._arrays import places
from xoffset.model import grids

if TYPE_CHECKING:
    import pyproj

# Distance that the places of one name may span [m]: beyond it two points surely share the name.
FARTHEST = 1000.0


class Nodes(NamedTuple):
    """Nodes that the rows of a table are of: their grid (y, x) with its CRS, row and column of each row of the table.

    Scattered points are the nodes of one row, and their own coordinates are apart.
    """

    place: xr.DataArray
    row: np.ndarray
    column: np.ndarray
    coords: dict[Hashable, Any]
    limit: float  # how far apart rows of the same two dates may be at one node [m]


def _check_places(at: Sequence[np.ndarray]) -> None:
    """Refuse rows without a place."""
    wrong = np.flatnonzero(~np.isfinite(at[0] + at[1]))
    if wrong.size:
        raise ValueError(
            f"from_table() needs the place of every row; got none in row {wrong[0]}, counted from 0, the first of "
            f"{wrong.size}. Drop such rows: table.dropna(subset=['x', 'y'])."
        )


def grid(at: Sequence[np.ndarray], crs: Any) -> Nodes:
    """Nodes of the regular grid that all rows lie on."""
    _check_places(at)
    parsed = _parsed(crs, at)
    axes = places.grid(*at)
    advice = "Of scattered points pass layout='points'; coordinates in degrees are to be projected first."
    for label, axis, values in zip("xy", axes, at, strict=True):
        if axis is None:
            steps = np.diff(np.unique(values))
            raise ValueError(
                f"from_table() needs points on a regular grid, each within {places.TOLERANCE:.0%} of the step of its "
                f"node; got steps from {steps.min():g} to {steps.max():g} m along {label}. {advice}"
            )
    x, y = axes
    assert x is not None
    assert y is not None
    if not places.is_filled(x, y):
        raise ValueError(
            f"from_table() needs points on at least {places.FILLED:.0%} of the nodes of a regular grid; got a grid of "
            f"{y.nodes.size} x {x.nodes.size} nodes. {advice}"
        )
    return Nodes(_labelled(x.nodes, y.nodes[::-1], parsed), y.nodes.size - 1 - y.at, x.at, {}, places.rounding(x, y))


def scattered(at: Sequence[np.ndarray], reference: np.ndarray, names: pd.Series | None, crs: Any) -> Nodes:
    """Scattered points as the nodes of one row, in the order in which they first appear."""
    _check_places(at)
    parsed = _parsed(crs, at)
    if names is None:
        group, doubtful = places.points(*at)
        if doubtful is not None:
            one, two = doubtful
            raise ValueError(
                f"from_table() needs places at least {places.NEAR:g} m apart, or within {places.SAME:g} m of each "
                f"other if they are one; got ({at[0][one]:.3f}, {at[1][one]:.3f}) in row {one} and ({at[0][two]:.3f}, "
                f"{at[1][two]:.3f}) in row {two}, counted from 0. Tell which rows are one point: name='stake'."
            )
        point, labels = pd.factorize(group)
    else:
        point, labels = pd.factorize(_texts(names))
        _check_names(point, labels, at, reference)
    # stable, so that of equal dates the first row counts
    earliest = np.lexsort((np.arange(point.size), reference, point))
    earliest = earliest[np.searchsorted(point[earliest], np.arange(len(labels)))]
    coords: dict[Hashable, Any] = {label: ("point", values[earliest]) for label, values in zip("xy", at, strict=True)}
    if names is not None:
        coords["name"] = ("point", np.asarray(labels, dtype=object), {"long_name": "name of the point"})
    row = _labelled(np.arange(len(labels), dtype=np.float64), np.zeros(1), parsed)
    return Nodes(row, np.zeros_like(point), point, coords, 0.0 if names is None else math.inf)


def _texts(names: pd.Series) -> np.ndarray:
    """Names of the points of all rows, as text."""
    wrong = np.flatnonzero(names.isna())
    if wrong.size:
        raise ValueError(
            f"from_table() needs a name of the point in every row of {names.name!r}; got none in row {wrong[0]}, "
            "counted from 0. Fill it in, or drop the row."
        )
    return names.astype(str).to_numpy(dtype=object)


def _check_names(point: np.ndarray, labels: Any, at: Sequence[np.ndarray], reference: np.ndarray) -> None:
    """Refuse one name of two points: at two places on one date, or farther apart than any point moves."""
    of_date = pd.DataFrame({"point": point, "reference": reference}).groupby(["point", "reference"]).ngroup().to_numpy()
    for group, limit, text in ((of_date, places.NEAR, "on one reference date"), (point, FARTHEST, "in all")):
        apart = np.hypot(*(places.spread(values, group) for values in at))
        wrong = np.flatnonzero(apart > limit)
        if wrong.size:
            label = labels[point[np.flatnonzero(group == wrong[0])[0]]]
            raise ValueError(
                f"from_table() needs a name for every point, whose places are within {limit:g} m {text}; got some "
                f"{apart[wrong[0]]:g} m apart for {label!r}. Give each point a name of its own."
            )


def _parsed(crs: Any, at: Sequence[np.ndarray]) -> pyproj.CRS | None:
    """CRS, after checking that coordinates in it are metres of ground."""
    if crs is None:
        return None
    import pyproj

    try:
        parsed = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise ValueError(
            f"from_table() needs a CRS that pyproj knows; got {crs!r}. Pass a code such as crs='EPSG:3413'."
        ) from error
    grids.check_crs(parsed, _labelled(np.unique(at[0]), np.unique(at[1]), None), "from_table")
    return parsed


def _labelled(x: np.ndarray, y: np.ndarray, crs: pyproj.CRS | None) -> xr.DataArray:
    """Grid (y, x) without values, with its CRS."""
    coords: dict[Hashable, Any] = {"y": y, "x": x}
    if crs is not None:
        coords["spatial_ref"] = grids.spatial_ref(crs)
    return xr.DataArray(np.broadcast_to(np.nan, (y.size, x.size)), dims=("y", "x"), coords=coords)


def pairs(
    reference: np.ndarray, secondary: np.ndarray, nodes: Nodes, at: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """First row of every pair, and the pair of every row."""
    keys = pd.DataFrame({"reference": reference, "secondary": secondary, "row": nodes.row, "column": nodes.column})
    same = keys.groupby(["reference", "secondary", "row", "column"], sort=False)
    _check_merged(same.ngroup().to_numpy(), nodes, at)
    # rows of one point and the same dates are pairs of their own
    keys["repeat"] = same.cumcount()
    pair = keys.groupby(["reference", "secondary", "repeat"], sort=False).ngroup().to_numpy()
    return np.unique(pair, return_index=True)[1], pair


def _check_merged(group: np.ndarray, nodes: Nodes, at: Sequence[np.ndarray]) -> None:
    """Refuse places that became one though both were measured between the same two dates: they are rather two."""
    apart = np.maximum(*(places.spread(values, group) for values in at))
    wrong = np.flatnonzero(apart > nodes.limit)
    if wrong.size:
        one = np.flatnonzero(group == wrong[0])
        raise ValueError(
            f"from_table() needs one place a point; got places {apart[wrong[0]]:g} m apart, of the same two dates, "
            f"that would be one point, in rows {one[0]} and {one[1]}, counted from 0. If they are one give both the "
            "same coordinates, else pass layout='points' with the name of each point: name='stake'."
        )
