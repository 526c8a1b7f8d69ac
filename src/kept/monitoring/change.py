"""Change-point estimate: when a change began that a detector has found, from its evidence by window."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from kept.core.durations import duration
from kept.monitoring.alert import Alert
from kept.monitoring.result import WindowResult

_LEAST = 1e-300


def change_point(results: Sequence[WindowResult]) -> datetime | None:
    """The start of the window from which on the evidence has grown most; None where there is none.

    A detector of Shiryaev and Roberts goes on as R <- (1 + R) e, so a window's own share of the evidence is
    log(R_t / (1 + R_(t-1))). The change is where the sum of all shares from there to the end is largest: Page,
    "Continuous inspection schemes" (1954), and Hinkley, "Inference about the change-point in a sequence" (1970).

    Args:
        results: a detector's values, oldest first, from its start to its alarm; `low` is R_(t-1) where a window was not
            dealt with right after the one before it.
    """
    best, found, total, before = 0.0, None, 0.0, 0.0
    shares = []
    for one in results:
        value = max(one.value or 0.0, _LEAST)
        shares.append((one.start, math.log(value) - math.log1p(before if one.low is None else one.low)))
        before = value
    for start, share in reversed(shares):
        total += share
        if total > best:
            best, found = total, start
    return found


def broken_since(alert: Alert, window: timedelta, judged: Sequence[datetime]) -> datetime | None:
    """The start of the windows in which an objective has failed, as its alert counted them.

    Args:
        alert: that of the objective.
        window: how long one is.
        judged: the starts of the windows that had labels, oldest first: only these were counted.
    """
    evidence: dict[str, Any] = alert.evidence
    if alert.event_time is None:
        return None
    if isinstance(over := evidence.get("over"), str):
        return alert.event_time - duration(over, where="over")
    if isinstance(times := evidence.get("windows_in_a_row"), int):
        counted = [start for start in judged if start < alert.event_time][-times:]
        return counted[0] if len(counted) == times else alert.event_time - times * window
    return None
