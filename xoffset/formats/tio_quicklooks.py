"""Quicklooks of TIO: animated PNG of the displacement through time that lie on a map by a world file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import gridded, looks, service_maps, writing
from xoffset.model import checks, grids
from xoffset.model.dates import as_dates

_CALLER = "tio.write_quicklooks"
# Components by the ends of the names of its files, ours and the sign: south is positive.
COMPONENTS: Mapping[str, tuple[str, float]] = {"EW": ("dx", 1.0), "NS": ("dy", -1.0)}
# Longest side of a picture [px] at most, and at least: small maps are drawn larger by whole numbers.
_MOST, _LEAST = 1000, 400
# Milliseconds that a date is shown, and that the last one stays.
_PAUSE, _REST = 500, 1500


class _Frames(NamedTuple):
    """Displacement (date, rows, columns) as it is drawn, its corner in the northwest, and the sides of its pixels."""

    values: np.ndarray
    west: float
    north: float
    side_x: float
    side_y: float


def write_quicklooks(series: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write `quicklook_depl_cumule_EW.png` and `quicklook_depl_cumule_NS.png`, animated PNG with world files.

    Each frame is a date, which it says, in the colours "jet" from minus to plus the largest displacement, with a colour
    bar; east and **south** are positive. What is unknown is transparent. The world file (`.pngw`) tells longitude and
    latitude of the pixels, or metres of the grid if there is no CRS.

    Parameters
    ----------
    series
        Series (time, y, x) of `invert`; it is computed as a whole.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The pictures, and the world file of each.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError, ValueError
        If it is no series on a grid, or the map crosses the antimeridian.
    FileExistsError
        If a file is there and `overwrite` is False.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01"])
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.suffix for path in xoffset.formats.tio.write_quicklooks(series, folder)]
    ['.png', '.pngw', '.png', '.pngw']
    """
    target = _options.as_path(folder, "folder", _CALLER)
    is_free = _options.as_switch(overwrite, "overwrite", _CALLER)
    looks.optional("matplotlib", "plot", _CALLER)
    series = service_maps.prepared(checks.as_series(series, _CALLER), _CALLER)[["dx", "dy"]].compute()
    labels = [str(day) for day in np.datetime_as_string(as_dates(series["time"].values), unit="D")]
    names = [f"quicklook_depl_cumule_{end}.{kind}" for end in COMPONENTS for kind in ("png", "pngw")]
    with writing.replaced_all(target, names, overwrite=is_free, caller=_CALLER) as scratch:
        for end, (name, sign) in COMPONENTS.items():
            frames = _on_map(sign * series[name].values.astype(np.float64), series)
            picture = scratch / f"quicklook_depl_cumule_{end}.png"
            with writing.explained(target, _CALLER):
                _save(_drawn(frames.values, labels, f"{end} [m]"), picture)
                picture.with_suffix(".pngw").write_text(_world(frames))
    return [target / name for name in names]


def _on_map(values: np.ndarray, series: xr.Dataset) -> _Frames:
    """Displacement on longitude and latitude, if there is a CRS, in pixels that can be seen."""
    steps, crs = grids.spacing(series, _CALLER), grids.crs_of(series)
    west, north = float(series.x[0]) - steps.x / 2.0, float(series.y[0]) - steps.y / 2.0
    found = _Frames(values, west, north, steps.x, -steps.y)
    if crs is not None:
        found = _turned(values, series, crs)
    finer = max(1, math.ceil(_LEAST / max(found.values.shape[1:])))
    if finer == 1:
        return found
    larger = found.values.repeat(finer, axis=1).repeat(finer, axis=2)
    return found._replace(values=larger, side_x=found.side_x / finer, side_y=found.side_y / finer)


