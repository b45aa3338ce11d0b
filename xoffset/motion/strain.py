"""strain(): how the ground deforms, from the displacements or velocities around each node."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import halos
from xoffset._kernels.maps import gradient
from xoffset.model import checks, grids, products, variables
from xoffset.model.flags import FLAGS
from xoffset.model.lazy import in_few_tasks
from xoffset.model.shift_errors import without_shift_error

# in the order of `_strain_of_block`; the standard errors of five of them follow
_NAMES = ("exx", "eyy", "exy", "dilatation", "rotation", "max_shear", "e1", "e2", "azimuth")
_ERRORS = tuple(f"sigma_{name}" for name in _NAMES[:5])


@in_few_tasks
def strain(dataset: xr.Dataset, *, window: int = 5, overlap: float = 4.0, min_valid: float = 0.5) -> xr.Dataset:
    """Strain of the ground, or its rate, from a plane through the vectors around each node.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x) or a series (time, y, x), or any other product with `dx` and `dy`: each pair or date gives
        its strain. Or a rate (y, x), or any other with `vx` and `vy`: strain rate. Of a product with both it is that of
        the displacements. Vectors that are NaN are left out.
    window
        Side, in nodes, of the window that a plane is fitted to; odd. It should not be smaller than the windows that
        were matched, whose displacements are means already.
    overlap
        Number of nodes over which the windows that were matched share pixels, `template` / `step` of `correlate`; 1 for
        vectors that err independently. It serves the standard errors only.
    min_valid
        Least share, 0 to 1, of the window's nodes that have a vector; at the edges of the grid a part of the window has
        none.

    Returns
    -------
    xarray.Dataset
        On the dims of `dataset`, without unit, or in yr-1 for velocities: `exx`, `eyy`, extension along x and y; `exy`,
        shear strain (the tensor's, half the change of a right angle); `dilatation`, exx + eyy, positive where the
        ground spreads; `rotation`, in radians, positive counterclockwise; `max_shear`, largest shear strain; `e1` ≥
        `e2`, principal extensions; `azimuth`, direction of `e1`, 0 to 180 degrees clockwise from grid north, NaN where
        they are equal. `sigma_exx`, `sigma_eyy`, `sigma_exy`, `sigma_dilatation`, `sigma_rotation`: standard errors,
        NaN where a vector has none, left out if `dataset` has none; `sigma_shift` is not in them, since all vectors
        share it, nor is the tilt that the ramp of a correction errs by: about `sigma_shift` over half the scene. All
        are NaN, and `flags` says `few_valid`, where too few vectors are left, or all of them on one line. Lazy if
        `dataset` is.

    Raises
    ------
    TypeError, ValueError
        If there are no vectors on a regular grid, the window is no odd number of at least 3, or overlap or share are
        out of range.

    Notes
    -----
    Least squares with one weight for all vectors: the strain between two dates is then the difference of their strains,
    errors that neighbours share gain nothing from weights, and a window that is complete is centred on its node.
    Displacements are taken for small; a rotation by 0.01 is taken for a contraction by 0.00005.

    Windows that share pixels share their noise. Between nodes i columns and j rows apart errors are taken to correlate
    by (1 − i/overlap)·(1 − j/overlap). Errors of a larger scale, such as those of the terrain model or of the sensor's
    attitude, are not in the standard errors of matches and thus not in these. As in a series, sigma at a date belongs
    to that date. `max_shear` is never negative, so noise makes it too large, and `e1` with it.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="glacier", velocity=20.0, direction=90.0)
    >>> rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> round(xoffset.strain(rate).exy.isel(x=6).max().item(), 2)
    0.03
    """
    data, names = checks.as_vectors(dataset, "strain")
    data = without_shift_error(data, names)
    data = checks.without_islands(data, "strain")
    radius = _options.as_radius(window, "strain", least=3)
    overlap = _options.as_number(overlap, "overlap", "strain", least=1.0)
    _options.check_share(min_valid, "min_valid", "strain")
    _options.check_count(
        overlap, 1e6, "nodes as overlap", "strain", "It is template / step of correlate(): 4 as a rule"
    )
    spacing = grids.spacing(data, "strain")

    errors = checks.errors_of(names)
    has_errors = set(errors[:2]) <= set(data.data_vars)
    fields = [data[name].data for name in (*names, *(name for name in errors if has_errors and name in data))]
    is_map = fields[0].ndim == 2
    solve = partial(
        _strain_of_block,
        radius=radius,
        least=math.ceil(min_valid * (2 * radius + 1) ** 2),
        tent=1.0 - np.arange(math.ceil(overlap)) / overlap,
        spacing=spacing,
    )
    labels = (*_NAMES, *_ERRORS) if has_errors else _NAMES
    layers = [field[np.newaxis] if is_map else field for field in fields]
    found = halos.fields_with_halo(solve, layers, radius, len(labels))
    found = found[:, 0] if is_map else found

    dims = data[names[0]].dims
    strains = dict(zip(labels, found, strict=True))
    values: dict[str, Any] = {name: (dims, field) for name, field in strains.items()}
    values["flags"] = (dims, np.isnan(strains["exx"]) * np.int64(FLAGS["few_valid"]))
    return products.product(
        values,
        variables.STRAIN if names[0] == "dx" else variables.STRAIN_RATE,
        like=data,
        step={"function": "strain", "window": 2 * radius + 1, "overlap": overlap, "min_valid": float(min_valid)},
        coords=checks.layer_coords(data[names[0]]),
    )


def _strain_of_block(
    dx: np.ndarray,
    dy: np.ndarray,
    *errors: np.ndarray,
    radius: int,
    least: int,
    tent: np.ndarray,
    spacing: grids.Spacing,
) -> np.ndarray:
    """Fields by `_NAMES` and `_ERRORS` (field, n, rows, columns); of the latter none if no errors are given."""
    sigma_x, sigma_y = errors[:2] if errors else (np.zeros_like(dx), np.zeros_like(dy))
    correlation = np.zeros_like(dx)
    if len(errors) == 3:
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = errors[2] / (sigma_x * sigma_y)
        # an error of zero along one axis, or a covariance that cannot be, would make it anything
        correlation = np.clip(correlation, -1.0, 1.0)
    found = np.empty((10, *dx.shape))
    for layer in range(dx.shape[0]):
        parts = (field[layer] for field in (dx, dy, sigma_x, sigma_y, correlation))
        gradient.gradient(radius, least, tent[: tent.size if errors else 0], *parts, found[:, layer])

    x, y = spacing
    dx_along_x, dx_along_y, dy_along_x, dy_along_y, *variances = found
    exx, eyy = dx_along_x / x, dy_along_y / y
    along_y, along_x = dx_along_y / y, dy_along_x / x
    exy = 0.5 * (along_y + along_x)
    dilatation, half = exx + eyy, 0.5 * (exx - eyy)
    shear = np.hypot(half, exy)
    azimuth = (90.0 - 0.5 * np.rad2deg(np.arctan2(exy, half))) % 180.0
    azimuth = np.where(shear > 0.0, np.where(azimuth < 180.0, azimuth, 0.0), np.nan)
    values = [exx, eyy, exy, dilatation, 0.5 * (along_x - along_y), shear]
    values += [0.5 * dilatation + shear, 0.5 * dilatation - shear, azimuth]
    if errors:
        xx, xy, yx, yy, of_extensions, of_slopes = variances
        of_exx, of_eyy, of_both = xx / x**2, yy / y**2, 2.0 * of_extensions / (x * y)
        of_shear, of_shears = xy / y**2 + yx / x**2, 2.0 * of_slopes / (x * y)
        squares = [of_exx, of_eyy, 0.25 * (of_shear + of_shears), of_exx + of_eyy + of_both]
        values += [np.sqrt(np.maximum(each, 0.0)) for each in (*squares, 0.25 * (of_shear - of_shears))]
    return np.stack(values).astype(dx.dtype)
