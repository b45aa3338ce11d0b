"""What of each image may be matched: clouds, shadows, snow and water, and what becomes of them as a mask."""

from xoffset.masking.classes import classes
from xoffset.masking.usable import usable

__all__ = ["classes", "usable"]
