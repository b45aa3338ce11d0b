"""stable_statistics(): how good vectors are, from ground that does not move, and from ground that does."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.statistics import BINS, STATISTICS, of_map
from xoffset._blocks import whole
from xoffset.model import checks, grids, masks, products, quality_variables
from xoffset.model.shift_errors import without_shift_error
from xoffset.model.stable import check_somewhere, on_nodes

# Statistics of both components, which bear their names, and of the map.
_OF_COMPONENTS = ("median", "nmad", "rmse", "sigma_ratio", "uncertainty", "bias", "locking")
_OF_MAP = ("n_stable", "valid_share", "wrong_share")
MOVING = masks.Kind("moving", "where the ground flows", "speed", "> 5")


def stable_statistics(
    shifts: xr.Dataset, stable: xr.DataArray, *, moving: xr.DataArray | None = None, pixel_size: float | None = None
) -> xr.Dataset:
    """How good vectors are: their errors on ground that does not move, and how even they are on ground that does.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) or a series (time, y, x), or any other product with `dx` and `dy`: each pair or date has its
        statistics. Or a rate (y, x), or any other with `vx` and `vy`. Vectors that are NaN are left out.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack.
    moving
        True where the ground flows (y, x), boolean, such as a glacier: strain along the flow, and the parts of a pixel,
        are told of it. None: the strain is left out, and parts of a pixel are those of all that is not stable.
    pixel_size
        Side of a pixel of the images in metres, for the parts of a pixel of displacements. None: that of the shifts, if
        they know it as those of `correlate` do; otherwise parts of a pixel are left out.

    Returns
    -------
    xarray.Dataset
        By pair or date, or of a rate without dims; NAME is each of `dx`, `dy`, or of `vx`, `vy`, in whose unit it is
        where no other is given. On stable ground: `n_stable`, number of nodes with a vector; `valid_share` [1] of the
        stable nodes that have one; `median_NAME`; `nmad_NAME`, spread by the median absolute deviation (times 1.4826);
        `rmse_NAME`, root mean square; `sigma_ratio_NAME` [1], the spread in units of the standard errors, if there are
        any: 1 if they are right. Of the density of the vectors, which wrong matches do not move: `bias_NAME`, its peak;
        `uncertainty_NAME`, half the width of its contour at two standard deviations; `wrong_share` [1] of the vectors
        outside of the box around that.

        With `moving`: `along_flow_normal`, `along_flow_shear`, half the width of the same contour of the density of
        extension and of shear along the flow, without unit, or in yr-1 for velocities.

        Of displacements whose pixel is known: `fraction_NAME` [1] (..., fraction), share of the vectors by their part
        of a pixel, -0.5 to 0.5, flat where matches prefer none; `locking_NAME` [1], their mean cosine, 1 if all are
        whole pixels, 0 if they prefer none, -1 if all are half pixels. NaN where the displacements span less than two
        pixels: that they are alike says nothing.

        NaN where fewer than 10 nodes have a vector: all of it, with `n_stable` 0, where a lazy mask proves to be True
        nowhere. Lazy if shifts or a mask are.

    Raises
    ------
    TypeError
        If a mask is not boolean, or the product is of the wrong type.
    ValueError
        If there are no vectors on a regular grid, a mask is on another grid or (one in memory) True nowhere, or
        `pixel_size` is no length or is given for velocities.

    Notes
    -----
    The density, its bandwidth and its contour are those of GLAFT (Zheng and others 2023, The Cryosphere 17, 4063-4078),
    and `uncertainty`, `bias` and `wrong_share` are its numbers. The bandwidth follows the standard deviation of all
    vectors, the wrong ones too, and widens the contour: where many are wrong `uncertainty` is more than twice `nmad`.
    Of vectors whose errors are normal up to 9 % lie outside of the box: as few are no sign of wrong ones. `uncertainty`
    and `nmad` belong in a report both, and with them the strains: a map that is smoothed has the smallest spread on
    stable ground, and none of the motion that it should have. GLAFT gives strains that are 8 times as large, since it
    does not divide the sums of Sobel by 8, and takes the direction of flow from medians of angles, where here it is the
    mean of directions over 1500 m.

    Displacements on stable ground are near zero whatever the matcher does, so parts of a pixel are told of other
    ground. Only vectors within a whole number of pixels take part, lest the ends of their range look like a preference.
    Where much of the ground moves alike, that shows as one too: look at the mean over pairs of other baselines.

    Each pair needs its whole map. Save lazy shifts first, `open_result(...)` them and take the statistics of those:
    otherwise everything is matched before the first number is ready.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((256, 256), snr=4.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=6)
    >>> stable = abs(truth.vx) + abs(truth.vy) == 0.0
    >>> found = xoffset.stable_statistics(shifts, stable)
    >>> bool((found.nmad_dx < 2.0).all() and (found.uncertainty_dx > found.nmad_dx).all())
    True
    """
    data, names = checks.as_vectors(shifts, "stable_statistics")
    data = without_shift_error(checks.without_islands(data, "stable_statistics"), names)
    spacing = grids.spacing(data, "stable_statistics")
    pixel = _pixel(data, names, pixel_size)
    is_stable = on_nodes(stable, data, "stable_statistics")
    flows = None if moving is None else _flows(moving, data)
    for mask, name in ((is_stable, "stable"), (flows, "moving")):
        check_somewhere(mask, name, "stable_statistics")

    errors = checks.errors_of(names)[:2]
    has_errors = set(errors) <= set(data.data_vars)
    fields = [data[name].data for name in (*names, *(errors if has_errors else ()))]
    ground = [is_stable, np.zeros(fields[0].shape[-2:], dtype=np.bool_) if flows is None else flows]
    find = partial(of_map, spacing=spacing, pixel=pixel)
    maps = [[field[k] for field in fields] for k in range(len(fields[0]))] if fields[0].ndim == 3 else [fields]
    found = [whole.at_once(find, [*ground, *each], np.dtype(np.float64), (STATISTICS.count,)) for each in maps]
    table = np.stack(found, axis=1) if fields[0].ndim == 3 else found[0]

    dims = data[names[0]].dims[:-2]
    values = _labelled(STATISTICS.split(table), names, dims)
    told = {"sigma_ratio_": has_errors, "locking_": pixel is not None, "fraction_": pixel is not None}
    told["along_flow_"] = flows is not None
    left_out = tuple(name for name, is_told in told.items() if not is_told)
    values = {name: each for name, each in values.items() if not name.startswith(left_out)}
    coords = checks.layer_coords(data[names[0]])
    if pixel is not None:
        coords |= {"fraction": ("fraction", (np.arange(BINS) + 0.5) / BINS - 0.5)}
    return products.product(
        values,
        quality_variables.STABLE if names[0] == "dx" else quality_variables.STABLE_RATE,
        like=data,
        step={"function": "stable_statistics", "moving": moving is not None, "pixel_size": pixel},
        coords=coords,
    )


def _labelled(
    found: dict[str, Any], names: tuple[str, str], dims: tuple[Any, ...]
) -> dict[str, tuple[tuple[Any, ...], Any]]:
    """Variables by name, from the statistics (layer, ...) of both components."""
    values = {name: (dims, found[name]) for name in _OF_MAP}
    values["n_stable"] = (dims, found["n_stable"].astype(np.int32))
    for k, component in enumerate(names):
        values |= {f"{name}_{component}": (dims, found[name][k]) for name in _OF_COMPONENTS}
        # the bins last, as the pairs have their dims first
        parts = found["fraction"][k]
        values[f"fraction_{component}"] = ((*dims, "fraction"), np.moveaxis(parts, 0, -1))
        values[f"along_flow_{('normal', 'shear')[k]}"] = (dims, found["along_flow"][k])
    return values


def _pixel(data: xr.Dataset, names: tuple[str, str], pixel_size: float | None) -> float | None:
    """Side of a pixel [m], None if it is not known."""
    caller = "stable_statistics"
    if pixel_size is not None:
        if names[0] != "dx":
            raise ValueError(
                f"{caller}() needs displacements to tell their parts of a pixel; got pixel_size={pixel_size!r} for "
                "velocities. Leave pixel_size out, or pass shifts."
            )
        return _options.as_positive(pixel_size, "pixel_size", caller, unit="m", example=10.0)
    known = data.coords.get(products.PIXEL_SIZE)
    # of pairs of several sources each may have another
    sides = np.unique(known.values) if known is not None and names[0] == "dx" else np.empty(0)
    return float(sides[0]) if sides.size == 1 and sides[0] > 0.0 else None


def _flows(moving: xr.DataArray, data: xr.Dataset) -> Any:
    """Nodes (rows, columns) whose ground flows."""
    masks.check_boolean(moving, MOVING, "stable_statistics")
    if set(moving.dims) != {"y", "x"}:
        raise ValueError(
            f"stable_statistics() needs dims ('y', 'x') of moving; got {moving.dims}. Join the others: "
            "moving.any('time')."
        )
    return masks.on_cells(moving.transpose("y", "x"), data, MOVING, "stable_statistics").values
