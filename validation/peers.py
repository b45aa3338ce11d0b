"""Matchers of others that are installed, all on the nodes of `correlate`: (2, rows, columns) along x and down [px]."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks import _peers


class Setting(NamedTuple):
    """Side of the windows, half-range of the search and distance of the windows [px]."""

    template: int
    search: int
    step: int


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
        """Version of the distribution."""
        return importlib.metadata.version(self.distribution)


def on_nodes(field: np.ndarray, setting: Setting) -> np.ndarray:
    """Values (2, y, x) of every pixel at the middle of the windows, which lies between four pixels."""
    half = setting.template // 2
    count = [(size - setting.template) // setting.step + 1 for size in field.shape[1:]]
    rows, columns = (np.arange(each) * setting.step + half for each in count)
    around = [field[:, rows[:, None] - i, columns[None] - j] for i in (0, 1) for j in (0, 1)]
    return np.asarray(np.mean(around, axis=0))


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


PEERS = {
    "OpenCV matchTemplate, parabola": Peer("cv2", "opencv-python-headless", _opencv),
    "OpenCV DIS": Peer("cv2", "opencv-python-headless", _dis),
    "scikit-image phase": Peer("skimage.registration", "scikit-image", _skimage),
    "OpenPIV": Peer("openpiv.pyprocess", "openpiv", _openpiv),
    "GeFolki": Peer("gefolki", "gefolki", _efolki),
}
# What the registry has not, or not as a wheel: measured earlier, see the benchmarks.
ABSENT = ("autoRIFT", "pycorr", "MicMac", "COSI-Corr", "Ames Stereo Pipeline", "arosics")
