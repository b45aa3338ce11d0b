# ruff: noqa: T201
"""Figures of the corrections on real images, for the pages of the documentation.

python docs/figures/corrections.py FOLDER               all, some minutes
python docs/figures/corrections.py FOLDER shift ramp    some

FOLDER holds the sets of images, each in a folder of its own. They are not part of the project; the captions of the
pages name them and whom they come from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import rasterio
import rioxarray
import scipy.ndimage
import xarray as xr
from _command import draw_asked

import xoffset
from xoffset.readers import polygons

OUT = Path(__file__).parents[1] / "_static" / "corrections"
Row = tuple[str, xr.DataArray, xr.DataArray]
STATISTICS = ("n_stable", "order", "median_before_dx", "median_before_dy", "nmad_before_dx", "nmad_after_dx")
STATISTICS += ("nmad_before_dy", "nmad_after_dy", "sigma_shift")


def shift(folder: Path) -> None:
    """Landsat 8, Yahtse glacier: a shift, and a polynomial in the elevation, told on slow ground."""
    shifts = yahtse(folder)
    with rioxarray.open_rasterio(folder / "yahtse_landsat8" / "yahtse_srtm_dem.tif", masked=True) as file:
        dem = file.squeeze("band", drop=True).load()
    stable = xoffset.masking.stable_ground(shifts, dem=dem) & (np.hypot(shifts.dx, shifts.dy)[0] < 12.0)
    rows = []
    for title, options in (("a shift", {}), ("a shift and the elevation", {"dem": dem})):
        corrected = shifts.offset.correct(stable=stable, **options)
        tell(title, corrected)
        rows.append((title, shifts.dy[0], corrected.dy[0]))
    draw("shift", rows, limit=8.0, label="dy [m]")


def ramp(folder: Path) -> None:
    """Aerial photographs of the Kaiserberg rock glacier: a plane, by pair and by date."""
    place = folder / "kaiserberg_rock_glacier"
    stack = xoffset.open_stack(place / "ortho_*.tif", date="ortho_%Y").sel(time=slice("2003", None))
    shifts = stack.offset.correlate(stack.offset.pairs(), search=24, step=16).offset.screen(min_score=0.5)
    outlines = {"polygons": place / "stable_area.geojson", "moving": place / "moving_area.geojson", "buffer": 20.0}
    stable = xoffset.masking.stable_ground(shifts, **outlines)
    rows = []
    for title, options in (("plane, by pair", {}), ("plane, by date", {"by_date": True})):
        corrected = shifts.offset.correct(stable=stable, order=1, min_nodes=100, **options)
        tell(title, corrected)
        rows.append((title, shifts.dy[0], corrected.dy[0]))
    draw("ramp", rows, limit=0.8, label="dy, 2003 to 2010 [m]", height=1.75)


def stripes(folder: Path) -> None:
    """Landsat 8, Kaskawulsh glacier: a plane, edges that are found, and a profile along the flight."""
    shifts, bedrock = kaskawulsh(folder)
    # windows overlap: every fourth node errs on its own
    shifts, bedrock = (each.isel(x=slice(None, None, 4), y=slice(None, None, 4)) for each in (shifts, bedrock))
    kinds: dict[str, dict[str, Any]] = {
        "plane": {"order": 1},
        "edges found": {"stripes": "auto"},
        "plane and jitter": {"order": 1, "jitter": xoffset.Jitter(heading=205.0)},
    }
    rows = []
    for title, options in kinds.items():
        corrected = shifts.offset.correct(stable=bedrock, **options)
        tell(title, corrected)
        rows.append((title, shifts.dy[0], corrected.dy[0]))
    draw("stripes", rows, limit=4.0, label="dy [m]")


def smoothing(folder: Path) -> None:
    """Landsat 8, Yahtse glacier: medians and nonlocal means."""
    shifts = yahtse(folder).isel(x=slice(95, 190), y=slice(20, 85))
    rows = []
    for method in ("median", "nlm"):
        smooth = shifts.offset.denoise(method=method)
        rows.append((method, shifts.dx[0], smooth.dx[0]))
    draw("smoothing", rows, limit=12.0, label="dx [m]")


def light(folder: Path) -> None:
    """Sentinel-2, forest in Slovenia: what goes with the sun in the series of a place that stands still."""
    data = xr.open_dataset(folder / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc").drop_duplicates("time")
    is_clear = (data.valid == 1) & (data.cloud == 0)
    stack = data.ndvi.where(is_clear).isel(time=is_clear.mean(("y", "x")) > 0.98).rio.write_crs("EPSG:32633")
    stack = stack.assign_coords({name: ("time", values) for name, values in sun(stack.time).items()})
    network = stack.offset.pairs(max_gap=6)
    shifts = stack.offset.correlate(
        network, search=4, template=24, step=6, prefilter=xoffset.filtering.Highpass(0.7)
    ).offset.screen(min_score=0.2)
    told = xoffset.light(shifts, dem=data.dem.rio.write_crs("EPSG:32633"), sun=stack, min_slope=3.0)
    print(told.to_dataframe().round(2).to_string())
    raw, lit = xoffset.invert(shifts), xoffset.invert(shifts, sun=stack)
    print("sun_condition", float(lit.sun_condition.median()))
    figure, axes = plt.subplots(2, 1, figsize=(9, 4.6), layout="constrained", sharex=True)
    for axis, name in zip(axes, ("dx", "dy"), strict=True):
        for label, values, style in (
            ("before", raw[name], "o-C3"), ("after", lit[name], "o-C0"), ("removed", lit[f"removed_{name}"], "-k"),
        ):  # fmt: skip
            axis.plot(values.time, values.median(("y", "x")), style, ms=3, lw=1, label=label)
        print(name, *(round(float(each[name].median(("y", "x")).std()), 2) for each in (raw, lit)))
        axis.set_ylabel(f"{name} [m]")
    axes[0].legend(ncols=3, fontsize=8)
    save(figure, "light")


def coregistration(folder: Path) -> None:
    """Sentinel-2, Perito Moreno glacier: shifts of images of two orbits before and after."""
    place = folder / "perito_moreno_s2"
    with rasterio.open(f"vrt://{place / 'mask.jpg'}?a_ullr=0,0,1,-1") as mask:
        is_ice = mask.read(1) > 128
    stack = xoffset.open_stack(
        [place / f"{date}.jpg" for date in ("20200207", "20200210")], band=1, date="%Y%m%d", pixel_size=1.0
    )
    # compression smears the black around the cut into the pixels next to it
    inside = scipy.ndimage.binary_erosion((stack > 10).all("time").values, iterations=12)
    known, still = (stack.isel(time=0, drop=True).copy(data=values) for values in (inside, inside & ~is_ice))
    placed = xoffset.coregister(stack, stable=still, reference="2020-02-07", search=4)
    for title, each in (("given", stack), ("coregistered", placed)):
        beside = matched(each, still)
        print(title, *(round(float(beside[name].median()), 3) for name in ("dx", "dy")))
    found = [matched(each, known) for each in (stack, placed)]
    draw(
        "coregistration", [(name, *(each[name][0] for each in found)) for name in ("dx", "dy")], limit=2.0, label="[px]"
    )


# ---------------------------------------------------------------------------------------------------------------- data


def yahtse(folder: Path) -> xr.Dataset:
    stack = xoffset.open_stack(folder / "yahtse_landsat8" / "LC8*.tif")
    return stack.offset.correlate(stack.offset.pairs(), template=32, search=24, step=8).offset.screen().compute()


def matched(stack: xr.DataArray, mask: xr.DataArray) -> xr.Dataset:
    return xoffset.correlate(stack, xoffset.pairs(stack), search=6, step=16, mask=mask).offset.screen(min_score=0.5)


def kaskawulsh(folder: Path) -> tuple[xr.Dataset, xr.DataArray]:
    """Displacements of a published velocity map, and bedrock."""
    place = folder / "kaskawulsh_velocity"
    fields = {}
    for name in ("x", "y"):
        with rioxarray.open_rasterio(place / f"20180304-20180405_velo-raw_v{name}.tif", masked=True) as file:
            rate = file.squeeze("band", drop=True).load().astype(float)
        fields[f"d{name}"] = 32.0 * rate.values
    coords = {name: rate[name] for name in ("y", "x", "spatial_ref")}
    shifts = as_shifts(fields, coords, sigma=1.5, dates=("2018-03-04", "2018-04-05"))
    bedrock = polygons.inside(place / "bedrock_V2.shp", shifts, "figures", "polygon").astype(bool)
    return shifts, xr.DataArray(bedrock, dims=("y", "x"), coords={"y": shifts.y, "x": shifts.x})


def as_shifts(
    fields: dict[str, np.ndarray], coords: dict[str, Any], *, sigma: float, dates: tuple[str, str]
) -> xr.Dataset:
    """One pair of displacements (y, x) with one standard error [m]."""
    values = {name: (("pair", "y", "x"), each[np.newaxis]) for name, each in fields.items()}
    values |= {f"sigma_{name}": (("pair", "y", "x"), np.full((1, *each.shape), sigma)) for name, each in fields.items()}
    ends = {name: ("pair", [np.datetime64(date)]) for name, date in zip(("reference", "secondary"), dates, strict=True)}
    return xr.Dataset(values, {**coords, **ends})


def sun(time: xr.DataArray) -> dict[str, np.ndarray]:
    """Elevation and azimuth of the sun [degree] at 46.0 N, 14.5 E: good to a degree or two."""
    latitude, hour = np.radians(46.0), time.dt.hour.values + time.dt.minute.values / 60.0 + 14.5 / 15.0
    tilt = np.radians(-23.44 * np.cos(2.0 * np.pi * (time.dt.dayofyear.values + 10.0) / 365.25))
    angle = np.radians(15.0 * (hour - 12.0))
    height = np.arcsin(np.sin(latitude) * np.sin(tilt) + np.cos(latitude) * np.cos(tilt) * np.cos(angle))
    east = -np.sin(angle) * np.cos(tilt)
    north = np.cos(latitude) * np.sin(tilt) - np.sin(latitude) * np.cos(tilt) * np.cos(angle)
    return {"sun_elevation": np.degrees(height), "sun_azimuth": np.degrees(np.arctan2(east, north)) % 360.0}


# ------------------------------------------------------------------------------------------------------------- drawing


def tell(title: str, corrected: xr.Dataset) -> None:
    print(title)
    print(corrected[list(STATISTICS)].to_dataframe()[list(STATISTICS)].round(3).to_string())


def draw(
    name: str,
    rows: list[Row],
    *,
    limit: float,
    label: str,
    height: float = 2.3,
) -> None:
    """Fields (y, x) before and after, and what was removed, one row for each correction."""
    figure, axes = plt.subplots(
        len(rows), 3, figsize=(9.5, height * len(rows)), layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    for row, (title, before, after) in zip(axes, rows, strict=True):
        for axis, head, values in zip(
            row, ("before", "after", "removed"), (before, after, before - after), strict=True
        ):
            x, y = before.x, before.y
            shown = axis.imshow(
                values, vmin=-limit, vmax=limit, cmap="RdBu_r", interpolation="nearest",
                extent=[float(x[0]), float(x[-1]), float(y[-1]), float(y[0])],
            )  # fmt: skip
            axis.set_title(f"{title}: {head}", fontsize=9)
            axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, label=label, shrink=0.8, extend="both")
    save(figure, name)


def save(figure: plt.Figure, name: str) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.webp"
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 65})
    plt.close(figure)
    print(path.name, path.stat().st_size // 1000, "kB")


if __name__ == "__main__":
    draw_asked("Figures of the corrections on real images.", (shift, ramp, stripes, light, smoothing, coregistration))
