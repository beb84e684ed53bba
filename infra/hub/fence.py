"""The fence: whether this process may believe that its partitions are still its own.

A process that was frozen longer than the session lost its partitions without knowing. So what counts is not when an
answer was seen, but when the heartbeat it answers was *sent*: an answer that lay in the socket proves nothing.
Written by the consumer's thread, read by agents, sinks and settle. Never talks to anybody.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

NEVER: Final = float("-inf")
LOOK_AGAIN_S: Final = 0.02


class Fence:
    """The age of the last answered heartbeat against half a session timeout, on the monotonic clock."""

    def __init__(self, session_timeout_s: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._fresh_s = session_timeout_s / 2
        self._monotonic_s = monotonic_s
        self._sent_s = NEVER

    def answered(self, sent_s: float) -> None:
        """The group's coordinator answered, as to a living member, a request that was sent at `sent_s`."""
        self._sent_s = max(self._sent_s, sent_s)

    def lost(self) -> None:
        """The coordinator no longer knows this member or its generation."""
        self._sent_s = NEVER

    def age_s(self) -> float:
        """Seconds since the last answered heartbeat was sent; infinite before the first and after a loss."""
        return self._monotonic_s() - self._sent_s

    def is_fresh(self) -> bool:
        """The partitions were surely ours less than half a session ago."""
        return self._monotonic_s() - self._sent_s < self._fresh_s

    async def wait_fresh(self, is_given_up: Callable[[], bool]) -> bool:
        """Wait until fresh, or until `is_given_up`; returns whether it is fresh and not given up."""
        while not is_given_up():
            if self.is_fresh():
                return True
            await asyncio.sleep(LOOK_AGAIN_S)
        return False
