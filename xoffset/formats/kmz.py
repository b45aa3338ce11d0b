"""KMZ: a map with its colour bar over the ground of Google Earth."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import gridded, legends, writing
from xoffset.model import grids
from xoffset.model.dates import DAYS, as_dates
from xoffset.model.variables import is_cyclic, is_signed
from xoffset.plotting import style

_NAMESPACE = "http://www.opengis.net/kml/2.2"
# Pixels along a side of a picture at most: graphics cards take no more for sure.
_MOST_PIXELS = 4096
# Pixels of a picture a node, along a side: the edges of nodes then stay where they are to a sixth of a node.
_FINER = 3.0
# Powers of ten of a logarithmic scale below its upper end.
_DECADES = 3.0


class Picture(NamedTuple):
    """Values on longitude and latitude, and the edges of the outer pixels in degrees."""

    values: np.ndarray
    west: float
    south: float
    east: float
    north: float


class Ends(NamedTuple):
    """Colours of a map, the values at both ends, and whether the scale is logarithmic."""

    colours: str
    low: float
    high: float
    is_log: bool
    extend: str

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Place of values on the scale, 0 to 1, NaN where there is none."""
        if self.is_log:
            with np.errstate(divide="ignore", invalid="ignore"):
                place = np.log(values / self.low) / np.log(self.high / self.low)
            place = np.where(values > 0.0, place, np.nan)
        else:
            place = (values - self.low) / (self.high - self.low)
        return np.where(np.isnan(place), np.nan, np.clip(place, 0.0, 1.0))


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    variable: str = "v",
    scale: Literal["linear", "log"] = "linear",
    limits: tuple[float, float] | None = None,
    overwrite: bool = False,
) -> Path:
    """KMZ file of one variable: pictures laid over the ground, and a colour bar with name and unit beside.

    Each layer of a variable, such as the dates of a series or the pairs of shifts, is a picture with its time span,
    which Google Earth plays; the variable is computed as a whole. Pixels are turned to longitude and latitude by the
    nearest node, at a third of its size; of maps that would be larger than 4096 pixels a side they are larger. Unknown
    values are transparent.

    Parameters
    ----------
    dataset
        Product on a grid, with a CRS.
    path
        File to write, such as "velocity.kmz".
    variable
        Name of the variable, such as "v", the speed of a rate.
    scale
        Colour scale: `"linear"`, or `"log"` for lengths, whose zeros are transparent then.
    limits
        Values at both ends of the scale; what is beyond has the colour of the end. None: the 0.5th and 99.5th
        percentile of all layers; of signed variables symmetric about 0; of a logarithmic scale three powers of ten at
        most.
    overwrite
        Replace a file that is there, as a whole.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If it is no Dataset, or the variable holds no real numbers.
    ValueError
        If there is no such variable on a grid with a CRS, the scale is logarithmic for a signed or cyclic quantity or
        for one without a value above zero, the limits are no two numbers in order, or the map holds a pole or crosses
        the antimeridian.
    ImportError
        If matplotlib or cmcrameri is not installed.
    FileExistsError
        If there is a file and it may not be replaced.
    OSError
        If it cannot be written; nothing is left of it then.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     xoffset.formats.kmz.write(truth, f"{folder}/vx.kmz", variable="vx").name
    'vx.kmz'
    """
    target = _options.as_path(path, "path", "kmz.write")
    replace = _options.as_switch(overwrite, "overwrite", "kmz.write")
    _options.check_name(scale, ("linear", "log"), "scale", "kmz.write")
    style.check_extra("kmz.write")
    data = gridded.as_gridded(dataset, "kmz.write")
    (name,) = gridded.names_of(data, [variable], "kmz.write")
    data = gridded.north_up(gridded.with_days(data[[name]]), "kmz.write")
    check_place(data, "kmz.write")
    # the ends of the scale are those of all layers, which are drawn one by one
    field = data[name].astype(np.float64).assign_attrs(data[name].attrs).compute()
    ends = _ends(field, scale == "log", limits)
    with (
        writing.replaced(target, overwrite=replace, caller="kmz.write") as scratch,
        zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        overlays = []
        for number, layer in enumerate(_layers(field)):
            picture = _turned(layer, data)
            _add(archive, f"layer_{number}.png", _png(_rgba(picture.values, ends)))
            overlays.append((f"layer_{number}.png", layer, picture))
        _add(archive, "colours.png", _bar(field, ends))
        _add(archive, "doc.kml", _document(field, overlays))
    return target


def check_place(data: xr.Dataset, caller: str) -> None:
    """Refuse a map that cannot be laid on longitude and latitude.

    Raises
    ------
    ValueError
        If it has no CRS, holds a pole or crosses the antimeridian.
    """
    gridded.check_has_crs(data, caller, "Google Earth lays the map on longitude and latitude")
    bounds = gridded.bounds_of(data, caller)
    edges_x = np.concatenate([np.linspace(bounds[0], bounds[2], 9), np.linspace(bounds[0], bounds[2], 9)])
    edges_y = np.repeat([bounds[1], bounds[3]], 9)
    longitude, _ = gridded.to_wgs84(data, edges_x, edges_y)
    if not np.isfinite(longitude).all() or np.ptp(longitude) > 180.0:
        raise ValueError(
            f"{caller}() needs a map that neither holds a pole nor crosses the antimeridian; got longitudes from "
            f"{np.nanmin(longitude):.1f} to {np.nanmax(longitude):.1f} degrees. Cut it in two: dataset.isel(x=...)."
        )


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # without the time of day: the same map gives the same file
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def _layers(field: xr.DataArray) -> Iterator[xr.DataArray]:
    if field.ndim == 2:
        yield field
    else:
        yield from (field[k] for k in range(field.shape[0]))


def _ends(field: xr.DataArray, is_log: bool, limits: Any) -> Ends:
    """Colours and the values at both ends."""
    values = field.values[np.isfinite(field.values)]
    if is_log:
        if (
            is_signed(field.name)
            or is_cyclic(field.name, field.attrs.get("units"))
            or (limits is None and not (values > 0.0).any())
        ):
            raise ValueError(
                f"kmz.write() needs a length with values above zero for scale='log'; got '{field.name}'. "
                "Pass variable='v', or scale='linear'."
            )
        above = values[values > 0.0]
        low, high = (float(each) for each in np.percentile(above if above.size else [1.0], [0.5, 99.5]))
        low = max(low, high / 10.0**_DECADES)
        found = style.Scale("batlow", low, high if high > low else 10.0 * low, "neither")
    else:
        found = style.colour_scale(field)
    if limits is None:
        return _between(found.low, found.high, values, found.colours, is_log)
    is_pair = isinstance(limits, (tuple, list)) and len(limits) == 2 and all(map(_options.is_number, limits))
    if not is_pair or not limits[0] < limits[1] or (is_log and limits[0] <= 0.0):
        raise ValueError(
            f"kmz.write() needs two numbers in order as limits, above zero for a logarithmic scale; got {limits!r}. "
            "Pass limits=(0.1, 10.0)."
        )
    return _between(float(limits[0]), float(limits[1]), values, found.colours, is_log)


def _between(low: float, high: float, values: np.ndarray, colours: str, is_log: bool) -> Ends:
    """Scale whose bar has an arrow where there are values beyond its end."""
    is_below, is_above = bool(((values < low) & ((values > 0.0) | (not is_log))).any()), bool((values > high).any())
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((is_below, is_above), "neither")
    return Ends(colours, low, high, is_log, extend)


def _turned(layer: xr.DataArray, data: xr.Dataset) -> Picture:
    """Layer on longitude and latitude."""
    from rasterio.crs import CRS
    from rasterio.transform import Affine
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    crs = grids.crs_of(data)
    assert crs is not None
    source, target = CRS.from_wkt(crs.to_wkt()), CRS.from_epsg(4326)
    rows, columns = layer.shape
    bounds = gridded.bounds_of(data, "kmz.write")
    transform, width, height = calculate_default_transform(source, target, columns, rows, *bounds)
    factor = max(1.0 / _FINER, max(width, height) / _MOST_PIXELS)
    width, height = math.ceil(width / factor), math.ceil(height / factor)
    a, _, west, _, e, north = tuple(transform)[:6]
    a, e = a * factor, e * factor
    values = np.full((height, width), np.nan)
    reproject(
        np.asarray(layer.values, dtype=np.float64),
        values,
        src_transform=Affine(*gridded.transform_of(data, "kmz.write")),
        src_crs=source,
        src_nodata=np.nan,
        dst_transform=Affine(a, 0.0, west, 0.0, e, north),
        dst_crs=target,
        dst_nodata=np.nan,
        resampling=Resampling.nearest,
    )
    return Picture(values, west, north + e * height, west + a * width, north)


def _rgba(values: np.ndarray, ends: Ends) -> np.ndarray:
    """Colours (y, x, 4), uint8, transparent where there is no value."""
    shares = ends.shares(values)
    out = legends.colours(ends.colours, np.nan_to_num(shares))
    out[..., 3] = np.where(np.isnan(shares), 0, 255)
    return out


def _png(colours: np.ndarray) -> bytes:
    from matplotlib.image import imsave

    place = io.BytesIO()
    imsave(place, colours, format="png", metadata={"Software": "xoffset"})
    return place.getvalue()


def _bar(field: xr.DataArray, ends: Ends) -> bytes:
    """Picture of the colour bar, with name, unit and ticks."""
    from cmcrameri import cm
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6, 0.9), layout="constrained", facecolor=(1.0, 1.0, 1.0, 0.85))
    FigureCanvasAgg(figure)
    norm = LogNorm(ends.low, ends.high) if ends.is_log else Normalize(ends.low, ends.high)
    bar = figure.colorbar(
        ScalarMappable(norm, getattr(cm, ends.colours)), cax=figure.subplots(), orientation="horizontal",
        extend=ends.extend,
    )  # fmt: skip
    style.label_bar(bar, field, ends.low, ends.high)
    if field.attrs.get("units") == DAYS and len(ticks := bar.get_ticks()) > 2:  # dates are too wide for more
        texts = [label.get_text() for label in bar.ax.get_xticklabels()]
        bar.set_ticks([ticks[0], ticks[-1]], labels=[texts[0], texts[-1]])
    place = io.BytesIO()
    figure.savefig(place, format="png", dpi=110, metadata={"Software": "xoffset"})
    return place.getvalue()


