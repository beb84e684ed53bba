from collections.abc import Callable
from typing import Any

import pytest

from infra.clock import HandClock
from infra.kafka import PublishFailure, QueueFullError
from producers import link
from producers.acknowledgement import NotAcknowledgedError, UnacknowledgedError
from producers.publisher import ClientOptions, MedpostClient
from producers.requests import MessageRequest
from schemas import ids
from schemas.codec import MESSAGE
from schemas.errors import Permanent, UnavailableError

SILENCE = PublishFailure("messages.normal", -192, "_MSG_TIMED_OUT", is_permanent=False, text="")
Report = Callable[[PublishFailure | None], None]


class Wire:
    """Stands for librdkafka: keeps what was handed to it, and answers when told to (or at once)."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.reports: list[Report] = []
        self.answers_at_once = True
        self.answers_beyond = 1_000
        self.most_open = 0
        self.refusals = 0
        self.on_full: Callable[[], None] = lambda: None
        self.settings: dict[str, object] = {}

    def publish(
        self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]], on_report: Report
    ) -> None:
        """Take a record, or be full."""
        if self.refusals:
            self.refusals -= 1
            self.on_full()
            raise QueueFullError("full")
        message = MESSAGE.decode(value)
        self.records.append({"topic": topic, "key": key, "headers": dict(headers), "message": message})
        if self.answers_at_once:
            on_report(None)
        else:
            self.reports.append(on_report)
            self.most_open = max(self.most_open, len(self.reports))
        if len(self.reports) > self.answers_beyond:
            self.reports.pop(0)(None)

    def close(self, timeout_s: float) -> int:
        """As the real one: how many have no answer."""
        return len(self.reports)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """The publisher's place taken by a wire that the test holds."""
    found = Wire()
    monkeypatch.setattr(link, "Publisher", lambda _bootstrap, **settings: found.settings.update(settings) or found)
    monkeypatch.setattr(link, "ROOM_WAIT_S", 0)
    return found


def client_of(clock: HandClock | None = None, **options: Any) -> MedpostClient:
    """A client of the laboratory."""
    return MedpostClient("b:9092", "lis", "lis-1", "s" * 32, ClientOptions(clock=clock or HandClock(), **options))


def report(reference: str = "", **more: Any) -> MessageRequest:
    """A laboratory report for somebody."""
    return MessageRequest(type="lab_report", recipient=("patient_id", "P0001"), reference=reference, **more)


def test_a_message_is_sent_with_its_token_and_says_its_id(wire: Wire) -> None:
    """The record has the id that was returned, the bearer header, and the lane's topic."""
    client = client_of(namespace="h1")
    message_id = client.send(
        type="lab_report",
        recipient=("patient_id", "P0001"),
        personalisation={"item": "血常规"},
        traceparent="00-ab-cd-01",
    )
    (record,) = wire.records
    assert record["message"].message_id == message_id
    assert record["message"].personalisation == {"item": "血常规"}
    assert record["topic"] == "h1.messages.normal"
    assert record["headers"]["authorization"].startswith(b"Bearer ")
    assert record["headers"]["traceparent"] == b"00-ab-cd-01"


def test_the_same_reference_is_the_same_message(wire: Wire) -> None:
    """Its id derives from application and reference, and so does its key; without one every message is another."""
    client = client_of()
    same = {client.submit(report("r1")).result() for _ in range(3)}
    assert same == {ids.show(ids.from_reference("lis", "r1"))}
    assert len({client.submit(report()).result() for _ in range(3)}) == 3
    assert len({record["key"] for record in wire.records}) == 4


def test_a_given_id_is_kept_and_a_wrong_one_refused(wire: Wire) -> None:
    """Trying again under the id of an error is the same message."""
    given = ids.show(ids.mint(0, bytes(10)))
    assert client_of().submit(report(message_id=given)).result() == given
    with pytest.raises(Permanent, match="UUID"):
        client_of().submit(report(message_id="17"))


def test_the_lane_is_the_types_and_can_only_be_lowered(wire: Wire) -> None:
    """An unknown type travels as normal; `priority` never raises."""
    client = client_of(lanes={"critical_value": "urgent", "follow_up": "bulk"})
    cases = {
        ("critical_value", ""): "urgent", ("critical_value", "bulk"): "bulk", ("follow_up", "urgent"): "bulk",
        ("other", ""): "normal", ("other", "urgent"): "normal",
    }  # fmt: skip
    for (kind, priority), lane in cases.items():
        assert client.lane_of(MessageRequest(type=kind, priority=priority)) == lane


