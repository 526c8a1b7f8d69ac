"""A server that answers what a test says, on a real socket."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, bytes]
Route = Callable[[dict[str, Any]], Any]


class Wire:
    """Routes by path; what was asked is remembered."""

    def __init__(self) -> None:
        self.address = ""
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.failing: list[int] = []
        """Status codes that the next calls are answered with."""

    def answer(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        self.asked.append((path, body, headers))
        if self.failing:
            return self.failing.pop(0), b"{}"
        for known, route in self.routes.items():
            if path.endswith(known):
                found = route(body)
                return 200, found if isinstance(found, bytes) else json.dumps(found).encode()
        return 404, json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "nothing here"}).encode()


@contextmanager
def answering(wire: Wire) -> Iterator[Wire]:
    """The server while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._say(parts.path, dict(parse_qsl(parts.query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            self._say(self.path, json.loads(body or b"{}"))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is its base's
            return

        def _say(self, path: str, asked: dict[str, Any]) -> None:
            status, body = wire.answer(path, asked, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    wire.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
