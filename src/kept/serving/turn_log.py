"""The log of turns: what a turn answered, and what it did not, in one frame before any answer goes out."""

import time
from collections.abc import Collection

from kept.core.errors import KeptError, Unavailable
from kept.serving.calls import TOO_MANY, Call, answered_by, failure_of
from kept.serving.counters import Counters
from kept.serving.fallbacks import Asked, misses
from kept.serving.faults import raised
from kept.serving.log import Spool
from kept.serving.router import Router


class TurnLog:
    """Writes turns to the prediction log.

    Args:
        spool: the prediction log.
        counters: what is counted.
        router: knows which endpoints exist.
    """

    def __init__(self, spool: Spool, counters: Counters, router: Router) -> None:
        self._spool = spool
        self._counters = counters
        self._router = router

    def write(self, calls: Collection[Call], groups: Asked) -> None:
        """Logs calls, those with an answer given by who gave it too. A prediction that is not logged has become an error then."""
        now = time.perf_counter_ns()
        for call in calls:
            call.latency_us = call.latency_us or (now - call.started) // 1000
        try:
            self._write(calls, groups)
        except Unavailable as error:
            self._refuse(calls, error)
        except Exception as error:  # noqa: BLE001 - what cannot be logged is not answered, whatever the reason
            if len(calls) == 1:
                self._refuse(calls, raised(self._counters, "logging", "prediction log", error))
                return
            # Nothing of the frame was written. One that makes no entry must not spoil the others.
            for call in calls:
                self.write([call], by_arm([call]))

    def is_ours(self, call: Call) -> bool:
        """Whether the endpoint exists. Other names are the sender's own: such requests are counted, not kept."""
        return call.route is not None or call.endpoint in self._router.troubles

    def _write(self, calls: Collection[Call], groups: Asked) -> None:
        answered, unsampled = [], 0
        for arm, members in groups.items():
            good = [call for call in members if call.error is None]
            taken = self._spool.sample(good)
            unsampled += len(good) - len(taken)
            if taken:
                answered.append((arm.note, answered_by(arm.note.key, taken)))
        # What was refused for want of time is counted, not kept.
        failed = [
            failure_of(call)
            for call in calls
            if call.error is not None and call.status != TOO_MANY and self.is_ours(call)
        ]
        failed += misses(calls)
        if answered or failed:
            self._spool.write(answered, failed)
        # What is refused, or tried again one by one, is not answered yet.
        self._spool.counts.unsampled += unsampled

    def _refuse(self, calls: Collection[Call], trouble: KeptError) -> None:
        for call in calls:
            if call.error is None:
                call.fail(trouble)
                self._counters.unlogged += 1


def by_arm(calls: Collection[Call]) -> Asked:
    """Calls that have an answer, by who gave it."""
    groups: Asked = {}
    for call in calls:
        if call.error is None and call.arm is not None:
            groups.setdefault(call.arm, []).append(call)
    return groups
