"""A receiver of webhooks on this machine, which can be told how to answer."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Got(NamedTuple):
    """What came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The id of the delivery."""
        return self.headers["X-MLflow-Delivery-Id"]

    @property
    def told(self) -> Any:
        """What the body says."""
        return json.loads(self.body)

    def signed_with(self, secret: str) -> bool:
        """Whether the signature is that of this secret."""
        text = f"{self.id}.{self.headers['X-MLflow-Timestamp']}.".encode() + self.body
        code = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()
        return self.headers["X-MLflow-Signature"] == f"v1,{code}"


class WebhookReceiver:
    """Answers with the next of the statuses it was told, and at last with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.got: list[Got] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(Got(dict(self.headers), body))
                outer.goes_on.wait(60)
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"taken")

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def wait(self, count: int, seconds: float = 60.0) -> list[Got]:
        """What came in, once it is so much."""
        until = time.monotonic() + seconds
        while len(self.got) < count:
            assert time.monotonic() < until, f"{len(self.got)} of {count} came"
            time.sleep(0.01)
        return self.got

    def stop(self) -> None:
        """Answers no more."""
        self.goes_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def receiving() -> Iterator[WebhookReceiver]:
    """A receiver for as long as the block runs."""
    one = WebhookReceiver()
    try:
        yield one
    finally:
        one.stop()
