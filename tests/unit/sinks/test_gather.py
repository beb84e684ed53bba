import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from schemas.errors import UnavailableError
from sinks import gather
from sinks.gather import Bad, Gather


class Desk:
    """Takes batches; refuses the first `away` tries, names `bad` values as unreadable."""

    def __init__(self, away: int = 0, bad: frozenset[bytes] = frozenset()) -> None:
        self.batches: list[list[bytes]] = []
        self.away = away
        self.bad = bad

    async def write(self, values: list[bytes]) -> Bad:
        """See `gather.Write`."""
        if self.away:
            self.away -= 1
            raise UnavailableError("gone")
        self.batches.append(values)
        return [at for at, value in enumerate(values) if value in self.bad]


@asynccontextmanager
async def running(one: Gather) -> AsyncIterator[None]:
    """While its writing task runs."""
    task = asyncio.ensure_future(one.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a clock."""
    monkeypatch.setattr(gather, "LINGER_S", 0.0)
    monkeypatch.setattr(gather, "RETRY_S", (0.0,))


async def test_chunks_that_wait_together_become_one_insert() -> None:
    """Each part of the store is worth many chunks."""
    desk = Desk()
    one = Gather(desk.write, pause_s=0)
    stored = [one.add([b"a", b"b"]), one.add([b"c"])]
    async with running(one):
        assert await asyncio.gather(*stored) == [[], []]
    assert desk.batches == [[b"a", b"b", b"c"]]


async def test_each_chunk_learns_of_its_own_unreadable_values() -> None:
    """Positions are counted within the chunk, not within the batch."""
    desk = Desk(bad=frozenset({b"x"}))
    one = Gather(desk.write, pause_s=0)
    stored = [one.add([b"a", b"x"]), one.add([b"b"]), one.add([b"x", b"c", b"x"])]
    async with running(one):
        assert await asyncio.gather(*stored) == [[1], [], [0, 2]]


async def test_a_batch_is_bounded_by_rows() -> None:
    """A backlog is written in pieces, in order, without waiting in between."""
    desk = Desk()
    one = Gather(desk.write, pause_s=3600, max_rows=4)
    stored = [one.add([bytes([number])] * 2) for number in range(6)]
    async with running(one):
        await asyncio.gather(*stored[:4])
        assert [len(batch) for batch in desk.batches] == [4, 4, 4]
    assert b"".join(value for batch in desk.batches for value in batch) == b"".join(bytes([n, n]) for n in range(6))


async def test_a_batch_is_bounded_by_bytes_but_never_empty() -> None:
    """One chunk larger than the limit goes alone."""
    desk = Desk()
    one = Gather(desk.write, pause_s=0, max_bytes=10)
    stored = [one.add([b"x" * 50]), one.add([b"y" * 6]), one.add([b"z" * 6])]
    async with running(one):
        await asyncio.gather(*stored)
    assert [len(batch) for batch in desk.batches] == [1, 2]


async def test_a_store_that_is_away_is_waited_for() -> None:
    """Nothing is finished until the store took it, and then everything is, in one piece."""
    desk = Desk(away=5)
    was_away: list[tuple[bool, bool]] = []

    async def write(values: list[bytes]) -> Bad:
        was_away.append((one.is_away, stored.done()))
        return await desk.write(values)

    one = Gather(write, pause_s=0)
    stored = one.add([b"a"])
    async with running(one):
        await stored
        await one.add([b"b"])
    assert was_away[:6] == [(False, False), *[(True, False)] * 5]
    assert not one.is_away
    assert desk.batches == [[b"a"], [b"b"]]


async def test_a_chunk_that_was_given_up_hinders_nobody() -> None:
    """Its future is cancelled by a rebalance while the batch is under way."""
    desk = Desk(away=1)
    one = Gather(desk.write, pause_s=0)
    given_up, kept = one.add([b"a"]), one.add([b"b"])
    given_up.cancel()
    async with running(one):
        assert await kept == []


async def test_a_bug_is_not_waited_for() -> None:
    """Only an absent store is; anything else ends the task, and with it the process."""

    async def broken(_: list[bytes]) -> Bad:
        raise KeyError("bug")

    one = Gather(broken, pause_s=0)
    one.add([b"a"])
    with pytest.raises(KeyError):
        await one.run()


async def test_inserts_keep_a_pause_between_them() -> None:
    """With a long pause, what comes after an insert waits; the limits alone end it early."""
    desk = Desk()
    one = Gather(desk.write, pause_s=3600, max_rows=3)
    async with running(one):
        first = one.add([b"a"] * 3)
        await first
        second = one.add([b"b"])
        for _ in range(20):
            await asyncio.sleep(0)
        assert not second.done()
        third = one.add([b"c"] * 2)
        await asyncio.gather(second, third)
    assert [len(batch) for batch in desk.batches] == [3, 3]
