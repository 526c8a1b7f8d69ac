"""Windows of event time: equal lengths one after the other, counted from midnight UTC."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl

_MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)


class Window(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A stretch of event time: its start belongs to it, its end to the next one."""

    start: datetime
    end: datetime

    @property
    def middle(self) -> datetime:
        """The moment half-way through."""
        return self.start + (self.end - self.start) / 2


def window_of(moment: datetime, length: timedelta) -> Window:
    """The window that a moment lies in."""
    start = moment - (moment - _MIDNIGHT) % length
    return Window(start=start, end=start + length)


def number_of(moments: pl.Expr, length: timedelta) -> pl.Expr:
    """The number of the window that each moment lies in."""
    return moments.dt.epoch("us") // (length // timedelta(microseconds=1))


def numbered(number: int, length: timedelta) -> Window:
    """The window of a number."""
    start = _MIDNIGHT + number * length
    return Window(start=start, end=start + length)


def windows_of(moments: pl.Series, length: timedelta) -> list[Window]:
    """The windows that moments lie in, oldest first."""
    numbers = moments.to_frame("at").select(number_of(pl.col("at"), length)).to_series().unique().sort()
    return [numbered(number, length) for number in numbers]


def first_whole(since: datetime | None, first: datetime, length: timedelta) -> datetime:
    """The start of the first window that a champion has to itself, which it is since then: None for the first event."""
    begin = window_of(since or first, length)
    return begin.start if since is None or since == begin.start else begin.end


def closed_windows(since: datetime, watermark: datetime, length: timedelta) -> Iterator[Window]:
    """The windows that begin at or after a window's start and have ended by the watermark, oldest first.

    Args:
        since: the start of the first window to give.
        watermark: the newest event time that has been seen.
        length: the windows' length.
    """
    window = window_of(since, length)
    if window.start < since:
        window = Window(start=window.end, end=window.end + length)
    while window.end <= watermark:
        yield window
        window = Window(start=window.end, end=window.end + length)


def maturity(label_delay: timedelta, length: timedelta) -> timedelta:
    """How long after its end a window's labels are taken to be known: the declared delay, else one window."""
    return label_delay or length
