"""Pre-filters and their options."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from xoffset._arrays.filters.gaussian import gaussian_taps
from xoffset._options import is_number, is_whole

# Side of the template over the width (sigma) of a high-pass that follows it.
TEMPLATE_PARTS = 10.0
# Least width (sigma) of a high-pass that follows the template, px: that of the fixed one.
LEAST_COARSE = 3.0

# Widths from which the noise chooses a low-pass, px.
WIDTHS = (0.7, 0.85, 1.0, 1.2)


def check_width(value: Any, name: str, least: float, word: str | None = None) -> float | str:
    """Return a number of at least `least`, or the word that may stand for one."""
    if word is not None and isinstance(value, str) and value == word:
        return value
    if not is_number(value) or not least <= value <= 100.0:
        choice = f" or '{word}'" if word else ""
        raise ValueError(
            f"a filter needs {name} from {least:g} to 100 pixels{choice}; got {value!r}. "
            f"Pass a number such as {name}={max(least, 1.0):g}."
        )
    return float(value)


def _check_whole(value: Any, name: str, least: int) -> int:
    if not is_whole(value) or not least <= value <= 100:
        raise ValueError(
            f"a filter needs {name} as a whole number from {least} to 100 pixels; got {value!r}. "
            f"Pass a number such as {name}={2 * least + 1}."
        )
    return int(value)


def _radius(sigma: float) -> int:
    return gaussian_taps(sigma, np.dtype(np.float64)).size // 2


def coarse_width(coarse: float | str, template: int) -> float:
    return max(template / TEMPLATE_PARTS, LEAST_COARSE) if isinstance(coarse, str) else coarse


@dataclass(frozen=True)
class Bandpass:
    """Difference of two Gaussian low-passes. It removes fine noise, and coarse light and shade.

    Parameters
    ----------
    fine
        Standard deviation of the low-pass, px. `"snr"` estimates texture and noise of the image around, and chooses the
        one of 0.7, 0.85, 1 and 1.2 that promises the most precise match.
    coarse
        Standard deviation of the high-pass, px, more than `fine`; `"template"` takes a tenth of the template, at
        least 3.

    Examples
    --------
    >>> from xoffset._arrays.filters import options
    >>> options.Bandpass(coarse="template").reach(64)
    26
    """

    fine: float | Literal["snr"] = 0.7
    coarse: float | Literal["template"] = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fine", check_width(self.fine, "fine", 0.0, "snr"))
        object.__setattr__(self, "coarse", check_width(self.coarse, "coarse", 0.5, "template"))
        # the widest low-pass that the noise may ask for
        fine = WIDTHS[-1] if isinstance(self.fine, str) else self.fine
        if fine >= coarse_width(self.coarse, 0):
            raise ValueError(
                f"a band-pass needs coarse above fine; got fine={self.fine!r} and coarse={self.coarse!r}. "
                "Exchange them, or keep fine=0.7 and coarse=3.0."
            )

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return _radius(coarse_width(self.coarse, template))


@dataclass(frozen=True)
class Highpass:
    """Image minus its Gaussian low-pass; `coarse` as in `Bandpass`."""

    coarse: float | Literal["template"] = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "coarse", check_width(self.coarse, "coarse", 0.5, "template"))

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return _radius(coarse_width(self.coarse, template))


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
class Stencil:
    """A filter of 3 x 3 pixels after a Gaussian low-pass of standard deviation `fine`, px; 0 for none."""

    fine: float = 0.7

    def __post_init__(self) -> None:
        object.__setattr__(self, "fine", check_width(self.fine, "fine", 0.0))

    def reach(self, template: int) -> int:
        """Pixels that the filter looks beyond each."""
        return _radius(self.fine) + 1


@dataclass(frozen=True)
class Laplacian(Stencil):
    """Sum of the second differences along x and y of the low-pass `fine`."""


@dataclass(frozen=True)
class Sobel(Stencil):
    """Magnitude of the gradient of the low-pass `fine`."""


@dataclass(frozen=True)
class Orientation(Stencil):
    """Direction of the gradient of the low-pass `fine`, as a complex number of magnitude 1."""


@dataclass(frozen=True)
class Naof(Stencil):
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
    if not is_number(level):
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


def keeps_units(prefilter: Prefilter | None) -> bool:
    """Whether the result grows with the contrast of the image."""
    return not isinstance(prefilter, (Wallis, Rank, Naof, Orientation))
