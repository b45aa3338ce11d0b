"""area_mean(): the mean motion of an area, and how certain it is."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import variogram
from xoffset._arrays.layers import Layers
from xoffset._blocks import whole
from xoffset.model import checks, grids, products, quality_variables
from xoffset.model.flags import FLAGS
from xoffset.model.shift_errors import without_shift_error
from xoffset.model.stable import check_somewhere, on_nodes
from xoffset.model.tables import SHIFT_ERROR
from xoffset.readers import polygons

if TYPE_CHECKING:
    from xoffset.readers.polygons import Polygons

# Numbers of the regions of a map: differences are taken within each of them, not from one to the other.
_AREA, _AROUND = 1, 2
# What the mean of a map consists of.
_MEAN = Layers(mean=2, sigma=2, covariance=(), n_nodes=(), n_effective=2, n_stable=())


def area_mean(
    dataset: xr.Dataset, polygon: Polygons, *, stable: xr.DataArray | None = None, min_valid: float = 0.5
) -> xr.Dataset:
    """Mean motion of the ground in polygons, with the standard error that vectors which err alike leave it.

    The mean of a thousand vectors is not known a thousand times better in variance than one: windows that overlap
    share their noise, and distortions of an image reach over many of them. How far errors reach follows from a
    variogram, and with it how many independent vectors the mean is worth.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x) or a series (time, y, x), or any other product with `dx` and `dy`: each pair or date has its
        mean. Or a rate (y, x), or any other with `vx` and `vy`. Vectors that are NaN are left out.
    polygon
        The area: a file (GeoJSON, Shapefile, GeoPackage), a GeoJSON object, a polygon of shapely or a GeoDataFrame, or
        several of them, in any CRS that is stated. All of its polygons together are one area; nodes belong to it whose
        place lies inside.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the dataset or on the finer one of the
        stack. The variogram is then that of stable ground alone, the size of the errors is what is seen there, and
        what stable ground is displaced by as a whole is added to the standard errors. None: the variogram is that of
        all vectors, and the size of the errors that of their standard errors.
    min_valid
        Least share, 0 to 1, of the nodes in the area that have a vector.

    Returns
    -------
    xarray.Dataset
        By pair or date, or of a rate without dims: `dx`, `dy` [m] or `vx`, `vy` [m yr-1], means over the nodes in the
        area that have a vector; `sigma_dx`, `sigma_dy` and so on, their standard errors; `cov_dxdy` or `cov_vxvy`,
        their covariance, if `dataset` has one; `n_nodes`, number of nodes with a vector; `valid_share` [1] of the nodes
        in the area that have one; `n_effective_x`, `n_effective_y` [1], number of independent vectors that the means
        are as good as. The means are NaN, and `flags` says `few_valid`, where fewer nodes than `min_valid` have a
        vector; the standard errors also where one of a vector is unknown, and where no stable node has a vector, which
        `flags` tells as `nodata`. Lazy if `dataset` or `stable` is.

    Raises
    ------
    FileNotFoundError, ImportError
        If there is no such file, or it takes pyogrio to read it.
    TypeError
        If `polygon` is none, `stable` is not boolean, or the dataset is of the wrong type.
    ValueError
        If there are no vectors on a regular grid, the polygons lie beside the grid, between its nodes, or cross
        themselves, a CRS is missing, a mask is True nowhere (one in memory), or an option is not as it should be.

    Notes
    -----
    var = ΣΣ σ_i σ_j ρ(h_ij) / n², over all pairs of nodes of the area, h apart. ρ is that of a variogram of the vectors
    in units of their standard errors: a nugget and up to two structures (exponential, Gaussian or spherical), of which
    each must be worth it; least squares without negative parts. Vectors further from the median than three times their
    spread are left out of it, as wrong matches and as what moves; with `stable` they count for the size of the errors.
    Differences are taken of two nodes in the area or of two outside, not across its edge, up to half the map apart.
    Errors that reach farther look like none: give `stable`, and remove them. Without any standard errors, σ² is the
    variance that the variogram ends at. Where a map is too small for one, all errors are taken for the same.

    Motion that changes from place to place looks like an error that reaches far. Without `stable`, it makes the
    standard errors too large where most of the map moves. What the mean lacks for want of some nodes of the area is
    not in the standard errors; see `valid_share`. `sigma_shift`, which all nodes share, is in them whole.

    All of a map is needed at once. Save lazy shifts first, `open_result(...)` them and take their means.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((256, 256), field="constant", velocity=20.0, direction=90.0, snr=4.0)
    >>> rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    >>> west, south = float(rate.x.min()) + 300.0, float(rate.y.min()) + 300.0
    >>> corners = [(west, south), (west + 1000.0, south), (west + 1000.0, south + 1000.0), (west, south + 1000.0)]
    >>> crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
    >>> area = {"type": "Polygon", "coordinates": [[*corners, corners[0]]], "crs": crs}
    >>> mean = xoffset.area_mean(rate, area)
    >>> bool(abs(mean.vx - 20.0) < 4.0 * mean.sigma_vx)
    True
    """
    data, names = checks.as_vectors(dataset, "area_mean")
    data = without_shift_error(checks.without_islands(data, "area_mean"), names)
    _options.check_share(min_valid, "min_valid", "area_mean")
    spacing = grids.spacing(data, "area_mean")
    is_area = polygons.inside(polygon, data, "area_mean", "polygon")
    masks = [is_area, *([] if stable is None else [on_nodes(stable, data, "area_mean")])]
    for mask in masks[1:]:
        check_somewhere(mask, "stable", "area_mean")

    errors = checks.errors_of(names)
    has_errors = set(errors[:2]) <= set(data.data_vars)
    fields = [data[name].data for name in (*names, *(name for name in errors if has_errors and name in data))]
    find = partial(_mean_of_map, masks=len(masks), spacing=(abs(spacing.x), abs(spacing.y)))
    maps = [[field[k] for field in fields] for k in range(len(fields[0]))] if fields[0].ndim == 3 else [fields]
    found = [whole.at_once(find, [*masks, *each], np.dtype(np.float64), (_MEAN.count,)) for each in maps]
    table = np.stack(found, axis=1) if fields[0].ndim == 3 else found[0]

    dims = tuple(map(str, data[names[0]].dims[:-2]))
    values = _labelled(_MEAN.split(table), names, float(min_valid) * int(is_area.sum()))
    values["valid_share"] = values["n_nodes"] / int(is_area.sum())
    if SHIFT_ERROR in data:
        # no mean makes less of what all nodes share
        values |= {name: np.hypot(values[name], data[SHIFT_ERROR].data) for name in errors[:2]}
    if len(fields) < 5:
        del values[errors[2]]
    for name in {*names, *errors} & values.keys():
        values[name] = values[name].astype(fields[0].dtype)
    return products.product(
        {name: (dims, each) for name, each in values.items()},
        quality_variables.AREA_MEAN,
        like=data,
        step={"function": "area_mean", "stable": stable is not None, "min_valid": float(min_valid)},
        coords=checks.layer_coords(data[names[0]]),
    )


def _labelled(found: dict[str, Any], names: tuple[str, str], least: float) -> dict[str, Any]:
    """Variables by name; means of fewer nodes than the least are NaN and flagged."""
    is_enough = found["n_nodes"] >= max(least, 1.0)
    values: dict[str, Any] = {}
    for k, name in enumerate(names):
        values[name] = np.where(is_enough, found["mean"][k], np.nan)
        values[f"sigma_{name}"] = np.where(is_enough, found["sigma"][k], np.nan)
    values[checks.errors_of(names)[2]] = np.where(is_enough, found["covariance"], np.nan)
    values["n_nodes"] = found["n_nodes"].astype(np.int32)
    for k, axis in enumerate("xy"):
        values[f"n_effective_{axis}"] = np.where(is_enough, found["n_effective"][k], np.nan)
    is_measured = found["n_stable"] > 0.0
    flags = (~is_enough) * np.int64(FLAGS["few_valid"])
    values["flags"] = flags | (is_enough & ~is_measured) * np.int64(FLAGS["nodata"])
    return values


# ------------------------------------------------------------------------------------------------------------ on arrays


def _mean_of_map(*fields: np.ndarray, masks: int, spacing: tuple[float, float]) -> np.ndarray:
    """Mean as `_MEAN` says (layer,).

    The fields (rows, columns) are the area, the stable ground if it is one of two masks, both components, and if there
    are any their standard errors and covariance.
    """
    is_area, *is_stable = fields[:masks]
    vector = [np.asarray(field, dtype=np.float64) for field in fields[masks : masks + 2]]
    errors = [np.asarray(field, dtype=np.float64) for field in fields[masks + 2 :]]
    is_known = np.isfinite(vector[0]) & np.isfinite(vector[1])
    used = is_area & is_known
    out = np.full(_MEAN.count, np.nan)
    found = _MEAN.split(out)
    out[_MEAN["n_nodes"]] = used.sum()
    # without a mask all vectors tell how large errors are
    out[_MEAN["n_stable"]] = (is_known & is_stable[0] if is_stable else is_known).sum()
    if not used.any():
        return out
    region = np.where(is_stable[0], _AREA, 0) if is_stable else np.where(is_area, _AREA, _AROUND)
    for k, field in enumerate(vector):
        found["mean"][k] = field[used].mean()
        sigma = np.where(errors[k] > 0.0, errors[k], np.nan) if errors else np.ones_like(field)
        model = variogram.fitted(np.where(is_known, field, np.nan) / sigma, region, spacing)
        variance, found["n_effective"][k] = _variance(sigma, used, model, spacing)
        if model is None:
            variance = variance if errors else math.nan
        elif is_stable:
            variance *= model.variance * model.excess
        elif not errors:
            variance *= model.variance
        if is_stable:
            still = field[is_stable[0] & is_known]
            variance += float(np.median(still)) ** 2 if still.size else math.nan
        found["sigma"][k] = math.sqrt(variance)
    if len(errors) == 3:
        with np.errstate(divide="ignore", invalid="ignore"):
            alike = (errors[2][used] / (errors[0][used] * errors[1][used])).mean()
        out[_MEAN["covariance"]] = alike * found["sigma"].prod()
    return out


def _variance(
    sigma: np.ndarray, used: np.ndarray, model: variogram.Correlation | None, spacing: tuple[float, float]
) -> tuple[float, float]:
    """Variance of the mean of the errors of the nodes used, and the number of independent ones that it is that of.

    Without a model all of them are one.
    """
    weight = np.where(used, sigma, 0.0) / used.sum()
    variance = float(weight.sum()) ** 2 if model is None else variogram.variance_of_sum(weight, model, spacing)
    return variance, float((sigma[used] ** 2).mean()) / variance
