"""The checkpoint of a partition: what belongs to all of its rows together.

Written by `partition` with every batch of rows, read when an owner takes over: if the rows fit the log, it goes on from
there; if not, they are thrown away and made again. It never reads an event.
"""

from typing import Final, Protocol

import msgspec
from msgspec import Struct, field

from infra.state import Rows, Store
from schemas.topics import DAY_MS
from streams.census import Counts
from streams.fold import MEMORY_MS
from streams.keys import Keys
from streams.waiting import Tally

MAX_AGE_MS: Final = 3 * DAY_MS
"""Rows that were not written for so long are thrown away: the log tells faster what is open than they do."""


REREAD_MS: Final = MEMORY_MS + 3_600_000
"""A rebuild reads so much of the log: what is forgotten by now is surely out of `delays`, what is not is in the log."""


class Checkpoint(Struct, array_like=True):
    """The offset of the next event to read, and when that was written (UTC ms).

    Besides, how many attempts are in flight per channel, the lines that are not empty, and the offset of the next
    request to read (below 0: not known), and the census (None: written before there was one).
    """

    position: int = 0
    written_at: int = 0
    in_flight: dict[str, int] = field(default_factory=dict)
    tallies: list[Tally] = field(default_factory=list)
    requests: int = -1
    counts: Counts | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether there are no rows to it yet."""
        return self.written_at == 0

    def put(self, rows: Rows, keys: Keys) -> None:
        """Write it with these rows."""
        rows.put(keys.checkpoint, _pack(self))


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(Checkpoint).decode


def checkpoint_of(store: Store, keys: Keys) -> Checkpoint | None:
    """What the partition's rows on disk belong to; None when there are none."""
    value = store.get(keys.checkpoint)
    return _unpack(value) if value is not None else None


def clear(store: Store, keys: Keys) -> None:
    """Throw the partition's rows away."""
    rows = Rows()
    rows.delete_range(keys.prefix, keys.end)
    store.write(rows)


class Log(Protocol):
    """Where a partition of a topic begins and ends now: `infra.worker.LogTail`."""

    async def begin_offset(self, topic: str, partition: int) -> int: ...  # noqa: D102 - see infra.hub
    async def end_offset(self, topic: str, partition: int) -> int: ...  # noqa: D102
    async def offset_for_time(self, topic: str, partition: int, ts_ms: int) -> int: ...  # noqa: D102


async def fitting(store: Store, keys: Keys, log: Log, of: tuple[str, int], now_ms: int) -> Checkpoint:
    """The checkpoint on disk; a fresh one when that is missing, too old, or not within the log.

    A fresh one begins as far back as messages are remembered. `of` is the topic and partition of the log.
    """
    found = checkpoint_of(store, keys)
    first, end = await log.begin_offset(*of), await log.end_offset(*of)
    if found is not None and first <= found.position <= end and now_ms - found.written_at <= MAX_AGE_MS:
        return found
    clear(store, keys)
    start = await log.offset_for_time(*of, now_ms - REREAD_MS)
    if found is not None and first <= found.position <= end:
        start = min(start, found.position)  # nobody has read on since
    return Checkpoint(max(first, start))
