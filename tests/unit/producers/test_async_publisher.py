import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from infra.clock import HandClock
from infra.kafka import PublishFailure, QueueFullError
from producers import link
from producers.acknowledgement import NotAcknowledgedError, UnacknowledgedError
from producers.async_publisher import AsyncMedpostClient
from producers.publisher import ClientOptions
from producers.requests import MessageRequest
from schemas import ids
from schemas.codec import MESSAGE
from schemas.errors import Permanent, UnavailableError

SILENCE = PublishFailure("messages.normal", -192, "_MSG_TIMED_OUT", is_permanent=False, text="")
Report = Callable[[PublishFailure | None], None]


class Wire:
    """Stands for librdkafka: keeps what was handed to it, and answers from another thread (or not)."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.failure: PublishFailure | None = None
        self.is_silent = False
        self.refusals = 0
        self.on_full: Callable[[], None] = lambda: None

    def publish(
        self, topic: str, value: bytes, _key: bytes, headers: list[tuple[str, bytes]], on_report: Report
    ) -> None:
        """Take a record, or be full."""
        if self.refusals:
            self.refusals -= 1
            self.on_full()
            raise QueueFullError("full")
        self.records.append((topic, MESSAGE.decode(value), dict(headers)))
        if not self.is_silent:
            one = threading.Thread(target=on_report, args=(self.failure,))
            one.start()
            one.join()

    def close(self, _timeout_s: float) -> int:
        """As the real one."""
        return 0


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """The publisher's place taken by a wire that the test holds."""
    found = Wire()
    monkeypatch.setattr(link, "Publisher", lambda _bootstrap, **_settings: found)
    monkeypatch.setattr(link, "ROOM_WAIT_S", 0)
    return found


def client_of(clock: HandClock | None = None, **options: Any) -> AsyncMedpostClient:
    """A client of the laboratory."""
    return AsyncMedpostClient("b:9092", "lis", "lis-1", "s" * 32, ClientOptions(clock=clock or HandClock(), **options))


def report(reference: str = "") -> MessageRequest:
    """A laboratory report for somebody."""
    return MessageRequest(type="lab_report", recipient=("patient_id", "P0001"), reference=reference)


async def test_a_message_is_sent_with_its_token_and_says_its_id(wire: Wire) -> None:
    """The same record as the other client's."""
    async with client_of(namespace="h1", lanes={"lab_report": "urgent"}) as client:
        message_id = await client.send(type="lab_report", recipient=("patient_id", "P0001"), traceparent="00-ab-cd-01")
        assert client.lane_of(report()) == "urgent"
    ((topic, message, headers),) = wire.records
    assert (topic, message.message_id) == ("h1.messages.urgent", message_id)
    assert headers["authorization"].startswith(b"Bearer ")
    assert headers["traceparent"] == b"00-ab-cd-01"


async def test_many_end_in_order_and_a_faulty_one_stops_nobody(wire: Wire) -> None:
    """Each with its id or its error."""
    many = [report("a"), MessageRequest(type=""), report("b")]
    async with client_of() as client:
        ended = [sent async for sent in client.send_many(many, in_flight=2)]
    assert [type(sent.error) for sent in ended] == [type(None), Permanent, type(None)]
    assert ended[2].message_id == ids.show(ids.from_reference("lis", "b"))


async def test_silence_raises_with_the_id_to_try_again_under(wire: Wire) -> None:
    """A delivery that timed out is never swallowed."""
    wire.failure = SILENCE
    answer = await client_of().submit(report("r1"))
    with pytest.raises(NotAcknowledgedError) as raised:
        await answer
    assert (raised.value.message_id, raised.value.reference) == (ids.show(ids.from_reference("lis", "r1")), "r1")


async def test_a_full_queue_is_waited_for_and_then_given_up_by_name(wire: Wire) -> None:
    """The loop goes on meanwhile."""
    clock = HandClock()
    wire.on_full = lambda: clock.advance(1000)
    wire.refusals = 5
    client = client_of(clock, delivery_timeout_s=10)
    assert await (await client.submit(report("r1")))
    wire.refusals = 100
    with pytest.raises(NotAcknowledgedError, match="full"):
        await client.submit(report("r2"))


async def test_closing_tells_what_is_left(wire: Wire) -> None:
    """By raising at the end of the block, and to whoever waits."""
    wire.is_silent = True
    with pytest.raises(UnacknowledgedError) as raised:
        async with client_of() as client:
            answer = await client.submit(report("r1"))
    assert raised.value.left == (ids.show(ids.from_reference("lis", "r1")),)
    with pytest.raises(NotAcknowledgedError):
        await answer
    with pytest.raises(UnavailableError, match="closed"):
        await client.submit(report())


async def test_giving_up_on_an_answer_harms_nobody(wire: Wire) -> None:
    """A cancelled wait is not answered twice."""
    wire.is_silent = True
    client = client_of()
    answer = await client.submit(report("r1"))
    answer.cancel()
    await asyncio.sleep(0)
    assert await client.close() == ()
