"""The values a categorical column is counted by: a dictionary, and one count for all others."""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array, Ints

LARGEST_DICTIONARY = 2_000
TOP = 20

# Values seen less often than this in the reference count as rare: new ones of their like are to be expected.
_SEEN = 5
_MOST_COUNTERS = 1_024
# Of so few categories each is looked for by itself.
_FEW = 8


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A categorical column as indices into its own list of values, -1 where missing: the fast form."""

    codes: Array
    categories: tuple[str, ...]

    def __len__(self) -> int:
        return self.codes.size

    def __getitem__(self, rows: Any) -> "Coded":
        return Coded(codes=self.codes[rows], categories=self.categories)


class Categories(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """The dictionary, the most frequent first. Its counts are followed by those of other and of missing values.

    The first `top` have a statistic each; the rest, from `common` on seen rarely, count with the others as unseen.
    `expected_new` is the share of rows of a new window whose value is rare or new, beyond that in the reference.
    """

    names: tuple[str, ...]
    top: int
    common: int
    expected_new: float

    @property
    def size(self) -> int:
        """The number of counts, without that of missing values."""
        return len(self.names) + 1

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each name."""
        return {name: place for place, name in enumerate(self.names)}

    def count(self, column: Array | Coded) -> Ints:
        """The counts of a column's values: the dictionary's, other, missing."""
        counts = np.zeros(self.size + 1, dtype=np.int64)
        other = len(self.names)
        for name, rows in tally(column).items():
            counts[self.size if name is None else self.index.get(name, other)] += rows
        return counts


def tally(column: Array | Coded) -> dict[str | None, int]:
    """How often each value occurs; None stands for missing (None, NaN, or a code below 0)."""
    if isinstance(column, Coded):
        counts = _code_counts(np.asarray(column.codes), len(column.categories))
        found: Counter[str | None] = Counter()
        for name, rows in zip((None, *column.categories), counts, strict=True):
            if rows:
                found[name] += int(rows)
        return found
    found = Counter()
    for value, rows in Counter(column.tolist()).items():
        found[category_name(value)] += rows
    return found


def _code_counts(codes: Array, categories: int) -> Ints:
    """How often -1 and each code occurs."""
    if codes.dtype.kind == "i" and categories > np.iinfo(codes.dtype).max:
        codes = codes.astype(np.intp)
    # Read without its sign, a negative code is larger than any.
    unsigned = codes.view(f"u{codes.itemsize}") if codes.dtype.kind == "i" else codes
    if codes.size and int(unsigned.max()) >= categories:
        if int(codes.max()) >= categories:
            raise Invalid("a code has no category", where="categorical column", fix="Give all categories")
        return np.bincount(codes + 1, minlength=categories + 1)
    if categories <= _FEW:
        narrow = codes.astype(np.uint8)
        found = [int(np.count_nonzero(narrow == code)) for code in range(1, categories)]
        return np.array([0, codes.size - sum(found), *found][: categories + 1], dtype=np.int64)
    # Several rows at a time: adding to one of few counters has to wait for the last addition to it.
    together = max(int(math.log(_MOST_COUNTERS, max(categories, 2))), 1)
    rows = codes.size // together
    joint: Ints = codes[:rows].astype(np.intp, copy=False)
    for place in range(1, together):
        joint = np.multiply(joint, categories, out=joint if place > 1 else None)
        joint += codes[place * rows : (place + 1) * rows]
    table = np.zeros((categories,) * together, dtype=np.int64)
    np.add.at(table.reshape(-1), joint, 1)
    counts = np.bincount(codes[together * rows :], minlength=categories)
    for place in range(together):
        counts += table.sum(axis=tuple(other for other in range(together) if other != place))
    return np.concatenate([[0], counts])


def category_name(value: Any) -> str | None:
    """The text that stands for a value: whole numbers alike whatever their type, None for missing."""
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def learn_categories(column: Array | Coded) -> Categories:
    """The dictionary of a reference column, at most 2,000 values.

    Good and Turing's estimate: a value seen r times in the reference is expected to hold the share of those
    seen r + 1 times, so the rare and the new together hold that of the values seen up to `_SEEN` times.
    """
    counts = {name: rows for name, rows in tally(column).items() if name is not None}
    ordered = sorted(counts, key=lambda name: (-counts[name], name))[:LARGEST_DICTIONARY]
    common = sum(counts[name] >= _SEEN for name in ordered)
    rows = sum(counts.values())
    turning = sum(held for held in counts.values() if held == _SEEN)
    return Categories(
        names=tuple(ordered),
        top=min(common, TOP),
        common=common,
        expected_new=turning / rows if rows else 0.0,
    )
