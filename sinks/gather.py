"""Gathers chunks of all partitions into few, large inserts, and holds each chunk until its rows are stored.

Called by the tracer: agents add, one task writes. A store that is away is waited for, with the batch in hand; what may
wait meanwhile is bounded by the transport, which hands out only so many unfinished chunks a partition. It never drops
a value and never looks into one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct

from schemas.errors import UnavailableError

Bad = Sequence[int]
"""Positions of values, in what was added, that cannot be read."""
Write = Callable[[list[bytes]], Awaitable[Bad]]

MAX_ROWS: Final = 50_000
MAX_BYTES: Final = 16_000_000
PAUSE_S: Final = 0.8
"""Between two inserts: each makes a part per table, and parts must be merged."""
LINGER_S: Final = 0.05
"""After a pause, for what comes together with the first record."""
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries while the store is away; the last one repeats."""

log = structlog.get_logger("trace")


class _Waiting(Struct):
    values: list[bytes]
    size_bytes: int
    stored: asyncio.Future[Bad]


class Gather:
    """Collects until `max_rows`, `max_bytes`, or the pause since the last insert is over; one instance per process."""

    def __init__(
        self, write: Write, *, pause_s: float = PAUSE_S, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES
    ) -> None:
        self._write = write
        self._pause_s = pause_s
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._waiting: deque[_Waiting] = deque()
        self._rows = 0
        self._bytes = 0
        self._has_some = asyncio.Event()
        self._is_full = asyncio.Event()
        self._written_at_s = 0.0
        self.is_away = False
        """The store did not take the last try."""

    def add(self, values: list[bytes]) -> asyncio.Future[Bad]:
        """Values to be stored; the future is done when they are, with the positions of the unreadable ones."""
        one = _Waiting(values, sum(map(len, values)), asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._rows += len(values)
        self._bytes += one.size_bytes
        self._has_some.set()
        if self._rows >= self._max_rows or self._bytes >= self._max_bytes:
            self._is_full.set()
        return one.stored

    async def run(self) -> None:
        """Write for ever; ends by cancellation, or by a fault that waiting would not mend."""
        while True:
            await self._has_some.wait()
            await self._linger()
            batch = self._take()
            bad = await self._stored([value for one in batch for value in one.values])
            self._written_at_s = asyncio.get_running_loop().time()
            _answer(batch, bad)

    async def _linger(self) -> None:
        since_s = asyncio.get_running_loop().time() - self._written_at_s
        try:
            async with asyncio.timeout(max(LINGER_S, self._pause_s - since_s)):
                await self._is_full.wait()
        except TimeoutError:
            return

    def _take(self) -> list[_Waiting]:
        """The oldest chunks up to the limits, at least one."""
        batch: list[_Waiting] = []
        rows = size_bytes = 0
        while self._waiting and (not batch or (rows < self._max_rows and size_bytes < self._max_bytes)):
            one = self._waiting.popleft()
            batch.append(one)
            rows += len(one.values)
            size_bytes += one.size_bytes
        self._rows -= rows
        self._bytes -= size_bytes
        if not self._waiting:
            self._has_some.clear()
        if self._rows < self._max_rows and self._bytes < self._max_bytes:
            self._is_full.clear()
        return batch

    async def _stored(self, values: list[bytes]) -> Bad:
        tries = 0
        while True:
            try:
                bad = await self._write(values)
            except UnavailableError as away:
                self.is_away = True
                log.warning("waiting for the store", detail=away.detail, values=len(values))
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
            else:
                self.is_away = False
                return bad


def _answer(batch: Sequence[_Waiting], bad: Bad) -> None:
    """Tell every chunk that it is stored, and which of its own values are not readable."""
    start = 0
    for one in batch:
        end = start + len(one.values)
        if not one.stored.done():  # given up meanwhile: the next owner writes it again
            one.stored.set_result([at - start for at in bad if start <= at < end])
        start = end
