"""Files behind addresses: which of them a pattern or a folder stands for."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from typing import Any

# Protocols whose files GDAL reads by itself.
READABLE = ("http", "https", "s3", "gs", "az")


def is_address(place: str) -> bool:
    """Whether a text is an address, and no path."""
    return "://" in place


def find(place: str, suffixes: Sequence[str]) -> list[str]:
    """Addresses of the files that match a pattern, or lie in a folder and have one of the suffixes; else as it is.

    Addresses of http hold "?" and brackets of their own, and folders of it may not be listed: there only "*" is one of
    a pattern.

    Raises
    ------
    FileNotFoundError
        If nothing matches.
    ImportError
        If what the protocol needs is not installed.
    OSError
        If the service cannot be reached, or refuses.
    """
    scheme, _, rest = place.partition("://")
    is_pattern = "*" in rest if scheme.startswith("http") else glob.has_magic(rest)
    # files have a suffix, as all that GDAL reads
    is_folder = not scheme.startswith("http") and "." not in rest.rstrip("/").rpartition("/")[2]
    if not (is_pattern or is_folder):
        return [place]
    system, key = system_of(place)
    try:
        if is_pattern:
            names = system.glob(key)
        else:
            names = [name for name in system.ls(key, detail=False) if name.lower().endswith(tuple(suffixes))]
    except FileNotFoundError:
        names = []
    except Exception as error:  # each service has its own errors
        raise OSError(
            f"open_stack() needs a service that lists {place}; got '{error}'. Check the address and the keys that may "
            "read there, or list the files yourself."
        ) from error
    if not names:
        raise FileNotFoundError(
            f"open_stack() needs images; there are none at {place}. Check the address, or list the files yourself."
        )
    return sorted(f"{scheme}://{name.partition('://')[2] or name}" for name in names)


def system_of(place: str) -> tuple[Any, str]:
    """File system of fsspec for an address, and what that calls it."""
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        found: tuple[Any, str] = url_to_fs(place)
    except ImportError as error:
        scheme = place.partition("://")[0]
        raise ImportError(
            f"open_stack() needs another library to list {scheme}://; got '{error}'. Install it, or list the files "
            "yourself: GDAL reads them without."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"open_stack() needs an address of a protocol that fsspec knows; got {place}: {error}. Check the address."
        ) from error
    return found
