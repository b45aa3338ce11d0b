"""compare(): motion beside what was measured on the ground."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset._arrays.layers import Layers
from xoffset._blocks import whole
from xoffset.model import checks, grids, products, quality_variables
from xoffset.model.dates import as_dates
from xoffset.model.flags import FLAGS
from xoffset.model.shift_errors import with_shift_error
from xoffset.motion.ground import ground
from xoffset.uncertainty import ground_truth
from xoffset.uncertainty.ground_truth import Measured

# Standard errors around which 95 % of the errors lie.
OF_95_PERCENT = 1.96
# Weight of the nodes around a point that must have a value.
_LEAST_WEIGHT = 0.5
# What is known at a point: the motion of the dataset, why there is none, and that of the table with its errors.
_AT_POINT = Layers(x=(), y=(), sigma_x=(), sigma_y=(), covariance=(), flags=(), table=4)
_SUMMARY = Layers(n=(), bias=2, rmse=2, coverage=2, length=())


def compare(
    dataset: xr.Dataset, table: pd.DataFrame | xr.Dataset, *, axes: Literal["true", "grid"] = "true"
) -> xr.Dataset:
    """Motion beside that of a table of GNSS receivers or stakes, toward true east and north.

    Parameters
    ----------
    dataset
        A rate (y, x) or any other product with `vx` and `vy`; or a series (time, y, x); or a displacement (y, x), such
        as that of an event; with a CRS.
    table
        What was measured on the ground, positive toward true east and true north, in metres of ground. A DataFrame, of
        which each row is a measurement: `x` and `y` [m] in the CRS of the dataset, or `longitude` and `latitude`
        [degrees, WGS 84]; `v_east` and `v_north` [m yr-1], or `d_east` and `d_north` [m]; if known the standard errors
        `sigma_v_east`, `sigma_v_north` or `sigma_d_east`, `sigma_d_north`, and `name`; and `reference` and `secondary`,
        the dates in ISO 8601 between which a displacement was measured. Or the result of
        `from_table(..., layout="points")`, whose `dx` and `dy` are then taken for east and north. A velocity is not
        compared with a series, but a displacement between two dates is compared with a rate too. Where the dataset is
        a displacement with the coordinates `reference` and `secondary`, rows must be of these dates, to a day, in
        either order; of a displacement or of rows that tell no dates, both are taken for the same, and a displacement
        without dates for one forward in time. Of velocities and displacements in one table, those of the kind of the
        dataset count.
    axes
        What the components of the table are along: `"true"` east and north, or the axes of the `"grid"` of its CRS, by
        the names of `vx`, `vy` or `dx`, `dy`, in metres of the grid.

    Returns
    -------
    xarray.Dataset
        By point, one for each measurement, in the unit of the dataset, m or m yr-1: `east`, `north`, the motion of the
        dataset there, `table_east`, `table_north`, that of the table, `residual_east`, `residual_north`, the first less
        the second; `sigma_east` and so on, the standard error of each if it is known, that of the residual from both.
        NaN, and a flag, where the dataset has no value (`nodata`), the point lies beside it (`outside`), or a date
        beside those of the series or of the displacement (`too_few_dates`), and `nodata` where the table has none:
        NaN, an infinite number, or one with an infinite standard error. What was measured from the later to the earlier
        date of a displacement is turned, and so are its `reference` and `secondary`.

        Of all points together: `n`, number of residuals; `bias_east`, `bias_north`, their mean; `rmse_east`,
        `rmse_north`, root mean square, and `rmse`, that of their lengths; `coverage_east`, `coverage_north` [1], share
        of the residuals within 1.96 of their standard errors: 0.95 if these are right. NaN of none. Lazy if `dataset`
        is.

    Raises
    ------
    TypeError
        If dataset or table is of the wrong type, or columns hold no numbers or no dates.
    ValueError
        If the dataset is of pairs, has no CRS or is no regular grid, or its dates are out of order or repeated; the
        table has no measurements or lacks a column, is along the axes of a grid, all points lie beside the dataset, a
        series meets velocities, or dates are missing, equal, or all other ones than those of a displacement.

    Notes
    -----
    The dataset is interpolated bilinearly between the four nodes around a point; nodes without a value are left out
    where the others have half of the weight. Its standard error there is the mean of theirs, since they err alike. A
    series is interpolated linearly between its dates, as `resample` does, and its errors at two dates are independent.
    A window moves with the mean of the ground in it: where motion changes within a window, it is not that of a point.

    Examples
    --------
    >>> import pandas, xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((192, 192), field="constant", velocity=20.0, direction=90.0)
    >>> rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    >>> stakes = pandas.DataFrame(
    ...     {"x": rate.x.values[[3, 9]], "y": rate.y.values[[4, 8]], "v_east": [20.0, 20.1], "v_north": [0.0, 0.2]}
    ... )
    >>> found = xoffset.compare(rate, stakes)
    >>> int(found.n), bool(found.rmse < 1.0)
    (2, True)
    """
    data, names = checks.as_vectors(dataset, "compare")
    data = checks.without_islands(data, "compare", may_have_own_zero=True)
    data = with_shift_error(data, "compare")
    _options.check_name(axes, ("true", "grid"), "axes", "compare")
    _check_dataset(data, names)
    measured = ground_truth.measured(table, data, axes=axes, is_rate=names[0] == "vx")

    at = _around(data, measured)
    errors = checks.errors_of(names)
    has_errors = set(errors[:2]) <= set(data.data_vars)
    fields = [data[name].data for name in (*names, *(name for name in errors if has_errors and name in data))]
    layers = [whole.gather(field if field.ndim == 3 else field[np.newaxis], at.row, at.column) for field in fields]
    table_values = np.stack([measured.east, measured.north, measured.sigma_east, measured.sigma_north])
    find = partial(_at_points, at=at, when=_when(data, measured), table=table_values)
    find = partial(find, is_other=measured.is_of_other_dates)
    found = _AT_POINT.split(whole.at_once(find, layers, np.dtype(np.float64), (_AT_POINT.count, measured.x.size)))
    names_of_layers = dict(zip((*names, *errors), ("x", "y", "sigma_x", "sigma_y", "covariance"), strict=True))
    at_points = {name: found[layer] for name, layer in list(names_of_layers.items())[: len(fields)]}
    values = _beside(_toward_true_north(at_points, data, measured), found["table"])
    values["flags"] = found["flags"].astype(np.int64)
    residuals = [values[f"{each}residual_{way}"] for each in ("", "sigma_") for way in ("east", "north")]
    summary = _SUMMARY.split(whole.at_once(_of_residuals, residuals, np.dtype(np.float64), (_SUMMARY.count,)))

    coords: dict[Hashable, Any] = {"x": ("point", measured.x), "y": ("point", measured.y)}
    own = {"name": measured.name, "reference": measured.reference, "secondary": measured.secondary}
    coords |= {name: ("point", each) for name, each in own.items() if each is not None}
    variables = quality_variables.COMPARISON if names[0] == "dx" else quality_variables.COMPARISON_RATE
    return products.product(
        {name: (("point",), each) for name, each in values.items()} | _summary(summary),
        variables,
        like=data,
        step={"function": "compare", "axes": axes},
        coords=coords,
    )


def _toward_true_north(layers: Mapping[str, Any], data: xr.Dataset, measured: Measured) -> xr.Dataset:
    """Motion at the points (point,), by the names of the components and of their errors, toward true east and north."""
    points = xr.Dataset(
        {name: ("point", values) for name, values in layers.items()},
        {"x": ("point", measured.x), "y": ("point", measured.y), "spatial_ref": ground_truth.spatial_ref_of(data)},
    )
    with _options.speaking_as("compare", "ground"):
        return ground(points)


def _beside(points: xr.Dataset, table: Any) -> dict[str, Any]:
    """Motion of the dataset, of the table and their difference, with the standard errors that are known."""
    kind = "v" if "v_east" in points else "d"
    values: dict[str, Any] = {}
    for k, way in enumerate(("east", "north")):
        own, error = points[f"{kind}_{way}"].data, f"sigma_{kind}_{way}"
        sigma, table_sigma = points[error].data if error in points else own * np.nan, table[2 + k]
        values |= {way: own, f"table_{way}": table[k], f"residual_{way}": own - table[k]}
        values |= {f"sigma_{way}": sigma, f"table_sigma_{way}": table_sigma}
        # a table that knows no errors is taken for true
        values[f"sigma_residual_{way}"] = np.sqrt(sigma**2 + np.nan_to_num(table_sigma) ** 2)
    return values


def _summary(found: Mapping[str, Any]) -> dict[str, tuple[tuple[str, ...], Any]]:
    values = {"n": found["n"].astype(np.int32), "rmse": found["length"]}
    for k, way in enumerate(("east", "north")):
        values |= {f"{name}_{way}": found[name][k] for name in ("bias", "rmse", "coverage")}
    return {name: ((), each) for name, each in values.items()}


# -------------------------------------------------------------------------------------------------------------- checks


def _check_dataset(data: xr.Dataset, names: tuple[str, str]) -> None:
    """Refuse what is neither a rate nor a series in order nor a displacement, or lies nowhere."""
    others = [str(dim) for dim in data[names[0]].dims[:-2]]
    if others not in ([], ["time"] if names[0] == "dx" else []):
        raise ValueError(
            f"compare() needs a rate (y, x), a series (time, y, x) or a displacement (y, x); got dims "
            f"{data[names[0]].dims}. Make one first: invert(shifts), velocity(shifts), or select: isel({others[0]}=0)."
        )
    if others:
        checks.check_times(data["time"], "compare")
    if grids.crs_of(data) is None:
        raise ValueError(
            "compare() needs the CRS of the grid, to tell true north; got a dataset without one. Name it: "
            "dataset.rio.write_crs('EPSG:...')."
        )


# ------------------------------------------------------------------------------------------------------------ geometry


class Around(NamedTuple):
    """The four nodes around each point (corner, point), and their weights, NaN of points beside the grid."""

    row: np.ndarray
    column: np.ndarray
    weight: np.ndarray


def _around(data: xr.Dataset, measured: Measured) -> Around:
    """Nodes around the points, after checking that one of them lies on the grid."""
    side = grids.spacing(data, "compare")
    rows, row_weight = _nodes(measured.y, data["y"].values, side.y)
    columns, column_weight = _nodes(measured.x, data["x"].values, side.x)
    corners = [(rows[i], columns[j], row_weight[i] * column_weight[j]) for i in range(2) for j in range(2)]
    found = Around(*(np.stack(part) for part in zip(*corners, strict=True)))
    if np.isnan(found.weight).all():
        x, y = data["x"].values, data["y"].values
        raise ValueError(
            f"compare() needs points of the table on the dataset, x from {x.min():.10g} to {x.max():.10g} and y from "
            f"{y.min():.10g} to {y.max():.10g} m; got none, the first at ({measured.x[0]:.10g}, {measured.y[0]:.10g}). "
            "Check the CRS of the positions."
        )
    return found


def _nodes(place: np.ndarray, axis: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """The two nodes around each place along one axis, and their weights: both (2, point).

    Places up to half a step beyond the last node belong to it.
    """
    position = (place - axis[0]) / side
    last = axis.size - 1
    is_inside = (position >= -0.5) & (position <= last + 0.5)
    position = np.clip(np.where(is_inside, position, 0.0), 0.0, last)
    first = np.clip(np.floor(position), 0, max(last - 1, 0)).astype(np.int64)
    share = np.where(is_inside, position - first, np.nan)
    return np.stack([first, np.minimum(first + 1, last)]), np.stack([1.0 - share, share])


def _when(data: xr.Dataset, measured: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Dates of a series and both dates of each measurement, in microseconds; None of what is no series."""
    if "time" not in data.dims or measured.reference is None or measured.secondary is None:
        return None
    dates = (as_dates(data["time"].values), measured.reference, measured.secondary)
    own, first, second = (each.astype(np.int64).astype(np.float64) for each in dates)
    return own, first, second


