"""The shell of a partition: nothing before catch-up, writing in order of acknowledgement, silence after revocation."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec import Struct, structs

from infra.clock import HandClock
from infra.kafka import PublishFailure
from infra.settings import Settings
from infra.state import Store
from schemas.codec import EVENT
from schemas.errors import Permanent, UnavailableError
from schemas.records import Event, Request
from schemas.statuses import Stage
from streams import partition as partition_module
from streams.census import Counts
from streams.checkpoint import MAX_AGE_MS, checkpoint_of
from streams.consequences import Author
from streams.keys import Keys
from streams.message_state import Place
from streams.outbox import Outbox
from streams.owner import Ground, Owner
from streams.request_feed import Feed
from streams.requests import PATIENCE_MS, Asked
from streams.rules import Rules
from tests.factories import T0, accepted, answer, message_id, plan, rejected

if TYPE_CHECKING:
    from infra.worker import Record as LogRecord
    from infra.worker import Worker

ID = message_id(1)
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


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """An owner that has not begun."""
    return Bench(tmp_path)


async def test_the_groups_records_wait_for_catch_up(bench: Bench) -> None:
    """What catch-up has read is not folded again; what follows is."""
    first, second = accepted(ID, plan(0.6)), accepted(message_id(2), plan(0.6))
    bench.log.append(first, second)
    done = bench.take(0, first, second)
    await bench.settled()
    assert bench.log.batches == []
    await bench.owner.begin()
    await bench.settled()
    assert bench.stages(0) == [Stage.ISSUED, Stage.ISSUED]
    assert bench.stages(1) == []
    assert not done.done()
    bench.acknowledge()
    await bench.settled()
    assert done.done()


async def test_state_is_written_in_order_when_acknowledged(bench: Bench) -> None:
    """A later acknowledgement does not overtake: rows, and the chunk's end, follow the order of the log."""
    await bench.owner.begin()
    one, two = bench.take(0, accepted(ID, plan(0.6))), bench.take(1, accepted(message_id(2), plan(0.6)))
    bench.acknowledge(0, 2)
    await bench.settled()
    assert (one.done(), two.done(), bench.position()) == (False, False, 0)
    bench.acknowledge(1)
    await bench.settled()
    assert (one.done(), two.done(), bench.position()) == (True, True, 2)


async def test_nothing_is_written_after_revocation(bench: Bench) -> None:
    """What is acknowledged later stays out of the disk; waiting chunks are let go, new ones too."""
    await bench.owner.begin()
    bench.acknowledge()
    await bench.settled()
    done = bench.take(0, accepted(ID, plan(0.6)))
    bench.owner.drop()
    bench.acknowledge()
    await bench.settled()
    assert bench.position() == 0
    assert done.done()
    assert bench.take(1, accepted(message_id(2), plan(0.6))).done()
    bench.owner.tick()
    assert len(bench.log.batches) == 2


async def test_revoked_while_catching_up_begins_nothing(bench: Bench) -> None:
    """An owner that lost its partition before it was live sends nothing."""
    bench.log.append(accepted(ID, plan(0.6)))
    bench.log.may_read.clear()
    beginning = asyncio.ensure_future(bench.owner.begin())
    await bench.settled()
    bench.owner.drop()
    bench.log.may_read.set()
    await beginning
    assert bench.log.batches == []
    assert bench.position() == -1


async def test_an_old_heartbeat_holds_everything_back(bench: Bench) -> None:
    """No decision while it is in doubt whose partition it is; afterwards as if nothing had been."""
    await bench.owner.begin()
    bench.log.is_owner = False
    bench.take(0, accepted(ID, plan(0.6)))
    bench.owner.tick()
    assert len(bench.log.batches) == 1
    bench.log.is_owner = True
    bench.owner.tick()
    assert bench.stages(1) == [Stage.ISSUED]


async def test_timers_fire_only_behind_the_logs_end(bench: Bench) -> None:
    """The end is asked after the moment; an unread record before it holds the timer back."""
    await bench.owner.begin()
    first = accepted(ID, plan(0.6, {"x": 0.9}))
    bench.log.append(first)
    bench.take(0, first)
    issued = EVENT.decode(bench.log.batches[1].sent[0][1])
    bench.log.append(issued)
    bench.take(1, issued)
    bench.acknowledge()
    await bench.settled()
    late = answer(ID, Stage.SENDING, "x")
    bench.log.append(late)
    bench.clock.advance(40_000)
    asked = bench.log.asked
    bench.owner.tick()
    await bench.settled()
    assert bench.log.asked == asked + 1
    assert Stage.LAPSED not in [stage for index in range(len(bench.log.batches)) for stage in bench.stages(index)]
    bench.take(2, late)
    assert Stage.LAPSED not in bench.stages(-1)


