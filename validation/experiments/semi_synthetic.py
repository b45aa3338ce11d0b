"""Real textures moved by known fields, with the noise of real date pairs of stable ground added.

python -m validation.experiments.semi_synthetic --data ../shared/data          all, some minutes
python -m validation.experiments.semi_synthetic --data ../shared/data --small  a part, to see that it works
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xoffset
from validation import peers
from validation.case import Rows
from validation.experiments import noise, scores, textures
from validation.experiments.command import main
from validation.settings import Setting

STEP, SEARCH = 8, 8
WINDOWS = (16, 32, 64)
DATES = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[us]")
NO_NOISE = "none"
# Filters of the images: the usual one, and that which keeps the finest detail, as most other tools do.
FILTERS = {"xoffset": "bandpass", "xoffset, high-pass": "highpass"}
# Other programs that are run beside, where they are installed, and their names in the tables.
BESIDE = {"OpenCV matchTemplate, parabola": "OpenCV", "autoRIFT": "autoRIFT"}
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


def ours(images: np.ndarray, window: int, *, prefilter: str) -> Found:
    """Matches of xoffset that its screening leaves."""
    stack = textures.stack_of(list(images), DATES)
    options = {"template": window, "search": SEARCH, "step": STEP, "prefilter": prefilter}
    found, sigma = textures.in_pixels(xoffset.screen(xoffset.correlate(stack, xoffset.pairs(stack), **options)))
    return found[0], sigma[0]


def theirs(images: np.ndarray, window: int, *, name: str) -> Found:
    """Matches of another program, which tells neither what is wrong nor how certain the rest is."""
    return peers.PEERS[name].match(images, Setting(window, SEARCH, STEP))[::-1], None


def methods() -> dict[str, Callable[[np.ndarray, int], Found]]:
    """What is installed, by name."""
    installed = [name for name in BESIDE if name in peers.PEERS and peers.PEERS[name].is_here]
    own = {name: partial(ours, prefilter=each) for name, each in FILTERS.items()}
    return own | {BESIDE[name]: partial(theirs, name=name) for name in installed}


class Scene(NamedTuple):
    """Two images (2, rows, columns), the motion between them, and that of the ground alone (2, rows, columns) [px]."""

    images: np.ndarray
    truth: np.ndarray
    of_ground: np.ndarray


def scene(texture: str, field: str, kind: str, folder: Path, seed: int) -> Scene:
    """A texture moved by a field, with noise; images lie apart by a fraction of a pixel, as real ones do.

    Ground that stands still would else be moved by no fraction, which favours methods that are drawn to whole pixels.
    """
    told, generator = textures.TEXTURES[texture], np.random.default_rng(seed)
    fine = told.read(folder)
    largest = textures.FIELDS[field][1]
    apart = generator.integers(1, told.factor, 2)[:, None, None] / told.factor if told.factor > 1 else 0.0
    field_of = largest * textures.shares(field, fine.shape)
    after, truth = textures.moved(fine, field_of + apart, told.factor)
    images = [textures.averaged(fine, told.factor), after]
    if kind != NO_NOISE:
        images[1] = noise.added(images[1], noise.of_pair(kind, folder)[0], generator)
    # at the rim what is seen comes from beyond the image
    rim = int(np.ceil(largest)) + 2
    inside = (..., slice(rim, -rim), slice(rim, -rim))
    return Scene(np.stack(images)[inside], truth[inside], (truth - apart)[inside])


def matched(folder: Path, names: tuple[tuple[str, ...], ...], windows: tuple[int, ...]) -> Iterator[Vectors]:
    """Vectors of all combinations of textures and noises, windows and methods; the fields take turns."""
    of_textures, fields, noises = names
    for k, (texture, kind) in enumerate(product(of_textures, noises)):
        field = fields[sum(divmod(k, len(noises))) % len(fields)]
        made = scene(texture, field, kind, folder, k)
        for window, (method, match) in product(windows, methods().items()):
            if min(made.images.shape[1:]) < window + 2 * (SEARCH + STEP):
                continue
            found, sigma = match(made.images, window)
            mean, _ = textures.in_windows(made.truth, window, STEP)
            _, ground = textures.kinds_of_ground(made.of_ground, window, STEP)
            # windows whose search leaves the image tell nothing of a method
            inside = textures.searched(made.images.shape[1:], window, SEARCH, STEP)
            flat = [None if each is None else each[:, inside] for each in (found - mean, sigma, mean)]
            yield Vectors(Case(texture, field, kind, window, method), *flat, ground[inside])


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
    names = tuple(textures.TEXTURES), tuple(textures.FIELDS), (NO_NOISE, *noise.PAIRS)
    windows = WINDOWS
    if is_small:
        names, windows = (("rock glacier",), ("landslide",), (NO_NOISE, "scree, 3 years")), (32,)
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
        for name in names[2]
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
