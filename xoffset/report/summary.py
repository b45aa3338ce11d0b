"""What a notebook shows of an object: its kind, a small map, and its dates and pairs as a line of arcs."""

from __future__ import annotations

import html
import math

import numpy as np
import xarray as xr

from xoffset.model.kinds import described, kind_of
from xoffset.plotting import fields, style
from xoffset.report.layers import picture, scale_of

_CALLER = "summary"
# Nodes along a side of the small map, and its longer side on the screen [px].
_NODES, _SIDE = 160, 160
# Width of the line of dates, heights above and below it [px], and arcs that it has at most.
_WIDTH, _ABOVE, _BELOW, _ARCS = 300, 40, 14, 400
_DARK, _PAIR, _GREY = "#0b3c6f", "#a9743a", "gray"


def summary(data: xr.DataArray | xr.Dataset) -> str:
    """HTML of an object of any kind; lazy values are not computed."""
    told = f'<pre style="margin: 0">{html.escape(described(data))}</pre>'
    parts = [told, _network(data)]
    if (small := _map(data)) is not None:
        field, text = small
        rows, columns = field.shape
        shape = f"width: {_SIDE}px" if columns >= rows else f"height: {_SIDE}px"
        colours = _GREY if isinstance(data, xr.DataArray) else None
        parts.insert(0, _figure(picture(field, _NODES, colours), shape, text))
    blocks = "".join(f"<div>{part}</div>" for part in parts if part)
    return f'<div style="display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start">{blocks}</div>'


def _figure(png: str, shape: str, text: str) -> str:
    told = html.escape(text)
    return (
        f'<img src="data:image/png;base64,{png}" alt="{told}" style="{shape}; image-rendering: pixelated">'
        f'<div style="font-size: smaller; max-width: {_SIDE + 40}px">{told}</div>'
    )


# ----------------------------------------------------------------------------------------------------------------- map


def _map(data: xr.DataArray | xr.Dataset) -> tuple[xr.DataArray, str] | None:
    """Field (y, x) that stands for the object, rows from the south, and what it is; None where nothing is in memory."""
    if kind_of(data) is None or not {"y", "x"} <= set(data.dims) or 0 in data.sizes.values() or not style.has_extra():
        return None
    product = data.to_dataset(name="image") if isinstance(data, xr.DataArray) else data
    names = _shown(product)
    if any(product[name].chunks is not None for name in names) or not names:
        return None
    few = {dim: slice(None, None, math.ceil(product.sizes[dim] / _NODES)) for dim in ("y", "x")}
    try:
        layer = fields.one_layer(product[list(names)].isel(few), names, -1, _CALLER)
    except (ValueError, TypeError):  # what cannot be drawn is still described
        return None
    if len(names) == 1:
        return layer[names[0]].astype(np.float64).assign_attrs(layer[names[0]].attrs), _called(product, names[0])
    called, _, units = fields.VECTORS[names[0], names[1]]
    field = fields.length_of(layer, (names[0], names[1]))
    scale = scale_of(field)
    return field, f"{called}{_of_layer(layer)}, {scale.low:.3g} to {scale.high:.3g} {units}"


def _shown(product: xr.Dataset) -> tuple[str, ...]:
    """Names of the vectors of a product, or else of its first variable on the grid."""
    for pair in fields.VECTORS:
        if set(pair) <= set(product.data_vars):
            return pair
    maps = [str(name) for name, each in product.data_vars.items() if {"y", "x"} <= set(each.dims) and each.ndim < 4]
    return tuple(maps[:1])


def _called(product: xr.Dataset, name: str) -> str:
    text = "image" if name == "image" else str(product[name].attrs.get("long_name", name))
    return text + _of_layer(product.isel({dim: -1 for dim in product[name].dims if dim not in ("y", "x")}))


def _of_layer(layer: xr.Dataset) -> str:
    """Date or dates of the layer that is shown."""
    names = [name for name in ("time", "reference", "secondary") if name in layer.coords and layer[name].ndim == 0]
    days = [str(layer[name].values.astype("M8[D]")) for name in names]
    return f", {' to '.join(days)}" if days else ""


# ------------------------------------------------------------------------------------------------------------- network


def _network(data: xr.DataArray | xr.Dataset) -> str:
    """SVG of the dates in a row with the pairs as arcs; nothing without dates."""
    if kind_of(data) is None:
        return ""
    ends = [data[name].values for name in ("reference", "secondary") if name in data.coords and data[name].ndim == 1]
    if len(ends) < 2:
        ends = []
    if not ends and ("time" not in data.dims or "time" not in data.coords):
        return ""
    dates = np.unique(np.concatenate([each.ravel() for each in ends]) if ends else data["time"].values)
    if not dates.size or dates.dtype.kind != "M" or np.isnat(dates).any():
        return ""
    marks = "".join(f'<circle cx="{x:.1f}" cy="{_ABOVE}" r="2" fill="{_DARK}"/>' for x in _places(dates, dates))
    arcs = _arcs(*(_places(each, dates) for each in ends)) if ends else ""
    told = f"{dates.size} dates" + (f", {ends[0].size} pairs" if ends else "")
    days = [str(each.astype("M8[D]")) for each in (dates[0], dates[-1])]
    low, high = _ABOVE + _BELOW - 1, _ABOVE if ends else 4
    first, last = (
        f'<text x="{x}" y="{low}" text-anchor="{anchor}" font-size="10" fill="currentColor">{day}</text>'
        for x, anchor, day in ((0, "start", days[0]), (_WIDTH, "end", days[1]))
    )
    return (
        f'<svg width="{_WIDTH}" height="{high + _BELOW}" viewBox="0 {_ABOVE - high} {_WIDTH} {high + _BELOW}" '
        f'role="img" aria-label="{told}" '
        f'style="overflow: visible">{arcs}{marks}{first}{last if dates.size > 1 else ""}</svg>'
        f'<div style="font-size: smaller">{told}</div>'
    )


def _places(values: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """Where dates lie along the line [px]."""
    span = max(float((dates[-1] - dates[0]) / np.timedelta64(1, "s")), 1.0)
    return np.asarray(4 + (_WIDTH - 8) * ((values - dates[0]) / np.timedelta64(1, "s")) / span)


def _arcs(first: np.ndarray, second: np.ndarray) -> str:
    """Pairs as arcs, as high as they are long; of many every second, third and so on."""
    every = math.ceil(first.size / _ARCS) or 1
    longest = float(np.abs(second - first).max(initial=0.0)) or 1.0
    # a curve reaches half as high as the point that it is drawn towards
    tops = _ABOVE - 2 * (_ABOVE - 2) * np.sqrt(np.abs(second - first) / longest)
    paths = [
        f"M{a:.1f} {_ABOVE}Q{(a + b) / 2:.1f} {top:.1f} {b:.1f} {_ABOVE}"
        for a, b, top in zip(first[::every], second[::every], tops[::every], strict=True)
    ]
    return f'<path d="{"".join(paths)}" fill="none" stroke="{_PAIR}" stroke-opacity="0.5"/>'
