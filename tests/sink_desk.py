"""A sink's surroundings in memory: a log that acknowledges, a group that can take partitions away, a scripted provider.

For the unit tests of what stands between the transport and a channel. The claim memory, the limiter, the fence and the
sealing are the real ones; only the broker and the provider are not.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

from msgspec import structs

from infra import crypto
from infra.clock import HandClock
from infra.crypto import Ring
from infra.holds import Holds, key_of
from infra.hub.fence import Fence
from infra.hub.watermark import Watermark
from infra.kafka import LogRecord
from infra.registry import Snapshot
from infra.settings import Settings
from infra.worker import TP, Chunk, Record
from schemas.codec import CONTENT, DELIVERY, EVENT
from schemas.configuration import HOLD, ChannelConfig, Hold
from schemas.errors import UnavailableError
from schemas.records import Content, Delivery, Event
from schemas.statuses import Lane, Stage, Status
from sinks.agents import joining
from sinks.catalogue import Catalogue, Entry
from sinks.channel import Accepted, Answer, Capability, Channel, ProviderSettings, Request, Stamp
from sinks.claim import ANSWERS
from sinks.codebook import parse
from sinks.dispatch import Dispatch
from sinks.exchange import Exchange
from sinks.outlet import Outlets
from sinks.shift import Post
from sinks.takeover import Takeover
from tests.channel_samples import ACCEPTED_AT, delivery

ME: Final = "sinks.normal@here:1"
EVENTS: Final = "events.normal"
RING: Final = Ring("parts", {1: b"k" * 32})
Call = Callable[[Delivery], Awaitable[Accepted]]


class Scripted(Channel[ProviderSettings]):
    """A channel whose calls do what the test says, and are counted."""

    settings_type: ClassVar = ProviderSettings
    capability: ClassVar = Capability(
        frozenset({"text"}), (Status.ACCEPTED,), None, 1_000_000, 1_000, costs_money=False
    )
    calls: ClassVar[Counter[bytes]] = Counter()
    contents: ClassVar[list[Content]] = []
    answer: ClassVar[list[Call]] = []

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """Never used: `send` is scripted."""
        raise AssertionError

    def classify_response(self, answer: Answer) -> Accepted:
        """Never used either."""
        raise AssertionError

    async def send(self, delivery: Delivery, content: Content) -> Accepted:
        """Count, and do what the test says."""
        self.calls[delivery.message_id] += 1
        self.contents.append(content)
        return await self.answer[-1](delivery) if self.answer else Accepted(delivery.message_id.hex())


class Log:
    """The lane's events, in the order of acknowledgement; calls `on_append` for each before it is acknowledged."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.partitions: set[int] = set()
        self.on_append: Callable[[Event], Awaitable[None]] | None = None
        self.is_refusing = False
        self.tail_fails = 0
        self.tail_reads: list[int] = []

    def of(self, stage: str) -> list[Event]:
        """The events of one stage."""
        return [event for event in self.events if event.stage == stage]

    def answers(self) -> list[Event]:
        """The events that close attempts."""
        return [event for event in self.events if event.stage in ANSWERS]

    # what `infra.worker.LogTail` offers

    async def end_offset(self, topic: str, partition: int) -> int:
        """As many as there are."""
        if self.tail_fails:
            self.tail_fails -= 1
            raise UnavailableError("the broker is away")
        return len(self.events)

    async def offset_for_time(self, topic: str, partition: int, ts_ms: int) -> int:
        """The first event that is not older."""
        self.tail_reads.append(ts_ms)
        return next((at for at, event in enumerate(self.events) if event.at >= ts_ms), len(self.events))

    async def read(
        self, topic: str, partition: int, start: int, end: int, on_records: Callable[[Sequence[Record]], None]
    ) -> int:
        """Hand over that part, and one record that is none."""
        found: list[Any] = [_Kept(EVENT.encode(event)) for event in self.events[start:end]]
        no_event: Any = _Kept(b"no event")
        on_records([*found, no_event])
        return len(found)


class _Kept:
    def __init__(self, value: bytes, offset: int = 0, timestamp: int = ACCEPTED_AT) -> None:
        self.value, self.offset, self.timestamp = value, offset, timestamp
        self.topic, self.partition, self.key, self.headers = "", 0, None, ()


class _Batch:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._events: list[Event] = []

    def send(self, topic: str, value: bytes | None, key: bytes | None = None, *, partition: int = -1) -> None:
        event: Event = EVENT.decode(value)
        assert (topic, key) == (EVENTS, event.message_id)
        self._log.partitions.add(partition)
        self._events.append(event)

    async def wait(self) -> list[object]:
        await asyncio.sleep(0)
        for event in self._events:
            if self._log.on_append is not None:
                await self._log.on_append(event)
            if self._log.is_refusing:
                return ["refused"]
            self._log.events.append(event)
        return []


