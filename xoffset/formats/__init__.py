"""Other systems' files and tables: reader and writer of each side by side, since they share names, signs and units."""

from xoffset.formats import cf, geojson, geoparquet, geozarr, icechunk, itslive, kmz, mesh, points, stac
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.open_shifts import open_shifts
from xoffset.formats.tables import from_table

__all__ = [
    "cf", "from_table", "geojson", "geoparquet", "geozarr", "icechunk", "itslive", "kmz", "mesh", "open_shifts",
    "points", "stac", "to_geotiff",
]  # fmt: skip
