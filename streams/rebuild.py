"""The first half of a rebuild after a lost disk: `delays` of one partition, read to its end into empty rows.

Called by `owner` before it folds the last three days of the log on top. Until that is done no checkpoint that fits is
on disk: a rebuild that was interrupted begins anew. It tells how far it is every few seconds, and decides nothing.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog
from prometheus_client import Counter

from infra.worker import LogTail, Record
from schemas.codec import DELAYED
from schemas.errors import Permanent
from streams.partition import Partition

TELL_S: Final = 3.0
UNFIT: Final = -1
"""A position that fits no log: what is written with it is thrown away by the next owner."""

RESTORED: Final = Counter("settle_restored", "records of delays laid down while rebuilding")

log = structlog.get_logger("settle")


class Progress:
    """How far a partition's rebuild is; says so every few seconds."""

    def __init__(self, partition: int, records: int, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._partition = partition
        self._records = records
        self._monotonic_s = monotonic_s
        self._begun_s = self._told_s = monotonic_s()
        self.count = 0

    def add(self, count: int) -> None:
        """So many records more."""
        self.count += count
        now_s = self._monotonic_s()
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            self.tell("rebuilding")

    def tell(self, what: str) -> None:
        """One line: count, offsets to read in all (compacted ones hold no record), and rate."""
        passed_s = max(self._monotonic_s() - self._begun_s, 0.001)
        rate = round(self.count / passed_s)
        log.info(what, partition=self._partition, records=self.count, of_at_most=self._records, per_s=rate)


async def rebuild(tail: LogTail, of: tuple[str, int], state: Partition, write: Callable[[], None]) -> int:
    """Lay every message of `delays` (`of`: topic and partition) down in `state`; returns how many records were read.

    `write` is called after each batch. Raises UnavailableError without a broker.
    """
    begin, end = await tail.begin_offset(*of), await tail.end_offset(*of)
    progress = Progress(of[1], end - begin)
    position, state.position = state.position, UNFIT

    def lay(records: Sequence[Record]) -> None:
        for record in records:
            _lay(state, record)
        RESTORED.inc(len(records))
        write()
        progress.add(len(records))

    count = await tail.read(*of, begin, end, lay)
    state.position = position
    if count:
        progress.tell("delays read")
    return count


def _lay(state: Partition, record: Record) -> None:
    if record.value is None:
        state.restore(record.key or b"", None, record.timestamp)
        return
    try:
        kept = DELAYED.decode(record.value)
        state.restore(kept.message_id, kept, record.timestamp)
    except (Permanent, msgspec.MsgspecError):
        log.error("a delayed message cannot be read", topic=record.topic, offset=record.offset)  # noqa: TRY400 - no text of theirs
