"""The parts of a fitted estimator: everything that its attributes, lists and dictionaries lead to, however deep."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from kept.core.errors import Damaged

_Told = TypeVar("_Told")
_MOST_PARTS = 10_000_000


def parts_of(estimator: Any) -> Iterator[Any]:
    """Every part below an estimator, and itself, each once; no texts and numbers. `Damaged` when there is no end of them."""
    return (part for part, _ in parts_with(estimator, None, lambda _, told: told))


def parts_with(estimator: Any, told: _Told, tell: Callable[[Any, _Told], _Told]) -> Iterator[tuple[Any, _Told]]:
    """The same, each with what it was told from above: `tell` makes of a part and of that what its own parts are told.

    A part comes again when it is told something else.
    """
    seen: set[tuple[int, _Told]] = set()
    waiting = [(estimator, told)]
    while waiting:
        part, told = waiting.pop()
        if isinstance(part, str | bytes | int | float | None) or (id(part), told) in seen:
            continue
        if len(seen) > _MOST_PARTS:
            raise Damaged("it has more parts than a model has", where="skops file")
        seen.add((id(part), told))
        yield part, told
        below = tell(part, told)
        waiting.extend((one, below) for one in _held_by(part))


def _held_by(part: Any) -> list[Any]:
    """What a part's attributes hold, or a plain holder of values. A module is no part of a model."""
    if isinstance(part, ModuleType):
        return []
    found = list(getattr(part, "__dict__", {}).values())
    if isinstance(part, np.ndarray):
        return [*found, *part.ravel()] if part.dtype == object else found
    if isinstance(part, dict):
        return [*found, *part.values()]
    return [*found, *part] if isinstance(part, list | tuple | set | frozenset) else found
