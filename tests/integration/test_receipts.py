"""The routing truth table with `delivered` as the level of success, end to end over two providers that are pulled.

Real settle, sinks and receipts processes, real broker, simulated vendors: what a recipient's last digits script is
what becomes of the message.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from infra import crypto
from infra.kafka import LogReader
from infra.registry_changes import Writer, changes, read_current
from infra.registry_files import Wanted
from schemas import ids, topics
from schemas.codec import CONTENT, OUTCOME
from schemas.configuration import MessageType, TypeChannel
from schemas.partitioner import partition_of
from schemas.records import Event, Outcome, Plan
from schemas.statuses import Lane, Stage
from tests import settle_rig
from tests.channel_samples import delivery
from tests.factories import plan_channel
from tests.integration.sink_stage import SAMPLES, SinkStage, now_ms, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TIMEOUT_MS = 8_000
ROLE = "from sinks import receipt_role\nfrom infra import settings\nreceipt_role.run(settings.load())\n"
TABLE = {
    ("0000", True): ("delivered", "", "sms"),
    ("0010", True): ("delivered", "", "sms"),
    ("0011", True): ("delivered", "", "sms"),
    ("0008", True): ("delivered", "", "sms"),
    ("0004", True): ("delivered", "", "webhook"),
    ("0005", True): ("delivered", "", "webhook"),
    ("0004", False): ("failed", "recipient_unreachable", "sms"),
    ("0005", False): ("failed", "unknown_outcome", "sms"),
}
"""(last digits, is there a fallback): how it ends, why, by which channel. 0008: the vendor hung up after reading."""
REPEATS = 4
"""Of every row, so that both providers carry some."""


@pytest.fixture
def stage(kafka: str, tmp_path: Path) -> Iterator[SinkStage]:
    """Everything between intake and the vendors."""
    made = SinkStage(kafka, tmp_path, Lane.NORMAL)
    made.apply(0.5, pulls=True, success_levels=["accepted", "delivered"])
    put_type(made)
    made.start_sinks()
    settle = settle_rig.start_settle(made.settings, tmp_path / "settle.log")
    made.processes += [settle]
    made._start("receipts", "-c", ROLE)
    yield made
    made.close()


def put_type(stage: SinkStage) -> None:
    """The registry's word on what counts as success, by which the receipts role knows what to ask about."""
    kind = MessageType("queue_called", channels=[TypeChannel("sms", 0.9, "delivered")])
    wanted = Wanted(types={kind.type: kind}, kinds=frozenset({"types"}))
    writer, current = Writer(stage.settings, stage.keyring), read_current(stage.settings, stage.keyring)
    writer.apply(current, wanted, changes(current, wanted, stage.keyring), "test", now_ms())
    writer.close()


def accept(stage: SinkStage, number: int, tail: str, *, has_fallback: bool) -> bytes:
    """Intake accepts a message to a recipient with these last digits; its id."""
    one, now = delivery(number), now_ms()
    channels = []
    for name, weight in (("sms", 0.9), ("webhook", 0.5)):
        content = CONTENT.encode(SAMPLES[name].content_for(tail if name == "sms" else "0000"))
        sealed = stage.keyring.ring("parts").seal(content, crypto.part_place(one.message_id, name))
        planned = plan_channel(name, weight, success="delivered", timeout_ms=TIMEOUT_MS)
        channels.append(structs.replace(planned, sealed=sealed))
    plan = Plan(
        reference=str(number),
        send_at=now,
        expires_at=now + 600_000,
        threshold=0.6,
        on_unknown="query",
        channels=channels if has_fallback else channels[:1],
    )
    event = Event(
        one.message_id, Stage.ACCEPTED, status="accepted", at=now, accepted_at=now, app_id="his", type=one.type,
        lane=stage.lane, plan=plan,
    )  # fmt: skip
    topic = stage.name(topics.events(stage.lane))
    settle_rig.publish(stage.publisher, topic, event, partition_of(one.message_id, stage.settings.partitions))
    return one.message_id


def outcomes(stage: SinkStage) -> dict[str, Outcome]:
    """The last outcome of every message."""
    with LogReader(stage.settings.kafka) as reader:
        told: list[Outcome] = [OUTCOME.decode(one.value) for one in reader.read_all(stage.name(topics.OUTCOMES))]
    return {one.message_id: one for one in told}


def test_delivered_is_what_receipts_say(stage: SinkStage) -> None:
    """Late, twice, before the answer, failed, none, and about a call whose answer was lost."""
    rows = [row for row in TABLE for _ in range(REPEATS)]
    sent = {
        ids.show(accept(stage, number, tail, has_fallback=has_fallback)): (tail, has_fallback)
        for number, (tail, has_fallback) in enumerate(rows, start=1)
    }
    wait_for(lambda: outcomes(stage).keys() == sent.keys(), 90, "every message final")
    found = {(sent[of], (one.status, one.reason, one.channel)) for of, one in outcomes(stage).items()}
    assert found == {*TABLE.items()}
    receipts = [event for event in stage.events() if event.stage == Stage.RECEIPT]
    assert {event.provider for event in receipts} == {"aliyun", "tencent"}
    assert {event.attempt for event in receipts} == {1}
