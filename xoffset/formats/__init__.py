"""Other systems' files and tables: reader and writer of each side by side, since they share names, signs and units."""

from xoffset.formats import (
    autorift,
    cf,
    geojson,
    geoparquet,
    geozarr,
    icechunk,
    itslive,
    itslive_cube,
    kmz,
    mesh,
    nisar,
    points,
    pycorr,
    stac,
)
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.open_shifts import open_shifts
from xoffset.formats.tables import from_table

__all__ = [
    "autorift",
    "cf",
    "from_table",
    "geojson",
    "geoparquet",
    "geozarr",
    "icechunk",
    "itslive",
    "itslive_cube",
    "kmz",
    "mesh",
    "nisar",
    "open_shifts",
    "points",
    "pycorr",
    "stac",
    "to_geotiff",
]
