"""What the maps share: a field, or vectors with arrows, on a background, with title and notes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from xoffset.plotting.arrows import draw_arrows, draw_signs
from xoffset.plotting.beneath import draw_beneath
from xoffset.plotting.fields import length_of, notes_of
from xoffset.plotting.look import Look
from xoffset.plotting.style import clip_note, draw, edges, period, scale_of, set_title, thinned


def draw_variable(
    field: xr.DataArray,
    look: Look,
    source: xr.Dataset | xr.DataArray,
    *,
    below: tuple[xr.DataArray | None, xr.DataArray | None] = (None, None),
    text: str | None = None,
) -> Figure:
    """Picture of one field (y, x) as `as_field` has it."""
    panels = look.panels(shape=shape_of(field))
    scale = scale_of(field, look)
    draw(panels[0], field, scale, alpha=draw_beneath(panels[0], field, *below, look.caller))
    if scale.low < 0.0 < scale.high:
        draw_signs(panels[0], field, scale.high)
    set_title(
        panels[0], look.title, str(field.attrs.get("long_name", field.name)) if text is None else text, period(field)
    )
    return look.finish(panels, clip_note(field, scale) + notes_of(source))


def draw_vectors(
    axes: Axes,
    vectors: xr.Dataset,
    names: tuple[str, str],
    look: Look,
    *,
    below: tuple[xr.DataArray | None, xr.DataArray | None] = (None, None),
    has_arrows: bool = True,
) -> list[str]:
    """Draw the length of vectors (y, x) with arrows, and return what is to be noted."""
    length = length_of(vectors, names)
    scale = scale_of(length, look)
    draw(axes, length, scale, alpha=draw_beneath(axes, length, *below, look.caller))
    if has_arrows:
        draw_arrows(axes, vectors, names, scale.high)
    return clip_note(length, scale)


def since(dataset: xr.Dataset, date: str) -> str:
    """Date of a series with the one that it counts from."""
    reference = str(dataset.attrs.get("reference", ""))[:10]
    # of lazy shifts the attribute tells how the date is found, and not which it is
    is_date = re.fullmatch(r"\d{4}-\d\d-\d\d", reference) is not None
    return f"{date}, since {reference}" if is_date and "time" in dataset.dims else date


def span_of(rate: xr.Dataset) -> str:
    """First and last date that took part anywhere, if the rate knows them."""
    if not {"first", "last"} <= set(rate.data_vars) or rate["first"].dtype.kind != "M":
        return ""
    few = [thinned(rate[name]).values for name in ("first", "last")]
    first, last = (dates[~np.isnat(dates)] for dates in few)
    return f"{str(first.min())[:10]} to {str(last.max())[:10]}" if first.size and last.size else ""


def shape_of(field: xr.DataArray) -> float:
    """Height of a map over its width, within what a page can hold."""
    left, right, bottom, top = edges(field)
    return min(max((top - bottom) / (right - left), 0.25), 1.6)
