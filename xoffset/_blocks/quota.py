"""Cores and memory that this process may use: those of the machine, or of the container that it runs in."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

# Where Linux tells of control groups, which containers, batch systems and services set limits by: the groups of this
# process, and their limits.
GROUPS, LIMITS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# Version 1 of control groups says with a number as large that there is no limit, bytes.
UNLIMITED = 2**60


def cores() -> int:
    """Number of cores that this process may use: of part of a core a whole one."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(own, _least(_shares()))))


def memory() -> float:
    """Bytes of memory that this process may use; infinite where nothing tells."""
    return min(_physical(), _least(_bytes()))


def _least(limits: Iterator[float]) -> float:
    return min(limits, default=math.inf)


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        # not a Unix
        return math.inf


def _shares() -> Iterator[float]:
    """Cores that each group lets its processes use."""
    for folder in _folders("cpu"):
        both = _words(folder / "cpu.max")
        if len(both) != 2:
            both = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(both) == 2 and both[0] not in ("max", "-1") and float(both[1]) > 0.0:
            yield float(both[0]) / float(both[1])


def _bytes() -> Iterator[float]:
    """Bytes that each group lets its processes use."""
    for folder in _folders("memory"):
        for file in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            found = _words(folder / file)
            if found and found[0] != "max" and float(found[0]) < UNLIMITED:
                yield float(found[0])


def _folders(controller: str) -> Iterator[Path]:
    """Folders that tell the limits of the groups of this process, each with those that it is part of."""
    for line in _lines(GROUPS):
        number, names, path = line.split(":", 2)
        if number == "0" and not names:
            root = LIMITS
        elif controller in names.split(","):
            # the folder of a controller bears all of its names, or there is a link of its own
            root = next((LIMITS / each for each in (names, controller) if (LIMITS / each).is_dir()), LIMITS)
        else:
            continue
        # within a container the path may be that of the machine outside, of which only the root is seen
        yield root
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for k in range(1, len(parts) + 1):
            yield root.joinpath(*parts[:k])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        # not Linux, or hidden
        return []


def _words(file: Path) -> list[str]:
    return [word for line in _lines(file) for word in line.split()]
