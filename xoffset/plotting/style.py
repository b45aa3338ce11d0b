"""How maps look: colour scales, axes, labels, and the figure itself."""

from __future__ import annotations

import importlib
import math
import re
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
from xoffset._arrays.extremes import coherent_end
from xoffset.model.dates import DAYS
from xoffset.model.variables import is_signed, period_of

_CYCLIC = "romaO"  # ends with the colour it begins with
_NO_DATA = "0.7"  # grey, darker than the white of a signed scale
# Coordinates that tell a layer.
_LABELS = ("reference", "secondary", "time", "year", "step", "exponential", "logarithmic")
# Most nodes along a side of a map that are drawn; of larger maps every second is, or every third and so on.
MOST_PIXELS = 1500
# Sizes of titles and labels, and of ticks and notes, beside the size of the font that matplotlib is set to.
TEXT, NOTE = "small", "x-small"
# Colours of two components, of model and truth, and of what was rejected: told apart in grey and by colour-blind eyes.
FIRST, SECOND, MODEL, REJECTED = "#0b3c6f", "#e08a1e", "#111111", "0.6"
# Letters of a line of a title, or of a note, that is as wide as a map.
_LINE = 46
# Width of a letter of a label [pt], and fewest letters of a line beside a colour bar.
_LETTER, _FEWEST = 5.6, 12

Data = TypeVar("Data", xr.DataArray, xr.Dataset)


class Scale(NamedTuple):
    """Colours of a map and the values at both ends."""

    colours: Any  # a name, or a Colormap that the caller gave
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


def has_extra() -> bool:
    """Whether the libraries of the `plot` extra are there."""
    return all(importlib.util.find_spec(name) is not None for name in ("matplotlib", "cmcrameri"))


def thinned(data: Data) -> Data:
    """Every so many pixels, as many as a picture can show."""
    # of points all are taken
    grid = [dim for dim in ("y", "x") if dim in data.dims]
    return data.isel({dim: slice(None, None, max(math.ceil(data.sizes[dim] / MOST_PIXELS), 1)) for dim in grid})


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


def colour_map(name: str | Colormap, caller: str) -> Colormap:
    """Colours by their name in cmcrameri or matplotlib."""
    import matplotlib as mpl
    from cmcrameri import cm
    from matplotlib.colors import Colormap

    if isinstance(name, Colormap):
        return name
    if isinstance(name, str) and name in cm.cmaps:
        return getattr(cm, name)  # type: ignore[no-any-return]
    if isinstance(name, str) and name in mpl.colormaps:
        return mpl.colormaps[name]
    raise ValueError(
        f"{caller}() needs colours of cmcrameri or matplotlib as cmap; got {name!r}. Pass a name such as 'batlow' or "
        "'vik'."
    )


def scale_of(field: xr.DataArray, look: Any, *, is_log: bool = False) -> Scale:
    """Colours and their range for a map (y, x): robust, and wide enough for the fastest that moves together."""
    found = colour_scale(field)
    values = field.values.astype("float64")
    low, high = found.low, found.high
    is_signed_scale = found.colours == "vik"
    if found.colours in ("batlow", "vik") and field.attrs.get("units") != DAYS and np.isfinite(values).any():
        high = coherent_end(np.abs(values) if is_signed_scale else values)
        low = -high if is_signed_scale else 0.0 if found.low == 0.0 else -coherent_end(-values)
    if is_log:
        positive = values[values > 0.0]
        low = max(float(np.percentile(positive, 5.0)) if positive.size else 0.1, high / 1000.0)
        high = high if high > low else 10.0 * low
    elif low >= high:
        low, high = found.low, found.high
    if is_signed_scale and (look.vmin is None) != (look.vmax is None):
        end = abs(look.vmax if look.vmin is None else look.vmin)
        low, high = -end, end
    low = low if look.vmin is None else look.vmin
    high = high if look.vmax is None else look.vmax
    if low >= high:
        low, high = (low, low + 1.0) if look.vmin is not None else (high - 1.0, high)
    is_below, is_above = bool((values < low).any()), bool((values > high).any())
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((is_below, is_above), "neither")
    # on paper what is slow should be pale, and what is fast should not
    colours = "batlow_r" if found.colours == "batlow" and field.attrs.get("units") != DAYS else found.colours
    return Scale(colours if look.cmap is None else look.cmap, low, high, extend)


