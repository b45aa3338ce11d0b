# ruff: noqa: T201
"""Does a rock glacier speed up? Aerial photographs of Kaiserberg, 1953 to 2023."""

# %% images
from pathlib import Path

import numpy as np
import pandas as pd

import xoffset

folder = Path("kaiserberg_rock_glacier")
photos = xoffset.open_stack(folder / "ortho_*.tif", date="ortho_%Y")
print(dict(photos.sizes))
print(f"pixels of {float(photos.x[1] - photos.x[0]):.2f} m, years", *photos.time.dt.year.values)

# %% match
stack = photos.sel(time=slice("2003", None))
network = stack.offset.pairs(max_gap=2)
matched = stack.offset.correlate(network, template=32, search=36, step=16)
shifts = matched.offset.screen(min_score=0.5)
print(shifts.offset.losses())

# %% ground
stable = xoffset.masking.stable_ground(
    shifts, polygons=folder / "stable_area.geojson", moving=folder / "moving_area.geojson", buffer=20.0
)
moving = xoffset.masking.stable_ground(shifts, polygons=folder / "moving_area.geojson")

# squares of 4 x 4 nodes, as on a chessboard: one half corrects, the other half judges
row, column = np.indices(stable.shape)
is_first = (row // 4 + column // 4) % 2 == 0
told, held_out = stable & is_first, stable & ~is_first
print(int(told.sum()), "nodes to correct,", int(held_out.sum()), "to judge,", int(moving.sum()), "on the glacier")

# %% correct
corrected = shifts.offset.correct(stable=told, order=1, by_date=True, min_nodes=100)
names = ["median_before_dx", "median_before_dy", "nmad_before_dx", "nmad_after_dx", "sigma_ratio_dx"]
table = corrected[names].to_dataframe()[names]
table.index = pd.MultiIndex.from_arrays([corrected.reference.dt.year.values, corrected.secondary.dt.year.values])
print(table.round(2).to_string())

# %% closure
closure = corrected.offset.closure(stable=told)
print("bad dates:", closure.attrs["bad_dates"] or "none")
print("share of nodes whose triplets do not close:", closure.share_beyond.values.round(3))

# %% series
series = corrected.offset.invert(reference="2003-01-01", stable=told)
later, home = series.isel(time=slice(1, None)), series.isel(time=0)
spread = {}
for name in ("dx", "dy"):
    sigma = np.hypot(later[f"sigma_{name}"], home[f"sigma_{name}"])
    ratio = (later[name] / sigma).where(held_out)
    spread[name] = 1.4826 * abs(ratio - ratio.median(("y", "x"))).median(("y", "x")).values
    print(f"{name}: spread of held-out ground in standard errors", *spread[name].round(2))

# %% speed
steps = series.offset.interval_velocity()
speed = np.hypot(steps.vx, steps.vy).where(moving)
fastest = speed.quantile(0.99, ("y", "x")).values
sigma = np.hypot(steps.sigma_vx, steps.sigma_vy).where(moving).median(("y", "x")).values
known = np.array([1.16, 1.61, 1.62, 1.55])
for k in range(4):
    years = f"{steps.reference.dt.year.values[k]} to {steps.secondary.dt.year.values[k]}"
    print(f"{years}: {fastest[k]:.2f} m/yr, one vector ± {sigma[k]:.2f}; known {known[k]:.2f}")

# %% lobe
west, south, east, north = 26380.0, 196750.0, 26510.0, 196870.0
corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
crs = {"type": "name", "properties": {"name": "EPSG:31254"}}
mean = series.offset.area_mean({"type": "Polygon", "coordinates": [corners], "crs": crs}, stable=told)
for k in range(1, 5):
    since = (series.time[k] - series.time[k - 1]).dt.days.item() / 365.25
    moved = np.hypot(*(mean[name][k] - mean[name][k - 1] for name in ("dx", "dy"))).item()
    error = np.hypot(
        *(np.hypot(mean[f"sigma_{name}"][k], mean[f"sigma_{name}"][k - 1]) for name in ("dx", "dy"))
    ).item()
    print(f"{series.time.dt.year.values[k]}: mean of the lobe {moved / since:.2f} ± {error / since:.2f} m/yr")

# %% maps
rate = corrected.offset.calibrate(told).offset.velocity()
rate.offset.plot.velocity(image=stack[-1], save="velocity.png")
rate.offset.plot.stable(held_out, save="stable.png")

whole = series.dx.notnull().all("time")
place = rate.v.where(moving & whole).argmax(("y", "x"))
front = (float(rate.x[place["x"]]), float(rate.y[place["y"]]))
series.offset.plot.series([front], pairs=corrected, raw=matched, save="series.png")

# %% significant
beyond = np.hypot(rate.vx / rate.sigma_vx, rate.vy / rate.sigma_vy) > 3.0
for title, where in (("glacier", moving), ("held-out stable ground", held_out)):
    share = float(beyond.where(where & rate.vx.notnull()).mean())
    print(f"{title}: {share:.0%} of the vectors beyond 3 standard errors")

# %% lost
cases = {"1953 to 1971": photos.isel(time=[0, 1]), "2003 to 2023": photos.isel(time=[2, 6])}
left = {}
for title, two in cases.items():
    far = two.offset.correlate(two.offset.pairs(), template=32, search=72, step=16).offset.screen(min_score=0.5)
    places = {"stable ground": stable, "glacier": moving, "fast part": rate.v > 0.8}
    left[title] = {place: float(far.dx[0].notnull().where(where).mean()) for place, where in places.items()}
    print(f"{title}, matched:", ", ".join(f"{part:.0%} of the {place}" for place, part in left[title].items()))
far.offset.plot.flags(save="flags.png")

# %% numbers
numbers = {
    "fastest": fastest.round(4).tolist(),
    "spread": [[round(float(each), 4) for each in spread[name]] for name in ("dx", "dy")],
    "left": {title: {place: round(part, 4) for place, part in parts.items()} for title, parts in left.items()},
    "told": int(told.sum()),
}
