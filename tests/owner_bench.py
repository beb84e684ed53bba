"""One partition's owner on a real disk, with a log, a publisher and a fence in memory, moved by hand.

Used by the owner's tests: about the log, and about requests.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from infra.clock import HandClock
from infra.kafka import PublishFailure
from infra.settings import Settings
from infra.state import Store
from schemas.codec import EVENT
from schemas.errors import Permanent
from schemas.records import Event
from streams.checkpoint import checkpoint_of
from streams.consequences import Author
from streams.keys import Keys
from streams.message_state import Place
from streams.outbox import Outbox
from streams.owner import Ground, Owner
from streams.request_feed import Feed
from streams.rules import Rules
from tests.factories import T0

if TYPE_CHECKING:
    from infra.worker import Worker

KEYS = Keys(1, 0)


class Found(Struct):
    """A record of the log."""

    offset: int
    value: bytes | None
    timestamp: int = T0
    key: bytes | None = None
    topic: str = ""


class Batch:
    """Holds its records until they are acknowledged by hand."""

    def __init__(self, log: "Log") -> None:
        self.log = log
        self.sent: list[tuple[str, bytes]] = []
        self.failures: list[PublishFailure] = []
        self.is_acknowledged = asyncio.Event()

    def send(self, topic: str, value: bytes, *_: object) -> None:
        """Keep it; a record without room is refused at once."""
        if self.log.limit_bytes and len(value) > self.log.limit_bytes:
            raise Permanent("too_large", "too many bytes")  # type: ignore[arg-type]  # the word is enough here
        self.sent.append((topic, value))

    async def wait(self) -> list[PublishFailure]:
        """Done when acknowledged."""
        await self.is_acknowledged.wait()
        return self.failures


class Log:
    """Everything an owner reaches of the worker: the log's tail, the publisher, the fence, tasks."""

    def __init__(self) -> None:
        self.records: list[Found] = []
        self.delays: list[Found] = []
        self.batches: list[Batch] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.is_owner = True
        self.limit_bytes = 0
        self.first = 0
        self.asked = 0
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.tail = self.publisher = self.fence = self

    def append(self, *events: Event | bytes) -> None:
        """Records at the log's end."""
        for event in events:
            raw = event if isinstance(event, bytes) else EVENT.encode(event)
            self.records.append(Found(len(self.records), raw))

    def of(self, topic: str) -> list[Found]:
        """The records of a topic."""
        return self.delays if topic.startswith("delays") else self.records

    async def begin_offset(self, topic: str, _partition: int) -> int:
        """The first offset still kept."""
        return self.first if self.of(topic) is self.records else 0

    async def end_offset(self, topic: str, _partition: int) -> int:
        """The log's end."""
        self.asked += self.of(topic) is self.records
        return len(self.of(topic))

    async def offset_for_time(self, _topic: str, _partition: int, ts_ms: int) -> int:
        """The first record of that time or later."""
        return next((record.offset for record in self.records if record.timestamp >= ts_ms), len(self.records))

    async def read(
        self, topic: str, _partition: int, start: int, end: int, on_records: Callable[[Sequence[Found]], None]
    ) -> int:
        """Records from start to end."""
        await self.may_read.wait()
        on_records(self.of(topic)[start:end])
        return end - start

    def held_batch(self) -> Batch:
        """A batch."""
        self.batches.append(Batch(self))
        return self.batches[-1]

    def is_fresh(self) -> bool:
        """Whether the heartbeat is young."""
        return self.is_owner

    async def wait_fresh(self, is_given_up: Callable[[], bool]) -> bool:
        """Fresh, or given up."""
        while not is_given_up():
            if self.is_owner:
                return True
            await asyncio.sleep(0)
        return False

    def task(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it."""
        self.tasks.append(asyncio.get_running_loop().create_task(coro))
        return self.tasks[-1]


class Bench:
    """An owner on a real disk with a log in memory."""

    def __init__(self, folder: Path) -> None:
        self.log, self.clock, self.store = Log(), HandClock(T0), Store(folder / "db")
        outbox = Outbox(Settings(home=folder, namespace=""), "normal")
        rules = Rules(Author("normal", "test"), 30_000, lambda _: 100)
        feed = Feed(cast("Worker", self.log), outbox.requests)
        self.ground = Ground(cast("Worker", self.log), self.clock, self.store, outbox, rules, feed, 1)
        self.owner = Owner(self.ground, KEYS, 0)

    async def settled(self) -> None:
        """Let every task go as far as it can."""
        for _ in range(20):
            await asyncio.sleep(0)

    def take(self, first: int, *events: Event) -> "asyncio.Future[None]":
        """The group delivers events that stand in the log from `first` on."""
        return self.owner.take([(Place(first + index, T0), event) for index, event in enumerate(events)])

    def acknowledge(self, *which: int) -> None:
        """These batches, or all, are acknowledged."""
        for index in which or range(len(self.log.batches)):
            self.log.batches[index].is_acknowledged.set()

    def stages(self, batch: int) -> list[str]:
        """What a batch appends to the log."""
        return [EVENT.decode(value).stage for topic, value in self.log.batches[batch].sent if topic == "events.normal"]

    def position(self) -> int:
        """How far the state on disk is."""
        found = checkpoint_of(self.store, KEYS)
        return found.position if found is not None else -1
