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
    fade: int = 16  # pixels over which tiles fade into each other
    preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM

    def check(self, lattice, prefilter, *, is_uniform):
        if prefilter is not None or not is_uniform:
            raise ValueError("DIS needs prefilter=None and one number as search; got others. Pass prefilter=None.")

    def match_tile(self, images, tile, guide, *, pairs, lattice, prefilter):
        fields = self.fields(lattice.templates)
        counts = [part.stop - part.start for part in tile]
        middles = [lattice.margin + self.window // 2 + lattice.step * np.arange(count) for count in counts]
        out = np.full((len(fields), len(pairs), *counts), np.nan, dtype=lattice.dtype)
        for k, pair in enumerate(pairs):
            ends = [images[pair.reference], images[pair.secondary]]
            known = np.isfinite(ends).all(axis=0)
            flow = np.zeros((*known.shape, 2), dtype=np.float32)
            if known.any():
                low, high = np.percentile(np.stack(ends)[:, known], [0.5, 99.5])
                grey = [np.nan_to_num(255 * (end - low) / (high - low)).clip(0, 255).astype(np.uint8) for end in ends]
                flow = cv2.DISOpticalFlow_create(self.preset).calc(*grey, None)
            shift, is_known = flow[np.ix_(*middles)], known[np.ix_(*middles)]
            is_far = (np.abs(shift) > lattice.search[::-1]).any(axis=-1)
            flags = np.select([~is_known, is_far], [FLAGS["nodata"], FLAGS["border"]], 0)
            for name, values in (("dx", shift[..., 0]), ("dy", shift[..., 1])):
                out[fields.index(name), k] = np.where(flags == 0, values, np.nan)
            out[fields.index("flags"), k] = flags
        return out
