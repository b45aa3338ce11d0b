"""One writer at a time: a file beside a store that names the process that writes it."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("xoffset")


@contextmanager
def only_writer(place: Path, caller: str) -> Iterator[None]:
    """Hold the lock of a store, a file beside it, or raise with who holds it.

    The lock of a process of this machine that has ended, killed perhaps, is taken over. That of another machine is
    not: nothing tells from here whether it still runs.

    Raises
    ------
    BlockingIOError
        If another process or thread writes there, or may.
    OSError
        If the folder cannot be made or written.
    """
    file = place.with_name(f"{place.name}.lock")
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
        yield
    finally:
        file.unlink(missing_ok=True)


def holder(place: Path) -> str | None:
    """Who writes a store, by its lock; None if nobody does, or if the process of this machine has ended."""
    try:
        held = json.loads(place.with_name(f"{place.name}.lock").read_text())
        host, process, began = held["host"], int(held["process"]), held["began"]
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        return "a process that does not name itself"
    return None if host == socket.gethostname() and _began(process) != began else f"process {process} on {host}"


def _claim(file: Path, ours: dict[str, object], caller: str) -> bool:
    """Write the lock, unless there is one."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x") as opened:
            json.dump(ours, opened)
    except OSError as error:
        if isinstance(error, FileExistsError) and file.exists():
            return False
        raise type(error)(
            f"{caller}() needs a folder that can be written; got '{error}'. Make room or let this user write there, or "
            "choose another folder."
        ) from error
    return True


def _take_over_or_refuse(file: Path, place: Path, caller: str) -> None:
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
    raise BlockingIOError(
        f"{caller}() needs to be the only one that writes {place}; got process {process} on {host}, which does. "
        f"{advice}"
    )


def _remove_unchanged(file: Path, text: str) -> None:
    """Remove a lock if it is still the one that was read: another process may have taken it over since."""
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
