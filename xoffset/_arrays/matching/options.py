"""The matchers there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from xoffset._arrays.matching.flow import Flow
from xoffset._arrays.matching.ncc import NCC
from xoffset._arrays.matching.phase import Phase
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.regularized import Regularized

MatcherName = Literal["ncc", "phase", "regularized", "flow"]
MATCHERS: dict[MatcherName, Callable[[], Matcher]] = {
    "ncc": NCC,
    "phase": Phase,
    "regularized": Regularized,
    "flow": Flow,
}


def as_matcher(value: Any, caller: str) -> Matcher:
    """Return the matcher of that name, or the one that was given.

    Raises
    ------
    ValueError
        If it is none.
    """
    if isinstance(value, str) and value in MATCHERS:
        return MATCHERS[value]()
    # a class has all that its instances have
    if isinstance(value, Matcher) and not isinstance(value, type) and hasattr(value, "__dataclass_fields__"):
        return value
    names = ", ".join(repr(name) for name in MATCHERS)
    raise ValueError(
        f"{caller}() needs matcher {names}, or one with options, such as NCC(); got {value!r}. Pass matcher='ncc'."
    )
