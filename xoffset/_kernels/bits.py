"""Why a match has no value; bit numbers are public and are never reused."""

OUTSIDE = 1 << 0
NODATA = 1 << 1
FEW_VALID = 1 << 2
FLAT = 1 << 3
BORDER = 1 << 4
REFINE_FAILED = 1 << 5
ILL_CONDITIONED = 1 << 6
NO_PRIOR = 1 << 7
TEMPLATE_DISAGREES = 1 << 8
