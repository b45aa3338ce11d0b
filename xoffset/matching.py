"""correlate(): the sampling grid, the checks, the choice of matcher, the labelled result."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Literal

import numpy as np
import xarray as xr

from xoffset import _blocks, _ncc, model
from xoffset._ncc import NCC, Prefilter


def correlate(
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int = 32,
    search: int = 8,
    step: int = 8,
    matcher: Literal["ncc"] | NCC = "ncc",
    prefilter: Prefilter = "bandpass",
) -> xr.Dataset:
    """Displacement between the two images of every pair, with its uncertainty, on a grid.

    Parameters
    ----------
    stack
        Images (time, y, x) with x and y in metres. NaN, infinity and a declared nodata value are left out of every
        window. NumPy gives a computed result, dask a lazy one with the same bits.
    network
        Pairs of dates, from `pairs`.
    template
        Side of the square window, in pixels.
    search
        Largest displacement looked for along x and y, in pixels, inclusive. A peak on the outermost ring is not
        accepted: choose at least one pixel more than the motion.
    step
        Distance between windows, in pixels.
    matcher
        `"ncc"`, or an `NCC` with options of its own.
    prefilter
        `"bandpass"` removes detail finer than 0.7 px (noise) and coarser than 3 px (light and shade) before matching;
        None matches the pixels as they are.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) at the window centres in the reference image. `dx`, `dy`: displacement in metres of the
        grid, positive toward increasing x and y; a feature at (x, y) on the reference date is at (x + dx, y + dy) on
        the secondary date. `score`: correlation at the match, or at the whole-pixel peak where the refinement failed.
        `gap`: whole-pixel peak minus the best score more than 3 px away (NaN if `search` is at most 3). `sigma_dx`,
        `sigma_dy`: standard errors in metres; `sigma_dxdy`: covariance in m2. `flags`: why dx and dy are NaN. The CRS
        is that of the stack.

    Raises
    ------
    TypeError
        If stack or network are of the wrong type, or the pixels are no real numbers.
    ValueError
        If dims, dates, grid or CRS are not those of a stack, a date of the network is not in it, or template, search
        and step do not fit the image.

    Notes
    -----
    Masked zero-mean normalised correlation after Padfield (2012, IEEE Trans. Image Process. 21, 2706-2718); sub-pixel
    refinement by inverse-compositional Gauss-Newton. The standard errors come from the Hessian and the residual of the
    fit, corrected for the colour that the pre-filter gives to noise, and contain the 0.002 px of interpolation bias.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0, direction=90.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> float(shifts.dx.median().round(1))
    12.0
    """
    stack = model.as_stack(stack, "correlate")
    network = model.as_network(network, stack, "correlate")
    matcher = _check_matcher(matcher, prefilter)
    lattice = _lattice(stack, template, search, step)
    spacing = model.spacing(stack, "correlate")

    dates = model.as_dates(stack["time"].values)
    pairs = np.stack(
        [np.searchsorted(dates, model.as_dates(network[name].values)) for name in ("reference", "secondary")], axis=1
    )
    kernel = partial(_ncc.match_tile, pairs=pairs, lattice=lattice, matcher=matcher, prefilter=prefilter)
    found = _blocks.match_tiles(stack.data, lattice, kernel, (len(_ncc.FIELDS), len(pairs)))

    u, v, score, gap, variance_x, variance_y, covariance, flags = found
    centre = 0.5 * (template - 1)
    return model.shifts(
        {
            "dx": u * spacing.x,
            "dy": v * spacing.y,
            "score": score,
            "gap": gap,
            "sigma_dx": np.sqrt(variance_x) * abs(spacing.x),
            "sigma_dy": np.sqrt(variance_y) * abs(spacing.y),
            "sigma_dxdy": covariance * (spacing.x * spacing.y),
            "flags": flags.astype(np.int32),
        },
        network,
        x=stack["x"].values[0] + (centre + step * np.arange(lattice.nodes[1])) * spacing.x,
        y=stack["y"].values[0] + (centre + step * np.arange(lattice.nodes[0])) * spacing.y,
        like=stack,
        step={
            "function": "correlate",
            "template": lattice.template,
            "search": lattice.search,
            "step": lattice.step,
            "matcher": {"name": "ncc"} | dataclasses.asdict(matcher),
            "prefilter": prefilter,
        },
    )


def _check_matcher(matcher: Literal["ncc"] | NCC, prefilter: Prefilter) -> NCC:
    if prefilter not in ("bandpass", None):
        raise ValueError(f"correlate() needs prefilter 'bandpass' or None; got {prefilter!r}. Choose one of the two.")
    if isinstance(matcher, NCC):
        return matcher
    if matcher == "ncc":
        return NCC()
    raise ValueError(f"correlate() needs matcher 'ncc' or an NCC; got {matcher!r}. Pass matcher='ncc'.")


def _lattice(stack: xr.DataArray, template: int, search: int, step: int) -> _blocks.Lattice:
    """Sampling grid, after checking that the windows fit the image."""
    for name, value, least in (("template", template, 5), ("search", search, 1), ("step", step, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(
                f"correlate() needs a whole number of at least {least} pixels as {name}; got {value!r}. "
                f"Pass a number such as {name}={ {'template': 32}.get(name, 8) }."
            )
    rows, columns = stack.shape[1:]
    extent = template + 2 * search
    if extent > min(rows, columns):
        raise ValueError(
            f"correlate() needs images of at least {extent} x {extent} pixels for template={template} and "
            f"search={search}; got {rows} x {columns}. Use a smaller template or search."
        )
    return _blocks.Lattice(
        shape=(rows, columns),
        step=int(step),
        template=int(template),
        search=int(search),
        margin=int(search) + _ncc.MARGIN,
        nodata=model.nodata_of(stack),
        dtype=np.dtype(np.float64 if stack.dtype.kind == "f" and stack.dtype.itemsize > 4 else np.float32),
    )
