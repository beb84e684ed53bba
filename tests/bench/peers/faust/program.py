"""Stock Faust: one agent, `await topic.send` per record (which queues; nothing waits for the acknowledgement)."""

import os
import sys
import tempfile
import time
from pathlib import Path

import faust

sys.path.insert(0, str(Path(__file__).parent.parent))
from record import Clock, arguments, step

bootstrap, source, target, seconds = arguments()
app = faust.App(
    f"step-faust-{time.time_ns()}",
    broker=f"kafka://{bootstrap}",
    datadir=tempfile.mkdtemp(),
    value_serializer="raw",
    key_serializer="raw",
    topic_disable_leader=True,
    topic_allow_declare=False,
    web_enabled=False,
    table_standby_replicas=0,
    producer_acks=-1,
    consumer_auto_offset_reset="earliest",
)
incoming = app.topic(source, key_type=bytes, value_type=bytes)
outgoing = app.topic(target, key_type=bytes, value_type=bytes)
clock = Clock(seconds)


@app.agent(incoming)
async def steps(stream):
    async for raw in stream:
        clock.begin()
        key, value = step(raw)
        await outgoing.send(key=key, value=value)
        clock.count += 1
        if clock.is_over():
            clock.report("faust-streaming", "aiokafka")
            os._exit(0)


sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
app.main()
