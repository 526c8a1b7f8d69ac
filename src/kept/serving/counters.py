"""What the service counts, as plain numbers that cost next to nothing to raise, and their form for Prometheus."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from kept.serving.children.pool import ProcessCounts
from kept.serving.stages import STAGE_BUCKETS, STAGES, StageCounts

BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_BOUNDS_US = [int(bound * 1e6) for bound in BUCKETS]
_LABELS = ["endpoint", "version", "role"]


class ArmCounters:
    """Counts for one version of an endpoint in one role."""

    __slots__ = ("buckets", "predictions", "requests", "stages", "total_us")

    def __init__(self) -> None:
        self.requests: dict[int, int] = {}
        self.predictions = 0
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total_us = 0
        self.stages = StageCounts()

    def count(self, status: int, rows: int, latency_us: int) -> None:
        """Adds a request."""
        self.requests[status] = self.requests.get(status, 0) + 1
        self.buckets[bisect_left(_BOUNDS_US, latency_us)] += 1
        self.total_us += latency_us
        if status == 200:
            self.predictions += rows


class LogCounts:
    """What the prediction log does not hold."""

    __slots__ = ("dropped", "full", "unsampled")

    def __init__(self) -> None:
        self.dropped = 0
        self.unsampled = 0
        self.full = False


class MemoryCounts:
    """Models in memory, where there is a limit to what they may take."""

    __slots__ = ("bytes", "evictions", "loaded")

    def __init__(self) -> None:
        self.bytes = 0
        self.evictions = 0
        self.loaded = 0


class Counters:
    """All counts of one process; those of its log are kept where it is written."""

    def __init__(self, log: LogCounts | None = None) -> None:
        self._arms: dict[tuple[str, str, str], ArmCounters] = {}
        self._fallbacks: dict[tuple[str, str, str, str], int] = {}
        self._faults: dict[str, int] = {}
        self.unlogged = 0
        self.log = log or LogCounts()
        self.processes = ProcessCounts()
        self.memory: MemoryCounts | None = None
        self.shadows_dropped = 0
        self.revision = 0
        self.source_up = False
        self.troubles = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def of(self, endpoint: str, version: str, role: str) -> ArmCounters:
        """The counts of an arm; empty names where no endpoint or no version was there."""
        found = self._arms.get((endpoint, version, role))
        if found is None:
            found = self._arms[endpoint, version, role] = ArmCounters()
        return found

    def count_fallback(self, endpoint: str, version: str, reason: str, role: str) -> None:
        """Adds a request that something in this role answered for a version, and why: error, timeout or range."""
        key = endpoint, version, reason, role
        self._fallbacks[key] = self._fallbacks.get(key, 0) + 1

    def count_fault(self, stage: str) -> None:
        """Adds what the service's own code raised in a stage of requests' way."""
        self._faults[stage] = self._faults.get(stage, 0) + 1

    def text(self) -> bytes:
        """The counts in Prometheus' text form."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus sees them."""
        requests = CounterMetricFamily("kept_requests", "Requests answered, by status", labels=[*_LABELS, "status"])
        errors = CounterMetricFamily("kept_request_errors", "Requests that got no prediction", labels=_LABELS)
        predictions = CounterMetricFamily("kept_predictions", "Rows predicted", labels=_LABELS)
        latency = HistogramMetricFamily(
            "kept_request_latency_seconds",
            "From a request's last byte to its answer, written log included",
            labels=_LABELS,
        )
        stages = HistogramMetricFamily(
            "kept_stage_seconds",
            "Of one turn in 16: what requests waited for it (queue), and what it took to read, ask the model, log and answer",
            labels=[*_LABELS, "stage"],
        )
        for labels, arm in list(self._arms.items()):
            for status, count in list(arm.requests.items()):
                requests.add_metric([*labels, str(status)], count)
            errors.add_metric(labels, sum(count for status, count in list(arm.requests.items()) if status != 200))
            predictions.add_metric(labels, arm.predictions)
            latency.add_metric(labels, buckets=_cumulative(BUCKETS, arm.buckets), sum_value=arm.total_us / 1e6)
            for stage, buckets, total in zip(STAGES, arm.stages.buckets, arm.stages.total_ns, strict=True):
                if any(buckets):
                    stages.add_metric([*labels, stage], _cumulative(STAGE_BUCKETS, buckets), total / 1e9)
        fallbacks = CounterMetricFamily(
            "kept_fallbacks",
            "Requests that something else answered for a version, by the reason and the role of what answered",
            labels=["endpoint", "version", "reason", "role"],
        )
        for key, count in list(self._fallbacks.items()):
            fallbacks.add_metric(key, count)
        faults = CounterMetricFamily(
            "kept_service_faults",
            "What the service's own code raised, by the stage of a request's way",
            labels=["stage"],
        )
        for stage, count in list(self._faults.items()):
            faults.add_metric([stage], count)
        yield from (requests, errors, predictions, latency, stages, fallbacks, faults)
        yield CounterMetricFamily(
            "kept_unlogged_requests", "Requests refused because the log could not be written", self.unlogged
        )
        yield CounterMetricFamily(
            "kept_log_entries_dropped", "Rows and failures answered and not logged, for want of room", self.log.dropped
        )
        yield CounterMetricFamily(
            "kept_log_requests_unsampled", "Requests answered that are not of the logged share", self.log.unsampled
        )
        yield GaugeMetricFamily(
            "kept_log_full", "Whether the last write to the prediction log found no room", float(self.log.full)
        )
        yield CounterMetricFamily(
            "kept_shadow_rows_dropped", "Rows that no shadow was asked about", self.shadows_dropped
        )
        yield GaugeMetricFamily(
            "kept_model_processes", "Processes of models that need their own, which are up", self.processes.up
        )
        yield CounterMetricFamily(
            "kept_model_process_restarts", "Processes of models that were started anew", self.processes.restarts
        )
        if self.memory is not None:
            yield GaugeMetricFamily("kept_models_loaded", "Models in memory", self.memory.loaded)
            yield GaugeMetricFamily("kept_models_bytes", "What these are reckoned to take", self.memory.bytes)
            yield CounterMetricFamily("kept_model_evictions", "Models put out of memory", self.memory.evictions)
        yield GaugeMetricFamily("kept_routing_revision", "Revision of the routing table in force", self.revision)
        yield GaugeMetricFamily(
            "kept_routing_source_up", "Whether the routing table can be read", float(self.source_up)
        )
        yield GaugeMetricFamily(
            "kept_routes_in_trouble", "Routes that could not be loaded as they should be", self.troubles
        )


def _cumulative(bounds: Iterable[float], buckets: Iterable[int]) -> list[tuple[str, float]]:
    names = [*(str(bound) for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(map(float, buckets)), strict=True))
