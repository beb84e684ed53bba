import asyncio
from typing import Any

import pytest

from infra.kafka import Batch, PublishFailure, QueueFullError
from producers.gateway import outbox
from producers.gateway.outbox import Shipment
from producers.outgoing import Outgoing
from schemas.errors import Permanent, Reason, UnavailableError
from schemas.statuses import Lane


class Wire:
    """Stands for a lane's producer: keeps topics, reports at once with `failures` (or never when silent)."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.is_silent = False
        self.full = 0
        self.failures: list[PublishFailure] = []

    def batch(self) -> Batch:
        """A batch over this wire."""
        made = Batch(self)  # type: ignore[arg-type]  # only `produce` is used
        made._failures = self.failures
        return made

    def produce(self, topic: str, *_: Any, **__: Any) -> None:
        """Take a record, or be full."""
        if self.full:
            self.full -= 1
            raise QueueFullError("full")
        self.topics.append(topic)
        if not self.is_silent:
            asyncio.get_running_loop().call_soon(_[3], None, None)


def record(lane: Lane) -> Outgoing:
    """One record of a lane."""
    return Outgoing("7", lane, f"messages.{lane}", b"k", b"v")


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> dict[Lane, Wire]:
    """One wire a lane."""
    monkeypatch.setattr(outbox, "ROOM_WAIT_S", 0)
    return {lane: Wire() for lane in Lane}


def shipment(wires: dict[Lane, Wire], ack_s: float = 5) -> Shipment:
    """A shipment over the wires."""
    return Shipment(wires, ack_s)  # type: ignore[arg-type]  # wires for publishers


async def test_every_lane_has_its_own_producer_and_all_are_awaited(wires: dict[Lane, Wire]) -> None:
    """An urgent record never stands behind a bulk one."""
    sending = shipment(wires)
    for lane in (Lane.URGENT, Lane.BULK, Lane.BULK):
        sending.put(record(lane), [])
    await sending.arrived()
    assert [len(wires[lane].topics) for lane in Lane] == [1, 0, 2]


async def test_silence_is_told_in_time(wires: dict[Lane, Wire]) -> None:
    """Never a return without the broker's word."""
    wires[Lane.NORMAL].is_silent = True
    sending = shipment(wires, 0.01)
    sending.put(record(Lane.NORMAL), [])
    with pytest.raises(UnavailableError, match="in time"):
        await sending.arrived()


@pytest.mark.parametrize(("is_permanent", "error"), [(True, Permanent), (False, UnavailableError)])
async def test_what_the_broker_refuses_is_told(
    wires: dict[Lane, Wire], is_permanent: bool, error: type[Exception]
) -> None:
    """The record's own fault apart from the broker's."""
    wires[Lane.NORMAL].failures = [PublishFailure("t", 1, "NAME", is_permanent=is_permanent, text="")]
    sending = shipment(wires)
    sending.put(record(Lane.NORMAL), [])
    with pytest.raises(error, match="NAME"):
        await sending.arrived()


async def test_a_batch_waits_for_room_and_a_message_does_not(wires: dict[Lane, Wire]) -> None:
    """Until as long as an acknowledgement may take."""
    wires[Lane.NORMAL].full = 5
    with pytest.raises(QueueFullError):
        shipment(wires).put(record(Lane.NORMAL), [])
    await shipment(wires).put_patiently(record(Lane.NORMAL), [])
    wires[Lane.NORMAL].full = 1_000_000
    with pytest.raises(UnavailableError) as raised:
        await shipment(wires, 0.01).put_patiently(record(Lane.NORMAL), [])
    assert raised.value.reason == Reason.TRANSIENT
