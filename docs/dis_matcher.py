"""A matcher of its own: dense inverse search, as OpenCV has it (Kroeger et al. 2016, ECCV, 471-488)."""

import dataclasses

import cv2
import numpy as np

import xoffset
from xoffset.flags import FLAGS

WHY = [FLAGS[name] for name in ("outside", "nodata", "border")]


@dataclasses.dataclass(frozen=True)
class DIS(xoffset.Matcher):
    window: int = 9  # side of its patches, px: known in the reference, and in the secondary where they have gone
    context: int = 32  # pixels around a tile that help at its edge
    fade: int = 16  # half the pixels over which tiles fade into each other

    def check(self, lattice, prefilter, *, is_uniform):
        if prefilter is not None or not is_uniform or lattice.levels:
            raise ValueError("DIS needs prefilter=None and one number as search; got others. Pass prefilter=None.")

    def match_tile(self, images, tile, guide, *, pairs, lattice, prefilter):
        middles = [lattice.margin + self.window // 2 + lattice.step * np.arange(s.stop - s.start) for s in tile]
        out = np.full((len(self.fields(())), len(pairs), *map(len, middles)), np.nan, dtype=lattice.dtype)
        for k, pair in enumerate(pairs):
            nodes = self.candidates(guide, pair, tile, lattice)  # centre of the search by node: the prior
            seen = np.isfinite(ends := images[[pair.reference, pair.secondary]])  # holes are painted with the median
            low, usual, high = np.percentile(ends[seen], [0.5, 50, 99.5]) if seen.any() else (0.0, 0.0, 0.0)
            grey = (255 * (np.where(seen, ends, usual) - low) / max(high - low, 1e-6)).clip(0, 255).astype(np.uint8)
            start = np.median(nodes.centre, axis=(0, 1))[::-1] + np.zeros((*seen.shape[1:], 2))
            flow = cv2.DISOpticalFlow_create(2).calc(*grey, start.astype(np.float32))[np.ix_(*middles)]
            one, two = (cv2.erode(each.astype(np.uint8), np.ones((self.window, self.window))) for each in seen)
            went = np.rint(np.moveaxis(flow[..., ::-1], -1, 0) + np.meshgrid(*middles, indexing="ij")).astype(int)
            known = one[np.ix_(*middles)] & two.take(np.ravel_multi_index(tuple(went), two.shape, mode="clip"))
            is_far = (np.abs(flow - nodes.centre[..., ::-1]) > lattice.search[::-1]).any(axis=-1) | (low >= high)
            out[-1, k] = flags = np.select([~nodes.wanted, known == 0, is_far], WHY, 0)
            out[:2, k] = np.where(flags == 0, np.moveaxis(flow, -1, 0), np.nan)
        return out
