"""Processes that begin at once: forked from one that has imported the library and loaded its kernels.

A process that is killed again and again would spend its life on loading.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
from pathlib import Path

import pytest

CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()


def begin(code, *arguments, **environment):
    """Run code in a process of its own, with arguments in `sys.argv` and variables of the environment."""
    return Forked(code, [str(each) for each in arguments], {name: str(value) for name, value in environment.items()})


class Forked:
    """A process, and the lines that it prints."""

    def __init__(self, code, arguments, environment):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["warmed"])
        self.ends = [context.Pipe(duplex=False) for _ in range(2)]
        self.process = context.Process(
            target=_execute, args=(code, arguments, environment, *(write for _, write in self.ends))
        )
        with pytest.MonkeyPatch.context() as patch:
            # of the one that all are forked from, which begins with the first
            patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
            self.process.start()
        for _, write in self.ends:
            write.close()
        self.out, self.err = (os.fdopen(os.dup(read.fileno()), encoding="utf-8") for read, _ in self.ends)

    def until(self, line, times=1):
        """Wait until it has printed a line so many times."""
        while times:
            found = self.out.readline()
            assert found, self.err.read()
            times -= found == f"{line}\n"
        return self

    def signal(self, number):
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def kill(self):
        """Kill it; whether it was still there."""
        self.process.kill()
        return self.end()[0] == -signal.SIGKILL

    def end(self, seconds=300):
        """Exit status, and what it printed since, on its two streams; waits for its end."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, "it does not end"
        found = self.process.exitcode, self.out.read(), self.err.read()
        for each in (self.out, self.err, *(read for read, _ in self.ends)):
            each.close()
        self.process.close()
        return found


def _execute(code, arguments, environment, out, err):
    for k, connection in enumerate((out, err), start=1):
        os.dup2(connection.fileno(), k)
        connection.close()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<forked>", "exec"), {"__name__": "__main__"})
