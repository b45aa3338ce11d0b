"""Surge-type glacier in Yukon: monthly velocities of image pairs of others, beside a GNSS receiver."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import row

MONTH = np.timedelta64(30, "D")
_DAY = np.timedelta64(1, "D")


def run(found: Found) -> dict[str, Rows]:
    """Errors of single pairs and of velocities by month, both beside the mean of the receiver over the same days."""
    rows = pd.read_csv(found.one("pairs"), parse_dates=["reference", "secondary"])
    shifts = xoffset.from_table(
        rows, kind="velocity", crs="EPSG:3413", components=("vx", "vy"), sigma=("vx_error", "vy_error")
    )
    receiver = found.truth()
    daily = pd.DataFrame(
        {"day": pd.to_datetime(receiver.reference, format="ISO8601"), "x": receiver.vx, "y": receiver.vy}
    )
    single = _apart(rows.reference.to_numpy(), rows.secondary.to_numpy(), rows.vx.to_numpy(), rows.vy.to_numpy(), daily)
    joint = _apart(*_monthly(shifts), daily)
    return {
        "table": [
            row("error of single pairs (RMSE of the vector)", single[0], "m/yr"),
            row("error of velocities by month", joint[0], "m/yr"),
            row("error that the inversion takes off", 100.0 * (1.0 - joint[0] / single[0]), "%"),
            row("months beside the receiver", joint[1], "months"),
        ]
    }


def _monthly(shifts: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Starts and ends of months, and velocities between them."""
    series = shifts.offset.screen(max_separation="auto").offset.invert(loss="tukey").isel(y=0, x=0)
    series = series.sel(time=np.isfinite(series.dx))
    edges = np.arange(series.time.values[0].astype("M8[D]"), series.time.values[-1].astype("M8[D]"), MONTH)
    at = {name: np.interp(_days(edges), _days(series.time.values), series[name].values) for name in ("dx", "dy")}
    years = np.diff(_days(edges)) / 365.25
    return edges[:-1], edges[1:], np.diff(at["dx"]) / years, np.diff(at["dy"]) / years


def _days(dates: np.ndarray) -> np.ndarray:
    return (dates - np.datetime64("2000-01-01")) / _DAY


def _apart(
    start: np.ndarray, end: np.ndarray, vx: np.ndarray, vy: np.ndarray, daily: pd.DataFrame
) -> tuple[float, float]:
    """Root mean square difference from the receiver, of spans of which it saw at least half of the days; how many."""
    found = []
    for first, last, x, y in zip(start, end, vx, vy, strict=True):
        here = daily[(daily.day >= first) & (daily.day < last)]
        if len(here) >= 0.5 * (last - first) / _DAY:
            found.append((x - here.x.mean()) ** 2 + (y - here.y.mean()) ** 2)
    known = np.array(found)[np.isfinite(found)]
    return (float(np.sqrt(known.mean())) if known.size else float("nan")), float(known.size)
