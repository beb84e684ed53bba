"""The guard with a broker by hand: what escapes a handler, what is sent once, and when a chunk is finished."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from infra.clock import HandClock
from infra.crypto import Ring
from infra.dead import DeadOffice
from infra.hub import guard as module
from infra.hub.chunk import TP, Chunk
from infra.hub.fence import Fence
from infra.hub.guard import Guard, judged
from infra.hub.watermark import Watermark
from infra.kafka import Batch, LogRecord, Publisher, PublishFailure
from schemas.codec import DEAD_LETTER
from schemas.errors import Permanent, Reason, UnavailableError
from schemas.records import DeadLetter

Answer = Callable[[str, bytes | None], KafkaError | None]


class Message:
    """What a report says about its record."""

    def topic(self) -> str:
        """The topic it went to."""
        return "out"


class Broker(Publisher):
    """Takes records and reports each at the loop's next turn, as `answer` says."""

    def __init__(self) -> None:
        self.limit_bytes = 10_000
        self.taken: list[tuple[str, bytes | None]] = []
        self.answer: Answer = lambda _topic, _value: None
        self.is_silent = False

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, report: Any, headers: Any
    ) -> None:
        """Take one record."""
        del key, partition, headers
        self.taken.append((topic, value))
        if not self.is_silent:
            asyncio.get_running_loop().call_soon(report, self.answer(topic, value), Message())

    def has_room(self, count: int) -> bool:
        """Always."""
        return True

    def produce_together(self, topic: str, partition: int, records: list[Any], report: Any) -> list[PublishFailure]:
        """Take many."""
        for record in records:
            self.produce(topic, record["value"], record["key"], partition, report, None)
        return []

    def values(self, topic: str = "out") -> list[bytes | None]:
        """Values taken for a topic."""
        return [value for name, value in self.taken if name == topic]


class Stage:
    """A guard with everything around it, and the chunks it was told of."""

    def __init__(self, handler: Any) -> None:
        self.watermark = Watermark()
        self.is_flowing = True
        self.broker = Broker()
        self.fence = Fence(6.0, lambda: 100.0)
        self.fence.answered(100.0)
        self.told: list[str] = []
        self.left: list[tuple[str, int]] = []
        office = DeadOffice("dead", Ring("dead", {1: bytes(32)}), HandClock(), "worker", 10_000)
        self.guard = Guard(handler, self.broker, office, self.fence, lambda why, code: self.left.append((why, code)))

    @property
    def epoch(self) -> object:
        """The current assignment."""
        return self.watermark.epoch

    def begin(self, chunk: Chunk) -> None:
        """The guard works on it."""
        self.told.append(f"begin {chunk[0].offset}")

    def finish(self, chunk: Chunk) -> None:
        """The guard is done with it."""
        self.told.append(f"finish {chunk[0].offset}")

    def abandon(self, chunk: Chunk) -> None:
        """The guard gave it up."""
        self.told.append(f"abandon {chunk[0].offset}")

    def chunk(self, *values: bytes, first: int = 0) -> Chunk:
        """A chunk of in/0."""
        records = [LogRecord("in", 0, first + at, 5, b"k", value, ()) for at, value in enumerate(values)]
        return Chunk(records, self.watermark.open(TP("in", 0), first + len(records), 1, 0.0), self)

    async def take(self, chunk: Chunk) -> None:
        """Hand a chunk to the guard and let the reports come in."""
        await self.guard.take(chunk, self)
        await turns()

    def letters(self) -> list[DeadLetter]:
        """Dead letters taken."""
        return [DEAD_LETTER.decode(value) for value in self.broker.values("dead")]


