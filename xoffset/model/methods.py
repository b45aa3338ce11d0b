"""Methods of accessors, made from functions."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from xoffset.model import renamed
from xoffset.model.kinds import described, kind_of, why_not
from xoffset.model.points import are_points

# Public names of the modules whose functions are not those of the package itself.
_NAMESPACES = {".model.flags": "xoffset.flags", ".plotting.": "xoffset.plotting"}

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class method(Generic[S, P, R]):
    """Method made from a function whose first argument is the object; it applies to objects of some kinds only.

    Without kinds it applies to whatever the function takes, which refuses all else itself. What looks at neighbours, on
    a grid, is not offered for scattered points; its function says why.
    """

    def __init__(self, function: Callable[Concatenate[S, P], R], *kinds: str, on_grid: bool = False) -> None:
        self.function, self.kinds, self.on_grid = function, kinds, on_grid
        signature = inspect.signature(function)
        _, *rest = signature.parameters.values()
        this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.signature = signature.replace(parameters=[this, *rest])
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        namespace = next((each for part, each in _NAMESPACES.items() if part in function.__module__), "xoffset")
        self.__doc__ = f"{summary}\n\nThe function is `{namespace}.{function.__name__}`."

    @overload
    def __get__(self, accessor: None, owner: type) -> Callable[..., R]: ...
    @overload
    def __get__(self, accessor: Accessor, owner: type) -> Callable[P, R]: ...
    def __get__(self, accessor: Accessor | None, owner: type) -> Callable[..., R]:
        """The method of an object, after checking its kind; of the class, a function that looks like it."""
        # whatever is no stack is told so by the function, which knows what to do about it
        is_checked = accessor is not None and self.kinds and "stack" not in self.kinds
        if accessor is not None and is_checked and kind_of(accessor._obj) not in self.kinds:
            raise AttributeError(why_not(self.function.__name__, self.kinds, accessor._obj))
        subject = () if accessor is None else (accessor._obj,)

        @functools.wraps(self.function)
        def call(*args: Any, **options: Any) -> R:
            return self.function(*subject, *args, **options)

        call.__doc__ = self.__doc__
        parameters = list(self.signature.parameters.values())[len(subject) :]
        call.__signature__ = self.signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return call


class namespace:
    """Methods of the same object under a name of their own, such as `.offset.plot`."""

    def __init__(self, accessor: type[Accessor]) -> None:
        self.accessor = accessor
        self.__doc__ = accessor.__doc__

    @overload
    def __get__(self, accessor: None, owner: type) -> type[Accessor]: ...
    @overload
    def __get__(self, accessor: Accessor, owner: type) -> Accessor: ...
    def __get__(self, accessor: Accessor | None, owner: type) -> type[Accessor] | Accessor:
        """The methods of an object; of the class, the class of them."""
        return self.accessor if accessor is None else self.accessor(accessor._obj)


class Accessor:
    """What all accessors share: they hold an object and nothing else, and know what kind it is."""

    NAME = ".offset"

    def __init__(self, obj: Any) -> None:
        self._obj = obj

    def __repr__(self) -> str:
        return described(self._obj)

    def __dir__(self) -> list[str]:
        kind, scattered = kind_of(self._obj), are_points(self._obj)
        methods = _methods(type(self)).items()
        apply = {name for name, each in methods if kind in each.kinds or not each.kinds}
        spaces = {name for name, each in vars(type(self)).items() if isinstance(each, namespace)}
        return sorted((apply - {name for name, each in methods if scattered and each.on_grid}) | spaces)

    def __getattr__(self, name: str) -> Any:
        # only what the class lacks comes here: an old name, the method of another kind, or none at all
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        if name in renamed.FUNCTIONS:
            new = renamed.FUNCTIONS[name]
            found = getattr(self, new)
            renamed.warn(f".offset.{name}", f".offset.{new}")
            return found
        for accessor in Accessor.__subclasses__():
            if accessor.NAME == self.NAME and name in _methods(accessor):
                raise AttributeError(why_not(name, _methods(accessor)[name].kinds, self._obj))
        close = difflib.get_close_matches(name, dir(self), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Choose of: {', '.join(dir(self))}."
        raise AttributeError(f"{self.NAME} needs the name of a method; got {name!r}. {hint}")


def _methods(accessor: type) -> dict[str, method[Any, Any, Any]]:
    return {name: each for name, each in vars(accessor).items() if isinstance(each, method)}