def _turned(values: np.ndarray, series: xr.Dataset, crs: Any) -> _Frames:
    from rasterio.crs import CRS
    from rasterio.transform import Affine
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    source, target = CRS.from_wkt(crs.to_wkt()), CRS.from_epsg(4326)
    bounds = gridded.bounds_of(series, _CALLER)
    longitude, _ = gridded.to_wgs84(series, np.array(bounds)[[0, 0, 2, 2]], np.array(bounds)[[1, 3, 1, 3]])
    if not np.isfinite(longitude).all() or np.ptp(longitude) > 180.0:
        raise ValueError(
            f"{_CALLER}() needs a map that does not cross the antimeridian; got longitudes from "
            f"{np.nanmin(longitude):.1f} to {np.nanmax(longitude):.1f} degrees. Cut it in two: series.isel(x=...)."
        )
    rows, columns = values.shape[1:]
    transform, width, height = calculate_default_transform(source, target, columns, rows, *bounds)
    factor = max(1.0, max(width, height) / _MOST)
    width, height = math.ceil(width / factor), math.ceil(height / factor)
    a, _, west, _, e, north = tuple(transform)[:6]
    out = np.full((len(values), height, width), np.nan)
    reproject(
        values, out, src_transform=Affine(*gridded.transform_of(series, _CALLER)), src_crs=source, src_nodata=np.nan,
        dst_transform=Affine(a * factor, 0.0, west, 0.0, e * factor, north), dst_crs=target, dst_nodata=np.nan,
        resampling=Resampling.nearest,
    )  # fmt: skip
    return _Frames(out, west, north, a * factor, -e * factor)


def _world(frames: _Frames) -> str:
    """World file: sides of a pixel and centre of the first."""
    centre = frames.west + frames.side_x / 2.0, frames.north - frames.side_y / 2.0
    return "\n".join(repr(float(each)) for each in (frames.side_x, 0.0, 0.0, -frames.side_y, *centre)) + "\n"


def _drawn(values: np.ndarray, labels: list[str], unit: str) -> list[np.ndarray]:
    """Pictures (rows, columns, 4) of each date, 8 bit, as large as the map."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    rows, columns = values.shape[1:]
    figure = Figure(figsize=(columns / 100.0, rows / 100.0), dpi=100, facecolor="none")
    canvas: Any = FigureCanvasAgg(figure)
    box = {"facecolor": (1.0, 1.0, 1.0, 0.7), "edgecolor": "none", "pad": 2.0}
    date = figure.text(0.03, 0.97, "", va="top", size="small", bbox=box)
    bar = figure.colorbar(
        ScalarMappable(Normalize(-most, most), "jet"), cax=figure.add_axes((0.08, 0.1, 0.5, 0.03)),
        orientation="horizontal", ticks=[-most, 0.0, most],
    )  # fmt: skip
    bar.set_ticks([-most, 0.0, most], labels=[f"{-most:.3g}", unit, f"{most:.3g}"])
    bar.ax.tick_params(labelsize="x-small")
    for text in bar.ax.get_xticklabels():
        text.set_bbox(box)
    pictures = []
    for field, label in zip(values, labels, strict=True):
        date.set_text(label)
        canvas.draw()
        above = np.asarray(canvas.buffer_rgba())[:rows, :columns].astype(np.float64) / 255.0
        colours = colormaps["jet"]((np.nan_to_num(field) + most) / (2.0 * most))
        colours[..., 3] = np.isfinite(field)
        pictures.append(_over(above, colours))
    return pictures


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One picture laid over another, both (rows, columns, 4) from 0 to 1, as 8 bit."""
    cover = above[..., 3:]
    alpha = cover + below[..., 3:] * (1.0 - cover)
    mixed = above[..., :3] * cover + below[..., :3] * below[..., 3:] * (1.0 - cover)
    colours = np.divide(mixed, alpha, out=np.zeros_like(mixed), where=alpha > 0.0)
    return np.asarray(np.round(255.0 * np.concatenate([colours, alpha], axis=2)), dtype=np.uint8)


def _save(pictures: list[np.ndarray], path: Path) -> None:
    from PIL import Image

    frames = [Image.fromarray(each, "RGBA") for each in pictures]
    times = [_PAUSE] * (len(frames) - 1) + [_REST]
    # each frame stands for itself: what is transparent in it lets no earlier one through
    frames[0].save(
        path, format="PNG", save_all=True, append_images=frames[1:], duration=times, loop=0, disposal=1, blend=0
    )
