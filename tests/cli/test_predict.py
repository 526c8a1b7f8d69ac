"""What `kept predict` says where there is nothing to ask, or somebody else answers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """A server that answers everything so, and the port of pages that it would belong to."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port - 1
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def rows(tmp_path: Path) -> str:
    (tmp_path / "rows.csv").write_text("colour,size\nred,3\n")
    return str(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>It works!</html>"),
        (404, b"<html>Not found</html>"),
        (404, b'{"error": "NotFound", "what": "Not Found", "where": null}'),
        (200, b"[]"),
    ],
)
def test_another_server_is_told_from_the_prediction_service(
    command: Callable[..., Any], rows: str, status: int, body: bytes
) -> None:
    with answering(status, body) as port:
        said = command("predict", "--rows", rows, "--endpoint", "x", "--port", str(port), code=1)
    assert "no prediction service of Kept" in said
    assert "--port names that of the pages" in said


def test_a_token_that_is_asked_for_is_named(command: Callable[..., Any], rows: str) -> None:
    refused = b'{"error": "...", "what": "the token is missing or wrong", "where": "authorization", "fix": "..."}'
    with answering(401, refused) as port:
        said = command("predict", "--rows", rows, "--endpoint", "x", "--port", str(port), code=1)
    assert "the token is missing or wrong. Set KEPT_TOKEN" in said


def test_rows_of_something_else_are_told(command: Callable[..., Any], rows: str) -> None:
    inputs = [{"name": "age", "datatype": "FP64"}, {"name": "plan", "datatype": "BYTES"}]
    with answering(200, msgspec.json.encode({"inputs": inputs})) as port:
        said = command("predict", "--rows", rows, "--endpoint", "x", "--port", str(port), code=1)
    assert "none of its columns is an input of x" in said
    assert "age, plan" in said