def test_a_salt_keys_by_the_recipient_and_tells_nothing(wire: Wire) -> None:
    """One recipient, one key, whatever the reference; the key is no plain hash of who it is."""
    client = client_of(recipient_salt=b"salt")
    client.submit(report("a"))
    client.submit(report("b"))
    other = client_of(recipient_salt=b"other")
    other.submit(report("c"))
    keys = [record["key"] for record in wire.records]
    assert keys[0] == keys[1] != keys[2]
    assert all(len(key) == 16 for key in keys)


def test_silence_raises_with_the_id_to_try_again_under(wire: Wire) -> None:
    """A delivery that timed out is never swallowed."""
    wire.answers_at_once = False
    answer = client_of().submit(report("r1"))
    wire.reports[0](SILENCE)
    with pytest.raises(NotAcknowledgedError) as raised:
        answer.result()
    assert raised.value.message_id == ids.show(ids.from_reference("lis", "r1"))
    assert raised.value.reference == "r1"


def test_a_full_queue_pushes_back_and_then_gives_up_by_name(wire: Wire) -> None:
    """A short stop is waited for; one as long as the delivery timeout is said, with the id."""
    clock = HandClock()
    wire.on_full = lambda: clock.advance(1000)
    wire.refusals = 5
    client = client_of(clock, delivery_timeout_s=10)
    assert client.submit(report("r1")).done()
    wire.refusals = 100
    with pytest.raises(NotAcknowledgedError, match="full"):
        client.submit(report("r2"))
    assert client.close() == ()


def test_many_end_one_by_one_in_order(wire: Wire) -> None:
    """A wrong one in the middle costs itself only, and no more than the window is open at once."""
    client = client_of()
    many = [report("a"), MessageRequest(type=""), report("c", message_id="17"), report("d", priority="high")]
    ended = list(client.send_many(many, in_flight=2))
    assert [bool(sent.error) for sent in ended] == [False, True, False, True]
    assert [sent.request for sent in ended] == many


def test_the_window_bounds_what_is_open(wire: Wire) -> None:
    """With two in flight, a third is not handed over before the first has its answer."""
    wire.answers_beyond = 1
    wire.answers_at_once = False
    ended = client_of().send_many((report(str(number)) for number in range(5)), in_flight=2)
    assert [next(ended).request.reference for _ in range(4)] == ["0", "1", "2", "3"]
    assert len(wire.records) == 5
    wire.reports.pop()(None)
    assert next(ended).request.reference == "4"
    assert wire.most_open == 2


def test_closing_says_what_is_not_acknowledged(wire: Wire) -> None:
    """Ids are returned, waiters are told, and a late report changes nothing any more."""
    wire.answers_at_once = False
    client = client_of()
    answer = client.submit(report("r1"))
    assert client.close(timeout_s=0) == (ids.show(ids.from_reference("lis", "r1")),)
    with pytest.raises(NotAcknowledgedError, match="closed"):
        answer.result()
    wire.reports[0](None)
    with pytest.raises(UnavailableError):
        client.submit(report("r2"))


def test_leaving_the_block_raises_when_something_is_left(wire: Wire) -> None:
    """A forgotten answer is no silent loss; an error on its way out is not covered up."""
    wire.answers_at_once = False
    with pytest.raises(UnacknowledgedError) as raised, client_of() as client:
        client.submit(report("r1"))
    assert len(raised.value.left) == 1
    with pytest.raises(StopIteration), client_of() as client:
        next(client.submit(report("r1")) for _ in ())


def test_what_is_on_its_way_cannot_be_called_back(wire: Wire) -> None:
    """Cancelling an answer would hide what became of the message."""
    wire.answers_at_once = False
    assert not client_of().submit(report("r1")).cancel()


def test_the_queue_is_bounded_and_every_replica_asked(wire: Wire) -> None:
    """The options reach the producer: records queued, delivery timeout; idempotence is its default."""
    client_of(queued_records=7, delivery_timeout_s=3)
    assert wire.settings["queue_buffering_max_messages"] == 7
    assert wire.settings["delivery_timeout_ms"] == 3000
