# ruff: noqa: T201
"""Where did the ground break, and by how much? A synthetic earthquake, so that the answer is known."""

# %% images
import numpy as np

import xoffset

event = "2021-02-14T03:20"
dates = ["2020-09-01", "2020-11-10", "2021-01-05", "2021-03-01", "2021-04-20", "2021-06-15"]
stack, truth = xoffset.synthetic.stack(
    (360, 360), dates=dates, field="fault", velocity=0.0, step=3.0, step_date=event, direction=20.0,
    snr=6.0, clouds=0.04, illumination=0.1, misregistration=4.0, ramp=3.0, seed=11,
)  # fmt: skip

# %% match
network = stack.offset.pairs(split=event)
matched = stack.offset.correlate(network, template=32, search=6, step=8)
shifts = matched.offset.screen(min_score=0.5)
print(shifts.offset.losses())

# %% first
first = shifts.offset.correct().offset.coseismic(event)
first.offset.strain(window=7).offset.plot.variable("max_shear", save="shear.png")

# %% trace
middle = np.array([float(stack.x.mean()), float(stack.y.mean())])
along = np.array([np.sin(np.radians(20.0)), np.cos(np.radians(20.0))])
trace = [tuple(middle - 1500.0 * along), tuple(middle + 1500.0 * along)]
results = {
    "as it is": shifts.offset.correct(),
    "plane": shifts.offset.correct(order=1),
    "plane beside the trace": shifts.offset.correct(order=1, trace=trace),
}
for title, result in results.items():
    removed = result.removed_dy[0]
    print(f"{title}: removed from the first pair {float(removed.min()):.1f} to {float(removed.max()):.1f} m of dy")

# %% slip
across = np.array([along[1], -along[0]])
line = [tuple(middle - 1500.0 * across), tuple(middle + 1500.0 * across)]


def slip(found, near=300.0, far=900.0):
    """Motion of the side at the end of the line less that at its beginning, along the fault [m]."""
    section = found.offset.profile(line, width=1600.0, strike=20.0)
    offset = section.distance - 1500.0
    sides = [section.parallel.where((way * offset > near) & (way * offset < far)).median() for way in (1.0, -1.0)]
    return float(sides[0] - sides[1])


true = slip(truth[["dx", "dy"]].isel(time=-1))
told = {}
for title, result in results.items():
    told[title] = slip(result.offset.coseismic(event))
    print(f"{title}: {told[title]:.2f} m, true {true:.2f} m")

# %% maps
found = results["plane beside the trace"].offset.coseismic(event)
found.offset.plot.displacement(image=stack[-1], save="displacement.png")
section = found.offset.profile(line, width=1600.0, strike=20.0)
section.offset.plot.profile(fault=1500.0, gap=640.0, save="profile.png")

# %% sigma
within = np.sqrt((found.sigma_dy**2 - found.sigma_shift**2).clip(min=0.0))
at_nodes = truth[["dx", "dy"]].isel(time=-1).interp(x=found.x, y=found.y)
error = (found.dy - at_nodes.dy).where(
    abs((found.x - middle[0]) * across[0] + (found.y - middle[1]) * across[1]) > 320.0
)
error = error - error.median()
share = float((abs(error) < 1.96 * within).where(error.notnull()).mean())
print(f"one vector ± {float(found.sigma_dy.median()):.2f} m, of which all share {float(found.sigma_shift):.2f} m")
print(f"beside the fault {share:.0%} of dy are within 1.96 sigma of the truth")

# %% null
before = stack.sel(time=slice(None, "2021-02-14"))
quiet = before.offset.correlate(before.offset.pairs(), template=32, search=6, step=8).offset.screen(min_score=0.5)
quiet = quiet.offset.correct(order=1, trace=trace).offset.mean_displacement()
print(f"three images before the earthquake: {slip(quiet):+.3f} m")

# %% numbers
numbers = {"true": round(true, 4), "told": [round(each, 4) for each in told.values()], "within": round(share, 4)}
