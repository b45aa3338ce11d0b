"""Variables of when motion changes: dates of changes, and of failure."""

from __future__ import annotations

from xoffset.model.tables import components_of, flags, table

_MAP = ("y", "x")
_CHANGES = ("change", *_MAP)

ONSET = (
    table(
        _CHANGES,
        {
            "change_date": (None, "date at which the velocity changes"),
            "change_earliest": (None, "begin of the interval that holds the date of the change"),
            "change_latest": (None, "end of the interval that holds the date of the change"),
            "false_alarm": ("1", "probability that noise alone bends the motion as much somewhere"),
        },
    )
    | components_of(_CHANGES, "v{}_before", "m yr-1", "velocity before the change")
    | components_of(_CHANGES, "v{}_after", "m yr-1", "velocity after the change")
    | table(_MAP, {"n_changes": (None, "number of changes found")})
    | flags(_MAP)
)
FAILURE = table(
    _MAP,
    {
        "failure_date": (None, "date at which the inverse velocity would be zero"),
        "failure_earliest": (None, "begin of the interval that holds the date"),
        "failure_latest": (None, "end of the interval that holds the date"),
        "rms": ("m", "root mean square residual of the mean component"),
        "n_dates": (None, "number of dates that took part"),
    },
) | flags(_MAP)
