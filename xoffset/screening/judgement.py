"""Which matches fail: each by itself, and together with the independent ones around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xoffset._kernels.maps import neighbours
from xoffset.model.flags import FLAGS

# Variable that each limit holds for, and the flag of values beyond it.
THRESHOLDS = {
    "min_score": ("score", "low_score"),
    "min_peak_gap": ("peak_gap", "low_gap"),
    "false_alarm": ("false_alarm", "insignificant"),
    "ambiguity": ("ambiguity", "ambiguous"),
}
# Limits above which a value fails, instead of below.
LARGEST = ("false_alarm", "ambiguity")
# What stands in place of failed tests where there is no value to test: below zero, like no combination of flags.
NO_VALUE = np.int64(-1)
# Share of the probability of a false alarm that is left to the vectors of unrelated ground after all that speaks for
# them is taken together.
SHARE_LEFT = 0.01
# Gradient of the motion that is usual between windows, m per m, and what matches differ by without any, px.
USUAL_STRAIN, LEAST_DIFFERENCE = 0.03, 0.1
# False alarm above which a match needs its neighbours to agree to within a pixel.
WEAK = 1e-6
# Largest likelihood ratio that one neighbour makes, for a match and against another peak: a neighbour that seems to
# have one peak only may still have the wrong one, and these agree with each other.
LARGEST_RATIO, LARGEST_RATIO_OF_PEAKS = 1e6, 20.0
# Largest likelihood ratio by its score that counts of a neighbour: that it agrees says more.
LARGEST_OF_NEIGHBOUR = 10.0


class Sampling(NamedTuple):
    """How the ground was sampled, in metres and square metres."""

    pixel: float
    apart: float  # distance from which matches are evidence for each other; infinity if none are
    area: float


@dataclass(frozen=True)
class Judgement:
    """Tests that vectors have to pass, for `failed`."""

    limits: dict[str, float]
    spacing: tuple[float, float] = (1.0, 1.0)  # of the nodes along y and x, m
    farthest: float | None = None  # m that a vector may differ from those around it; None compares none
    sampling: Sampling | None = None  # None judges each match by itself
    has_earlier: bool = False  # whether the last field holds flags of tests that came before

    @property
    def names(self) -> tuple[str, ...]:
        """Variables that are tested."""
        return tuple(THRESHOLDS[name][0] for name in self.limits)

    @property
    def is_joint(self) -> bool:
        """Whether matches are judged together with those around them."""
        return self.farthest is not None and self.sampling is not None

    @property
    def has_witnesses(self) -> bool:
        """Whether matches are evidence for each other if they lie far enough apart."""
        return self.is_joint and self.sampling is not None and math.isfinite(self.sampling.apart)

    @cached_property
    def stride(self) -> int:
        """Nodes from a match to the next one that is evidence for it."""
        if self.sampling is None or not math.isfinite(self.sampling.apart):
            return 1
        return max(math.ceil(self.sampling.apart / min(map(abs, self.spacing)) - 1e-6), 1)

    @property
    def depth(self) -> int:
        """Nodes around each that have a say."""
        if self.farthest is None:
            return 0
        passes = ("false_alarm" in self.limits) * 2 + ("ambiguity" in self.limits) if self.has_witnesses else 0
        return neighbours.RADIUS * (1 + passes * self.stride)

    @cached_property
    def floors(self) -> np.ndarray:
        """Square of the difference that motion makes between a node and each of its neighbours, m2."""
        assert self.sampling is not None
        away = neighbours.PLACES * float(self.stride) * np.array(self.spacing)
        around = (away**2).sum(axis=1)
        return np.asarray(USUAL_STRAIN**2 * around + (LEAST_DIFFERENCE * self.sampling.pixel) ** 2)

    def failed(self, *fields: np.ndarray) -> np.ndarray:
        """Flags of the tests that vectors fail (n, rows, columns), int64; NO_VALUE where there is none to test.

        Fields: `flags`, `dx`, `dy`, `sigma_dx`, `sigma_dy`, what is tested, and flags of tests that came before.
        """
        out = np.empty(fields[0].shape, dtype=np.int64)
        for layer, target in zip(zip(*fields, strict=True), out, strict=True):
            target[:] = self._failed_of_layer(*(np.ascontiguousarray(field) for field in layer))
        return out

    def _failed_of_layer(self, flags: np.ndarray, dx: np.ndarray, dy: np.ndarray, *others: np.ndarray) -> np.ndarray:
        variance = dx.dtype.type(0.5) * (others[0] ** 2 + others[1] ** 2)
        tested = dict(zip(self.limits, others[2 : len(others) - self.has_earlier], strict=True))
        has_value = np.isfinite(dx) & np.isfinite(dy)
        out = others[-1].copy() if self.has_earlier else np.zeros(dx.shape, dtype=np.int64)
        for name, values in tested.items():
            if name not in LARGEST:
                # unknown is as bad as beyond the limit
                out |= ~(values >= self.limits[name]) * np.int64(FLAGS[THRESHOLDS[name][1]])
        vectors = (dx, dy, variance)
        if "false_alarm" in tested:
            out |= self._is_chance(vectors, has_value & (out == 0), tested["false_alarm"]) * np.int64(
                FLAGS["insignificant"]
            )
        # ambiguous matches still count as nodes: where most are, a vector that is none has too few around it
        is_weak = out != 0
        if "ambiguity" in tested:
            is_ambiguous = self._is_ambiguous(vectors, has_value & ~is_weak, tested["ambiguity"])
            out |= is_ambiguous * np.int64(FLAGS["ambiguous"])
        if self.farthest is not None:
            is_left_out = (flags & FLAGS["outside"]) > 0
            if self.is_joint:
                # what chance explains says nothing about its neighbours
                is_left_out |= is_weak & has_value
            is_odd = self._is_odd(vectors, has_value & (out == 0), is_left_out, tested.get("false_alarm"))
            out |= is_odd * np.int64(FLAGS["neighbourhood"])
        return np.where(has_value, out, NO_VALUE)

    def _is_chance(self, vectors: tuple[np.ndarray, ...], is_there: np.ndarray, alarm: np.ndarray) -> np.ndarray:
        """Where unrelated ground may explain a match and what agrees with it."""
        limit = self.limits["false_alarm"]
        if not self.is_joint:
            return np.asarray(~(alarm <= limit))
        needed = np.inf if limit == 0.0 else (1.0 / limit - 1.0) / SHARE_LEFT
        if not self.has_witnesses:
            # as few vectors of unrelated ground as are left where others have a say
            return np.asarray(~(alarm <= 1.0 / (1.0 + needed)))
        own = np.empty_like(vectors[0])
        neighbours.likelihood(alarm, own)
        weight = np.where(is_there, np.minimum(own, own.dtype.type(LARGEST_OF_NEIGHBOUR)), own.dtype.type(-1.0))
        return np.asarray(~(self._agreement(vectors, weight, LARGEST_RATIO) >= needed / own))

    def _is_ambiguous(self, vectors: tuple[np.ndarray, ...], is_there: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Where another peak may be the match, and no neighbours that have only one tell which; not where unknown."""
        limit = self.limits["ambiguity"]
        is_doubtful = chance > limit
        if not (self.has_witnesses and is_doubtful.any()):
            return np.asarray(is_doubtful)
        one, none = (vectors[0].dtype.type(value) for value in (1.0, -1.0))
        weight = np.where(is_there, one * (chance <= limit), none)
        ratio = self._agreement(vectors, weight, LARGEST_RATIO_OF_PEAKS)
        return np.asarray(is_doubtful & ~(chance * (1.0 - limit) <= limit * (1.0 - chance) * ratio))

    def _agreement(self, vectors: tuple[np.ndarray, ...], weight: np.ndarray, largest: float) -> np.ndarray:
        """Likelihood ratio that the neighbours of each vector make."""
        assert self.sampling is not None
        out = np.empty_like(vectors[0])
        neighbours.evidence(*vectors, weight, self.floors, self.sampling.area, largest, self.stride, out)
        return out

    def _is_odd(
        self, vectors: tuple[np.ndarray, ...], keep: np.ndarray, is_left_out: np.ndarray, alarm: np.ndarray | None
    ) -> np.ndarray:
        """Where a vector is at odds with those around it, or beside the peak that the independent ones found."""
        assert self.farthest is not None
        dx, dy, variance = vectors
        kind = dx.dtype.type
        x = np.where(keep, dx, np.where(is_left_out, kind(np.inf), kind(np.nan)))
        y = np.where(keep, dy, kind(np.nan))
        # along both axes together, so that a well-known component does not excuse a badly known one
        sigma = np.sqrt(variance)
        is_odd = np.empty(dx.shape, dtype=np.uint8)
        neighbours.disagrees(x, y, sigma, self.farthest, is_odd)
        if not self.has_witnesses or alarm is None or self.sampling is None:
            return is_odd > 0
        keep = keep & (is_odd == 0)
        is_weak = (keep & (alarm > WEAK)).astype(np.uint8)
        is_beside = np.empty(dx.shape, dtype=np.uint8)
        x = np.where(keep, dx, kind(np.nan))
        neighbours.strays(x, y, sigma, is_weak, self.stride, self.sampling.pixel, is_beside)
        return np.asarray((is_odd | is_beside) > 0)