def clip_note(field: xr.DataArray, scale: Scale) -> list[str]:
    """Say how much lies beyond the ends of the colours, and how far; nothing if nothing does."""
    values = field.values[np.isfinite(field.values)]
    is_beyond = (values < scale.low) | (values > scale.high)
    if scale.extend == "neither" or not is_beyond.any():
        return []
    far = values[is_beyond]
    ends = [_number(far.min())] * (scale.extend != "max") + [_number(far.max())] * (scale.extend != "min")
    unit = _unit(field)
    share = 100.0 * far.size / values.size
    return [f"{_percent(share)} of the nodes beyond the colours, to {' and '.join(ends)}{' ' + unit if unit else ''}"]


def draw(
    axes: Axes, field: xr.DataArray, scale: Scale, *, has_bar: bool = True, alpha: float = 1.0, is_log: bool = False
) -> None:
    """Draw a field (y, x) with its axes and colour bar."""
    from matplotlib.colors import LogNorm, Normalize

    norm = LogNorm(scale.low, scale.high) if is_log else Normalize(scale.low, scale.high)
    image = axes.imshow(  # colours of far float32 overflow
        field.values.astype("float64"), cmap=colour_map(scale.colours, "draw"), norm=norm, origin="lower",
        extent=_extent(field), interpolation="nearest", alpha=alpha, zorder=1.0,
    )  # fmt: skip
    frame(axes, field)
    if not np.isfinite(field.values.astype("float64")).any():
        say_empty(axes)
    if has_bar:
        beside = beside_map(axes)
        bar = axes.get_figure().colorbar(image, cax=beside, extend=scale.extend, extendfrac=0.04)  # type: ignore[union-attr]
        label_bar(bar, field, scale.low, scale.high)
        bar.outline.set_linewidth(0.6)


def frame(axes: Axes, field: xr.DataArray) -> None:
    """Axes of a map in metres or kilometres, as far as the field goes, with a scale bar."""
    unit, _ = axis_unit(field)
    left, right, bottom, top = _extent(field)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.patch.set(facecolor=_NO_DATA, hatch="/////", edgecolor="0.6")
    place = "" if "spatial_ref" in field.coords else "local "
    axes.set_xlabel(f"{place}x [{unit}]")
    axes.set_ylabel(f"{place}y [{unit}]")
    longest = max(right - left, top - bottom)
    axes.locator_params("x", nbins=max(2, round(3 * (right - left) / longest)))
    axes.locator_params("y", nbins=max(2, round(5 * (top - bottom) / longest)))
    axes.ticklabel_format(style="plain", useOffset=False)
    _draw_scale_bar(axes, unit, right - left)


def beside_map(axes: Axes) -> Axes:
    """Room for a colour bar, as tall as the map, which a bar of its own would not be."""
    return axes.inset_axes((1.03, 0.0, 0.045, 1.0))


def add_bar(axes: Axes, colours: ScalarMappable, label: str, *, is_below: bool = False) -> None:
    """Colour bar beside a panel or below it, with a label."""
    place = axes.inset_axes((0.15, -0.06, 0.7, 0.035)) if is_below else beside_map(axes)
    way: Any = "horizontal" if is_below else "vertical"
    bar = axes.get_figure().colorbar(colours, cax=place, orientation=way)  # type: ignore[union-attr]
    bar.set_label(label)
    bar.outline.set_linewidth(0.6)


def draw_classes(axes: Axes, classes: xr.DataArray, labels: list[str], colours: list[Any]) -> None:
    """Draw classes (y, x), numbers from 0 on, with a legend that has the share of each; those of none are left out."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    axes.imshow(
        classes.values, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, origin="lower",
        extent=_extent(classes), interpolation="nearest", zorder=1.0,
    )  # fmt: skip
    frame(axes, classes)
    shares = 100.0 * np.bincount(classes.values.ravel(), minlength=len(labels)) / classes.size
    patches = [
        Patch(facecolor=colour, edgecolor="black", linewidth=0.4, label=f"{label}, {share:.2g} %")
        for label, colour, share in zip(labels, colours, shares, strict=True)
        if share > 0.0
    ]
    axes.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=NOTE, frameon=False, borderpad=0.0,
        handlelength=1.0, handleheight=1.0, labelspacing=0.3,
    )  # fmt: skip


def say_empty(axes: Axes, text: str = "no values") -> None:
    """Write in the middle of a panel that there is nothing to see."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=TEXT, zorder=5.0)


def set_title(axes: Axes, title: str | None, text: str, *dates: str, below: int = 0) -> None:
    """Write what a picture shows and its dates, or what the caller wants instead, at the left above it.

    Lines below it are left free, for a legend.
    """
    lines = [*textwrap.wrap(text, _LINE), *(each for each in dates if each)] if title is None else [title]
    axes.set_title("\n".join([*lines, *[" "] * below]), loc="left", fontsize=TEXT, linespacing=1.15)


