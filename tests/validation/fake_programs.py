"""Programs of others as their documentation tells their calls and their files; their motion is a plane that is known.

python fake_programs.py NAME ARGUMENTS
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

# Place of the corner of the first image that motion is told from [m], and side of its pixels.
CORNER, PIXEL = (480_000.0, 5_280_000.0), 10.0


def motion(right: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Displacement right and down [px] of a window whose middle lies so many pixels right and down of the corner."""
    return 0.01 * right - 1.0, 0.5 - 0.005 * down


def write(path: Path, bands: list[np.ndarray], names: tuple[str, ...] = (), **place: object) -> None:
    """Bands (rows, columns) as a GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = bands[0].shape
    options = {"driver": "GTiff", "height": rows, "width": columns, "count": len(bands), "dtype": "float32", **place}
    with rasterio.open(path, "w", **options) as file:
        for k, band in enumerate(bands, 1):
            file.write(band.astype(np.float32), k)
            if names:
                file.set_band_description(k, names[k - 1])


def opened(*paths: str) -> tuple[int, int, float, float]:
    """Rows and columns of two images of one grid, and their first corner in pixels from `CORNER`."""
    told = []
    for path in paths:
        with rasterio.open(path) as file:
            assert file.dtypes == ("uint16",)
            assert file.read(1).min() > 0
            assert file.crs.to_epsg() == 32632
            told.append((file.height, file.width, file.transform.c, file.transform.f))
    assert told[0] == told[1]
    rows, columns, left, top = told[0]
    return rows, columns, (left - CORNER[0]) / PIXEL, (CORNER[1] - top) / PIXEL


def pycorr(arguments: list[str]) -> None:
    """Velocities in metres a day; chips lie around points half a step from the corner and so on."""
    parser = argparse.ArgumentParser()
    for name in ("imgdir", "img1datestr", "img2datestr", "datestrfmt", "out_name_base"):
        parser.add_argument(f"-{name}", required=True)
    for name in ("inc", "half_source_chip", "half_target_chip"):
        parser.add_argument(f"-{name}", type=int, required=True)
    parser.add_argument("-output_geotiffs_instead_of_netCDF", action="store_true", required=True)
    parser.add_argument("images", nargs=2)
    given = parser.parse_args(arguments)
    assert (given.imgdir, given.img1datestr, given.img2datestr, given.datestrfmt) == (
        ".", "20200101", "20200111", "%Y%m%d",
    )  # fmt: skip
    assert given.inc % 2 == 0
    rows, columns, left, top = opened(*given.images)
    down, right = (given.inc // 2 + given.inc * np.arange(size // given.inc) for size in (rows, columns))
    fits = [
        (each > given.half_target_chip) & (given.half_target_chip <= size - each)
        for each, size in zip((down, right), (rows, columns), strict=True)
    ]
    found = motion(right[None] + left + 0.0 * down[:, None], down[:, None] + top + 0.0 * right[None])
    corner = CORNER[0] + left * PIXEL, CORNER[1] - top * PIXEL
    place = {"crs": "EPSG:32632", "nodata": -9999.0, "transform": from_origin(*corner, *2 * [given.inc * PIXEL])}
    for name, pixels in (("vx", found[0]), ("vy", -found[1])):
        velocity = np.where(np.logical_and.outer(*fits), pixels * PIXEL / 10.0, -9999.0)
        write(Path(f"{given.out_name_base}_{name}.tif"), [velocity], **place)


def mm3d(arguments: list[str]) -> None:
    """Pixels right and down at every pixel, of the last of six steps."""
    command, first, second, *options = arguments
    assert command == "MM2DPosSism"
    assert Path(first).parent == Path(second).parent
    assert min(len(Path(each).stem) for each in (first, second)) > 3
    assert "@ExitOnBrkp" in options
    told = dict(each.split("=") for each in options if "=" in each)
    assert set(told) == {"SzW", "Inc", "DirMEC"}
    assert int(told["SzW"]) == 3
    rows, columns, *_ = opened(first, second)
    y, x = np.mgrid[:rows, :columns] + 0.5
    for name, layer in zip(("Px1", "Px2"), motion(x, y), strict=True):
        write(
            Path(told["DirMEC"]) / f"{name}_Num6_DeZoom1_LeChantier.tif", [layer], transform=from_origin(0, rows, 1, 1)
        )


def parallel_stereo(arguments: list[str]) -> None:
    """Pixels right and down at every pixel, and where they are known: all but the first rows."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--correlator-mode", action="store_true", required=True)
    parser.add_argument("--stereo-algorithm", choices=["asp_bm", "asp_sgm", "asp_mgm"])
    parser.add_argument("--subpixel-mode", type=int)
    parser.add_argument("--corr-kernel", type=int, nargs=2)
    parser.add_argument("--corr-search", type=int, nargs=4)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--threads-multiprocess", type=int)
    parser.add_argument("files", nargs=3)
    given = parser.parse_args(arguments)
    assert all(side % 2 for side in given.corr_kernel)
    assert given.corr_search == [-8, -8, 8, 8]
    rows, columns, *_ = opened(*given.files[:2])
    y, x = np.mgrid[:rows, :columns] + 0.5
    known = np.where(y > 40.0, 1.0, 0.0)
    layers = [np.where(known > 0.0, each, 0.0) for each in motion(x, y)]
    write(Path(f"{given.files[2]}-F.tif"), [*layers, known], transform=from_origin(0, rows, 1, 1))


