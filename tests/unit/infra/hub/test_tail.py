"""The tail without a broker: one clear error, nothing left open."""

import asyncio
from types import SimpleNamespace

import pytest

from infra.hub.tail import LogTail
from schemas.errors import UnavailableError


async def test_no_broker_is_an_unavailable_error() -> None:
    """Nobody listens on port 1."""
    tail = LogTail("127.0.0.1:1")
    with pytest.raises(UnavailableError, match="reading the log"):
        await tail.end_offset("events.urgent", 0)
    await tail.close()


async def test_an_empty_range_asks_nobody() -> None:
    """Start at the end."""
    assert await LogTail("127.0.0.1:1").read("events.urgent", 0, 5, 5, lambda _: None) == 0


async def test_partitions_that_ask_at_once_share_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every partition of an assignment asks in the same moment; a second connection would never be closed."""
    tail = LogTail("127.0.0.1:1")
    started: list[object] = []

    async def start(_: LogTail) -> object:
        await asyncio.sleep(0)
        started.append(object())
        return started[-1]

    monkeypatch.setattr(LogTail, "_started", start)
    found = await asyncio.gather(*(tail._asker() for _ in range(8)))
    assert len(started) == 1
    assert {id(one) for one in found} == {id(started[0])}


class Client:
    """A client that gives what it is told to, and may never stop."""

    def __init__(self, *, ends: bool = True) -> None:
        self._ends = ends
        self.is_stopped = False

    def assign(self, places: object) -> None:
        """Take a partition."""

    def seek(self, place: object, offset: int) -> None:
        """Go there."""

    async def position(self, place: object) -> int:
        """It stays where it is."""
        return 0

    async def getmany(self, place: object, timeout_ms: int) -> dict[object, list[object]]:
        """Nothing comes."""
        await asyncio.sleep(0)
        return {}

    async def stop(self) -> None:
        """Stop, or wait for a task that swallowed its cancellation."""
        self.is_stopped = True
        if not self._ends:
            await asyncio.Event().wait()


async def test_a_log_that_gives_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A takeover that hung so would hold its partition until somebody noticed: it begins anew."""
    client, tail = Client(), LogTail("127.0.0.1:1")
    monkeypatch.setattr("infra.hub.tail.STALL_S", 0.005)
    monkeypatch.setattr(tail, "_started", lambda: _given(client))
    with pytest.raises(UnavailableError, match=r"nothing read from events\.urgent/0"):
        await tail.read("events.urgent", 0, 0, 5, lambda _: None)
    assert client.is_stopped


async def test_a_client_that_never_stops_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is not held back by it."""
    client, tail = Client(ends=False), LogTail("127.0.0.1:1")
    monkeypatch.setattr("infra.hub.tail.STOP_S", 0.01)
    async with asyncio.timeout(1):
        await tail._stopped(client)  # type: ignore[arg-type]  # as far as it is asked
    assert client.is_stopped
    for leaving in tail._leaving:
        leaving.cancel()


async def test_a_cancellation_inside_of_the_library_ends_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aiokafka awaits fetches that it cancelled; whoever stops a reader goes on, and its connections are closed."""
    client, tail = Client(), LogTail("127.0.0.1:1")
    closed: list[bool] = []

    async def stop() -> None:
        fetch = asyncio.ensure_future(asyncio.Event().wait())
        fetch.cancel()
        await fetch

    async def close() -> None:
        closed.append(True)

    monkeypatch.setattr(client, "stop", stop)
    monkeypatch.setattr(client, "_client", SimpleNamespace(close=close), raising=False)
    await tail._stopped(client)  # type: ignore[arg-type]  # as far as it is asked
    assert closed == [True]


async def _given(client: Client) -> Client:
    return client
