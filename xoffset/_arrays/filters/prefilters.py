"""Image filters on plain arrays: what is taken out of an image before it is matched, and what that does to noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np

from xoffset._kernels.images import filters
from xoffset._kernels.matching import refine

Tile = tuple[slice, slice]
Filtered = tuple[np.ndarray, np.ndarray]

# A high-pass that follows the template is this part of it wide, and never finer than the fixed one.
TEMPLATE_PARTS, LEAST_COARSE = 10.0, 3.0
# Widths from which the noise chooses a low-pass, px.
WIDTHS = (0.7, 0.85, 1.0, 1.2)
# A perturbation that tells how a filter passes noise is at least this part of the image's contrast.
LEAST_NOISE = 1e-3
# Reach of the kernel that colours noise as a non-linear filter does, px.
COLOUR_RADIUS = 5
# Side of the blocks in which the noise is held against the slopes of the image, px.
BLOCK = 16
# Standard deviation below which the result of a filter that knows no contrast is no texture.
LEAST_TEXTURE = 1e-2


def check_width(value: Any, name: str, least: float, word: str | None = None) -> float | str:
    """Return a number of at least `least`, or the word that may stand for one."""
    if word is not None and isinstance(value, str) and value == word:
        return value
    is_number = isinstance(value, (float, int, np.floating, np.integer)) and not isinstance(value, bool)
    if not is_number or not least <= value <= 100.0:
        choice = f" or '{word}'" if word else ""
        raise ValueError(
            f"a filter needs {name} from {least:g} to 100 pixels{choice}; got {value!r}. "
            f"Pass a number such as {name}={max(least, 1.0):g}."
        )
    return float(value)


def _check_whole(value: Any, name: str, least: int) -> int:
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or not least <= value <= 100:
        raise ValueError(
            f"a filter needs {name} as a whole number from {least} to 100 pixels; got {value!r}. "
            f"Pass a number such as {name}={2 * least + 1}."
        )
    return int(value)


def _radius(sigma: float) -> int:
    return filters.gaussian_taps(sigma, np.dtype(np.float64)).size // 2


def _coarse_width(coarse: float | str, template: int) -> float:
    return max(template / TEMPLATE_PARTS, LEAST_COARSE) if isinstance(coarse, str) else coarse


@dataclass(frozen=True)
class Bandpass:
    """Difference of two Gaussian low-passes: without noise, without light and shade.

    Parameters
    ----------
    fine
        Standard deviation of the low-pass, px; `"snr"` chooses the one of WIDTHS that promises the most
        precise match, from texture and noise of the image around.
    coarse
        Standard deviation of the high-pass, px, more than `fine`; `"template"` takes a tenth of the template, at
        least 3.

    Examples
    --------
    >>> from xoffset import _prefilters
    >>> _prefilters.Bandpass(coarse="template").reach(64)
    26
    """

    fine: float | Literal["snr"] = 0.7
    coarse: float | Literal["template"] = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fine", check_width(self.fine, "fine", 0.0, "snr"))
        object.__setattr__(self, "coarse", check_width(self.coarse, "coarse", 0.5, "template"))
        # the widest low-pass that the noise may ask for
        fine = WIDTHS[-1] if isinstance(self.fine, str) else self.fine
        if fine >= _coarse_width(self.coarse, 0):
            raise ValueError(
                f"a band-pass needs coarse above fine; got fine={self.fine!r} and coarse={self.coarse!r}. "
                "Exchange them, or keep fine=0.7 and coarse=3.0."
            )

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return _radius(_coarse_width(self.coarse, template))


@dataclass(frozen=True)
class Highpass:
    """Image minus its Gaussian low-pass; `coarse` as in `Bandpass`."""

    coarse: float | Literal["template"] = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "coarse", check_width(self.coarse, "coarse", 0.5, "template"))

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return _radius(_coarse_width(self.coarse, template))


@dataclass(frozen=True)
class Log:
    """Band-pass of the logarithm of the brightness above `level`; `fine` and `coarse` as in `Bandpass`."""

    level: float = 0.0
    fine: float | Literal["snr"] = 0.7
    coarse: float | Literal["template"] = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", as_level(self.level))
        after = Bandpass(self.fine, self.coarse)
        object.__setattr__(self, "fine", after.fine)
        object.__setattr__(self, "coarse", after.coarse)

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return Bandpass(self.fine, self.coarse).reach(template)


@dataclass(frozen=True)
class _Stencil:
    """A filter of 3 x 3 pixels after a Gaussian low-pass of standard deviation `fine`, px; 0 for none."""

    fine: float = 0.7

    def __post_init__(self) -> None:
        object.__setattr__(self, "fine", check_width(self.fine, "fine", 0.0))

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return _radius(self.fine) + 1


@dataclass(frozen=True)
class Laplacian(_Stencil):
    """Sum of the second differences along x and y of the low-pass `fine`."""


@dataclass(frozen=True)
class Sobel(_Stencil):
    """Magnitude of the gradient of the low-pass `fine`."""


@dataclass(frozen=True)
class Orientation(_Stencil):
    """Direction of the gradient of the low-pass `fine`, as a complex number of magnitude 1."""


@dataclass(frozen=True)
class Naof(_Stencil):
    """Near anisotropic orientation filter of the low-pass `fine`."""


@dataclass(frozen=True)
class Wallis:
    """Brightness in local standard deviations from the local mean, over a square of `window` pixels (odd)."""

    window: int = 11

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", _check_whole(self.window, "window", 3))
        if self.window % 2 == 0:
            raise ValueError(
                f"a Wallis filter needs a window with a middle pixel; got {self.window}. Pass {self.window + 1}."
            )

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return self.window // 2


@dataclass(frozen=True)
class Rank:
    """Share of the neighbours within `radius` rows and columns that are darker."""

    radius: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", _check_whole(self.radius, "radius", 1))

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return self.radius


Prefilter = Bandpass | Highpass | Log | Laplacian | Sobel | Orientation | Naof | Wallis | Rank
NAMES = {
    "bandpass": Bandpass, "highpass": Highpass, "wallis": Wallis, "laplacian": Laplacian, "sobel": Sobel,
    "naof": Naof, "rank": Rank, "log": Log,
}  # fmt: skip


def as_prefilter(value: str | Prefilter | None) -> Prefilter | None:
    """Filter of that name, or the one that was given, if a match can be found in its result.

    Raises
    ------
    ValueError
        If it is none.
    """
    if value is None or (isinstance(value, Prefilter) and not isinstance(value, Orientation)):
        return value
    if isinstance(value, str) and value in NAMES:
        made: Prefilter = NAMES[value]()
        return made
    raise ValueError(
        f"correlate() needs prefilter None, {', '.join(map(repr, NAMES))}, or one with options; got {value!r}. "
        "Pass one of the names, or for example Bandpass(fine=0.7, coarse=3.0)."
    )


def as_level(level: Any) -> float:
    """Brightness that counts as black, after checking that it is a number."""
    is_number = isinstance(level, (float, int, np.floating, np.integer)) and not isinstance(level, bool)
    if not is_number or not math.isfinite(level):
        raise ValueError(f"a logarithm needs a finite number as level; got {level!r}. Pass the value of black, say 0.")
    return float(level)


def described(prefilter: Prefilter | None) -> str | dict[str, Any] | None:
    """What an attribute says of a filter: its name, and its options where they are not the usual ones."""
    if prefilter is None:
        return None
    name = type(prefilter).__name__.lower()
    return name if prefilter == type(prefilter)() else {"name": name} | asdict(prefilter)


def options(prefilter: Prefilter) -> dict[str, Any]:
    """Options of a filter by name."""
    # the public logarithm is not band-passed
    return {"level": prefilter.level} if isinstance(prefilter, Log) else asdict(prefilter)


def number(value: Any, name: str, least: float) -> float:
    """Width of a filter in pixels, after checking that it is a number of at least `least`."""
    checked = check_width(value, name, least)
    assert not isinstance(checked, str)
    return checked


class Centred(NamedTuple):
    """Pixels of an image that filters can work on."""

    values: np.ndarray  # without the mean and divided by 2**exponent, within ±1; zero where unknown
    known: np.ndarray  # uint8, finite pixels
    peak: float  # largest of the values
    exponent: int


def centre(raw: np.ndarray, dtype: np.dtype) -> Centred:
    """Remove the mean and bring the rest within ±1 by a power of two.

    That changes no bit of what follows, and keeps products of faint or bright images within float32.
    """
    known = np.empty(raw.shape, dtype=np.uint8)
    total = np.empty(raw.shape[1])
    low, high = (np.empty(raw.shape[1], dtype=raw.dtype) for _ in range(2))
    filters.survey(raw, known, total, low, high)
    count = int(np.count_nonzero(known))
    mean = float(total.sum()) / max(count, 1)
    largest = max(float(high.max()) - mean, mean - float(low.min())) if count else 0.0
    peak, exponent = math.frexp(largest)
    values = np.empty(raw.shape, dtype=dtype)
    filters.centre(raw, known, mean, math.ldexp(1.0, -exponent), values)
    return Centred(values, known, peak, exponent)


def brightness(prefilter: Prefilter | None, raw: np.ndarray) -> np.ndarray:
    """Values that the filter works on: logarithms for `Log`, NaN where there is none; else the raw ones."""
    return logarithm(raw, prefilter.level) if isinstance(prefilter, Log) else raw


def logarithm(raw: np.ndarray, level: float) -> np.ndarray:
    """Natural logarithm of raw - level; NaN where that is not positive."""
    above = raw - raw.dtype.type(level)
    return np.asarray(np.log(above, where=(above > 0) & (above < np.inf), out=np.full_like(above, np.nan)))


def settle(prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, template: int) -> Prefilter:
    """Filter with numbers for the widths that follow the template or the noise of the image."""
    if isinstance(prefilter, Highpass):
        return Highpass(_coarse_width(prefilter.coarse, template))
    if not isinstance(prefilter, (Bandpass, Log)):
        return prefilter
    coarse = _coarse_width(prefilter.coarse, template)
    fine = prefilter.fine
    if isinstance(fine, str):
        variances = [_variance_of_match(centred, known, width, coarse) for width in WIDTHS]
        fine = WIDTHS[int(np.argmin(variances))]
    return Bandpass(fine, coarse)


def keeps_units(prefilter: Prefilter | None) -> bool:
    """Whether the result grows with the contrast of the image."""
    return not isinstance(prefilter, (Wallis, Rank, Naof, Orientation))


def apply(prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    """Filter one image of a tile.

    Parameters
    ----------
    prefilter
        A result of `settle`.
    centred
        (height, width) image of about zero mean, zero where unknown.
    known
        (height, width) uint8, pixels with a value.
    frame
        Part inside the image, whose edge is no hole.

    Returns
    -------
    filtered : numpy.ndarray
        (height, width), of the type of the image; complex for `Orientation`.
    valid : numpy.ndarray
        (height, width) uint8, known pixels around which the filter knew enough.
    """
    return _FILTERS[type(prefilter)](prefilter, centred, known, frame)


# ------------------------------------------------------------------------------------------------------- linear filters


def _bandpass(prefilter: Bandpass, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    fine, coarse = prefilter.fine, prefilter.coarse
    assert not isinstance(fine, str)
    assert not isinstance(coarse, str)
    if known.all():
        gains = [np.stack([1.0 / _weight_of_line(size, sigma) for sigma in (fine, coarse)]) for size in centred.shape]
        return _difference(centred, fine, coarse, gains), known
    low, near = _local_level(centred, known, fine)
    high, far = _local_level(centred, known, coarse)
    valid = np.empty_like(known)
    filters.fit_pixels(known, near[0], far, *_centroids_in_frame(centred, frame, coarse), valid)
    return low - high, valid


def _highpass(prefilter: Highpass, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    return _bandpass(Bandpass(0.0, prefilter.coarse), centred, known, frame)


def _difference(image: np.ndarray, fine: float, coarse: float, gains: list[np.ndarray] | None = None) -> np.ndarray:
    """Fine minus coarse low-pass of an image that is zero beyond its edges; gains (2, height) and (2, width)."""
    height, width = image.shape
    halves = [_half_of_taps(sigma, image.dtype) for sigma in (fine, coarse)]
    margin = max(half.size for half in halves)
    # rows of whole vector registers that start on a cache line take half the time
    stride = -(-width // 16) * 16
    rows = _aligned((2, 2 * margin + height + 1, stride), image.dtype)
    rows[:, :margin] = 0.0
    rows[:, margin + height :] = 0.0
    line = np.zeros(2 * margin + stride, dtype=image.dtype)
    if gains is None:
        gains = [np.ones((2, size)) for size in image.shape]
    gain_y, gain_x = (gain.astype(image.dtype) for gain in gains)
    out = np.empty(image.shape, dtype=image.dtype)
    filters.bandpass(image, *halves, gain_y, gain_x, rows, line, out)
    return out


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Array of any content that starts on a cache line."""
    size = math.prod(shape) * dtype.itemsize
    store = np.empty(size + 64, dtype=np.uint8)
    start = -store.ctypes.data % 64
    return store[start : start + size].view(dtype).reshape(shape)


