"""Scoring messages with one loaded model, by the readers and the runtime of the prediction service."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from kept.app.streaming.message import Message, prediction_id
from kept.core.errors import Invalid, KeptError
from kept.deployment.routing import Arm
from kept.packaging.signature import Signature
from kept.serving.entries import Answered, ArmNote
from kept.serving.protocol.answers import as_scores
from kept.serving.protocol.values import Key, Moment, explain, microseconds
from kept.serving.runtime import LoadedArm, LoadedModel

ROLE = "stream"
_LONGEST_REASON = 500


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Names of what a row may carry beside the model's inputs; empty where it is not looked for."""

    event_time: str = ""
    """A time with its zone: when what is predicted happens. Otherwise the message's own time."""
    key: str = ""
    """What labels are joined by. Otherwise the message's key."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A message that got no prediction, and why."""

    message: Message
    id: str
    reason: str
    """For whoever reads the dead letters, which hold what was sent."""
    logged: str
    """For the log: of what a model raised only the type, since it may tell any value."""
    status: int
    """As the prediction service would have answered: 400 for a row that does not fit, 422 or 500 for the model's refusal or fault."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of messages; `answers`, and the lists of `entry`, stand in the order of `messages`."""

    note: ArmNote
    messages: list[Message]
    entry: Answered
    answers: list[bytes]
    refused: list[Refused]


class Judge:
    """One model version that scores messages.

    Args:
        endpoint: whose prediction log tells of it.
        arm: the version.
        model: the version, loaded.
        stream: names cluster, topic and consumer group, a part of the ids.
        beside: what rows carry besides.

    Raises:
        Invalid: `beside` names what no field can be called.
    """

    def __init__(self, endpoint: str, arm: Arm, model: LoadedModel, stream: str, beside: Beside) -> None:
        loaded = LoadedArm(endpoint, arm, model)
        self.note = msgspec.structs.replace(loaded.note, key=f"{endpoint}/{arm.version_id}/{ROLE}", role=ROLE)
        self.version_id = arm.version_id
        self._model = model
        self._answerer = loaded.answerer
        self._stream = stream
        self._beside = _beside_decoder(beside, model.signature)

    def judge(self, messages: Sequence[Message]) -> Judged:
        """Scores messages. One that cannot be read, or that the model does not take, spoils no other."""
        began, now = time.perf_counter_ns(), time.time_ns() // 1000
        good: list[Message] = []
        ids: list[str] = []
        values: list[Any] = []
        keys: list[str | None] = []
        moments: list[int] = []
        refused: list[Refused] = []
        for message in messages:
            name = prediction_id(self._stream, message)
            try:
                row, key, moment = self._read(message, now)
            except KeptError as error:
                refused.append(_refused(message, name, error, 400))
                continue
            good.append(message)
            ids.append(name)
            values.append(row)
            keys.append(key)
            moments.append(moment)
        scores, troubles = self._scores(values)
        if troubles:
            refused += [_refused(good[place], ids[place], error, status) for place, (error, status) in troubles.items()]
            good, ids, values, keys, moments = (
                [one for place, one in enumerate(column) if place not in troubles]
                for column in (good, ids, values, keys, moments)
            )
        took = (time.perf_counter_ns() - began) // 1000
        entry = Answered(
            arm=self.note.key,
            ids=ids,
            answers=None,
            event_times=moments,
            received_at=[message.time_ms * 1000 or now for message in good],
            keys=keys,
            features=values,
            scores=scores,
            latencies_us=[took] * len(ids),
        )
        return Judged(
            note=self.note, messages=good, entry=entry, answers=self._answerer.lines(ids, scores), refused=refused
        )

    def _read(self, message: Message, now: int) -> tuple[Any, str | None, int]:
        """A message's row, its key, and the microseconds of its event time."""
        if message.value is None:
            raise Invalid("the message has no value", where="value", fix="Send a JSON object with the model's inputs")
        row = self._model.read_row(message.value)
        key = None if message.key is None else message.key.decode("utf-8", "replace")
        moment = message.time_ms * 1000 or now
        if self._beside is None:
            return row, key, moment
        try:
            more = self._beside.decode(message.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        if more.key is not None:
            key = str(more.key)
        if more.event_time is not None:
            moment = microseconds(more.event_time)
        return row, key, moment

    def _scores(self, values: list[Any]) -> tuple[list[Any], dict[int, tuple[Exception, int]]]:
        """Scores of the rows that the model takes, and by its place each other one's trouble, with its status."""
        if not values:
            return [], {}
        try:
            return self._asked(values), {}
        except Exception as error:  # noqa: BLE001 - a model may raise anything; what it raises is told of the row
            if len(values) == 1:
                return [], {0: (error, 422 if isinstance(error, Invalid) else 500)}
        half = len(values) // 2
        first, second = self._scores(values[:half]), self._scores(values[half:])
        return first[0] + second[0], first[1] | {half + place: trouble for place, trouble in second[1].items()}

    def _asked(self, values: list[Any]) -> list[Any]:
        scores = as_scores(self._model.predict(values))
        if len(scores) != len(values):
            raise Invalid(f"the model gave {len(scores)} answers to {len(values)} rows", where="model")
        return scores


def _refused(message: Message, name: str, error: Exception, status: int) -> Refused:
    ours = isinstance(error, KeptError)
    said = str(error) if ours else f"the model raised {error!r}"
    logged = said if ours else f"the model raised {type(error).__name__}"
    return Refused(
        message=message, id=name, reason=said[:_LONGEST_REASON], logged=logged[:_LONGEST_REASON], status=status
    )


def _beside_decoder(beside: Beside, signature: Signature) -> msgspec.json.Decoder[Any] | None:
    """Reads event time and key out of a row, where they are looked for."""
    wanted = {"event_time": (beside.event_time, Moment | None), "key": (beside.key, Key | None)}
    if not any(name for name, _ in wanted.values()):
        return None
    named = {field: name for field, (name, _) in wanted.items() if name}
    if len(set(named.values())) < len(named):
        raise Invalid("key and event time are read from the same field", where=beside.key, fix="Name two")
    for name in named.values():
        if any(character in '"\\' or ord(character) < 32 for character in name):  # what no typed field may be called
            known = ", ".join(signature.names)
            raise Invalid(f"{name!r} cannot be the name of a field", where="row", fix=f"The model takes {known}")
    fields = [(field, kind, None) for field, (name, kind) in wanted.items()]
    hidden = {field: f"\0{field}" for field in wanted if field not in named}
    return msgspec.json.Decoder(msgspec.defstruct("Beside", fields, rename=named | hidden))
