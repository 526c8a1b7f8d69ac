"""Latency of a packaged model for one row."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kept.packaging.manifest import Latency
from kept.packaging.rows import Row
from kept.packaging.runtime import AnyRuntime

_WARM_UP = 100
# A model that needs longer than this for all runs is too slow for its percentiles to need a thousand of them.
_MOST_SECONDS = 10.0
_ROUNDS = 5


def measure_latency(runtime: AnyRuntime, rows: Sequence[Row], *, runs: int) -> Latency:
    """The time for one row through `Runtime.predict_rows` (check, encode, predict), warm, over the rows in turn.

    Of several rounds the one with the smallest 99% quantile counts: what else the machine does can only add time.
    """
    requests = [[row] for row in rows]
    end = time.perf_counter() + _MOST_SECONDS
    _time(runtime, requests, _WARM_UP, time.perf_counter() + _MOST_SECONDS / 10)
    rounds = [_time(runtime, requests, runs, end)]
    while len(rounds) < _ROUNDS and time.perf_counter() < end:
        rounds.append(_time(runtime, requests, runs, end))
    whole = [times for times in rounds if times.size == runs] or rounds[:1]
    best = min(whole, key=lambda times: float(np.percentile(times, 99)))
    p50, p99 = np.percentile(best, [50, 99])
    return Latency(p50_ms=float(p50), p99_ms=float(p99), runs=best.size)


def _time(runtime: AnyRuntime, requests: list[list[Row]], runs: int, end: float) -> NDArray[np.float64]:
    """Milliseconds of each run; fewer runs where the end comes first, but at least one."""
    times = []
    for number in range(runs):
        request = requests[number % len(requests)]
        begun = time.perf_counter()
        runtime.predict_rows(request)
        done = time.perf_counter()
        times.append((done - begun) * 1e3)
        if done > end:
            break
    return np.array(times)
