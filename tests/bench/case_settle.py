"""Bench case `settle`: messages per second from `accepted` to final through one settle process.

Made beforehand and fed at once, with the fake sink in another process; a third of the messages have one channel, a
third a fallback that is not needed, a third two channels at once (1.33 deliveries and 6.3 events each). Measured from
the first accepted to the last first-completed record, by the broker's time stamps. As a program:
`python -m tests.bench.case_settle BOOTSTRAP [MESSAGES]` prints one figure.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from infra.kafka import LogReader
from schemas import topics
from schemas.statuses import Stage
from tests import settle_rig

NAME: Final = "settle"
UNIT: Final = "msg/s"
GOAL: Final = 4_000.0
MESSAGES: Final = 60_000
"""Some 15 s at the goal."""
TIMEOUT_S: Final = 120.0
WARM: Final = 200
"""Messages before the clock starts, so that every process has begun."""


def run(kafka: str, messages: int = MESSAGES) -> float:
    """Messages per second of one run; raises AssertionError when not every message became final, once."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        return measured(kafka, Path(folder), messages)


def measured(kafka: str, folder: Path, messages: int) -> float:
    """One run with its files in that folder."""
    settings = settle_rig.settings_for(kafka, f"bench.settle.{time.time_ns()}", folder)
    settle_rig.make_topics(settings)
    sink = settle_rig.start_sink(settings, folder / "calls")
    settle = settle_rig.start_settle(settings, folder / "settle.log", window="lambda channel: 2000")
    try:
        settle_rig.feed(settings, WARM)
        wait_for_outcomes(settings.kafka, settings.topic(topics.OUTCOMES.name), WARM)
        fed = settle_rig.feed_at_once(settings, messages)
        wait_for_outcomes(settings.kafka, settings.topic(topics.OUTCOMES.name), WARM + messages)
    finally:
        settle_rig.stop(sink, settle)
    accepted: dict[bytes, int] = {}
    completed: dict[bytes, int] = {}
    for record, event in settle_rig.log_of(settings):
        if event.message_id in fed and event.stage in (Stage.ACCEPTED, Stage.COMPLETED):
            (accepted if event.stage == Stage.ACCEPTED else completed).setdefault(event.message_id, record.timestamp)
    assert accepted.keys() == completed.keys() == fed.keys()
    return messages * 1000 / (max(completed.values()) - min(accepted.values()))


def wait_for_outcomes(kafka: str, topic: str, count: int) -> None:
    """Wait until that many outcomes are told."""
    until = time.monotonic() + TIMEOUT_S
    with LogReader(kafka) as reader:
        while sum(reader.end_offsets(topic).values()) < count:
            assert time.monotonic() < until, f"not {count} outcomes in {TIMEOUT_S} s"
            time.sleep(0.25)


if __name__ == "__main__":
    print(round(run(sys.argv[1], *map(int, sys.argv[2:]))))  # noqa: T201 - the program's answer
