"""Products for other programs."""

from xoffset.export.geotiff import to_geotiff

__all__ = ["to_geotiff"]
