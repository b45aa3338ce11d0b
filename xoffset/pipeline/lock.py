"""One writer at a time: a file beside a store that names the process that writes it."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xoffset.pipeline.parts import Part
from xoffset.pipeline.places import Place, Remote, below, beside

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("xoffset")

# Claims of this process that hold: a lock of another one is left, as its disk had vanished when it was to be removed.
_HELD: set[str] = set()


@contextmanager
def only_writer(place: Place, caller: str, part: Part | None = None) -> Iterator[None]:
    """Hold the lock of a store, or of a part of its tiles: a file beside it; or raise with who holds it.

    Parts that share no tile are written at the same time; whoever writes all tiles is alone. The lock of a process of
    this machine that has ended, killed perhaps, is taken over. That of another machine is not: nothing tells from here
    whether it still runs.

    Raises
    ------
    BlockingIOError
        If another process or thread writes there, or may.
    OSError
        If the folder cannot be made or written.
    """
    file = place.with_name(_name(place, part))
    claim, process = uuid.uuid4().hex, os.getpid()
    ours = json.dumps({"host": socket.gethostname(), "process": process, "began": _began(process), "claim": claim})
    _HELD.add(claim)
    try:
        _take(file, ours, place, caller)
        try:
            # after its own, so that of two that begin at once not both go on
            for other in _others(place, part):
                _take_over_or_refuse(other, place, caller)
            yield
        finally:
            _give_back(file, ours)
    finally:
        _HELD.discard(claim)


def _take(file: Place, ours: str, place: Place, caller: str) -> None:
    """Write a lock, in the place of one whose owner has ended, too."""
    for _ in range(2):
        if _claim(file, ours, caller):
            return
        _take_over_or_refuse(file, place, caller)
    raise BlockingIOError(
        f"{caller}() needs to be the only one that writes {place}; got a lock that others take, too: {file}. "
        "Wait for them, or choose another path."
    )


def _give_back(file: Place, ours: str) -> None:
    """Remove a lock, if it can be: where it stays, it is one of a claim that nobody holds."""
    try:
        _remove_unchanged(file, ours)
    except Exception as error:  # each service has its own errors, and none may hide why the work was stopped
        logger.warning("the lock %s cannot be removed: %s", file, error)


def holder(place: Place) -> str | None:
    """Who writes a store or a part of it, by the locks; None if nobody does, or if that process has ended."""
    found = [_holder(file) for file in (place.with_name(_name(place, None)), *_others(place, None))]
    return next((each for each in found if each is not None), None)


def _holder(file: Place) -> str | None:
    try:
        held = json.loads(file.read_text())
        return None if _has_ended(held) else f"process {int(held['process'])} on {held['host']}"
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        return "a process that does not name itself"


def _has_ended(held: dict[str, Any]) -> bool:
    """Whether what wrote a lock here has ended: its process, or a call in this process that could not remove it."""
    process = int(held["process"])
    if held["host"] != socket.gethostname():
        return False
    return _began(process) != held["began"] or (
        process == os.getpid() and "claim" in held and held["claim"] not in _HELD
    )


def _name(place: Place, part: Part | None) -> str:
    return f"{place.name}.lock" if part is None else f"{place.name}.{part.first}-{part.stop}.lock"


def _others(place: Place, part: Part | None) -> list[Place]:
    """Locks of those that would write the same tiles: of all of them, or of parts."""
    found = []
    for name in below(beside(place)):
        ends = re.fullmatch(rf"{re.escape(place.name)}\.(?:(\d+)-(\d+)\.)?lock", name)
        if ends is None or name == _name(place, part):
            continue
        if part is None or ends[1] is None or part.overlaps(Part(int(ends[1]), int(ends[2]))):
            found.append(place.with_name(name))
    return sorted(found, key=str)


def _claim(file: Place, ours: str, caller: str) -> bool:
    """Write the lock, unless there is one."""
    try:
        if isinstance(file, Remote):
            file.create(ours)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x") as opened:
                opened.write(ours)
    except Exception as error:  # each service has its own errors
        if isinstance(error, FileExistsError) and file.exists():
            return False
        if not isinstance(error, OSError) and not isinstance(file, Remote):
            raise
        advice = "Make room or let this user write there, or choose another folder"
        if isinstance(file, Remote):
            advice = "Check the name of the bucket, that it is there, and the keys that may write to it"
        kind = type(error) if isinstance(error, OSError) else OSError
        raise kind(f"{caller}() needs a folder that can be written; got '{error}' for {file}. {advice}.") from error
    return True


def _take_over_or_refuse(file: Place, place: Place, caller: str) -> None:
    """Remove the lock of a process that has ended; refuse all others."""
    try:
        text = file.read_text()
        held = json.loads(text)
        host, process, has_ended = held["host"], int(held["process"]), _has_ended(held)
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        # its writer was stopped before it could write who it was, or just begins
        host, process, has_ended = "a machine it does not name", 0, False
    is_here = host == socket.gethostname()
    if has_ended:
        logger.warning("the process %s that wrote %s has ended: this one goes on", process, place)
        _remove_unchanged(file, text)
        return
    advice = "Wait for it, or stop it." if is_here else f"Wait for it, or if it has ended remove the lock: rm {file}"
    ends = re.search(r"\.(\d+)-(\d+)\.lock$", file.name)
    what = f"tiles {ends[1]} to {int(ends[2]) - 1} of {place}" if ends else str(place)
    raise BlockingIOError(
        f"{caller}() needs to be the only one that writes {what}; got process {process} on {host}, which does. {advice}"
    )


def _remove_unchanged(file: Place, text: str) -> None:
    """Remove a lock if it is still the one that was read: another process may have taken it over since."""
    if isinstance(file, Remote):
        with suppress(FileNotFoundError):
            if file.read_text() == text:
                file.unlink()
        return
    with suppress(FileNotFoundError):
        with file.open("r+") as opened:
            if fcntl is not None:
                fcntl.flock(opened, fcntl.LOCK_EX)
            # whoever waited for the other finds a lock that is removed, or one of the other
            is_left = os.path.samestat(os.fstat(opened.fileno()), file.stat()) and opened.read() == text
            if is_left and fcntl is not None:
                file.unlink()
                is_left = False
        if is_left:
            # what is open cannot be removed on Windows
            file.unlink()


def _began(process: int) -> str | None:
    """When a process of this machine began, in its own count; None if there is none."""
    with suppress(OSError):
        # the number of a process is given again, even the same one to each start of a container
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot + " " + Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    if Path("/proc/self").exists():
        return None
    with suppress(OSError):
        os.kill(process, 0)
        return "runs"
    return None