async def turns(count: int = 20) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def copies(chunk: Chunk, out: Batch) -> None:
    """Send every value on, except those that name an error."""
    for record in chunk:
        if record.value == b"bug":
            raise KeyError("somebody's name")
        if record.value == b"refused":
            raise Permanent(Reason.TYPE_UNKNOWN, "type x")
        out.send("out", record.value)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between tries."""
    monkeypatch.setattr(module, "RETRY_S", (0.0,))


async def test_finishes_after_the_acknowledgements() -> None:
    """While the broker is silent the chunk is begun and no more."""
    stage = Stage(copies)
    stage.broker.is_silent = True
    await stage.take(stage.chunk(b"a"))
    assert stage.told == ["begin 0"]
    stage.broker.is_silent = False
    await stage.take(stage.chunk(b"b", first=1))
    assert stage.told == ["begin 0", "begin 1", "finish 1"], "the next chunk does not wait for the first"


async def test_finishes_after_what_the_handler_returned() -> None:
    """Acknowledged output alone is not enough."""
    gate = asyncio.Event()

    async def handler(chunk: Chunk, out: Batch) -> Awaitable[object]:
        await copies(chunk, out)
        return gate.wait()

    stage = Stage(handler)
    await stage.take(stage.chunk(b"a"))
    assert stage.told == ["begin 0"]
    gate.set()
    await turns()
    assert stage.told == ["begin 0", "finish 0"]


async def test_one_bad_record_costs_one_dead_letter_and_no_second_sending() -> None:
    """499 neighbours are sent exactly once, in order."""
    values = [b"%d" % at for at in range(500)]
    values[250] = b"bug"
    stage = Stage(copies)
    await stage.take(stage.chunk(*values))
    assert stage.broker.values() == [value for value in values if value != b"bug"]
    (letter,) = stage.letters()
    assert (letter.origin_topic, letter.origin_partition, letter.origin_offset) == ("in", 0, 250)
    assert stage.told == ["begin 0", "finish 0"]


async def test_a_strangers_error_text_stays_out_of_the_letter() -> None:
    """It may name a person; class and place are enough."""
    stage = Stage(copies)
    await stage.take(stage.chunk(b"bug"))
    (letter,) = stage.letters()
    assert letter.reason == Reason.INTERNAL
    assert "KeyError" in letter.detail
    assert "somebody" not in letter.detail


async def test_our_own_refusal_keeps_its_word() -> None:
    """The reason is the same word everywhere."""
    stage = Stage(copies)
    await stage.take(stage.chunk(b"a", b"refused"))
    (letter,) = stage.letters()
    assert (letter.reason, letter.detail) == (Reason.TYPE_UNKNOWN, "type x")


async def test_a_record_too_large_is_its_own_fault() -> None:
    """Found where it is sent, before anything left."""
    stage = Stage(copies)
    await stage.take(stage.chunk(b"a", bytes(10_001), b"c"))
    assert stage.broker.values() == [b"a", b"c"]
    assert [letter.reason for letter in stage.letters()] == [Reason.TOO_LARGE]


async def test_what_we_stand_on_is_waited_for_and_never_dead_lettered() -> None:
    """The registry is away twice; the third try sends, once."""
    tries: list[int] = []

    async def handler(chunk: Chunk, out: Batch) -> None:
        tries.append(len(chunk))
        await copies(chunk, out)
        if len(tries) < 3:
            raise UnavailableError("registry")

    stage = Stage(handler)
    await stage.take(stage.chunk(b"a", b"b"))
    assert tries == [2, 2, 2]
    assert stage.broker.values() == [b"a", b"b"]
    assert stage.letters() == []
    assert stage.told == ["begin 0", "finish 0"]


async def test_waiting_ends_when_the_partition_is_taken_away() -> None:
    """The next owner tries it."""
    stage = Stage(copies)

    async def handler(_: Chunk, __: Batch) -> None:
        stage.watermark.reset()
        raise UnavailableError("store")

    stage.guard = Guard(handler, stage.broker, stage.guard._dead, stage.fence, stage.guard._leave)
    await stage.take(stage.chunk(b"a"))
    assert stage.told == ["begin 0", "abandon 0"]


async def test_a_stale_chunk_is_not_begun() -> None:
    """The flow has stopped."""
    stage = Stage(copies)
    chunk = stage.chunk(b"a")
    stage.is_flowing = False
    await stage.take(chunk)
    assert stage.told == []
    assert stage.broker.taken == []


async def test_nothing_is_begun_behind_an_old_fence_until_it_is_fresh() -> None:
    """A process that wakes up waits for the next answered heartbeat."""
    stage = Stage(copies)
    stage.fence.lost()
    taking = asyncio.ensure_future(stage.take(stage.chunk(b"a")))
    await turns()
    assert stage.told == []
    stage.fence.answered(100.0)
    await taking
    assert stage.broker.values() == [b"a"]


async def test_nothing_leaves_when_the_partition_was_given_up_meanwhile() -> None:
    """The handler ran on, frozen; its output is the next owner's business."""
    stage = Stage(copies)

    async def handler(chunk: Chunk, out: Batch) -> Awaitable[object]:
        await copies(chunk, out)
        stage.watermark.reset()
        return asyncio.sleep(0)

    stage.guard = Guard(handler, stage.broker, stage.guard._dead, stage.fence, stage.guard._leave)
    await stage.take(stage.chunk(b"a"))
    assert stage.broker.taken == []
    assert stage.told == ["begin 0", "abandon 0"]


