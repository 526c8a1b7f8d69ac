"""The expected number of rows: that of earlier windows of the same time of day and of the week."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from kept.measures.drift.cycle import UTC
from kept.monitoring.window import Window

_DAYS_REMEMBERED, _WEEKS_REMEMBERED = 7, 7
_DAY = 24 * 60 * 60
_FRIDAY = 4


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the last windows, by the second at which they begin by the clock of the place; a week's windows are told apart."""

    of_day: dict[int, tuple[int, ...]] = {}
    of_week: dict[int, tuple[int, ...]] = {}
    """By the second of the week, from Monday on."""

    def at_day(self, window: Window, zone: str = UTC) -> tuple[int, ...]:
        """The rows of the last windows of this time of day, oldest first."""
        return self.of_day.get(_second_of_day(window.start, zone), ())

    def at_week(self, window: Window, zone: str = UTC) -> tuple[int, ...]:
        """The rows of the last windows of this time of the week, oldest first."""
        return self.of_week.get(_second_of_week(window.start, zone), ())

    def with_rows(self, window: Window, rows: int, zone: str = UTC) -> "Usual":
        """What is usual after one more window."""
        day, week = _second_of_day(window.start, zone), _second_of_week(window.start, zone)
        return Usual(
            of_day={**self.of_day, day: (*self.at_day(window, zone), rows)[-_DAYS_REMEMBERED:]},
            of_week={**self.of_week, week: (*self.at_week(window, zone), rows)[-_WEEKS_REMEMBERED:]},
        )


def day_of_rest(window: Window, zone: str = UTC) -> bool:
    """Whether a window begins on a day on which some place in the world rests: from Friday to Sunday, by the clock of the zone."""
    return window.start.astimezone(ZoneInfo(zone)).weekday() >= _FRIDAY


def _second_of_day(start: datetime, zone: str) -> int:
    local = start.astimezone(ZoneInfo(zone))
    return (local.hour * 60 + local.minute) * 60 + local.second


def _second_of_week(start: datetime, zone: str) -> int:
    return start.astimezone(ZoneInfo(zone)).weekday() * _DAY + _second_of_day(start, zone)
