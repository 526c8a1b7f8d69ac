"""Counters of a stream scorer: for its progress line, its summary, and Prometheus."""

import time
from collections.abc import Iterator

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream scorer did while it ran."""

    scored: int
    refused: int
    """Messages that went to the dead letters."""
    repeats: int
    """Of the scored ones, those that were in the prediction log already: an earlier try was ended before it could commit them."""
    behind: int
    """Messages that waited behind the last ones, as far as was known."""
    version: int
    """Number of the model version that scored last; 0 when nothing came."""
    seconds: float


class StreamCounts:
    """Counts of one process."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._scored = self._refused = self._repeats = self._behind = self._version = 0
        self._last = 0.0

    def add(self, *, scored: int, refused: int, repeats: int, behind: int, version: int) -> None:
        """Adds a turn."""
        self._scored += scored
        self._refused += refused
        self._repeats += repeats
        self._behind, self._version = behind, version
        self._last = time.time()

    def streamed(self) -> Streamed:
        """The counts so far."""
        return Streamed(
            scored=self._scored,
            refused=self._refused,
            repeats=self._repeats,
            behind=self._behind,
            version=self._version,
            seconds=round(time.monotonic() - self._began, 3),
        )

    def registry(self) -> CollectorRegistry:
        """These counts as Prometheus asks for them."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus sees them."""
        yield CounterMetricFamily("kept_stream_scored", "Messages of the stream that were answered", self._scored)
        yield CounterMetricFamily("kept_stream_refused", "Messages that went to the dead letters", self._refused)
        yield CounterMetricFamily(
            "kept_stream_repeats", "Messages answered again that the prediction log held already", self._repeats
        )
        yield GaugeMetricFamily("kept_stream_behind", "Messages that wait behind the last ones", self._behind)
        yield GaugeMetricFamily("kept_stream_version", "Number of the model version that scores", self._version)
        yield GaugeMetricFamily(
            "kept_stream_last_turn_seconds", "When messages were last scored, in seconds since 1970", self._last
        )
