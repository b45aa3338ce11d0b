"""Names of bands: which of them see the same light, over the sensors of a family."""

from __future__ import annotations

import re

from xoffset.readers.landsat import bands as landsat_bands
from xoffset.readers.scenes import Scene

SENTINEL2, LANDSAT = "Sentinel-2", "Landsat"

# Bands of Sentinel-2 by their common names.
OF_SENTINEL2 = {
    "coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge1": "B05", "rededge2": "B06",
    "rededge3": "B07", "nir": "B08", "nir08": "B8A", "nir09": "B09", "cirrus": "B10", "swir16": "B11", "swir22": "B12",
}  # fmt: skip


def family(platform: str | None) -> str:
    """Satellites whose scenes are alike: "Sentinel-2", "Landsat", or the letters that the name of others starts with.

    Names that tell no platform are those of band files of Sentinel-2.
    """
    if platform is None or re.fullmatch(r"S2[A-Z]", platform):
        return SENTINEL2
    if re.fullmatch(r"L[A-Z]\d\d", platform):
        return LANDSAT
    letters = re.match(r"[A-Za-z-]+", platform)
    return letters[0] if letters else platform


def common_name(scene: Scene) -> str | None:
    """Name of a scene's band that is the same over all sensors, such as "red"; its own name if there is none."""
    if scene.band is None:
        return None
    kind = family(scene.platform)
    names: dict[str, str] = {}
    number = scene.band
    if kind == SENTINEL2:
        names = OF_SENTINEL2
    elif kind == LANDSAT and scene.platform:
        names = landsat_bands.common(scene.platform)
        number = re.sub(r"^(SR|ST)_|_VCID_\d$", "", number)
    return {band: name for name, band in names.items()}.get(number, number)


def described(scene: Scene) -> str:
    """Band of a scene, for messages."""
    common = common_name(scene)
    sensor = f" of {scene.platform}" if scene.platform else ""
    return f"{scene.band}{sensor}" + (f" [{common}]" if common != scene.band else "")
