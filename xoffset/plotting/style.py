"""How maps look: colour scales, axes, labels, and the figure itself."""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from xoffset.model.dates import DAYS
from xoffset.model.variables import is_signed, period_of

_CYCLIC = "romaO"  # ends with the colour it begins with
_NO_DATA = "0.7"  # grey, darker than the white of a signed scale
# Coordinates that tell a layer.
_LABELS = ("reference", "secondary", "time", "year", "step", "exponential", "logarithmic")
# Most nodes along a side of a map that are drawn; of larger maps every second is, or every third and so on.
_MOST_PIXELS = 1500


class Scale(NamedTuple):
    """Colours of a map and the values at both ends."""

    colours: str
    low: float
    high: float
    extend: str


def check_extra(caller: str) -> None:
    """Refuse to go on without the libraries of the `plot` extra."""
    try:
        for name in ("matplotlib", "cmcrameri"):
            importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{caller}() needs matplotlib and cmcrameri; got '{error}'. Install them: pip install 'xoffset[plot]'."
        ) from error


def thinned(data: xr.DataArray) -> xr.DataArray:
    """Every so many pixels, as many as a picture can show."""
    return data.isel({dim: slice(None, None, math.ceil(data.sizes[dim] / _MOST_PIXELS)) for dim in ("y", "x")})


def colour_scale(field: xr.DataArray) -> Scale:
    """Colours and their range, without the extreme 0.5 % at both ends: a landslide often covers no more than 3 %."""
    values = field.values[np.isfinite(field.values)]
    period = period_of(field.name, field.attrs.get("units"))
    if period is not None:
        return Scale(_CYCLIC, 0.0, period, "neither")
    if values.size == 0:
        return Scale("batlow", 0.0, 1.0, "neither")
    if field.attrs.get("units") == DAYS:
        low, high = float(values.min()), float(values.max())
        return Scale("batlow", low - 0.5 * (low == high), high + 0.5 * (low == high), "neither")
    low, high = map(float, np.percentile(values, [0.5, 99.5]))
    if low == high:  # motion on less than 0.5 % of the map, or one value everywhere
        low, high = float(values.min()), float(values.max())
    colours = "batlow"
    if 0 < low < 0.3 * high:  # of a length that is nearly zero somewhere, zero is the natural end
        low = 0.0
    if is_signed(field.name) or low < 0 < high:
        colours, high = "vik", max(-low, high)
        low = -high
    if low == high:
        low, high = low - 0.5, high + 0.5
    is_below, is_above = bool((values < low).any()), bool((values > high).any())
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((is_below, is_above), "neither")
    return Scale(colours, low, high, extend)


def new_figure(field: xr.DataArray, *, panels: int) -> tuple[Figure, list[Axes]]:
    """Figure with panels of the shape of the field, and room for labels and colour bars."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    left, right, bottom, top = edges(field)
    shape = min(max((top - bottom) / (right - left), 0.25), 1.6)
    width = 5.0 if panels == 1 else 3.8
    figure = Figure(figsize=(panels * (width + 1.0), width * shape + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def draw(axes: Axes, field: xr.DataArray, scale: Scale, *, has_bar: bool = True) -> None:
    """Draw a field (y, x) with its axes and colour bar."""
    from cmcrameri import cm

    unit, divisor = axis_unit(field)
    left, right, bottom, top = edges(field)
    image = axes.imshow(
        field.values,
        cmap=getattr(cm, scale.colours),
        vmin=scale.low,
        vmax=scale.high,
        origin="lower",
        extent=(left / divisor, right / divisor, bottom / divisor, top / divisor),
        interpolation="nearest",
    )
    axes.set_facecolor(_NO_DATA)
    axes.set_xlabel(f"x [{unit}]")
    axes.set_ylabel(f"y [{unit}]")
    axes.locator_params("x", nbins=3 if top - bottom > 1.3 * (right - left) else 5)
    axes.locator_params("y", nbins=5)
    axes.ticklabel_format(style="plain", useOffset=False)
    if has_bar:
        beside = axes.inset_axes((1.03, 0.0, 0.05, 1.0))  # as tall as the map, which a bar of its own would not be
        bar = axes.figure.colorbar(image, cax=beside, extend=scale.extend, extendfrac=0.03)
        label_bar(bar, field, scale.low, scale.high)


def label_bar(bar: Any, field: xr.DataArray, low: float, high: float) -> None:
    """Write name and unit on a colour bar, and the ticks of what goes round and of dates."""
    bar.set_label(_label(field))
    if period_of(field.name, field.attrs.get("units")) is not None:
        quarters = [0.25 * k * high for k in range(5)]
        bar.set_ticks(quarters, labels=[f"{value:.{0 if high > 10 else 2}f}" for value in quarters])
    elif field.attrs.get("units") == DAYS:
        known = bool(np.isfinite(field.values).any())
        ticks, dates = _days_between(low, high) if known else ([], [])
        bar.set_ticks(ticks, labels=dates)


def edges(field: xr.DataArray) -> tuple[float, float, float, float]:
    """Left, right, bottom and top edge of the outer pixels [m]."""
    ends = []
    for name in ("x", "y"):
        centres = field[name].values.astype("float64")
        half = (centres[-1] - centres[0]) / max(centres.size - 1, 1) / 2 or 0.5
        ends += [float(centres[0] - half), float(centres[-1] + half)]
    return ends[0], ends[1], ends[2], ends[3]


def axis_unit(field: xr.DataArray) -> tuple[str, float]:
    """Unit of the axes of a map, and its length in metres."""
    left, right, bottom, top = edges(field)
    return ("km", 1000.0) if max(right - left, top - bottom) >= 2000 else ("m", 1.0)


def heading(field: xr.DataArray) -> str:
    """Title of a map: what the field is, and its date, dates or year if it has them."""
    text = str(field.attrs.get("long_name", field.name))
    texts = [_text(field[name]) for name in _LABELS if name in field.coords and field[name].ndim == 0]
    return f"{text}, {' to '.join(texts)}" if texts else text


def layer_name(data: xr.DataArray | xr.Dataset, dim: str, k: int) -> str:
    """What tells a layer from the others along its dim, in the name of a file."""
    ends = [data[name] for name in ("reference", "secondary") if name in data.coords and data[name].dims == (dim,)]
    if dim not in data.coords and not ends:
        return str(k)
    names = ["_".join(map(_text, each)) for each in zip(*(ends or [data[dim]]), strict=True)]
    return names[k] if names.count(names[k]) == 1 else f"{names[k]}_{k}"


def _text(label: xr.DataArray) -> str:
    """Date, to the day, or number."""
    return str(np.datetime_as_string(label.values, unit="D")) if label.dtype.kind == "M" else str(label.values)


def _days_between(low: float, high: float) -> tuple[list[float], list[str]]:
    """Ticks of a scale of days since 1970-01-01 and their dates, each once."""
    days = np.unique(np.floor(np.linspace(low, high, 5) if high - low > 1.0 else [(low + high) / 2.0]))
    ticks = np.clip(days, low, high) if days.size > 1 else np.array([(low + high) / 2.0])
    return ticks.tolist(), [str(np.datetime64(int(day), "D")) for day in days]


def _label(field: xr.DataArray) -> str:
    """Name and unit with raised exponents: vx [m yr⁻¹]."""
    units = re.sub(r"(?<=[A-Za-z])(-?\d+)", r"$^{\1}$", str(field.attrs.get("units", "1")))
    return str(field.name) if units in ("", "1", DAYS) else f"{field.name} [{units}]"


def save(figure: Any, path: Path) -> Path:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=150, bbox_inches="tight")
    return path
