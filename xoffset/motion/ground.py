"""ground(): from metres of the grid to metres of ground, toward true east and north."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays import vectors
from xoffset._blocks import whole
from xoffset.model import checks, grids, history, products, variables
from xoffset.model.points import places_of, takes_points


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
        other with `vx` and `vy`; with a CRS.

    Returns
    -------
    xarray.Dataset
        The dataset with `d_east` and `d_north` [m], positive toward true east and north, in place of `dx` and `dy`, or
        with `v_east` and `v_north` [m yr-1] in place of `vx` and `vy`. Standard errors and covariance, where the
        dataset has them, become `sigma_d_east`, `sigma_d_north` [m] and `cov_d_east_north` [m2], or those of `v_east`
        and `v_north`; without a covariance the errors along x and y are taken to be independent. `v`, `direction` (then
        clockwise from true north) and `magnitude` are made anew. All else stays as it is, lengths such as `rms` in
        metres of the grid. Lazy if `dataset` is.

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
    x, y = (data[name].data for name in names)
    points = places_of(data)
    if points is None:
        turn = whole.of_places(partial(_turn, crs=crs.to_wkt()), rows, columns, x, 4)
    else:
        turn = _turn_at(*points, crs.to_wkt())
    dims = data[names[0]].dims
    letter = names[0][0]
    east, north = turn[0] * x + turn[1] * y, turn[2] * x + turn[3] * y
    found = {f"{letter}_east": east, f"{letter}_north": north} | _errors(data, names, turn)

    length, direction = vectors.polar(east, north)
    remade = {"v": length, "direction": direction} if letter == "v" else {"magnitude": length}
    found |= {name: values for name, values in remade.items() if name in data}
    out = data.drop_vars([name for name in (*names, *checks.errors_of(names)) if name in data])
    for name, values in found.items():
        out[name] = (dims, values.astype(x.dtype), products.attrs_of(variables.GROUND[name]))
    out.attrs = data.attrs | {"processing": history.processed(data, {"function": "ground"})}
    return products.finish(out)


def _errors(data: xr.Dataset, names: tuple[str, str], turn: Any) -> dict[str, Any]:
    """Standard errors and covariance of the turned components."""
    sigma_x, sigma_y, covariance = checks.errors_of(names)
    if sigma_x not in data or sigma_y not in data:
        return {}
    xx, yy = (data[name].data.astype(np.float64) ** 2 for name in (sigma_x, sigma_y))
    xy = data[covariance].data if covariance in data else 0.0
    a, b, c, d = turn
    letter = names[0][0]
    return {
        f"sigma_{letter}_east": np.sqrt(np.maximum(a * a * xx + b * b * yy + 2.0 * a * b * xy, 0.0)),
        f"sigma_{letter}_north": np.sqrt(np.maximum(c * c * xx + d * d * yy + 2.0 * c * d * xy, 0.0)),
        f"cov_{letter}_east_north": a * c * xx + b * d * yy + (a * d + b * c) * xy,
    }


def _turn(y: np.ndarray, x: np.ndarray, crs: str) -> np.ndarray:
    """Turn as of `_turn_at` at the nodes of a grid (4, rows, columns)."""
    columns, rows = np.meshgrid(x, y)
    return _turn_at(columns, rows, crs)


def _turn_at(x: np.ndarray, y: np.ndarray, crs: str) -> np.ndarray:
    """East per x, east per y, north per x, north per y (4, ...): metres of ground per metre of grid."""
    import pyproj

    projection = pyproj.Proj(pyproj.CRS.from_wkt(crs))
    longitude, latitude = projection(x, y, inverse=True)
    factors = projection.get_factors(longitude, latitude)
    # radii of curvature along the parallel and the meridian, in units of the major axis as the derivatives are
    geod = projection.crs.get_geod()
    square = geod.es if geod is not None else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        root = 1.0 - square * np.sin(np.radians(latitude)) ** 2
        parallel = np.cos(np.radians(latitude)) / np.sqrt(root)
        meridian = (1.0 - square) / (root * np.sqrt(root))
        x_east, x_north = factors.dx_dlam / parallel, factors.dx_dphi / meridian
        y_east, y_north = factors.dy_dlam / parallel, factors.dy_dphi / meridian
        determinant = x_east * y_north - x_north * y_east
        turn = np.stack([y_north, -x_north, -y_east, x_east]) / determinant
    return np.where(np.isfinite(turn), turn, np.nan)
