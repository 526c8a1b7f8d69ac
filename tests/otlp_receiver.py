"""A collector of traces on this machine: OTLP over HTTP, read with the protocol's own messages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[dict[str, str]] = []
        self.resources: list[dict[str, Any]] = []
        self.spans: list[Any] = []
        self.url = ""

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        self.headers.append(headers)
        sent = ExportTraceServiceRequest.FromString(body)
        for part in sent.resource_spans:
            self.resources.append(facts(part.resource.attributes))
            for scope in part.scope_spans:
                self.spans += scope.spans

    def wait(self, enough: Callable[[list[Any]], bool], seconds: float = 60) -> list[Any]:
        """The spans, once there are enough of them."""
        end = time.monotonic() + seconds
        while not enough(self.spans):
            assert time.monotonic() < end, [one.name for one in self.spans]
            time.sleep(0.05)
        return self.spans


def facts(attributes: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            if collector.status == 200:
                collector.take(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(collector.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
