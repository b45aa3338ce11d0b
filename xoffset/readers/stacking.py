"""Stacks of images on one grid, from the layers that a reader has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import threads, tiles
from xoffset.model import history, products
from xoffset.readers import arrays, grids, zeros
from xoffset.readers.grids import Bounds
from xoffset.readers.pixels import Align, Reader
from xoffset.readers.rasters import arrange
from xoffset.readers.scenes import Layer, Scene, coordinates, gaps

Chunks = int | Mapping[str, int]
# Part of a pixel by which sizes may differ and be taken for the same, such as those of neighbouring zones.
_SAME_SIZE = 1e-3


@dataclass(frozen=True)
class Request:
    """How a stack is wanted; `workers` read at once, as many as there are cores unless it is told."""

    align: Align | None
    bbox: Bounds | None
    chunks: Chunks | None
    workers: int | None = None


def stacked(
    layers: Sequence[Layer], request: Request, function: str, parameters: Mapping[str, Any]
) -> tuple[xr.DataArray, tiles.ReadImage]:
    """Stack (time, y, x) of layers, sorted by time, and what reads a window of all of its dates.

    `parameters` are those of the function that has found the layers. The reader, read(rows, columns) -> (time, rows,
    columns), reads files of images and nothing beyond the window.
    """
    order = np.argsort([layer.scene.date for layer in layers], kind="stable")
    scenes, images = [layers[k].scene for k in order], [layers[k].image for k in order]
    frame, window, places = arrange(images, request.align, request.bbox)
    dtype = np.result_type(*(image.result_dtype for image in images))
    readers = [
        Reader(image, place, frame, window, request.align or "nearest", dtype)
        for image, place in zip(images, places, strict=True)
    ]
    shape = window[0].stop - window[0].start, window[1].stop - window[1].start
    pixels: Any
    sides = arrays.lazy_sides(images) if request.chunks is None else sides_of(request.chunks)
    if sides is None:
        pixels, zeros_in = _read_all(readers, shape, dtype, request.workers)
    else:
        heights = [reader.heights for reader in readers]
        pixels, zeros_in = tiles.lazy_images(readers, heights, shape, dtype, sides), zeros.in_samples(readers)
    stack = products.stack(
        pixels,
        time=np.array([scene.date for scene in scenes]),
        x=frame.x_centres[window[1]],
        y=frame.y_centres[window[0]],
        crs=grids.as_pyproj(frame.crs),
        attrs=_history(function, parameters, readers) | zeros.tell(zeros_in) | gaps(scenes),
    )
    stack = stack.assign_coords(coordinates(scenes) | _native_sizes(readers, scenes))
    products.finish_stack(stack)
    return stack, partial(_read_dates, readers)


def _read_dates(readers: Sequence[Reader], rows: slice, columns: slice) -> np.ndarray:
    return np.stack([read(rows, columns) for read in readers])


def sides_of(chunks: Chunks) -> tuple[int, int]:
    """Side of the blocks along y and x, -1 for the whole axis."""
    sides = dict(chunks) if isinstance(chunks, Mapping) else dict.fromkeys("yx", chunks)
    fits = (_options.is_whole(side) and (side > 0 or side == -1) for side in sides.values())
    if not set(sides) <= {"y", "x"} or not all(fits):
        raise ValueError(
            f"open_stack() needs chunks= as a number of pixels or {{'y': ..., 'x': ...}}; got {chunks!r}. "
            "Give -1 for a whole axis; along time there is always one date a block."
        )
    return sides.get("y", -1), sides.get("x", -1)


def _read_all(
    readers: Sequence[Reader], shape: tuple[int, int], dtype: np.dtype, workers: int | None
) -> tuple[np.ndarray, list[str]]:
    """Pixels of all dates, and the images with areas of zeros that no file declares to be nodata."""
    out = np.empty((len(readers), *shape), dtype=dtype)
    has_zeros = np.zeros(len(readers), dtype=bool)

    def read(k: int) -> None:
        out[k] = readers[k](slice(0, shape[0]), slice(0, shape[1]))
        has_zeros[k] = zeros.is_undeclared(readers[k]) and zeros.has_area(out[k])

    threads.in_threads(read, range(len(readers)), workers)
    return out, [reader.image.name for reader, found in zip(readers, has_zeros, strict=True) if found]


def _native_sizes(readers: Sequence[Reader], scenes: Sequence[Scene]) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinate that tells the pixel size of each date before it was resampled, where one had another than the stack.

    `correlate` needs it: detail that is made up between the pixels of an image moves with them, not with the ground.
    """
    sizes = [
        scene.native_pixel_size or float(np.sqrt(abs(reader.image.grid.dx * reader.image.grid.dy)))
        for reader, scene in zip(readers, scenes, strict=True)
    ]
    own = [float(np.sqrt(abs(reader.frame.dx * reader.frame.dy))) for reader in readers]
    if np.allclose(sizes, own, rtol=_SAME_SIZE, atol=0.0):
        return {}
    return {products.NATIVE_SIZE: ("time", np.where(np.isclose(sizes, own, rtol=_SAME_SIZE, atol=0.0), own, sizes))}


def _history(function: str, parameters: Mapping[str, Any], readers: Sequence[Reader]) -> dict[str, Any]:
    """Attributes that tell how the stack was made; names in one text, since netCDF unpacks a list of one."""
    step: dict[str, Any] = {"function": function}
    step |= {name: np.asarray(value).tolist() for name, value in parameters.items() if value is not None}
    resampled = ", ".join(reader.image.name for reader in readers if reader.place is None)
    if not resampled:
        return {"processing": history.processed(xr.DataArray(), step)}
    align = readers[0].align
    processing = history.processed(xr.DataArray(), step | {"align": align})
    return {"align": align, "resampled": resampled, "processing": processing}
