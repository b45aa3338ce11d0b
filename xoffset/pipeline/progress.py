"""How far a run is, for functions of the caller and for a bar where one was asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

logger = logging.getLogger("xoffset")

# Least time between two lines in the log, seconds.
SILENCE = 10.0


class Progress(NamedTuple):
    """How far a stage of a run is: tiles done of all, of these in this run, and the seconds that these took."""

    stage: str
    done: int
    total: int
    new: int
    seconds: float
    waits: bool = False  # whether the cluster has no worker at the moment

    @property
    def rate(self) -> float:
        """Tiles a second in this run; NaN where nothing was done yet."""
        return self.new / self.seconds if self.new and self.seconds else float("nan")

    @property
    def left(self) -> float:
        """Seconds that the rest will take at the rate so far; NaN where nothing was done yet."""
        return (self.total - self.done) * self.seconds / self.new if self.new else float("nan")

    def __str__(self) -> str:
        told = f"{self.stage}: {self.done} of {self.total} tiles"
        if self.waits:
            return f"{told}, waits for workers"
        if not self.new or self.done == self.total:
            return told
        return f"{told}, {60 * self.rate:.3g} a minute, {_duration(self.left)} left"


Report = Callable[[Progress], None]


def as_report(progress: Report | bool | None, caller: str) -> Report | None:
    """Function to call after each tile: the caller's own, that of a bar, or none.

    Raises
    ------
    ImportError
        If a bar is wanted and tqdm is not installed.
    TypeError
        If it is no function, nor True or False.
    """
    if progress is None or progress is False:
        return None
    if progress is True:
        return Bar(caller)
    if not callable(progress):
        raise TypeError(
            f"{caller}() needs a function as progress, or True for a bar; got {type(progress).__name__}. Pass one that "
            "takes the state: progress=print."
        )
    return progress


class _Raised(BaseException):
    """Carries what a function of the caller raised past those who would take it for a tile that failed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def tell(report: Report, state: Progress) -> None:
    """Call a function of the caller; what it raises stops the work as Ctrl-C does."""
    try:
        report(state)
    except Exception as error:
        raise _Raised(error) from error


@contextmanager
def raising_what_is_told() -> Iterator[None]:
    """Raise what a function of the caller raised within, as it was."""
    try:
        yield
        return
    except _Raised as raised:
        error = raised.error
    # outside, as it would become its own cause
    raise error


class Tally:
    """Tells how far a stage is: to a function of the caller after each tile, and to the log now and then."""

    def __init__(self, stage: str, total: int, missing: int, report: Report | None) -> None:
        self.stage, self.total, self.missing, self.report = stage, total, missing, report
        self.done: set[object] = set()
        self.began = self.logged = time.monotonic()

    def begin(self) -> None:
        """Tell what was there before."""
        self._tell(self._state(0.0))

    def ended(self, result: tuple[object, object]) -> None:
        """Tell of one more tile: its place, and its state."""
        self.done.add(result[0])
        now = time.monotonic()
        state = self._state(now - self.began)
        self._tell(state)
        if now - self.logged >= SILENCE:
            self.logged = now
            logger.info("%s", state)

    def waits(self, seconds: float) -> None:
        """Tell that there is no worker, and was none for so long."""
        state = self._state(time.monotonic() - self.began)._replace(waits=True)
        if self.logged < time.monotonic() - seconds:
            self.logged = time.monotonic()
            logger.warning(
                "%s: the cluster has none. It goes on when there are some; what is written is safe if you stop it",
                state,
            )
        self._tell(state)

    def _state(self, seconds: float) -> Progress:
        new = len(self.done)
        return Progress(self.stage, self.total - self.missing + new, self.total, new, seconds)

    def _tell(self, state: Progress) -> None:
        if self.report is not None:
            tell(self.report, state)


class Bar:
    """A bar of tqdm for each stage, in a terminal or a notebook."""

    def __init__(self, caller: str) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError(
                f"{caller}() needs tqdm to draw a bar; it is not installed. Install xoffset[progress], or pass a "
                "function: progress=print."
            ) from error
        self._make: Callable[..., Any] = tqdm
        self._bar: Any = None

    def __call__(self, state: Progress) -> None:
        """Show the state of a stage."""
        if (state.new == 0 and not state.waits) or self._bar is None:
            if self._bar is not None:
                self._bar.close()
            self._bar = self._make(total=state.total, initial=state.done, desc=state.stage, unit="tile")
        self._bar.set_postfix_str("waits for workers" if state.waits else "", refresh=state.waits)
        self._bar.update(state.done - self._bar.n)
        if state.done == state.total:
            self._bar.close()


def _duration(seconds: float) -> str:
    """A time in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
