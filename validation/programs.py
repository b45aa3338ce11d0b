"""Programs of others that are found on the path: two images as files, the call that their documentation tells, results.

All answer (2, rows, columns) along x and down [px], on the nodes of `correlate`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio

import xoffset
from validation.settings import Setting, on_nodes

# Side of a pixel, and place of the first corner [m]: a whole number of any step, as COSI-Corr asks for.
PIXEL, CORNER = 10.0, (480_000.0, 5_280_000.0)
DATES = ("2020-01-01", "2020-01-11")
CRS = "EPSG:32632"
# Seconds after which a program is taken for hung.
LONGEST = 1800.0
# MicMac takes names of four letters and more before the point.
NAMES = ("first.tif", "second.tif")


class Program(NamedTuple):
    """A program: names of its executable or script, its call, and its results on the nodes.

    `command` makes the call of the path of the program and the setting; `read` finds its results in a folder.
    """

    executables: tuple[str, ...]
    command: Callable[[str, Setting], list[str]]
    read: Callable[[Path, Setting, tuple[int, int]], np.ndarray]
    # pixels of the first rows and columns that are left out, so that its windows are those of the nodes
    skips: Callable[[Setting], int] = lambda setting: 0

    @property
    def path(self) -> str | None:
        """Where it lies; None if it is not on the path."""
        return next(filter(None, map(found, self.executables)), None)

    def match(self, images: np.ndarray, setting: Setting) -> np.ndarray:
        """Displacement on the nodes of two images (2, rows, columns)."""
        if self.path is None:
            raise FileNotFoundError(
                f"the head to head needs {' or '.join(self.executables)} on the path; got none. Install it, or leave "
                "this method out."
            )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(images, folder, self.skips(setting))
            done = subprocess.run(
                self.command(self.path, setting), cwd=folder, capture_output=True, text=True, errors="replace",
                stdin=subprocess.DEVNULL, timeout=LONGEST,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(
                    f"{self.path} needs to end well; got status {done.returncode}: "
                    f"{(done.stderr or done.stdout).strip()[-500:]}. Run the call that is told by hand: "
                    f"{' '.join(self.command(self.path, setting))}."
                )
            return self.read(folder, setting, (images.shape[1], images.shape[2]))


def found(name: str) -> str | None:
    """Path of a file of this name in the folders of the path; scripts need not be executable."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return shutil.which(name) or next((str(Path(each, name)) for each in folders if Path(each, name).is_file()), None)


def write(images: np.ndarray, folder: Path, skips: int = 0) -> None:
    """Write two images as GeoTIFF of 16 bits, stretched to all of them; 0 stands for nothing and is not used."""
    low, high = np.nanmin(images), np.nanmax(images)
    transform = rasterio.transform.from_origin(CORNER[0] + skips * PIXEL, CORNER[1] - skips * PIXEL, PIXEL, PIXEL)
    for image, name in zip(images[:, skips:, skips:], NAMES, strict=True):
        grey = np.clip(np.rint(1.0 + 65_534.0 * (image - low) / (high - low)), 1, 65_535).astype(np.uint16)
        rows, columns = grey.shape
        profile: dict[str, Any] = {"height": rows, "width": columns, "count": 1, "dtype": "uint16", "crs": CRS}
        with rasterio.open(folder / name, "w", driver="GTiff", transform=transform, **profile) as file:
            file.write(grey, 1)


