"""Other systems' files and tables: reader and writer of each side by side, since they share names, signs and units."""

from xoffset.formats import (
    asp,
    autorift,
    carst,
    cf,
    cosicorr,
    gdm,
    geojson,
    geoparquet,
    geozarr,
    gnss,
    icechunk,
    itslive,
    itslive_cube,
    itslive_table,
    kmz,
    mesh,
    micmac,
    mintpy,
    mpic,
    nisar,
    planet2mintpy,
    points,
    pycorr,
    stac,
    table,
    ticoi,
    ticoi_table,
    tio,
)
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.open_shifts import open_shifts
from xoffset.formats.tables import from_table

__all__ = [
    "asp", "autorift", "carst", "cf", "cosicorr", "from_table", "gdm", "geojson", "geoparquet", "geozarr", "gnss",
    "icechunk", "itslive", "itslive_cube", "itslive_table", "kmz", "mesh", "micmac", "mintpy", "mpic", "nisar",
    "open_shifts", "planet2mintpy", "points", "pycorr", "stac", "table", "ticoi", "ticoi_table", "tio", "to_geotiff",
]  # fmt: skip