def above(axes: Axes) -> float:
    """Height of a key above a panel, in shares of the panel: the middle of the line that its title leaves free."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return 1.0 + 0.075 * figure.dpi / max(float(axes.bbox.height), 1.0)


def nice(value: float) -> float:
    """Largest of 1, 2 and 5 times a power of ten that is no larger."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor for factor in (5.0, 2.0, 1.0) if factor * power <= value * (1.0 + 1e-9)) * power


def period(dataset: xr.Dataset | xr.DataArray) -> str:
    """Dates of a layer: both of a pair, one, or the first and the last that took part; else nothing."""
    if {"reference", "secondary"} <= set(dataset.coords) and not dataset["reference"].ndim:
        return f"{_text(dataset['reference'])} to {_text(dataset['secondary'])}"
    for name in ("time", "year", "step", "interval"):
        if name in dataset.coords and not dataset[name].ndim:
            return _text(dataset[name])
    return ""


def days(values: np.ndarray) -> np.ndarray:
    """Dates as matplotlib draws them without rounding: datetime64[us]."""
    return np.asarray(values).astype("datetime64[us]")


def set_dates(axes: Axes, most: int = 5) -> None:
    """Ticks of an axis of dates, few enough for a column of a journal."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    where = AutoDateLocator(minticks=2, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(where)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(where))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_fontsize(NOTE)


def label_bar(bar: Any, field: xr.DataArray, low: float, high: float) -> None:
    """Write name and unit on a colour bar, and the ticks of what goes round and of dates."""
    bar.set_label("\n".join(_lines(_label(field), bar)))
    if period_of(field.name, field.attrs.get("units")) is not None:
        quarters = [0.25 * k * high for k in range(5)]
        bar.set_ticks(quarters, labels=[f"{value:.{0 if high > 10 else 2}f}" for value in quarters])
    elif field.attrs.get("units") == DAYS:
        known = bool(np.isfinite(field.values).any())
        ticks, dates = _days_between(low, high) if known else ([], [])
        bar.set_ticks(ticks, labels=dates)


def _lines(label: str, bar: Any) -> list[str]:
    """Lines of a label, none longer than the map is tall: they would leave it no room; units stay whole."""
    panel = getattr(bar.mappable, "axes", None) or bar.ax
    panel.apply_aspect()
    side = panel.bbox.height if bar.orientation == "vertical" else panel.bbox.width
    fit = int(side * 72.0 / panel.get_figure(root=True).dpi / _LETTER)
    whole = re.sub(r" (?=[^\[]*\]$)", "\N{NO-BREAK SPACE}", label)
    return textwrap.wrap(whole, max(_FEWEST, fit), break_long_words=False, break_on_hyphens=False)


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
    text = str(field.attrs.get("long_name", "" if field.name is None else field.name))
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
    unit = _unit(field)
    # a field without a name is called what it is, or nothing
    name = field.attrs.get("long_name", "") if field.name is None else field.name
    return f"{name} [{unit}]".lstrip() if unit else str(name)


def _unit(field: xr.DataArray) -> str:
    units = str(field.attrs.get("units", "1"))
    return "" if units in ("", "1", DAYS) else unit_text(units)


def unit_text(units: str) -> str:
    """Unit with raised exponents."""
    return re.sub(r"(?<=[A-Za-z])(-?\d+)", r"$^{\1}$", units)


def _number(value: float) -> str:
    return f"{value:.0f}" if 1000.0 <= abs(value) < 1e6 else f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{share:.2g} %" if share >= 0.01 else "less than 0.01 %"


def _extent(field: xr.DataArray) -> tuple[float, float, float, float]:
    """Edges of the outer pixels in the unit of the axes."""
    _, divisor = axis_unit(field)
    left, right, bottom, top = edges(field)
    return left / divisor, right / divisor, bottom / divisor, top / divisor


def _draw_scale_bar(axes: Axes, unit: str, width: float) -> None:
    """Bar of a round length in the lower left corner, legible on any colours."""
    from matplotlib.patheffects import withStroke

    length = nice(0.3 * width)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    share = length / width
    axes.plot(
        [0.04, 0.04 + share], [0.045, 0.045], transform=axes.transAxes, color="black", linewidth=2.0, zorder=6.0,
        path_effects=[withStroke(linewidth=4.0, foreground="white")], scalex=False, scaley=False,
    )  # fmt: skip
    axes.text(
        0.04 + share / 2.0, 0.065, f"{length:g} {unit}", transform=axes.transAxes, ha="center", va="bottom",
        fontsize=NOTE, zorder=6.0, path_effects=halo,
    )  # fmt: skip
