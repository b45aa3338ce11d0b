"""A matcher of its own: dense inverse search, as OpenCV has it (Kroeger et al. 2016, ECCV, 471-488)."""

import dataclasses

import cv2
import numpy as np

import xoffset
from xoffset.flags import FLAGS


@dataclasses.dataclass(frozen=True)
class DIS(xoffset.Matcher):
    window: int = 9  # side of its patches, px
    context: int = 32  # pixels around a tile that help at its edge
    fade: int = 16  # half the pixels over which tiles fade into each other
    preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM

    def check(self, lattice, prefilter, *, is_uniform):
        if prefilter is not None or not is_uniform or lattice.levels:
            raise ValueError("DIS needs prefilter=None and one number as search; got others. Pass prefilter=None.")

    def match_tile(self, images, tile, guide, *, pairs, lattice, prefilter):
        fields = self.fields(lattice.templates)
        middles = [lattice.margin + self.window // 2 + lattice.step * np.arange(s.stop - s.start) for s in tile]
        out = np.full((len(fields), len(pairs), *map(len, middles)), np.nan, dtype=lattice.dtype)
        for k, pair in enumerate(pairs):
            nodes = self.candidates(guide, pair, tile, lattice)  # centre of the search by node: the prior
            ends = images[[pair.reference, pair.secondary]]
            known = np.isfinite(ends).all(axis=0)
            low, high = np.percentile(ends[:, known], [0.5, 99.5]) if known.any() else (0.0, 0.0)
            grey = np.nan_to_num(255 * (ends - low) / max(high - low, 1e-6)).clip(0, 255).astype(np.uint8)
            start = np.median(nodes.centre, axis=(0, 1))[::-1] + np.zeros((*known.shape, 2))
            flow = cv2.DISOpticalFlow_create(self.preset).calc(*grey, start.astype(np.float32))[np.ix_(*middles)]
            is_far = (np.abs(flow - nodes.centre[..., ::-1]) > lattice.search[::-1]).any(axis=-1)
            why = [~nodes.wanted, ~known[np.ix_(*middles)], is_far | (low >= high)]
            out[-1, k] = flags = np.select(why, [FLAGS["outside"], FLAGS["nodata"], FLAGS["border"]], 0)
            out[:2, k] = np.where(flags == 0, np.moveaxis(flow, -1, 0), np.nan)
        return out
