"""How much history to train on: of the declared stretches, the one that predicts the newest rows best.

Or all of them: which one will do best is told roughly by a few days of labels, and the mean of models that err each in their
own way is better than most of them.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from math import exp, isnan

import msgspec
import polars as pl

from kept.core.durations import format_duration


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that was learnt from, and the loss on the validation rows."""

    stretch: timedelta | None
    """None for all rows."""
    rows: int
    loss: float
    weight: float = 0.0
    """Its model's part in the mean; where all are 0 the first alone is learnt from."""


# A model that loses a tenth more than the best has e^-1 of its weight.
_SHARPNESS = 10.0


def newest(rows: pl.DataFrame, event_time: str | None, stretch: timedelta | None) -> pl.DataFrame:
    """The rows of the stretch that ends with the newest one; all for None."""
    if stretch is None or event_time is None or rows.is_empty():
        return rows
    return rows.filter(pl.col(event_time) > pl.col(event_time).max() - stretch)


def try_stretches(
    stretches: Iterable[timedelta], train: pl.DataFrame, event_time: str, loss: Callable[[pl.DataFrame], float]
) -> tuple[Tried, ...]:
    """All rows and each stretch, the best first; one that holds no more rows than a shorter one is left out.

    Args:
        stretches: how much event time to learn from.
        train: the rows before those that the loss is measured on.
        event_time: their column of times.
        loss: fits on some rows and measures; NaN where they cannot be learnt from.
    """
    found: dict[int, Tried] = {}
    for stretch in (None, *sorted(set(stretches), reverse=True)):
        rows = newest(train, event_time, stretch)
        if rows.height not in found:
            found[rows.height] = Tried(stretch=stretch, rows=rows.height, loss=loss(rows))
    known = [one for one in found.values() if not isnan(one.loss)]
    return tuple(sorted(known, key=lambda one: (one.loss, -one.rows)))


def weighted(tried: tuple[Tried, ...]) -> tuple[Tried, ...]:
    """The same, each with its part in the mean of their models."""
    least = min(one.loss for one in tried)
    size = abs(least) or 1.0
    parts = [exp(-_SHARPNESS * (one.loss - least) / size) for one in tried]
    return tuple(msgspec.structs.replace(one, weight=part / sum(parts)) for one, part in zip(tried, parts, strict=True))


def sentence(tried: tuple[Tried, ...]) -> str:
    """Which was chosen, and what the others would have lost."""
    losses = ", ".join(f"{_name(one)} {one.loss:.5f}" for one in tried)
    if any(one.weight for one in tried):
        parts = ", ".join(f"{one.weight:.0%} {_name(one)}" for one in tried)
        return f"answers the mean of models of {parts}; loss on the validation rows: {losses}"
    return f"learns from {_name(tried[0])}; loss on the validation rows: {losses}"


def _name(one: Tried) -> str:
    return "all rows" if one.stretch is None else f"the newest {format_duration(one.stretch)}"
