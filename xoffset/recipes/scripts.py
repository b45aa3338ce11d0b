"""Steps of recipes as text: calls of public functions in Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import filtering, formats

# Folders of the package whose functions are public under the name of the folder, and of the module in `formats`.
_NAMESPACES = ("masking", "plotting", "formats")
# Functions of `formats` that are public at the top.
_AT_TOP = ("to_geotiff", "open_shifts", "from_table")


def as_code(value: Any, given: Mapping[str, str], result: type[str]) -> str:
    """Value in Python; of a name of a `result` what is given for it, or the name itself."""
    if isinstance(value, result):
        return given.get(getattr(value, "key", value), str(value))
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, (list, tuple)):
        inside = ", ".join(as_code(each, given, result) for each in value)
        return f"[{inside}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {as_code(each, given, result)}" for key, each in value.items()) + "}"
    if dataclasses.is_dataclass(value):  # a matcher or a filter with its options
        owner = "xoffset.filtering" if type(value).__name__ in filtering.__all__ else "xoffset"
        return f"{owner}.{value!r}"
    return "stack" if isinstance(value, xr.DataArray) else repr(value)


def public_name(call: Callable[..., Any]) -> str:
    """Name that users call a function by."""
    _, folder, *module = call.__module__.split(".")
    if folder not in _NAMESPACES or call.__name__ in _AT_TOP:
        return f"xoffset.{call.__name__}"
    if folder == "formats":
        # what is public as a part of one module may stand in a file beside it
        owners = [name for name in formats.__all__ if getattr(getattr(formats, name), call.__name__, None) is call]
        folder = f"formats.{owners[0] if owners else module[0]}"
    return f"xoffset.{folder}.{call.__name__}"
