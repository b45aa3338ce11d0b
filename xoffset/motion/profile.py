"""profile(): motion along a line, parallel and normal to a fault."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import whole
from xoffset._kernels.maps import section
from xoffset.model import checks, grids, products, variables
from xoffset.model.flags import FLAGS

# Samples along a line, and points across it, at most.
MOST_SAMPLES = 1_000_000


class Places(NamedTuple):
    """Samples of a line, and the nodes around the points that are averaged for each."""

    distance: np.ndarray  # (sample,) along the line
    x: np.ndarray
    y: np.ndarray
    row: np.ndarray  # (corner, sample)
    column: np.ndarray
    weight: np.ndarray  # NaN outside the grid


def profile(
    dataset: xr.Dataset,
    line: Sequence[tuple[float, float]] | np.ndarray,
    *,
    spacing: float | None = None,
    width: float = 0.0,
    strike: float | None = None,
    overlap: float = 4.0,
) -> xr.Dataset:
    """Displacement or velocity along a line, parallel and normal to a fault.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x), a series (time, y, x), or any other product with `dx` and `dy`; or a rate (y, x), or any
        other with `vx` and `vy`. Of a product with both it is the displacement.
    line
        Two or more vertices (x, y), in metres of the grid.
    spacing
        Distance of the samples along the line in metres; a million samples at most. None: the distance of the nodes.
    width
        Width in metres of the swath along the line whose vectors are averaged at each sample. 0 takes the line alone.
    strike
        Azimuth of the fault in degrees clockwise from grid north. None: the fault runs straight across the line (from
        its first vertex to its last) and its strike points to the left of who walks along the line.
    overlap
        Number of nodes over which the windows that were matched share pixels, `template` / `step` of `correlate`. It
        serves the standard errors only.

    Returns
    -------
    xarray.Dataset
        On (distance), with the dims of `dataset` beside y and x before it: `parallel`, component toward the strike, and
        `normal`, component toward the right of the strike, in metres or m yr-1; `sigma_parallel`, `sigma_normal`, their
        standard errors, NaN where a vector has none, left out if `dataset` has none. With the default strike, `normal`
        is positive along the line and `parallel` to the left of it; with a strike of 0 `parallel` is the component
        along y and `normal` that along x. Coordinates: `distance` along the line, `x` and `y` of each sample, in
        metres; attribute `strike` in degrees. NaN, with a flag, outside the grid (`outside`) and where less than half
        of the points across the line have a vector (`few_valid`). Lazy if `dataset` is.

    Raises
    ------
    TypeError, ValueError
        If there are no vectors on a regular grid, the line has no length or misses the grid, or a number is out of
        range.

    Notes
    -----
    Points are interpolated between the four nodes around them; one node without a vector leaves them without, unless
    the point is on other nodes. Across the line they are as close as the nodes. The standard errors count with the
    pixels that the windows of neighbouring nodes share, see `strain`.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="fault", velocity=20.0, direction=0.0)
    >>> middle = float(truth.y.mean())
    >>> line = [(float(truth.x[5]), middle), (float(truth.x[-5]), middle)]
    >>> across = xoffset.profile(truth[["vx", "vy"]], line)
    >>> (across.parallel[[0, -1]] / 10.0).round().values.tolist()
    [-2.0, 2.0]
    """
    data, names = checks.as_vectors(dataset, "profile")
    data = checks.without_islands(data, "profile")
    side = grids.spacing(data, "profile")
    nodes = min(abs(side.x), abs(side.y))
    vertices = _vertices(line)
    step = nodes if spacing is None else _options.as_positive(spacing, "spacing", "profile", unit="m", example=nodes)
    width = _options.as_number(width, "width", "profile")
    overlap = _options.as_number(overlap, "overlap", "profile", least=1.0)
    _check_size(vertices, step, width / nodes)
    azimuth = _strike(vertices, strike)
    places = _places(data, vertices, step, width)

    errors = checks.errors_of(names)
    has_errors = set(errors[:2]) <= set(data.data_vars)
    fields = [data[name].data for name in (*names, *(name for name in errors if has_errors and name in data))]
    is_map = fields[0].ndim == 2
    layers = [whole.gather(field[np.newaxis] if is_map else field, places.row, places.column) for field in fields]
    turn = np.array([math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))])
    labels = ("parallel", "normal", "sigma_parallel", "sigma_normal")[: 4 if has_errors else 2]
    shape = (len(labels), layers[0].shape[0], places.distance.size)
    found = whole.at_once(
        partial(_along_of_layers, places=places, overlap=overlap, turn=turn), layers, fields[0].dtype, shape
    )
    found = found[:, 0] if is_map else found

    dims = (*data[names[0]].dims[:-2], "distance")
    components = dict(zip(labels, found, strict=True))
    values: dict[str, Any] = {name: (dims, field) for name, field in components.items()}
    is_outside = np.isnan(places.weight).all(axis=0)
    reason = np.where(is_outside, FLAGS["outside"], FLAGS["few_valid"]).astype(np.int64)
    values["flags"] = (dims, np.isnan(components["parallel"]) * reason)
    out = products.product(
        values,
        variables.PROFILE if names[0] == "dx" else variables.PROFILE_RATE,
        like=data,
        step={
            "function": "profile", "line": vertices.tolist(), "spacing": step, "width": width, "strike": azimuth,
            "overlap": overlap,
        },
        coords=checks.layer_coords(data[names[0]])
        | {
            "distance": ("distance", places.distance, {"units": "m", "long_name": "distance along the line"}),
            "x": ("distance", places.x),
            "y": ("distance", places.y),
        },
    )  # fmt: skip
    out.attrs["strike"] = azimuth
    return out


# -------------------------------------------------------------------------------------------------------------- checks


def _vertices(line: Any) -> np.ndarray:
    """Vertices (n, 2) of a line of some length, those that follow their like left out."""
    try:
        vertices = np.asarray(line, dtype=np.float64)
    except (TypeError, ValueError):
        vertices = np.empty(0)
    is_line = vertices.ndim == 2 and vertices.shape[1] == 2 and bool(np.isfinite(vertices).all())
    if is_line:
        vertices = vertices[np.append(True, (np.diff(vertices, axis=0) != 0.0).any(axis=1))]
    if not is_line or len(vertices) < 2:
        raise ValueError(
            f"profile() needs a line of two or more different vertices (x, y); got {repr(line)[:60]}. "
            "Pass [(x0, y0), (x1, y1)] in metres of the grid."
        )
    return vertices


def _check_size(vertices: np.ndarray, step: float, across: float) -> None:
    """Refuse more samples than a profile can be worth."""
    samples = np.hypot(*np.diff(vertices, axis=0).T).sum() / step
    _options.check_count(samples, MOST_SAMPLES, "samples along the line", "profile", "Pass a larger spacing")
    _options.check_count(across, MOST_SAMPLES, "points across the line", "profile", "Pass a smaller width, in metres")
    points = samples * max(across, 1.0)
    _options.check_count(points, 100 * MOST_SAMPLES, "points", "profile", "Pass a larger spacing or a smaller width")


def _strike(vertices: np.ndarray, strike: float | None) -> float:
    """Azimuth of the fault in degrees, 0 to 360."""
    if strike is None:
        x, y = vertices[-1] - vertices[0]
        if x == 0.0 and y == 0.0:
            raise ValueError(
                "profile() needs the strike of the fault for a closed line; got none. Pass strike= in degrees."
            )
        return (math.degrees(math.atan2(x, y)) - 90.0) % 360.0
    return _options.as_azimuth(strike, "strike", "profile")


# ------------------------------------------------------------------------------------------------------------ geometry


def _places(data: xr.Dataset, vertices: np.ndarray, step: float, width: float) -> Places:
    """Samples along a line and the nodes around them, after checking that the line meets the grid."""
    side = grids.spacing(data, "profile")
    legs = np.diff(vertices, axis=0)
    lengths = np.hypot(legs[:, 0], legs[:, 1])
    ends = np.append(0.0, np.cumsum(lengths))
    distance = step * np.arange(math.floor(ends[-1] / step + 1e-9) + 1)
    # a vertex belongs to the leg that begins there
    leg = np.clip(np.searchsorted(ends, distance, side="right") - 1, 0, len(legs) - 1)
    along = legs[leg] / lengths[leg, np.newaxis]
    x, y = (vertices[leg] + along * (distance - ends[leg])[:, np.newaxis]).T
    points = math.ceil(width / min(abs(side.x), abs(side.y)) - 1e-9) + 1
    across = np.linspace(-0.5 * width, 0.5 * width, points)[:, np.newaxis] if points > 1 else np.zeros((1, 1))
    row, row_share = _nodes(y - across * along[:, 0], data["y"].values, side.y)
    column, column_share = _nodes(x + across * along[:, 1], data["x"].values, side.x)
    corners = [(row[i], column[j], row_share[i] * column_share[j]) for i in range(2) for j in range(2)]
    # corners of one point together: (point, corner, sample)
    parts = [np.stack(part, axis=1).reshape(-1, distance.size) for part in zip(*corners, strict=True)]
    if np.isnan(parts[2]).all():
        raise ValueError(
            f"profile() needs a line that crosses the grid, x from {data['x'].values.min():g} to "
            f"{data['x'].values.max():g} and y from {data['y'].values.min():g} to {data['y'].values.max():g} m; got "
            "one beside it. Check the CRS of its vertices."
        )
    return Places(distance, x, y, *parts)


def _nodes(place: np.ndarray, axis: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """The two nodes around each place along one axis, and their weights, NaN beyond the ends: both (2, ...)."""
    position = (place - axis[0]) / side
    last = axis.size - 1
    # what rounding moves off the grid, or off a node, is on it
    nearest = np.rint(position)
    position = np.where(np.abs(position - nearest) < 1e-6, nearest, position)
    inside = (position >= 0.0) & (position <= last)
    first = np.clip(np.floor(position), 0, max(last - 1, 0)).astype(np.int64)
    share = np.where(inside, position - first, np.nan)
    return np.stack([first, np.minimum(first + 1, last)]), np.stack([1.0 - share, share])


def _along_of_layers(*fields: np.ndarray, places: Places, overlap: float, turn: np.ndarray) -> np.ndarray:
    """Fields of `section.along` (field, n, sample); without standard errors if no errors are given."""
    values = np.zeros((5, *fields[0].shape))
    values[: len(fields)] = fields
    if len(fields) == 5:
        with np.errstate(divide="ignore", invalid="ignore"):
            _, _, sigma_x, sigma_y, correlation = values
            correlation /= sigma_x * sigma_y
        # an error of zero along one axis, or a covariance that cannot be, would make it anything
        np.clip(correlation, -1.0, 1.0, out=correlation)
    out = np.empty((4, fields[0].shape[0], fields[0].shape[2]))
    section.along(places.row, places.column, places.weight, overlap, turn, values, out)
    return out[: 4 if len(fields) > 2 else 2].astype(fields[0].dtype)
