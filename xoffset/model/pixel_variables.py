"""Registry of variables that tell of pixels what does not come of matches: angles, detectors, classes, terrain."""

from __future__ import annotations

from xoffset.model.tables import table as _table

_TURN = 360.0  # [degree] after which a direction is the same again
_MAP = ("y", "x")
_TIME_MAPS = ("time", *_MAP)
_ANY_MAPS = ("...", *_MAP)

# what products of satellites tell of the pixels of a stack
ANGLES = _table(
    _TIME_MAPS,
    {
        "sun_azimuth": ("degree", "direction toward the sun, clockwise from true north"),
        "sun_elevation": ("degree", "height of the sun above the horizon"),
        "view_azimuth": ("degree", "direction toward the satellite, clockwise from true north"),
        "view_zenith": ("degree", "angle between the satellite and the zenith"),
    },
    periods={"sun_azimuth": _TURN, "view_azimuth": _TURN},
)
DETECTORS = _table(_TIME_MAPS, {"detector": (None, "number of the detector that saw the pixel, 0 where none did")})
CLASSES = _table(_TIME_MAPS, {"classes": (None, "classes that the product gives to the pixel")})
# of ground and of images, by the terrain and what is known of it
TERRAIN = (
    _table(
        _MAP,
        {
            "elevation": ("m", "height of the terrain"),
            "slope": ("degree", "slope of the terrain from the horizontal"),
            "aspect": ("degree", "direction in which the terrain falls, clockwise from grid north"),
            "usable": (None, "whether the pixel may be matched"),
            "stable": (None, "whether the ground is known to stand still"),
            "land_classes": (None, "whether the ground is land, glacier or water"),
            "search_range": ("pixel", "half-range of the search"),
            "v": ("m yr-1", "speed that is expected"),
        },
        periods={"aspect": _TURN},
    )
    | _table(_ANY_MAPS, {"shadow": (None, "whether terrain keeps the sun away, or is not known")})
)  # fmt: skip
PIXEL_CLASSES = _table(_TIME_MAPS, {"classes": (None, "what the pixel shows")})
USABLE = _table(_TIME_MAPS, {"usable": (None, "whether the pixel may be matched")})
