"""warmup(): compile before the work begins, for clusters, containers and the impatient."""

from __future__ import annotations

import functools
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import xarray as xr

from xoffset import _options, synthetic
from xoffset._blocks import threads
from xoffset._kernels import _cache
from xoffset.inversion.invert import invert
from xoffset.matching.correlate import correlate
from xoffset.model import products
from xoffset.motion.velocity import velocity
from xoffset.network.pairs import pairs
from xoffset.screening.screen import screen

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("xoffset")

# Side of the images in pixels: one tile, with windows whose search leaves the image and others whose search does not.
SIDE = 128
# Dates of the images: enough for a network with redundant pairs.
DATES = np.arange("2020-01", "2020-05", dtype="datetime64[M]")


def warmup(*, workers: int | None = None) -> Path:
    """Compile the kernels of the common path now, in parallel processes, and keep them on disk.

    Kernels are compiled when they are first used and kept in a folder, beside the package where that can be written,
    else with the user, or where `NUMBA_CACHE_DIR` says. This calls what most runs call, on tiny images: matching, with
    and without missing pixels and at every pixel, screening, inversion and velocity. Call it when a container is built
    or before the workers of a cluster start, with the processor and the folder that they will have.

    Parameters
    ----------
    workers
        Processes that compile side by side; None takes one a core.

    Returns
    -------
    pathlib.Path
        Folder that the compiled kernels are kept in.

    Raises
    ------
    ValueError
        If `workers` is no whole number of at least 1.
    OSError
        If no folder can be written, or a process fails.

    Examples
    --------
    >>> import xoffset
    >>> folder = xoffset.warmup()
    """
    if workers is not None:
        workers = _options.as_whole_number(workers, "workers", "warmup", least=1, example=2)
    folder = _cache.writable()
    if folder is None or not _cache.can_keep():
        raise OSError(
            "warmup() needs a folder where compiled kernels can be kept; none can be written. "
            "Set NUMBA_CACHE_DIR to a folder that this user can write."
        )
    logger.info("%s: %s", _cache.FIRST_USE, ", ".join(PARTS))
    threads.in_threads(_compile_apart, PARTS, workers)
    return folder


@functools.cache
def warm_worker() -> None:
    """Compile the kernels of a run in this process, or load them, once.

    Of processes that keep them in the same folder one compiles and the others wait for it, then load. Nothing of this
    is needed for a run, so that failures are logged and no more.
    """
    try:
        with _one_at_a_time(_cache.writable()):
            for name in OF_RUNS:
                PARTS[name]()
    except Exception as error:  # the tasks will tell what is wrong
        logger.warning("the kernels could not be compiled beforehand: %s", error)


@contextmanager
def _one_at_a_time(folder: Path | None) -> Iterator[None]:
    """Hold a lock in the folder of the compiled kernels, where there is one and files can be locked."""
    if folder is None or fcntl is None:
        yield
        return
    with (folder / "warmup.lock").open("a") as opened:
        # some shared file systems know no locks: then all compile
        with suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _compile_apart(name: str) -> None:
    """Run one part in a process of its own: threads would wait for each other while they compile."""
    command = f"from xoffset.pipeline import warmup; warmup.PARTS[{name!r}]()"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise OSError(f"warmup() needs processes that can run xoffset; {name} ended with: {last[0]}. Mend that first.")
    logger.info("compiled %s", name)


def _images() -> xr.DataArray:
    return synthetic.stack((SIDE, SIDE), dates=DATES, field="constant", velocity=20.0)[0]


def _shifts() -> xr.Dataset:
    """Shifts with nothing to measure, which cost no matching."""
    x = y = np.arange(40.0)
    network = pairs(_images())
    shape = (network.sizes["pair"], y.size, x.size)
    fields = {name: np.zeros(shape, np.float32) for name in ("dx", "dy")}
    fields |= {
        name: np.ones(shape, np.float32)
        for name in ("score", "peak_gap", "sigma_dx", "sigma_dy", "false_alarm", "ambiguity")
    }
    fields["flags"] = np.zeros(shape, np.int64)
    sampling = {products.PIXEL_SIZE: 1.0, products.WINDOW_SIZE: 4.0, products.SEARCH_AREA: 81.0}
    return products.shifts(
        fields, network, x=x, y=y[::-1], like=_images(), step={"function": "warmup"}, sampling=sampling
    )


def _match() -> None:
    stack = _images()
    network = pairs(stack, max_gap=1)
    correlate(stack, network)
    stack[:, 60:64, 60:64] = np.nan
    correlate(stack, network)


def _match_every_pixel() -> None:
    """Both dense matchers, and the far start of the first."""
    stack = _images().isel(time=[0, 1])
    network = pairs(stack)
    correlate(stack, network, search=4, matcher="regularized")
    correlate(stack, network, search=12, matcher="regularized")
    correlate(stack, network, search=4, matcher="flow")


PARTS: Mapping[str, Callable[[], object]] = {
    "matching": _match,
    "dense matching": _match_every_pixel,
    "inversion": lambda: velocity(invert(_shifts())),
    "velocity": lambda: velocity(_shifts()),
    "screening": lambda: screen(_shifts(), min_score=0.5),
}
# Parts that runs need.
OF_RUNS = ("matching", "screening", "inversion", "velocity")
