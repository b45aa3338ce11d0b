"""What a raster calls itself: whether 1 is land in it, or what moves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import xarray as xr

# Attributes in which files say what they hold.
_TITLES = ("long_name", "standard_name", "title", "description", "DESCRIPTION", "TIFFTAG_IMAGEDESCRIPTION")
# Where a word begins: after an underscore, a blank or a digit, or with a capital letter.
_BEGINS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Words of ground. "Land ice" is ice, a landslide moves, and a rock glacier is no rock.
_GROUND = re.compile(
    r"(?<![a-z])(?:(?:land|ground)(?!_?ice|_?slide)(?:masks?|water|ocean|sea)?|stable|static|bedrock"
    r"|(?:ice|snow|glacier|water)_?free|(?:off|non|no|not)_?(?:ice|snow|glaciers?|water))(?![a-z])"
)
# Words of what moves, or is water.
_MOVES = re.compile(
    r"(?<![a-z])(?:(?:land|sea|lake|river)?_?ice(?:masks?|sheets?|shel(?:f|ves)|caps?|covers?|fields?|extents?)?"
    r"|seas?|lakes?|rivers?|snow[a-z]*|moving|unstable|rgi|glims)(?![a-z])"
    r"|glacier|glaciated|ocean|water(?!shed|fall)|landslide"
)


def of_moving(data: xr.DataArray) -> str | None:
    """What a raster calls itself, where that is a name of ice, water or ground that moves, and none of land."""
    for title in _titles(data):
        words = _words(title)
        if _MOVES.search(words) and not _GROUND.search(words):
            return title
    return None


def is_ground(data: xr.DataArray) -> bool:
    """Whether a raster calls itself one of land, and of nothing else."""
    words = [_words(title) for title in _titles(data)]
    return any(map(_GROUND.search, words)) and not any(map(_MOVES.search, words))


def _titles(data: xr.DataArray) -> Iterator[str]:
    """Name, titles, and name of the file, without its folders."""
    if data.name is not None:
        yield str(data.name)
    for name in _TITLES:
        told = data.attrs.get(name)
        yield from (str(each) for each in (told if isinstance(told, (list, tuple)) else [told]) if each is not None)
    if isinstance(data.encoding.get("source"), str):
        yield re.split(r"[/\\]", data.encoding["source"])[-1]


def _words(title: str) -> str:
    """Words in lower case with underscores between them."""
    return re.sub(r"[^a-z0-9]+", "_", _BEGINS.sub("_", title).lower())
