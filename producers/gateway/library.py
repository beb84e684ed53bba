"""What the store knows of an application's messages, asked in threads so that the loop goes on.

Called by `asking` and `cancel`. An application sees its own messages and nobody else's: to it, the others do not exist.
Raises UnavailableError when the store does not answer, or too many questions wait already.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from infra import queries
from infra.clickhouse import Store
from infra.queries import Fact, TraceEvent
from infra.standing import Standing, in_order, standing
from schemas.errors import UnavailableError

T = TypeVar("T")
THREADS: Final = 4
WAITING: Final = 64
"""Questions that may wait or be asked at a time."""
ANSWER_S: Final = 5


class Library:
    """Asks the store at `dsn`; one connection a thread."""

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn = dsn
        self._pool = ThreadPoolExecutor(THREADS, "store")
        self._mine = threading.local()
        self._room = WAITING

    async def standing(self, message_id: str, app_id: str) -> Standing | None:
        """How the application's message stands; None when the store shows none such."""
        facts, events = await self._known(message_id, app_id)
        return standing(facts, events)

    async def events(self, message_id: str, app_id: str) -> list[TraceEvent]:
        """The application's message's trace in order; empty when the store shows none such."""
        return in_order((await self._known(message_id, app_id))[1])

    async def both(self, message_id: str, app_id: str) -> tuple[Standing | None, list[TraceEvent]]:
        """Standing and trace, from one reading."""
        facts, events = await self._known(message_id, app_id)
        return standing(facts, events), in_order(events)

    async def _known(self, message_id: str, app_id: str) -> tuple[list[Fact], list[TraceEvent]]:
        def read(store: Store) -> tuple[list[Fact], list[TraceEvent]]:
            facts, events = queries.known_of(store, message_id)
            return [fact for fact in facts if fact.app_id == app_id], [one for one in events if one.app_id == app_id]

        return await self._ask(read)

    async def _ask(self, question: Callable[[Store], T]) -> T:
        if not self._room:
            raise UnavailableError("too many questions wait for the store", "try again in a moment")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: question(self._store()))
        finally:
            self._room += 1

    def _store(self) -> Store:
        """This thread's connection, made anew when the store has moved."""
        dsn = self._dsn()
        found: Store | None = getattr(self._mine, "store", None)
        if found is None or found.dsn != dsn:
            found = self._mine.store = Store(dsn, ANSWER_S)
        return found

    def close(self) -> None:
        """Let the threads end; a question under way is waited for no longer."""
        self._pool.shutdown(wait=False, cancel_futures=True)
