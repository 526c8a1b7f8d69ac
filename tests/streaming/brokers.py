"""Brokers for streams, and what is sent to them."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from kept.core.ids import new_id

COLUMNS = ["distance", "hour"]


def rows(count: int) -> pl.DataFrame:
    random = np.random.default_rng(1)
    return pl.DataFrame({"distance": random.uniform(1, 9, count), "hour": random.integers(0, 24, count)})


def value(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@dataclass(frozen=True)
class Broker:
    """Brokers in a process of their own, and what stands in their topics."""

    address: str
    told: IO[str]
    said: IO[str]

    def fill(self, topic: str, messages: Sequence[tuple[str | None, bytes | None]]) -> None:
        producer = Producer({"bootstrap.servers": self.address})
        for key, value in messages:
            producer.produce(topic, value=value, key=key, headers=[("from", b"test")])
        assert producer.flush(60) == 0

    def delete(self, topic: str) -> None:
        """Deletes a topic; who fills it then makes it anew."""
        print(topic, file=self.told, flush=True)
        assert self.said.readline() == "gone\n"

    def read(self, topic: str, wanted: int = 0) -> list[Message]:
        """All messages of a topic: when there are as many as wanted, still those that come within a second."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": new_id(), "enable.auto.commit": False})
        partitions = consumer.list_topics(topic, timeout=60).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        found: list[Message] = []
        end = time.monotonic() + 60
        while time.monotonic() < end:
            came = consumer.consume(10_000, 1.0)
            found += [one for one in came if one.error() is None]
            if not came and len(found) >= wanted:
                break
        consumer.close()
        return found
