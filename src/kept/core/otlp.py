"""Spans on their way to a collector: OTLP over HTTP. Needs OpenTelemetry's SDK and exporter, which `kept[otel]` installs."""

import logging
from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from kept.core.spans import Carrier, Span

_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# It says of every batch that is lost what `Traces` says once.
logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)


class Otlp:
    """Posts spans to a collector.

    Args:
        url: the collector's address, without `/v1/traces`.
        headers: sent along, as for a key.
        service: name of the process, as `kept-serve`.
        version: of Kept.
        seconds: how long one batch may take, tries included.
    """

    def __init__(self, url: str, headers: Mapping[str, str], service: str, version: str, seconds: float = 5.0) -> None:
        self._exporter = OTLPSpanExporter(
            endpoint=f"{url.rstrip('/')}/v1/traces", headers=dict(headers), timeout=seconds
        )
        self._resource = Resource({"service.name": service, "service.version": version, "service.namespace": "kept"})
        self._scope = InstrumentationScope("kept", version)

    def carry(self, spans: Sequence[Span]) -> bool:
        """Whether they arrived."""
        return self._exporter.export([self._readable(one) for one in spans]) is SpanExportResult.SUCCESS

    def _readable(self, one: Span) -> ReadableSpan:
        parent = SpanContext(one.trace, one.parent, is_remote=True, trace_flags=_SAMPLED) if one.parent else None
        return ReadableSpan(
            name=one.name,
            context=SpanContext(one.trace, one.span, is_remote=False, trace_flags=_SAMPLED),
            parent=parent,
            resource=self._resource,
            attributes=one.facts,
            events=[Event(moment.name, moment.facts, moment.at) for moment in one.moments],
            kind=_KINDS[one.kind],
            status=Status(StatusCode.ERROR, one.error) if one.error else Status(StatusCode.UNSET),
            start_time=one.start,
            end_time=one.end,
            instrumentation_scope=self._scope,
        )


def _fits(otlp: Otlp) -> Carrier:
    return otlp
