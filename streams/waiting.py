"""The waiting lines of one partition, on disk: who waits for room on a channel, in order, per application and type.

Used by `issuing`. Room is given round-robin over applications, and over the types of each, so 100,000 messages of one
do not delay the one of another. The lines are rows; of each line only some pages at its head are in memory. It never
judges whether an entry may still be issued: whoever takes it looks at the message, and may pause its line.

Figures: a page of 64 entries 26 us; the first entry of B behind 100,000 of A is the second to be issued, where one
shared line would have to be scanned for 39 ms.
"""

from bisect import insort
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from msgspec import Struct

from infra.state import Rows, Store, up_to
from streams.due import NOTHING
from streams.keys import Keys, seq_bytes, seq_of

PAGE_ENTRIES: Final = 256
MAX_PAGES: Final = 4
"""So many pages of a line are kept in memory; then half of them are left to the disk again."""
Entry = tuple[int, bytes]
"""Place in the line, and message id."""
Queue = tuple[str, str]
"""Whose line it is: application and message type."""


class Line(Struct, eq=False):
    """One queue's line for one channel: its head in memory, the rest on disk behind `loaded`.

    `strays` are entries that were added before others which stand there already, by place, with the cut that brings
    them to the disk: until then no page shows them.
    """

    queue: Queue
    key: bytes
    head: deque[Entry]
    strays: dict[int, tuple[bytes, int]]
    loaded: int = 0
    """Every entry up to this place is in `head`, or was taken."""
    last: int = 0
    """The highest place that was ever given in this line."""
    count: int = 0
    is_listed: bool = False
    paused_until: int = 0
    why: str = ""


class Turn(Struct, eq=False):
    """One application's lines for one channel, as far as somebody stands in them."""

    app_id: str
    lines: deque[Line]


class Tally(Struct, array_like=True):
    """What a checkpoint keeps of a line that is not empty."""

    channel: str
    app_id: str
    count: int
    last: int
    type: str = ""


