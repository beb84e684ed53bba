"""What one partition has open and who waits there, why and since when; and telling everybody about it.

Called once a second by settle's shell, beside the group. `Overview` looks at counts that are kept anyway, and at the
first message of each line; `Teller` publishes what has changed. Neither changes anything, or is waited for.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, TypeAlias

from msgspec import Struct, structs

from schemas.codec import BACKLOG
from schemas.errors import Reason
from schemas.records import Backlog, BacklogApp, BacklogLine
from streams.census import Census, Pair
from streams.issuing import Issuing, is_in_line
from streams.message_state import Phase
from streams.rows import MessageRows
from streams.rules import IsHeld
from streams.waiting import Entry, WaitingLines

RATE_MS: Final = 10_000
QUIET_MS: Final = 5_000
"""A partition without news says so at least so often."""
LOOKS: Final = 256
"""So many entries of a line are looked at for the first that still waits."""

Send: TypeAlias = Callable[[bytes, bytes], None]
"""Publishes a value under a key; must not block or raise."""


class Rates:
    """How many were issued a second lately, by channel and application."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, Counter[Pair]]] = deque()

    def at(self, now_ms: int, issued: Counter[Pair]) -> dict[Pair, float]:
        """Over the last 10 s, or since this was asked first; `issued` are all so far."""
        while self._seen and now_ms - self._seen[0][0] > RATE_MS:
            self._seen.popleft()
        self._seen.append((now_ms, Counter(issued)))
        since_ms, before = self._seen[0]
        passed_s = max(now_ms - since_ms, 1) / 1000
        return {pair: round((count - before[pair]) / passed_s, 1) for pair, count in issued.items()}


class Standing(Struct):
    """What the lines of one application for one channel say together."""

    waiting: int = 0
    oldest_at: int = 0
    closed_until: int = 0
    reason: str = ""
    is_held: bool = True


class Overview:
    """One partition's backlog, seen from its parts."""

    def __init__(
        self, census: Census, lines: WaitingLines, messages: MessageRows, issuing: Issuing, is_held: IsHeld
    ) -> None:
        self._census = census
        self._lines = lines
        self._messages = messages
        self._issuing = issuing
        self._is_held = is_held
        self._rates = Rates()

    def at(self, now_ms: int) -> Backlog:
        """What is open and waits now; whose partition it is has to be filled in."""
        found = self._standings()
        rates = self._rates.at(now_ms, self._census.issued)
        in_flight = self._census.in_flight
        shown = {pair for pair, rate in rates.items() if rate} | found.keys()
        shown |= {pair for pair, count in in_flight.items() if count}
        lines = [self._line(pair, found.get(pair), rates.get(pair, 0.0)) for pair in sorted(shown)]
        apps = [BacklogApp(app, count) for app, count in sorted(self._census.open.items()) if count]
        return Backlog(at=now_ms, open=apps, lines=lines)

    def _line(self, pair: Pair, found: Standing | None, rate: float) -> BacklogLine:
        gate = self._issuing.gates.closed.get(pair[0])
        stands = found or Standing(is_held=False)
        if gate is not None and not stands.reason:
            stands.closed_until, stands.reason = gate.until, gate.reason
        return BacklogLine(
            pair[0],
            pair[1],
            stands.waiting,
            self._census.in_flight[pair],
            stands.oldest_at,
            rate,
            stands.closed_until,
            stands.reason,
            stands.is_held,
        )

    def _standings(self) -> dict[Pair, Standing]:
        found: dict[Pair, Standing] = {}
        for channel, queue, count, heads in self._lines.fronts(LOOKS):
            stands = found.setdefault((channel, queue[0]), Standing())
            stands.waiting += count
            self._note_oldest(stands, channel, heads)
            is_held = self._is_held(*queue, channel)
            stands.is_held = stands.is_held and is_held
            if is_held:
                stands.reason = Reason.HELD
        for (message_id, channel), seq in islice(self._issuing.parked.items(), LOOKS):
            row = self._messages.get(message_id)
            if row is not None and (channel, row.state.app_id) in found:
                stands = found[channel, row.state.app_id]
                self._note_oldest(stands, channel, [(seq, message_id)])
                stands.reason = stands.reason or Reason.FALLBACK_BUDGET
                stands.closed_until = stands.closed_until or self._issuing.unpark_at_ms
        return found

    def _note_oldest(self, stands: Standing, channel: str, heads: list[Entry]) -> None:
        since = next(self._since(channel, heads), 0)
        stands.oldest_at = min(stands.oldest_at or since, since or stands.oldest_at)

    def _since(self, channel: str, heads: list[Entry]) -> Iterator[int]:
        """Since when those among them are due who still wait: accepted, to be sent, or to be tried again."""
        for seq, message_id in heads:
            row = self._messages.get(message_id)
            if row is None:
                continue
            for index, one in enumerate(row.state.channels):
                if one.channel == channel and one.seq == seq and is_in_line(row, index):
                    until = one.until if one.phase == Phase.DEFERRED else 0
                    yield max(row.state.accepted_at, row.state.send_at, until)


class Teller:
    """Tells a lane's backlogs by partition: when something has changed, and at least every 5 s."""

    def __init__(self, lane: str, worker: str, send: Send) -> None:
        self._lane = lane
        self._worker = worker
        self._send = send
        self._told: dict[int, Backlog] = {}

    def tell(self, partition: int, seen: Backlog) -> None:
        """Publish what a partition's overview shows, unless it is what was told last."""
        before = self._told.get(partition)
        told = structs.replace(seen, lane=self._lane, partition=partition, worker=self._worker)
        if before is None or seen.at >= before.at + QUIET_MS or structs.replace(before, at=told.at) != told:
            self._told[partition] = told
            self._send(f"{self._lane}/{partition}".encode(), BACKLOG.encode(told))
