"""The SDK against the real broker: what it returned is there, whatever happened to the broker meanwhile."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.kafka import LogReader, TopicSpec, provision
from infra.local import broker, processes
from infra.local.ports import any_port
from producers.acknowledgement import NotAcknowledgedError
from producers.async_publisher import AsyncMedpostClient
from producers.publisher import ClientOptions, MedpostClient, Sent
from producers.requests import MessageRequest
from schemas import topics
from schemas.codec import MESSAGE
from schemas.errors import Permanent
from schemas.partitioner import partition_of
from schemas.records import Message
from schemas.statuses import LANES

pytestmark = pytest.mark.slow
SECRET = "integration-only-0123456789-abcdefgh"


def provisioned(bootstrap: str) -> str:
    """A namespace of its own with the three lanes' topics."""
    namespace = f"t{uuid.uuid4().hex[:10]}"
    provision(bootstrap, [TopicSpec(topics.messages(lane).named(namespace), 4) for lane in LANES])
    return namespace


def messages_in(bootstrap: str, topic: str) -> list[Message]:
    """Every message of a topic."""
    with LogReader(bootstrap) as reader:
        return [MESSAGE.decode(record.value) for record in reader.read_all(topic)]


def report(number: int) -> MessageRequest:
    """One report of many."""
    return MessageRequest(
        type="lab_report",
        recipient=("patient_id", f"P{number:04}"),
        personalisation={"item": "血常规", "report_time": "14:30"},
        reference=f"L{number}",
    )


def test_what_send_returned_is_in_the_log(kafka: str) -> None:
    """The record decodes, lies in the partition that Java would choose, and carries the token."""
    namespace = provisioned(kafka)
    options = ClientOptions(namespace=namespace, lanes={"critical_value": "urgent"})
    with MedpostClient(kafka, "lis", "lis-1", SECRET, options) as client:
        message_id = client.send(
            type="critical_value", recipient=("staff_id", "S001"), personalisation={"item": "血清钾"}, reference="r1"
        )
    with LogReader(kafka) as reader:
        (record,) = reader.read_all(f"{namespace}.messages.urgent")
    assert MESSAGE.decode(record.value).message_id == message_id
    assert record.key is not None
    assert record.partition == partition_of(record.key, 4)
    assert dict(record.headers)["authorization"].startswith(b"Bearer ey")


@pytest.mark.timeout(300)
def test_a_broker_restart_loses_nothing(tmp_path: Path) -> None:
    """Killed and started again in the middle: every message is acknowledged, present, and has one id."""
    site = broker.site_under(tmp_path / "broker", any_port(), any_port())
    running = broker.start(site, os.environ, ends_with_parent=True)
    ended: list[Sent] = []
    try:
        namespace = provisioned(site.bootstrap)
        offered = 1500

        def paced() -> Iterator[MessageRequest]:
            for number in range(offered):
                time.sleep(0.003)
                yield report(number)

        def send() -> None:
            with MedpostClient(site.bootstrap, "lis", "lis-1", SECRET, ClientOptions(namespace=namespace)) as client:
                ended.extend(client.send_many(paced()))

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(2)
        os.kill(running.pid, 9)
        time.sleep(2)
        running = broker.start(site, os.environ, ends_with_parent=True)
        sender.join(150)
        found = messages_in(site.bootstrap, f"{namespace}.messages.normal")
    finally:
        processes.stop([running], broker.STOP_GRACE_S)
    assert [sent.error for sent in ended] == [None] * offered
    assert {message.message_id for message in found} == {sent.message_id for sent in ended}
    assert len({message.message_id for message in found}) == offered


def test_silence_is_said_and_trying_again_is_the_same_message(kafka: str) -> None:
    """Nobody listens: the error names the id; sent again where somebody does, it is that message."""
    namespace = provisioned(kafka)
    options = ClientOptions(namespace=namespace, delivery_timeout_s=1.0)
    with MedpostClient(f"127.0.0.1:{any_port()}", "lis", "lis-1", SECRET, options) as client:
        started = time.monotonic()
        with pytest.raises(NotAcknowledgedError) as raised:
            client.send(type="lab_report", recipient=("patient_id", "P0001"))
        assert time.monotonic() - started < 10
    with MedpostClient(kafka, "lis", "lis-1", SECRET, ClientOptions(namespace=namespace)) as client:
        again = client.send(type="lab_report", recipient=("patient_id", "P0001"), message_id=raised.value.message_id)
    assert again == raised.value.message_id
    assert [message.message_id for message in messages_in(kafka, f"{namespace}.messages.normal")] == [again]


def test_a_small_queue_pushes_back_and_loses_nothing(kafka: str) -> None:
    """With room for ten records, five hundred go through; the sender waits instead of dropping."""
    namespace = provisioned(kafka)
    options = ClientOptions(namespace=namespace, queued_records=10)
    with MedpostClient(kafka, "lis", "lis-1", SECRET, options) as client:
        ended = list(client.send_many(map(report, range(500))))
    assert sum(sent.error is None for sent in ended) == 500
    assert len(messages_in(kafka, f"{namespace}.messages.normal")) == 500


async def test_the_client_for_a_loop_keeps_the_same_promises(kafka: str) -> None:
    """A queue of ten, three hundred messages, one of them faulty: each acknowledged and there once, or told."""
    namespace = provisioned(kafka)
    options = ClientOptions(namespace=namespace, queued_records=10, lanes={"lab_report": "urgent"})
    many = [*map(report, range(150)), MessageRequest(type=""), *map(report, range(150, 300))]
    async with AsyncMedpostClient(kafka, "lis", "lis-1", SECRET, options) as client:
        ended = [sent async for sent in client.send_many(many, in_flight=50)]
        wanted = [client.id_of(report(number)) for number in range(300)]
    assert [sent.message_id for sent in ended if sent.error is None] == wanted
    assert [type(sent.error) for sent in ended].count(Permanent) == 1
    found = messages_in(kafka, f"{namespace}.messages.urgent")
    assert sorted(message.message_id for message in found) == sorted(wanted)
