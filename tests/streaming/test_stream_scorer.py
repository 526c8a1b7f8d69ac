"""The stream scorer against brokers that speak Kafka's own protocol, turn by turn."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from brokers import COLUMNS, Broker, rows, value
from confluent_kafka import Producer
from prometheus_client import generate_latest
from streams import GROUP, Judges, judge

from kept.app.streaming.counts import StreamCounts
from kept.app.streaming.kafka import Kafka, read_properties
from kept.app.streaming.log import StreamLog
from kept.app.streaming.message import Message, Partition, Produced, prediction_id
from kept.app.streaming.stream import StreamScorer, Topics
from kept.core.clock import SystemClock
from kept.core.errors import Conflict, Invalid, Unavailable
from kept.packaging.frames import encode_frame
from kept.packaging.runtime import load_runtime
from kept.serving.logrules import LogRules
from kept.store.tables import DeltaTables

GOOD = value(distance=2.0, hour=8)


class World:
    """A scorer of one topic, made again as often as a test likes: what it knows is in the brokers and the tables."""

    def __init__(self, root: Path, broker: Broker, bundle: Path, topic: str) -> None:
        self.tables, self.broker, self.topic = DeltaTables(root / "tables"), broker, topic
        self.topics = Topics(answers=f"{topic}-answers", dead_letters=f"{topic}-dead")
        self.judges = Judges(judge(bundle))
        self.counts = StreamCounts()

    def kafka(self, group: str = GROUP) -> Kafka:
        more = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}
        return Kafka(self.broker.address, group, self.topic, (self.topics.answers, self.topics.dead_letters), more)

    def scorer(self, stream: Kafka, sink: "Kafka | None" = None, *, most: int = 500) -> StreamScorer:
        log = StreamLog(self.tables, SystemClock(), "late", stream.stream)
        return StreamScorer(stream, sink or stream, self.topics, self.judges, log, self.counts, most=most, wait=0.3)

    def run(self, wanted: int) -> None:
        """Scores until so many messages have been taken."""
        with self.kafka() as stream:
            scorer, done = self.scorer(stream), 0
            for _ in range(100):
                done += scorer.turn()
                if done >= wanted:
                    return
        raise AssertionError(f"{done} messages came")

    def logged(self, table: str = "predictions") -> pl.DataFrame:
        return self.tables.read(f"{table}/late").collect()


@pytest.fixture
def world(tmp_path: Path, broker: Broker, bundle: Path, topic: str) -> World:
    return World(tmp_path, broker, bundle, topic)


def test_answers_are_those_of_the_model_and_stand_in_the_log(world: World, bundle: Path) -> None:
    frame = rows(1_200)
    world.broker.fill(world.topic, [(f"k{place}", value(**row)) for place, row in enumerate(frame.to_dicts())])
    world.run(1_200)
    answers = world.broker.read(world.topics.answers, 1_200)
    assert len(answers) == 1_200
    runtime = load_runtime(bundle)
    assert runtime.manifest.encoder is not None
    expected = runtime.predict(encode_frame(frame, runtime.manifest.encoder))
    logged = {row["id"]: row for row in world.logged().to_dicts()}
    assert len(logged) == 1_200
    for one in answers:
        key, said = one.key(), json.loads(one.value() or b"")
        assert key is not None
        place = int(key[1:])
        assert said["probability"] == pytest.approx(expected[place], abs=1e-12)
        assert (said["prediction"], said["version"], said["model"]) == (said["probability"] > 0.5, 3, "late")
        row = logged[said["id"]]
        assert (row["key"], row["role"], row["score"]) == (key.decode(), "stream", said["probability"])
        assert [row[f"feature_{name}"] for name in COLUMNS] == list(frame.row(place))
        headers: dict[str, bytes] = dict(one.headers() or ())  # type: ignore[arg-type]
        assert headers["from"] == b"test"
        assert headers["kept-source"].startswith(world.topic.encode())


BAD: dict[bytes | None, str] = {
    b"{": "not valid JSON",
    b'{"distance": 1.0}': "hour: the field is missing|the field 'hour' is missing",
    b'{"distance": "far", "hour": 1}': "distance: expected a number or null, found text",
    b'{"distance": 1.0, "hour": 1.5}': "hour: expected a whole number, found 1.5",
    b'{"distance": 1.0, "hour": 1}, {"distance": 1.0, "hour": 1}': "not valid JSON",
    b"\xff\xfe": "not valid",
    b"[" * 5_000: "expected an object",
    None: "the message has no value",
}


def test_bad_messages_go_to_the_dead_letters_with_the_reason_and_stop_no_other(world: World) -> None:
    world.broker.fill(world.topic, [pair for bad in BAD for pair in ((None, bad), ("good", GOOD))])
    world.run(2 * len(BAD))
    assert len(world.broker.read(world.topics.answers, len(BAD))) == len(BAD)
    dead = world.broker.read(world.topics.dead_letters, len(BAD))
    assert {one.value() for one in dead} == set(BAD)
    for one in dead:
        headers: dict[str, bytes] = dict(one.headers() or ())  # type: ignore[arg-type]
        reason = headers["kept-reason"].decode()
        assert any(part in reason for part in BAD[one.value()].split("|")), reason
    failed = world.logged("prediction_errors")
    assert failed["status"].to_list() == [400] * len(BAD)
    assert set(failed["role"]) == {"stream"}
    found = world.counts.streamed()
    assert (found.scored, found.refused, found.repeats, found.behind) == (len(BAD), len(BAD), 0, 0)
    told = generate_latest(world.counts.registry()).decode()
    assert f"kept_stream_refused_total {float(len(BAD))}" in told
    assert "kept_stream_version 3.0" in told


class Ended(Exception):
    """The process is gone at this very point."""


class Dying:
    """A stream that is cut off at one point of a turn."""

    def __init__(self, stream: Kafka, point: str) -> None:
        self._stream, self._point = stream, point

    def take(self, most: int, seconds: float) -> list[Message]:
        return self._stream.take(most, seconds)

    def send(self, messages: list[Produced]) -> None:
        if self._point == "before sending":
            raise Ended
        if self._point == "half sent":
            self._stream.send(messages[: len(messages) // 2])
            raise Ended
        self._stream.send(messages)
        if self._point == "before committing":
            raise Ended

    def commit(self, ends: dict[Partition, int]) -> None:
        self._stream.commit(ends)

    def end(self, partition: Partition) -> int | None:
        return self._stream.end(partition)

    def behind(self, ends: dict[Partition, int]) -> int:
        return self._stream.behind(ends)


@pytest.mark.parametrize("point", ["before sending", "half sent", "before committing"])
def test_what_was_cut_off_is_done_again_under_the_same_ids_and_logged_once(world: World, point: str) -> None:
    world.broker.fill(world.topic, [(None, GOOD)] * 40 + [(None, b"{")] * 10)
    with world.kafka() as stream:
        dying = Dying(stream, point)
        log = StreamLog(world.tables, SystemClock(), "late", stream.stream)
        scorer = StreamScorer(dying, dying, world.topics, world.judges, log, world.counts, most=30, wait=0.3)
        with pytest.raises(Ended):
            for _ in range(100):
                scorer.turn()
    before = world.logged() if world.tables.version("predictions/late") is not None else pl.DataFrame()
    world.run(50)
    answered = [json.loads(one.value() or b"")["id"] for one in world.broker.read(world.topics.answers, 40)]
    assert len(set(answered)) == 40
    assert len(answered) >= (40 if point == "before sending" else 41)
    logged = world.logged()
    assert sorted(logged["id"]) == sorted(set(answered))
    assert world.counts.streamed().repeats == before.height
    assert world.logged("prediction_errors").height == 10


def test_two_that_score_the_same_messages_log_them_once(world: World) -> None:
    """One that lost its partitions without knowing, and goes on with the messages that it holds."""
    partition = Partition("rides", 0)
    messages = [Message(partition=partition, offset=place, time_ms=1, value=GOOD) for place in range(10)]
    logs = [StreamLog(world.tables, SystemClock(), "late", f"cluster/{GROUP}") for _ in range(2)]
    assert logs[0].write(world.judges().judge(messages[:4]), {partition: 4}) == 0
    assert logs[1].write(world.judges().judge(messages[:6]), {partition: 6}) == 4
    # The first does not know of the second.
    with pytest.raises(Conflict):
        logs[0].write(world.judges().judge(messages[4:]), {partition: 10})
    assert logs[0].write(world.judges().judge(messages[4:]), {partition: 10}) == 2
    assert sorted(world.logged()["id"]) == sorted(prediction_id(GROUP, one) for one in messages)


def test_the_log_holds_what_was_declared_of_it_and_no_more(world: World) -> None:
    partition = Partition("rides", 0)
    values = [value(distance=float(place), hour=1) for place in range(200)] + [value(distance="secret street", hour=1)]
    messages = [Message(partition=partition, offset=place, time_ms=1, value=one) for place, one in enumerate(values)]
    rules = LogRules(share=0.5, drop=frozenset({"hour"}), hash=frozenset({"distance"}), key=b"k" * 16)
    judged = world.judges().judge(messages)
    for _ in range(2):
        log = StreamLog(world.tables, SystemClock(), "late", f"cluster/{GROUP}", rules)
        log.write(judged, {partition: len(messages)})
    found = world.logged()
    assert 60 < found.height < 140
    assert set(found["share"]) == {0.5}
    assert set(found["id"]) == {one for one in judged.entry.ids if rules.takes(one)}
    assert "feature_hour" not in found.columns
    assert found.schema["feature_distance"] == pl.String
    (reason,) = world.logged("prediction_errors")["reason"]
    assert reason == "refused; what it says of distance is not logged"


def test_an_id_is_the_messages_own() -> None:
    message = Message(partition=Partition("rides", 2), offset=7, time_ms=1_700_000_000_000)
    name = prediction_id("g", message)
    assert name == prediction_id("g", Message(partition=Partition("rides", 2), offset=7, time_ms=1_700_000_000_000))
    assert name[14] == "7"
    assert name[19] in "89ab"
    assert datetime.fromtimestamp(int(name[:8] + name[9:13], 16) / 1000, UTC).year == 2023
    others = [("h", 2, 7), ("g", 3, 7), ("g", 2, 8)]
    made = {prediction_id(group, Message(partition=Partition("rides", p), offset=o)) for group, p, o in others}
    assert len(made | {name}) == 4


def test_event_time_and_key_may_stand_in_the_row(bundle: Path) -> None:
    beside: list[dict[str, Any]] = [
        {"at": "2013-04-01T12:00:00Z", "ride": 17},
        {},
        {"at": "yesterday"},
        {"ride": ["no"]},
    ]
    found = judge(bundle, event_time="at", key="ride").judge(
        [
            Message(
                partition=Partition("rides", 0),
                offset=offset,
                time_ms=5,
                key=b"mine",
                value=value(distance=1.0, hour=2, **more),
            )
            for offset, more in enumerate(beside)
        ]
    )
    moment = int(datetime(2013, 4, 1, 12, tzinfo=UTC).timestamp() * 1_000_000)
    assert found.entry.keys == ["17", "mine"]
    assert found.entry.event_times == [moment, 5_000]
    assert [one.message.offset for one in found.refused] == [2, 3]


def test_what_the_model_itself_refuses_spoils_no_other(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = judge(bundle)
    plain = made._model.predict

    def moody(values: list[tuple[float, int]]) -> object:
        if any(row[0] == 6.0 for row in values):
            raise MemoryError("too far")
        return plain(values)

    monkeypatch.setattr(made._model, "predict", moody)
    messages = [
        Message(partition=Partition("rides", 0), offset=place, value=value(distance=float(place), hour=1))
        for place in range(9)
    ]
    found = made.judge(messages)
    assert [one.offset for one in found.messages] == [0, 1, 2, 3, 4, 5, 7, 8]
    assert [(one.message.offset, one.status) for one in found.refused] == [(6, 500)]
    assert "too far" in found.refused[0].reason
    assert len(found.answers) == len(found.entry.ids) == 8


def test_a_broker_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kept.app.streaming.kafka._PATIENCE", 0.5)
    settings = {"log_level": "0"}
    with pytest.raises(Unavailable, match="kafka"):
        Kafka("127.0.0.1:9", "g", "t", ("u",), settings)
    with pytest.raises(Invalid, match="settings of the client"):
        Kafka("127.0.0.1:9", "g", "t", ("u",), {"no.such.setting": "1"})


def test_settings_of_the_client_come_from_a_file_and_leave_alone_what_is_promised(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# where\nsecurity.protocol = SASL_SSL\n\nsasl.password=a=b\n")
    assert read_properties(file) == {"security.protocol": "SASL_SSL", "sasl.password": "a=b"}
    for line, said in (("acks=0", "acks is not to be set"), ("nothing", "is no setting")):
        file.write_text(line)
        with pytest.raises(Invalid, match=said):
            read_properties(file)
    with pytest.raises(Invalid, match="cannot be read"):
        read_properties(tmp_path / "none")


def test_a_time_that_no_table_holds_stops_nothing(world: World) -> None:
    producer = Producer({"bootstrap.servers": world.broker.address})
    for moment in (2**62, 253_402_300_800_000, 1_700_000_000_000):
        producer.produce(world.topic, value=GOOD, timestamp=moment)
        producer.produce(world.topic, value=b"{", timestamp=moment)
    assert producer.flush(30) == 0
    world.run(6)
    assert world.logged().height == world.logged("prediction_errors").height == 3
    assert sum(moment.year == 2023 for moment in world.logged()["received_at"]) == 1


def test_messages_too_large_to_be_sent_on_whole_stop_nothing(world: World) -> None:
    producer = Producer({"bootstrap.servers": world.broker.address, "message.max.bytes": 2_000_000})
    producer.produce(world.topic, value=b"{" * 1_040_000, headers=[("from", b"test")])
    producer.produce(world.topic, value=GOOD, headers=[("from", b"t" * 1_040_000)])
    assert producer.flush(30) == 0
    world.run(2)
    (letter,) = world.broker.read(world.topics.dead_letters, 1)
    assert letter.value() is None
    assert list(dict(letter.headers() or ())) == ["kept-source", "kept-reason", "kept-id", "kept-left-out"]
    (answer,) = world.broker.read(world.topics.answers, 1)
    assert json.loads(answer.value() or b"")["id"]
    assert list(dict(answer.headers() or ())) == ["kept-source", "content-type", "kept-left-out"]
