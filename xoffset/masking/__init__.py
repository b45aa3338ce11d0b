"""What of the images may be matched, and what of the ground stands still."""

from xoffset.masking.stable_ground import stable_ground
from xoffset.masking.terrain import aspect, cast_shadow, slope, slope_mask

__all__ = ["aspect", "cast_shadow", "slope", "slope_mask", "stable_ground"]
