# ruff: noqa: T201
"""How fast was a glacier, year by year, by the pairs that others matched? The table of a point of Columbia Glacier."""

# %% table
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import xoffset

folder = Path("itslive_point_columbia")
shifts = xoffset.open_shifts(folder / "columbia_61.1804_-146.9751.csv")
years = shifts.baseline / 365.25
speed = (np.hypot(shifts.dx, shifts.dy).squeeze(("y", "x"), drop=True) / years).rename("speed")
print(
    shifts.sizes["pair"],
    "pairs from",
    " to ".join(str(time)[:10] for time in (shifts.reference.values.min(), shifts.secondary.values.max())),
)

# %% separations
edges = [0, 20, 60, 120, 250, 400, 600]
table = pd.DataFrame({"days": pd.cut(shifts.baseline.values, edges), "speed": speed.values})
told = table.groupby("days", observed=True).speed.agg(["size", "median"])
print(told.round(0).astype(int).to_string())

# %% screen
screened = shifts.offset.screen(max_separation="auto")
lost = screened.offset.flagged("separation").squeeze(("y", "x"), drop=True)
print(f"longer than 400 days: {float(lost[shifts.baseline > 400].mean()):.0%} are rejected")
print(f"up to 60 days: {float(lost[shifts.baseline <= 60].mean()):.0%} are rejected")

# %% years
yearly = screened.offset.yearly_velocity().squeeze(("y", "x"), drop=True)
short = pd.DataFrame(
    {"year": (shifts.reference + (shifts.secondary - shifts.reference) / 2).dt.year.values, "speed": speed.values}
)
short = short[shifts.baseline.values <= 60].groupby("year").speed.agg(["size", "median"])
short = short[short["size"] >= 15]
apart = yearly.v.sel(year=short.index.values).values / short["median"] - 1.0
print(f"{len(short)} years with 15 short pairs or more; the worst is off by {abs(apart).max():.0%}")

# %% picture
figure, (above, below) = plt.subplots(2, 1, figsize=(7.5, 6.0), layout="constrained")
for where, colour, label in ((~lost, "#0b3c6f", "used"), (lost, "#e08a1e", "rejected")):
    above.plot(shifts.baseline[where], speed[where], ".", color=colour, markersize=3, label=label)
above.set(xlabel="days between the two images", ylabel="speed [m/yr]", ylim=(0, 6000))
above.legend()
sigma = np.hypot(yearly.sigma_vx, yearly.sigma_vy)
below.errorbar(yearly.year, yearly.v, 1.96 * sigma, fmt="o", color="#0b3c6f", markersize=4, label="year ± 1.96 sigma")
below.plot(short.index, short["median"], "_", color="#e08a1e", markersize=12, label="median of its short pairs")
below.set(xlabel="year", ylabel="speed [m/yr]", ylim=(0, None))
below.legend()
figure.savefig("years.png")

# %% mosaic
mosaic = {name: xoffset.open_stack([folder / f"mosaic_{name}.tif"], date=["2018-07-01"])[0] for name in ("vx", "vy")}
here = {"x": float(shifts.x[0]), "y": float(shifts.y[0])}
at_point = {name: float(each.sel(here, method="nearest")) for name, each in mosaic.items()}
whole = screened.offset.velocity().squeeze(("y", "x"), drop=True)
for name, value in at_point.items():
    print(f"{name}: mosaic {value:.0f}, median of the years {float(yearly[name].median()):.0f} m/yr")

# %% dates
as_told = screened.offset.diagnose()
days = {name: screened[name].dt.floor("D").astype("datetime64[us]") for name in ("reference", "secondary")}
daily = screened.assign_coords(days)
same = daily.offset.diagnose()
for title, found in (("as told", as_told), ("to the day", same)):
    print(f"{title}: {found.sizes['time']} dates")

# %% series
series = daily.offset.invert(loss="tukey")
known = series.dx.notnull().squeeze(("y", "x"), drop=True)
print(f"{series.n_components.item()} groups of dates; that of the reference date has {int(known.sum())}")
part = series.isel(time=known.values).sel(time=slice("2016-09", "2020-01"))
part.offset.plot.series(
    [(here["x"], here["y"])], title="displacement since " + series.attrs["reference"][:10], save="series.png"
)

# %% numbers
numbers = {
    "by_days": told["median"].round(1).tolist(),
    "rejected": [round(float(lost[where].mean()), 4) for where in (shifts.baseline > 400, shifts.baseline <= 60)],
    "worst": round(float(abs(apart).max()), 4),
    "dates": int(known.sum()),
}
