"""Animations of the cumulative displacement."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
from xoffset import _options
from xoffset.formats.writing import explained, replaced
from xoffset.model import checks
from xoffset.plotting.beneath import draw_beneath
from xoffset.plotting.fields import as_product, length_of, notes_of, one_layer
from xoffset.plotting.look import MOVING, look_of, place_of
from xoffset.plotting.mapping import shape_of, since
from xoffset.plotting.style import clip_note, draw, period, scale_of, set_title, thinned

# Dots per inch of the frames, which are drawn one by one.
_FRAMES = 160
# Seconds that the last date stays.
_REST = 1.5


def animation(
    series: xr.Dataset,
    save: str | os.PathLike[str],
    *,
    component: Literal["dx", "dy", "length"] = "length",
    seconds: float = 0.5,
    relief: xr.DataArray | None = None,
    image: xr.DataArray | None = None,
    ax: Axes | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
) -> Figure:
    """Animation of the cumulative displacement: PNG, GIF or MP4, with date and colour bar.

    Parameters
    ----------
    series
        Series (time, y, x): `dx`, `dy` in metres since the reference date. NaN is drawn grey.
    save
        Where the animation goes; its name ends in .png or .apng (animated PNG), .gif or .mp4. A file of the same name
        is replaced.
    component
        `"dx"`, `"dy"`, or `"length"` of both.
    seconds
        Time that each date is shown; the last stays longer.
    relief, image
        What lies beneath, as in `velocity`.
    ax, vmin, vmax, cmap, title
        What all pictures take, see `xoffset.plotting`. All dates have one scale of colours.

    Returns
    -------
    matplotlib.figure.Figure
        The figure as it is at the last date.

    Raises
    ------
    ImportError
        If the `plot` extra is not installed, or, for MP4, no ffmpeg is found.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If it is no series, or the name has another ending.
    OSError
        If the file cannot be written.

    Notes
    -----
    PNG and GIF are written by Pillow, which matplotlib needs anyway, and MP4 by the ffmpeg that matplotlib finds
    (`matplotlib.rcParams["animation.ffmpeg_path"]`).

    Examples
    --------
    >>> import tempfile
    >>> import xoffset
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, truth = xoffset.synthetic.stack((64, 64), dates=dates)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = truth[["dx", "dy"]].offset.plot.animation(f"{folder}/motion.gif")
    >>> figure.axes[0].get_title(loc="left").splitlines()[1][-10:]
    '2021-01-01'
    """
    look = look_of("animation", ax=ax, vmin=vmin, vmax=vmax, cmap=cmap, title=title, save=None)
    _options.check_name(component, ("dx", "dy", "length"), "component", "animation")
    pause = _options.as_positive(seconds, "seconds", "animation", unit="s", example=0.5)
    place = place_of(_options.as_path(save, "save", "animation"), "animation", MOVING)
    assert place is not None
    if place.suffix.lower() == ".mp4":
        _check_ffmpeg()
    fields = _fields(series, component)
    every = fields[-1]
    values = np.concatenate([each.values for each in fields])
    whole = xr.DataArray(values, dims=("y", "x"), name=every.name, attrs=every.attrs)
    panels = look.panels(shape=shape_of(every))
    scale = scale_of(whole, look)
    draw(panels[0], fields[-1], scale, alpha=draw_beneath(panels[0], every, relief, image, "animation"))
    text = "displacement" if component == "length" else str(every.attrs.get("long_name", component))
    labels = [since(series, period(each)) for each in fields]
    set_title(panels[0], title, text, labels[-1])
    figure = look.finish(panels, clip_note(whole, scale) + notes_of(series))
    picture = panels[0].images[-1]

    def show(k: int) -> None:
        picture.set_data(fields[k].values.astype("float64"))
        set_title(panels[0], None, text if title is None else title, labels[k])

    with replaced(place, overwrite=True, caller="animation") as path, explained(place.parent, "animation"):
        _write(figure, show, len(fields), path, pause)
    return figure


def _fields(series: xr.Dataset, component: str) -> list[xr.DataArray]:
    """Displacement (y, x) at each date."""
    product = as_product(series, "animation")
    names = ("dx", "dy")
    if not all(name in product and set(product[name].dims) == {"time", "y", "x"} for name in names):
        raise ValueError(
            f"animation() needs dx and dy on (time, y, x); got {dict(product.sizes)} and "
            f"{sorted(map(str, product.data_vars))[:12]}. Pass the result of invert()."
        )
    checks.check_times(product["time"], "animation")
    few = xr.Dataset({name: thinned(product[name]) for name in names}).compute()
    layers = [one_layer(few, names, k, "animation") for k in range(few.sizes["time"])]
    return [length_of(each, names) if component == "length" else each[component] for each in layers]


def _check_ffmpeg() -> None:
    from matplotlib.animation import FFMpegWriter

    if not FFMpegWriter.isAvailable():
        raise ImportError(
            "animation() needs ffmpeg for MP4; got none on this machine. Install it, name it in matplotlib.rcParams["
            "'animation.ffmpeg_path'], or write an animated PNG: save='motion.png'."
        )


def _write(figure: Figure, show: Callable[[int], None], count: int, path: Path, pause: float) -> None:
    """Write the frames, of one size, to a file of the kind that its name says; the figure ends at the last."""
    figure.canvas.draw()
    figure.set_layout_engine("none")  # labels of other lengths would move the map
    if path.suffix.lower() == ".mp4":
        _write_film(figure, show, count, path, pause)
        return
    from PIL import Image

    frames = []
    for k in range(count):
        show(k)
        place = BytesIO()
        figure.savefig(place, format="png", dpi=_FRAMES)
        frames.append(Image.open(place).convert("RGB"))
    times = [round(1000.0 * pause)] * (count - 1) + [round(1000.0 * max(_REST, pause))]
    kind = "GIF" if path.suffix.lower() == ".gif" else "PNG"
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:], duration=times, loop=0)


def _write_film(figure: Figure, show: Callable[[int], None], count: int, path: Path, pause: float) -> None:
    from matplotlib.animation import FFMpegWriter

    writer = FFMpegWriter(fps=1.0 / pause)  # type: ignore[arg-type]
    with writer.saving(figure, str(path), _FRAMES):
        for k in range(count):
            show(k)
            for _ in range(1 if k < count - 1 else max(1, round(_REST / pause))):
                writer.grab_frame()
