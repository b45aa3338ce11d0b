"""GeoJSON of profiles and trajectories, by RFC 7946: longitude and latitude, for maps on the web."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import features, gridded, writing

# Decimals of a degree: a millimetre.
_DECIMALS = 8


def write(dataset: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """GeoJSON file of a profile or of trajectories.

    A profile is a point a sample, with `distance`, `x`, `y` in metres and all its variables as properties; of several
    layers each has its points, with their date, dates or year. A trajectory is a line through the places at the dates
    at which they are known, whose properties are lists with one value a vertex, `time` first; it has no geometry if
    there are fewer than two. Coordinates are longitude and latitude of WGS 84 in degrees, to a millimetre. Values stay
    in metres or m yr-1; what is unknown is null. Dates are ISO 8601, UTC.

    Parameters
    ----------
    dataset
        Profile (..., distance) or trajectories (point, time), with a CRS.
    path
        File to write, such as "profile.geojson".
    overwrite
        Replace a file that is there, as a whole.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If it is neither a profile nor trajectories, or has no CRS.
    FileExistsError
        If there is a file and it may not be replaced.
    OSError
        If it cannot be written; nothing is left of it then.

    Examples
    --------
    >>> import json, tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> line = [(float(truth.x[5]), float(truth.y[5])), (float(truth.x[50]), float(truth.y[50]))]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = xoffset.formats.geojson.write(xoffset.profile(truth[["vx", "vy"]], line), f"{folder}/p.geojson")
    ...     json.loads(path.read_text())["features"][0]["geometry"]["type"]
    'Point'
    """
    target = _options.as_path(path, "path", "geojson.write")
    replace = _options.as_switch(overwrite, "overwrite", "geojson.write")
    data, found = features.of(dataset, "geojson.write")
    units = {str(name): each.attrs["units"] for name, each in data.variables.items() if "units" in each.attrs}
    collection = {
        "type": "FeatureCollection",
        "properties": {"units": units, "processing": str(data.attrs.get("processing", "[]"))},
        "features": [_feature(data, found, row) for row in range(len(found.vertices))],
    }
    with writing.replaced(target, overwrite=replace, caller="geojson.write") as scratch:
        scratch.write_text(json.dumps(collection, allow_nan=False), encoding="utf-8")
    return target


def _feature(data: xr.Dataset, found: features.Features, row: int) -> dict[str, Any]:
    vertices = found.vertices[row]
    turned = np.stack(gridded.to_wgs84(data, vertices[:, 0], vertices[:, 1]), axis=1).round(_DECIMALS).tolist()
    geometry: dict[str, Any] | None = {"type": found.kind, "coordinates": turned}
    if found.kind == "Point":
        geometry = {"type": "Point", "coordinates": turned[0]}
    elif len(turned) < 2:
        geometry = None
    properties = {name: _plain(values[row]) for name, values in found.columns.items()}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _plain(value: Any) -> Any:
    """Value, or list of values, that JSON knows."""
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value]
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else f"{gridded.text_of(value)}Z"
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.float32):
        plain = float(str(value))  # its own digits, not those of the double that is nearest
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