def at_nodes(found: np.ndarray, corner: np.ndarray, setting: Setting, shape: tuple[int, int]) -> np.ndarray:
    """Values (2, rows, columns) one step apart, on the nodes; those that lie elsewhere are left out.

    `corner`: middle of the window of the first value, in pixels right and down of the corner of the first image.
    """
    out = np.full((2, *((size - setting.template) // setting.step + 1 for size in shape)), np.nan)
    first = (corner - 0.5 * setting.template) / setting.step
    whole = np.rint(first).astype(int)
    if np.abs(first - whole).max() > 0.51 / setting.step:
        raise ValueError(f"windows need to be those of the nodes, to half a pixel; got the first at {first} nodes.")
    down, right = (np.arange(n) + k for n, k in zip(found.shape[1:], whole[::-1], strict=True))
    is_there = [(each >= 0) & (each < n) for each, n in zip((down, right), out.shape[1:], strict=True)]
    out[:, down[is_there[0]][:, None], right[is_there[1]]] = found[:, is_there[0]][:, :, is_there[1]]
    return out


def _bands(path: Path) -> np.ndarray:
    """Bands (band, rows, columns) of a file that need not say where it lies."""
    with rasterio.open(f"vrt://{path}?a_ullr=0,0,1,-1") as file:
        return np.asarray(file.read(), dtype=np.float64)


# ------------------------------------------------------------------------------------------------------------- programs


def _pycorr_command(path: str, setting: Setting) -> list[str]:
    """Call as its README has it, on both images as they are."""
    half = setting.template // 2
    return [
        shutil.which("python3") or "python3", path, "-imgdir", ".", *NAMES,
        "-img1datestr", DATES[0].replace("-", ""), "-img2datestr", DATES[1].replace("-", ""), "-datestrfmt", "%Y%m%d",
        "-inc", str(setting.step), "-half_source_chip", str(half),
        "-half_target_chip", str(half + setting.search), "-out_name_base", "found",
        "-output_geotiffs_instead_of_netCDF",
    ]  # fmt: skip


def _pycorr_read(folder: Path, setting: Setting, shape: tuple[int, int]) -> np.ndarray:
    shifts = xoffset.formats.pycorr.read(folder / "found_vx.tif", masked=False, dates=DATES, per="day").load()
    middle = np.array([shifts.x.values[0] - CORNER[0], CORNER[1] - shifts.y.values[0]]) / PIXEL
    found = np.stack([shifts["dx"].values[0], -shifts["dy"].values[0]]).astype(np.float64) / PIXEL
    return at_nodes(found, middle, setting, shape)


def _micmac_command(path: str, setting: Setting) -> list[str]:
    """Windows of 2 SzW + 1 pixels, at every pixel."""
    half = setting.template // 2
    return [path, "MM2DPosSism", *NAMES, f"SzW={half}", f"Inc={setting.search}", "DirMEC=MEC/", "@ExitOnBrkp"]


def _micmac_read(folder: Path, setting: Setting, shape: tuple[int, int]) -> np.ndarray:
    """Of the last of its six steps, in pixels right and down."""
    layers = [_bands(folder / "MEC" / f"{name}_Num6_DeZoom1_LeChantier.tif")[0] for name in ("Px1", "Px2")]
    return on_nodes(np.stack(layers), setting)


def _asp_command(path: str, setting: Setting) -> list[str]:
    """Block matching, whose windows have an odd side, and its refinement with an affine window; one thread."""
    side, search = str(2 * (setting.template // 2) - 1), str(setting.search)
    return [
        path, "--correlator-mode", "--stereo-algorithm", "asp_bm", "--subpixel-mode", "2",
        "--corr-kernel", side, side, "--corr-search", f"-{search}", f"-{search}", search, search,
        "--processes", "1", "--threads-multiprocess", "1", *NAMES, "run/run",
    ]  # fmt: skip


def _asp_read(folder: Path, setting: Setting, shape: tuple[int, int]) -> np.ndarray:
    """Pixels right and down; the third band is 0 where there is none."""
    right, down, known = _bands(folder / "run" / "run-F.tif")
    return on_nodes(np.where(known > 0.0, np.stack([right, down]), np.nan), setting)


def _cosicorr_command(method: str) -> Callable[[str, Setting], list[str]]:
    """Calls with windows that stay as large as they begin."""

    def command(path: str, setting: Setting) -> list[str]:
        side, step, search = (str(each) for each in (setting.template, setting.step, setting.search))
        range_of = ["--search_range", search, search] if method == "spatial" else []
        return [
            shutil.which("python3") or "python3", path, "correlate", *NAMES, "--output_path", "found.tif",
            "--method", method, "--window_size", side, side, side, side, "--step", step, step, "--grid", *range_of,
        ]  # fmt: skip

    return command


def _cosicorr_read(folder: Path, setting: Setting, shape: tuple[int, int]) -> np.ndarray:
    """Metres toward east and north; the corner of a pixel of the map lies in the middle of its window."""
    with rasterio.open(folder / "found.tif") as file:
        east, north = file.read((1, 2)).astype(np.float64)
        middle = np.array([file.transform.c - CORNER[0], CORNER[1] - file.transform.f]) / PIXEL
    return at_nodes(np.stack([east, -north]) / PIXEL, middle, setting, shape)


COSICORR = ("cosicorr", "cosicorr.py")
PROGRAMS = {
    # its windows lie half a step from the corner
    "pycorr": Program(("pycorr_iceflow_v1.1.py",), _pycorr_command, _pycorr_read, lambda setting: setting.step // 2),
    "MicMac": Program(("mm3d",), _micmac_command, _micmac_read),
    "Ames Stereo Pipeline": Program(("parallel_stereo",), _asp_command, _asp_read),
    "COSI-Corr, frequency": Program(COSICORR, _cosicorr_command("frequency"), _cosicorr_read),
    "COSI-Corr, spatial": Program(COSICORR, _cosicorr_command("spatial"), _cosicorr_read),
}
