"""The key of a run in the rows of its logged values, and batches of as many as one query can bind."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
_MOST_BOUND = 10_000


class RunKey(NamedTuple):
    """The run's number and its experiment's id."""

    number: int
    experiment: int


def pieces(items: Sequence[Item], size: int = _MOST_BOUND) -> Iterator[Sequence[Item]]:
    """The items in runs that one query can bind."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
