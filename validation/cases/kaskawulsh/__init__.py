"""A published velocity map of a glacier, by the numbers of GLAFT; and its images, where they are at hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import nmad, row
from xoffset.masking import stable_ground

DAYS = 32.0


def run(found: Found) -> dict[str, Rows]:
    """Numbers of the published map, of all tools in the published table, and of a map of ours if there are images."""
    published = xoffset.open_shifts(found.one("velocity")).load()
    rock, ice = (stable_ground(published, polygons=found.one(key)) for key in ("rock", "ice"))
    tables = {"table": _of_map(published, rock, ice), "tools": _tools(found)}
    if "images" in found:
        tables["tools"].append(_own(found) | {"tool": "xoffset", "maps": 1})
    return tables


def _of_map(shifts: xr.Dataset, rock: xr.DataArray, ice: xr.DataArray) -> Rows:
    told = xoffset.stable_statistics(shifts, rock, moving=ice).isel(pair=0)
    on_rock = {name: shifts[name].isel(pair=0).where(rock).values / DAYS for name in ("dx", "dy")}
    speed = np.hypot(shifts.dx, shifts.dy).isel(pair=0).where(ice) / DAYS
    rows = [
        row("static pixels", float(told.n_stable), "pixels"),
        row("wrong matches", 100.0 * float(told.wrong_share), "%"),
        row("median speed of the ice", float(speed.median()), "m/day"),
        row("95th percentile of the speed of the ice", float(speed.quantile(0.95)), "m/day"),
        # GLAFT does not divide the sums of Sobel by 8
        row("extension along the flow, as GLAFT counts it", 8.0 * float(told.along_flow_normal) / DAYS, "1/day"),
        row("shear along the flow, as GLAFT counts it", 8.0 * float(told.along_flow_shear) / DAYS, "1/day"),
    ]
    for name, axis in (("dx", "x"), ("dy", "y")):
        rows += [
            row(f"static uncertainty, {axis}", float(told[f"uncertainty_{name}"]) / DAYS, "m/day"),
            row(f"static peak, {axis}", float(told[f"bias_{name}"]) / DAYS, "m/day"),
            row(f"static median, {axis}", float(np.nanmedian(on_rock[name])), "m/day"),
            row(f"static spread (NMAD), {axis}", nmad(on_rock[name]), "m/day"),
        ]
    return rows


def _tools(found: Found) -> Rows:
    """Medians over the maps of each tool in the table of GLAFT, static ground and three GNSS receivers."""
    table = pd.read_csv(found.one("tools"))
    apart = [np.hypot(table[f"pt{k}_vxavgdiff"], table[f"pt{k}_vyavgdiff"]) for k in range(3)]
    rows = []
    for tool, part in table.groupby("Software"):
        pooled = np.concatenate([each[part.index] for each in apart])
        rows.append(
            {
                "tool": str(tool),
                "maps": len(part),
                "static uncertainty, x": float(part["SAV-uncertainty-x"].median()),
                "static uncertainty, y": float(part["SAV-uncertainty-y"].median()),
                "wrong %": float(part["SAV-outlier-percent"].median()),
                "invalid %": float(part["Invalid-pixel-percent"].median()),
                "beside GNSS": float(np.nanmedian(pooled)),
            }
        )
    return rows


def _own(found: Found) -> dict[str, float]:
    """The same numbers of a map of ours, of the same pair of Landsat."""
    stack = xoffset.open_stack(found.all("images"), band="B8")
    shifts = stack.offset.correlate(stack.offset.pairs(), template=32, search=12, step=4).offset.screen().load()
    told = xoffset.stable_statistics(shifts, stable_ground(shifts, polygons=found.one("rock"))).isel(pair=0)
    days = float(shifts.baseline[0])
    return {
        "static uncertainty, x": float(told.uncertainty_dx) / days,
        "static uncertainty, y": float(told.uncertainty_dy) / days,
        "wrong %": 100.0 * float(told.wrong_share),
        "invalid %": 100.0 * float(shifts.dx.isnull().mean()),
    }
