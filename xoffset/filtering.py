"""Image filters that take light, shade and noise out of a stack before it is matched or looked at.

They are those of `correlate(prefilter=...)`. Next to holes the low-passes are normalised convolutions (Knutsson &
Westin 1993, CVPR, 515-523), so that no value from a hole enters; a pixel around which too little is known is NaN. What
a filter measures (its noise, the mean it removes) belongs to fixed tiles of 256 pixels, so that a lazy stack gives the
same bits as a computed one whatever its chunks.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import xarray as xr

from xoffset._arrays.filters import options
from xoffset._arrays.filters.options import Bandpass, Highpass, Laplacian, Log, Naof, Orientation, Rank, Sobel, Wallis
from xoffset._arrays.filters.tile import filter_tile
from xoffset._arrays.lattice import Lattice
from xoffset._blocks import tiles
from xoffset.model import checks, grids, history

__all__ = [
    "Bandpass", "Highpass", "Laplacian", "Log", "Naof", "Orientation", "Rank", "Sobel", "Wallis",
    "bandpass", "highpass", "laplacian", "log", "naof", "orientation", "rank", "sobel", "wallis",
]  # fmt: skip


def highpass(stack: xr.DataArray, *, coarse: float = 3.0) -> xr.DataArray:
    """Images without their light and shade: each pixel minus the Gaussian mean around it.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    coarse
        Standard deviation of the Gaussian in pixels, 0.5 to 100.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) in the unit of the stack, of mean zero; NaN where a pixel has no value, or where holes take
        the mean too far to one side.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `coarse` is out of range, or dims, dates, grid or CRS are not those of a stack.

    Notes
    -----
    Beside holes the mean is that of a plane fitted to the known pixels.

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> filtered = xoffset.filtering.highpass(stack, coarse=3.0)
    """
    return _filtered(stack, Highpass(options.number(coarse, "coarse", 0.5)), "highpass", "high-pass of the brightness")


def bandpass(stack: xr.DataArray, *, fine: float | Literal["snr"] = 0.7, coarse: float = 3.0) -> xr.DataArray:
    """Images without light and shade and without fine noise: a fine Gaussian mean minus a coarse one.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    fine
        Standard deviation of the fine Gaussian in pixels, 0 to 100, below `coarse`. `"snr"` chooses 0.7 to 1.2 for each
        tile of 256 pixels, so that texture and noise promise the most precise match.
    coarse
        Standard deviation of the coarse Gaussian in pixels, 0.5 to 100.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) in the unit of the stack, of mean zero; NaN where a pixel has no value, where less than half
        of the fine Gaussian's weight is known, or where holes take the coarse mean too far to one side.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If a width is out of range, `fine` is not below `coarse`, or dims, dates, grid or CRS are not those of a stack.

    Notes
    -----
    Beside holes the means are those of planes fitted to the known pixels. The noise is Immerkaer's (1996, Comput. Vis.
    Image Underst. 64, 300-302).

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> filtered = xoffset.filtering.bandpass(stack, fine=0.7, coarse=3.0)
    """
    return _filtered(
        stack, Bandpass(fine, options.number(coarse, "coarse", 0.5)), "bandpass", "band-pass of the brightness"
    )


def wallis(stack: xr.DataArray, *, window: int = 11) -> xr.DataArray:
    """Images in local standard deviations from the local mean: shade and sun alike.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    window
        Side of the square in pixels whose mean and standard deviation are taken, odd, at least 3.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) without unit; NaN where a pixel has no value or where less than half of the square that lies
        in the image is known. Where the spread is under twice the noise of the image (or is but rounding) it is divided
        by that instead: ground without texture stays faint.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `window` is even or out of range, or dims, dates, grid or CRS are not those of a stack.

    Notes
    -----
    (I - mean)/s with s² the sample variance. The noise is measured on each tile of 256 pixels (Immerkaer 1996, Comput.
    Vis. Image Underst. 64, 300-302).

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> filtered = xoffset.filtering.wallis(stack, window=11)
    """
    return _filtered(stack, Wallis(window), "wallis", "deviation from the local mean in local standard deviations")


def laplacian(stack: xr.DataArray, *, fine: float = 0.7) -> xr.DataArray:
    """Curvature of the brightness: second differences along x plus those along y.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    fine
        Standard deviation in pixels of the Gaussian mean that is taken first, 0 (none) to 100.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) in the unit of the stack, per pixel squared; NaN where a pixel or one of its eight
        neighbours has no value, and on the outermost ring of the image.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `fine` is out of range, or dims, dates, grid or CRS are not those of a stack.

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> filtered = xoffset.filtering.laplacian(stack, fine=0.7)
    """
    return _filtered(stack, Laplacian(fine), "laplacian", "Laplacian of the brightness")


def sobel(stack: xr.DataArray, *, fine: float = 0.7) -> xr.DataArray:
    """Steepness of the brightness, whatever its direction: magnitude of the Sobel gradient.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    fine
        Standard deviation in pixels of the Gaussian mean that is taken first, 0 (none) to 100.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) in the unit of the stack, per pixel; NaN where a pixel or one of its eight neighbours has no
        value, and on the outermost ring of the image.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `fine` is out of range, or dims, dates, grid or CRS are not those of a stack.

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> filtered = xoffset.filtering.sobel(stack, fine=0.7)
    """
    return _filtered(stack, Sobel(fine), "sobel", "magnitude of the gradient of the brightness")


def orientation(stack: xr.DataArray, *, fine: float = 0.7) -> xr.DataArray:
    """Direction of the gradient of the brightness, whatever its steepness.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    fine
        Standard deviation in pixels of the Gaussian mean that is taken first, 0 (none) to 100.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) of complex numbers of magnitude 1, whose real part points to larger column and whose
        imaginary part to larger row numbers; 0 where the ground is flat but for rounding. NaN where a pixel or one of
        its eight neighbours has no value, and on the outermost ring of the image.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `fine` is out of range, or dims, dates, grid or CRS are not those of a stack.

    Notes
    -----
    Fitch et al. (2002, Br. Mach. Vis. Conf., 133-142), with the Sobel gradient.

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> xoffset.filtering.orientation(stack).dtype
    dtype('complex64')
    """
    return _filtered(stack, Orientation(fine), "orientation", "direction of the gradient of the brightness")


def naof(stack: xr.DataArray, *, fine: float = 0.7) -> xr.DataArray:
    """Near anisotropic orientation filter: which way the brightness bends, whatever its contrast.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    fine
        Standard deviation in pixels of the Gaussian mean that is taken first, 0 (none) to 100.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) without unit, within ±2√2; NaN where a pixel or one of its eight neighbours has no value,
        and on the outermost ring of the image. The filter ignores changes of light best, and heeds noise most.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `fine` is out of range, or dims, dates, grid or CRS are not those of a stack.

    Notes
    -----
    With f1 to f4 the second differences along rows, columns and the two diagonals: cos a + sin a + cos b + sin b, where
    a = atan2(f1, f2) and b = atan2(f3, f4) (Van Wyk de Vries & Wickert 2021, The Cryosphere 15, 2115-2132).

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> filtered = xoffset.filtering.naof(stack)
    """
    return _filtered(stack, Naof(fine), "naof", "near anisotropic orientation of the brightness")


def rank(stack: xr.DataArray, *, radius: int = 2) -> xr.DataArray:
    """Share of the neighbours of each pixel that are darker: no gain or gamma changes it.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    radius
        Rows and columns around a pixel that count as neighbours, 1 to 100.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) from 0 to 1, neighbours as bright as the pixel counting half; NaN where a pixel has no value
        or less than half of its neighbours in the image have one.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `radius` is out of range, or dims, dates, grid or CRS are not those of a stack.

    Notes
    -----
    Zabih & Woodfill (1994, ECCV, 151-158).

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> filtered = xoffset.filtering.rank(stack, radius=2)
    """
    return _filtered(stack, Rank(radius), "rank", "share of the neighbours that are darker")


def log(stack: xr.DataArray, *, level: float = 0.0) -> xr.DataArray:
    """Natural logarithm of the brightness: shade becomes a difference of level.

    Parameters
    ----------
    stack
        Images (time, y, x). NaN, infinity and a declared nodata value are holes. NumPy gives a computed result, dask a
        lazy one with the same bits.
    level
        Value of black, in the unit of the stack: what a sensor's offset or the haze adds everywhere.

    Returns
    -------
    xarray.DataArray
        Images (time, y, x) without unit; NaN where a pixel has no value or is not above `level`.

    Raises
    ------
    TypeError
        If the stack is no DataArray of real numbers.
    ValueError
        If `level` is no finite number, or dims, dates, grid or CRS are not those of a stack.

    Examples
    --------
    >>> import xoffset.filtering, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> bright = xoffset.filtering.log(stack, level=100.0)
    """
    return _filtered(stack, Log(level), "log", "logarithm of the brightness")


def _filtered(stack: xr.DataArray, prefilter: options.Prefilter, caller: str, long_name: str) -> xr.DataArray:
    stack = checks.as_stack(stack, caller)
    frame = grids.frame_of(stack, caller)
    is_complex = isinstance(prefilter, Orientation)
    margin = 0 if isinstance(prefilter, Log) else prefilter.reach(0)
    lattice = Lattice(
        shape=frame.shape,
        step=1,
        templates=(1,),
        search=(0, 0),
        reach=margin,
        margin=margin,
        levels=0,
        dates=1,
        nodata=frame.nodata,
        dtype=np.result_type(frame.working, np.complex64) if is_complex else frame.working,
    )
    kernel = partial(filter_tile, lattice=lattice, prefilter=prefilter, working=frame.working)
    found = tiles.filter_tiles(stack.data, lattice, kernel)
    step = {"function": caller} | options.options(prefilter)
    attrs = {"long_name": long_name, "processing": history.processed(stack, step)}
    if not options.keeps_units(prefilter) or isinstance(prefilter, Log):
        attrs["units"] = "1"
    elif "units" in stack.attrs and caller in ("highpass", "bandpass"):
        attrs["units"] = stack.attrs["units"]
    filtered = xr.DataArray(found, dims=stack.dims, coords=stack.coords, name=stack.name, attrs=attrs)
    mapping = stack.encoding.get("grid_mapping", stack.attrs.get("grid_mapping"))
    if mapping is not None:
        filtered.encoding["grid_mapping"] = mapping
    return filtered
