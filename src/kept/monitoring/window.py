"""Windows of event time, one after the other: which one a moment lies in, and which have ended."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import polars as pl

from kept.plan.windows import Windows


class Window(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A stretch of event time: its start belongs to it, its end to the next one."""

    start: datetime
    end: datetime

    @property
    def middle(self) -> datetime:
        """The moment half-way through."""
        return self.start + (self.end - self.start) / 2


def window_of(moment: datetime, windows: Windows) -> Window:
    """The window that a moment lies in."""
    return numbered(windows.number(moment), windows)


def numbered(number: int, windows: Windows) -> Window:
    """The window of a number."""
    return Window(start=windows.start(number), end=windows.start(number + 1))


def windows_of(moments: pl.Series, windows: Windows) -> list[Window]:
    """The windows that moments lie in, oldest first."""
    numbers = moments.to_frame("at").select(windows.numbers(pl.col("at"))).to_series().unique().sort()
    return [numbered(number, windows) for number in numbers]


def first_whole(since: datetime, windows: Windows) -> datetime:
    """The start of the first window that a champion has to itself from its beginning, which it is since then."""
    begin = window_of(since, windows)
    return begin.start if since == begin.start else begin.end


def closed_windows(since: datetime, watermark: datetime, windows: Windows) -> Iterator[Window]:
    """The windows that begin at or after a window's start and have ended by the watermark, oldest first.

    Args:
        since: the start of the first window to give.
        watermark: the newest event time that has been seen.
        windows: how event time is cut.
    """
    window = window_of(since, windows)
    if window.start < since:
        window = window_of(window.end, windows)
    while window.end <= watermark:
        yield window
        window = window_of(window.end, windows)


def maturity(label_delay: timedelta, length: timedelta) -> timedelta:
    """How long after its end a window's labels are taken to be known: the declared delay, else one window."""
    return label_delay or length
