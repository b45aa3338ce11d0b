"""Errors of position that the acquisition of an image leaves: ramps, steps between detectors and jitter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Direction of flight, degrees clockwise from north: a descending orbit.
HEADING = 192.0
# Detectors side by side.
DETECTORS = 4
# Wavelengths of the jitter [m], and their amplitudes as shares of that of the first.
WAVES = ((2000.0, 1.0), (3200.0, 0.2), (1300.0, 0.25), (800.0, 0.15))


class Geometry(NamedTuple):
    """Errors of position along x and y [m] (component, time, rows, columns), and which detector saw a pixel, from 1."""

    error: np.ndarray
    detector: np.ndarray


def geometry(
    shape: tuple[int, int], pixel_size: float, dates: int, size: tuple[float, float, float], seed: int
) -> Geometry:
    """Errors of position of images, none of the first.

    `size`: largest displacement by the ramp, at the corners; standard deviation of the steps of the detectors;
    amplitude of the first wave of the jitter; all in m.
    """
    ramp, stripes, jitter = size
    generator = np.random.default_rng([seed, 2])
    # all are drawn, so that none depends on whether there are others
    turn = generator.uniform(0.0, 2.0 * np.pi, (2, dates))
    steps = generator.standard_normal((2, dates, DETECTORS))
    phases = generator.uniform(0.0, 2.0 * np.pi, (2, dates, 2, len(WAVES)))

    # places along and across the track, from the middle of the image
    y, x = (size_ - 0.5 * (count - 1) for size_, count in zip(np.indices(shape), shape, strict=True))
    east, north = np.sin(np.deg2rad(HEADING)), np.cos(np.deg2rad(HEADING))
    along = pixel_size * (x * east - y * north)
    across = pixel_size * (x * north + y * east)
    detector = np.clip(DETECTORS * (across - across.min()) / np.ptp(across), 0, DETECTORS - 1).astype(np.uint8)
    # neighbouring detectors see the same ground at two times, and thus two parts of the shaking
    moment = detector % 2 if stripes else np.zeros_like(detector)
    scaled_y, scaled_x = (each / np.abs(each).max() for each in (y, x))

    error = np.zeros((2, dates, *shape))
    for component in range(2):
        for date in range(1, dates):
            part = np.cos(turn[component, date]), np.sin(turn[component, date])
            field = ramp * (part[0] * scaled_x + part[1] * scaled_y) / (abs(part[0]) + abs(part[1]))
            field += stripes * steps[component, date][detector]
            for wave, (length, share) in enumerate(WAVES):
                phase = phases[component, date, :, wave][moment]
                field += jitter * share * np.sin(2.0 * np.pi * along / length + phase)
            error[component, date] = field
    return Geometry(error, detector + np.uint8(1))
