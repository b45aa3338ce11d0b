"""ground(): from metres of the grid to metres of ground, toward true east and north."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays import vectors
from xoffset._blocks import whole
from xoffset.model import checks, components, grids, history, north, products, variables
from xoffset.model.flags import FLAGS, flag_attrs
from xoffset.model.points import places_of, takes_points

Field = tuple[tuple[str, ...], Any]  # dims and values


@takes_points
def ground(dataset: xr.Dataset) -> xr.Dataset:
    """Displacement or velocity toward true east and true north, in metres of ground.

    The axes of a grid are not east and north but where its convergence is zero, and its metres are not those of the
    ground but where its scale is one. Use this before any comparison with GNSS, with slope and aspect, or with the
    azimuth of the sun or of a satellite.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x) or a series (time, y, x), or any other product with `dx` and `dy`; or a rate (y, x), or any
        other with `vx` and `vy`; or with all four, as `coseismic` gives with a trend; with a CRS.

    Returns
    -------
    xarray.Dataset
        The dataset with `d_east` and `d_north` [m], positive toward true east and north, in place of `dx` and `dy`, and
        with `v_east` and `v_north` [m yr-1] in place of `vx` and `vy`. All other vectors are turned alike, such as
        `step_d_east` of `step_dx`. Standard errors and covariance, where the dataset has them, become `sigma_d_east`,
        `sigma_d_north` [m] and `cov_d_east_north` [m2] and so on; without a covariance the errors along x and y are
        taken to be independent, as are `sigma_v_east_bootstrap` and `sigma_drift_d_east` always. `v`, `v_debiased`,
        `direction` (then clockwise from true north) and `magnitude` are made anew. What belongs to an axis of the grid
        and cannot be turned is left out: amplitude and day of a season, `sigma_factor_dx`, `geolocation_dx`. Lengths
        such as `rms` stay, and their long name says that they are in metres of the grid. Lazy if `dataset` is.

    Raises
    ------
    TypeError, ValueError
        If there are no vectors on a grid, or no projected CRS in metres.

    Notes
    -----
    With the derivatives of the projection and the radii of curvature of the ellipsoid at each node (`get_factors` of
    PROJ), so it holds for projections that do not keep angles too. A vector is taken for short: over a kilometre both
    axes turn by some hundredths of a degree.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64), field="constant", velocity=10.0, crs="EPSG:3413")
    >>> xoffset.ground(truth[["vx", "vy"]]).v_east.attrs["units"]
    'm yr-1'
    """
    data, names = checks.as_vectors(dataset, "ground")
    crs = grids.crs_of(data)
    if crs is None:
        raise ValueError(
            "ground() needs the CRS of the grid; got a dataset without one. Name it: dataset.rio.write_crs('EPSG:...')."
        )
    grids.check_crs(crs, data[names[0]], "ground")

    rows, columns = (np.asarray(data[name].values, dtype=np.float64) for name in ("y", "x"))
    points, vectors_of_grid = places_of(data), data[names[0]]
    if points is None:
        turn = whole.of_places(partial(_turn, crs=crs.to_wkt()), rows, columns, vectors_of_grid.data, 4)
    else:
        turn = north.onto_ground(*points, crs.to_wkt())
    found = _turned(data, turn)
    found |= {name: each for name, each in _lengths(found).items() if name in data}

    gone = variables.COMPONENTS.all | {checks.errors_of(pair)[2] for pair in variables.COMPONENTS.vectors.items()}
    out = data.drop_vars([name for name in data.data_vars if name in gone or name in variables.GROUND])
    for name, each in out.data_vars.items():
        if name in variables.COMPONENTS.lengths:
            text = f"{each.attrs.get('long_name', name)}, metres of the grid"
            out[name] = each.assign_attrs(long_name=text)
    for name, (dims, values) in found.items():
        out[name] = (dims, values.astype(vectors_of_grid.dtype), products.attrs_of(variables.GROUND[name]))
    # nothing is known beyond the reach of the projection either
    is_unknown = out[f"{names[0][0]}_east"].isnull()
    flags = data["flags"].astype(np.int64) if "flags" in data else is_unknown * np.int64(0)
    silent = (is_unknown & (flags == 0)) * np.int64(FLAGS["nodata"])
    out["flags"] = (flags | silent).transpose(*flags.dims)
    out["flags"].attrs = flag_attrs()
    out.attrs = data.attrs | {"processing": history.processed(data, {"function": "ground"})}
    return products.finish(out[[*found, *(name for name in out.data_vars if name not in found)]])


def _turned(data: xr.Dataset, turn: Any) -> dict[str, Field]:
    """All vectors of a product, with what is known of their errors, on true east and north."""
    a, b, c, d = turn
    found: dict[str, Field] = {}
    for pair in (variables.COMPONENTS.vectors | variables.COMPONENTS.errors).items():
        if not set(pair) <= set(data.data_vars):
            continue
        names = components.on_ground(*pair)
        dims, (x, y) = _layers(data, *pair)
        if pair[0] in variables.COMPONENTS.errors:
            values = dict(zip(names, _errors(x, y, 0.0, turn), strict=False))
        else:
            values = dict(zip(names, (a * x + b * y, c * x + d * y), strict=True))
            sigma_x, sigma_y, covariance = checks.errors_of(pair)
            if sigma_x in data and sigma_y in data and f"sigma_{names[0]}" in variables.GROUND:
                along_x, along_y = _layers(data, sigma_x, sigma_y)[1]
                xy = _layers(data, covariance)[1][0] if covariance in data else 0.0
                labels = (*(f"sigma_{name}" for name in names), components.covariance_on_ground(*pair))
                values |= dict(zip(labels, _errors(along_x, along_y, xy, turn), strict=True))
        found |= {name: (dims, each) for name, each in values.items()}
    return found


def _layers(data: xr.Dataset, *names: str) -> tuple[tuple[str, ...], list[Any]]:
    """Dims and values (..., rows, columns) of variables."""
    layers = [data[name].transpose(..., "y", "x") for name in names]
    return tuple(map(str, layers[0].dims)), [layer.data for layer in layers]


def _errors(sigma_x: Any, sigma_y: Any, xy: Any, turn: Any) -> tuple[Any, Any, Any]:
    """Standard errors and covariance of turned components."""
    xx, yy = (each.astype(np.float64) ** 2 for each in (sigma_x, sigma_y))
    a, b, c, d = turn
    return (
        np.sqrt(np.maximum(a * a * xx + b * b * yy + 2.0 * a * b * xy, 0.0)),
        np.sqrt(np.maximum(c * c * xx + d * d * yy + 2.0 * c * d * xy, 0.0)),
        a * c * xx + b * d * yy + (a * d + b * c) * xy,
    )


def _lengths(found: dict[str, Field]) -> dict[str, Field]:
    """Lengths and direction of turned vectors."""
    made: dict[str, Field] = {}
    if "d_east" in found:
        dims, east = found["d_east"]
        made["magnitude"] = (dims, vectors.polar(east, found["d_north"][1])[0])
    if "v_east" in found:
        dims, east = found["v_east"]
        speed, direction = vectors.polar(east, found["v_north"][1])
        made |= {"v": (dims, speed), "direction": (dims, direction)}
        if "sigma_v_east" in found:
            square = found["sigma_v_east"][1] ** 2 + found["sigma_v_north"][1] ** 2
            made["v_debiased"] = (dims, np.sqrt(np.maximum(speed**2 - square, 0.0)))
    return made


def _turn(y: np.ndarray, x: np.ndarray, crs: str) -> np.ndarray:
    """Turn as of `north.onto_ground` at the nodes of a grid (4, rows, columns)."""
    columns, rows = np.meshgrid(x, y)
    return north.onto_ground(columns, rows, crs)
