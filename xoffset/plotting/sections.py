"""Profiles across a fault."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset import _options
from xoffset._arrays.step import Step, step_across
from xoffset.plotting.fields import as_product, index_of
from xoffset.plotting.lines import add_legend, set_range, two_colours
from xoffset.plotting.look import look_of
from xoffset.plotting.style import MODEL, period, set_title, unit_text


def profile(
    found: xr.Dataset,
    *,
    layer: int = -1,
    fault: float | None = None,
    gap: float = 0.0,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Motion along a line, parallel and normal to a fault, with the step that is fitted across it.

    Parameters
    ----------
    found
        Result of `xoffset.profile`: `parallel`, `normal` (distance) in metres or metres a year, with their standard
        errors, or one for each pair or date.
    layer
        Number of the pair or date, if there are several; -1 is the last.
    fault
        Distance along the line, in metres, at which it crosses the fault. A step is fitted there: two lines of one
        slope, by weighted least squares. None: nothing is fitted.
    gap
        Width in metres around the fault that takes no part in the fit, such as twice the windows that were matched.
    ax, vmin, vmax, cmap, title, save
        What all pictures take, see `xoffset.plotting`. The ends are those of the axis of the
        motion; of the colours two are taken.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; bands are 1 standard error. The steps stand in the legend, with standard errors by the scatter
        around the lines, as if samples erred on their own.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If it is no result of `profile`, or an option is out of range.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="fault", velocity=20.0, direction=0.0)
    >>> middle = float(truth.y.mean())
    >>> across = truth[["vx", "vy"]].offset.profile([(float(truth.x[5]), middle), (float(truth.x[-5]), middle)])
    >>> figure = across.offset.plot.profile(fault=590.0, gap=400.0)
    >>> figure.axes[0].get_xlabel()
    'distance [m]'
    """
    look = look_of("profile", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=save)
    section = _section_of(found, layer)
    near = _options.as_number(gap, "gap", "profile")
    at = None if fault is None else _options.as_number(fault, "fault", "profile", least=-1e12)
    panels = look.panels(height=2.5)
    axes, distance = panels[0], section["distance"].values.astype("float64")
    divisor, unit = (1000.0, "km") if distance.size and float(np.ptp(distance)) >= 5000.0 else (1.0, "m")
    units = unit_text(str(section["parallel"].attrs.get("units", "m")))
    for name, colour, marker in zip(("parallel", "normal"), two_colours(look), "os", strict=True):
        values, error = (_values(section, each) for each in (name, f"sigma_{name}"))
        x = distance / divisor
        axes.fill_between(x, values - error, values + error, color=colour, alpha=0.25, linewidth=0.0)
        text = name
        if at is not None:
            text += _fit(axes, step_across(distance, values, error, at=at, gap=near), divisor, units)
        axes.plot(x, values, marker=marker, markersize=2.5, linewidth=0.6, color=colour, label=text, zorder=3.0)
    if at is not None:
        axes.axvline(at / divisor, color="0.4", linewidth=0.8, linestyle="--")
    set_range(axes, [_values(section, name) for name in ("parallel", "normal")], look)
    axes.set(xlabel=f"distance [{unit}]", ylabel=f"motion [{units}]")
    add_legend(axes)
    strike = f", fault toward {float(found.attrs['strike']):.0f}°" if "strike" in found.attrs else ""
    set_title(axes, title, f"profile{strike}", period(section), below=2)
    return look.finish(panels, ["bands: ± 1 sigma"] if "sigma_parallel" in section else [])


def _section_of(found: xr.Dataset, layer: int) -> xr.Dataset:
    """Components along the line, of one pair or date."""
    product = as_product(found, "profile")
    lacking = [name for name in ("parallel", "normal") if name not in product.data_vars]
    if lacking or "distance" not in product["parallel"].dims or product["parallel"].ndim > 2:
        raise ValueError(
            f"profile() needs parallel and normal on (distance); got {dict(product.sizes)} and "
            f"{sorted(map(str, product.data_vars))[:12]}. Pass the result of xoffset.profile(), of one date or pair."
        )
    for dim in [str(dim) for dim in product["parallel"].dims if dim != "distance"]:
        product = product.isel({dim: index_of(layer, product.sizes[dim], dim, "profile")})
    return product.compute()


def _values(section: xr.Dataset, name: str) -> np.ndarray:
    """Values along the line, NaN where the section has none."""
    if name not in section:
        return np.full(section.sizes["distance"], np.nan)
    values = section[name].values.astype("float64")
    return np.where(np.isfinite(values), values, np.nan)


def _fit(axes: Axes, step: Step, divisor: float, units: str) -> str:
    """Draw the lines of a step, and return what the legend says of it."""
    for x, y in step.lines:
        axes.plot([each / divisor for each in x], y, color=MODEL, linewidth=1.2, zorder=4.0)
    if not step.lines:
        return ", no step: fewer than 4 samples"
    return f", step {step.size:.3g} ± {step.sigma:.2g} {units}"
