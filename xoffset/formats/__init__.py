"""Other systems' files and tables: reader and writer of each side by side, since they share names, signs and units."""

from xoffset.formats import (
    asp,
    autorift,
    carst,
    cosicorr,
    gdm,
    itslive,
    itslive_cube,
    micmac,
    mintpy,
    mpic,
    nisar,
    pycorr,
    ticoi,
)  # fmt: skip
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.open_shifts import open_shifts
from xoffset.formats.tables import from_table

__all__ = [
    "asp", "autorift", "carst", "cosicorr", "from_table", "gdm", "gnss", "itslive", "itslive_cube", "itslive_table",
    "micmac", "mintpy", "mpic", "nisar", "open_shifts", "planet2mintpy", "pycorr", "table", "ticoi", "ticoi_table",
    "to_geotiff",
]  # fmt: skip
