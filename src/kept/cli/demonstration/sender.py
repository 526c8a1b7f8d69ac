"""The sender of the replay: one connection for predictions, one for labels; every failure is counted."""

import http.client
import time
from datetime import datetime
from typing import Any

import msgspec

from kept.cli.demonstration.course import Batch, Labels
from kept.core.errors import KeptError
from kept.settings.settings import Settings

_TRIES = 3
_PAUSE_SECONDS = 0.2
# A server closes connections that nobody uses; one that has rested so long is opened anew.
_REST_SECONDS = 20.0


class Answers(msgspec.Struct, frozen=True):
    """What is read of an answer."""

    class One(msgspec.Struct, frozen=True):
        """One prediction."""

        id: str
        probability: float

    predictions: list[One]
    version: int


class Sender:
    """Sends requests and remembers what was answered, by key."""

    def __init__(self, settings: Settings, endpoint: str) -> None:
        self._host, self._port = settings.host, settings.port
        self._token = settings.token
        self._endpoint = endpoint
        self._predictions = http.client.HTTPConnection(self._host, self._port + 1, timeout=30)
        self._api = http.client.HTTPConnection(self._host, self._port, timeout=60)
        self._used: dict[http.client.HTTPConnection, float] = {}
        self._decoder = msgspec.json.Decoder(Answers)
        self.answered: dict[str, float] = {}
        self.versions: dict[int, int] = {}
        self.requests = 0
        self.failed = 0
        self.last_id = ""
        self.at: datetime | None = None

    def send(self, what: Batch | Labels) -> None:
        """Sends one thing that happens."""
        self.at = what.at
        if isinstance(what, Labels):
            self._label(what)
        else:
            self._ask(what)

    def _ask(self, batch: Batch) -> None:
        self.requests += 1
        body = msgspec.json.encode({"rows": batch.rows, "keys": batch.keys, "event_time": batch.at})
        try:
            status, data = self._post(self._predictions, f"/predict/{self._endpoint}", body)
            if status != http.client.OK:
                self.failed += 1
                return
            answers = self._decoder.decode(data)
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            self.failed += 1
            self._predictions.close()
            return
        for key, one in zip(batch.keys, answers.predictions, strict=True):
            self.answered[key] = one.probability
        self.versions[answers.version] = self.versions.get(answers.version, 0) + len(batch.keys)
        self.last_id = answers.predictions[-1].id

    def _label(self, labels: Labels) -> None:
        """Labels are sent again until they are acknowledged: sending them twice changes nothing."""
        body = msgspec.json.encode({"endpoint": self._endpoint, "labels": labels.entries})
        said: Any = ""
        for _ in range(_TRIES):
            try:
                status, data = self._post(self._api, "/api/v1/labels", body)
            except (OSError, http.client.HTTPException) as error:
                said = error
                self._api.close()
            else:
                if status == http.client.OK:
                    return
                said = data.decode(errors="replace")
            time.sleep(_PAUSE_SECONDS)
        raise KeptError(f"labels were not taken: {said}", where="replay", fix="See the logs of the demo's workspace")

    def _post(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> tuple[int, bytes]:
        now = time.monotonic()
        if now - self._used.get(connection, now) > _REST_SECONDS:
            connection.close()
        self._used[connection] = now
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
