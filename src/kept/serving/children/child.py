"""The process of a model that scikit-learn, or another library of Python, runs. It answers one question after another.

Started by `kept.serving.children.process` with a `Duty`. It ends when the service does, in whatever way that happens.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid, KeptError
from kept.packaging.runtime import Runtime, load_runtime
from kept.serving.children.bounds import end_with, limit_memory
from kept.serving.children.matrices import know_matrices
from kept.serving.children.messages import Answers, Ask, Duty, Failure, Inbox, Ready, failure_of, packed
from kept.serving.warming import warm

_NICENESS = 10
_READ = 1 << 20
_LARGEST_BODY = 1 << 40

_logger = logging.getLogger("kept.serving")
_decode_ask = msgspec.msgpack.Decoder(Ask).decode
_decode_rows = msgspec.msgpack.Decoder(list[list[Any]]).decode


def main(argument: str) -> None:
    """Loads the model, says that it is ready, and answers until the service is gone."""
    duty = msgspec.json.decode(argument, type=Duty)
    # Signals to a group are for the service, which ends its processes itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    end_with(duty.life)
    if duty.quiet:
        os.nice(_NICENESS)
    limit_memory(duty.megabytes)
    with socket.socket(fileno=duty.socket) as service:
        try:
            asked = Asked(duty)
        except Exception as error:  # noqa: BLE001 - whatever a model does when it is loaded, the service is told
            service.sendall(packed(Ready(failure_of(error))))
            return
        service.sendall(packed(Ready()))
        inbox = Inbox(_LARGEST_BODY)
        while data := service.recv(_READ):
            for head, body in inbox.take(data):
                service.sendall(asked.answer(_decode_ask(head), body))


class Asked:
    """The model, as the service asks it."""

    def __init__(self, duty: Duty) -> None:
        trusted = frozenset({duty.digest} if duty.trusted else ())
        runtime = load_runtime(Path(duty.folder), digest=duty.digest, trusted=trusted)
        assert isinstance(runtime, Runtime)  # noqa: S101 - models of tensors are ONNX, which the service runs itself
        know_matrices()
        self._runtime = runtime
        signature = self._runtime.manifest.signature
        self._names = signature.names
        warm(
            signature,
            lambda rows: self._runtime.predict_rows([dict(zip(self._names, row, strict=True)) for row in rows]),
        )

    def answer(self, ask: Ask, body: bytes) -> bytes:
        """The answer to a question, as a message: of all its requests but those that the model does not answer."""
        began = time.perf_counter()
        # Copied, as bytes cannot be written to and some estimators ask for memory that can.
        rows: Any = np.frombuffer(body).reshape(-1, ask.width).copy() if ask.width else _decode_rows(body)
        failed: dict[int, Failure] = {}
        parts = self._parts(rows, ask, range(len(ask.sizes)), failed)
        answers = Answers(_width(parts[0]) if parts else 1, failed, time.perf_counter() - began)
        return packed(answers, b"".join(part.tobytes() for part in parts))

    def _parts(self, rows: Any, ask: Ask, places: range, failed: dict[int, Failure]) -> list[NDArray[np.float64]]:
        """Answers to the rows of some requests, all at once; where that fails to each half, so that a bad one is soon alone."""
        predict = self._runtime.predict if ask.width else self._columns
        try:
            answers = predict(rows)
            if len(answers) != len(rows):
                raise _miscounted(len(answers), len(rows))
        except Exception as error:  # noqa: BLE001 - a model may raise anything; the service is told, and goes on
            if len(places) > 1:
                half = len(places) // 2
                first, second = places[:half], places[half:]
                end = sum(ask.sizes[place] for place in first)
                return self._parts(rows[:end], ask, first, failed) + self._parts(rows[end:], ask, second, failed)
            _log(error)
            failed[places[0]] = failure_of(error)
            return []
        return [answers]

    def _columns(self, rows: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
        columns = zip(*rows, strict=True)
        return self._runtime.predict_columns(dict(zip(self._names, map(list, columns), strict=True)))


def _width(answers: NDArray[np.float64]) -> int:
    return answers.shape[1] if answers.ndim == 2 else 1


def _miscounted(found: int, expected: int) -> KeptError:
    return KeptError(f"the model gave {found} answers to {expected} rows", where="process of the model")


def _log(error: Exception) -> None:
    if not isinstance(error, Invalid):
        _logger.error("a prediction failed", exc_info=error)
