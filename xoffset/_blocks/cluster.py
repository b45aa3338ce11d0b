"""Tasks that the workers of a cluster compute: few at a time, whoever of the workers leaves or joins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from distributed import CancelledError, KilledWorker, WorkerPlugin, as_completed

Name = TypeVar("Name")


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
) -> None:
    """Compute tasks, at_once() of them in flight; tells of each as it ends.

    What a worker that is lost was computing goes to another one. A task whose workers all die is given to others once
    more before it counts as failed.

    Raises
    ------
    OSError
        If the client is closed, or its scheduler is lost.
    """
    waiting = list(tasks.items())[::-1]
    flying: dict[Any, Name] = {}
    again: set[Name] = set()
    ended = as_completed([], loop=client.loop, raise_errors=False)
    try:
        while waiting or flying:
            while waiting and len(flying) < max(1, at_once()):
                name, task = waiting.pop()
                future = client.compute(task)
                flying[future] = name
                ended.add(future)
            future = next(ended)
            try:
                result = future.result()
            except CancelledError:
                raise
            except KilledWorker as error:
                if flying[future] in again:
                    failed(flying.pop(future), error)
                else:
                    again.add(flying[future])
                    future.retry()
                    ended.add(future)
            except Exception as error:  # whatever a task raises
                failed(flying.pop(future), error)
            else:
                del flying[future]
                done(result)
    except (CancelledError, Exception) as error:
        if client.status == "running" and not isinstance(error, CancelledError):
            raise
        raise OSError(
            "a cluster is needed until all is computed; its scheduler was lost or the client closed. What is written "
            "is safe: connect a client again, and run the same again."
        ) from error
    finally:
        with suppress(Exception):  # of a client that is closed
            client.cancel(list(flying))
