"""autoRIFT: offset.tif of a pair of optical images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, file_sets, looks, pair_names, rasters, service_maps, writing
from xoffset.formats.border import Theirs
from xoffset.formats.names import SYSTEMS
from xoffset.model import checks, grids
from xoffset.model.dates import Date
from xoffset.model.flags import FLAGS

_SYSTEM = "autorift"
_READ, _WRITE = "autorift.read", "autorift.write"
# Displacement along x and y, interpolated or not, side of the chip.
_BANDS = ("Dx", "Dy", "InterpMask", "ChipSizeX")
# Of offsets in metres: the number for no value, and the file that tells their dates.
OFFSET_NODATA, _TOLD = -32768.0, "metadata.txt"


def recognises(look: looks.Look) -> bool:
    """Whether it is called offset.tif, alone or after the dates, and has four bands."""
    is_named = look.name == "offset.tif" or look.name.endswith("_offset.tif")
    return look.kind == "tiff" and is_named and look.size == len(_BANDS)


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | tuple[float, float] | None = None,
    dates: tuple[Date, Date] | None = None,
) -> xr.Dataset:
    """Shifts of autoRIFT's offset.tif of two optical images.

    Its displacements count pixels of the matched images, the second one positive toward the top of the image. Values
    that were interpolated have the flag `smoothed`; `template_size` is the side of the chip. Offsets of radar images,
    whose axes are range and azimuth though the grid is a map, are not told apart by the file: do not pass them.

    Parameters
    ----------
    path
        GeoTIFF with four bands.
    pixel_size
        Side of a pixel of the matched images in metres, or one along x and one along y; the file does not tell it.
    dates
        Reference and secondary date, where the name of the file does not tell them.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair; standard errors are not known.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it has not four bands, or dates or the size of pixels are not known.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (path,) = xoffset.formats.autorift.write(shifts, folder)
    ...     dict(xoffset.formats.autorift.read(path, pixel_size=10.0).sizes)["pair"]
    1
    """
    place = _options.as_path(path, "path", _READ)
    raster = rasters.read(place, _READ)
    if len(raster.values) != len(_BANDS):
        raise ValueError(
            f"{_READ}() needs four bands, dx, dy, interpolation and chip size; got {len(raster.values)} in "
            f"{place.name}. Is it the velocity.tif of that run? Pass its offset.tif."
        )
    first, second = pair_names.dates(place.name, dates, _READ)
    east, north = (
        file_sets.in_units(_SYSTEM, name, raster, band, _READ) for band, name in enumerate(SYSTEMS[_SYSTEM].names)
    )
    interpolated, chip = raster.values[2:]
    return border.to_shifts(
        _SYSTEM, {"dx": east, "dy": north, "template_size": np.where(chip > 0, chip, np.float32(np.nan))},
        [first], [second], raster.place, source=[place.name], caller=_READ, pixel=border.sides(pixel_size, _READ),
        flags=(interpolated == 1) * np.int64(FLAGS["smoothed"]),
    )  # fmt: skip


def write(
    shifts: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    pixel_size: float | tuple[float, float] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """GeoTIFFs in the layout of autoRIFT's offset.tif, `<reference>_<secondary>_offset.tif`, one a pair.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x); lazy ones are computed pair by pair.
    folder
        Where the files go; made if it is not there.
    pixel_size
        Side of the pixels to count in metres, or one along x and one along y. None: that of the matched images, which
        the shifts of `correlate` tell.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the pairs.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If these are no shifts, or the size of pixels is not known.
    FileExistsError
        If a file is there and `overwrite` is not set.
    OSError
        If the files cannot be written.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(xoffset.formats.autorift.write(shifts, folder)) == shifts.sizes["pair"]
    True
    """
    target = _options.as_path(folder, "folder", _WRITE)
    is_asked = _options.as_switch(overwrite, "overwrite", _WRITE)
    fields = ("dx", "dy", "flags", "template_size")
    theirs = border.from_shifts(_SYSTEM, shifts, caller=_WRITE, pixel=border.sides(pixel_size, _WRITE), fields=fields)
    theirs = file_sets.by_day(theirs, _WRITE)
    names = [f"{stem}_offset.tif" for stem in border.stems(theirs, "_")]
    options = rasters.profile(theirs.place, theirs.step)
    with writing.replaced_all(target, names, overwrite=is_asked, caller=_WRITE) as scratch:
        for pair, name in enumerate(names):
            rasters.write(scratch / name, _bands(theirs, pair), options, {}, _WRITE)
    return [target / name for name in names]


def write_offsets(shifts: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """GeoTIFFs of the offsets of each pair in metres, and `metadata.txt`, as MintPy's loader of COSI-Corr takes them.

    `autorift_YYYYMMDDT000000_YYYYMMDDT000000_EWOffset.tif` is positive toward east, and `_NSOffset.tif` toward north,
    in metres of the grid; -32768 where there is none. Each line of `metadata.txt` has the name of a file and its two
    dates.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x); lazy ones are computed pair by pair.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the pairs, then `metadata.txt`.

    Raises
    ------
    TypeError, ValueError
        If these are no shifts, a pair is of one day, or two pairs have the same days.
    FileExistsError
        If a file is there and `overwrite` is not set.
    OSError
        If the files cannot be written.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.autorift.write_offsets(shifts, folder)
    >>> files[-1].name, len(files) == 2 * shifts.sizes["pair"] + 1
    ('metadata.txt', True)
    """
    caller = "autorift.write_offsets"
    target = _options.as_path(folder, "folder", caller)
    is_asked = _options.as_switch(overwrite, "overwrite", caller)
    shifts = service_maps.prepared(checks.as_shifts(shifts, caller), caller)
    days = service_maps.days_of_pairs(shifts, caller)
    options = rasters.profile(border.Place.of(shifts), grids.spacing(shifts, caller)) | {"nodata": OFFSET_NODATA}
    names = [
        (f"autorift_{first}T000000_{second}T000000_{end}Offset.tif", first, second, pair, component)
        for pair, (first, second) in enumerate(days)
        for end, component in (("EW", "dx"), ("NS", "dy"))
    ]
    told = "".join(f"{name} {first} {second}\n" for name, first, second, *_ in sorted(names))
    with writing.replaced_all(
        target, [*(each[0] for each in names), _TOLD], overwrite=is_asked, caller=caller
    ) as scratch:
        for name, *_, pair, component in names:
            values = np.asarray(shifts[component].data[pair], dtype=np.float32)
            values = np.where(np.isfinite(values), values, np.float32(OFFSET_NODATA))
            toward = "east" if component == "dx" else "north"
            about = {"units": "m", "long_name": f"displacement, {toward} positive"}
            rasters.write(scratch / name, {"": values}, options, about, caller)
        (scratch / _TOLD).write_text(told)
    return [target / name for name in (*(each[0] for each in names), _TOLD)]


def _bands(theirs: Theirs, pair: int) -> dict[str, np.ndarray]:
    """The four bands of a pair."""
    values = {key: np.asarray(data[pair]) for key, data in theirs.fields.items()}
    nothing = np.zeros(values["dx"].shape)
    is_smoothed = (values.get("flags", nothing.astype(np.int64)) & FLAGS["smoothed"]) != 0
    chip = np.nan_to_num(values.get("template_size", nothing))
    bands = (values["dx"], values["dy"], is_smoothed, chip)
    return {name: each.astype(np.float32) for name, each in zip(_BANDS, bands, strict=True)}
