"""A request to match: the options checked against the stack, and what follows from them for every tile."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.filters import options as prefilters
from xoffset._arrays.filters.options import Prefilter, as_prefilter
from xoffset._arrays.frame import Frame, Spacing
from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching import crossfade, images, memory, pyramid
from xoffset._arrays.matching.options import MatcherName, as_matcher, described_matcher
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset._arrays.matching.search import Pair
from xoffset._blocks import fading, tiles
from xoffset._options import is_whole, speaking_as
from xoffset.matching.guide import Grid, Guide, make_guide
from xoffset.model import checks, grids, history, masks, products

# Side of the window of a matcher that has none of its own, px.
TEMPLATE = 32


class Options(NamedTuple):
    """What `correlate` was asked for, as given."""

    template: int | Sequence[int] | None
    search: int | tuple[int, int] | xr.DataArray | Pyramid
    step: int
    matcher: MatcherName | Matcher
    prefilter: str | Prefilter | None
    prior: xr.Dataset | None
    mask: xr.DataArray | None = None


@dataclass(frozen=True)
class Request:
    """The options after their checks: where to match, how, and what comes of it."""

    options: Options
    frame: Frame
    grid: Grid
    guide: Guide
    lattice: Lattice
    matcher: Matcher
    prefilter: Prefilter | None
    mask: masks.Laid | None = None  # (1 or time, y, x) on the pixels of the stack

    @property
    def names(self) -> tuple[str, ...]:
        """Fields that the kernel returns."""
        return self.matcher.fields(self.lattice.templates)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of fields and pairs."""
        return len(self.names), len(self.guide.pairs)

    def kernel(self, pairs: list[Pair]) -> tiles.TileKernel:
        """The matcher of some pairs on one tile."""
        return partial(self.matcher.match_tile, pairs=pairs, lattice=self.lattice, prefilter=self.prefilter)

    def only(self, chosen: Sequence[int]) -> tuple[list[int], Request]:
        """Dates that the chosen pairs need, and the request to match them on the images of these dates alone.

        Grid, tiles and margins stay those of all pairs, so that a match has the same bits.
        """
        pairs = [self.guide.pairs[k] for k in chosen]
        dates = sorted({date for pair in pairs for date in pair[:2]})
        place = {date: k for k, date in enumerate(dates)}
        guide = self.guide._replace(
            pairs=[pair._replace(reference=place[pair.reference], secondary=place[pair.secondary]) for pair in pairs],
            is_blind=self.guide.is_blind if len(self.guide.is_blind) == 1 else self.guide.is_blind[list(chosen)],
        )
        frame = dataclasses.replace(self.frame, dates=self.frame.dates[dates])
        mask = self.mask
        if mask is not None and len(mask.values) > 1:
            mask = mask._replace(values=mask.values[dates])
        return dates, dataclasses.replace(self, guide=guide, frame=frame, mask=mask)

    def match(self, stack: xr.DataArray) -> Any:
        """Fields of the matcher (field, pair, rows, columns), NumPy if stack and mask are, dask otherwise."""
        mask = None if self.mask is None else self.mask.values
        given = stack.data, self.guide.fields, self.lattice
        if self.lattice.fade == 0:
            return tiles.match_tiles(*given, self.kernel(self.guide.pairs), self.shape, mask)
        batches = []
        for batch in self.batches:
            dates, request = self.only(batch)
            batches.append(fading.Batch(dates, slice(batch.start, batch.stop), request.kernel(request.guide.pairs)))
        blend = partial(crossfade.blend, lattice=self.lattice, names=self.names)
        return fading.match_tiles(*given, batches, len(self.names), blend, mask)

    @property
    def batches(self) -> list[range]:
        """Pairs that are matched at a time: all, or as many alike as memory lets where tiles fade."""
        count = len(self.guide.pairs)
        most = count
        while True:
            batches = [range(first, min(first + most, count)) for first in range(0, count, most)]
            if self.lattice.fade == 0 or most == 1 or all(map(self._is_small, batches)):
                return batches
            most = -(-most // 2)

    def _is_small(self, batch: range) -> bool:
        waiting = len(self.names) * len(batch) * math.prod(self.lattice.most) * self.lattice.dtype.itemsize
        return waiting <= memory.WAITING and self.bytes_of(batch) <= memory.FADED

    def bytes_of(self, batch: range) -> float:
        """Bytes that a core needs for a full tile of some pairs."""
        pairs = [self.guide.pairs[k] for k in batch]
        return _bytes(self.lattice, self.matcher, self.prefilter, pairs)

    def is_eager(self, stack: xr.DataArray) -> bool:
        """Whether stack and mask are NumPy."""
        arrays = [stack.data, *([] if self.mask is None else [self.mask.values])]
        return all(isinstance(array, np.ndarray) for array in arrays)

    @property
    def parameters(self) -> dict[str, Any]:
        """The options, to be written down."""
        templates, search, prior = self.lattice.templates, self.options.search, self.options.prior
        mask, laid = self.options.mask, self.mask
        half = self.guide.half[0] if self.guide.half[0] == self.guide.half[1] else self.guide.half
        described: Any = "map" if isinstance(search, xr.DataArray) else half
        if isinstance(search, Pyramid):
            described = {"search": half, "levels": search.levels}
        told: dict[str, Any] = {}
        if mask is not None and laid is not None:
            told["mask"] = {"dims": list(map(str, mask.dims)), "laid": laid.how}
        if isinstance(search, xr.DataArray):  # a run that goes on with another map is told by its values
            told["search_map"] = history.digest_of(self.guide.fields[0])
        template = list(templates) if len(templates) > 1 else templates[0]
        return {
            "template": template if self.matcher.window is None else None,
            "search": described,
            "step": self.lattice.step,
            "matcher": described_matcher(self.matcher),
            "prefilter": prefilters.described(self.prefilter),
            "prior": None if prior is None else sorted(map(str, prior.data_vars)),
        } | told

    @property
    def sampling(self) -> dict[str, float]:
        """Coordinates that tell how the images are sampled: sides of pixels and windows in metres, area searched."""
        pixel = math.sqrt(abs(self.frame.spacing.x * self.frame.spacing.y))
        half = np.array(self.guide.half, dtype=np.float64)
        if isinstance(self.options.search, xr.DataArray):
            ranges = self.guide.fields[0]
            half = np.full(2, ranges[ranges > 0].min(initial=half[0]))
        # a peak on the outermost ring is not accepted
        candidates = float(np.prod(2.0 * half - 1.0))
        tied = self.matcher.tied
        # inf counts as unknown: no two values of an image are farther apart than its corners
        farthest = math.hypot(*self.lattice.shape)
        return {
            products.PIXEL_SIZE: pixel,
            products.WINDOW_SIZE: self.lattice.templates[-1] * pixel,
            products.SEARCH_AREA: candidates * pixel**2,
        } | ({} if tied is None else {products.TIED_SIZE: min(tied, farthest) * pixel})


def prepare(stack: xr.DataArray, network: xr.Dataset, options: Options, caller: str = "correlate") -> Request:
    """Check everything and compute nothing of the images; the errors bear the name of the caller."""
    with speaking_as(caller, "correlate"):
        return _prepared(stack, network, options)


def _prepared(stack: xr.DataArray, network: xr.Dataset, options: Options) -> Request:
    stack = checks.as_stack(stack, "correlate")
    network = checks.as_network(network, stack, "correlate")
    matcher, prefilter = as_matcher(options.matcher, "correlate"), as_prefilter(options.prefilter)
    step = _as_size(options.step, "step", 1)
    templates = _as_templates(options.template, matcher, step)
    frame = grids.frame_of(stack, "correlate")
    grid = Grid.of(stack, frame.spacing, templates[-1], step)
    guide = make_guide(frame, network, options.search, options.prior, grid)
    guide = guide._replace(pairs=_with_native_sizes(guide.pairs, stack, frame.spacing))
    lattice = _lattice(frame, templates, step, guide, prefilter)
    lattice = _with_surroundings(lattice, matcher, prefilter)
    matcher.check(lattice, prefilter, is_uniform=not isinstance(options.search, xr.DataArray))
    mask = None if options.mask is None else masks.on_stack(options.mask, stack, network, "correlate")
    return Request(options, frame, grid, guide, lattice, matcher, prefilter, mask)


def _with_native_sizes(pairs: list[Pair], stack: xr.DataArray, spacing: Spacing) -> list[Pair]:
    """Pairs with the size of the pixels that both images were resampled from, where it was one and larger."""
    if products.NATIVE_SIZE not in stack.coords:
        return pairs
    in_pixels = np.asarray(stack[products.NATIVE_SIZE].values, dtype=np.float64) / math.sqrt(abs(spacing.x * spacing.y))
    sizes = np.broadcast_to(in_pixels, stack["time"].shape)
    ends = [(pair, float(sizes[pair.reference]), float(sizes[pair.secondary])) for pair in pairs]
    return [
        pair._replace(native=one) if one > 1.0 and math.isclose(one, other, rel_tol=1e-3) else pair
        for pair, one, other in ends
    ]


def in_metres(fields: dict[str, Any], spacing: Spacing) -> dict[str, Any]:
    """Fields of a matcher, in pixels, as variables of shifts."""
    out = {
        "dx": fields["dx"] * spacing.x,
        "dy": fields["dy"] * spacing.y,
        "score": fields["score"],
        "peak_gap": fields["peak_gap"],
        "sigma_dx": np.sqrt(fields["variance_dx"]) * abs(spacing.x),
        "sigma_dy": np.sqrt(fields["variance_dy"]) * abs(spacing.y),
        "cov_dxdy": fields["covariance"] * (spacing.x * spacing.y),
        "valid_fraction": fields["valid_fraction"],
        "flags": fields["flags"],
    }
    kept = ("false_alarm", "ambiguity", "template_size", "curvature_x", "curvature_y")
    out |= {name: fields[name] for name in kept if name in fields}
    if "sum_dx" in fields:
        out["mismatch"] = np.hypot(fields["sum_dx"] * spacing.x, fields["sum_dy"] * spacing.y)
    return out


def _as_size(value: Any, name: str, least: int) -> int:
    if not is_whole(value) or value < least:
        raise ValueError(
            f"correlate() needs a whole number of at least {least} pixels as {name}; got {value!r}. "
            f"Pass a number such as {name}={ {'template': 32}.get(name, 8) }."
        )
    return int(value)


def _as_templates(template: int | Sequence[int] | None, matcher: Matcher, step: int) -> tuple[int, ...]:
    """Sides of the windows, ascending, after checking that they share their centres and the grid of blocks."""
    if matcher.window is not None:
        if template is not None:
            raise ValueError(
                f"correlate() needs no template for a matcher with a window of its own; got template={template!r} with "
                f"{matcher}. Leave template out, and pass another matcher if the window does not suit."
            )
        return (_as_size(matcher.window, "window", 1),)
    template = TEMPLATE if template is None else template
    sides: Sequence[int] = template if isinstance(template, (tuple, list)) else (template,)
    sizes = sorted({_as_size(side, "template", 5) for side in sides})
    if not sizes:
        raise ValueError("correlate() needs at least one template; got none. Pass a number such as template=32.")
    apart = 2 * math.gcd(step, *sizes)
    if any((size - sizes[0]) % apart for size in sizes):
        raise ValueError(
            f"correlate() needs templates that differ by multiples of {apart} pixels (twice the greatest common "
            f"divisor of step={step} and the templates), so that they share their centres; got {tuple(sizes)}. Pass "
            f"sides such as {sizes[0]}, {sizes[0] + apart} and {sizes[0] + 3 * apart}."
        )
    return tuple(sizes)


def _with_surroundings(lattice: Lattice, matcher: Matcher, prefilter: Prefilter | None) -> Lattice:
    """Lattice whose tiles have the pixels and nodes around that a dense matcher needs, and sides that memory allows.

    The sides are those of one pair, however many there are, so that a pair has the same bits in any network.
    """
    context = matcher.context
    fade = -(-matcher.fade // lattice.step)
    lattice = dataclasses.replace(
        lattice, reach=lattice.reach + context, margin=lattice.margin + context, fade=fade
    )  # fmt: skip
    if fade == 0:
        return lattice
    return memory.with_sides(lattice, partial(_bytes, matcher=matcher, prefilter=prefilter, pairs=[Pair(0, 1)]))


def _bytes(lattice: Lattice, matcher: Matcher, prefilter: Prefilter | None, pairs: Sequence[Pair]) -> float:
    """Bytes that a core needs to match some pairs on a full tile."""
    working = matcher.memory(lattice, prefilter, pairs)
    return memory.of_task(lattice, pairs, len(matcher.fields(lattice.templates)), working)


def _lattice(frame: Frame, templates: tuple[int, ...], step: int, guide: Guide, prefilter: Prefilter | None) -> Lattice:
    """Sampling grid, after checking that the windows fit the image."""
    shape = frame.shape
    extent = tuple(templates[-1] + 2 * half for half in guide.half)
    if any(side > size for side, size in zip(extent, shape, strict=True)):
        raise ValueError(
            f"correlate() needs images of at least {extent[0]} x {extent[1]} pixels for template={templates[-1]} and "
            f"search={guide.half}; got {shape[0]} x {shape[1]}. Use a smaller template or search; if it was "
            "where() with a mask on another grid, only what both share is left: mask.reindex_like(stack, "
            'method="nearest", tolerance=half_a_pixel, fill_value=False).'
        )
    if guide.levels and min(shape) < 2 ** (guide.levels + 1):
        raise ValueError(
            f"correlate() needs images of at least {2 ** (guide.levels + 1)} pixels a side for a "
            f"Pyramid of {guide.levels} levels; got {shape[0]} x {shape[1]}. Use fewer levels, or a number as search."
        )
    reach = max(guide.half) + guide.prior + images.margin(prefilter, templates[-1])
    return Lattice(
        shape=shape,
        step=step,
        templates=templates,
        search=guide.half,
        reach=reach,
        margin=reach + (pyramid.margin(prefilter, templates[-1], step, guide.levels) if guide.levels else 0),
        levels=guide.levels,
        dates=len({date for pair in guide.pairs for date in pair[:2]}),
        nodata=frame.nodata,
        dtype=frame.working,
        spacing=(frame.spacing.y, frame.spacing.x),
    )
