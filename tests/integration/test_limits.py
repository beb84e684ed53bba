"""A provider in trouble, a hold and a quota, with a real sink process on the real broker: nothing is lost or spins."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from console.cli.accounts import rows, uses
from infra.holds import read, write
from schemas.configuration import Hold
from schemas.errors import Reason
from schemas.records import Event
from schemas.statuses import Lane, Stage, Status
from tests.integration.sink_stage import SinkStage, now_ms, wait_for

COUNT: Final = 40
REFUSED: Final = 6
"""Five that break it, and the first probe."""
IN_EFFECT_S: Final = 1.5
"""A hold is in effect within a second; the rest is for a machine that does other things too."""


@pytest.fixture
def stage(kafka: str, tmp_path: Path) -> Iterator[SinkStage]:
    """An urgent lane with its channels configured and a sink that has sent once."""
    made = SinkStage(kafka, tmp_path, Lane.URGENT)
    made.apply()
    yield made
    made.close()


def latest(stage: SinkStage) -> dict[int, Event]:
    """The last answer to every message, by its number."""
    return {int.from_bytes(key[0], "big"): answers[-1] for key, answers in stage.answers().items()}


def settled(stage: SinkStage, number: int, timeout_s: float = 60.0) -> Event:
    """The answer to a delivery."""
    wait_for(lambda: number in latest(stage), timeout_s, f"an answer to {number}")
    return latest(stage)[number]


def test_a_provider_that_answers_503_is_left_alone_probed_and_used_again(stage: SinkStage) -> None:
    """Whoever is deferred is offered again when that was promised, as settle does: every message arrives once."""
    stage.start_sinks()
    stage.issue(1, "webhook")
    settled(stage, 1, 30.0)
    stage.tell("script", {"provider": "standard", "action": "code", "code": "503", "times": REFUSED})
    for number in range(2, COUNT + 1):
        stage.issue(number, "webhook")
        time.sleep(0.02)
    attempts: Counter[int] = Counter()
    stages: Counter[str] = Counter()
    end_s = time.monotonic() + 60
    while len(found := latest(stage)) < COUNT or any(event.status != Status.DELIVERED for event in found.values()):
        assert time.monotonic() < end_s, "not everything arrived"
        for number, event in found.items():
            is_open = event.status != Status.DELIVERED and event.until <= now_ms()
            if is_open and event.attempt == attempts[number] + 1:
                attempts[number] += 1
                stages[f"{event.stage} {event.reason} {event.retry} {event.scope}"] += 1
                stage.issue(number, "webhook", attempt=event.attempt + 1)
        time.sleep(0.1)
    assert stages["outcome transient later channel"] == REFUSED
    assert stages["deferred transient  account"] > 0
    called = Counter(call["outcome"] for call in stage.calls())
    assert called == {"taken": COUNT, "refused": REFUSED}
    assert stage.claims().total() == COUNT + REFUSED
    assert stages.total() < 6 * COUNT


def test_a_hold_stops_at_the_next_claim_and_a_quota_outlives_the_process(stage: SinkStage) -> None:
    """Held deliveries are deferred without a call, released ones go; what was called today is known to the next one."""
    stage.apply(per_day=6)
    first = stage.start_sinks()
    stage.issue(1, "webhook")
    settled(stage, 1, 30.0)
    write(stage.settings, Hold("channel", "webhook", is_held=True, at=now_ms()))
    time.sleep(IN_EFFECT_S)
    stage.issue(2, "webhook")
    answer = settled(stage, 2)
    assert (answer.stage, answer.reason, answer.scope) == (Stage.DEFERRED, Reason.HELD, "channel")
    assert [hold.name for hold in read(stage.settings)] == ["webhook"]
    write(stage.settings, Hold("channel", "webhook", at=now_ms()))
    time.sleep(IN_EFFECT_S)
    for number in range(3, 13):
        stage.issue(number, "webhook")
    stage.await_answers()
    assert len(stage.calls()) == 6
    used_up = [event for event in latest(stage).values() if event.reason == Reason.QUOTA_EXHAUSTED]
    assert len(used_up) == 5
    assert {(event.stage, event.scope) for event in used_up} == {(Stage.DEFERRED, "account")}
    first.send_signal(signal.SIGTERM)
    first.wait()
    stage.start_sinks()
    stage.issue(20, "webhook")
    assert settled(stage, 20, 30.0).reason == Reason.QUOTA_EXHAUSTED
    assert len(stage.calls()) == 6
    used_up_row = next(row for row in rows(uses(stage.settings), set(), now_ms()) if row["channel"] == "webhook")
    assert (used_up_row["calls"], used_up_row["per_day"]) == (6, 6)
