"""The tail without a broker: one clear error, nothing left open."""

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
