"""Other ways to match an image pair, of what is installed; all give (2, rows, columns) along x and down in pixels."""

from __future__ import annotations

import importlib.util
import os

# on one core, threads of BLAS would spend most of the time waiting for one another
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import scipy.ndimage


def has(module: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec(module) is not None


def highpass(images: np.ndarray) -> np.ndarray:
    """Both images without their 3 px Gaussian mean, float32."""
    return np.stack([image - scipy.ndimage.gaussian_filter(image, 3.0) for image in images]).astype(np.float32)


def opencv_loop(images: np.ndarray, template: int, search: int, step: int) -> np.ndarray:
    """matchTemplate window by window and the vertex of a parabola, on high-passed images: what most tools do."""
    import cv2

    cv2.setNumThreads(1)
    first, second = highpass(images)
    nodes = [(size - template) // step + 1 for size in first.shape]
    out = np.full((2, *nodes), np.nan)
    side = template + 2 * search
    for row, column in np.ndindex(*nodes):
        y, x = row * step - search, column * step - search
        if min(y, x) < 0 or y + side > first.shape[0] or x + side > first.shape[1]:
            continue
        chip = first[y + search : y + search + template, x + search : x + search + template]
        score = cv2.matchTemplate(second[y : y + side, x : x + side], chip, cv2.TM_CCOEFF_NORMED)
        j, i = cv2.minMaxLoc(score)[3]
        if 0 < i < 2 * search and 0 < j < 2 * search:
            out[0, row, column] = j - search + vertex(score[i, j - 1 : j + 2])
            out[1, row, column] = i - search + vertex(score[i - 1 : i + 2, j])
    return out


def vertex(three: np.ndarray) -> float:
    """Offset of the vertex of a parabola through three values."""
    bend = three[0] - 2.0 * three[1] + three[2]
    return 0.5 * (three[0] - three[2]) / bend if bend else 0.0


def opencv_sliding(images: np.ndarray, template: int, search: int) -> np.ndarray:
    """Best whole shift of a window at every pixel by box filters, shift by shift: the quick way to match densely."""
    import cv2

    cv2.setNumThreads(1)
    first, second = highpass(images)
    box = (template, template)
    count = float(template * template)

    def sums(image: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(image, cv2.CV_32F, box, normalize=False, borderType=cv2.BORDER_CONSTANT)

    total = [sums(image) for image in (first, second)]
    spread = [sums(image * image) - whole * whole / count for image, whole in zip((first, second), total, strict=True)]
    inverse = [1.0 / np.sqrt(np.maximum(each, np.float32(1e-6))) for each in spread]
    height, width = (size - 2 * search for size in first.shape)
    inner = (slice(search, search + height), slice(search, search + width))
    best = np.full((height, width), -2.0, dtype=np.float32)
    found = np.zeros((2, height, width), dtype=np.float32)
    for down in range(-search, search + 1):
        for right in range(-search, search + 1):
            there = (
                slice(search + down, search + down + height),
                slice(search + right, search + right + width),
            )
            score = sums(first[inner] * second[there])
            score -= total[0][inner] * total[1][there] / count
            score *= inverse[0][inner] * inverse[1][there]
            better = score > best
            np.copyto(best, score, where=better)
            found[0][better], found[1][better] = right, down
    half = template // 2
    out = np.full((2, *(size - template + 1 for size in first.shape)), np.nan)
    margin = max(search - half, 0)
    part = found[:, margin + half - search :, margin + half - search :]
    rows, columns = (min(a - margin, b) for a, b in zip(out.shape[1:], part.shape[1:], strict=True))
    out[:, margin : margin + rows, margin : margin + columns] = part[:, :rows, :columns]
    return out


def opencv_dis(images: np.ndarray) -> np.ndarray:
    """Optical flow of OpenCV with its preset for quality at medium speed, on 8 bits; holes hold the mean."""
    import cv2

    cv2.setNumThreads(1)
    low, high = np.nanpercentile(images, (0.5, 99.5))
    grey = [np.clip(255.0 * (image - low) / (high - low), 0.0, 255.0) for image in images]
    grey = [np.where(np.isnan(image), np.nanmean(image), image).astype(np.uint8) for image in grey]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    is_known = np.isfinite(images).all(axis=0)
    return np.where(is_known, np.moveaxis(flow, 2, 0), np.nan)


def skimage_phase(images: np.ndarray, template: int, search: int, step: int, upsample: int = 100) -> np.ndarray:
    """Upsampled phase correlation of windows as wide as template and search together, window by window."""
    from skimage.registration import phase_cross_correlation

    first, second = highpass(images)
    nodes = [(size - template) // step + 1 for size in first.shape]
    side = template + 2 * search
    out = np.full((2, *nodes), np.nan)
    for row, column in np.ndindex(*nodes):
        y, x = row * step - search, column * step - search
        if min(y, x) < 0 or y + side > first.shape[0] or x + side > first.shape[1]:
            continue
        windows = (image[y : y + side, x : x + side] for image in (second, first))
        down, right = phase_cross_correlation(*windows, upsample_factor=upsample)[0]
        out[:, row, column] = right, down
    return out
