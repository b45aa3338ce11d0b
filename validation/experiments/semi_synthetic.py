"""Real textures moved by known fields, with the noise of real date pairs of stable ground added.

python -m validation.experiments.semi_synthetic --data ../shared/data          all, some minutes
python -m validation.experiments.semi_synthetic --data ../shared/data --small  a part, to see that it works
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xoffset
from benchmarks import _peers
from validation.experiments import noise, scores, textures
from validation.experiments.command import main
from validation.tables import Rows

STEP, SEARCH = 8, 8
WINDOWS = (16, 32, 64)
DATES = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[us]")
NO_NOISE = "none"
# A method: displacements and standard errors, if it has any, (2, rows, columns), down and right, in pixels.
Found = tuple[np.ndarray, np.ndarray | None]


class Case(NamedTuple):
    """What was matched: its texture, field and noise by name, the window, and the method."""

    texture: str
    field: str
    noise: str
    window: int
    method: str


class Vectors(NamedTuple):
    """Vectors of a case (2, n) [px], and the kind of ground (n) that each window lies on."""

    case: Case
    error: np.ndarray
    sigma: np.ndarray | None
    truth: np.ndarray
    ground: np.ndarray


def ours(images: np.ndarray, window: int) -> Found:
    """Matches of xoffset that its screening leaves."""
    stack = textures.stack_of(list(images), DATES)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=window, search=SEARCH, step=STEP)
    found, sigma = textures.in_pixels(xoffset.screen(shifts))
    return found[0], sigma[0]


def opencv(images: np.ndarray, window: int) -> Found:
    """`matchTemplate` and a parabola, which tell neither what is wrong nor how certain the rest is."""
    return _peers.opencv_loop(images, window, SEARCH, STEP)[::-1], None


def methods() -> dict[str, Callable[[np.ndarray, int], Found]]:
    """What is installed, by name."""
    found: dict[str, Callable[[np.ndarray, int], Found]] = {"xoffset": ours}
    if _peers.has("cv2"):
        found["OpenCV"] = opencv
    return found


def scene(texture: str, field: str, kind: str, folder: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two images (2, rows, columns) and the motion between them (2, rows, columns), down and right [px]."""
    told = textures.TEXTURES[texture]
    fine = told.read(folder)
    largest = textures.FIELDS[field][1]
    after, truth = textures.moved(fine, largest * textures.shares(field, fine.shape), told.factor)
    images = [textures.averaged(fine, told.factor), after]
    if kind != NO_NOISE:
        generator = np.random.default_rng(seed)
        images[1] = noise.added(images[1], noise.of_pair(kind, folder)[0], generator)
    # at the rim what is seen comes from beyond the image
    rim = int(np.ceil(largest)) + 1
    inside = (..., slice(rim, -rim), slice(rim, -rim))
    return np.stack(images)[inside], truth[inside]


def matched(folder: Path, names: dict[str, tuple[str, ...]], windows: tuple[int, ...]) -> Iterator[Vectors]:
    """Vectors of all combinations of textures, fields, noises, windows and methods."""
    combinations = product(names["texture"], names["field"], names["noise"])
    for seed, (texture, field, kind) in enumerate(combinations):
        images, truth = scene(texture, field, kind, folder, seed)
        for window, (method, match) in product(windows, methods().items()):
            if min(images.shape[1:]) < window + 2 * STEP:
                continue
            found, sigma = match(images, window)
            mean, ground = textures.kinds_of_ground(truth, window, STEP)
            # windows whose search leaves the image tell nothing of a method
            inside = _searched(images.shape[1:], window)[: mean.shape[1], : mean.shape[2]].ravel()
            yield Vectors(
                Case(texture, field, kind, window, method),
                (found - mean).reshape(2, -1)[:, inside],
                None if sigma is None else sigma.reshape(2, -1)[:, inside],
                mean.reshape(2, -1)[:, inside],
                ground.ravel()[inside],
            )


def _searched(shape: tuple[int, ...], window: int) -> np.ndarray:
    """Which windows have room for their search (rows, columns)."""
    fits = []
    for size in shape:
        start = STEP * np.arange((size - window) // STEP + 1)
        fits.append((start >= SEARCH) & (start + window + SEARCH <= size))
    return np.logical_and.outer(*fits)


def grouped(vectors: list[Vectors], *keys: str, ground: int | None = None) -> Rows:
    """Rows of the numbers of all vectors that are alike in these parts of their case."""
    groups: dict[tuple[Any, ...], list[Vectors]] = {}
    for each in vectors:
        groups.setdefault(tuple(getattr(each.case, key) for key in (*keys, "method")), []).append(each)
    rows = []
    for names, members in groups.items():
        keep = [slice(None) if ground is None else each.ground == ground for each in members]
        error, truth = (
            np.concatenate([getattr(each, name)[:, where] for each, where in zip(members, keep, strict=True)], axis=1)
            for name in ("error", "truth")
        )
        sigma = None
        if members[0].sigma is not None:
            parts = [each.sigma[:, where] for each, where in zip(members, keep, strict=True) if each.sigma is not None]
            sigma = np.concatenate(parts, axis=1)
        if error.size:
            rows.append(dict(zip((*keys, "method"), names, strict=True)) | scores.of_vectors(error, sigma, truth))
    return rows


def run(folder: Path, *, is_small: bool = False) -> dict[str, Rows]:
    """Tables by texture, by noise and its baseline, by field and ground, and of how alike the noisy images are."""
    names = {
        "texture": tuple(textures.TEXTURES),
        "field": tuple(textures.FIELDS),
        "noise": (NO_NOISE, *noise.PAIRS),
    }
    windows = WINDOWS
    if is_small:
        names = {"texture": ("rock glacier",), "field": ("landslide",), "noise": (NO_NOISE, "forest, 10 days")}
        windows = (32,)
    vectors = list(matched(folder, names, windows))
    by_ground = [
        {"ground": kind} | row
        for k, kind in enumerate(textures.GROUNDS)
        for row in grouped(vectors, "field", "window", ground=k)
    ]
    alike = [
        {
            "noise": name,
            "ground": noise.GROUNDS[noise.PAIRS[name][0]].title,
            "correlation": noise.of_pair(name, folder)[1],
        }
        for name in names["noise"]
        if name != NO_NOISE
    ]
    return {
        "by texture": grouped(vectors, "texture", "window"),
        "by noise": grouped(vectors, "noise", "window"),
        "by ground": by_ground,
        "noise": alike,
    }


if __name__ == "__main__":
    main("semi_synthetic", run)
