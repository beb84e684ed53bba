"""Bench case `idle.p99_ms`: from `accepted` in the log to the provider's call, 50 messages a second, nothing else.

Real settle, real sinks and the simulated provider, each in its own process: accepted, issued, read back, delivery,
claim, call. Both ends are read from clocks of this machine: the broker's append time and the simulator's arrival time.
As a program: `python -m tests.bench.case_idle BOOTSTRAP [MESSAGES]` prints one figure.
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra import crypto
from schemas import topics
from schemas.codec import CONTENT
from schemas.partitioner import partition_of
from schemas.statuses import Lane, Stage
from tests import settle_rig
from tests.factories import accepted, plan, plan_channel
from tests.integration.sink_stage import SAMPLES, SinkStage, now_ms, wait_for

NAME: Final = "idle.p99_ms"
UNIT: Final = "ms"
GOAL: Final = 100.0
MESSAGES: Final = 800
PER_S: Final = 50.0
WARM: Final = 50
"""Messages before those that count: the first ones pay for connections."""


def run(kafka: str, messages: int = MESSAGES) -> float:
    """The 99th percentile of one run, ms."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        return percentile(list(latencies(kafka, Path(folder), messages).values()), 0.99)


def percentile(figures: list[int], part: float) -> float:
    """The smallest figure that is not less than that part of them."""
    ordered = sorted(figures)
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * part))])


def latencies(kafka: str, folder: Path, messages: int, lane: Lane = Lane.NORMAL) -> Mapping[bytes, int]:
    """Milliseconds from accepted to the provider's first call, by message, without the warm-up."""
    stage = SinkStage(kafka, folder, lane)
    settle = settle_rig.start_settle(stage.settings, folder / "settle.log", lane=lane)
    try:
        stage.apply()
        stage.start_sinks()
        fed = [feed_one(stage, number) for number in range(WARM)]
        wait_for(lambda: len(stage.calls()) >= WARM, 60, "the warm-up's calls")
        begun = time.monotonic()
        for number in range(messages):
            time.sleep(max(0.0, begun + number / PER_S - time.monotonic()))
            fed.append(feed_one(stage, WARM + number))
        wait_for(lambda: len(stage.calls()) >= len(fed), 60, "every call")
        called: dict[bytes, int] = {}
        for call in stage.calls():
            called.setdefault(bytes.fromhex(call["message_id"]), call["at"])
        begins = {
            event.message_id: record.timestamp
            for record, event in settle_rig.log_of(stage.settings, lane)
            if event.stage == Stage.ACCEPTED
        }
    finally:
        settle_rig.stop(settle)
        stage.close()
    return {of: called[of] - begins[of] for of in fed[WARM:]}


def feed_one(stage: SinkStage, number: int) -> bytes:
    """Append one accepted message for the SMS channel; its id."""
    now, of = now_ms(), spread_id(number)
    content = CONTENT.encode(SAMPLES["sms"].content_for("0000"))
    sealed = stage.keyring.ring("parts").seal(content, crypto.part_place(of, "sms"))
    asked = plan(0.6, [plan_channel("sms", 0.9, sealed=sealed)], expires_at=now + 600_000)
    event = accepted(of, asked, at=now, accepted_at=now, lane=stage.lane)
    topic = stage.name(topics.events(stage.lane))
    settle_rig.publish(stage.publisher, topic, event, partition_of(of, stage.settings.partitions))
    return of


def spread_id(number: int) -> bytes:
    """An id that spreads over the partitions."""
    return (number * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(16, "big")


if __name__ == "__main__":
    print(run(sys.argv[1], *map(int, sys.argv[2:])))  # noqa: T201 - the program's answer
