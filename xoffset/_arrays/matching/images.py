"""What a tile keeps of each image: its pixels after the pre-filter, and everything that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from xoffset._arrays.filters import apply, centre, noise, options
from xoffset._arrays.filters import colour as colours
from xoffset._arrays.filters.colour import WHITE, Colour
from xoffset._arrays.filters.options import Bandpass, Highpass, Prefilter
from xoffset._arrays.filters.smoothing import half_of_taps
from xoffset._arrays.lattice import Tile
from xoffset._kernels.images import filters, holes, windows
from xoffset._kernels.matching import autocorrelation, refine, templates, zncc

# Pixels after which the recursion of the spline has forgotten where it started.
SPLINE_REACH = 6
# Distance over which filtered pixels are alike, in widths of the coarse low-pass; and that width if there is none, px.
LIKENESS, COARSE = 8.0 / 3.0, 3.0
# Radius of the coarse low-pass beside holes, in its widths, rounded up to whole folds.
SHORT = 2.5


@dataclass(frozen=True)
class Image:
    """One image of a tile after the pre-filter; arrays are (height, width) but for those by template size."""

    raw: np.ndarray  # as read, anything where unknown
    known: np.ndarray  # uint8, pixels with a value
    filtered: np.ndarray  # zero where far from any valid pixel
    valid: np.ndarray  # uint8, those that are fit to be matched: known, and of some filters all that they look at
    frame: Tile  # the part inside the image
    templates: tuple[int, ...]
    floor: float  # variance that a pixel must exceed to be texture and not rounding
    colour: Colour  # that the filter gave to the noise
    colour_reach: int  # distance in pixels over which the filter lets pixels be alike; 0 without a filter
    unfiltered: np.ndarray  # zero where unknown
    # of a band-pass, which can be repeated for the pixels that two images share; None of other filters
    low_passes: tuple[np.ndarray, np.ndarray] | None
    has_holes: bool  # whether pixels inside the frame are unknown
    # by the windows that it is known around, filled when first needed
    textures: dict[zncc.Nodes, autocorrelation.Texture] = field(default_factory=dict)
    # of windows at rest, whatever they are matched with, filled when first needed: see `moments.kurtosis`
    kurtoses: dict[zncc.Nodes, np.ndarray] = field(default_factory=dict)
    sums: dict[zncc.Nodes, np.ndarray] = field(default_factory=dict)  # see `template_sums`
    at_nodes: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)  # see `statistics_at`
    # whether all pixels are valid from a first row to a last one, and column: most pairs ask the same
    complete: dict[tuple[int, int, int, int], bool] = field(default_factory=dict)

    @cached_property
    def is_valid(self) -> bool:
        """Whether all pixels are fit to be matched."""
        return bool(self.valid.all())

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients of the cubic spline through the filtered pixels."""
        out = np.empty_like(self.filtered)
        filters.spline_coefficients(self.filtered, out)
        return out

    @cached_property
    def slopes(self) -> np.ndarray:
        """Derivatives along x and y, then those of the image with the colour of its noise added (4, height, width)."""
        out = np.empty((4, *self.filtered.shape), dtype=self.filtered.dtype)
        refine.slopes(self.filtered, out[0], out[1])
        refine.slopes(self.colour.spread(self.filtered), out[2], out[3])
        return out

    def template_sums(self, nodes: zncc.Nodes) -> np.ndarray:
        """Sums (rows, SUMS·columns) of windows without holes; of size zero if they do not overlap."""
        if nodes not in self.sums:
            is_shared = nodes.step < nodes.template
            shape = (nodes.rows, templates.SUMS * nodes.columns) if is_shared else (0, 0)
            self.sums[nodes] = np.empty(shape, dtype=self.filtered.dtype)
            if is_shared:
                templates.sum_templates(self.filtered, self.slopes, nodes, self.sums[nodes])
        return self.sums[nodes]

    @cached_property
    def filled(self) -> np.ndarray:
        """Pixels before the filter, continued into holes."""
        out = np.empty_like(self.unfiltered)
        holes.fill_holes(self.unfiltered, self.known, out)
        return out

    @cached_property
    def filled_coefficients(self) -> np.ndarray:
        """Coefficients of the cubic spline through the filled pixels."""
        out = np.empty_like(self.filled)
        filters.spline_coefficients(self.filled, out)
        return out

    @cached_property
    def hole_sums(self) -> np.ndarray:
        """Running sums (height + 1, width + 1) of the pixels inside the frame that are unknown."""
        out = np.empty([side + 1 for side in self.known.shape], dtype=np.int32)
        rows, columns = self.frame
        holes.count_holes(self.known, rows.start, columns.start, rows.stop, columns.stop, out)
        return out

    @cached_property
    def flat(self) -> np.ndarray:
        """Windows within the frame that hold one raw value only (size, height, width), by first pixel, uint8."""
        out = np.zeros((len(self.templates), *self.raw.shape), dtype=np.uint8)
        raw, known = (np.ascontiguousarray(array[self.frame]) for array in (self.raw, self.known))
        for found, template in zip(out, self.templates, strict=True):
            if min(raw.shape) < template:
                continue
            # most images need no closer look
            if not (known.all() and windows.has_texture(raw, template)):
                inner = np.empty([side - template + 1 for side in raw.shape], dtype=np.uint8)
                windows.flat_windows(raw, known, template, inner)
                found[self.frame][: inner.shape[0], : inner.shape[1]] = inner
        return out

    @cached_property
    def statistics(self) -> np.ndarray:
        """Sum and inverse root spread of windows without holes (size, 2, height, width); the latter is 0 if flat."""
        return self._statistics(zncc.Nodes(0, 0, 0, 0, 1, self.templates[-1]))

    def statistics_at(self, nodes: zncc.Nodes) -> np.ndarray:
        """As `statistics`, where only the rows of these nodes have values: most images are not searched at others."""
        if nodes.step == 1 or "statistics" in self.__dict__:
            return self.statistics
        lines = (nodes.top % nodes.step, nodes.step)
        if lines not in self.at_nodes:
            self.at_nodes[lines] = self._statistics(nodes)
        return self.at_nodes[lines]

    def _statistics(self, nodes: zncc.Nodes) -> np.ndarray:
        out = np.zeros((len(self.templates), 2, *self.raw.shape), dtype=self.filtered.dtype)
        # what lies in holes would leave its rounding in the running sums
        pixels = self.filtered if self.is_valid else self.filtered * self.valid
        for (total, inverse), flat, template in zip(out, self.flat, self.templates, strict=True):
            first = nodes.of_size(template).top
            windows.window_sums(pixels, template, self.floor, first, nodes.step, total, inverse)
            if flat.any():
                inverse[flat != 0] = 0.0
        return out

    @cached_property
    def masked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Known pixels, mask, image and squared image, zero where invalid."""
        mask = self.valid.astype(self.filtered.dtype)
        return self.known.astype(mask.dtype), mask, self.filtered * mask, self.filtered**2 * mask


def margin(prefilter: Prefilter | None, template: int) -> int:
    """Pixels beyond the last one used that an image must be known."""
    # lanes beyond the last candidate read on: what they hold is never used
    return max(SPLINE_REACH + (0 if prefilter is None else prefilter.reach(template)), zncc.LANES - 1)


def working_dtype(prefilter: Prefilter | None, dtype: np.dtype) -> np.dtype:
    """Type that pixels are matched in, for results of a type.

    Unfiltered ones need float64: where the level varies within a tile it drowns the texture in float32.
    """
    return np.dtype(np.float64) if prefilter is None else dtype


def prepare(
    raw: np.ndarray, frame: Tile, templates: tuple[int, ...], prefilter: Prefilter | None, dtype: np.dtype
) -> Image:
    """Filter one image of a tile, NaN where there is no pixel; `frame` is the part inside the image."""
    # in rows, whatever the memory order of the stack: sums follow it
    raw = np.ascontiguousarray(raw)
    centred, known, peak, _ = centre.centre(centre.brightness(prefilter, raw), dtype)
    filtered, valid, colour, low_passes = centred, known, WHITE, None
    has_holes = not known[frame].all()
    if prefilter is not None:
        prefilter = noise.settle(prefilter, centred, known, templates[-1])
        filtered, valid = apply.apply(prefilter, centred, known, frame)
        if isinstance(prefilter, (Bandpass, Highpass)):
            low_passes = _low_passes(prefilter, dtype)
            # what the filter errs beside a hole hides no peak; where it lies to a fraction is found without
            valid = known if has_holes else valid
        colour = colours.colour(prefilter, centred, known, frame, (filtered, valid))
    # what the sums of the filters may round to: the band-pass of a pure slope must not pass for texture
    floor = (max(32.0 * float(np.finfo(dtype).eps), 1e-12) * peak) ** 2
    if not options.keeps_units(prefilter):
        floor = apply.LEAST_TEXTURE**2
    reach = 0 if prefilter is None else math.ceil(LIKENESS * getattr(prefilter, "coarse", COARSE))
    return Image(
        raw, known, filtered, valid, frame, templates, floor, colour, reach, centred, low_passes, has_holes
    )  # fmt: skip


def _low_passes(prefilter: Bandpass | Highpass, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Middle and one side of the fine and the coarse Gaussian of a filter whose widths are settled.

    The coarse one is cut where it has fallen to a twentieth: both images are filtered alike, and what is farther away
    costs time.
    """
    fine = prefilter.fine if isinstance(prefilter, Bandpass) else 0.0
    assert not isinstance(fine, str)
    assert not isinstance(prefilter.coarse, str)
    coarse = half_of_taps(prefilter.coarse, dtype)
    size = 1 + filters.FOLD * math.ceil(SHORT * prefilter.coarse / filters.FOLD)
    fine_taps = half_of_taps(fine, dtype)
    return fine_taps, np.ascontiguousarray(coarse[: max(size, fine_taps.size)])
