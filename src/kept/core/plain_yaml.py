"""YAML that somebody else wrote, as plain data: it takes no more time and memory than its length allows, and ends no process."""

import math
from typing import Any

import yaml

from kept.core.errors import Invalid

# The parser in C takes time by the length of a text; that in Python takes the square of how deep it is nested.
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 64
_MOST_REPEATED = 100_000
# Time grows with the square of a number's digits where they are written in sixties, and nothing can tell of ones with thousands.
_LONGEST_NUMBER = 1_000
_FAULTS = (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError, RecursionError)


class _Loader(_PARSER):  # type: ignore[misc] # of whichever there is
    """The parser's values, but for whole numbers that are too long."""

    def whole_number(self, node: Any) -> Any:
        """A whole number."""
        if isinstance(node, yaml.ScalarNode) and len(node.value) > _LONGEST_NUMBER:
            raise ValueError(f"a number has more than {_LONGEST_NUMBER} digits")
        return self.construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


def read_yaml(text: str | bytes, *, where: str, fix: str, most: float = math.inf) -> Any:
    """The one document of a text, of texts, numbers, truths, times, lists and names with such.

    Raises:
        Invalid: it is no YAML, or is written to take more than it holds: nested deeper than 64, or with references to parts of its
            own that stand for more than 100,000 values, or for themselves; or it holds more than `most` values, names counted.
    """
    try:
        _check(text, where, fix, most)
        return yaml.load(text, _Loader)  # noqa: S506 - it is the safe one
    except _FAULTS as error:
        raise Invalid(f"not valid YAML ({error})", where=where, fix=fix) from error


def _check(text: str | bytes, where: str, fix: str, most: float) -> None:
    """Looks through the events, of which one is there at a time: what makes values of them calls itself as deep as a text goes."""
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    size = repeated = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = size - before
            continue
        size += 1
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, size - 1))
            if event.anchor is not None:
                # Until it ends: what refers to itself has no end.
                sizes[event.anchor] = _MOST_REPEATED + 1
        elif isinstance(event, yaml.AliasEvent):
            # What there is none of is refused later.
            more = sizes.get(event.anchor or "", 1)
            size, repeated = size + more, repeated + more
        if len(opened) > _DEEPEST:
            raise Invalid(f"it is nested deeper than {_DEEPEST}", where=where, fix=fix)
        if repeated > _MOST_REPEATED:
            raise Invalid("it repeats parts of its own too often", where=where, fix=f"Write them out. {fix}")
        if size > most:
            raise Invalid(f"it holds more than {most:,} values", where=where, fix=fix)
