"""Names of bands: which of them see the same light, over the sensors of a family."""

from __future__ import annotations

import re

from xoffset.readers.scenes import Scene

SENTINEL2, LANDSAT = "Sentinel-2", "Landsat"

_COMMON = {
    "S2": {
        "B01": "coastal", "B02": "blue", "B03": "green", "B04": "red", "B05": "rededge1", "B06": "rededge2",
        "B07": "rededge3", "B08": "nir", "B8A": "nir08", "B09": "nir09", "B10": "cirrus", "B11": "swir16",
        "B12": "swir22",
    },
    "OLI": {
        "B1": "coastal", "B2": "blue", "B3": "green", "B4": "red", "B5": "nir08", "B6": "swir16", "B7": "swir22",
        "B8": "pan", "B9": "cirrus", "B10": "lwir11", "B11": "lwir12",
    },
    "TM": {
        "B1": "blue", "B2": "green", "B3": "red", "B4": "nir08", "B5": "swir16", "B6": "lwir", "B7": "swir22",
        "B8": "pan",
    },
}  # fmt: skip
# Landsat by the letter of its sensor and the number of the satellite: LT08 are the thermal bands beside those of LO08.
_LAYOUTS = {"C": "OLI", "O": "OLI", "E": "TM", "T": "TM"}


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
    platform = scene.platform or "S2A"
    if family(platform) == SENTINEL2:
        return _COMMON["S2"].get(scene.band, scene.band)
    if family(platform) == LANDSAT:
        layout = "OLI" if platform.endswith(("08", "09")) else _LAYOUTS.get(platform[1])
        number = re.sub(r"^(SR|ST)_", "", scene.band)
        # bands of the first scanners have numbers of their own
        return _COMMON[layout].get(number, number) if layout else f"{platform} {number}"
    return scene.band


def described(scene: Scene) -> str:
    """Band of a scene, for messages."""
    common = common_name(scene)
    sensor = f" of {scene.platform}" if scene.platform else ""
    return f"{scene.band}{sensor}" + (f" [{common}]" if common != scene.band else "")
