"""Variables of what heights beside those of the terrain model do to motion."""

from __future__ import annotations

from xoffset.model.tables import table

OF_TOPOGRAPHY = table(
    ("y", "x"),
    {
        "dem_error": ("m", "height of the ground above the terrain model that images were laid on"),
        "sigma_dem_error": ("m", "standard error of the height above the terrain model"),
    },
    signed=("dem_error",),
)
THINNING = table(
    ("...", "y", "x"),
    {
        "bias_x": ("1", "displacement along x for each metre that the surface rises"),
        "bias_y": ("1", "displacement along y for each metre that the surface rises"),
    },
    signed=("bias_x", "bias_y"),
)
