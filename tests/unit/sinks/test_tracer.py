import asyncio
import threading
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import Struct

from infra import rollup
from infra.hub.chunk import TP, Chunk
from infra.settings import Settings
from schemas import codec
from schemas.codec import DEAD_LETTER, EVENT
from schemas.errors import Permanent, Reason, UnavailableError
from sinks.tracer import Tracer, in_thread
from tests import factories


class Record(Struct):
    """A record of the log."""

    value: bytes | None
    offset: int = 0
    topic: str = "events.urgent"
    partition: int = 0
    timestamp: int = factories.T0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def chunk_of(*values: bytes | None) -> Chunk:
    """Consecutive records with these values, as the guard hands them over."""
    chunk = Chunk.__new__(Chunk)
    list.__init__(chunk, [cast("Any", Record(value, offset)) for offset, value in enumerate(values)])
    return chunk


def encoded(number: int) -> bytes:
    """The bytes of an event."""
    return EVENT.encode(factories.answer(factories.message_id(number), "outcome", "sms", accepted_at=factories.T0))


class Letters:
    """A publisher's batch that keeps what was sent; `failures` are what the broker refuses."""

    def __init__(self, failures: list[Any]) -> None:
        self.sent: list[tuple[str, bytes | None]] = []
        self.failures = failures

    def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
        """Keeps it."""
        self.sent.append((topic, value))

    async def wait(self) -> list[Any]:
        """What was refused."""
        return self.failures


class Worker:
    """What the tracer needs of a worker: a name, a publisher's batch, a fence."""

    def __init__(self) -> None:
        self.name = "trace@host:1"
        self.publisher = self.fence = self
        self.limit_bytes = 1_000_000
        self.letters = Letters([])

    def batch(self) -> Letters:
        """Where dead letters go."""
        return self.letters

    def is_fresh(self) -> bool:
        """The group still counts us in."""
        return True


@pytest.fixture
def worker() -> Worker:
    """The tracer's worker."""
    return Worker()


@pytest.fixture
def traced(worker: Worker, tmp_path: Path) -> Tracer:
    """A tracer whose store is not there."""
    return Tracer(Settings(home=tmp_path, clickhouse="http://nowhere/x"), cast("Any", worker))


async def finished(traced: Tracer, chunk: Chunk, bad: list[int]) -> None:
    """Hand in a chunk and let its rows be stored, apart from the bad ones."""
    after = await traced.trace(chunk, cast("Any", None))
    waiting = traced._gather._waiting.popleft()
    assert waiting.values == [record.value for record in chunk]
    waiting.stored.set_result(bad)
    await after


async def test_a_chunk_is_finished_when_its_rows_are_stored(traced: Tracer) -> None:
    """And nothing is published."""
    await finished(traced, chunk_of(encoded(1), encoded(2)), [])


@pytest.mark.parametrize("value", [None, b"", b"{}", codec.MESSAGE.head + b"abc"])
async def test_what_is_no_event_is_refused_before_anything_is_stored(traced: Tracer, value: bytes | None) -> None:
    """The guard then takes the chunk apart and buries that record alone."""
    with pytest.raises(Permanent) as caught:
        await (await traced.trace(chunk_of(encoded(1), value), cast("Any", None)))
    assert caught.value.reason is Reason.DECODE_ERROR
    assert not traced._gather._waiting


async def test_an_unreadable_event_becomes_one_dead_letter(traced: Tracer, worker: Worker) -> None:
    """With its origin and the reason, sealed; the others are rows."""
    letters = worker.letters
    await finished(traced, chunk_of(encoded(1), encoded(2)[:-4], encoded(3)), [1])
    (topic, value) = letters.sent[0]
    letter = DEAD_LETTER.decode(value)
    assert topic == "dead"
    assert (letter.reason, letter.origin_topic, letter.origin_offset) == ("decode_error", "events.urgent", 1)
    assert len(letters.sent) == 1


async def test_a_refused_dead_letter_is_a_failure(traced: Tracer, worker: Worker) -> None:
    """The chunk is then not finished, and the process starts again."""

    class Failure:
        name = "_TIMED_OUT"

    worker.letters = Letters([Failure()])
    with pytest.raises(UnavailableError, match="_TIMED_OUT"):
        await finished(traced, chunk_of(encoded(2)[:-4]), [0])


async def test_only_the_owner_of_the_first_partition_rebuilds(
    traced: Tracer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process of the group at a time, and none that may have lost it."""
    built: list[str] = []

    def rebuild(_store: object, builder: str, _may_go_on: object) -> list[date]:
        built.append(builder)
        return []

    monkeypatch.setattr(rollup, "rebuild", rebuild)
    monkeypatch.setattr(traced, "_is_migrated", True)
    await traced._rebuild()
    traced._take_over(frozenset({TP("events.urgent", 1), TP("events.normal", 0)}))
    await traced._rebuild()
    assert built == []
    traced._take_over(frozenset({TP("events.urgent", 0)}))
    await traced._rebuild()
    assert built == [worker.name]
    traced._give_up(frozenset())
    await traced._rebuild()
    assert built == [worker.name]


async def test_a_blocking_call_leaves_the_loop_free() -> None:
    """Its result and its errors come back to whoever awaits."""
    may_end = threading.Event()
    call = asyncio.ensure_future(in_thread(may_end.wait))
    await asyncio.sleep(0)
    may_end.set()
    assert await call is True

    def broken() -> None:
        raise UnavailableError("gone")

    with pytest.raises(UnavailableError):
        await in_thread(broken)


async def test_giving_up_waiting_does_not_disturb_the_thread() -> None:
    """A cancelled wait leaves the call to end by itself, without a complaint."""
    may_end = threading.Event()
    ended = threading.Event()

    def call() -> None:
        may_end.wait()
        ended.set()

    waiting = asyncio.ensure_future(in_thread(call))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()
    assert ended.wait(1)
