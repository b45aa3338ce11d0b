"""Families of satellites, from the names of their platforms."""

from __future__ import annotations

import re

SENTINEL2, LANDSAT, OLD_LANDSAT = "Sentinel-2", "Landsat", "Landsat 1 to 3"


def family(platform: str) -> str:
    """Satellites whose scenes are alike and whose orbits are numbered alike, in whatever way they are written.

    S2A and Sentinel-2B are one, and so are LC08 and landsat-7; Landsat 1 to 3 had other orbits. Of other names it is
    the letters that they start with.
    """
    name = platform.strip()
    if re.match(r"s(entinel-?)?2", name, re.IGNORECASE):
        return SENTINEL2
    if landsat := re.match(r"l(?:andsat-?|[a-z])0?(\d)", name, re.IGNORECASE):
        return OLD_LANDSAT if landsat[1] in "123" else LANDSAT
    letters = re.match(r"[A-Za-z-]+", name)
    return letters[0] if letters else name
