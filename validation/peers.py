"""Matchers of others that are installed, all on the nodes of `correlate`: (2, rows, columns) along x and down [px]."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import _peers
from validation.programs import PROGRAMS, Program
from validation.settings import Setting, on_nodes


class Peer(NamedTuple):
    """A matcher of others: the module that it needs, the distribution that tells its version, and the call."""

    module: str
    distribution: str
    match: Callable[[np.ndarray, Setting], np.ndarray]

    @property
    def is_here(self) -> bool:
        """Whether it can be imported."""
        try:
            importlib.import_module(self.module)
        except ImportError:
            return False
        return True

    @property
    def version(self) -> str:
        """Version of the distribution; "?" of what is there without one."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return "?"


class OnPath(NamedTuple):
    """A program of others that is called with files."""

    program: Program

    @property
    def match(self) -> Callable[[np.ndarray, Setting], np.ndarray]:
        """The call."""
        return self.program.match

    @property
    def is_here(self) -> bool:
        """Whether it is on the path."""
        return self.program.path is not None

    @property
    def version(self) -> str:
        """Its name, since programs tell their versions in their own ways."""
        return Path(str(self.program.path)).name


def _opencv(images: np.ndarray, setting: Setting) -> np.ndarray:
    return _peers.opencv_loop(images, *setting)


def _dis(images: np.ndarray, setting: Setting) -> np.ndarray:
    return on_nodes(_peers.opencv_dis(images), setting)


def _skimage(images: np.ndarray, setting: Setting) -> np.ndarray:
    return _peers.skimage_phase(images, *setting)


def _openpiv(images: np.ndarray, setting: Setting) -> np.ndarray:
    """Windows of the first image in search areas of the second; its areas begin at the rim of the image."""
    from openpiv import pyprocess

    side = setting.template + 2 * setting.search
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peaks at the rim of the search
        right, down, _ = pyprocess.extended_search_area_piv(
            *_peers.highpass(images),
            window_size=setting.template,
            overlap=side - setting.step,
            search_area_size=side,
            correlation_method="linear",
            subpixel_method="gaussian",
            normalized_correlation=True,
        )
    return _placed(np.stack([right, down]), images.shape[1:], setting)


def _ffpiv(images: np.ndarray, setting: Setting) -> np.ndarray:
    """As OpenPIV, by FFTW; its windows are one step apart, which it tells as what they overlap by."""
    from ffpiv import api

    side = setting.template + 2 * setting.search
    options = {"window_size": 2 * (setting.template,), "overlap": 2 * (setting.template - setting.step,)}
    columns, rows, scores = api.cross_corr(
        _peers.highpass(images), search_area_size=2 * (side,), normalize=True, verbose=False, **options
    )
    right, down = api.u_v_displacement(scores, len(rows), len(columns))
    return _placed(np.stack([right[0], down[0]]), images.shape[1:], setting)


def _placed(found: np.ndarray, shape: tuple[int, ...], setting: Setting) -> np.ndarray:
    """Values of windows whose search areas begin at the rim, on the nodes: the first of these that have an area."""
    out = np.full((2, *((size - setting.template) // setting.step + 1 for size in shape)), np.nan)
    first = setting.search // setting.step
    rows, columns = (min(a, b - first) for a, b in zip(found.shape[1:], out.shape[1:], strict=True))
    out[:, first : first + rows, first : first + columns] = found[:, :rows, :columns]
    return out


def _efolki(images: np.ndarray, setting: Setting) -> np.ndarray:
    """Optical flow after a rank filter, with the parameters of its example."""
    from gefolki import EFolki

    low, high = np.nanpercentile(images, (0.5, 99.5))
    filled = [np.where(np.isfinite(each), each, np.nanmean(each)) for each in images]
    scaled = [np.clip((each - low) / (high - low), 0.0, 1.0).astype(np.float32) for each in filled]
    flow = EFolki(*scaled, iteration=2, radius=[32, 24, 16, 8], rank=4, levels=5)
    return on_nodes(np.stack(flow), setting)


def _autorift(images: np.ndarray, setting: Setting) -> np.ndarray:
    """With one size of chips, its high-pass and its tests; a coarse search of every node, since scenes are small.

    A node of it lies half a pixel before the middle of its chip. Its displacement is positive to the right and up.
    """
    from autoRIFT import autoRIFT

    starts = [setting.step * np.arange((size - setting.template) // setting.step + 1) for size in images.shape[1:]]
    rows, columns = np.meshgrid(*(each + setting.template // 2 - 1 for each in starts), indexing="ij")
    matcher: Any = autoRIFT()
    matcher.I1, matcher.I2 = (image.astype(np.float32) for image in images)
    matcher.xGrid, matcher.yGrid = columns.astype(np.int32), rows.astype(np.int32)
    matcher.ChipSizeMinX = matcher.ChipSizeMaxX = matcher.ChipSize0X = setting.template
    matcher.GridSpacingX = matcher.SkipSampleX = matcher.SkipSampleY = setting.step
    # as arrays, since numbers alone are turned to another type by recent NumPy
    for name, value in (("SearchLimitX", setting.search), ("SearchLimitY", setting.search), ("Dx0", 0), ("Dy0", 0)):
        setattr(matcher, name, np.full(rows.shape, value, dtype=np.float32))
    matcher.sparseSearchSampleRate, matcher.OverSampleRatio = 1, 64
    matcher.preprocess_filt_hps()
    matcher.uniform_data_type()
    matcher.runAutorift()
    out = np.full((2, *rows.shape), np.nan)
    # nothing is said of scenes that are too small for it
    if matcher.Dx is not None:
        height, width = matcher.Dx.shape
        out[:, :height, :width] = matcher.Dx, -matcher.Dy
    return out


PEERS: dict[str, Peer | OnPath] = {
    "OpenCV matchTemplate, parabola": Peer("cv2", "opencv-python-headless", _opencv),
    "OpenCV DIS": Peer("cv2", "opencv-python-headless", _dis),
    "scikit-image phase": Peer("skimage.registration", "scikit-image", _skimage),
    "OpenPIV": Peer("openpiv.pyprocess", "openpiv", _openpiv),
    "ffpiv": Peer("ffpiv.api", "ffpiv", _ffpiv),
    "GeFolki": Peer("gefolki", "gefolki", _efolki),
    "autoRIFT": Peer("autoRIFT", "autoRIFT", _autorift),
    **{name: OnPath(program) for name, program in PROGRAMS.items()},
}
# What has neither a wheel nor a call here: measured earlier, see the benchmarks.
ABSENT = ("arosics",)
