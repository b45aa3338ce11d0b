"""Names of bands: which of them see the same light, over the sensors of a family."""

from __future__ import annotations

import re

from xoffset.model import platforms
from xoffset.model.platforms import LANDSAT, OLD_LANDSAT, SENTINEL2
from xoffset.readers.landsat import bands as landsat_bands
from xoffset.readers.scenes import Scene

# Bands of Sentinel-2 by their common names.
OF_SENTINEL2 = {
    "coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge1": "B05", "rededge2": "B06",
    "rededge3": "B07", "nir": "B08", "nir08": "B8A", "nir09": "B09", "cirrus": "B10", "swir16": "B11", "swir22": "B12",
}  # fmt: skip


def family(platform: str | None) -> str:
    """Satellites whose scenes are alike; names that tell no platform are those of band files of Sentinel-2."""
    return SENTINEL2 if platform is None else platforms.family(platform)


def common_names(scene: Scene) -> tuple[str, ...]:
    """Names of a scene's band that are the same over all sensors, such as "red"; its own name if there is none."""
    if scene.band is None:
        return ()
    kind = family(scene.platform)
    names: dict[str, str] = {}
    number = scene.band
    if kind == SENTINEL2:
        names = OF_SENTINEL2
    elif kind in (LANDSAT, OLD_LANDSAT) and scene.platform:
        names = landsat_bands.common(scene.platform)
        number = re.sub(r"^(SR|ST)_|_VCID_\d$", "", number)
    return tuple(name for name, band in names.items() if band == number) or (number,)


def common_name(scene: Scene) -> str | None:
    """One name of a scene's band that is the same over all sensors."""
    return next(reversed(common_names(scene)), None)


def number(scene: Scene) -> str | None:
    """Number of a band of Sentinel-2 or Landsat, "4" of B04 and SR_B4; None of other names and sensors."""
    found = re.fullmatch(r"(?:SR_|ST_)?B0?(\d+A?)", scene.band or "")
    return found[1] if found and family(scene.platform) in (SENTINEL2, LANDSAT, OLD_LANDSAT) else None


def described(scene: Scene) -> str:
    """Band of a scene, for messages."""
    common = common_name(scene)
    sensor = f" of {scene.platform}" if scene.platform else ""
    return f"{scene.band}{sensor}" + (f" [{common}]" if common != scene.band else "")
