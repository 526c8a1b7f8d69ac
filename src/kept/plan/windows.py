"""How event time is cut into monitoring windows: equal lengths from midnight UTC, or whole days by the clock of a place."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from kept.measures.drift.cycle import UTC as OF_UTC

if TYPE_CHECKING:
    # The prediction service reads rollouts, and does without it.
    import polars as pl

MOST_LATE_WINDOWS = 40
"""How many windows back rows that come late may change at most: so many states are remembered."""

_MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)
_DAY = timedelta(days=1)


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """Windows of one length, numbered from 1970 on.

    Whole days of a declared time zone begin at its midnight, so that two of them a year have 23 and 25 hours; shorter windows are
    the same in every zone. Where clocks leave midnight out, a day begins when it is over; where they show it twice, the first time.
    """

    length: timedelta
    zone: str = OF_UTC

    @property
    def local(self) -> bool:
        """Whether they are days by the clock of a place."""
        return self.zone != OF_UTC and not self.length % _DAY

    def number(self, moment: datetime) -> int:
        """The number of the window that a moment lies in."""
        if not self.local:
            return (moment - _MIDNIGHT) // self.length
        number = (moment.astimezone(ZoneInfo(self.zone)).date() - _FIRST_DAY) // self.length
        # Clocks that go back from one past midnight show the day before once more.
        return number + (moment >= self.start(number + 1))

    def numbers(self, moments: "pl.Expr") -> "pl.Expr":
        """The number of the window that each moment, in UTC, lies in."""
        if not self.local:
            return moments.dt.epoch("us") // (self.length // timedelta(microseconds=1))
        shown = moments.dt.convert_time_zone(self.zone)
        days = shown.dt.date()
        following = days.dt.offset_by("1d").cast(datetime)
        begun = following.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null") <= shown
        numbered = days.dt.epoch("d").cast(int) + begun.fill_null(value=False).cast(int)
        return numbered // (self.length // _DAY)

    def start(self, number: int) -> datetime:
        """The moment at which a window begins, in UTC."""
        if not self.local:
            return _MIDNIGHT + number * self.length
        day = _FIRST_DAY + number * self.length
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
