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

Place = tuple[float, float]
OUT = Path(__file__).parents[1] / "_static" / "start"
ORANGE = "#e08a1e"
SIDE, AROUND = 240.0, 300.0  # of the marked window, and how much is shown around its middle [m]


def measured() -> tuple[xr.DataArray, xr.Dataset, xr.Dataset, Place]:
    """Images, series and velocity of a landslide, and a place in its middle."""
    dates = np.arange("2020-01", "2022-01", 2, dtype="datetime64[M]")
    stack, truth = xoffset.synthetic.stack(
        (288, 288), dates=dates, velocity=30.0, direction=120.0, season=3.0, snr=1.0, misregistration=2.0, seed=1
    )
    shifts = stack.offset.correlate(stack.offset.pairs(max_gap=3), template=24, search=8, step=4).offset.screen()
    shifts = shifts.offset.correct(stable=abs(truth.vx) + abs(truth.vy) == 0.0)
    series = shifts.offset.invert(reference=dates[0])
    return stack, series, series.offset.velocity(), (float(stack.x.mean()), float(stack.y.mean()))


def draw_image(axes: Axes, stack: xr.DataArray, date: int, place: Place, moved: tuple[float, float]) -> None:
    """One image around a place, with a window where it was and where it went."""
    x, y = place
    near = stack.isel(time=date).sel(x=slice(x - AROUND, x + AROUND), y=slice(y + AROUND, y - AROUND))
    ends = (float(near.x[0]), float(near.x[-1]), float(near.y[-1]), float(near.y[0]))
    axes.imshow(near, cmap="gray", extent=ends, vmin=float(near.quantile(0.01)), vmax=float(near.quantile(0.99)))
    for offset, style in {(0.0, 0.0): "--" if date else "-", moved: "-"}.items():
        corner = (x - SIDE / 2 + offset[0], y - SIDE / 2 + offset[1])
        axes.add_patch(Rectangle(corner, SIDE, SIDE, fill=False, edgecolor=ORANGE, linewidth=2.0, linestyle=style))
    if date:
        arrow = {"arrowstyle": "-|>", "color": ORANGE, "lw": 2.0, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (x + moved[0], y + moved[1]), (x, y), arrowprops=arrow)
    axes.set_title(str(stack.time.values[date])[:10], fontsize="small")
    axes.set(xticks=[], yticks=[])


def draw_images(panels: tuple[Axes, Axes], stack: xr.DataArray, series: xr.Dataset, place: Place) -> None:
    """The first and the last image, with a window that moved."""
    last = series.isel(time=-1).sel(x=place[0], y=place[1], method="nearest")
    draw_image(panels[0], stack, 0, place, (0.0, 0.0))
    draw_image(panels[1], stack, -1, place, (float(last.dx), float(last.dy)))


def main() -> None:
    """Draw each picture by itself, for the page, and all beside each other, for the README."""
    stack, series, rate, place = measured()
    OUT.mkdir(exist_ok=True)

    figure = Figure(figsize=(3.7, 2.2), dpi=150, layout="constrained")
    draw_images(tuple(figure.subplots(1, 2)), stack, series, place)
    figure.savefig(OUT / "images.webp", pil_kwargs={"quality": 80})
    for name, product in (("map", rate), ("series", series)):
        figure = Figure(figsize=(3.7, 2.9), dpi=150, layout="constrained")
        axes = figure.subplots()
        if name == "map":
            product.offset.plot.velocity(ax=axes, vmax=30.0)
        else:
            product.offset.plot.series([place], ax=axes, title="one place, along x and y")
        figure.savefig(OUT / f"{name}.webp", pil_kwargs={"quality": 80})

    figure = Figure(figsize=(11.0, 3.1), dpi=130, layout="constrained")
    first, second, map_panel, series_panel = figure.subplots(1, 4, width_ratios=(0.8, 0.8, 1.2, 1.4))
    draw_images((first, second), stack, series, place)
    rate.offset.plot.velocity(ax=map_panel, vmax=30.0)
    series.offset.plot.series([place], ax=series_panel, title="one place, along x and y")
    figure.savefig(OUT / "overview.webp", pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
