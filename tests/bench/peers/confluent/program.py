"""Plain confluent-kafka: consume 1,000, step, produce, flush: the yardstick, without an engine around it."""

import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer

sys.path.insert(0, str(Path(__file__).parent.parent))
from record import Clock, arguments, step

bootstrap, source, target, seconds = arguments()
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": f"step-confluent-{time.time_ns()}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
producer = Producer(
    {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 2, "batch.size": 262_144}
)
consumer.subscribe([source])
clock = Clock(seconds)
while not clock.is_over():
    found = consumer.consume(1_000, 1.0)
    if not found:
        if clock.started:
            break
        continue
    clock.begin()
    for message in found:
        key, value = step(message.value())
        producer.produce(target, value, key)
    if producer.flush(30):
        sys.exit("not acknowledged")
    clock.count += len(found)
    consumer.commit(asynchronous=True)
clock.report("confluent-kafka")
consumer.close()
