"""The receipts role over simulated vendors: what is asked and pulled, whose a receipt is, what is published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from infra import crypto
from infra.clock import HandClock
from infra.crypto import Ring
from infra.kafka import LogRecord
from infra.receipts.notice import Notice, Source, attempt_of, request_of
from infra.registry import Snapshot
from infra.simulators.exchange import Call
from infra.simulators.house import House
from infra.simulators.inbox import Journal
from schemas.codec import CONTENT, DELIVERY, EVENT, REQUEST
from schemas.configuration import ChannelConfig, MessageType, ProviderAccount, TypeChannel
from schemas.records import Delivery, Event, Request
from schemas.statuses import Stage, Status
from sinks import catalogue
from sinks.channel import Accepted, Answer, Caller, Mail, Stamp, UnknownOutcome
from sinks.channel import Request as HttpRequest
from sinks.receipts import Desk, Receipts
from sinks.unmatched import PATIENCE_MS
from tests.channel_samples import channel_of, delivery, sample_of

NOW = 1_760_000_000_000
RING = Ring("parts", {1: b"k" * 32})
ALIYUN, TENCENT = sample_of("sms_aliyun"), sample_of("sms_tencent")


class Wire(Caller):
    """Calls the simulated vendors without a network."""

    def __init__(self, house: House, clock: HandClock) -> None:
        super().__init__(1_000, 1, clock)
        self.house = house
        self.clock = clock
        self.count = self.closed = 0
        self.is_cut = False

    def stamp(self) -> Stamp:
        """A nonce of its own for every call."""
        self.count += 1
        return Stamp(self.clock.now_ms(), f"{self.count:032d}")

    async def close(self) -> None:
        """Hang up."""
        self.closed += 1

    async def call(self, request: HttpRequest | Mail) -> Answer:
        """The vendor's answer."""
        assert isinstance(request, HttpRequest)
        if self.is_cut:
            raise UnknownOutcome("timeout")
        path, _, query = request.url.removeprefix("http://h").partition("?")
        call = Call("POST", path, query, request.headers, request.body, self.clock.now_ms())
        reply = self.house.receive(path.split("/")[1], call).reply
        return Answer(reply.status, {}, reply.body, self.clock.now_ms())


class Log:
    """What the role reads, and what it published."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.records: list[tuple[str, bytes]] = []
        self.published: list[Request] = []
        self.is_started = self.is_refusing = False

    def start(self) -> None:
        """Read from now on."""
        self.is_started = True

    def take(self, limit: int) -> Iterator[LogRecord]:
        """What has come."""
        taken, self.records = self.records[:limit], self.records[limit:]
        for kind, value in taken:
            yield LogRecord(kind, 0, 0, self.clock.now_ms(), None, value, ())

    def kind_of(self, record: LogRecord) -> str:
        """Topics go by their kind here."""
        return record.topic

    def send(self, topic: str, value: bytes | None, key: bytes | None = None, *, partition: int = -1) -> None:
        """One record of a batch, on its way."""
        request: Request = REQUEST.decode(value)
        assert (topic, key, partition) == ("requests", request.request_id, -1)
        if not self.is_refusing:
            self.published.append(request)

    async def wait(self) -> list[object]:
        """Whether the broker has it."""
        return ["refused"] if self.is_refusing else []


class Registered:
    """The registry: both vendors, pulled."""

    is_ready = True

    def __init__(self, **told: Any) -> None:
        second = ProviderAccount(
            "tencent", base_url="http://h/tencent", settings={**TENCENT.settings, "pull": "on", "queries_per_s": "100"}
        )
        first = {**ALIYUN.settings, "pull": "on", "queries_per_s": "100"}
        config = ChannelConfig("sms", "aliyun", base_url="http://h/aliyun", settings=first, others=[second])
        kind = MessageType("queue_called", channels=[TypeChannel("sms", 0.9, "delivered")])
        self.snapshot = Snapshot(1, channels={"sms": structs.replace(config, **told)}, types={"queue_called": kind})

    def channel_secrets(self, config: ChannelConfig) -> dict[str, str]:
        """The samples' own."""
        return {**(ALIYUN if config.provider == "aliyun" else TENCENT).secrets}