async def test_a_clock_that_is_set_back_is_noticed_where_nothing_is_due(bench: Bench) -> None:
    """What was held while it was ahead is looked at again, also in a partition in which nothing happens."""
    held = [True]
    bench.ground.rules = structs.replace(bench.ground.rules, is_held=lambda *_: held[0])
    bench.owner = Owner(bench.ground, KEYS, 0)
    bench.clock.advance(3_600_000)
    await bench.owner.begin()
    first = accepted(ID, plan(0.6, {"x": 0.9}, expires_at=T0 + 36_000_000))
    bench.log.append(first)
    bench.take(0, first)
    held.clear()
    held.append(False)
    bench.clock.advance(-3_600_000)
    for _ in range(3):
        bench.owner.tick()
        await bench.settled()
    assert [stage for index in range(len(bench.log.batches)) for stage in bench.stages(index)] == [Stage.ISSUED]


async def test_own_events_are_known_by_their_bytes(bench: Bench) -> None:
    """The record that comes back gives the very event that was sent; garbage and strangers are decoded."""
    await bench.owner.begin()
    bench.take(0, accepted(ID, plan(0.6)))
    raw = bench.log.batches[1].sent[0][1]
    own = bench.owner.decode(cast("LogRecord", Found(1, raw)))
    assert own == EVENT.decode(raw)
    assert bench.owner.decode(cast("LogRecord", Found(1, raw))) is not own
    with pytest.raises(Permanent):
        bench.owner.decode(cast("LogRecord", Found(2, b"garbage")))


async def test_a_record_too_large_is_left_out(bench: Bench) -> None:
    """The broker would never take it: the others go, the state is written, the message's timers end it."""
    await bench.owner.begin()
    bench.log.limit_bytes = 10
    done = bench.take(0, accepted(ID, plan(0.6)))
    bench.acknowledge()
    await bench.settled()
    assert bench.log.batches[1].sent == []
    assert done.done()


async def test_a_broker_that_refuses_ends_the_process(bench: Bench) -> None:
    """A failure that is not the record's own is never stepped over."""
    await bench.owner.begin()
    bench.take(0, accepted(ID, plan(0.6)))
    bench.log.batches[1].failures = [PublishFailure("t", 1, "NO_RIGHT", is_permanent=False, text="")]
    bench.acknowledge()
    await bench.settled()
    assert any(isinstance(task.exception(), UnavailableError) for task in bench.log.tasks if task.done())
    assert bench.position() == 0


async def test_a_disk_that_fails_ends_the_process(bench: Bench) -> None:
    """Half a chunk in memory is no state to go on from."""
    await bench.owner.begin()
    bench.store.close()
    done = bench.take(0, answer(ID, Stage.SENDING, "x"))
    await bench.settled()
    assert any(task.done() and task.exception() is not None for task in bench.log.tasks)
    assert not done.done()


@pytest.mark.parametrize("why", ["old", "behind the log", "ahead of the log"])
async def test_rows_that_do_not_fit_the_log_are_thrown_away(bench: Bench, why: str) -> None:
    """Too old, or outside what the broker keeps: rebuilt from the last three days of the log."""
    bench.log.append(rejected(ID, "token_expired"), rejected(message_id(2), "token_expired"))
    await bench.owner.begin()
    bench.owner.drop()
    if why == "old":
        bench.clock.advance(MAX_AGE_MS + 7_200_000)
        bench.log.records[1].timestamp = bench.clock.now_ms()
    elif why == "behind the log":
        bench.log.append(rejected(message_id(3), "token_expired"))
        bench.log.first = 3
    else:
        bench.log.records.pop()
    again = Owner(bench.ground, KEYS, 0)
    await again.begin()
    kept = {key[-16:] for key, _ in bench.store.iterate(*KEYS.states)}
    wanted = {"old": {message_id(2)}, "behind the log": set(), "ahead of the log": {ID}}
    assert kept == wanted[why]


