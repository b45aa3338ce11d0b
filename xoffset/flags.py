"""Why a value is missing or doubtful: `FLAGS` holds the bit of each reason in a variable `flags`, by name.

Bit numbers never change: 0 to 9 come from matching, 10 to 24 from screening and correction, 25 to 30 from inversion and
fits, 31 and on from what came later. Zero means good.
"""

from xoffset.model.flags import FLAGS, flag_summary, flagged

__all__ = ["FLAGS", "flag_summary", "flagged"]
