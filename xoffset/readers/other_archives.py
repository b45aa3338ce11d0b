"""Archives that no reader of products knows: what they hold, or why they are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from xoffset.readers import archives


def is_product(place: str) -> bool:
    """Whether a path is that of an archive of any kind."""
    return bool(archives.kind_of(place))


def open_product(place: str, tile: Sequence[str] | None) -> NoReturn:
    """Tell what is wrong with an archive: to be asked after all readers that know some."""
    names = archives.open_tree(place).names
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} files more" if len(names) > 3 else "")
    raise ValueError(
        f"open_stack() needs archives of products that it knows, whole; got {place} with {told or 'no files'}. Unpack "
        "it, and give the images in it, or the folder of the product."
    )