# ------------------------------------------------------------------------------------------------------------ on arrays


def _at_points(
    *fields: np.ndarray,
    at: Around,
    when: tuple[np.ndarray, ...] | None,
    table: np.ndarray,
    is_other: np.ndarray | None,
) -> np.ndarray:
    """Motion at the points as `_AT_POINT` says (layer, point), of fields (n, corner, point) of a map or of dates.

    Nothing is known at points that were measured between other dates than those of the map.
    """
    names = ("x", "y", "sigma_x", "sigma_y", "covariance")[: len(fields)]
    values = [np.asarray(field, dtype=np.float64) for field in fields]
    is_known = np.isfinite(values[0]) & np.isfinite(values[1]) & (at.weight > 0.0)
    weight = np.where(is_known, at.weight, 0.0)
    total = weight.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [np.where(weight > 0.0, weight * each, 0.0).sum(axis=1) / total for each in values]
    means = [np.where(total >= _LEAST_WEIGHT, each, np.nan) for each in means]
    out = np.full((_AT_POINT.count, at.weight.shape[1]), np.nan)
    found = _AT_POINT.split(out)
    reason = np.full(at.weight.shape[1], FLAGS["nodata"])
    if when is not None:
        dates, *both = when
        steps = [
            _between(dates, is_there, ends)
            for is_there, ends in zip((total >= _LEAST_WEIGHT).T, np.transpose(both), strict=True)
        ]
        reason[[step is None for step in steps]] = FLAGS["too_few_dates"]
        weight = np.transpose([np.full(dates.size, np.nan) if step is None else step for step in steps])
    else:
        is_of_map = np.ones(at.weight.shape[1], dtype=np.bool_) if is_other is None else ~is_other
        weight = np.where(is_of_map, 1.0, np.nan)[np.newaxis]
        reason[~is_of_map] = FLAGS["too_few_dates"]
    for name, each in zip(names, means, strict=True):
        # errors at two dates are independent
        of_dates = weight if name in ("x", "y") else weight**2
        square = each**2 if name.startswith("sigma") else each
        sums = np.where(weight == 0.0, 0.0, of_dates * square).sum(axis=0)
        found[name][:] = np.sqrt(sums) if name.startswith("sigma") else sums
    reason = np.where(np.isnan(at.weight).all(axis=0), FLAGS["outside"], reason)
    has_no_table = ~np.isfinite(table[:2]).all(axis=0)
    found["flags"][:] = np.where(
        ~np.isfinite(found["x"] + found["y"]), reason, np.where(has_no_table, FLAGS["nodata"], 0)
    )
    found["table"][:] = table
    return out


