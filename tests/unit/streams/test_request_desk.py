"""The desk of one partition: from the stored position, or as far back as messages are remembered, until closed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from schemas.records import Request
from streams.consequences import Author, Record
from streams.fold import MEMORY_MS
from streams.request_desk import Desk
from streams.requests import PATIENCE_MS, Asked
from tests.factories import T0, message_id

if TYPE_CHECKING:
    from infra.clock import Clock
    from streams.request_feed import Feed

OF_THAT_TIME = 7


class Topic:
    """The feed and the clock in one."""

    def __init__(self) -> None:
        self.asked_from_ms = 0
        self.joined: list[tuple[int, Callable[[list[Asked]], None]]] = []

    async def offset_for_time(self, at_ms: int) -> int:
        """The first of that time."""
        self.asked_from_ms = at_ms
        return OF_THAT_TIME

    async def join(self, start: int, taker: Callable[[list[Asked]], None]) -> None:
        """Takes part."""
        self.joined.append((start, taker))

    def leave(self, taker: Callable[[list[Asked]], None]) -> None:
        """Takes part no more."""
        self.joined = [one for one in self.joined if one[1] != taker]

    def now_ms(self) -> int:
        """The time."""
        return T0


def desk_on(topic: Topic, on_news: Callable[[], None] = lambda: None) -> Desk:
    """The only partition."""
    return Desk(cast("Feed", topic), Author("normal", "w"), (0, 1), cast("Clock", topic), on_news)


@pytest.mark.parametrize(("stored", "start"), [(3, 3), (0, 0), (-1, OF_THAT_TIME)])
async def test_it_goes_on_where_it_stood(stored: int, start: int) -> None:
    """Where nothing is stored, from the time back to which messages are remembered."""
    topic = Topic()
    desk = desk_on(topic)
    desk.lay(stored)
    assert desk.position == stored
    await desk.follow()
    assert [at for at, _ in topic.joined] == [start] == [desk.position]
    assert topic.asked_from_ms == (T0 - MEMORY_MS if stored < 0 else 0)
    desk.close()
    assert topic.joined == []


def test_what_is_taken_is_told_and_keeps_its_place_until_copied() -> None:
    """The position does not pass a request that waits for its message."""
    told: list[str] = []
    desk = desk_on(Topic(), lambda: told.append("news"))
    desk.take([Asked(4, T0, None), Asked(5, T0, Request(bytes(15) + b"\1", "cancel", message_id(1), at=T0))])
    out: list[Record] = []
    desk.copy(lambda _: None, T0, out)
    assert (told, out, desk.position) == (["news"], [], 5)


def test_what_nobody_knows_is_given_up_when_the_log_is_read_so_far() -> None:
    """Not when the clock says so."""
    desk = desk_on(Topic())
    desk.take([Asked(5, T0, Request(bytes(15) + b"\1", "cancel", message_id(1), at=T0))])
    assert [desk.is_due(T0 + PATIENCE_MS - 1), desk.is_due(T0 + PATIENCE_MS)] == [False, True]
    for read_up_to_ms, position in ((0, 5), (T0 + PATIENCE_MS - 1, 5), (T0 + PATIENCE_MS, 6)):
        desk.copy(lambda _: None, read_up_to_ms, [])
        assert desk.position == position
    assert not desk.is_due(T0 + PATIENCE_MS)
