"""Pictures of the start page and of the README, of a synthetic landslide.

python docs/figures/start.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import xoffset

OUT = Path(__file__).parents[1] / "_static" / "start"
ORANGE = "#e08a1e"
SIDE = 640.0  # of the marked window [m]


def measured() -> tuple[xr.DataArray, xr.Dataset, xr.Dataset, tuple[float, float]]:
    """Images, series and velocity of a landslide, and a place in its middle."""
    dates = np.arange("2020-01", "2022-01", 2, dtype="datetime64[M]")
    stack, truth = xoffset.synthetic.stack(
        (384, 384), dates=dates, velocity=40.0, direction=120.0, season=4.0, snr=4.0, misregistration=2.0, seed=1
    )
    shifts = stack.offset.correlate(stack.offset.pairs(max_gap=3), template=24, search=10, step=4).offset.screen()
    shifts = shifts.offset.correct(stable=abs(truth.vx) + abs(truth.vy) == 0.0)
    series = shifts.offset.invert(reference=dates[0])
    return stack, series, series.offset.velocity(), (float(stack.x.mean()), float(stack.y.mean()))


def draw_image(axes: Axes, stack: xr.DataArray, date: int, place: tuple[float, float], moved: tuple[float, float]) -> None:
    """One image around a place, with a window where it was and where it went."""
    x, y = place
    near = stack.isel(time=date).sel(x=slice(x - 900.0, x + 900.0), y=slice(y + 900.0, y - 900.0))
    ends = [float(end) for end in (near.x[0], near.x[-1], near.y[-1], near.y[0])]
    axes.imshow(near, cmap="gray", extent=ends, vmin=float(near.quantile(0.01)), vmax=float(near.quantile(0.99)))
    corner = (x - SIDE / 2 + moved[0], y - SIDE / 2 + moved[1])
    axes.add_patch(Rectangle(corner, SIDE, SIDE, fill=False, edgecolor=ORANGE, linewidth=2.0))
    if date:
        axes.annotate("", (x + moved[0], y + moved[1]), (x, y), arrowprops={"arrowstyle": "-|>", "color": ORANGE, "lw": 2.0})
    axes.set_title(str(stack.time.values[date])[:10], fontsize="small")
    axes.set(xticks=[], yticks=[])


def draw_images(panels: tuple[Axes, Axes], stack: xr.DataArray, series: xr.Dataset, place: tuple[float, float]) -> None:
    """The first and the last image, with a window that moved."""
    last = series.isel(time=-1).sel(x=place[0], y=place[1], method="nearest")
    draw_image(panels[0], stack, 0, place, (0.0, 0.0))
    draw_image(panels[1], stack, -1, place, (float(last.dx), float(last.dy)))


def main() -> None:
    """Draw each picture by itself, for the page, and all beside each other, for the README."""
    stack, series, rate, place = measured()
    OUT.mkdir(exist_ok=True)

    figure = Figure(figsize=(4.4, 3.3), dpi=150, layout="constrained")
    draw_images(tuple(figure.subplots(1, 2)), stack, series, place)
    figure.savefig(OUT / "images.webp", pil_kwargs={"quality": 80})
    for name, draw in (("map", rate.offset.plot.velocity), ("series", None)):
        figure = Figure(figsize=(4.4, 3.3), dpi=150, layout="constrained")
        axes = figure.subplots()
        if draw is None:
            series.offset.plot.series([place], ax=axes, title="one place, along x and y")
        else:
            draw(ax=axes)
        figure.savefig(OUT / f"{name}.webp", pil_kwargs={"quality": 80})

    figure = Figure(figsize=(11.0, 3.1), dpi=130, layout="constrained")
    first, second, map_panel, series_panel = figure.subplots(1, 4, width_ratios=(0.8, 0.8, 1.2, 1.4))
    draw_images((first, second), stack, series, place)
    rate.offset.plot.velocity(ax=map_panel)
    series.offset.plot.series([place], ax=series_panel, title="one place, along x and y")
    figure.savefig(OUT / "overview.webp", pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
