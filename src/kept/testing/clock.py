"""The conformance kit of `kept.core.clock.Clock`. Needs pytest."""

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from kept.core.clock import Clock, format_time, parse_time


class ClockKit(ABC):
    """What every clock does."""

    @abstractmethod
    def open(self) -> Clock:
        """The clock."""

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock of one test."""
        return self.open()

    def test_its_times_are_in_utc(self, clock: Clock) -> None:
        assert clock.now().utcoffset() == timedelta(0)

    def test_its_times_can_be_written_and_read(self, clock: Clock) -> None:
        now = clock.now()
        assert parse_time(format_time(now), where="test") == now

    def test_it_does_not_go_back(self, clock: Clock) -> None:
        times = [clock.now() for _ in range(1000)]
        assert times == sorted(times)

    def test_many_threads_ask_it(self, clock: Clock) -> None:
        before = clock.now()
        with ThreadPoolExecutor(4) as pool:
            times = list(pool.map(lambda _: clock.now(), range(400)))
        assert before <= min(times)
        assert max(times) <= clock.now()