class Group:
    """The group as a chunk sees it: an epoch, and whether the flow runs."""

    def __init__(self) -> None:
        self.epoch: object = object()
        self.is_flowing = True
        self.watermark = Watermark()

    def revoke(self) -> None:
        """The partition is gone."""
        self.watermark.reset()
        self.epoch = self.watermark.epoch

    def chunk(self, deliveries: Sequence[Delivery], partition: int = 3, appended_at: int = ACCEPTED_AT) -> Chunk:
        """A chunk of the current epoch."""
        return self.raw_chunk([DELIVERY.encode(one) for one in deliveries], partition, appended_at)

    def raw_chunk(self, values: Sequence[bytes], partition: int = 3, appended_at: int = ACCEPTED_AT) -> Chunk:
        """A chunk of any bytes."""
        self.epoch = self.watermark.epoch
        ticket = self.watermark.open(TP("deliveries.fake.normal", partition), len(values), 1, 0.0)
        records: list[Any] = [_Kept(value, at, appended_at) for at, value in enumerate(values)]
        return Chunk(records, ticket, self)


class Registered:
    """The registry: one channel, changed at will."""

    def __init__(self) -> None:
        self.is_ready = True
        self.snapshot = Snapshot()
        self.secrets: dict[str, str] = {}
        self.put()

    def put(self, **told: Any) -> None:
        """Another configuration."""
        plain = ChannelConfig(
            "fake", "acme", base_url="http://x", rate_per_s=100_000, max_in_flight=1_000, timeout_ms=1_000
        )
        config = structs.replace(plain, **told)
        self.snapshot = Snapshot(channels=MappingProxyType({"fake": config}))

    def remove(self) -> None:
        """No channel at all."""
        self.snapshot = Snapshot()

    def channel_secrets(self, config: ChannelConfig) -> Mapping[str, str]:
        """Its secrets."""
        return self.secrets


class Desk:
    """Everything together; `dispatch` is what is tested."""

    def __init__(self) -> None:
        Scripted.calls.clear()
        Scripted.contents.clear()
        Scripted.answer.clear()
        self.clock = HandClock(ACCEPTED_AT)
        self.log = Log()
        self.group = Group()
        self.registry = Registered()
        self.fence = Fence(6.0, lambda: 0.0)
        self.fence.answered(0.0)
        book = parse("provider: acme\nsource: x\naccepted: [OK]\nreasons: {}\n", "acme.yaml")
        catalogue = Catalogue({("fake", name): Entry("fake", name, Scripted, book) for name in ("acme", "bold")})
        self.outlets = Outlets("fake", Lane.NORMAL, catalogue, self.registry, RING, self.clock)
        self.holds = Holds(Settings(home=Path("nowhere"), kafka="nowhere:0"))
        self.outlets.on_account = joining(Exchange(ME, self.clock, lambda _, __: None, lambda: False), self.holds)
        self.dispatch = self.another()

    def another(self, worker: str = ME) -> Dispatch:
        """A dispatcher with a memory of its own: another process."""
        post = Post(lambda: _Batch(self.log), self.fence, self.clock, EVENTS, worker, self.holds)
        return Dispatch("fake", "normal", post, self.outlets, Takeover(self.log, EVENTS, "fake", "normal"))

    def hold(self, scope: str, name: str, *, is_held: bool = True) -> None:
        """Hold something by hand, or release it."""
        hold = Hold(scope, name, is_held)
        self.holds.lay(LogRecord("config.holds", 0, self.holds.version + 1, 0, key_of(hold), HOLD.encode(hold), ()))

    def on_call(self, call: Call) -> None:
        """What every call does from now on."""
        Scripted.answer.append(call)

    @property
    def calls(self) -> Counter[bytes]:
        """Calls made, by message id."""
        return Scripted.calls

    async def begin(self, chunk: Chunk, dispatch: Dispatch | None = None) -> asyncio.Future[None]:
        """Hand over a chunk, as the agent's guard does; the work that finishes it."""
        return asyncio.ensure_future(await (dispatch or self.dispatch).take(chunk, None))

    async def work(self, *deliveries: Delivery, dispatch: Dispatch | None = None) -> None:
        """Hand over a chunk and wait until it is finished."""
        await asyncio.wait_for(await self.begin(self.group.chunk(deliveries), dispatch), 5)

    def stages(self) -> Counter[str]:
        """Events in the log by stage."""
        return Counter(event.stage for event in self.log.events)


def parcel(number: int = 1, **told: Any) -> Delivery:
    """A delivery of the fake channel, sealed as intake seals."""
    plain = delivery(number, "fake")
    content = CONTENT.encode(Content(address=f"address-{number}", kind="text", text=f"text-{number}"))
    sealed = RING.seal(content, crypto.part_place(plain.message_id, "fake"))
    return structs.replace(plain, **{"sealed": sealed, **told})


def claim_of(one: Delivery, worker: str = "sinks.normal@there:2", stage: str = Stage.SENDING) -> Event:
    """What another owner appended about a delivery."""
    return Event(
        one.message_id, stage, "fake", attempt=one.attempt, replay_id=one.replay_id, at=ACCEPTED_AT, worker=worker
    )
