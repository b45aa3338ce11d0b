"""Registry of variables that tell of the sun and of the seasons: what was removed of a series, and how sure it is."""

from __future__ import annotations

from xoffset.model.tables import components_of as _components
from xoffset.model.tables import errors_of as _errors
from xoffset.model.tables import table as _table

_MAP = ("y", "x")
_TIME_MAPS = ("time", *_MAP)
_TOLD = {"sun_condition": ("1", "condition number of telling the sun from a yearly motion")}

SUN_CONDITION = _table(_MAP, _TOLD)

# of a series without what came back each year
OF_REMOVAL = _table(
    _TIME_MAPS,
    {
        "removed_dx": ("m", "displacement along x that was removed"),
        "removed_dy": ("m", "displacement along y that was removed"),
    },
    signed=("removed_dx", "removed_dy"),
) | _table(
    _MAP,
    _TOLD | {"season_share": ("1", "share of the variance about slow motion that the season takes")},
)

# of a decomposition: what one metre of shadow makes
OF_SUN = (
    _components(_MAP, "sun_east_d{}", "m", "displacement per cotangent of the elevation, sun in the east,")
    | _components(_MAP, "sun_north_d{}", "m", "displacement per cotangent of the elevation, sun in the north,")
    | SUN_CONDITION
)

_SECTORS = ("aspect",)
_OF_SECTORS = _table(
    _SECTORS,
    {
        "shadow_height": ("m", "height of what casts the shadows that ground seems to move with"),
        "shadow_across": ("m", "the same across the direction of the sun"),
    },
    signed=("shadow_height", "shadow_across"),
)
LIGHT = (
    _OF_SECTORS
    | _errors(_OF_SECTORS, "standard error: ")
    | _table(
        _SECTORS,
        {
            "n_nodes": (None, "number of stable nodes on slopes of this aspect"),
            "largest": ("m", "largest displacement by light between two dates"),
        },
    )
)
