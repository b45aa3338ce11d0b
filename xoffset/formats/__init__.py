"""Other systems' files and tables: reader and writer of each side by side, since they share names, signs and units."""

from xoffset.formats import asp, carst, cosicorr, gdm, itslive, micmac, mintpy, mpic, ticoi
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.open_shifts import open_shifts
from xoffset.formats.tables import from_table

__all__ = [
    "asp", "carst", "cosicorr", "from_table", "gdm", "itslive", "micmac", "mintpy", "mpic", "open_shifts", "ticoi",
    "to_geotiff",
]  # fmt: skip
