"""Kafka as source and sink. The only module that knows its client, which `kept[kafka]` installs."""

import contextlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka import Message as Received
from confluent_kafka.admin import AdminClient

from kept.app.streaming.message import Message, Partition, Produced, Sink, Source
from kept.core.errors import Invalid, Unavailable

_PATIENCE = 10.0
_NO_TIME = 0
_LONGEST_DELIVERY_MS = 60_000
# The end of the year 9999. Who sends a message may give it any time, and no table holds a later one.
_LAST_MS = 253_402_300_799_999
# A commit that comes too late is no fault: whoever has the partition now scores these messages again.
_MOVED = {
    KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID, KafkaError._NO_OFFSET, KafkaError._STATE, KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001
}  # fmt: skip
# What the client gets over by itself.
_PASSING = {
    KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
}  # fmt: skip
# What a broker answers that gives topics no ids, and one that is too old to be asked.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
_UNASKED = {KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION}  # noqa: SLF001
_logger = logging.getLogger("kept.stream")
# One file of settings is for both, and each says which of them it has no use for.
_logger.addFilter(lambda record: "CONFWARN" not in record.getMessage())


def read_properties(path: Path) -> dict[str, str]:
    """Settings of the client, a line each as `name=value`; lines that are empty or begin with # say nothing.

    `Invalid` when the file cannot be read, a line is none, or it names what the stream scorer itself decides.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"it cannot be read ({error})", where=str(path), fix="Name a file of name=value lines") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, sign, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not sign or not name.strip():
            raise Invalid(f"{line!r} is no setting", where=f"{path}:{number}", fix="Write name=value")
        if name.strip() in _OURS:
            fix = "Leave it out: what is promised of the stream depends on it"
            raise Invalid(f"{name.strip()} is not to be set", where=f"{path}:{number}", fix=fix)
        found[name.strip()] = value.strip()
    return found


# When offsets are committed, and when an answer counts as delivered.
_OURS = {"enable.auto.commit", "enable.auto.offset.store", "acks", "request.required.acks", "enable.idempotence"}


class Kafka:
    """Reads a topic in a consumer group, and writes others. Use it in a `with` statement, which leaves the group.

    Args:
        brokers: `host:port`, with commas between them.
        group: the consumer group.
        topic: what is read.
        writes: the topics that are written.
        properties: further settings of the client.

    Raises:
        Unavailable: no broker answers.
        Invalid: a setting is none of the client's, or a topic is not there.
    """

    def __init__(
        self, brokers: str, group: str, topic: str, writes: tuple[str, ...], properties: dict[str, str] | None = None
    ) -> None:
        shared: dict[str, Any] = {**(properties or {}), "bootstrap.servers": brokers, "logger": _logger}
        reading = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        writing = {"enable.idempotence": True, "acks": "all", "linger.ms": 5, "compression.type": "lz4"}
        writing["delivery.timeout.ms"] = _LONGEST_DELIVERY_MS
        try:
            self._producer = Producer({**writing, **shared})
            self._admin = AdminClient(shared)
            cluster = self._cluster((topic, *writes))
            self._topic, self._topic_id = topic, self._id_of(topic)
            # Last: who cannot enter the `with` statement has nothing to leave.
            self._consumer = Consumer({**reading, **shared, "group.id": group, "enable.auto.commit": False})
        except KafkaException as error:
            raise Invalid(
                str(error.args[0]), where="settings of the client", fix="See librdkafka's CONFIGURATION.md"
            ) from error
        self.stream = f"{cluster}/{self._topic_id}/{group}"
        """Names cluster, topic and group: other than before when the topic was deleted and made anew."""
        self._failed: list[str] = []
        self._next: dict[Partition, int] = {}
        self._consumer.subscribe([topic])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def take(self, most: int, seconds: float) -> list[Message]:
        """The next messages, waiting at most so long for so many."""
        found: list[Message] = []
        try:
            received = self._consumer.consume(most, seconds)
        except KafkaException as error:
            raise _lost(error.args[0]) from error
        for one in received:
            trouble = one.error()
            if trouble is None:
                found.append(_message(one))
            elif not trouble.retriable() and trouble.code() not in _PASSING:
                raise _lost(trouble)
        self._follow(found)
        return found

    def commit(self, ends: dict[Partition, int]) -> None:
        """Notes the offsets behind the last messages that need not come again, and waits until the broker has them."""
        offsets = [TopicPartition(one.topic, one.number, end) for one, end in ends.items()]
        try:
            told = self._consumer.commit(offsets=offsets, asynchronous=False)
            troubles = [one.error for one in told or () if one.error is not None]
        except KafkaException as error:
            troubles = [error.args[0]]
        for trouble in troubles:
            if trouble.code() not in _MOVED:
                raise _lost(trouble)
            _logger.warning("messages were not committed, and are scored again by whoever has them now: %s", trouble)

    def behind(self, ends: dict[Partition, int]) -> int:
        """How many messages wait behind these offsets, as the last answers of the brokers told."""
        behind = 0
        for one, end in ends.items():
            with contextlib.suppress(KafkaException):
                marks = self._consumer.get_watermark_offsets(TopicPartition(one.topic, one.number), cached=True)
                behind += max(marks[1] - end, 0) if marks else 0
        return behind

    def end(self, partition: Partition) -> int | None:
        """The offset behind the partition's last message; None when it cannot be found out now."""
        try:
            marks = self._consumer.get_watermark_offsets(
                TopicPartition(partition.topic, partition.number), timeout=_PATIENCE
            )
        except KafkaException:
            return None
        return marks[1] if marks else None

    def send(self, messages: list[Produced]) -> None:
        """Sends messages; when it returns, every broker that must have them has."""
        self._failed.clear()
        for one in messages:
            self._produce(one)
        self._producer.flush()
        if self._failed:
            fix = "Nothing was committed: start it again when the brokers take messages"
            raise Unavailable(
                f"{len(self._failed)} messages were not delivered ({self._failed[0]})", where="kafka", fix=fix
            )

    def _produce(self, one: Produced) -> None:
        while True:
            try:
                self._producer.produce(
                    one.topic, value=one.value, key=one.key, headers=list(one.headers), on_delivery=self._delivered
                )
            except BufferError:
                # As much waits to be delivered as may.
                self._producer.poll(0.1)
            except KafkaException as error:
                raise _lost(error.args[0]) from error
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: KafkaError | None, _: Received) -> None:
        if error is not None:
            self._failed.append(str(error))

    def _follow(self, messages: list[Message]) -> None:
        """Refuses messages of a topic that was made anew meanwhile: they come from where others were before."""
        again = False
        for one in messages:
            again = again or one.offset < self._next.get(one.partition, 0)
            self._next[one.partition] = one.offset + 1
        if again and self._id_of(self._topic) != self._topic_id:
            fix = "Start it again: what the topic holds now is another stream"
            raise Unavailable("it was deleted and made anew", where=f"topic {self._topic}", fix=fix)

    def _id_of(self, topic: str) -> str:
        """The topic's own id, which another topic of this name does not have; empty where brokers give none."""
        try:
            told = self._admin.describe_topics(TopicCollection([topic]), request_timeout=_PATIENCE)[topic].result()
        except KafkaException as error:
            if error.args[0].code() in _UNASKED:
                return ""
            raise _lost(error.args[0]) from error
        found = str(told.topic_id)
        return "" if found == _NO_ID else found

    def _cluster(self, topics: tuple[str, ...]) -> str:
        """The cluster's id; `Invalid` when one of the topics is not there."""
        cluster = ""
        for topic in topics:
            try:
                told = self._producer.list_topics(topic, timeout=_PATIENCE)
            except KafkaException as error:
                raise _lost(error.args[0]) from error
            trouble = told.topics[topic].error
            if trouble is not None and not trouble.retriable():
                raise Invalid(
                    f"there is no such topic ({trouble.str()})", where=f"topic {topic}", fix="Create it first"
                )
            cluster = told.cluster_id or ""
        return cluster


def _message(one: Received) -> Message:
    kind, moment = one.timestamp()
    headers: Any = one.headers() or ()
    topic, number, offset = one.topic(), one.partition(), one.offset()
    assert topic is not None  # noqa: S101 - only errors have none of these
    assert number is not None  # noqa: S101
    assert offset is not None  # noqa: S101
    return Message(
        partition=Partition(topic, number),
        offset=offset,
        time_ms=0 if kind == _NO_TIME or moment > _LAST_MS else max(moment, 0),
        key=one.key(),
        value=one.value(),
        headers=tuple((name, value) for name, value in headers),
    )


def _lost(trouble: KafkaError) -> Unavailable:
    return Unavailable(
        trouble.str(), where="kafka", fix="See that its brokers can be reached, and that you may use the topics"
    )


def _fits(kafka: Kafka) -> tuple[Source, Sink]:
    return kafka, kafka
