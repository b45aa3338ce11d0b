"""Tasks that the workers of a cluster compute: few at a time, whoever of the workers leaves or joins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from distributed import CancelledError, KilledWorker, WorkerPlugin
from distributed.comm.core import CommClosedError

Name = TypeVar("Name")
# Seconds without any news after which it is looked whether there are workers at all.
PATIENCE = 10.0


class _Prepare(WorkerPlugin):
    """Calls a function once in each worker before its first task, in those that join later, too."""

    idempotent = True

    def __init__(self, name: str, function: Callable[[], None]) -> None:
        self.name, self.function = name, function

    async def setup(self, worker: Any) -> None:
        # beside its messages: a worker that does not answer would be given up for lost
        await asyncio.get_running_loop().run_in_executor(None, self.function)


def prepare(client: Any, name: str, function: Callable[[], None]) -> None:
    """Have every worker call a function once; nothing happens if one of that name was called there already."""
    client.register_plugin(_Prepare(name, function))


def compute_few(
    client: Any,
    tasks: Mapping[Name, Any],
    at_once: Callable[[], int],
    done: Callable[[Any], None],
    failed: Callable[[Name, Exception], None],
    waits: Callable[[float], None],
) -> None:
    """Compute tasks, at_once() of them in flight; tells of each as it ends.

    What a worker that is lost was computing goes to another one. A task whose workers all die is given to others once
    more in the end before it counts as failed. While there is no worker at all, waits(seconds) is called now and then.

    Raises
    ------
    OSError
        If the client is closed, or its scheduler is lost.
    """
    waiting = list(tasks)[::-1]
    flying: dict[Any, Name] = {}
    again: list[Name] = []
    ended: SimpleQueue[Any] = SimpleQueue()
    is_second = False
    try:
        while waiting or flying or (again and not is_second):
            if not waiting and not flying:
                # not before: what it shares with others counts as failed as long as one of them is there
                waiting, is_second = again, True
            chosen = [waiting.pop() for _ in range(min(len(waiting), max(1, at_once()) - len(flying)))]
            for name, future in zip(chosen, client.compute([tasks[name] for name in chosen]), strict=True):
                flying[future] = name
                future.add_done_callback(ended.put)
            future = _next(ended, client, waits)
            try:
                result = _result(future, client, waits)
            except CancelledError:
                raise
            except Exception as error:  # whatever a task raises
                if isinstance(error, KilledWorker) and not is_second:
                    again.append(flying[future])
                    _forget(future, client)
                else:
                    failed(flying[future], error)
            else:
                done(result)
            del flying[future]
    except (CancelledError, Exception) as error:
        if client.status == "running" and not isinstance(error, (CancelledError, CommClosedError)):
            raise
        raise OSError(
            "a cluster is needed until all is computed; its scheduler was lost or the client closed. What is written "
            "is safe: connect a client again, and run the same again."
        ) from error
    finally:
        with suppress(Exception):  # of a client that is closed
            client.cancel(list(flying))


def _next(ended: SimpleQueue[Any], client: Any, waits: Callable[[float], None]) -> Any:
    """Next future that ends."""
    began = time.monotonic()
    while True:
        try:
            return ended.get(timeout=PATIENCE)
        except Empty:
            _look(client, waits, time.monotonic() - began)


def _result(future: Any, client: Any, waits: Callable[[float], None]) -> Any:
    """What a future has found; a worker that is lost may have taken it along, and then it is computed again."""
    began = time.monotonic()
    while True:
        try:
            return future.result(timeout=PATIENCE)
        except TimeoutError:
            if future.status == "error":
                # that of its task
                raise
            _look(client, waits, time.monotonic() - began)


def _look(client: Any, waits: Callable[[float], None], seconds: float) -> None:
    """Tell if nothing can be expected, or not before there are workers."""
    if client.status in ("closing", "closed"):
        # its futures may never end
        raise CancelledError
    if not client.nthreads():
        waits(seconds)


def _forget(future: Any, client: Any) -> None:
    """Have client and scheduler forget a task, so that the same one may be given to them again.

    To cancel it would cancel the next of that name, too, and `retry` stumbles over what it needs.
    """
    future.release()
    while future.key in client.futures and client.status == "running":
        time.sleep(0.01)
