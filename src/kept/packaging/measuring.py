"""What a packaged model costs: time for one row."""

import time
from collections.abc import Sequence

import numpy as np

from kept.packaging.manifest import Latency
from kept.packaging.rows import Row
from kept.packaging.runtime import Runtime

_WARM_UP = 100
# A model that needs longer than this for all runs is too slow for its percentiles to need a thousand of them.
_MOST_SECONDS = 10.0


def measure_latency(runtime: Runtime, rows: Sequence[Row], *, runs: int) -> Latency:
    """The time for one row through `Runtime.predict_rows` (check, encode, predict), warm, over the rows in turn."""
    requests = [[row] for row in rows]
    started = time.perf_counter()
    for number in range(_WARM_UP):
        runtime.predict_rows(requests[number % len(requests)])
        if time.perf_counter() - started > _MOST_SECONDS / 10:
            break
    times = []
    end = time.perf_counter_ns() + int(_MOST_SECONDS * 1e9)
    for number in range(runs):
        request = requests[number % len(requests)]
        begun = time.perf_counter_ns()
        runtime.predict_rows(request)
        done = time.perf_counter_ns()
        times.append(done - begun)
        if done > end:
            break
    p50, p99 = np.percentile(np.array(times) / 1e6, [50, 99])
    return Latency(p50_ms=float(p50), p99_ms=float(p99), runs=len(times))