class Stage_:  # noqa: N801 - a stage to play on, not the stages of the log
    """Everything together."""

    def __init__(self, folder: Path, **told: Any) -> None:
        self.clock = HandClock(NOW)
        self.house = House(Journal(folder / "journal.jsonl"))
        for sample in (ALIYUN, TENCENT):
            for kind, fact in sample.told:
                self.house.tell(kind, fact)
        self.wire = Wire(self.house, self.clock)
        self.log = Log(self.clock)
        desk = Desk(lambda _: self.wire, lambda: self.log, "requests", RING, self.clock)
        self.receipts = Receipts(catalogue.discover(), Registered(**told), self.log, desk)

    async def send(self, number: int, tail: str = "0000", provider: str = "aliyun", *, lost: bool = False) -> Delivery:
        """A message goes out over a provider, and the log says so; lost: its answer was not heard."""
        sample = ALIYUN if provider == "aliyun" else TENCENT
        content = sample.content_for(tail)
        one = delivery(number)
        place = crypto.part_place(one.message_id, "sms")
        one = structs.replace(one, sealed=RING.seal(CONTENT.encode(content), place))
        channel = channel_of(sample, f"http://h{sample.path}", self.wire)
        accepted: Accepted = await channel.send(one, content)
        self.log.records.append(("delivery", DELIVERY.encode(one)))
        known: dict[str, Any] = {"provider": provider, "type": one.type}
        answer = Event(one.message_id, Stage.UNKNOWN, "sms", 1, status="unknown", **known)
        if not lost:
            taken: dict[str, Any] = {"status": "accepted", "provider_message_id": accepted.provider_message_id}
            answer = Event(one.message_id, Stage.OUTCOME, "sms", 1, **taken, **known)
        self.log.records.append(("event", EVENT.encode(answer)))
        return one

    async def pass_by(self, seconds: int) -> None:
        """Let time pass, looking every second."""
        for _ in range(seconds):
            await self.receipts.look()
            self.clock.advance(1_000)
        await self.receipts.look()

    def told(self) -> list[tuple[bytes, str, str]]:
        """What was published: message, status, reason."""
        return [(one.message_id, one.status, one.reason) for one in self.log.published]


@pytest.fixture
def stage(tmp_path: Path) -> Stage_:
    """Both vendors, pulled."""
    return Stage_(tmp_path)


@pytest.mark.parametrize("provider", ["aliyun", "tencent"])
async def test_delivery_and_failure_are_found_once(stage: Stage_, provider: str) -> None:
    """Asked of one vendor, handed out by the other; each receipt is published once, in the provider's name."""
    good = await stage.send(1, "0000", provider)
    bad = await stage.send(2, "0004", provider)
    await stage.send(3, "0005", provider)
    await stage.pass_by(40)
    assert sorted(stage.told()) == [
        (good.message_id, "delivered", ""),
        (bad.message_id, "failed", "recipient_unreachable"),
    ]
    assert {(one.kind, one.channel, one.provider) for one in stage.log.published} == {("receipt", "sms", provider)}
    assert {attempt_of(one) for one in stage.log.published} == {1}


async def test_a_lost_answer_is_found_by_asking(stage: Stage_) -> None:
    """The vendor has it on its way: that is acceptance; then it says how it ended."""
    stage.house.tell("receipts", {"provider": "aliyun", "after_ms": 8_000})
    one = await stage.send(1, lost=True)
    await stage.pass_by(4)
    assert stage.told() == [(one.message_id, "accepted", "")]
    await stage.pass_by(10)
    assert stage.told()[1:] == [(one.message_id, "delivered", "")]


async def test_what_nobody_wants_to_know_is_not_asked(tmp_path: Path) -> None:
    """Without a provider that is pulled nothing is read, asked or called."""
    stage = Stage_(tmp_path, settings=ALIYUN.settings, others=[])
    await stage.send(1)
    calls = stage.wire.count
    await stage.pass_by(10)
    assert stage.wire.count == calls
    assert not stage.log.is_started
    assert stage.told() == []


