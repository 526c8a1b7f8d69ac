"""Brokers that speak Kafka's own protocol, in a process of their own: librdkafka's. Prints their addresses; ends with its input."""

import sys

from confluent_kafka import Producer

cluster = Producer({"test.mock.num.brokers": 2, "bootstrap.servers": "none:0", "log_level": 0})
brokers = cluster.list_topics(timeout=10).brokers.values()
print(",".join(f"{one.host}:{one.port}" for one in brokers), flush=True)
sys.stdin.read()
