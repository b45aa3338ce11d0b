"""What of each image may be matched, and what of the ground stands still."""

from xoffset.masking.classes import classes
from xoffset.masking.combine import combine
from xoffset.masking.drop_cloudy import drop_cloudy
from xoffset.masking.land_classes import land_classes
from xoffset.masking.stable_ground import stable_ground
from xoffset.masking.terrain import aspect, cast_shadow, slope, slope_mask
from xoffset.masking.usable import usable

__all__ = [
    "aspect", "cast_shadow", "classes", "combine", "drop_cloudy", "land_classes", "slope", "slope_mask",
    "stable_ground", "usable",
]  # fmt: skip
