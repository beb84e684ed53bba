"""Where the channels of one partition's messages stand: who is in a line, who under way, and how many of each.

Used by `partition`, which tells every change. It keeps the lines on disk, the flights that a channel's window counts
and the census in step with the states; it reads no log and decides nothing.
"""

from collections import Counter
from collections.abc import Mapping, MutableSet
from typing import Final

from infra.state import Rows
from streams.census import Census
from streams.message_state import IN_FLIGHT, MessageState, Phase
from streams.rows import Row
from streams.waiting import WaitingLines

_DEFERRED: Final = Phase.DEFERRED


class Standing:
    """`taken` are the entries, by (message id, channel), that were taken from a line and have not left it."""

    def __init__(
        self, lines: WaitingLines, census: Census, taken: MutableSet[tuple[bytes, str]], in_flight: Mapping[str, int]
    ) -> None:
        self._lines = lines
        self._census = census
        self._taken = taken
        self.in_flight: Final = Counter(in_flight)
        """Attempts under way, by channel."""
        self.late_ms: Final[list[int]] = []
        """How late each was let into the line, until somebody takes them away."""

    def moved(self, rows: Rows, message_id: bytes, row: Row, before: list[int]) -> None:
        """Bring flights and lines in step with the state, which stood as in `before` (see `stands`)."""
        queue = (row.state.app_id, row.state.type)
        for index, channel in enumerate(row.state.channels):
            was, now = before[index], channel.phase
            if was == now or (now == _DEFERRED and was == -channel.until):
                continue
            if change := (now in IN_FLIGHT) - (was in IN_FLIGHT):
                self.in_flight[channel.channel] += change
                self._census.in_flight[channel.channel, queue[0]] += change
            bit = 1 << index
            if was == Phase.WAITING or row.released & bit:
                row.released &= ~bit
                self._taken.discard((message_id, channel.channel))
                self._lines.remove(rows, channel.channel, queue, channel.seq)
            if now == Phase.WAITING:
                self._lines.add(rows, channel.channel, queue, (channel.seq, message_id))

    def release(self, rows: Rows, message_id: bytes, row: Row, upto_ms: int, now_ms: int) -> None:
        """Let deferred channels into the line whose time has come by `upto_ms`; it is `now_ms`."""
        for index, channel in enumerate(row.state.channels):
            bit = 1 << index
            if channel.phase == _DEFERRED and channel.until <= upto_ms and not row.released & bit:
                row.released |= bit
                queue = (row.state.app_id, row.state.type)
                self._lines.add(rows, channel.channel, queue, (channel.seq, message_id))
                self.late_ms.append(max(0, now_ms - channel.until))


def stands(state: MessageState) -> list[int]:
    """Where the channels stand as far as lines and windows are concerned: their phases; deferred, until when (< 0)."""
    return [channel.phase if channel.phase != _DEFERRED else -channel.until for channel in state.channels]
