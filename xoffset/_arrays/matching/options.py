"""The matchers there are."""

from __future__ import annotations

import dataclasses
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


def classes() -> dict[str, type]:
    """Classes of the matchers by the name under which they are recorded."""
    return {type(make()).__name__.lower(): type(make()) for make in MATCHERS.values()}


def described_matcher(matcher: Matcher) -> dict[str, Any]:
    """Name and options of a matcher, to be written down; of one of another library also where it comes from."""
    name = type(matcher).__name__.lower()
    is_ours = classes().get(name) is type(matcher)
    origin = {} if is_ours else {"module": type(matcher).__module__}
    return dataclasses.asdict(matcher) | {"name": name} | origin


def as_matcher(value: Any, caller: str) -> Matcher:
    """Return the matcher of that name, or the one that was given.

    Raises
    ------
    ValueError
        If it is none, or if an option has a name that the record of results needs.
    """
    if isinstance(value, str) and value in MATCHERS:
        return MATCHERS[value]()
    # a class has all that its instances have
    if isinstance(value, Matcher) and not isinstance(value, type) and hasattr(value, "__dataclass_fields__"):
        taken = {field.name for field in dataclasses.fields(value)} & {"name", "module"}
        if taken:
            raise ValueError(
                f"{caller}() needs matchers whose options have other names than 'name' and 'module', by which results "
                f"record the matcher; got {type(value).__name__} with {min(taken)!r}. Rename that option."
            )
        return value
    names = ", ".join(repr(name) for name in MATCHERS)
    raise ValueError(
        f"{caller}() needs matcher {names}, or one with options, such as NCC(); got {value!r}. Pass matcher='ncc'."
    )
