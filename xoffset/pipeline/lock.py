"""One writer at a time: a file beside a store that names the process that writes it."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xoffset.pipeline.parts import Part
from xoffset.pipeline.places import Place, Remote, below, beside

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("xoffset")


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
    ours = {"host": socket.gethostname(), "process": os.getpid(), "began": _began(os.getpid())}
    for _ in range(2):
        if _claim(file, ours, caller):
            break
        _take_over_or_refuse(file, place, caller)
    else:
        raise BlockingIOError(
            f"{caller}() needs to be the only one that writes {place}; got a lock that others take, too: {file}. "
            "Wait for them, or choose another path."
        )
    try:
        # after its own, so that of two that begin at once not both go on
        for other in _others(place, part):
            _take_over_or_refuse(other, place, caller)
        yield
    finally:
        file.unlink(missing_ok=True)


def holder(place: Place) -> str | None:
    """Who writes a store or a part of it, by the locks; None if nobody does, or if that process has ended."""
    found = [_holder(file) for file in (place.with_name(_name(place, None)), *_others(place, None))]
    return next((each for each in found if each is not None), None)


def _holder(file: Place) -> str | None:
    try:
        held = json.loads(file.read_text())
        host, process, began = held["host"], int(held["process"]), held["began"]
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        return "a process that does not name itself"
    return None if host == socket.gethostname() and _began(process) != began else f"process {process} on {host}"


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


def _claim(file: Place, ours: dict[str, object], caller: str) -> bool:
    """Write the lock, unless there is one."""
    try:
        if isinstance(file, Remote):
            file.create(json.dumps(ours))
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x") as opened:
                json.dump(ours, opened)
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
        host, process, began = held["host"], int(held["process"]), held["began"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        # its writer was stopped before it could write who it was, or just begins
        host, process, began = "a machine it does not name", 0, None
    is_here = host == socket.gethostname()
    if is_here and _began(process) != began:
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
    with suppress(FileNotFoundError), file.open("r+") as opened:
        if fcntl is not None:
            fcntl.flock(opened, fcntl.LOCK_EX)
        # whoever waited for the other finds a lock that is removed, or one of the other
        if os.path.samestat(os.fstat(opened.fileno()), file.stat()) and opened.read() == text:
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
