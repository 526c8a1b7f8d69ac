"""Topics that are deleted and made anew under their old name: their offsets begin again, and their messages are others."""

import gc
from pathlib import Path

import pytest
from brokers import Broker, value
from confluent_kafka import Consumer, Producer
from streams import Held, Judges, judge, message, scorer

from kept.app.streaming.kafka import Kafka
from kept.app.streaming.message import Message
from kept.core.errors import Invalid, Unavailable
from kept.store.tables import DeltaTables

MOMENT = 1_700_000_000_000


def fill(broker: Broker, topic: str, count: int) -> None:
    """Messages of one partition and one moment: only their place tells them from each other."""
    producer = Producer({"bootstrap.servers": broker.address})
    for place in range(count):
        producer.produce(topic, value=value(distance=float(place), hour=1), partition=0, timestamp=MOMENT)
    assert producer.flush(30) == 0


def kafka(broker: Broker, topic: str) -> Kafka:
    more = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}
    return Kafka(broker.address, f"{topic}-scorers", topic, (f"{topic}-answers",), more)


def drain(stream: Kafka, tables: DeltaTables, bundle: Path, wanted: int) -> None:
    turns, done = scorer(stream, stream, tables, Judges(judge(bundle, stream=stream.stream)), stream.stream), 0
    for _ in range(200):
        done += turns.turn()
        if done >= wanted:
            return
    raise AssertionError(f"{done} messages came")


def test_messages_of_a_topic_that_was_made_anew_are_scored_and_logged(
    broker: Broker, bundle: Path, topic: str, tmp_path: Path
) -> None:
    tables = DeltaTables(tmp_path)
    fill(broker, topic, 10)
    with kafka(broker, topic) as stream:
        drain(stream, tables, bundle, 10)
    broker.delete(topic)
    fill(broker, topic, 4)
    with kafka(broker, topic) as stream:
        assert stream.end(message(0, topic).partition) == 4
        # The brokers of this test keep what a group has committed of a topic that is gone; Kafka forgets it.
        messages = Held([message(place, topic, time_ms=MOMENT) for place in range(4)])
        turns = scorer(messages, messages, tables, Judges(judge(bundle, stream=stream.stream)), stream.stream)
        assert turns.turn() == 4
    logged = tables.read("predictions/late").collect()
    assert (logged.height, logged["id"].n_unique()) == (14, 14)


def test_a_topic_that_is_made_anew_under_a_running_scorer_ends_it(broker: Broker, topic: str) -> None:
    fill(broker, topic, 10)
    with kafka(broker, topic) as stream:
        taken: list[Message] = []
        for _ in range(200):
            taken += stream.take(10, 0.3)
            if len(taken) == 10:
                break
        broker.delete(topic)
        fill(broker, topic, 4)
        # Whether the client sees the topic gone or begun again: none of the new messages is handed out as one of the old.
        with pytest.raises(Unavailable):
            for _ in range(200):
                taken += stream.take(10, 0.3)
    assert len(taken) == 10


def test_a_topic_that_ends_before_what_was_scored_of_it_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Brokers that give topics no ids."""
    tables, judges = DeltaTables(tmp_path), Judges(judge(bundle))
    first = Held([message(place) for place in range(10)])
    assert scorer(first, first, tables, judges).turn() == 10
    anew = Held([message(place) for place in range(4)])
    with pytest.raises(Invalid, match="holds 4 messages, and 10 were scored: it was made anew"):
        scorer(anew, anew, tables, judges).turn()
    assert anew.sent == []


def test_who_finds_no_brokers_leaves_no_consumer_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kept.app.streaming.kafka._PATIENCE", 0.5)

    def consumers() -> int:
        return sum(isinstance(one, Consumer) for one in gc.get_objects())

    before = consumers()
    with pytest.raises(Unavailable) as held:
        Kafka("127.0.0.1:9", "g", "t", ("u",), {"log_level": "0"})
    assert consumers() == before, held
