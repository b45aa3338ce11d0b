"""What comes between the ground and an image of it: changing light, clouds, noise, and strips without data."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

# Mean brightness of clouds, digital numbers.
_VEIL = 2500.0


def degrade(
    images: np.ndarray, generator: np.random.Generator, *, snr: float, illumination: float, clouds: float, nodata: float
) -> np.ndarray:
    """Add what a real acquisition adds to clean images, in place; return where clouds are."""
    detail = np.std(images[0] - scipy.ndimage.gaussian_filter(images[0], 3.0, mode="wrap"))
    cover = np.zeros(images.shape, dtype=bool)
    for image, covered in zip(images, cover, strict=True):
        if illumination:
            image *= 1.0 + illumination * _smooth(image.shape, 0.3, generator)
        if clouds:
            thickness = _smooth(image.shape, 0.1, generator)
            edge = np.quantile(thickness, 1.0 - clouds)
            opacity = np.clip((thickness - edge) / 0.1 + 0.5, 0.0, 1.0)
            veil = _VEIL + 300.0 * _smooth(image.shape, 0.03, generator)
            image += (opacity * (veil - image)).astype(np.float32)
            covered[:] = opacity > 0.0
        if snr < 1e30:  # what is less is lost in the rounding
            image += (detail / snr * generator.standard_normal(image.shape)).astype(np.float32)
        if nodata:
            image[_strip(image.shape, nodata, generator)] = np.nan
    return cover


def _smooth(shape: tuple[int, ...], scale: float, generator: np.random.Generator) -> np.ndarray:
    """Smooth random field within ±1 whose features measure `scale` times the shorter side."""
    coarse = scipy.ndimage.gaussian_filter(
        generator.standard_normal([int(np.ceil(3.0 * size / (scale * min(shape)))) + 4 for size in shape]), 1.0
    )
    factors = [(size - 1) / (coarse_size - 4) for size, coarse_size in zip(shape, coarse.shape, strict=True)]
    points = np.meshgrid(*[1.5 + np.arange(size) / f for size, f in zip(shape, factors, strict=True)], indexing="ij")
    values = scipy.ndimage.map_coordinates(coarse, points, order=3, mode="nearest")
    return np.asarray(values / np.abs(values).max())


def _strip(shape: tuple[int, ...], share: float, generator: np.random.Generator) -> np.ndarray:
    """Slanted strip that covers about this share of an image."""
    rows, columns = shape
    angle = generator.uniform(0.0, np.pi)
    y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    distance = x * np.cos(angle) + y * np.sin(angle)
    start = np.quantile(distance, generator.uniform(0.0, max(1.0 - share, 0.0)))
    return np.asarray(
        (distance >= start) & (distance <= np.quantile(distance, min((distance < start).mean() + share, 1.0)))
    )
