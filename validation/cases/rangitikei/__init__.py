"""Landslide in New Zealand with 27 pegs: what the published comparison says, and why a fast peg comes out too slow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import xoffset
from validation.case import Rows
from validation.cases.rangitikei.ground import images_of_pegs
from validation.data import Found
from validation.measures import Row, row, toward_truth, window_mean

HERE = Path(__file__).parent
FASTEST = ("Peg 21", "Peg 22")
# Dates of the images of the published comparison.
DATES = ("2016-11-22", "2017-11-22", "2018-12-17", "2019-11-22", "2020-12-01", "2021-11-01")


def run(found: Found) -> dict[str, Rows]:
    """The published comparison recomputed, what windows see of ground that moves as the pegs do, and the images."""
    pegs = pd.read_csv(HERE / "pegs.csv")
    tables = {"table": _published(pegs), "windows": windows(pegs)}
    if "images" in found and "pegs" in found:
        tables["table"] += of_images(found)
    return tables


# ---------------------------------------------------------------------------------------------------- what is published


def _published(pegs: pd.DataFrame) -> Rows:
    """Root mean square differences of the published table, and rates of the fastest pegs with the days they are of."""
    apart = {way: pegs[f"autorift_{way}"] - pegs[f"v_{way}"] for way in ("east", "north")}
    is_slow = pegs.name != "Peg 22"
    rows = []
    for way, each in apart.items():
        rows.append(row(f"published rates, RMSE {way}, without Peg 22", _rms(each[is_slow]), "m/yr"))
        rows.append(row(f"published rates, RMSE {way}, all pegs", _rms(each), "m/yr"))
    dates = pd.read_csv(HERE / "peg_dates.csv", parse_dates=["date"])
    for name in FASTEST:
        of_peg = dates[dates.name == name]
        for way, label in (("east", "E"), ("north", "N")):
            swapped = _rate(of_peg.date.map(_month_first), of_peg[f"cumulative_{way}"])
            rows.append(row(f"{name}, rate {label} with days and months exchanged", swapped, "m/yr"))
            rows.append(row(f"{name}, rate {label}", _rate(of_peg.date, of_peg[f"cumulative_{way}"]), "m/yr"))
    return rows


def _rms(values: pd.Series) -> float:
    return float(np.sqrt(np.mean(values.to_numpy() ** 2)))


def _rate(dates: pd.Series, moved: pd.Series) -> float:
    """Slope through the first date [m yr-1], as the published comparison fits it."""
    years = ((dates - dates.min()).dt.days / 365.25).to_numpy()
    return float(years @ moved.to_numpy() / (years @ years))


def _month_first(date: pd.Timestamp) -> pd.Timestamp:
    """Date as it becomes where 7/12/2015, the seventh of December, is read with the month first."""
    return date.replace(month=date.day, day=date.month) if date.day <= 12 else date


# ----------------------------------------------------------------------------------------------------- what windows see


def true_rates(pegs: pd.DataFrame) -> pd.DataFrame:
    """Published rates, those of the two fastest pegs by the days on which they were measured."""
    dates = pd.read_csv(HERE / "peg_dates.csv", parse_dates=["date"])
    mended = pegs.set_index("name")
    for name in FASTEST:
        of_peg = dates[dates.name == name]
        for way in ("east", "north"):
            mended.loc[name, f"v_{way}"] = _rate(of_peg.date, of_peg[f"cumulative_{way}"])
    return mended.reset_index()


def windows(pegs: pd.DataFrame) -> Rows:
    """Rates at the pegs by windows of several sizes, on images of ground that moves as the pegs do in between."""
    pegs = true_rates(pegs)
    stack, truth = images_of_pegs(pegs, DATES)
    network = stack.offset.pairs()
    ways = {
        "NCC, 320 m": {"template": 32},
        "NCC, 160 m": {"template": 16},
        "NCC, 160 to 320 m, the smallest that stands out": {"template": (16, 32)},
        "NCC, 80 m": {"template": 8},
        "regularized, 70 m": {"matcher": "regularized"},
    }
    published = {way: pegs[f"autorift_{way}"].to_numpy() for way in ("east", "north")}
    rows = [_at_pegs("autoRIFT and MintPy, 160 to 320 m, published", pegs, published)]
    for name, options in ways.items():
        shifts = stack.offset.correlate(network, search=14, step=2, **options)
        rate = shifts.offset.screen().offset.invert().offset.velocity().load()
        told = xoffset.compare(rate, pegs.rename(columns={"v_east": "vx", "v_north": "vy"}), axes="grid")
        found = {"east": told.east.values, "north": told.north.values}
        rows.append(_at_pegs(name, pegs, found) | _beside_means(rate, truth, options))
    return rows


def _at_pegs(name: str, pegs: pd.DataFrame, found: dict[str, np.ndarray]) -> Row:
    """Share of the speed of the fastest pegs that was found along their motion, and differences at all pegs."""
    told: Row = {"windows": name}
    for peg in FASTEST:
        here = int(np.flatnonzero(pegs.name == peg)[0])
        true = pegs.loc[here, ["v_east", "v_north"]].to_numpy(dtype=float)
        told[f"share of {peg}"] = float(found["east"][here] * true[0] + found["north"][here] * true[1]) / (true @ true)
    for way in ("east", "north"):
        told[f"RMSE {way}"] = float(np.sqrt(np.nanmean((found[way] - pegs[f"v_{way}"].to_numpy()) ** 2)))
    return told


def _beside_means(rate: xr.Dataset, truth: xr.Dataset, options: dict[str, object]) -> Row:
    """Root mean square difference from the mean motion of each window, where it moves at all."""
    side = options.get("template", 7)
    if not isinstance(side, int):
        return {}
    mean = window_mean(truth, side).interp(x=rate.x, y=rate.y)
    is_moving = np.hypot(mean.vx, mean.vy) > 1.0
    apart = [(rate[name] - mean[name]).where(is_moving).values for name in ("vx", "vy")]
    return {"RMSE from the mean of the window": float(np.sqrt(np.nanmean(np.square(apart))))}


# --------------------------------------------------------------------------------------------------------------- images


def of_images(found: Found) -> Rows:
    """Our rates of the same images beside the pegs."""
    stack = xoffset.open_stack(found.all("images"), date="s2_l2_R129_T60HUB_%Y%m%d").load()
    shifts = stack.offset.correlate(stack.offset.pairs(), template=(8, 16, 32), search=14, step=2).offset.screen()
    rate = shifts.offset.invert().offset.velocity().load()
    return toward_truth(rate, found.truth())
