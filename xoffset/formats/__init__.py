"""Other systems' files and tables: reader and writer of each side by side, since they share names, signs and units."""

from xoffset.formats import autorift, itslive, itslive_cube, nisar, pycorr
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.open_shifts import open_shifts
from xoffset.formats.tables import from_table

__all__ = ["autorift", "from_table", "itslive", "itslive_cube", "nisar", "open_shifts", "pycorr", "to_geotiff"]
