"""Names, signs, units and grids of other systems: the one table that says how their numbers become ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class System:
    """How a system calls and counts displacements between two dates.

    `names` has the name of each of our variables in the system: of a variable in a file, of a band or of the end of a
    file's name. A number of the system, times `signs`, counts toward increasing x and increasing y. `units` are those
    of both components and their standard errors. `score` is the gain and offset that make our score of theirs.

    `nodata` are numbers that stand for no value beside NaN and what a file declares. `north` tells whether the
    components follow the axes of the grid or true east and north, in metres of ground.

    What a writer keeps: one file or set of files a `"pair"`, or all pairs in one `"stack"`; dates to `dates`; values to
    a multiple of `quantum` in the units of the system, exact to single precision where it is 0; standard errors of
    every `"node"`, one a `"pair"`, or `"none"`. `suffixes` are those that a writer of stacks takes.
    """

    title: str
    module: str
    names: Mapping[str, str]
    units: Literal["m", "pixel", "m yr-1", "m d-1"] = "m"
    signs: tuple[int, int] = (1, 1)
    score: tuple[float, float] = (1.0, 0.0)
    nodata: tuple[float, ...] = ()
    north: Literal["grid", "true"] = "grid"
    writes: Literal["pair", "stack"] | None = None
    dates: Literal["us", "s", "D"] = "us"
    quantum: float = 0.0
    sigma: Literal["node", "pair", "none"] = "node"
    suffixes: tuple[str, ...] = field(default=())


_VELOCITY = {"dx": "vx", "dy": "vy"}

SYSTEMS: Mapping[str, System] = {
    "itslive": System(
        "ITS_LIVE image pairs and HyP3 autoRIFT", "itslive", _VELOCITY, "m yr-1", nodata=(-32767.0,),
        writes="pair", quantum=1.0, sigma="pair",
    ),
    "itslive_cube": System(
        "ITS_LIVE datacube", "itslive_cube", _VELOCITY | {"sigma_dx": "vx_error", "sigma_dy": "vy_error"}, "m yr-1",
        nodata=(-32767.0,), writes="stack", dates="s", quantum=1.0, sigma="pair", suffixes=(".zarr", ".nc"),
    ),
    "autorift": System(
        "autoRIFT offset.tif", "autorift", {"dx": "1", "dy": "2"}, "pixel", writes="pair", dates="D", sigma="none",
    ),
    "nisar": System(
        "NISAR GOFF", "nisar",
        {
            "dx": "slantRangeOffset", "dy": "alongTrackOffset", "sigma_dx": "slantRangeOffsetVariance",
            "sigma_dy": "alongTrackOffsetVariance", "cov_dxdy": "crossOffsetVariance",
            "score": "correlationSurfacePeak",
        },
        north="true",
    ),
    "nisar_roff": System(
        "NISAR ROFF", "nisar",
        {
            "dx": "slantRangeOffset", "dy": "alongTrackOffset", "sigma_dx": "slantRangeOffsetVariance",
            "sigma_dy": "alongTrackOffsetVariance", "cov_dxdy": "crossOffsetVariance",
            "score": "correlationSurfacePeak",
        },
    ),
    "pycorr": System(
        "pycorr", "pycorr", {"dx": "vx", "dy": "vy", "score": "corr", "peak_gap": "del_corr"}, "m d-1",
        nodata=(-99.0,), writes="pair", sigma="none",
    ),
}  # fmt: skip
