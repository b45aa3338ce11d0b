# ruff: noqa: T201
"""Dense matchers beside windows on real images: pictures for the documentation, and the figures told beside them.

python docs/figures/matchers.py FOLDER               all, some minutes
python docs/figures/matchers.py FOLDER yahtse naip   some

FOLDER holds the sets of images, each in a folder of its own. They are not part of the project; the captions of the
pages name them and whom they come from.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from _command import draw_asked

import xoffset
from xoffset.readers import polygons

# pairs of images that the tests have too
sys.path.append(str(Path(__file__).parents[2] / "tests" / "reference"))
import reference_places

OUT = Path(__file__).parents[1] / "_static" / "matchers"
MATCHERS: dict[str, dict[str, Any]] = {
    "NCC, 32 px": {"template": 32},
    "Phase, 64 px": {"template": 64, "matcher": "phase"},
    "Regularized": {"matcher": "regularized"},
    "Flow": {"matcher": "flow"},
}
DENSE = ("Regularized", "Flow")
STEP = 4


def kaiserberg(folder: Path) -> None:
    """Aerial photographs of a rock glacier, 2020 to 2023: motion of up to 9 px, and stable ground beside it."""
    place = folder / "kaiserberg_rock_glacier"
    stack = reference_places.kaiserberg(folder)
    found = matched(stack, search=11)
    compare("kaiserberg", found, stack)
    stable = {}
    for name, shifts in found.items():
        inside, moving = (
            polygons.inside(place / f"{each}_area.geojson", shifts, "figures", "polygon").astype(bool)
            for each in ("stable", "moving")
        )
        stable[name] = inside & ~moving
    still("kaiserberg", found, stable, stack)
    draw("kaiserberg", found, name="dx", limit=6.0)


def yahtse(folder: Path) -> None:
    """Landsat 8, a tidewater glacier: up to 20 px in 16 days, with cloud and sea."""
    stack = reference_places.yahtse(folder)
    found = matched(stack, search=24)
    compare("yahtse", found, stack)
    draw("yahtse", found, name="dy", limit=10.0)


def perito_moreno(folder: Path) -> None:
    """Sentinel-2, a glacier in Patagonia: up to 2.5 px in 7 days."""
    stack = reference_places.perito_moreno(folder)
    found = matched(stack, search=6)
    compare("perito_moreno", found, stack)
    draw("perito_moreno", found, name="dx", limit=3.0)


def naip(folder: Path) -> None:
    """Aerial photographs of farmland that does not move: crops change, and light."""
    stack = xoffset.open_stack(folder / "naip_stable", date="naip_%Y%m%d", align="cubic")
    for year in ("2018",):
        ends = stack.sel(time=slice(year, None)).isel(time=[0, -1])
        found = matched(ends, search=4)
        compare(f"naip {year} to 2020", found, ends)
        still(
            f"naip {year} to 2020",
            found,
            {name: np.ones(each.dx.shape[1:], bool) for name, each in found.items()},
            ends,
        )


def dic_challenge(folder: Path) -> None:
    """Speckle whose motion waves faster and faster: how much of the waves is left, by wavelength."""
    place = folder / "dic_challenge_14"
    commanded = np.genfromtxt(place / "command.csv", delimiter=",")
    stack = xoffset.open_stack(
        [place / "reference.png", place / "L5.png"], date=["2020-01-01", "2020-01-02"], pixel_size=1.0
    )
    figure, axes = plt.subplots(2, 1, figsize=(9.5, 5.0), layout="constrained")
    kinds = {"NCC, 21 px": {"template": 21}, **{name: MATCHERS[name] for name in DENSE}}
    kinds["Regularized, smoothness 0.05"] = {"matcher": xoffset.Regularized(smoothness=0.05)}
    for name, options in kinds.items():
        shifts = stack.offset.correlate(stack.offset.pairs(), search=3, step=2, **options).isel(pair=0)
        wavelength, left, error = resolution(shifts, commanded)
        print(f"dic_challenge {name}: rms {error:.4f} px, half of the waves left at {half(wavelength, left):.0f} px")
        axes[0].plot(shifts.x, shifts.dx.median("y"), lw=0.8, label=name)
        axes[1].plot(wavelength, left, ".-", label=name)
    axes[0].plot(commanded[:, 0] + 0.5, commanded[:, 5], "k", lw=0.5, label="truth")
    axes[0].set(xlabel="x [px]", ylabel="dx [px]")
    axes[1].set(xlabel="wavelength [px]", ylabel="amplitude left", xscale="log", ylim=(0.0, 1.2))
    axes[1].legend(fontsize=8)
    save(figure, "dic_challenge")


def resolution(shifts: xr.Dataset, commanded: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Local wavelength of the waves [px], the part of their amplitude that was measured there, and the rms error."""
    x = shifts.x.values - 0.5
    truth = np.interp(x, commanded[:, 0], commanded[:, 5])
    # u = 0.1 sin(g (x - 100)^2): the phase tells the local wavelength
    curve = shifts.dx.median("y").values
    turns = np.flatnonzero(np.diff(np.sign(truth)) != 0)
    waves, left = [], []
    for first, last in zip(turns[:-2:2], turns[2::2], strict=False):
        part = slice(first, last)
        waves.append(x[last] - x[first])
        left.append(np.nansum(curve[part] * truth[part]) / np.sum(truth[part] ** 2))
    return np.array(waves), np.array(left), float(np.sqrt(np.nanmean((curve - truth) ** 2)))


