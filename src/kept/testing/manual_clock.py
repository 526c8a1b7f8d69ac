from datetime import datetime, timedelta

from kept.core.clock import Clock, as_utc
from kept.core.errors import Invalid


class ManualClock:
    """A clock that stands still until it is set or moved on by hand."""

    def __init__(self, start: datetime) -> None:
        self._now = as_utc(start, where="manual clock")

    def now(self) -> datetime:
        """The moment it was brought to, with the zone UTC."""
        return self._now

    def set(self, moment: datetime) -> None:
        """Brings it to a moment, earlier ones too. `Invalid` for a time without a zone."""
        self._now = as_utc(moment, where="manual clock")

    def advance(self, by: timedelta) -> None:
        """Moves it on. `Invalid` when that would be back."""
        if by < timedelta(0):
            raise Invalid(f"{by} is back in time", where="manual clock", fix="Use set for an earlier moment")
        self._now += by


def _fits(clock: ManualClock) -> Clock:
    return clock
