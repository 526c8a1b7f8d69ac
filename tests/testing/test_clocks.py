from datetime import UTC, datetime, timedelta, timezone

import pytest

from kept.core.clock import SystemClock
from kept.core.errors import Invalid
from kept.testing.clock import ClockKit
from kept.testing.manual_clock import ManualClock

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)


class TestSystemClock(ClockKit):
    def open(self) -> SystemClock:
        return SystemClock()

    def test_it_tells_the_time_of_the_machine(self, clock: SystemClock) -> None:
        before = datetime.now(UTC)
        assert before <= clock.now() <= datetime.now(UTC)


class TestManualClock(ClockKit):
    def open(self) -> ManualClock:
        return ManualClock(NOON.astimezone(timezone(timedelta(hours=2))))

    def test_it_stands_still_until_it_is_moved(self, clock: ManualClock) -> None:
        assert clock.now() == clock.now() == NOON
        clock.advance(timedelta(hours=1))
        assert clock.now() == NOON + timedelta(hours=1)
        clock.set(NOON - timedelta(days=1))
        assert clock.now() == NOON - timedelta(days=1)

    def test_it_is_not_moved_back_by_mistake_nor_to_a_time_without_a_zone(self, clock: ManualClock) -> None:
        with pytest.raises(Invalid, match="back in time"):
            clock.advance(timedelta(seconds=-1))
        with pytest.raises(Invalid, match="has no zone"):
            clock.set(datetime(2013, 4, 1))
        assert clock.now() == NOON
