"""NISAR pixel offsets: GOFF on a map grid, ROFF in the geometry of the radar."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import range_azimuth
from xoffset.formats import border, looks, stores
from xoffset.formats.border import Place
from xoffset.formats.names import SYSTEMS

_READ = "nisar.read"
_MAP, _RADAR = "nisar", "nisar_roff"
_NAMES = SYSTEMS[_MAP].names
_LAYER = re.compile(
    r"(?P<root>science/(?P<band>[LS]SAR)/(?P<product>[GR]OFF))/(?:grids|swaths)/(?P<frequency>frequency[AB])/"
    r"pixelOffsets/(?P<polarisation>[HVRL]{2})/(?P<layer>layer\d)/alongTrackOffset"
)
_VECTORS = ("losUnitVectorX", "losUnitVectorY", "alongTrackUnitVectorX", "alongTrackUnitVectorY")


def recognises(look: looks.Look) -> bool:
    """Whether it holds pixel offsets of NISAR."""
    return look.kind == "hdf5" and any(_LAYER.fullmatch(name) for name in look.names)


def read(
    path: str | os.PathLike[str],
    *,
    layer: str = "layer1",
    polarisation: str | None = None,
    height: float = 0.0,
) -> xr.Dataset:
    """Shifts of a pair of NISAR, with their covariances.

    NISAR measures along the line of sight and along its track. Of a GOFF product the two become displacements along x
    and y of the map, which supposes that the ground moved horizontally; vertical motion shows as motion toward the
    radar. Standard errors and covariance are turned along. Of a ROFF product, which is on no map, they stay as they
    are: x is the slant range from the sensor and `dx` the displacement away from it, y the way along the track and `dy`
    the displacement along it, in metres without a CRS.

    Parameters
    ----------
    path
        HDF5 file of a GOFF or ROFF product.
    layer
        Which of the sizes of windows: `"layer1"` is the finest and noisiest, `"layer3"` the smoothest.
    polarisation
        Such as `"HH"`. None: the only one there is.
    height
        Height of the ground above the ellipsoid in metres, for the directions of GOFF products, which vary little with
        it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair, with `score` (the correlation peak) and `cov_dxdy`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the extra `netcdf` is not installed.
    ValueError
        If it holds no such layer or polarisation, several polarisations and none is named, or no directions.

    Examples
    --------
    A ROFF product of 2 x 3 nodes, made for the purpose:

    >>> import h5py, numpy, tempfile, xoffset
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/roff.h5", "w") as file:
    ...         for name, date in (("reference", "2025-11-22T02:46:18"), ("secondary", "2025-12-04T02:46:18")):
    ...             file[f"science/LSAR/identification/{name}ZeroDopplerStartTime"] = date
    ...         group = file.create_group("science/LSAR/ROFF/swaths/frequencyA/pixelOffsets")
    ...         group["slantRange"], group["sceneCenterAlongTrackSpacing"] = 9e5 + 40.0 * numpy.arange(3), 90.0
    ...         for name, value in (("slantRangeOffset", 0.5), ("alongTrackOffset", -2.0)):
    ...             group[f"HH/layer1/{name}"] = numpy.full((2, 3), value)
    ...     shifts = xoffset.formats.nisar.read(f"{folder}/roff.h5")
    >>> float(shifts.dx[0, 0, 0]), float(shifts.dy[0, 0, 0])
    (0.5, -2.0)
    """
    place = _options.as_path(path, "path", _READ)
    if not place.exists():
        raise FileNotFoundError(f"{_READ}() needs a file; got {place}, where there is none. Check the path.")
    h5py = looks.optional("h5py", "netcdf", _READ)
    with h5py.File(place, "r") as file:
        found = _choose(file, place.name, layer, polarisation)
        group = file[found[0].rsplit("/", 1)[0]]
        first, second = _dates(file, found["band"], place.name)
        fields = {ours: group[theirs][()] for ours, theirs in _NAMES.items() if theirs in group}
        for key in ("sigma_dx", "sigma_dy"):
            if key in fields:
                fields[key] = np.sqrt(np.where(fields[key] > 0.0, fields[key], np.nan))
        if found["product"] == "ROFF":
            return border.to_shifts(
                _RADAR, fields, first, second, _radar_place(group, place.name), source=[place.name], caller=_READ
            )
        grid = _map_place(group)
        vectors = _directions(file[f"{found['root']}/metadata/radarGrid"], grid, height, place.name)
        fields = _horizontal(fields, vectors)
        return border.to_shifts(_MAP, fields, first, second, grid, source=[place.name], caller=_READ)


def _choose(file: Any, name: str, layer: str, polarisation: str | None) -> re.Match[str]:
    """Path of the layer that is asked for."""
    names: list[str] = []
    file.visit(lambda path: names.append(path))
    found = [match for match in map(_LAYER.fullmatch, names) if match is not None]
    fitting = [each for each in found if each["layer"] == layer and polarisation in (None, each["polarisation"])]
    if len({each["frequency"] for each in fitting}) > 1:
        fitting = [each for each in fitting if each["frequency"] == "frequencyA"]
    if len(fitting) != 1:
        there = sorted({f"{each['polarisation']}/{each['layer']}" for each in found}) or ["none"]
        raise ValueError(
            f"{_READ}() needs one layer of offsets; got layer={layer!r}, polarisation={polarisation!r} of {name}, "
            f"which has {', '.join(there)}. Name one of these."
        )
    return fitting[0]


def _dates(file: Any, band: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    about = file[f"science/{band}/identification"]
    texts = [about[f"{which}ZeroDopplerStartTime"][()] for which in ("reference", "secondary")]
    plain = [(text.decode() if isinstance(text, bytes) else str(text)).strip().strip("\0")[:26] for text in texts]
    first, second = (stores.dates([text], f"dates of {name}", _READ) for text in plain)
    return first, second


def _map_place(group: Any) -> Place:
    import pyproj

    code = int(np.ravel(group["projection"].attrs["epsg_code"])[0])
    return Place(group["xCoordinates"][()], group["yCoordinates"][()], pyproj.CRS.from_epsg(code))


def _radar_place(group: Any, name: str) -> Place:
    """Slant range as x, way along the track as y."""
    offsets = group.parent.parent
    holders = [each for each in (group, group.parent, offsets, offsets.parent) if "slantRange" in each]
    spacing = [each["sceneCenterAlongTrackSpacing"][()] for each in (*holders, offsets.parent)
               if "sceneCenterAlongTrackSpacing" in each]  # fmt: skip
    if not holders or not spacing:
        raise ValueError(
            f"{_READ}() needs slantRange and sceneCenterAlongTrackSpacing; got {name} without. Read its GOFF product."
        )
    rows = np.arange(group["alongTrackOffset"].shape[0], dtype=np.float64)
    return Place(np.asarray(holders[0]["slantRange"][()], dtype=np.float64), rows * float(spacing[0]), None)


def _directions(cube: Any, grid: Place, height: float, name: str) -> np.ndarray:
    """Unit vectors toward the sensor and along the track, east and north of each (4, y, x), at a height."""
    lacking = [each for each in (*_VECTORS, "heightAboveEllipsoid") if each not in cube]
    if lacking:
        raise ValueError(
            f"{_READ}() needs {', '.join(_VECTORS)} of the radar grid; got {name} without {lacking[0]}. It is no whole "
            "product."
        )
    axes = [
        np.asarray(cube[key][()], dtype=np.float64) for key in ("heightAboveEllipsoid", "yCoordinates", "xCoordinates")
    ]
    height = _options.as_number(height, "height", _READ, least=-1e4)
    return np.stack([range_azimuth.at_height(cube[key][()], axes, height, grid.y, grid.x) for key in _VECTORS])


def _horizontal(fields: Mapping[str, np.ndarray], vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Displacements and errors toward east and north."""
    errors = (fields.get(key) for key in ("sigma_dx", "sigma_dy", "cov_dxdy"))
    turned = range_azimuth.horizontal(fields["dx"], fields["dy"], *errors, vectors=vectors)
    names = ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy")
    return dict(fields) | {key: each for key, each in zip(names, turned, strict=True) if each is not None}
