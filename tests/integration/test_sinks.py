"""Sink processes on the real broker against the simulators: every delivery is answered, and none is sent twice."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.kafka import LogReader
from schemas import topics
from schemas.errors import Reason
from schemas.statuses import Lane, Stage, Status
from tests.integration.sink_stage import SinkStage, wait_for

FROZEN_S = 9.0
"""Longer than a session of 6 s."""


@pytest.fixture
def stage(kafka: str, tmp_path: Path) -> Iterator[SinkStage]:
    """An urgent lane with both channels configured."""
    made = SinkStage(kafka, tmp_path, Lane.URGENT)
    made.apply()
    yield made
    made.close()


def test_every_delivery_is_claimed_called_and_answered_once(stage: SinkStage) -> None:
    """Deliveries of both channels, good and bad ones among each other; bad ones cost nobody else anything."""
    stage.start_sinks()
    for number in range(1, 101):
        stage.issue(number, "sms" if number % 2 else "webhook")
    stage.issue(201, tail="0009")
    stage.issue(202, sealed=b"\x01\x01not sealed by us, and long enough")
    stage.issue(203, hold_ms=-1)
    topic = stage.name(topics.deliveries("sms", stage.lane))
    stage.publisher.publish(topic, b"no delivery", b"k", partition=0)
    found = stage.await_answers()
    assert all(len(answers) == 1 for answers in found.values())
    ends = Counter((events[0].stage, events[0].status, events[0].reason) for events in found.values())
    assert ends == {
        (Stage.OUTCOME, Status.ACCEPTED, ""): 50,
        (Stage.OUTCOME, Status.DELIVERED, ""): 50,
        (Stage.OUTCOME, Status.FAILED, Reason.CONTENT_REJECTED): 1,
        (Stage.OUTCOME, Status.FAILED, Reason.DECODE_ERROR): 1,
        (Stage.DROPPED, Stage.DROPPED, Reason.TOO_LATE): 1,
    }
    assert set(stage.claims().values()) == {1}
    assert set(stage.calls_by_message().values()) == {1}
    assert len(stage.calls()) == 101
    with LogReader(stage.settings.kafka) as reader:
        assert len(list(reader.read_all(stage.name(topics.DEAD)))) == 1


def test_events_carry_what_the_trace_needs_and_nothing_personal(stage: SinkStage) -> None:
    """Claim before answer, same partition, provider's id, worker; no number and no text anywhere in the log."""
    stage.start_sinks()
    stage.issue(1, attempt=3, possible_duplicate=True)
    stage.await_answers()
    with LogReader(stage.settings.kafka) as reader:
        records = list(reader.read_all(stage.name(topics.events(stage.lane))))
    claim, answer = stage.events()
    assert (claim.stage, answer.stage) == (Stage.SENDING, Stage.OUTCOME)
    assert {record.partition for record in records} == {records[0].partition}
    assert answer.provider == "aliyun"
    assert answer.provider_message_id
    assert answer.worker == claim.worker != ""
    assert (answer.attempt, answer.possible_duplicate, answer.app_id, answer.lane) == (3, True, "his", "urgent")
    assert 0 <= answer.latency_ms < 20_000
    assert not any(b"13800130000" in (record.value or b"") for record in records)
    assert not any("张三".encode() in (record.value or b"") for record in records)


def test_a_recipient_that_hangs_delays_nobody_else(stage: SinkStage) -> None:
    """While ten calls hang, the others are answered; then the ten are unknown."""
    stage.apply(timeout_ms=6_000)
    stage.start_sinks()
    stage.issue(1)
    stage.await_answers()
    stage.tell("script", {"match": "0031", "action": "hang", "ms": 12_000})
    hung = range(10, 20)
    for number in hung:
        stage.issue(number, tail="0031")
    for number in range(20, 70):
        stage.issue(number)
    found = {int.from_bytes(key[0], "big"): answers for key, answers in stage.await_answers().items()}
    assert {answer.provider_code for number in hung for answer in found[number]} == {"timeout"}
    assert {answer.stage for number in hung for answer in found[number]} == {Stage.UNKNOWN}
    others = [answer for number, answers in found.items() if number not in hung for answer in answers]
    assert {answer.stage for answer in others} == {Stage.OUTCOME}
    assert max(answer.at for answer in others) < min(answer.at for number in hung for answer in found[number])