def _between(dates: np.ndarray, is_there: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """Weights of the dates (time,) in the displacement between two ends; None beyond the dates with a value."""
    own = np.flatnonzero(is_there)
    if own.size < 2 or ends.min() < dates[own[0]] or ends.max() > dates[own[-1]]:
        return None
    weight = np.zeros(dates.size)
    for end, sign in zip(ends, (-1.0, 1.0), strict=True):
        k = int(np.clip(np.searchsorted(dates[own], end), 1, own.size - 1))
        before, after = own[k - 1], own[k]
        share = (end - dates[before]) / (dates[after] - dates[before])
        weight[before] += sign * (1.0 - share)
        weight[after] += sign * share
    return weight


def _of_residuals(east: np.ndarray, north: np.ndarray, sigma_east: np.ndarray, sigma_north: np.ndarray) -> np.ndarray:
    """Summary of residuals (point,) as `_SUMMARY` says."""
    out = np.full(_SUMMARY.count, np.nan)
    found = _SUMMARY.split(out)
    used = np.isfinite(east) & np.isfinite(north)
    out[_SUMMARY["n"]] = used.sum()
    if not used.any():
        return out
    for k, (residual, sigma) in enumerate(((east[used], sigma_east[used]), (north[used], sigma_north[used]))):
        found["bias"][k] = residual.mean()
        found["rmse"][k] = np.sqrt((residual**2).mean())
        has_error = (sigma > 0.0) & (sigma < np.inf)
        if has_error.any():
            found["coverage"][k] = (np.abs(residual) <= OF_95_PERCENT * sigma)[has_error].mean()
    out[_SUMMARY["length"]] = np.hypot(*found["rmse"])
    return out
