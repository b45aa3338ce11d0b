"""Image-pair velocities of ITS_LIVE at one point of a glacier, with long pairs that hold on to what stands still."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import row

LOCKED, SHORT = 400, 60  # days


def run(found: Found) -> dict[str, Rows]:
    """What is read, what the test of separation rejects, and velocities by year and of all years."""
    table = read(found)
    shifts = xoffset.from_table(
        table, kind="velocity", crs="EPSG:3413", components=("vx", "vy"), sigma=("vx_error", "vy_error")
    )
    years = shifts.baseline.values / 365.25
    speed = np.hypot(shifts.dx.values.ravel(), shifts.dy.values.ravel()) / np.abs(years)
    days = table.date_dt.to_numpy()
    screened = shifts.offset.screen(max_separation="auto")
    is_out = ((screened.flags & xoffset.flags.FLAGS["separation"]) > 0).values.ravel()
    short = table[table.date_dt <= SHORT].groupby("year")
    medians = short["v"].median()[short.size() >= 15]
    by_year = screened.offset.yearly_velocity().isel(y=0, x=0).v
    joint, without = (_speed(each.offset.velocity()) for each in (screened, shifts))
    return {
        "table": [
            row("median speed, pairs of up to 20 days", np.median(speed[days <= 20]), "m/yr"),
            row("median speed, 20 to 60 days", np.median(speed[(days > 20) & (days <= 60)]), "m/yr"),
            row("median speed, 60 to 120 days", np.median(speed[(days > 60) & (days <= 120)]), "m/yr"),
            row("median speed, more than 400 days", np.median(speed[days > LOCKED]), "m/yr"),
            row("locked pairs that are rejected", 100.0 * is_out[days > LOCKED].mean(), "%"),
            row("short pairs that are rejected", 100.0 * is_out[days <= SHORT].mean(), "%"),
            row("years, largest departure from short pairs", 100.0 * _apart(by_year, medians), "%"),
            row("median of the years", float(by_year.median()), "m/yr"),
            row("velocity of all pairs", joint, "m/yr"),
            row("the same without the test of separation", without, "m/yr"),
        ]
    }


def _speed(rate: xr.Dataset) -> float:
    return float(np.hypot(rate.vx, rate.vy).squeeze())


def _apart(found: xr.DataArray, medians: pd.Series) -> float:
    """Largest departure of velocities by year from medians, as a share."""
    return float(np.nanmax(np.abs(found.sel(year=medians.index).values / medians.to_numpy() - 1.0)))


def read(found: Found) -> pd.DataFrame:
    """Rows with the two dates that middle date and separation stand for; columns by their names without units."""
    rows = pd.read_csv(found.one("table"))
    rows = rows.rename(columns={name: name.split(" ")[0] for name in rows})
    middle, half = pd.to_datetime(rows["mid_date"], format="ISO8601"), pd.to_timedelta(rows["date_dt"] / 2, unit="D")
    dates = {"reference": (middle - half).dt.floor("D"), "secondary": (middle + half).dt.floor("D")}
    return rows.assign(year=middle.dt.year, **dates)
