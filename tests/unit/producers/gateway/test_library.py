import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra import queries
from producers.gateway import library
from producers.gateway.library import WAITING, Library
from schemas.errors import UnavailableError
from tests.answers import event, fact


class Shelves:
    """Stands for the store: two applications' messages, by id; counts connections."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.gate: Callable[[], object] = bool
        self.failure: Exception | None = None

    def store(self, dsn: str, _timeout_s: int) -> Any:
        """A connection."""
        self.opened.append(dsn)
        self.dsn = dsn
        return self

    def days(self, _store: object, message_id: str) -> list[str]:
        """The days on which something happened to a message."""
        self.gate()
        if self.failure is not None:
            raise self.failure
        return ["2026-11-22"] if message_id != "unknown" else []


@pytest.fixture
def shelves(monkeypatch: pytest.MonkeyPatch) -> Shelves:
    """In the store's place."""
    made = Shelves()
    monkeypatch.setattr(library, "Store", made.store)
    monkeypatch.setattr(queries, "days_of", made.days)
    facts = [fact(app_id="his", status="sent"), fact(app_id="lis", status="failed")]
    events = [event("completed", app_id="his", at_ms=2), event("accepted", app_id="his", at_ms=1)]
    monkeypatch.setattr(queries, "facts_of", lambda *_: facts)
    monkeypatch.setattr(queries, "timeline_of", lambda *_: [*events, event("accepted", app_id="lis")])
    return made


@pytest.fixture
def asked(shelves: Shelves) -> Iterator[Library]:
    """A library over it."""
    made = Library(lambda: "http://store/a")
    yield made
    made.close()


async def test_an_application_sees_its_own_messages(asked: Library) -> None:
    """Of others' it does not learn that they exist."""
    found = await asked.standing("m", "his")
    assert found is not None
    assert (found.status, [one.stage for one in await asked.events("m", "his")]) == ("sent", ["accepted", "completed"])
    assert await asked.standing("m", "nobody") is None
    assert await asked.events("m", "nobody") == []


async def test_one_reading_answers_both_questions(asked: Library) -> None:
    """Standing and trace belong together."""
    standing, events = await asked.both("m", "his")
    assert standing is not None
    assert len(events) == 2


async def test_what_the_store_has_not_seen_is_nothing(asked: Library) -> None:
    """And costs one question."""
    assert await asked.both("unknown", "his") == (None, [])


async def test_too_many_questions_are_turned_away(shelves: Shelves, asked: Library) -> None:
    """A slow store must not fill this process with waiting; when it answers, there is room again."""
    gate = threading.Event()
    shelves.gate = lambda: gate.wait(5)
    waiting = [asyncio.ensure_future(asked.standing("m", "his")) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await asked.standing("m", "his")
    gate.set()
    assert len(await asyncio.gather(*waiting)) == WAITING
    assert await asked.standing("m", "his") is not None


async def test_a_store_that_does_not_answer_takes_no_room(shelves: Shelves, asked: Library) -> None:
    """Its failure is the caller's to tell; the next question may be answered."""
    shelves.failure = UnavailableError("silence")
    for _ in range(WAITING + 1):
        with pytest.raises(UnavailableError, match="silence"):
            await asked.standing("m", "his")
    shelves.failure = None
    assert await asked.standing("m", "his") is not None


async def test_a_store_that_has_moved_is_found(shelves: Shelves) -> None:
    """One connection a thread, made anew when the address is another."""
    where = ["http://store/a"]
    moving = Library(lambda: where[0])
    for _ in range(8):
        await moving.standing("m", "his")
    assert set(shelves.opened) == {"http://store/a"}
    assert len(shelves.opened) <= library.THREADS
    where[0] = "http://store/b"
    await moving.standing("m", "his")
    assert shelves.opened[-1] == "http://store/b"
    moving.close()