def cosicorr(arguments: list[str]) -> None:
    """Metres toward east and north; the corner of each pixel of the map is the middle of its window."""
    parser = argparse.ArgumentParser().add_subparsers(required=True).add_parser("correlate")
    parser.add_argument("images", nargs=2)
    parser.add_argument("--output_path")
    parser.add_argument("--method", choices=["frequency", "spatial"])
    parser.add_argument("--window_size", type=int, nargs=4)
    parser.add_argument("--step", type=int, nargs=2)
    parser.add_argument("--search_range", type=int, nargs=2)
    parser.add_argument("--grid", action="store_true", required=True)
    assert arguments[0] == "correlate"
    given = parser.parse_args(arguments[1:])
    assert (given.search_range is not None) == (given.method == "spatial")
    rows, columns, *_ = opened(*given.images)
    side, step = given.window_size[0], given.step[0]
    margin = given.search_range[0] if given.method == "spatial" else side // 2
    down, right = (
        margin + side / 2 + step * np.arange((size - side - 2 * margin) // step + 1) for size in (rows, columns)
    )
    found = motion(right[None] + 0.0 * down[:, None], down[:, None] + 0.0 * right[None])
    corner = CORNER[0] + right[0] * PIXEL, CORNER[1] - down[0] * PIXEL
    place = {"crs": "EPSG:32632", "transform": from_origin(*corner, *2 * [step * PIXEL])}
    layers = [found[0] * PIXEL, -found[1] * PIXEL, np.ones_like(found[0])]
    write(Path(given.output_path), layers, ("East/West", "North/South", "SNR"), **place)


PROGRAMS = {
    "pycorr_iceflow_v1.1.py": pycorr, "mm3d": mm3d, "parallel_stereo": parallel_stereo, "cosicorr": cosicorr,
}  # fmt: skip


def install(folder: Path, *names: str) -> None:
    """Put programs of these names into a folder, and the Python that runs scripts."""
    wrapper = f'#!/bin/sh\nexec "{sys.executable}"'
    this = Path(__file__).resolve()
    for name in names:
        if name in ("pycorr_iceflow_v1.1.py", "cosicorr"):  # run by Python, as their calls say
            called = f"sys.argv[:1] = [{str(this)!r}, {name!r}]"
            text = f"import runpy, sys\n{called}\nrunpy.run_path({str(this)!r}, run_name='__main__')\n"
        else:
            text = f'{wrapper} "{this}" {name} "$@"\n'
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "python3").write_text(f'{wrapper} "$@"\n')
    (folder / "python3").chmod(0o755)
    assert os.access(folder / "python3", os.X_OK)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2:])
