"""A request on its connection: what its head says, its body as it comes in, and its answer as it waits to leave."""

from kept.core.spans import Context
from kept.serving.protocol.forms import Form


class Request:
    """Holds what one request brings, from its head to its answer."""

    __slots__ = (
        "announced", "answer", "body", "caller", "close", "endpoint", "explain", "form", "json_size", "linger", "shed", "timeout_us",
        "trace", "version",
    )  # fmt: skip

    def __init__(self, endpoint: str, form: Form, version: str | None = None, *, close: bool = False) -> None:
        self.endpoint = endpoint
        self.form: Form = form
        self.version = version
        self.close = close
        # Whether its answer is the last, and the client may still be sending.
        self.linger = False
        self.body: bytes | bytearray = b""
        # The length that its head gives; 0 when it gives none.
        self.announced = 0
        # Whether it is refused already for want of time, and its body is dropped as it comes.
        self.shed = False
        # Whose secret it came with; empty where none is asked for.
        self.caller = ""
        # Where it stands in a trace, when it is to be told of.
        self.trace: Context | None = None
        # How much of the body is JSON, when tensors follow as bytes.
        self.json_size: int | None = None
        # From the body's last byte; 0 for no such limit.
        self.timeout_us = 0
        # Whether its address asks for what explains the answers.
        self.explain = False
        self.answer: bytes | None = None
