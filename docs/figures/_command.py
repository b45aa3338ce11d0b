"""What the scripts of figures share: their command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def draw_asked(description: str, figures: tuple[Callable[[Path], None], ...]) -> None:
    """Draw the figures that the command line names, or all, from the folder of the sets of images that it gives."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="folder of the sets of images")
    parser.add_argument("figures", nargs="*", help=f"of {', '.join(each.__name__ for each in figures)}; all if none")
    given = parser.parse_args()
    for each in figures:
        if not given.figures or each.__name__ in given.figures:
            each(given.folder)
