"""Brokers that speak Kafka's own protocol, in a process of their own: librdkafka's.

Prints their addresses. Each line of its input names a topic that is to be deleted, and is answered with `gone`; it ends with
its input.
"""

import ctypes
import sys

from confluent_kafka import cimpl

# The library that the client brings, whose brokers have more to them than the client's settings know.
kafka = ctypes.CDLL(cimpl.__file__)
for name in ("rd_kafka_new", "rd_kafka_mock_cluster_new"):
    getattr(kafka, name).restype = ctypes.c_void_p
kafka.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p

client = ctypes.c_void_p(kafka.rd_kafka_new(0, None, None, 0))
cluster = ctypes.c_void_p(kafka.rd_kafka_mock_cluster_new(client, 2))
# No second wait for further members of a group.
kafka.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
# Whoever asks for the id of a topic asks the controller.
kafka.rd_kafka_mock_set_controller_id(cluster, 1)
print(kafka.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
for line in sys.stdin:
    assert kafka.rd_kafka_mock_topic_delete(cluster, line.strip().encode()) == 0
    print("gone", flush=True)
