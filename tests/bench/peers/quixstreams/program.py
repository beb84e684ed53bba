"""quixstreams: one StreamingDataFrame with one apply (a record counts when it is queued, not when acknowledged)."""

import os
import sys
import tempfile
import time
from pathlib import Path

from quixstreams import Application

sys.path.insert(0, str(Path(__file__).parent.parent))
from record import Clock, arguments, step

bootstrap, source, target, seconds = arguments()
app = Application(
    broker_address=bootstrap,
    consumer_group=f"step-quix-{time.time_ns()}",
    auto_offset_reset="earliest",
    auto_create_topics=False,
    state_dir=tempfile.mkdtemp(),
    loglevel="ERROR",
    producer_extra_config={"acks": "all", "enable.idempotence": True, "linger.ms": 2},
)
incoming = app.topic(source, value_deserializer="bytes", key_deserializer="bytes")
outgoing = app.topic(target, value_serializer="bytes", key_serializer="bytes")
clock = Clock(seconds)


def apply(raw):
    clock.begin()
    return step(raw)[1]


def count(_):
    clock.count += 1
    if clock.is_over():
        clock.report("quixstreams", "confluent-kafka")
        os._exit(0)


app.dataframe(incoming).apply(apply).to_topic(outgoing, key=lambda value: value[1:37]).update(count)
app.run()