def _half_of_taps(sigma: float, dtype: np.dtype) -> np.ndarray:
    """Middle tap of a Gaussian and those on one side, filled up with zeros for the kernels."""
    taps = filters.gaussian_taps(sigma, dtype)
    half = taps[taps.size // 2 :]
    blocks = max(-(-(half.size - 1) // filters.FOLD), 1)
    return np.concatenate([half, np.zeros(1 + blocks * filters.FOLD - half.size, dtype=dtype)])


def _weight_of_line(size: int, sigma: float) -> np.ndarray:
    """Low-pass of a line of ones, zero beyond: below 1 near the edges only."""
    taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
    radius = taps.size // 2
    return np.convolve(np.ones(size), taps)[radius : radius + size]


def _lowpass(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian low-pass of an image that is zero beyond its edges."""
    if sigma == 0.0:
        return image
    out = np.empty_like(image)
    taps = filters.gaussian_taps(sigma, image.dtype)
    filters.smooth(image, taps, taps, np.empty_like(image), out)
    return out


def _local_level(centred: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Low-pass of an image with holes, and the moments (1, x, y) of the known pixels around each."""
    moments = np.zeros((3, *centred.shape), dtype=centred.dtype)
    if sigma == 0.0:
        moments[0] = known
        return centred, moments
    weight = np.multiply.outer(*(_weight_of_line(size, sigma) for size in centred.shape))
    level = _lowpass(centred, sigma) / weight.astype(centred.dtype)
    moments[0] = 1.0
    if not known.all():
        taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
        offset = (np.arange(taps.size) - taps.size // 2) / sigma
        powers = np.stack([taps * offset**n for n in range(3)]).astype(centred.dtype)
        filters.level_beside_holes(centred, known.astype(centred.dtype), powers, level, moments)
    return level, moments


def _centroids_in_frame(image: np.ndarray, frame: Tile, sigma: float) -> list[np.ndarray]:
    """Offset of the centroid of a low-pass that the edges of the image cause, by row and by column, in widths.

    The edge of the image is no hole: a template keeps away from it as far as it is searched for.
    """
    taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
    radius = taps.size // 2
    lever = taps * np.arange(-radius, radius + 1) / sigma
    offsets = []
    for size, part in zip(image.shape, frame, strict=True):
        # beyond the window is no hole, only beyond the image
        inside = np.zeros(size + 2 * radius)
        first = part.start + radius if part.start > 0 else 0
        last = part.stop + radius if part.stop < size else inside.size
        inside[first:last] = 1.0
        weight = np.correlate(inside, taps, mode="valid")
        offset = np.correlate(inside, lever, mode="valid") / np.maximum(weight, 1e-6)
        offsets.append(offset.astype(image.dtype))
    return offsets


# ----------------------------------------------------------------------------------------------------- 3 x 3 and others

_LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
_ALONG = np.array([[0, 0, 0], [-1, 2, -1], [0, 0, 0]])
_ACROSS = np.array([[-1, 0, 0], [0, 2, 0], [0, 0, -1]])


def _level_for_stencil(prefilter: _Stencil, centred: np.ndarray, known: np.ndarray) -> Filtered:
    """Low-pass, and the known pixels whose eight neighbours are told as well."""
    level, moments = _local_level(centred, known, prefilter.fine)
    usable = np.pad(moments[0] >= filters.LEAST_WEIGHT, 1)
    inner = np.lib.stride_tricks.sliding_window_view(usable, (3, 3)).all((-2, -1))
    return level, known & inner.astype(np.uint8)


def _stencil(level: np.ndarray, taps: np.ndarray) -> np.ndarray:
    out = np.empty_like(level)
    filters.correlate(level, taps.astype(level.dtype), out)
    return out


def _laplacian(prefilter: Laplacian, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    level, valid = _level_for_stencil(prefilter, centred, known)
    return _stencil(level, _LAPLACE), valid


def _gradient(prefilter: _Stencil, centred: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    level, valid = _level_for_stencil(prefilter, centred, known)
    return _stencil(level, _SOBEL), _stencil(level, _SOBEL.T), valid


def _sobel(prefilter: Sobel, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    along_x, along_y, valid = _gradient(prefilter, centred, known)
    return np.sqrt(along_x * along_x + along_y * along_y), valid


def _orientation(prefilter: Orientation, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    along_x, along_y, valid = _gradient(prefilter, centred, known)
    magnitude = np.hypot(along_x, along_y)
    is_flat = magnitude <= _rounding(centred)
    unit = (along_x + 1j * along_y) / np.where(is_flat, 1.0, magnitude).astype(centred.dtype)
    return np.where(is_flat, 0.0, unit).astype(np.result_type(centred.dtype, np.complex64)), valid


def _naof(prefilter: Naof, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    level, valid = _level_for_stencil(prefilter, centred, known)
    out = np.zeros_like(level)
    for first, second in ((_ALONG, _ALONG.T), (_ACROSS, _ACROSS[::-1])):
        sine, cosine = _stencil(level, first), _stencil(level, second)
        size = np.hypot(sine, cosine)
        is_flat = size <= _rounding(centred)
        # cos + sin of atan2(first, second), which is 1 where both are zero
        out += np.where(is_flat, 1.0, (sine + cosine) / np.where(is_flat, 1.0, size)).astype(out.dtype)
    return out, valid


def _rounding(centred: np.ndarray) -> float:
    """Difference between pixels that may be nothing but rounding."""
    return 32.0 * float(np.finfo(centred.dtype).eps) * float(np.abs(centred).max())


def _wallis(prefilter: Wallis, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    side = prefilter.window
    ones = np.ones(side)
    mask = known.astype(np.float64)
    image = centred.astype(np.float64)
    count, total, square = (np.empty_like(image) for _ in range(3))
    for values, sums in ((mask, count), (image, total), (image * image, square)):
        filters.smooth(values, ones, ones, np.empty_like(image), sums)
    least = np.maximum(count, 1.0)
    mean = total / least
    variance = np.maximum(square / least - mean * mean, 0.0) * least / np.maximum(least - 1.0, 1.0)
    # below twice the noise of the sensor a spread is no texture: leave it faint
    floor = max(2.0 * noise(centred, known), 32.0 * _rounding(centred), float(np.finfo(np.float64).tiny))
    out = np.where(known, (image - mean) / np.maximum(np.sqrt(variance), floor), 0.0).astype(centred.dtype)
    return out, known & (count >= filters.LEAST_WEIGHT * _count_in_frame(centred.shape, frame, side)).astype(np.uint8)


def _count_in_frame(shape: tuple[int, int], frame: Tile, side: int) -> np.ndarray:
    """Pixels of a square around each that lie inside the image."""
    along = []
    for size, part in zip(shape, frame, strict=True):
        inside = np.zeros(size)
        inside[part] = 1.0
        along.append(np.convolve(inside, np.ones(side))[side // 2 : side // 2 + size])
    return np.multiply.outer(*along)


def _rank(prefilter: Rank, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    out, count = np.empty_like(centred), np.empty(centred.shape, dtype=np.int32)
    filters.rank(centred, known, prefilter.radius, out, count)
    inside = _count_in_frame(centred.shape, frame, 2 * prefilter.radius + 1) - 1.0
    is_fit = (count > 0) & (count >= filters.LEAST_WEIGHT * inside)
    return np.where(known, out, 0).astype(out.dtype), known & is_fit.astype(np.uint8)


_FILTERS: dict[type, Callable[..., Filtered]] = {
    Bandpass: _bandpass, Highpass: _highpass, Laplacian: _laplacian, Sobel: _sobel, Orientation: _orientation,
    Naof: _naof, Wallis: _wallis, Rank: _rank,
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- noise


def noise(image: np.ndarray, known: np.ndarray) -> float:
    """Standard deviation of the white noise of an image (Immerkaer 1996, Comput. Vis. Image Underst. 64, 300-302).

    From the pixels whose eight neighbours are known; 0 if there is none. Fine texture counts as noise.
    """
    second = np.array([1, -2, 1])
    left = _stencil(image, np.multiply.outer(second, second))[1:-1, 1:-1]
    if known.all():
        return float(np.abs(left).mean(dtype=np.float64)) * math.sqrt(math.pi / 2.0) / 6.0 if left.size else 0.0
    is_whole = np.lib.stride_tricks.sliding_window_view(known, (3, 3)).all((-2, -1))
    if not is_whole.any():
        return 0.0
    return float(np.abs(left[is_whole]).mean(dtype=np.float64)) * math.sqrt(math.pi / 2.0) / 6.0


def _variance_of_match(centred: np.ndarray, known: np.ndarray, fine: float, coarse: float) -> float:
    """Variance that a band-pass leaves of a match in this image, up to a factor that all widths share.

    H⁻² J with H the energy of the slopes and J that of the slopes filtered once more, both without what the noise of
    the image adds to them; half of that stays in J, for noise meets the noise in the slopes of the template as well.
    """
    whole: Tile = (slice(0, centred.shape[0]), slice(0, centred.shape[1]))
    prefilter = Bandpass(fine, coarse)
    filtered, valid = _bandpass(prefilter, centred, known, whole)
    reach = 2 * prefilter.reach(0) + 4
    impulse = np.zeros((2 * reach + 1, 2 * reach + 1))
    impulse[reach, reach] = 1.0
    power = noise(centred, known) ** 2
    energies = []
    for image, kernel in (
        (filtered, _linear(prefilter, impulse)),
        (_linear(prefilter, filtered), _linear(prefilter, _linear(prefilter, impulse))),
    ):
        own = sum(float((slope[valid > 0].astype(np.float64) ** 2).mean()) for slope in _slopes(image))
        energies.append((own, power * sum(float((slope**2).sum()) for slope in _slopes(kernel))))
    (hold, hold_of_noise), (spread, spread_of_noise) = energies
    if not hold > hold_of_noise:
        return math.inf
    return max(spread - 0.5 * spread_of_noise, 0.0) / (hold - hold_of_noise) ** 2


def _slopes(image: np.ndarray) -> np.ndarray:
    """Derivatives along x and y (2, height, width)."""
    out = np.empty((2, *image.shape), dtype=image.dtype)
    refine.slopes(image, out[0], out[1])
    return out


class Colour(NamedTuple):
    """How a filter colours white noise, as a symmetric kernel whose autocorrelation is that of the filtered noise."""

    gain: float  # energy of the kernel: variance of the filtered noise over that of the kernel's input
    spread: Callable[[np.ndarray], np.ndarray]  # correlation of an image with the kernel, zero beyond the edges


WHITE = Colour(1.0, np.array)


def colour(prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, frame: Tile, filtered: Filtered) -> Colour:
    """Colour that the filter gives to the noise of an image of a tile; `filtered` is the result of `apply`.

    A linear filter is its own kernel. Of another, the change of its result by a little more noise tells the
    autocorrelation, and the root of its spectrum is the kernel.
    """
    if isinstance(prefilter, (Bandpass, Highpass, Laplacian)):
        return Colour(_gain(prefilter), partial(_linear, prefilter))
    change = _change_by_noise(prefilter, centred, known, frame, filtered)
    taps = _kernel_of_noise(change)
    return Colour(1.0, partial(_stencil, taps=taps * _hold_of_noise(change, taps, filtered)))


def _linear(prefilter: Bandpass | Highpass | Laplacian, image: np.ndarray) -> np.ndarray:
    """Linear filter of an image without holes that is zero beyond its edges."""
    if isinstance(prefilter, Laplacian):
        return _stencil(_lowpass(image, prefilter.fine), _LAPLACE)
    fine = prefilter.fine if isinstance(prefilter, Bandpass) else 0.0
    assert not isinstance(fine, str)
    assert not isinstance(prefilter.coarse, str)
    return _difference(image, fine, prefilter.coarse)


@cache
def _gain(prefilter: Bandpass | Highpass | Laplacian) -> float:
    """Variance that a filter leaves of white noise of variance 1: the energy of its kernel."""
    reach = prefilter.reach(0)
    if isinstance(prefilter, Laplacian):
        impulse = np.zeros((2 * reach + 1, 2 * reach + 1))
        impulse[reach, reach] = 1.0
        return float((_linear(prefilter, impulse) ** 2).sum())
    # the kernel of a separable filter is known without compiling it for this type
    fine = prefilter.fine if isinstance(prefilter, Bandpass) else 0.0
    assert not isinstance(fine, str)
    assert not isinstance(prefilter.coarse, str)
    taps = [filters.gaussian_taps(sigma, np.dtype(np.float64)) for sigma in (fine, prefilter.coarse)]
    low, high = (np.pad(np.multiply.outer(each, each), reach - each.size // 2) for each in taps)
    return float(((low - high) ** 2).sum())


def _change_by_noise(
    prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, frame: Tile, filtered: Filtered
) -> np.ndarray:
    """What as much white noise as the image has changes in its filtered image, float64; zero where invalid."""
    contrast = float(np.std(centred[known > 0], dtype=np.float64)) if known.any() else 0.0
    amount = max(noise(centred, known), LEAST_NOISE * contrast)
    # one pattern for all images: it belongs to the tile, as everything that the filter sees
    pattern = np.random.default_rng(0).standard_normal(centred.shape) * amount
    again, fit = apply(prefilter, np.where(known, centred + pattern, 0.0).astype(centred.dtype), known, frame)
    before, valid = filtered
    return np.where(valid & fit, again - before, 0.0).astype(np.float64)


def _kernel_of_noise(change: np.ndarray) -> np.ndarray:
    """Symmetric kernel (n, n) of energy 1 that colours white noise as `change` is coloured."""
    spectrum = np.abs(np.fft.rfft2(change, [size + COLOUR_RADIUS for size in change.shape])) ** 2
    lags = np.arange(-COLOUR_RADIUS, COLOUR_RADIUS + 1)
    correlation = np.fft.irfft2(spectrum, [size + COLOUR_RADIUS for size in change.shape])[np.ix_(lags, lags)]
    middle = correlation[COLOUR_RADIUS, COLOUR_RADIUS]
    if not middle > 0.0:
        correlation, middle = np.outer(lags == 0, lags == 0).astype(np.float64), 1.0
    side = 8 * COLOUR_RADIUS
    around = np.zeros((side, side))
    around[np.ix_(lags, lags)] = correlation / middle
    root = np.sqrt(np.maximum(np.fft.rfft2(around).real, 0.0))
    taps = np.fft.irfft2(root, (side, side))[np.ix_(lags, lags)]
    return np.asarray(taps / np.sqrt((taps**2).sum()))


def _hold_of_noise(change: np.ndarray, taps: np.ndarray, filtered: Filtered) -> float:
    """How much more the changed noise moves a match than evenly spread noise of the same colour, as an amplitude.

    The noise of a non-linear filter is not the same everywhere: where an image is steep it follows its steepness.
    """
    image, valid = filtered
    moved, expected = 0.0, 0.0
    slopes = np.concatenate([_slopes(image), _slopes(_stencil(image, taps))])
    rim = COLOUR_RADIUS + 2
    for top in range(rim, image.shape[0] - BLOCK - rim + 1, BLOCK):
        for left in range(rim, image.shape[1] - BLOCK - rim + 1, BLOCK):
            block = (slice(top, top + BLOCK), slice(left, left + BLOCK))
            noise_of_block = change[block] - change[block].mean()
            power = float((noise_of_block**2).mean())
            if valid[block].all() and power > 0.0:
                along = slopes[:2, block[0], block[1]] - slopes[:2, block[0], block[1]].mean((1, 2), keepdims=True)
                moved += float(((along * noise_of_block).sum((1, 2), dtype=np.float64) ** 2).sum()) / power
                expected += float((slopes[2:, block[0], block[1]].astype(np.float64) ** 2).sum())
    return math.sqrt(moved / expected) if moved > 0.0 and expected > 0.0 else 1.0
