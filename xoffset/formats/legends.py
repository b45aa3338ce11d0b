"""Colours of values: the legend of a GeoTIFF that QGIS reads, and the colours of pictures."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import xarray as xr

from xoffset.model.dates import DAYS
from xoffset.plotting import style

# Values of a file that are looked at for the ends of its scale, along a side.
_LOOKED_AT = 1000
# Stops of a colour scale, and values of flags that a legend names at most.
_STOPS, _CLASSES = 33, 64

check_extra = style.check_extra


def write(data: xr.DataArray, path: Path) -> Path:
    """Style of QGIS beside the GeoTIFF of a variable, from the values in the file."""
    import rasterio

    is_flags = "flag_masks" in data.attrs
    with rasterio.open(path) as file:
        shape = tuple(min(side, _LOOKED_AT) for side in (file.height, file.width))
        # the file may have many bands: the ends of a scale are those of a few
        bands = np.unique(np.linspace(1, file.count, min(file.count, 12)).round().astype(int)).tolist()
        values = file.read(bands, out_shape=(len(bands), *shape))
        found = [np.unique(file.read(band)) for band in file.indexes] if is_flags else []
    field = xr.DataArray(values, dims=("band", "y", "x"), name=data.name, attrs=data.attrs)
    classes = np.unique(np.concatenate(found)) if found else np.empty(0)
    root = ET.Element("qgis", version="3.28", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    if 0 < classes.size <= _CLASSES:
        _add_classes(pipe, classes, data)
    else:
        _add_scale(pipe, field)
    ET.indent(root)
    place = path.with_suffix(".qml")
    ET.ElementTree(root).write(place, encoding="utf-8", xml_declaration=True)
    return place


def colours(name: str, shares: np.ndarray) -> np.ndarray:
    """Colours (..., 4), uint8, of a scale by name at shares between 0 and 1."""
    from cmcrameri import cm

    return np.asarray(getattr(cm, name)(shares, bytes=True), dtype=np.uint8)


def names_of_flags(value: int, data: xr.DataArray) -> str:
    """Names of the bits that are set in a value of flags, good if there is none."""
    masks, meanings = np.ravel(data.attrs["flag_masks"]).tolist(), str(data.attrs["flag_meanings"]).split()
    return ", ".join(name for mask, name in zip(masks, meanings, strict=True) if value & mask) or "good"


def _add_classes(pipe: Any, classes: np.ndarray, data: xr.DataArray) -> None:
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ET.SubElement(renderer, "colorPalette")
    tints = colours("batlow", np.linspace(0.0, 1.0, max(classes.size, 2)))
    for value, tint in zip(classes.tolist(), tints, strict=False):
        # ground that is good shows what lies below
        alpha = "0" if value == 0 else "255"
        ET.SubElement(
            palette, "paletteEntry", value=str(value), label=names_of_flags(value, data), color=_hex(tint), alpha=alpha
        )


def _add_scale(pipe: Any, field: xr.DataArray) -> None:
    scale = style.colour_scale(field)
    ends: dict[str, Any] = {"classificationMin": f"{scale.low:.9g}", "classificationMax": f"{scale.high:.9g}"}
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="singlebandpseudocolor", band="1", opacity="1", alphaBand="-1", nodataColor="",
        **ends,
    )  # fmt: skip
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED", clip="0",
        classificationMode="1", minimumValue=ends["classificationMin"], maximumValue=ends["classificationMax"],
        labelPrecision="3",
    )  # fmt: skip
    unit = str(field.attrs.get("units", ""))
    shares = np.linspace(0.0, 1.0, _STOPS)
    for share, tint in zip(shares, colours(scale.colours, shares), strict=True):
        value = scale.low + share * (scale.high - scale.low)
        if unit == DAYS:
            label = str(np.datetime64(int(value), "D"))
        else:
            label = f"{value:.4g}" if unit in ("", "1") else f"{value:.4g} {unit}"
        ET.SubElement(shader, "item", value=f"{value:.9g}", label=label, color=_hex(tint), alpha="255")


def _hex(tint: np.ndarray) -> str:
    return "#" + "".join(f"{each:02x}" for each in itertools.islice(tint.tolist(), 3))
