"""What a run of correlate will cost, before it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.matching.options import MatcherName
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset._blocks import quota
from xoffset._kernels import _cache
from xoffset.matching.cost import Part, count_work, largest_task, memory_of_core, memory_shared
from xoffset.matching.request import Options, Request, in_metres, prepare
from xoffset.matching.timing import cpu_seconds
from xoffset.model import products

# CPU seconds that compiling the kernels of a first call usually takes, of any matcher, see `benchmarks/cold.py`.
COMPILING = 15.0


class Cost(NamedTuple):
    """What `correlate` will do and need; bytes, seconds on this machine."""

    pairs: int
    nodes: int
    tiles: int
    shifts: int
    cores: int
    memory_per_core: int
    memory: int
    output: int
    cpu_seconds: float
    seconds: float
    compile_seconds: float

    def __str__(self) -> str:
        what = f"{_counted(self.nodes, 'window')} x {_counted(self.pairs, 'pair')}, {_counted(self.shifts, 'shift')}"
        duration = [] if math.isnan(self.seconds) else [f"{_duration(self.seconds)} on {_counted(self.cores, 'core')}"]
        if self.compile_seconds > 0.0:
            duration.append(f"{_duration(self.compile_seconds)} to compile kernels, first use only")
        needs = [*duration, f"{_bytes(self.memory)} of memory", f"{_bytes(self.output)} of results"]
        return f"{what}: about {', '.join(needs)}"


def estimate(
    stack: xr.DataArray,
    network: xr.Dataset,
    *,
    template: int | Sequence[int] | None = None,
    search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
    step: int = 8,
    matcher: MatcherName | Matcher = "ncc",
    prefilter: str | Prefilter | None = "bandpass",
    prior: xr.Dataset | None = None,
    mask: xr.DataArray | None = None,
    calibrate: bool = True,
) -> Cost:
    """What `correlate` with the same arguments will cost, before it runs.

    Parameters
    ----------
    stack
        Images (time, y, x) with x and y in metres. No pixel is looked at.
    network
        Pairs of dates, from `pairs`.
    template, search, step, matcher, prefilter, prior, mask
        As in `correlate`; no value of a mask is looked at.
    calibrate
        Whether to time the matcher on one tile of made-up images. Where its kernels are not compiled yet this compiles
        them.

    Returns
    -------
    pairs, nodes, tiles : int
        Pairs of dates, windows of each, and tiles that the images are divided into, each with all dates.
    shifts : int
        Scores to compute: candidate shifts of all windows whose search stays inside the image, of all pairs, template
        sizes and ways. Exact but for a `Pyramid`, whose number of proposals depends on the images, and for many pairs
        on a large grid with a prior, where a part of the pairs stands for all.
    cores : int
        Cores that this process may use.
    memory_per_core, memory : int
        Largest working memory of one core and of all, in bytes: the pixels of a tile on all dates, or of a dask block,
        what the matcher keeps of each image, and its results before they are labelled. Neither the stack nor the result
        are in it, nor the libraries themselves. Images with holes need up to half as much again.
    output : int
        Size of the result in memory, in bytes: all variables and coordinates.
    cpu_seconds : float
        Time on one core: of the matcher alone, not of reading and writing files. NaN without a calibration.
    seconds : float
        Time on all cores here. NaN without a calibration.
    compile_seconds : float
        CPU time on one core that compiling takes, once on a machine, beside `seconds`: what the calibration has just
        spent on it, or without a calibration what it usually takes. Zero where the kernels are compiled already.

    Raises
    ------
    TypeError
        If `correlate` would raise one, or `calibrate` is neither True nor False.
    ValueError
        If `correlate` would raise one; the message is the same.

    Notes
    -----
    The time of a tile is that of what is done once an image plus that of what is done once a pair. Both are measured on
    red noise, displaced as the prior says plus 0.3 px: the first as the time to match a single window of the tile, the
    second as what all of them take beyond it. They are scaled by area and dates, and by shifts; tiles at the edge of
    the image are measured for themselves. The images may differ from that: windows without texture or data cost less,
    those with scattered holes up to 7 times as much per shift, and `refine="affine"` more where the ground is strained.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0, direction=90.0)
    >>> cost = xoffset.estimate(stack, xoffset.pairs(stack), search=4)
    >>> cost.nodes, cost.pairs, cost.shifts
    (169, 1, 9801)
    """
    calibrate = _options.as_switch(calibrate, "calibrate", "estimate")
    options = Options(template, search, step, matcher, prefilter, prior, mask)
    request = prepare(stack, network, options, "estimate")
    cores = quota.cores()
    side = largest_task(stack, request)
    per_core = memory_of_core(stack, request, side)
    tasks = math.prod(math.ceil(count / size) for count, size in zip(request.lattice.nodes, side, strict=True))
    tasks *= len(request.batches)
    is_cold = not all(_cache.is_ready(kernel) for kernel in request.matcher.kernels)
    start = time.thread_time()
    work = count_work(request)
    seconds = seconds_of(request, work) if calibrate else math.nan
    compiling = time.thread_time() - start if calibrate else COMPILING
    return Cost(
        pairs=len(request.guide.pairs),
        nodes=math.prod(request.lattice.nodes),
        tiles=sum(1 for _ in request.lattice.tiles()),
        shifts=round(sum(part.shifts for part in work)),
        cores=cores,
        memory_per_core=per_core,
        memory=per_core * min(cores, tasks) + memory_shared(stack, request),
        output=_output(stack, network, request),
        cpu_seconds=seconds,
        # the last round of tasks may leave cores idle
        seconds=seconds * math.ceil(tasks / cores) / tasks,
        compile_seconds=compiling if is_cold else 0.0,
    )


def seconds_of(request: Request, work: Sequence[Part] | None = None) -> float:
    """CPU seconds of the matcher, of which one tile is measured."""
    return float(sum(cpu_seconds(request, part) for part in (count_work(request) if work is None else work)))


def _output(stack: xr.DataArray, network: xr.Dataset, request: Request) -> int:
    """Bytes of the result: of one like it that holds a single number a variable."""
    number = {name: np.zeros((1, 1, 1), dtype=request.lattice.dtype) for name in request.names}
    number["flags"] = number["flags"].astype(np.int64)
    # of the ways back the result holds the length of their sums
    number |= {name.replace("back", "sum"): value for name, value in number.items() if name.startswith("back")}
    shape = (len(request.guide.pairs), *request.lattice.nodes)
    variables = in_metres(number, request.frame.spacing)
    filled = {name: np.broadcast_to(value, shape) for name, value in variables.items()}
    grid, sampling = request.grid, request.sampling
    found = products.shifts(filled, network, x=grid.x, y=grid.y, like=stack, step={}, sampling=sampling)
    return int(found.nbytes)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 100.0:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000.0 else f"{seconds / 3600:.1f} h"


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"