def _document(field: xr.DataArray, overlays: list[tuple[str, xr.DataArray, Picture]]) -> bytes:
    root = ET.Element("kml", xmlns=_NAMESPACE)
    document = ET.SubElement(root, "Document")
    ET.SubElement(document, "name").text = f"{field.attrs.get('long_name', field.name)}"
    for file, layer, picture in overlays:
        overlay = ET.SubElement(document, "GroundOverlay")
        ET.SubElement(overlay, "name").text = style.heading(layer)
        _add_time(overlay, layer)
        ET.SubElement(ET.SubElement(overlay, "Icon"), "href").text = file
        box = ET.SubElement(overlay, "LatLonBox")
        for side in ("north", "south", "east", "west"):
            ET.SubElement(box, side).text = f"{getattr(picture, side):.10f}"
    bar = ET.SubElement(document, "ScreenOverlay")
    ET.SubElement(bar, "name").text = "colours"
    ET.SubElement(ET.SubElement(bar, "Icon"), "href").text = "colours.png"
    for tag, x, y in (("overlayXY", 0.0, 0.0), ("screenXY", 0.02, 0.06), ("size", 0.0, 0.0)):
        ET.SubElement(bar, tag, x=str(x), y=str(y), xunits="fraction", yunits="fraction")
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _add_time(overlay: Any, layer: xr.DataArray) -> None:
    """Time span of a layer: of a pair its two dates, of a date the instant."""
    dates = {
        name: gridded.text_of(as_dates(layer[name].values)[()])
        for name in ("reference", "secondary", "time")
        if name in layer.coords and not layer[name].ndim
    }
    if {"reference", "secondary"} <= set(dates):
        span = ET.SubElement(overlay, "TimeSpan")
        for tag, date in zip(("begin", "end"), sorted((dates["reference"], dates["secondary"])), strict=True):
            ET.SubElement(span, tag).text = f"{date}Z"
    elif "time" in dates:
        ET.SubElement(ET.SubElement(overlay, "TimeStamp"), "when").text = f"{dates['time']}Z"
