"""How far back to learn from: of the declared stretches of the newest rows, the one that predicts the newest others best."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from math import isnan

import msgspec
import polars as pl

from kept.core.durations import format_duration


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that was learnt from, and the loss on the validation rows."""

    stretch: timedelta | None
    """None for all rows."""
    rows: int
    loss: float


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


def sentence(tried: tuple[Tried, ...]) -> str:
    """Which was chosen, and what the others would have lost."""
    losses = ", ".join(f"{_name(one)} {one.loss:.5f}" for one in tried)
    return f"learns from {_name(tried[0])}; loss on the validation rows: {losses}"


def _name(one: Tried) -> str:
    return "all rows" if one.stretch is None else f"the newest {format_duration(one.stretch)}"
