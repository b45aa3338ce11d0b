"""Windows of an image and their spectra."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
import scipy.ndimage

from xoffset._arrays.filters import colour
from xoffset._arrays.matching.images import Image
from xoffset._kernels.matching import orientations, spectra

# Bytes that the spectra of the windows in work may take, for all dates together.
BUFFER = 8 * 2**20


@dataclass(frozen=True)
class Source:
    """One image of a tile as this matcher reads it."""

    image: Image
    directions: np.ndarray  # complex (height, width), of size zero if the method does without

    @cached_property
    def valid(self) -> np.ndarray:
        """Pixels fit to be matched, uint8; without a pre-filter those near holes are left out, where splines ring."""
        if self.image.colour is not colour.WHITE or self.image.valid.all():
            return self.image.valid
        return np.asarray(scipy.ndimage.minimum_filter(self.image.valid, 5))

    @cached_property
    def counted(self) -> np.ndarray:
        """Known and valid pixels (2, height, width)."""
        return np.stack([self.image.known, self.valid])


@dataclass(frozen=True)
class Windows:
    """Windows of one image; what is computed of them is shared by all pairs."""

    source: Source
    corners: np.ndarray  # (window, 2) first row and column
    size: int

    def cut(self, others: Windows, fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of what is valid here and in the others, and their statistics as of `phase.cut_windows`."""
        pixels, places = self.source.image.filtered, self.corners
        out = np.empty((len(places), self.size, self.size), dtype=pixels.dtype)
        statistics = np.empty((len(places), 2))
        masks = (self.source.valid, others.source.valid)
        corners = (self.corners, others.corners)
        spectra.cut_windows(pixels, places, masks, corners, fractions, out, statistics)
        return scipy.fft.rfft2(out, workers=1), statistics

    @cached_property
    def own(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of what is valid here."""
        return self.cut(self, np.zeros(self.corners.shape))

    @cached_property
    def spectra_of_directions(self) -> np.ndarray:
        """(window, size, size) transforms of the directions, over the root of how many there are."""
        cut = np.stack([self.source.directions[y : y + self.size, x : x + self.size] for y, x in self.corners])
        count = (cut != 0).sum(axis=(1, 2), keepdims=True)
        return np.asarray(scipy.fft.fft2(cut, workers=1) / np.sqrt(np.maximum(count, 1)).astype(cut.real.dtype))

    @cached_property
    def counts(self) -> np.ndarray:
        """(window, 2) known pixels, and those fit to be matched."""
        return self.counts_with(self)

    def counts_with(self, others: Windows) -> np.ndarray:
        """(window, 2) pixels known here and in the others, and fit to be matched in both."""
        out = np.empty((len(self.corners), 2), dtype=np.int64)
        spectra.count_common(self.source.counted, others.source.counted, self.corners, others.corners, self.size, out)
        return out

    @cached_property
    def is_flat(self) -> np.ndarray:
        """(window,) whether the raw pixels hold one value only, or the filtered ones nothing but rounding."""
        image = self.source.image
        return np.asarray((image.flat[0][tuple(self.corners.T)] != 0) | (self.own[1][:, 0] <= image.floor))

    @cached_property
    def has_lines_only(self) -> np.ndarray:
        """(window,) whether the shift along one direction cannot be told."""
        out = np.empty(len(self.corners), dtype=np.uint8)
        spectra.find_lines(self.source.image.filtered, self.source.valid, self.corners, self.size, out)
        return np.asarray(out != 0)

    def chosen(self, which: np.ndarray, offsets: np.ndarray | None = None) -> Windows:
        """Some of the windows, moved by whole pixels."""
        corners = self.corners[which] if offsets is None else self.corners[which] + offsets
        return Windows(self.source, corners, self.size)


def batches(nodes: np.ndarray, template: int, bytes_per_pixel: int) -> list[np.ndarray]:
    """Nodes in portions whose spectra, halves of the pixels' and whole ones of the directions, fit in BUFFER."""
    most = max(1, BUFFER // (3 * template**2 * bytes_per_pixel))
    return [nodes[start : start + most] for start in range(0, len(nodes), most)]


def directions(image: Image, method: str) -> np.ndarray:
    dtype = np.result_type(image.filtered.dtype, np.complex64)
    if method == "plane":
        return np.empty((0, 0), dtype=dtype)
    out = np.empty(image.filtered.shape, dtype=dtype)
    orientations.orientations(image.filtered, image.valid, image.filtered.dtype.type(image.floor), out)
    return out
