"""Bands of Landsat: their names by sensor, their scales, their fill values, and the bits of the layers of quality."""

from __future__ import annotations

import re

from xoffset.readers.landsat.mtl import Metadata

_OLI = {
    "coastal": "B1", "blue": "B2", "green": "B3", "red": "B4", "nir": "B5", "nir08": "B5", "swir16": "B6",
    "swir22": "B7", "pan": "B8", "cirrus": "B9", "lwir11": "B10", "lwir12": "B11",
}  # fmt: skip
_TM = {
    "blue": "B1", "green": "B2", "red": "B3", "nir": "B4", "nir08": "B4", "swir16": "B5", "swir22": "B7", "lwir": "B6",
}  # fmt: skip
# The scanners of Landsat 1 to 3 counted their bands from 4.
_MSS_FROM_4 = {"green": "B4", "red": "B5", "nir08": "B6", "nir": "B7", "nir09": "B7"}
_MSS_FROM_1 = {"green": "B1", "red": "B2", "nir08": "B3", "nir": "B4", "nir09": "B4"}

# Bits by layer of quality. Of the confidences in two bits the upper one is taken, which is set from medium on.
BITS_OF_PIXELS = {
    "fill": 1 << 0, "dilated_cloud": 1 << 1, "cirrus": 1 << 2, "cloud": 1 << 3, "cloud_shadow": 1 << 4, "snow": 1 << 5,
    "clear": 1 << 6, "water": 1 << 7,
}  # fmt: skip
_BQA_1 = {"fill": 1 << 0, "cloud": 1 << 4, "cloud_shadow": 1 << 8, "snow": 1 << 10}
_BQA_1_OLI = _BQA_1 | {"terrain_occlusion": 1 << 1, "cirrus": 1 << 12}
_BQA_1_OTHERS = _BQA_1 | {"dropped_pixel": 1 << 1}
_BQA_0 = {
    "fill": 1 << 0, "dropped_frame": 1 << 1, "terrain_occlusion": 1 << 2, "water": 1 << 5, "snow": 1 << 11,
    "cirrus": 1 << 13, "cloud": 1 << 15,
}  # fmt: skip


def common(platform: str) -> dict[str, str]:
    """Bands of a satellite by their common names."""
    sensor, craft = platform[1], int(platform[2:])
    if sensor == "M":
        return _MSS_FROM_4 if craft <= 3 else _MSS_FROM_1
    if craft >= 8:
        return _OLI
    return _TM | {"pan": "B8"} if sensor == "E" else _TM


def find(band: int | str | None, metadata: Metadata) -> str:
    """Name of a band in a product: "B8" and "SR_B4" as they are, "B4" for SR_B4 and ST_B6 too, or a common name."""
    known = common(metadata.platform)
    if isinstance(band, str):
        wanted = known.get(band.lower(), band.upper())
        for name in (wanted, f"SR_{wanted}", f"ST_{wanted}"):
            if name in metadata.files:
                return name
    names: dict[str, list[str]] = {name: [] for name in metadata.files}
    for alias, number in known.items():
        for name in (number, f"SR_{number}", f"ST_{number}"):
            if name in names:
                names[name].append(alias)
    offer = ", ".join(f"{name} ({', '.join(also)})" if also else name for name, also in names.items())
    got = "none" if band is None else f"{band!r}"
    raise ValueError(
        f"open_stack() needs the name of a band of {metadata.name}; got {got}. It has {offer}. "
        "Pass band= with one of these names."
    )


def number(name: str | None) -> str | None:
    """Number of a band as metadata have it: "4" for SR_B4, "6_VCID_1" for B6_VCID_1; None of layers of quality."""
    match = None if name is None else re.fullmatch(r"(?:SR_|ST_)?B(\d+(?:_VCID_\d)?)", name)
    return match[1] if match else None


def scale(name: str, metadata: Metadata) -> tuple[float | None, float | None]:
    """Offset and quantification of a reflective band, so that reflectance = (value + offset) / quantification.

    Reflectance of level 1 is not corrected for the elevation of the sun. Thermal bands have none.
    """
    found = None if name.startswith("ST_") else metadata.scales.get(number(name) or "")
    if found is None:
        return None, None
    factor, addend = found
    # as exact as the decimals of the metadata are: 1 / 2e-5 is 50000
    return _rounded(addend / factor), _rounded(1 / factor)


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")


def fill(name: str) -> float | None:
    """Value of a band or layer where it has no pixel, for files that declare none; None if every value counts."""
    if number(name) is not None:
        return 0
    if name in ("QA_PIXEL", "BQA", "SR_QA_AEROSOL"):
        return 1
    return -9999 if name.startswith("ST_") or name == "SR_ATMOS_OPACITY" else None


def quality(metadata: Metadata) -> tuple[str, dict[str, int]]:
    """Name of the layer of quality and its bits."""
    if metadata.collection == "pre-collection":
        return "BQA", _BQA_0
    if metadata.collection == "C1":
        return "BQA", _BQA_1_OLI if int(metadata.platform[2:]) >= 8 else _BQA_1_OTHERS
    if int(metadata.platform[2:]) >= 8:
        return "QA_PIXEL", BITS_OF_PIXELS
    return "QA_PIXEL", {name: bit for name, bit in BITS_OF_PIXELS.items() if name != "cirrus"}
