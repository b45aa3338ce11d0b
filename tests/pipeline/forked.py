"""Processes that begin at once: forked from one that has imported the library and loaded its kernels, or numba alone.

A process that is killed again and again would spend its life on loading.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()


def begin(code, *arguments, loaded="warmed", **environment):
    """Run code in a process of its own, with arguments in `sys.argv` and variables of the environment.

    What the process that it is forked from has loaded is a module beside this one: `warmed`, or `numba_alone`.
    """
    environment = {name: str(value) for name, value in environment.items()}
    return Forked(code, [str(each) for each in arguments], environment, loaded)


@cache
def _server(loaded):
    """Process that others are forked from: it begins with the first of them, and ends with this one."""
    server = multiprocessing.forkserver.ForkServer()
    server.set_forkserver_preload([loaded])
    return server


class Forked:
    """A process, and the lines that it prints."""

    def __init__(self, code, arguments, environment, loaded):
        context = multiprocessing.get_context("forkserver")
        self.ends = [context.Pipe(duplex=False) for _ in range(2)]
        self.process = context.Process(
            target=_execute, args=(code, arguments, environment, *(write for _, write in self.ends))
        )
        with pytest.MonkeyPatch.context() as patch:
            # of the one that all are forked from, which begins with the first
            patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
            patch.setattr(multiprocessing.forkserver, "connect_to_new_process", _server(loaded).connect_to_new_process)
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
        is_ended = self.process.exitcode is not None
        if not is_ended:
            # nothing of it is left for the tests that follow
            self.process.kill()
            self.process.join()
        found = self.process.exitcode, self.out.read(), self.err.read()
        for each in (self.out, self.err, *(read for read, _ in self.ends)):
            each.close()
        self.process.close()
        assert is_ended, f"it does not end: {found[1:]}"
        return found


class Fresh:
    """The same where nothing can be forked: a process that loads all by itself."""

    def __init__(self, code, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def end(self, seconds=300):
        """Exit status, and what it printed on its two streams; waits for its end."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err


def _execute(code, arguments, environment, out, err):
    for k, connection in enumerate((out, err), start=1):
        os.dup2(connection.fileno(), k)
        connection.close()
    os.environ.update(environment)
    # what a shell begins in the background, such as the tests, ignores it, and so would all that it begins
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<forked>", "exec"), {"__name__": "__main__"})
