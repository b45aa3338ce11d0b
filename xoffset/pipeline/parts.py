"""Parts of the tiles of a store, for processes that share a run without knowing of each other."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# What stands for the part of an element of a SLURM job array, and for no tile at all.
SLURM, NONE = "@SLURM_ARRAY", "none"
EXAMPLE = "Pass tiles such as '0:100', the first of twenty parts '0/20', '@SLURM_ARRAY' in a job array, or 'none'."


class Part(NamedTuple):
    """Tiles first, ..., stop - 1 of a store, by row and then column."""

    first: int
    stop: int
    is_last: bool = False  # whether it goes on with what needs all tiles, and computes none itself

    def overlaps(self, other: Part) -> bool:
        """Whether both hold a tile."""
        return max(self.first, other.first) < min(self.stop, other.stop)


def as_part(tiles: Any, count: int, caller: str) -> Part | None:
    """Part of so many tiles: slice, range or text; None for all of them.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it has a step, or the text cannot be read, or the environment tells of no job array.
    """
    if tiles is None:
        return None
    if isinstance(tiles, str):
        return _of_text(tiles.strip(), count, caller)
    if not isinstance(tiles, (slice, range)):
        raise TypeError(f"{caller}() needs a part of the tiles; got {type(tiles).__name__}. {EXAMPLE}")
    if tiles.step not in (None, 1):
        raise ValueError(f"{caller}() needs tiles one after the other; got a step of {tiles.step}. {EXAMPLE}")
    if isinstance(tiles, range):
        tiles = slice(tiles.start, tiles.stop)
    first, stop, _ = tiles.indices(count)
    return Part(first, max(first, stop))


def _of_text(text: str, count: int, caller: str) -> Part:
    if text == NONE:
        return Part(0, 0, is_last=True)
    if text == SLURM:
        return _share(*_of_array(os.environ, caller), count)
    ends = re.fullmatch(r"(-?\d*):(-?\d*)", text)
    if ends:
        first, stop, _ = slice(*(int(each) if each else None for each in ends.groups())).indices(count)
        return Part(first, max(first, stop))
    share = re.fullmatch(r"(\d+)/(\d+)", text)
    if share and int(share[1]) < int(share[2]):
        return _share(int(share[1]), int(share[2]), count)
    what = "a part below their number, counted from 0" if share else "a part of the tiles"
    raise ValueError(f"{caller}() needs {what}; got tiles={text!r}. {EXAMPLE}")


def _share(number: int, of: int, count: int) -> Part:
    return Part(number * count // of, (number + 1) * count // of)


def _of_array(environment: Mapping[str, str], caller: str) -> tuple[int, int]:
    """Number of an element of a SLURM job array, from 0, and how many there are."""
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX")
    told = [environment.get(name, "") for name in names]
    if not all(each.isdigit() for each in told):
        lacking = next(name for name, each in zip(names, told, strict=True) if not each.isdigit())
        raise ValueError(
            f"{caller}() needs the environment of a SLURM job array for tiles='{SLURM}'; got no {lacking}. Submit it "
            "with sbatch --array=0-19, or pass tiles such as '0/20'."
        )
    number, first, last = map(int, told)
    step = int(environment.get("SLURM_ARRAY_TASK_STEP") or 1)
    count = (last - first) // step + 1
    if environment.get("SLURM_ARRAY_TASK_COUNT", str(count)) != str(count) or (number - first) % step:
        raise ValueError(
            f"{caller}() needs a job array whose numbers have even steps; got {environment['SLURM_ARRAY_TASK_COUNT']} "
            f"from {first} to {last}. Submit it with sbatch --array=0-19: what is done already is not done again."
        )
    return (number - first) // step, count