async def test_a_vendor_that_does_not_answer_is_asked_again(stage: Stage_) -> None:
    """Nothing is concluded from silence."""
    one = await stage.send(1)
    stage.wire.is_cut = True
    await stage.pass_by(10)
    assert stage.told() == []
    stage.wire.is_cut = False
    await stage.pass_by(2)
    assert stage.told() == [(one.message_id, "delivered", "")]


async def test_asks_no_more_often_than_it_may(tmp_path: Path) -> None:
    """Ten messages at one question a second are ten seconds of work; all are told of in the end."""
    stage = Stage_(tmp_path, settings={**ALIYUN.settings, "pull": "on", "queries_per_s": "1"}, others=[])
    for number in range(1, 11):
        await stage.send(number)
    calls = stage.wire.count
    await stage.pass_by(6)
    assert 0 < stage.wire.count - calls <= 6
    await stage.pass_by(60)
    assert len(stage.told()) == 10
    assert {status for _, status, _ in stage.told()} == {"delivered"}


async def test_what_the_broker_does_not_take_is_published_again(stage: Stage_) -> None:
    """A receipt that was handed out once is not lost by us."""
    one = await stage.send(1, provider="tencent")
    stage.log.is_refusing = True
    await stage.pass_by(5)
    stage.log.is_refusing = False
    await stage.pass_by(1)
    assert stage.told() == [(one.message_id, "delivered", "")]


def pushed(provider_message_id: str, at_ms: int) -> bytes:
    """A pushed receipt that names only the provider's id, as the gateway publishes it."""
    notice = Notice(Status.DELIVERED, "", "DELIVRD", "", provider_message_id)
    request = request_of(notice, Source("sms", "tencent", at_ms))
    assert request is not None
    return REQUEST.encode(request)


@pytest.mark.parametrize("comes_first", [True, False])
async def test_a_pushed_receipt_finds_its_message(tmp_path: Path, *, comes_first: bool) -> None:
    """By the provider's id, also when it overtakes the answer that the id came with; the same one twice is one."""
    settings = {**TENCENT.settings}
    stage = Stage_(tmp_path, provider="tencent", base_url="http://h/tencent", settings=settings, others=[])
    if comes_first:
        stage.log.records += [("request", pushed("5000:104500000000000000000001", NOW))] * 2
        await stage.pass_by(1)
    one = await stage.send(1, provider="tencent")
    stage.log.records.append(("request", pushed("5000:104500000000000000000001", NOW + 1)))
    await stage.pass_by(1)
    assert stage.told() == [(one.message_id, "delivered", "")]
    assert attempt_of(stage.log.published[0]) == 1


async def test_a_follower_s_receipt_alone_makes_the_log_be_read(tmp_path: Path) -> None:
    """WeChat's pushes name its own id only, and nothing is asked of it: the log has to be followed all the same."""
    stage = Stage_(tmp_path, provider="template", base_url="http://h/wechat", settings={}, others=[])
    await stage.receipts.look()
    assert stage.log.is_started


async def test_a_receipt_about_nobodys_message_is_given_up(tmp_path: Path) -> None:
    """After ten minutes; nothing is guessed."""
    stage = Stage_(tmp_path, provider="tencent", base_url="http://h/tencent", settings={**TENCENT.settings}, others=[])
    stage.log.records.append(("request", pushed("5000:forged", NOW)))
    await stage.receipts.look()
    assert len(stage.receipts._unmatched) == 1
    stage.clock.advance(PATIENCE_MS + 1)
    await stage.receipts.look()
    assert len(stage.receipts._unmatched) == 0
    assert stage.told() == []


async def test_what_cannot_be_read_is_passed_over(stage: Stage_) -> None:
    """Whoever it is for makes a dead letter of it."""
    stage.log.records += [("event", b"x"), ("delivery", b"x"), ("request", b"x")]
    await stage.receipts.look()
    assert stage.told() == []


async def test_connections_are_let_go_at_the_end(stage: Stage_) -> None:
    """Of every account that is asked, and once."""
    await stage.receipts.look()
    assert stage.wire.closed == 0
    await stage.receipts.close()
    await stage.receipts.close()
    assert stage.wire.closed == 2