async def test_rows_that_fit_are_kept(bench: Bench) -> None:
    """Only what is new is read."""
    bench.log.append(rejected(ID, "token_expired"))
    await bench.owner.begin()
    bench.owner.drop()
    bench.log.append(b"garbage", rejected(message_id(2), "token_expired"))
    bench.log.records[0].value = None
    await Owner(bench.ground, KEYS, 0).begin()
    assert {key[-16:] for key, _ in bench.store.iterate(*KEYS.states)} == {ID, message_id(2)}
    assert bench.position() == 3


async def test_rows_that_fit_are_not_counted_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million of them take five seconds: what is open stands in the checkpoint."""
    bench.log.append(rejected(ID, "token_expired"))
    await bench.owner.begin()
    bench.owner.drop()

    def counted(*_: object) -> Counts:
        raise AssertionError("counted")

    monkeypatch.setattr(partition_module, "recounted", counted)
    owner = Owner(bench.ground, KEYS, 0)
    await owner.begin()
    assert owner.is_live


# ---- requests


def ask(bench: Bench, offset: int, of: bytes = ID) -> None:
    """Somebody asks for a message to be taken back."""
    asked = Request(offset.to_bytes(16, "big"), "cancel", of, at=T0)
    bench.owner._desk.take([Asked(offset, T0, asked)])


def asked_up_to(bench: Bench) -> int:
    """The position in `requests` on disk."""
    found = checkpoint_of(bench.store, KEYS)
    return found.requests if found is not None else -1


async def begun(bench: Bench) -> None:
    """The message is accepted, issued, and all of it on disk."""
    bench.log.append(accepted(ID, plan(0.6)))
    await bench.owner.begin()
    bench.acknowledge()
    await bench.settled()


async def test_a_request_is_copied_into_the_log(bench: Bench) -> None:
    """Its position is written when the copy is acknowledged, and not before."""
    await begun(bench)
    ask(bench, 0)
    assert bench.stages(-1) == [Stage.CANCEL_REQUESTED]
    await bench.settled()
    assert asked_up_to(bench) <= 0
    bench.acknowledge()
    await bench.settled()
    assert asked_up_to(bench) == 1


async def test_a_request_survives_death_before_its_copy(bench: Bench) -> None:
    """The next owner begins at the stored position, so it reads the request again."""
    await begun(bench)
    ask(bench, 0)
    bench.owner.drop()
    bench.acknowledge()
    await bench.settled()
    bench.owner = Owner(bench.ground, KEYS, 0)
    await bench.owner.begin()
    assert asked_up_to(bench) <= 0
    ask(bench, 0)
    assert bench.stages(-1) == [Stage.CANCEL_REQUESTED]


async def test_a_request_waits_for_its_message(bench: Bench) -> None:
    """Its copy goes out with what follows from the acceptance; after a minute it is given up."""
    await begun(bench)
    ask(bench, 0, message_id(2))
    ask(bench, 1, message_id(3))
    batches = len(bench.log.batches)
    bench.take(1, accepted(message_id(2), plan(0.6)))
    assert Stage.CANCEL_REQUESTED in bench.stages(batches)
    bench.log.append(accepted(message_id(2), plan(0.6)))
    bench.clock.advance(PATIENCE_MS)
    bench.owner.tick()
    await bench.settled()
    bench.take(2, accepted(message_id(4), plan(0.6)))
    bench.acknowledge()
    await bench.settled()
    assert asked_up_to(bench) == 2


async def test_a_request_waits_until_the_log_is_read(bench: Bench) -> None:
    """Its message may stand in what a minute was not enough to read."""
    await begun(bench)
    ask(bench, 0, message_id(2))
    other, late = accepted(message_id(3), plan(0.6)), accepted(message_id(2), plan(0.6))
    bench.log.append(other, late)
    bench.clock.advance(PATIENCE_MS)
    bench.owner.tick()
    await bench.settled()
    bench.take(1, other)
    assert Stage.CANCEL_REQUESTED not in bench.stages(-1)
    bench.take(2, late)
    assert Stage.CANCEL_REQUESTED in bench.stages(-1)


async def test_requests_wait_while_the_heartbeat_is_old(bench: Bench) -> None:
    """A tick answers them afterwards; nothing is asked of an owner that has given up."""
    await begun(bench)
    bench.log.is_owner = False
    ask(bench, 0)
    batches = len(bench.log.batches)
    bench.owner.tick()
    assert len(bench.log.batches) == batches
    bench.log.is_owner = True
    bench.owner.tick()
    assert bench.stages(batches) == [Stage.CANCEL_REQUESTED]
    bench.owner.drop()
    ask(bench, 1)
    assert len(bench.log.batches) == batches + 1
