"""What every kind of picture takes, checked alike; the figure, and how it is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset import _options
from xoffset.formats.writing import explained, replaced
from xoffset.plotting.style import NOTE, TEXT, check_extra, colour_map

# Width of a panel with its labels [inch]: one column of a journal, 8.5 cm.
COLUMN = 3.35
# Dots per inch of what is written, and of what a notebook shows.
_WRITTEN, _SHOWN = 300, 150
# Kinds of files, and what is left out of each so that the same picture has the same bytes.
_STILL = {".png": "Software", ".pdf": "CreationDate", ".svg": "Date", ".jpg": None, ".tif": None, ".webp": None}
MOVING = (".png", ".apng", ".gif", ".mp4")


class Look(NamedTuple):
    """What a caller asks of a picture."""

    caller: str
    ax: Axes | None
    vmin: float | None
    vmax: float | None
    cmap: str | Colormap | None
    title: str | None
    place: Path | None

    def panels(
        self, count: int = 1, *, shape: float = 0.75, height: float | None = None, is_column: bool = False
    ) -> list[Axes]:
        """Axes to draw into, in a row or a column: new ones, or those of the caller, split where there are several.

        The height is that of a panel in shares of its width, or is given in inches.
        """
        if self.ax is None:
            rows, columns = (count, 1) if is_column else (1, count)
            width = COLUMN if columns == 1 else 0.8 * COLUMN * columns
            tall = 0.72 * width / columns * shape + 0.8 if height is None else height
            return list(new_figure(width, rows * tall).subplots(rows, columns, squeeze=False).ravel())
        if count == 1:
            return [self.ax]
        self.ax.set_axis_off()
        part = 1.0 / count
        if is_column:
            return [self.ax.inset_axes((0.0, 1.0 - (k + 0.85) * part, 1.0, 0.65 * part)) for k in range(count)]
        return [self.ax.inset_axes(((k + 0.12) * part, 0.0, 0.68 * part, 1.0)) for k in range(count)]

    def finish(
        self, panels: list[Axes], notes: list[str] | tuple[str, ...] = (), *, below: Axes | None = None
    ) -> Figure:
        """Set the size of the texts, write notes below a panel, the first as a rule, and the picture to its place."""
        for axes in panels:
            _set_sizes(axes)
        add_notes(below or panels[0], notes)
        figure = panels[0].get_figure(root=True)
        assert figure is not None
        if self.place is not None:
            save(figure, self.place, self.caller)
        return figure


def look_of(
    caller: str,
    *,
    ax: Axes | None,
    vmin: float | None,
    vmax: float | None,
    cmap: str | Colormap | None,
    title: str | None,
    save: str | os.PathLike[str] | None,
) -> Look:
    """Check what every kind takes, before anything is computed."""
    check_extra(caller)
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(
            f"{caller}() needs Axes of matplotlib as ax; got {type(ax).__name__}. Pass one panel, such as "
            "figure.subplots(), or leave it out for a new figure."
        )
    if ax is not None:
        _check_panel(ax, caller)
    for name, value in (("vmin", vmin), ("vmax", vmax)):
        if value is not None:
            _options.check_finite(value, name, caller)
    if vmin is not None and vmax is not None and not vmin < vmax:
        raise ValueError(f"{caller}() needs vmin below vmax; got {vmin!r} and {vmax!r}. Pass them the other way round.")
    if title is not None and not isinstance(title, str):
        raise TypeError(f"{caller}() needs a text as title; got {type(title).__name__}. Pass title='Mont Rose'.")
    colours = None if cmap is None else colour_map(cmap, caller)
    low, high = (None if end is None else float(end) for end in (vmin, vmax))
    return Look(caller, ax, low, high, colours, title, place_of(save, caller, tuple(_STILL)))


def _check_panel(axes: Axes, caller: str) -> None:
    """Refuse panels that no picture fits into."""
    if axes.get_figure(root=True) is None:
        got = "one that was removed from its figure"
    elif axes.name != "rectilinear":
        got = f"a panel of projection '{axes.name}'"
    elif (axes.get_xscale(), axes.get_yscale()) != ("linear", "linear"):
        got = f"scales '{axes.get_xscale()}' and '{axes.get_yscale()}'"
    else:
        return
    raise ValueError(
        f"{caller}() needs a plane panel of a figure with linear scales as ax; got {got}. Pass figure.subplots()."
    )


def place_of(value: str | os.PathLike[str] | None, caller: str, endings: tuple[str, ...]) -> Path | None:
    """Where a picture goes, refusing what names no file of a known kind."""
    if value is None:
        return None
    place = _options.as_path(value, "save", caller)
    if place.suffix.lower() not in endings:
        raise ValueError(
            f"{caller}() needs a file name that ends in {', '.join(endings[:-1])} or {endings[-1]} as save; got "
            f"'{place.name}'. Pass save='{place.stem or 'picture'}{endings[0]}'."
        )
    return place


def new_figure(width: float, height: float) -> Figure:
    """Figure [inch] without a window; a notebook shows it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    show: Callable[[], bytes] = partial(_shown, figure)
    figure._repr_png_ = show  # type: ignore[attr-defined]
    return figure


def save(figure: Figure, place: Path, caller: str) -> Path:
    """Write a figure whole, or not at all; a picture of the same name is replaced."""
    ending = place.suffix.lower()
    key, kind = _STILL.get(ending), ending[1:] if ending in _STILL else "png"
    with replaced(place, overwrite=True, caller=caller) as path, explained(place.parent, caller):
        figure.savefig(path, format=kind, dpi=_WRITTEN, bbox_inches="tight", metadata={key: None} if key else None)
    return place


def add_notes(axes: Axes, notes: list[str] | tuple[str, ...]) -> None:
    """Small lines below the label of the x axis."""
    if notes:
        below = "\n".join(notes)
        axes.annotate(
            below,
            (0.5, 0.0),
            xytext=(0.0, -2.0),
            xycoords=axes.xaxis.label,
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=NOTE,
            color="0.25",
            annotation_clip=False,
        )


def _set_sizes(axes: Axes) -> None:
    from matplotlib.axes import Axes as Panel

    beside: list[Any] = [each for each in axes.child_axes if isinstance(each, Panel)]
    for each in (axes, *beside):
        each.tick_params(labelsize=NOTE, width=0.6, length=2.5, pad=2.0)
        for text in (each.xaxis.label, each.yaxis.label):
            text.set_fontsize(TEXT)
        for spine in each.spines.values():
            spine.set_linewidth(0.6)


def _shown(figure: Figure) -> bytes:
    place = BytesIO()
    figure.savefig(place, format="png", dpi=_SHOWN, bbox_inches="tight")
    return place.getvalue()
