"""Names, signs, units and grids of other systems: the one table that says how their numbers become ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Coordinates on (pair) of shifts of others: which system, and which file, granule or row they are from.
SYSTEM, SOURCE = "system", "source"


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
    every `"node"`, one a `"pair"`, or `"none"`. `backward` tells whether pairs may run backward in time. `suffixes` are
    those that a writer of stacks takes.
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
    backward: bool = True
    suffixes: tuple[str, ...] = field(default=())


_VELOCITY = {"dx": "vx", "dy": "vy"}
_OURS = {name: name for name in ("dx", "dy", "sigma_dx", "sigma_dy")}
_PX = {"dx": "Px1", "dy": "Px2", "score": "Correl"}
# A score of 0 to 1 is 128 to 255.
_EIGHT_BIT = (1.0 / 127.0, -128.0 / 127.0)

SYSTEMS: Mapping[str, System] = {
    "itslive": System(
        "ITS_LIVE image pairs and HyP3 autoRIFT", "itslive", _VELOCITY, "m yr-1", nodata=(-32767.0,),
        writes="pair", quantum=1.0, sigma="pair",
    ),
    "micmac": System(
        "MicMac", "micmac", _PX, "pixel", (1, -1), score=_EIGHT_BIT, sigma="none",
    ),
    "mpic": System(
        "MPIC-OPT", "mpic", _PX, "pixel", (1, -1), score=_EIGHT_BIT, writes="pair", dates="D", sigma="none",
    ),
    "gdm": System(
        "GDM-OPT", "gdm", {"dx": "EW_displ", "dy": "NS_displ", "score": "Corr"}, "pixel", (1, -1), score=_EIGHT_BIT,
        writes="pair", dates="D", sigma="none",
    ),
    "asp": System("Ames Stereo Pipeline", "asp", {"dx": "1", "dy": "2", "valid": "3"}, "pixel", (1, -1), sigma="none"),
    "carst": System(
        "CARST", "carst", _VELOCITY | {"sigma_dx": "errx", "sigma_dy": "erry", "snr": "snr"}, "m d-1",
        nodata=(-9999.0,),
    ),
    "cosicorr": System(
        "COSI-Corr", "cosicorr", {"dx": "East/West", "dy": "North/South", "snr": "SNR"}, "m",
        writes="pair", dates="D", sigma="none",
    ),
    "mintpy": System(
        "MintPy", "mintpy",
        {
            "dx": "rangeOffset", "dy": "azimuthOffset", "sigma_dx": "rangeOffsetStd", "sigma_dy": "azimuthOffsetStd",
            "snr": "offsetSNR",
        },
        nodata=(-32768.0,), writes="stack", dates="D", suffixes=(".h5",),
    ),
    "ticoi": System(
        "TICOI cube", "ticoi", _VELOCITY | {"sigma_dx": "errorx", "sigma_dy": "errory"}, "m yr-1",
        writes="stack", backward=False, suffixes=(".nc", ".zarr"),
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
        "pycorr", "pycorr",
        {
            "dx": "vx", "dy": "vy", "score": "corr", "peak_gap": "del_corr", "curvature_x": "d2idx2",
            "curvature_y": "d2jdx2",
        },
        "m d-1", nodata=(-99.0, -9999.0), writes="pair", sigma="none",
    ),
    "itslive_table": System(
        "ITS_LIVE table of image pairs", "itslive_table",
        {"dx": "vx [m/yr]", "dy": "vy [m/yr]", "sigma_dx": "vx_error [m/yr]", "sigma_dy": "vy_error [m/yr]"}, "m yr-1",
        nodata=(-32767.0,),
    ),
    "ticoi_rate": System("TICOI table, RLF_result.csv", "ticoi_table", _VELOCITY, "m yr-1", sigma="none"),
    "ticoi_displacement": System(
        "TICOI table, ILF_result.csv", "ticoi_table", {"dx": "result_dx", "dy": "result_dy"}, sigma="none",
    ),
    "planet2mintpy": System(
        "Planet2MintPy table", "planet2mintpy", {"dx": "dx", "dy": "dy"}, "pixel", (1, -1), sigma="none",
    ),
    "gnss": System("GNSS positions", "gnss", _OURS, north="true"),
    "table": System("CSV or Parquet table", "table", _OURS),
}  # fmt: skip
