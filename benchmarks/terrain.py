"""Terrain: CPU time of slopes, shadows and stable ground of a Sentinel-2 tile at 20 m, on one core.

python benchmarks/terrain.py                    some seconds
python benchmarks/terrain.py --small            few pixels, to see that it works
"""

from __future__ import annotations

import dask
import numpy as np
import xarray as xr
from _measure import Extent, Rows, least_cpu_seconds, on_one_core, run

from xoffset import masking

SIDES = {"small": 96, "usual": 5490, "full": 5490}
SUN = {"sun_azimuth": 160.0, "sun_elevation": 25.0}


def tile(extent: Extent) -> Rows:
    """CPU seconds of each function for a whole tile in memory, and of shadows for a lazy one."""
    on_one_core()
    dem = elevations(SIDES[extent])
    outline = outlines(dem, 20 if extent == "small" else 500)
    calls = {
        "slope": lambda: masking.slope(dem),
        "aspect": lambda: masking.aspect(dem),
        "cast_shadow": lambda: masking.cast_shadow(dem, **SUN),
        "cast_shadow, chunks of 1024": lambda: masking.cast_shadow(dem.chunk(y=1024, x=1024), **SUN).compute(),
        "stable_ground of outlines": lambda: masking.stable_ground(dem, moving=outline, buffer=1000.0),
        "stable_ground of slopes": lambda: masking.stable_ground(dem, dem=dem),
    }
    with dask.config.set(scheduler="synchronous"):
        seconds = least_cpu_seconds(calls, repeats=2)
    return [{"call": name, "pixels": dem.size, "CPU s": found} for name, found in seconds.items()]


def elevations(side: int) -> xr.DataArray:
    """Hills and valleys of some kilometres, with ridges and gullies on them."""
    north, east = 0.02 * np.arange(side)[:, None], 0.02 * np.arange(side)
    heights = 1500.0 + 700.0 * np.sin(north / 0.9) * np.cos(east / 1.1) + 400.0 * np.sin((north + east) / 0.4)
    heights += 60.0 * np.sin(north / 0.05) * np.sin(east / 0.07)
    coords = {"y": -20.0 * np.arange(side), "x": 20.0 * np.arange(side)}
    return xr.DataArray(heights.astype("float32"), dims=("y", "x"), coords=coords)


def outlines(dem: xr.DataArray, count: int) -> dict[str, object]:
    """Outlines of glaciers of 400 corners each, wherever they lie."""
    random = np.random.default_rng(0)
    angles = np.linspace(0.0, 2.0 * np.pi, 400, endpoint=False)
    polygons = []
    for _ in range(count):
        radius = random.uniform(200.0, 1500.0) * (1.0 + 0.3 * np.sin(random.integers(2, 9) * angles))
        x, y = (random.uniform(float(dem[name].min()), float(dem[name].max())) for name in ("x", "y"))
        corners = np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])
        polygons.append([[*corners.tolist(), corners[0].tolist()]])
    return {"type": "MultiPolygon", "coordinates": polygons}


PARTS = (tile,)

if __name__ == "__main__":
    run("terrain", PARTS)
