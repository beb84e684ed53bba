"""sentry-arroyo: a run-task step and the Kafka producer step (which waits for the delivery futures)."""

import os
import sys
import time
from pathlib import Path

from arroyo import Topic
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.backends.kafka.configuration import build_kafka_configuration, build_kafka_consumer_configuration
from arroyo.commit import ONCE_PER_SECOND
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, Produce, RunTask
from arroyo.processing.strategies.abstract import ProcessingStrategyFactory

sys.path.insert(0, str(Path(__file__).parent.parent))
from record import Clock, arguments, step

bootstrap, source, target, seconds = arguments()
clock = Clock(seconds)
producer = KafkaProducer(
    build_kafka_configuration(
        default_config={}, bootstrap_servers=[bootstrap], override_params={"acks": "all", "enable.idempotence": True}
    )
)


def change(message):
    clock.begin()
    key, value = step(message.payload.value)
    return KafkaPayload(key, value, [])


def count(message):
    clock.count += 1
    if clock.is_over():
        clock.report("sentry-arroyo", "confluent-kafka")
        os._exit(0)
    return message.payload


class Factory(ProcessingStrategyFactory):
    def create_with_partitions(self, commit, partitions):
        return RunTask(change, Produce(producer, Topic(target), RunTask(count, CommitOffsets(commit))))


consumer = KafkaConsumer(
    build_kafka_consumer_configuration(
        default_config={},
        bootstrap_servers=[bootstrap],
        auto_offset_reset="earliest",
        group_id=f"step-arroyo-{time.time_ns()}",
    )
)
StreamProcessor(consumer, Topic(source), Factory(), ONCE_PER_SECOND).run()
