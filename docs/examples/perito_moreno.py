# ruff: noqa: T201
"""How fast does a glacier flow that clouds hide half of the time? Sentinel-2 views of Perito Moreno."""

# %% images
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage

import xoffset

folder = Path("perito_moreno_s2")
part = (700.0, -800.0, 1500.0, -100.0)
stack = xoffset.open_stack(folder / "2020*.jpg", band=1, date="%Y%m%d", pixel_size=1.0, bbox=part)
print(dict(stack.sizes), "from", " to ".join(str(time)[:10] for time in stack.time.values[[0, -1]]))

# %% ground
mask = xoffset.open_stack([folder / "mask.jpg"], band=1, date=["2020-01-01"], pixel_size=1.0, bbox=part).values[0]
# compression smears the black around the cut-out into the pixels next to it
seen = scipy.ndimage.binary_erosion(stack.median("time") > 10, iterations=12, border_value=1)
known, ice, beside = (
    stack.isel(time=0, drop=True).copy(data=where) for where in (seen, seen & (mask > 128), seen & (mask <= 128))
)
print(f"{float(ice.mean()):.0%} of the picture is ice, {float(beside.mean()):.1%} is ground beside it")

# %% first
network = stack.offset.pairs(max_baseline="31D")
first = stack.offset.correlate(network, template=32, search=13, step=64, mask=ice).offset.screen(min_score=0.5)

on_ice = ice.reindex(x=first.x, y=first.y, method="nearest")
share = first.dx.notnull().where(on_ice).mean(("y", "x"))
best = {
    str(time)[:10]: float(share[(first.reference == time) | (first.secondary == time)].max())
    for time in stack.time.values
}
print(network.sizes["pair"], "pairs")
print(pd.Series(best).map("{:.0%}".format).to_string())

# %% match
days = [day for day, part in best.items() if part > 0.5]
clear = stack.isel(time=stack.time.dt.strftime("%Y-%m-%d").isin(days).values)
pairs = clear.offset.pairs(max_gap=3, max_baseline="31D")
matched = clear.offset.correlate(pairs, template=32, search=13, step=16, mask=known)
shifts = matched.offset.screen(min_score=0.5)
print(clear.sizes["time"], "dates,", pairs.sizes["pair"], "pairs")
print(shifts.offset.losses())

# %% position
still = beside.reindex(x=shifts.x, y=shifts.y, method="nearest")
statistics = shifts.offset.stable_statistics(still)
off = np.hypot(statistics.median_dx, statistics.median_dy)
count = int(statistics.n_stable.median())
print(f"{count} vectors lie beside the ice in the median pair; they are {float(off.median()):.2f} px off")

# %% closure
closure = shifts.offset.closure()
print("bad dates:", closure.attrs["bad_dates"] or "none")
print(f"median misclosure {float(closure.median_closure.median()):.2f} px")

# %% velocity
rate = shifts.offset.velocity(min_pairs=8)
on_ice = ice.reindex(x=rate.x, y=rate.y, method="nearest")
speed = rate.v.where(on_ice) / 365.25
print(f"95 % of this ice are slower than {float(speed.quantile(0.95)):.2f} px a day")
print(f"standard error of one vector {float((rate.sigma_vx.where(on_ice) / 365.25).median()):.3f} px a day")
view = stack.sel(time="2020-02-20")
rate.offset.plot.velocity(image=view, title="velocity, pixels a year", save="velocity.png")
rate.offset.plot.sigma(title="standard error, pixels a year", save="sigma.png")

# %% known
cases = {("2020-01-31", "2020-02-07"): 2.2, ("2020-02-10", "2020-02-20"): 3.6, ("2020-01-01", "2020-01-31"): 9.8}
moved = {}
for (one, other), pixels in cases.items():
    two = stack.sel(time=[one, other])
    found = two.offset.correlate(two.offset.pairs(), search=14, step=16, mask=ice).offset.screen(min_score=0.5)
    moved[one, other] = float(np.hypot(found.dx, found.dy).quantile(0.95))
    print(f"{one} to {other}: {moved[one, other]:.1f} px here, {pixels} px on the whole tongue")

# %% series
series = shifts.offset.invert()
whole = series.dx.notnull().mean("time")
place = speed.where(whole == whole.max()).argmax(("y", "x"))
middle = (float(rate.x[place["x"]]), float(rate.y[place["y"]]))
series.offset.plot.series([middle], pairs=shifts, raw=matched, title="displacement, pixels", save="series.png")

# %% strip
beside_ice = np.hypot(*(rate[name].where(still).median() for name in ("vx", "vy"))) / 365.25
corrected = shifts.offset.correct(stable=still, by_date=True, min_nodes=20).offset.velocity(min_pairs=8)
slower = float((corrected.v.where(on_ice) / 365.25).quantile(0.95))
print(f"the ground beside the ice seems to move by {float(beside_ice):.3f} px a day")
print(f"corrected on it, 95 % of the ice would be slower than {slower:.2f} px a day")

# %% numbers
numbers = {
    "share": {day: round(part, 4) for day, part in best.items()},
    "speed": round(float(speed.quantile(0.95)), 4),
    "moved": [round(each, 4) for each in moved.values()],
    "dates": len(days),
}
