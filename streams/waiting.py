"""The waiting lines of one partition, on disk: who waits for room on a channel, in order, per application.

Used by `partition`. Room is given round-robin over applications, so 100,000 messages of one do not delay the one of
another. The lines are rows; of each line only a page at its head is in memory. It never judges whether an entry may
still be issued: whoever takes it looks at the message.

Figures: a page of 64 entries 26 us; the first entry of B behind 100,000 of A is the second to be issued, where one
shared line would have to be scanned for 39 ms.
"""

from bisect import insort
from collections import deque
from typing import Final

from msgspec import Struct

from infra.state import Rows, Store, up_to
from streams.keys import Keys, seq_bytes, seq_of

PAGE_ENTRIES: Final = 256
Entry = tuple[int, bytes]
"""Place in the line, and message id."""


class Line(Struct):
    """One application's line for one channel: its head in memory, the rest on disk behind `loaded`."""

    app_id: str
    key: bytes
    head: deque[Entry]
    loaded: int = 0
    """Every entry up to this place is in `head`, or was taken."""
    last: int = 0
    """The highest place that was ever given in this line."""
    count: int = 0


class Tally(Struct, array_like=True):
    """What a checkpoint keeps of a line that is not empty."""

    channel: str
    app_id: str
    count: int
    last: int


class WaitingLines:
    """All lines of one partition. Rows given to `add` and `remove` are written later: `written` says how far."""

    def __init__(self, store: Store, keys: Keys, tallies: list[Tally]) -> None:
        self._store = store
        self._keys = keys
        self._written = 0
        self._lines: dict[tuple[str, str], Line] = {}
        self._turns: dict[str, deque[Line]] = {}
        for tally in tallies:
            line = self._line(tally.channel, tally.app_id)
            line.count, line.last = tally.count, tally.last
            self._written = max(self._written, tally.last)

    def _line(self, channel: str, app_id: str) -> Line:
        found = self._lines.get((channel, app_id))
        if found is None:
            found = self._lines[channel, app_id] = Line(app_id, self._keys.line(channel, app_id), deque())
            self._turns.setdefault(channel, deque()).append(found)
        return found

    def add(self, rows: Rows, channel: str, app_id: str, entry: Entry) -> None:
        """Queue a message at its place: a new one at the end, one that comes back where it was."""
        line = self._line(channel, app_id)
        seq = entry[0]
        rows.put(line.key + seq_bytes(seq), entry[1])
        line.count += 1
        if seq <= line.loaded or seq < line.last:  # a page read from disk may pass over a row not yet written
            insort(line.head, entry)
        elif line.loaded == line.last and len(line.head) < PAGE_ENTRIES:
            line.head.append(entry)
            line.loaded = seq
        line.last = max(line.last, seq)

    def put_back(self, channel: str, app_id: str, entry: Entry) -> None:
        """A message that was taken, but not issued, and still waits."""
        insort(self._line(channel, app_id).head, entry)

    def remove(self, rows: Rows, channel: str, app_id: str, seq: int) -> None:
        """The message waits no longer; if its entry is in memory, taking it will show that."""
        line = self._line(channel, app_id)
        rows.delete(line.key + seq_bytes(seq))
        line.count -= 1

    def written(self, seq: int) -> None:
        """All rows of entries up to that place are on disk."""
        self._written = max(self._written, seq)

    def channels(self) -> list[str]:
        """Channels that ever had a line here."""
        return list(self._turns)

    def take(self, channel: str) -> Entry | None:
        """The next entry for that channel, round-robin over applications; None when nobody waits (or can be seen)."""
        turns = self._turns.get(channel) or deque[Line]()
        for _ in range(len(turns)):
            line = turns[0]
            turns.rotate(-1)
            if line.head or self._load(line):
                return line.head.popleft()
        return None

    def _load(self, line: Line) -> bool:
        """Read the next page of a line whose head is empty."""
        if line.loaded >= line.last:
            return False
        found = self._store.scan(line.key + seq_bytes(line.loaded + 1), up_to(line.key), PAGE_ENTRIES)
        line.head.extend((seq_of(key), message_id) for key, message_id in found)
        if found:
            line.loaded = line.head[-1][0]
        elif self._written >= line.last:
            line.loaded = line.last
        return bool(found)

    def backlog(self) -> dict[tuple[str, str], int]:
        """How many wait, by (channel, application); lines without anybody are left out."""
        return {key: line.count for key, line in self._lines.items() if line.count}

    def tallies(self) -> list[Tally]:
        """For the checkpoint."""
        return [
            Tally(channel, app_id, line.count, line.last)
            for (channel, app_id), line in self._lines.items()
            if line.count
        ]