class WaitingLines:
    """All lines of one partition. Rows given to `add` and `remove` are written later: `written` says how far."""

    def __init__(self, store: Store, keys: Keys, tallies: list[Tally]) -> None:
        self._store = store
        self._keys = keys
        self._written = 0
        self._lines: dict[tuple[str, Queue], Line] = {}
        self._turns: dict[str, deque[Turn]] = {}
        self._cut = 1
        self._paused_until = 0
        self._strays: list[tuple[Line, int]] = []
        self._cuts: deque[tuple[int, list[tuple[Line, int]]]] = deque()
        self.is_behind = False
        """Somebody waits whose row is not on disk yet: look again soon."""
        for tally in tallies:
            line = self._line(tally.channel, (tally.app_id, tally.type))
            line.count, line.last = tally.count, tally.last
            self._written = max(self._written, tally.last)

    def _line(self, channel: str, queue: Queue) -> Line:
        found = self._lines.get((channel, queue))
        if found is None:
            found = self._lines[channel, queue] = Line(queue, self._keys.line(channel, *queue), deque(), {})
        if not found.is_listed:
            self._list(channel, found)
        return found

    def _list(self, channel: str, line: Line) -> None:
        """Somebody stands in it: it takes part in the turns."""
        line.is_listed = True
        turns = self._turns.setdefault(channel, deque())
        for turn in turns:
            if turn.app_id == line.queue[0]:
                turn.lines.append(line)
                return
        turns.append(Turn(line.queue[0], deque((line,))))

    def add(self, rows: Rows, channel: str, queue: Queue, entry: Entry) -> None:
        """Queue a message at its place: a new one at the end, one that comes back, or late, where it belongs."""
        line = self._line(channel, queue)
        seq = entry[0]
        rows.put(line.key + seq_bytes(seq), entry[1])
        line.count += 1
        if seq <= line.last:
            self._add_between(line, entry)
            return
        if line.loaded == line.last and len(line.head) < PAGE_ENTRIES:
            line.head.append(entry)
            line.loaded = seq
        line.last = seq

    def _add_between(self, line: Line, entry: Entry) -> None:
        line.strays[entry[0]] = (entry[1], self._cut)
        self._strays.append((line, entry[0]))
        if entry[0] <= line.loaded:
            self._remember(line, entry)

    def _remember(self, line: Line, entry: Entry) -> None:
        """Into the head, which gives its end back to the disk when it is too long."""
        insort(line.head, entry)
        if len(line.head) > MAX_PAGES * PAGE_ENTRIES:
            line.head = deque(list(line.head)[: MAX_PAGES * PAGE_ENTRIES // 2])
            line.loaded = min(line.loaded, line.head[-1][0])

    def put_back(self, channel: str, queue: Queue, entry: Entry) -> None:
        """A message that was taken, but not issued, and still waits."""
        self._remember(self._line(channel, queue), entry)

    def remove(self, rows: Rows, channel: str, queue: Queue, seq: int) -> None:
        """The message waits no longer; if its entry is in memory, taking it will show that."""
        line = self._line(channel, queue)
        rows.delete(line.key + seq_bytes(seq))
        line.count -= 1
        if line.strays:
            line.strays.pop(seq, None)

    # ---- writing

    def cut(self) -> None:
        """The rows given so far are complete; they will be written after all that were cut before."""
        self._cuts.append((self._cut, self._strays))
        self._strays = []
        self._cut += 1

    def written(self, seq: int) -> None:
        """The oldest rows that were cut are on disk, and with them every new place up to that one."""
        self._written = max(self._written, seq)
        cut, strays = self._cuts.popleft()
        for line, place in strays:
            if line.strays.get(place, (b"", 0))[1] == cut:
                del line.strays[place]

    # ---- whose turn it is

    def channels(self) -> list[str]:
        """Channels that ever had a line here."""
        return list(self._turns)

    def take(self, channel: str, at_ms: int = 0) -> Entry | None:
        """The next entry for that channel, round-robin over applications; None when nobody waits (or can be seen)."""
        turns = self._turns.get(channel) or deque[Turn]()
        for _ in range(len(turns)):
            turn = turns.popleft()
            entry = self._take_of(turn.lines, at_ms)
            if turn.lines:
                turns.append(turn)
            if entry is not None:
                return entry
        return None

    def _take_of(self, lines: deque[Line], at_ms: int) -> Entry | None:
        """Round-robin over one application's types; lines that have become empty leave the round."""
        for _ in range(len(lines)):
            line = lines.popleft()
            if line.paused_until <= at_ms and (line.head or self._load(line)):
                lines.append(line)
                return line.head.popleft()
            line.is_listed = line.count > 0
            if line.is_listed:
                lines.append(line)
        return None

    def _load(self, line: Line) -> bool:
        """Read the next page of a line whose head is empty."""
        if line.loaded >= line.last:
            return False
        found = self._store.scan(line.key + seq_bytes(line.loaded + 1), up_to(line.key), PAGE_ENTRIES)
        if not found and self._written < line.last:
            self.is_behind = True
            return False
        upto = seq_of(found[-1][0]) if found else line.last
        page = {seq_of(key): message_id for key, message_id in found}
        page |= {seq: stray[0] for seq, stray in line.strays.items() if line.loaded < seq <= upto}
        line.head.extend(sorted(page.items()))
        line.loaded = upto
        return bool(page)

    def pause(self, channel: str, queue: Queue, until_ms: int, why: str) -> None:
        """Nobody is taken from that line until then."""
        line = self._line(channel, queue)
        line.paused_until, line.why = until_ms, why
        self._paused_until = max(self._paused_until, until_ms)

    def resume(self, channel: str, why: str) -> None:
        """The channel's lines that were paused for that reason go on."""
        for turn in self._turns.get(channel, ()):
            for line in turn.lines:
                if line.why == why:
                    line.paused_until = 0

    def resume_all(self) -> None:
        """No line is paused any more."""
        self._paused_until = 0
        for line in self._lines.values():
            line.paused_until = 0

    def next_resume(self, channel: str, at_ms: int) -> int:
        """When the first of the channel's paused lines goes on; a moment that never comes when none is paused."""
        if at_ms >= self._paused_until:
            return NOTHING
        lines = (line for turn in self._turns.get(channel, ()) for line in turn.lines)
        return min((line.paused_until for line in lines if line.paused_until > at_ms), default=NOTHING)

    def why_paused(self, channel: str, queue: Queue, at_ms: int) -> str:
        """Why nobody is taken from that line at that moment; empty when somebody may be."""
        line = self._lines.get((channel, queue))
        return line.why if line is not None and line.paused_until > at_ms else ""

    # ---- how many wait

    def backlog(self) -> dict[tuple[str, str], int]:
        """How many wait, by (channel, application); lines without anybody are left out."""
        found: Counter[tuple[str, str]] = Counter()
        for (channel, queue), line in self._lines.items():
            found[channel, queue[0]] += line.count
        return {key: count for key, count in found.items() if count}

    def fronts(self, limit: int) -> Iterator[tuple[str, Queue, int, list[Entry]]]:
        """Of each line that is not empty: channel, whose it is, how many stand in it, the first entries in memory."""
        for (channel, queue), line in self._lines.items():
            if line.count:
                if not line.head:
                    self._load(line)
                yield channel, queue, line.count, list(islice(line.head, limit))

    def tallies(self) -> list[Tally]:
        """For the checkpoint."""
        return [
            Tally(channel, queue[0], line.count, line.last, queue[1])
            for (channel, queue), line in self._lines.items()
            if line.count
        ]