def test_a_provider_that_cuts_the_line_is_called_once(stage: SinkStage) -> None:
    """What it read it may have sent: unknown, and no second call."""
    stage.start_sinks()
    for number in range(1, 21):
        stage.issue(number, "sms" if number % 2 else "webhook", tail="0008")
    found = stage.await_answers()
    assert {answers[0].stage for answers in found.values()} == {Stage.UNKNOWN}
    assert set(stage.calls_by_message().values()) == {1}


def test_a_killed_sink_leaves_no_second_call_and_no_silence(stage: SinkStage) -> None:
    """Killed in the middle of calls: its successor tells what was claimed as unknown, and sends the rest."""
    first = stage.start_sinks()
    stage.issue(1)
    stage.await_answers()
    stage.tell("script", {"action": "slow_ms", "ms": 1_500})
    for number in range(2, 62):
        stage.issue(number)
    wait_for(lambda: len(stage.calls()) > 20, 60, "calls under way")
    first.send_signal(signal.SIGKILL)
    first.wait()
    for number in range(62, 82):
        stage.issue(number)
    stage.start_sinks()
    found = stage.await_answers(40)
    assert set(stage.calls_by_message().values()) == {1}
    stages = Counter(answer.stage for answers in found.values() for answer in answers)
    assert stages[Stage.UNKNOWN] > 0
    assert stages[Stage.OUTCOME] >= 21
    for key, count in stage.claims().items():
        assert count == 1
        assert len(found[key]) == 1
    assert {key for key, answers in found.items() if answers[0].stage == Stage.UNKNOWN} <= stage.claims().keys()


def test_a_frozen_sink_that_wakes_up_sends_nothing_twice(stage: SinkStage) -> None:
    """SIGSTOP beyond the session with a backlog waiting for permits: another sink sends it, the woken one does not."""
    stage.apply(rate_per_s=60)
    first, _ = stage.start_sinks(), stage.start_sinks()
    for number in range(1, 9):
        stage.issue(number)
    stage.await_answers()
    stage.tell("script", {"action": "slow_ms", "ms": 300})
    for number in range(10, 130):
        stage.issue(number)
    first.send_signal(signal.SIGSTOP)
    waiting_at_freeze = 128 - len(stage.calls())
    time.sleep(FROZEN_S)
    first.send_signal(signal.SIGCONT)
    for number in range(130, 150):
        stage.issue(number)
    found = stage.await_answers(40)
    called = stage.calls_by_message()
    assert waiting_at_freeze > 20
    assert set(called.values()) == {1}
    for key, answers in found.items():
        stages = {answer.stage for answer in answers}
        assert Stage.OUTCOME not in stages or called[key] == 1
        assert stages != {Stage.DROPPED} or called[key] == 0


def test_a_graceful_stop_answers_what_it_claimed(stage: SinkStage) -> None:
    """SIGTERM in the middle of calls: they end, are answered, and nothing is left to guess."""
    first = stage.start_sinks()
    stage.issue(1)
    stage.await_answers()
    stage.tell("script", {"action": "slow_ms", "ms": 700})
    for number in range(2, 42):
        stage.issue(number)
    wait_for(lambda: len(stage.calls()) > 10, 60, "calls under way")
    began_s = time.monotonic()
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=60) == 0
    assert time.monotonic() - began_s < 10
    stage.start_sinks()
    found = stage.await_answers(30)
    assert {answers[0].stage for answers in found.values()} == {Stage.OUTCOME}
    assert set(stage.calls_by_message().values()) == {1}


def test_a_channel_switched_off_waits_and_switched_on_sends(stage: SinkStage) -> None:
    """The registry takes effect without a restart; a wrong setting closes the channel and not the process."""
    process = stage.start_sinks()
    stage.issue(1)
    assert stage.await_answers()[next(iter(stage.sent))][0].status == Status.ACCEPTED
    for number, told, status in (
        (2, {"status": "disabled"}, "deferred"),
        (3, {"settings": {"no_such_setting": "x"}}, "deferred"),
        (4, {}, "accepted"),
    ):
        stage.apply(**told)
        time.sleep(1.5)
        stage.issue(number)
        answer = stage.await_answers()[number.to_bytes(16, "big"), "sms"][0]
        assert (answer.status, answer.reason) == (status, "" if status == "accepted" else Reason.CONFIG_MISSING)
    assert process.poll() is None
