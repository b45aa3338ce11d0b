"""What it costs to open Sentinel-2 products and to read their JPEG 2000 images, against the decoder alone.

python benchmarks/reading.py [opening] [decoding] [--small | --full]
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from _measure import Extent, Rows, least_cpu_seconds, run

import xoffset

sys.path.append(str(Path(__file__).parents[1] / "tests" / "readers"))

import safe_products

DATES = [f"2021-07-{day:02}T10:20:31.024" for day in range(1, 11)]
# Side of a tile in pixels of 10 m; that of Sentinel-2 is the last.
SIDES = {"small": 240, "usual": 4098, "full": 10980}


def opening(extent: Extent) -> Rows:
    """Seconds until ten products of one tile are a lazy stack, and until its graph is there."""
    rows = []
    for kind in ("folders", "zip files"):
        with tempfile.TemporaryDirectory() as folder:
            _write(folder, SIDES[extent], as_zip=kind == "zip files")
            wall, cpu = time.perf_counter(), time.process_time()
            stack = xoffset.open_stack(f"{folder}/*", band="B04", chunks=1024)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        side = stack.sizes["x"]
        rows.append({"products": f"10 {kind}", "side [px]": side, "wall [s]": wall, "CPU [s]": cpu})
    return rows


def decoding(extent: Extent) -> Rows:
    """CPU seconds of one band of one date, as a ratio to reading the file with rasterio."""
    with tempfile.TemporaryDirectory() as folder:
        _write(folder, SIDES[extent], DATES[:1])
        image = str(next(Path(folder).glob("**/IMG_DATA/*_B04.jp2")))
        calls = {"rasterio": lambda: _read(image), "eager": lambda: xoffset.open_stack(f"{folder}/*", band="B04")}
        for side in (256, 1000, 1024):
            calls[f"chunks={side}"] = lambda side=side: xoffset.open_stack(
                f"{folder}/*", band="B04", chunks=side
            ).compute()
        seconds = least_cpu_seconds(calls, repeats=2)
    megapixels = SIDES[extent] ** 2 / 1e6
    return [
        {"reader": name, "ns a pixel": 1e3 * found / megapixels, "ratio": found / seconds["rasterio"]}
        for name, found in seconds.items()
    ]


def _read(image: str) -> np.ndarray:
    with rasterio.open(image) as dataset:
        return dataset.read(1)


def _write(folder: str, side: int, dates: Sequence[str] = DATES, *, as_zip: bool = False) -> None:
    """Products of one tile with content that compresses about as well as an image does, the same on all dates."""
    random = np.random.default_rng(0)
    coarse = random.normal(2000.0, 300.0, (side // 6, side // 6)).repeat(6, 0).repeat(6, 1)
    pixels = (coarse + random.normal(0.0, 50.0, (side, side))).clip(1, 10_000).astype(np.uint16)
    first = safe_products.write(folder, date=dates[0], size=side, bands=("B04",), pixels={"B04": pixels}).path
    products = [first, *(_at(first, dates[0][:10], date[:10]) for date in dates[1:])]
    if as_zip:
        for product in products:
            with zipfile.ZipFile(product.with_suffix(".zip"), "w") as archive:
                for file in product.rglob("*"):
                    archive.write(file, file.relative_to(product.parent))
            shutil.rmtree(product)


def _at(product: Path, day: str, other: str) -> Path:
    """The same product of another day: its metadata, and links to its images."""

    def renamed(text: str) -> str:
        return text.replace(day, other).replace(day.replace("-", ""), other.replace("-", ""))

    for file in product.rglob("*"):
        copy = product.parent / renamed(str(file.relative_to(product.parent)))
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".jp2":
            os.link(file, copy)
        elif file.is_file():
            copy.write_text(renamed(file.read_text()))
    return product.parent / renamed(product.name)


PARTS = (opening, decoding)

if __name__ == "__main__":
    run("reading", PARTS)