async def test_a_fact_of_a_call_already_made_is_sent_whatever_the_generation() -> None:
    """After the release records leave at once, also when the partition is gone by then."""
    stage = Stage(copies)
    called = asyncio.Event()

    async def handler(_: Chunk, out: Batch) -> Awaitable[object]:
        async def call() -> None:
            await called.wait()
            out.send("out", b"outcome")

        return asyncio.ensure_future(call())

    stage.guard = Guard(handler, stage.broker, stage.guard._dead, stage.fence, stage.guard._leave)
    await stage.take(stage.chunk(b"a"))
    stage.watermark.reset()
    called.set()
    await turns()
    assert stage.broker.values() == [b"outcome"]


async def test_a_record_the_broker_refuses_becomes_a_dead_letter() -> None:
    """Found by sending the chunk's records one by one."""
    stage = Stage(copies)
    stage.broker.answer = lambda _, value: KafkaError(KafkaError.INVALID_RECORD) if value == b"b" else None
    await stage.take(stage.chunk(b"a", b"b"))
    assert [letter.origin_offset for letter in stage.letters()] == [1]
    assert stage.told == ["begin 0", "finish 0"]


async def test_a_broker_that_gives_up_ends_the_worker_without_finishing() -> None:
    """Timed out: not the record's fault, so it is done again by the next process."""
    stage = Stage(copies)
    stage.broker.answer = lambda _topic, _value: KafkaError(KafkaError._MSG_TIMED_OUT)
    await stage.take(stage.chunk(b"a"))
    assert stage.told == ["begin 0"]
    assert [code for _, code in stage.left] == [70]
    assert stage.letters() == []


async def test_a_refused_dead_letter_ends_the_worker_without_finishing() -> None:
    """A record must never vanish between handler and letter."""
    stage = Stage(copies)
    stage.broker.answer = lambda topic, _: KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART) if topic == "dead" else None
    await stage.take(stage.chunk(b"bug"))
    assert stage.told == ["begin 0"]
    assert [code for _, code in stage.left] == [70]


async def test_a_failure_behind_the_handler_ends_the_worker() -> None:
    """A state that cannot be written is no record's fault."""

    async def handler(_: Chunk, __: Batch) -> Awaitable[object]:
        async def write() -> None:
            raise OSError("disk full")

        return write()

    stage = Stage(handler)
    await stage.take(stage.chunk(b"a"))
    assert stage.told == ["begin 0"]
    assert [code for _, code in stage.left] == [70]


def test_judging_an_error_of_ours_keeps_reason_and_detail() -> None:
    """And of a stranger's only the class."""
    assert judged(Permanent(Reason.TOO_LARGE, "9 MB")) == (Reason.TOO_LARGE, "9 MB")
    assert judged(ValueError("name")) == (Reason.INTERNAL, "ValueError")
