"""widen_sheared(): standard errors that know that the motion differs within windows."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from xoffset._arrays import sheared
from xoffset._blocks import elements, halos, pixels
from xoffset.model import checks, grids, products
from xoffset.model.lazy import in_few_tasks
from xoffset.model.lengths import sides_of
from xoffset.model.shift_errors import without_shift_error

_CALLER = "widen_sheared"


@in_few_tasks
def widen_sheared(dataset: xr.Dataset, *, shifts: xr.Dataset) -> xr.Dataset:
    """Product of many pairs whose standard errors know that the motion differs within the windows that were matched.

    A window in which the motion differs does not quite tell its mean: where its texture is strong, the motion counts
    more. The standard error of a match knows that. But all pairs see the same texture, so the error is the same share
    of the motion in all of them: no number of pairs makes it smaller, and neither residuals nor closure show it.

    Parameters
    ----------
    dataset
        What was made of the shifts: a rate (y, x), a series (time, y, x), or the displacement of an event (y, x). Of a
        series what is added is one error that grows with the motion and is the same on all dates: it belongs to a
        displacement since the reference date. Differences between dates, and `onset`, take the series before.
        Vectors that are NaN are taken to lie between those beside them.
    shifts
        The shifts (pair, y, x), with the coordinates `pixel_size` and `window_size` of `correlate`, best after
        `screen(max_range=3.0)`.

    Returns
    -------
    xarray.Dataset
        The dataset with larger standard errors: `sigma_vx`, `sigma_vy` [m yr-1], or `sigma_dx`, `sigma_dy` [m]. They
        are NaN where no vector lies within half a window, since nothing then tells how the motion differs. All else
        stays, but `v_debiased`, which follows from them. Lazy if the dataset or the shifts are.

    Raises
    ------
    TypeError, ValueError
        If the dataset has no vectors with standard errors on a regular grid, or is shifts itself, or the shifts are on
        another grid or do not tell the sides of pixels and windows.

    See Also
    --------
    screen : with `max_range` leaves out windows in which the motion differs by more than correlation bears.

    Notes
    -----
    What is added to a variance is the square of a share of the range of the motion within the window. The range is told
    by the vectors up to half a window away, less what noise makes of their differences; of nested windows the side is
    the median of what the pairs kept. The share is told by the pairs: the root of the sum of their variances, which
    hold noise too, over the sum of their squared ranges; times 1.5, since motion that bends within a window errs by
    more than they know. It is at most 0.13: so far from the middle of a window lies that of its squared slopes, as a
    share of its side, in real images.

    Motion that bends within the distance of two nodes, as at the edge of a landslide, shows itself as smoother than it
    is, since vectors are means over windows: the range of a sharp step is told as 0.6 of what its spread is.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, _ = xoffset.synthetic.stack((160, 160), dates=dates, field="glacier", velocity=20.0, direction=90.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> rate = xoffset.velocity(shifts)
    >>> wider = xoffset.widen_sheared(rate, shifts=shifts)
    >>> bool((wider.sigma_vx > 1.2 * rate.sigma_vx).any())
    True
    """
    data, names, shifts = _checked(dataset, shifts)
    errors = checks.errors_of(names)[:2]
    pixels_of_pairs, windows = sides_of(shifts, "of the shifts", _CALLER)
    pixel = float(pixels_of_pairs.max())
    is_alone = data.sizes["y"] * data.sizes["x"] == 1
    spacing = grids.Spacing(*2 * [float(windows.max())]) if is_alone else grids.spacing(data, _CALLER)
    apart = spacing.y, spacing.x
    depth = sheared.depth(float(windows.max()), apart)
    find = partial(_ranges, spacing=apart)

    fields = [shifts[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    # of pairs that screen() took away the window counts no more
    kept = shifts["dx"].notnull()
    sizes = [(pixel * shifts["template_size"]).where(kept).data] if "template_size" in shifts else []
    square = halos.with_halo(find, [*fields, *sizes], depth, fields[0].dtype, windows)
    shares = pixels.per_pixel(_shares, [*fields[2:], square], 2)

    # what all vectors share is no noise of their differences
    local = without_shift_error(data, names)
    is_map = data[names[0]].ndim == 2
    fields = [local[name].data[np.newaxis] if is_map else local[name].data for name in (*names, *errors)]
    if sizes:
        middle = pixels.per_pixel(_middle, sizes, 1)
        fields.append(elements.on_layers_of(middle[0], fields[0]))
    every = np.full(fields[0].shape[0], windows.max())
    square = halos.with_halo(find, fields, depth, fields[0].dtype, every)
    wider = {}
    for name, part in zip(errors, shares, strict=True):
        more = part**2 * (square[0] if is_map else square)
        wider[name] = data[name].copy(data=np.sqrt(data[name].data ** 2 + more).astype(data[name].dtype))
    out = data.assign(wider)
    if {"v", "v_debiased"} <= set(out.data_vars):
        rest = out["v"].data ** 2 - out[errors[0]].data ** 2 - out[errors[1]].data ** 2
        out["v_debiased"] = out["v_debiased"].copy(data=np.sqrt(np.maximum(rest, 0.0)))
    return products.relabel(out, {"function": _CALLER}, {})


def _checked(dataset: xr.Dataset, shifts: xr.Dataset) -> tuple[xr.Dataset, tuple[str, str], xr.Dataset]:
    """Dataset with standard errors, the names of its components, and shifts on its grid."""
    data, names = checks.as_vectors(dataset, _CALLER)
    lacking = [name for name in checks.errors_of(names)[:2] if name not in data]
    if lacking:
        raise ValueError(
            f"{_CALLER}() needs standard errors; got a dataset without {', '.join(lacking)}. Use the result of "
            "velocity(), invert() or coseismic()."
        )
    if "pair" in data[names[0]].dims:
        raise ValueError(
            f"{_CALLER}() needs what was made of many pairs; got shifts, whose standard errors know of motion that "
            "differs within windows. Pass the result of velocity(), invert() or coseismic()."
        )
    shifts = checks.as_shifts(shifts, _CALLER)
    for name in ("y", "x"):
        if shifts.sizes.get(name) != data.sizes[name] or not np.array_equal(shifts[name].values, data[name].values):
            raise ValueError(
                f"{_CALLER}() needs shifts on the grid of the dataset; got other coordinates '{name}'. Pass those that "
                "it was made from."
            )
    return data, names, shifts


def _ranges(windows: np.ndarray, *fields: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Squared ranges of the motion within windows (n, rows, columns), less what noise makes of them."""
    out = np.empty(fields[0].shape, dtype=fields[0].dtype)
    for window, target, *layers in zip(windows, out, *fields, strict=True):
        dx, dy, sigma_x, sigma_y, *sides = (each.astype(np.float64) for each in layers)
        square, noise = sheared.squared_ranges((dx, dy), (sigma_x, sigma_y), sides[0] if sides else window, spacing)
        target[:] = np.maximum(square - noise, 0.0).sum(axis=0)
    return out


def _shares(sigma_x: np.ndarray, sigma_y: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Shares of the range that windows err by along x and y (2, rows, columns)."""
    return np.stack([sheared.share(each.astype(np.float64) ** 2, square) for each in (sigma_x, sigma_y)]).astype(
        square.dtype
    )


def _middle(sides: np.ndarray) -> np.ndarray:
    """Upper median of the sides of the windows that the pairs kept (1, rows, columns); NaN where none did."""
    ordered = np.sort(sides, axis=0)
    middle = np.isfinite(sides).sum(axis=0, keepdims=True) // 2
    return np.asarray(np.take_along_axis(ordered, np.minimum(middle, len(sides) - 1), axis=0))
