"""Up to which moment a partition's log has been read: asked of the broker, one question at a time.

Used by `owner`. A timer may fire only when everything that was in the log at its moment has been read; so, when one is
due, the broker is asked where the log ends, and the answer holds once that is read. It fires nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from schemas.errors import UnavailableError

ASK_AGAIN_S: Final = 1.0

log = structlog.get_logger("settle")


class ReadUpTo:
    """`end_offset` asks about `partition`; `on_answer` is told when the broker has answered, or may be asked again."""

    def __init__(self, partition: int, end_offset: Callable[[], Awaitable[int]], on_answer: Callable[[], None]) -> None:
        self._partition = partition
        self._end_offset = end_offset
        self._on_answer = on_answer
        self._answer: tuple[int, int] | None = None
        self._is_asking = False

    @property
    def is_idle(self) -> bool:
        """Whether another question may be asked."""
        return self._answer is None and not self._is_asking

    def ask(self, now_ms: int) -> Coroutine[Any, Any, None]:
        """Ask where the log ends, at a moment that is `now_ms`; what it returns is to be run as a task."""
        self._is_asking = True
        return self._ask(now_ms)

    async def _ask(self, now_ms: int) -> None:
        try:
            self._answer = (now_ms, await self._end_offset())
        except UnavailableError as problem:
            log.warning("timers wait for the broker", partition=self._partition, detail=problem.detail)
            await asyncio.sleep(ASK_AGAIN_S)
        self._is_asking = False
        self._on_answer()

    def passed(self, position: int) -> int:
        """The moment (UTC ms) up to which everything is read, now that `position` is the next offset; 0: no news."""
        if self._answer is None or position < self._answer[1]:
            return 0
        asked_ms, self._answer = self._answer[0], None
        return asked_ms
