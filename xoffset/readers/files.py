"""Raster files as GDAL opens them: without its warnings, whole, and as they were when the stack was opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from xoffset.readers import archives, indirection

# Times of the last change [ns], of the content and of the file, and size [bytes] of what a path stands for; None of
# paths that are no local files. Programs that copy files set the first time to that of the original, not the second.
State = tuple[int, int, int] | None

# GDAL would leave a file of its own beside a compressed archive that it reads.
_READ_ONLY = {"CPL_VSIL_GZIP_WRITE_PROPERTIES": "NO"}
# No code in files, and of files on this computer nothing that they name on the network.
_SAFE = {"GDAL_VRT_ENABLE_PYTHON": "NO"}
_OFFLINE = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none"}


@contextmanager
def opened(path: str, *, is_local: bool) -> Iterator[Any]:
    """Dataset of a path, or the reason in three parts why GDAL cannot open or read it.

    A file without georeference (`is_local`) is opened behind a header that lends it one: rasterio warns without, and
    warning filters are global, so they are no option. Its rows keep their order in the file, which GDAL turns for some
    formats.
    """
    import rasterio
    from rasterio._err import CPLE_BaseError  # which damaged tags raise as it is
    from rasterio.errors import RasterioIOError
    from rasterio.io import MemoryFile

    try:
        # premature ends of JPEG data are errors then, grey pixels otherwise
        with rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING="TRUE", **_options(path)):
            if is_local:
                with (
                    rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"),
                    MemoryFile(_placed(header(path)), ext=".vrt") as memory,
                    memory.open() as dataset,
                ):
                    yield dataset
            else:
                with rasterio.open(path) as dataset:
                    indirection.check_driver(path, dataset.driver)
                    yield dataset
    except (CPLE_BaseError, RasterioIOError) as error:
        raise _failure(path, error) from error


def header(path: str) -> bytes:
    """What GDAL says of a file, in the words of its VRT format."""
    import rasterio
    import rasterio.shutil
    from rasterio._err import CPLE_BaseError  # what rasterio.shutil raises; it has no public name
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile

    indirection.check_content(path)
    try:
        with rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO", **_options(path)), MemoryFile(ext=".vrt") as memory:
            rasterio.shutil.copy(in_place(path), memory.name, driver="VRT")
            text = bytes(memory.read())
    except (CPLE_BaseError, RasterioError) as error:
        raise _failure(path, error) from error
    if b"<VRTRasterBand" not in text:
        raise ValueError(_several(path))
    return text


def _options(path: str) -> dict[str, str]:
    """Options of GDAL for a path: what is on this computer leads nowhere else."""
    is_local = "://" not in path and (not path.startswith("/vsi") or _PACKED.match(path) is not None)
    return _READ_ONLY | _SAFE | (_OFFLINE if is_local else {})


def in_place(path: str) -> str:
    """Path by which GDAL reads parts of a remote file; of an address as it is it would fetch the whole file."""
    scheme, separator, rest = path.partition("://")
    if not separator or scheme not in _REMOTE:
        return path
    return f"/vsi{_REMOTE[scheme]}/{path if scheme.startswith('http') else rest}"


_REMOTE = {"http": "curl", "https": "curl", "s3": "s3", "gs": "gs", "az": "az"}


def _several(path: str) -> str:
    return (
        f"open_stack() needs one image a file; got {Path(path).name}, which holds several variables or none. "
        f"Name one in the list of files, such as 'NETCDF:{path}:red', or open it with xarray.open_dataset()."
    )


def is_georeferenced(text: bytes) -> bool:
    """Whether the header of a file places it."""
    return b"<GeoTransform>" in text


def _placed(text: bytes) -> bytes:
    """Header with a georeference, which nobody reads."""
    start, rest = text.split(b">", 1)
    return start + b"><GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>" + rest


def _failure(path: str, error: Exception) -> OSError:
    if not Path(path).exists() and "://" not in path and not path.startswith("/vsi"):
        return FileNotFoundError(
            f"open_stack() needs an image; there is no file {path}. "
            f"Check the name, and the working folder {Path.cwd()}."
        )
    return unreadable(path, str(error.__cause__ or error))


def unreadable(path: str, reason: str) -> OSError:
    """Error of a file that is no whole image."""
    return OSError(
        f"open_stack() needs whole images that GDAL can read; got {path}, which it cannot ({reason}). "
        "Fetch or make the file again, or leave it out."
    )


def state(*paths: str) -> State:
    """Last change of local files, and their size together."""
    with suppress(OSError, ValueError):  # ValueError: of none
        found = [Path(_on_disk(path)).stat() for path in paths]
        times = [max(getattr(each, time) for each in found) for time in ("st_mtime_ns", "st_ctime_ns")]
        return times[0], times[1], sum(each.st_size for each in found)
    return None


def _on_disk(path: str) -> str:
    """File that a path of GDAL reads from: of a file in an archive, the archive."""
    inside = _PACKED.match(path)
    part = re.match(r"/vsisubfile/\d+_\d+,(.+)", path)
    return inside[2] if inside else part[1] if part else path


def check_unchanged(path: str, before: State, now: State) -> None:
    """Refuse a file that is no longer what was opened; one that is gone is noticed when it is opened."""
    if before is not None and now is not None and now != before:
        raise OSError(
            f"open_stack() needs files as they were when the stack was opened; {path} has changed since. "
            "Open the stack again."
        )


def check_whole(path: str, driver: str, n_bytes: int, now: State) -> None:
    """Refuse cut files of the formats for which GDAL makes up the missing pixels and stays silent."""
    if _PACKED.match(path):
        _check_packed(path, driver, now)
    file = Path(path)
    is_jpeg2000 = driver.startswith(_JPEG2000)
    if not (is_jpeg2000 or driver in ("PNG", "ENVI")) or not file.exists():
        return
    size = file.stat().st_size
    if driver == "PNG":
        with file.open("rb") as stream:
            stream.seek(max(0, size - 1024))
            is_whole = b"IEND" in stream.read()
    elif is_jpeg2000:
        with file.open("rb") as stream:
            is_whole = is_whole_jpeg2000(stream)
    else:
        is_whole = size >= n_bytes
    if not is_whole:
        raise unreadable(path, "the file ends before the image does")


@lru_cache(maxsize=4096)
def _check_packed(path: str, driver: str, _now: State) -> None:
    """Refuse a file of an archive that was cut, or whose content has another checksum than the zip archive says.

    GDAL looks at neither. It takes reading the file to its end, which is done once as long as the archive stays as it
    is, and not when it is opened: an archive of a hundred dates would be read as a whole.
    """
    kind, place, name = _PACKED.fullmatch(path).groups()  # type: ignore[union-attr]
    with archives.open_tree(place).opened(name) as stream:
        is_whole = not driver.startswith(_JPEG2000) or is_whole_jpeg2000(stream, by_reading=kind == "zip")
        while kind == "zip" and stream.read(_PIECE):
            pass
    if not is_whole:
        raise unreadable(path, "the file ends before the image does")


def is_whole_jpeg2000(stream: IO[bytes], *, by_reading: bool = False) -> bool:
    """Whether the code stream of a JPEG 2000 file goes on to its mark of the end.

    Goes forward only; `by_reading` over every byte to the end, which is how archives check what they hold.
    """
    start, position = stream.read(8), 0
    while len(start) == 8 and start[:2] != b"\xff\x4f" and start[4:] != b"jp2c":
        length = _box_length(stream, start)
        if length < 8:
            return False
        position += length
        _go(stream, position, by_reading=by_reading)
        start = stream.read(8)
    if len(start) < 8:
        return False
    length = 0 if start[:2] == b"\xff\x4f" else _box_length(stream, start)
    if length:
        _go(stream, position + length - 2, by_reading=by_reading)
        last = stream.read(2)
    else:  # to the end of the file
        last = start[-2:]
        while piece := stream.read(_PIECE):
            last = (last + piece)[-2:]
    while by_reading and stream.read(_PIECE):
        pass
    return last == b"\xff\xd9"


_PIECE = 2**20
_PACKED = re.compile(r"/vsi(zip|tar)/\{(.+?)\}/(.+)")
_JPEG2000 = ("JP2", "JPEG2000")


def _box_length(stream: IO[bytes], start: bytes) -> int:
    length = int.from_bytes(start[:4], "big")
    return int.from_bytes(stream.read(8), "big") if length == 1 else length  # 1: stands in the next eight bytes


def _go(stream: IO[bytes], position: int, *, by_reading: bool) -> None:
    """Go forward to a place in a stream."""
    if not by_reading:
        stream.seek(position)
        return
    while (left := position - stream.tell()) > 0 and stream.read(min(left, _PIECE)):
        pass


def driver_of(path: str) -> str:
    """Name of the GDAL driver of a file without georeference that needs care, told by its first bytes; else empty."""
    if not Path(path).is_file():
        name = path.split(":", 1)[0]
        return "netCDF" if name == "NETCDF" else name if name.startswith(("HDF", "ZARR", "GRIB")) else ""
    with Path(path).open("rb") as stream:
        start = stream.read(16)
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "GTiff"
    for driver, signature in _SIGNATURES.items():
        if start.startswith(signature):
            return driver
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    names = (Path(path).with_suffix(".hdr"), Path(path + ".hdr"))
    return "ENVI" if any(name.is_file() and name.read_bytes()[:4] == b"ENVI" for name in names) else ""


_SIGNATURES = {
    "PNG": b"\x89PNG",
    "JPEG": b"\xff\xd8",
    "netCDF": b"CDF",
    "HDF5": b"\x89HDF",
    "HDF4": b"\x0e\x03\x13\x01",
}
