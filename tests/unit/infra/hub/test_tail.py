"""The tail without a broker: one clear error, nothing left open."""

import asyncio

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