def half(wavelength: np.ndarray, left: np.ndarray) -> float:
    """Shortest wavelength down to which at least half of the amplitude is left."""
    order = np.argsort(-wavelength)
    lost = np.flatnonzero(left[order] < 0.5)
    return float(wavelength[order][lost[0]] if lost.size else wavelength.min())


# ----------------------------------------------------------------------------------------------------------- measures


def matched(stack: xr.DataArray, search: int) -> dict[str, xr.Dataset]:
    """Screened shifts of every matcher, every fourth pixel."""
    network = stack.offset.pairs()
    return {
        name: stack.offset.correlate(network, search=search, step=STEP, **options).offset.screen().compute()
        for name, options in MATCHERS.items()
    }


def compare(scene: str, found: dict[str, xr.Dataset], stack: xr.DataArray) -> None:
    """How far dense matchers are from NCC where that is sure, and how much more ground they cover."""
    windows = found["NCC, 32 px"]
    pixel = abs(float(stack.x[1] - stack.x[0]))
    is_sure = (windows.score > 0.7)[0].values
    for name in DENSE:
        there = found[name].isel(pair=0)[["dx", "dy"]].interp(x=windows.x, y=windows.y)
        apart = np.hypot(there.dx - windows.dx[0], there.dy - windows.dy[0]).values[is_sure] / pixel
        more = 100.0 * (int(found[name].dx.notnull().sum()) / int(windows.dx.notnull().sum()) - 1.0)
        print(
            f"{scene}, {name}: {np.nanmedian(apart):.3f} px from NCC (90 %: {np.nanpercentile(apart, 90):.2f}) at "
            f"{np.isfinite(apart).sum()} nodes, {more:+.0f} % ground"
        )


def still(scene: str, found: dict[str, xr.Dataset], stable: dict[str, np.ndarray], stack: xr.DataArray) -> None:
    """Median and spread (NMAD) of displacements of ground that stands still."""
    pixel = abs(float(stack.x[1] - stack.x[0]))
    for name, shifts in found.items():
        values = [shifts[each].values[0][stable[name]] / pixel for each in ("dx", "dy")]
        middle = [np.nanmedian(each) for each in values]
        spread = [1.4826 * np.nanmedian(np.abs(each - level)) for each, level in zip(values, middle, strict=True)]
        moved = 100.0 * np.nanmean(np.hypot(*(each - level for each, level in zip(values, middle, strict=True))) > 1.0)
        print(
            f"{scene} stable, {name}: median {middle[0]:+.3f} {middle[1]:+.3f}, "
            f"spread {spread[0]:.3f} {spread[1]:.3f} px, {moved:.2f} % move by more than 1 px, "
            f"{np.isfinite(values[0]).sum()} nodes"
        )


# ------------------------------------------------------------------------------------------------------------- drawing


def draw(title: str, found: dict[str, xr.Dataset], *, name: str, limit: float) -> None:
    """One component of every matcher, in pixels."""
    _, rows, columns = next(iter(found.values())).dx.shape
    height = 8.6 * rows / columns + 0.8
    figure, axes = plt.subplots(2, 2, figsize=(9.5, height), layout="constrained", sharex=True, sharey=True)
    for axis, (label, shifts) in zip(axes.flat, found.items(), strict=True):
        pixel = float(shifts.x[1] - shifts.x[0]) / STEP
        axis.set_facecolor("0.7")  # no match
        x, y = shifts.x, shifts.y
        shown = axis.imshow(
            shifts[name][0] / pixel, vmin=-limit, vmax=limit, cmap="RdBu_r", interpolation="nearest",
            extent=[float(x[0]), float(x[-1]), float(y[-1]), float(y[0])],
        )  # fmt: skip
        axis.set_title(label, fontsize=9)
        axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, label=f"{name} [px]", shrink=0.8, extend="both")
    save(figure, title)


def save(figure: plt.Figure, name: str) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.webp"
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 65})
    plt.close(figure)
    print(path.name, path.stat().st_size // 1000, "kB")


if __name__ == "__main__":
    draw_asked("Dense matchers on real images.", (kaiserberg, yahtse, perito_moreno, naip, dic_challenge))
