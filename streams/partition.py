"""One partition of settle: the fold of its log on disk, the conclusions it waits to read back, and what follows.

Driven by `owner` (live) and by tests (record by record): `read` events in order, `fire` what is due, `conclude`,
then `cut` the changes and write them when everything that was sent is acknowledged. It knows neither Kafka nor a clock
nor asyncio; records to send are appended to a list it is given.

Two rules carry it. What is on disk is the fold of a prefix of the log: a conclusion changes nothing until it is read
back. And of each message and channel at most one conclusion is unread at a time, a final one only when nothing is.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from infra.state import Rows, Store
from schemas.records import Event
from schemas.statuses import Stage
from streams import consequences
from streams.checkpoint import Checkpoint
from streams.consequences import Author, Record
from streams.decide import Conclusion, decide, issue
from streams.due import NOTHING, DueIndex
from streams.fold import FOLDED, MAX_CHANNELS, Effect, fold
from streams.guard import LAPSE_MS, next_due
from streams.keys import Keys
from streams.message_state import IN_FLIGHT, MessageState, Phase, Place, by_weight
from streams.rows import MessageRows, Row
from streams.unread import Unread
from streams.waiting import WaitingLines

LOOK_AGAIN_MS: Final = 1_000
"""A message whose moment came, and that is still not done, is looked at again so much later."""

_ACCEPTED: Final[str] = Stage.ACCEPTED  # to name an enum's member costs 0.2 us

Window = Callable[[str], int]
"""How many attempts may be in flight on a channel, in this partition."""


class Rules(Struct, frozen=True):
    """How this partition decides: in whose name, how long a claim may take (ms), and the window per channel."""

    author: Author
    hold_ms: int
    window: Window


class Partition:
    """The state of one partition from `checkpoint` on; `out` collects records to send, in order."""

    def __init__(self, store: Store, keys: Keys, rules: Rules, checkpoint: Checkpoint) -> None:
        self._rules = rules
        self._keys = keys
        self._rows = Rows()
        self._messages = MessageRows(store, keys)
        self._due = DueIndex(store, keys)
        self._lines = WaitingLines(store, keys, checkpoint.tallies)
        self._in_flight = Counter(checkpoint.in_flight)
        self._cuts: deque[int] = deque()
        self._touched: dict[bytes, None] = {}
        self._unread = Unread()
        self._taken: set[tuple[bytes, str]] = set()
        self.position = checkpoint.position
        """Offset of the next event to read."""
        self.read_up_to_ms = 0
        """Everything that was in the log at this moment has been read."""

    # ---- reading

    def read(self, event: Event, place: Place, out: list[Record] | None) -> None:
        """Fold the next event; `out` collects what follows from it, None while catching up silently."""
        self.position = place.offset + 1
        if event.stage not in FOLDED:
            return
        message_id = event.message_id
        if self._unread.read(event):
            self._touched[message_id] = None
        row = self._messages.get(message_id)
        known = row.state if row is not None else None
        before = [channel.phase for channel in known.channels] if known is not None else []
        state, effect = fold(known, event, place)
        if not effect or state is None:
            return
        if effect != Effect.CONFLICT:
            if row is None or state is not known:
                row, before = self._new_row(event, state), [Phase.UNSTARTED] * len(state.channels)
            self._messages.change(message_id, row)
            self._account(message_id, row, before)
            self._rearm(message_id, row, place, effect)
            self._touched[message_id] = None
        if out is not None and row is not None:
            self._follow(event, row, effect, out)

    def pass_over(self, offset: int) -> None:
        """Step over a record that is no event."""
        self.position = offset + 1

    def _new_row(self, event: Event, state: MessageState) -> Row:
        sealed = [part.sealed for part in by_weight(event.plan)] if event.plan is not None else []
        return self._messages.add(self._rows, event.message_id, state, sealed)

    def _account(self, message_id: bytes, row: Row, before: list[int]) -> None:
        """Keep flight counts and lines in step with the state."""
        app_id = row.state.app_id
        for index, channel in enumerate(row.state.channels):
            was, now = before[index], channel.phase
            if was == now:
                continue
            self._in_flight[channel.channel] += (now in IN_FLIGHT) - (was in IN_FLIGHT)
            bit = 1 << index
            if was == Phase.WAITING or row.released & bit:
                row.released &= ~bit
                self._taken.discard((message_id, channel.channel))
                self._lines.remove(self._rows, channel.channel, app_id, channel.seq)
            if now == Phase.WAITING:
                self._lines.add(self._rows, channel.channel, app_id, (channel.seq, message_id))

    def _rearm(self, message_id: bytes, row: Row, place: Place, effect: int) -> None:
        """An entry in the due index that is early enough; a final message keeps the one it has."""
        if effect == Effect.COMPLETED:
            self._messages.unseal(self._rows, message_id, row)
            return
        due_ms = next_due(row.state, place.appended_at)
        if not row.armed:
            # One entry serves the usual life: by then it is final, or its first attempt has lapsed.
            due_ms = min(due_ms or NOTHING, place.appended_at + self._rules.hold_ms + LAPSE_MS)
        elif due_ms >= row.armed:
            return
        self._arm(message_id, row, due_ms)

    def _arm(self, message_id: bytes, row: Row, due_ms: int) -> None:
        row.armed = due_ms
        self._due.arm(self._rows, due_ms, message_id)
        self._messages.change(message_id, row)

    def _follow(self, event: Event, row: Row, effect: int, out: list[Record]) -> None:
        if effect != Effect.CHANGED or event.stage == _ACCEPTED:
            out += consequences.told(self._rules.author, row.state, event, effect)
        if effect == Effect.ISSUED:
            self._deliver(event.message_id, row, event.channel, out)

    def _deliver(self, message_id: bytes, row: Row, name: str, out: list[Record]) -> None:
        for index, channel in enumerate(row.state.channels):
            if channel.channel == name:
                sealed = self._messages.sealed_part(message_id, row, index)
                out.append(consequences.delivery(self._rules.author, message_id, row.state, channel, sealed))

    def remind(self, event: Event, place: Place, out: list[Record]) -> None:
        """Say again what followed from an event that was folded silently: nobody may have been told.

        For events that the group delivers although catch-up has read them. Deliveries are not among them: see
        `deliver_again`.
        """
        row = self._messages.get(event.message_id)
        if row is not None:
            out += consequences.told_again(self._rules.author, row.state, event, place)

    def deliver_again(self, now_ms: int, out: list[Record]) -> None:
        """After catching up: the deliveries of what was issued and is not claimed, with the logged `claim_by`."""
        for message_id in self._touched:
            row = self._messages.get(message_id)
            if row is None:
                continue
            for channel in row.state.channels:
                if channel.phase == Phase.ISSUED and now_ms < channel.until:
                    self._deliver(message_id, row, channel.channel, out)

    # ---- concluding

    def is_due(self, at_ms: int) -> bool:
        """Whether some message's moment may have come."""
        return self._due.is_due(at_ms)

    def fire(self, now_ms: int, limit: int) -> bool:
        """Touch the messages whose moment has come by `read_up_to_ms`, at most `limit`; whether there may be more."""
        upto_ms = min(now_ms, self.read_up_to_ms)
        entries = self._due.take(upto_ms, limit)
        for due_ms, message_id in entries:
            row = self._messages.get(message_id)
            if row is None or row.armed != due_ms:
                continue  # an entry that an earlier one has replaced
            if row.state.final and row.state.forget_at <= upto_ms:
                self._messages.forget(self._rows, message_id)
                continue
            self._release(message_id, row, upto_ms)
            again_ms = next_due(row.state, upto_ms)
            self._arm(message_id, row, again_ms if again_ms > upto_ms else now_ms + LOOK_AGAIN_MS)
            self._touched[message_id] = None
        return len(entries) == limit

    def _release(self, message_id: bytes, row: Row, upto_ms: int) -> None:
        """Let deferred channels into the line whose time has come."""
        for index, channel in enumerate(row.state.channels):
            bit = 1 << index
            if channel.phase == Phase.DEFERRED and channel.until <= upto_ms and not row.released & bit:
                row.released |= bit
                self._lines.add(self._rows, channel.channel, row.state.app_id, (channel.seq, message_id))

    def conclude(self, now_ms: int, out: list[Record]) -> None:
        """Propose what holds now for every message touched, then issue as far as there is room."""
        touched, self._touched = self._touched, {}
        for message_id in touched:
            row = self._messages.get(message_id)
            if row is None:
                continue
            for made in decide(row.state, now_ms, self.read_up_to_ms):
                self._propose(message_id, row.state, made, now_ms, out)
            self._return(message_id, row)
        for channel in self._lines.channels():
            self._issue(channel, now_ms, out)

    def _propose(
        self, message_id: bytes, state: MessageState, made: Conclusion, now_ms: int, out: list[Record]
    ) -> bool:
        """Append a conclusion unless another one has to be read first; whether it was."""
        if self._unread.blocks(message_id, made):
            return False
        self._unread.add(message_id, made)
        out.append(consequences.conclusion(self._rules.author, message_id, state, made, now_ms))
        return True

    def _return(self, message_id: bytes, row: Row) -> None:
        """Put back into the line what was taken from it, is not unread any more, and still waits."""
        if not self._taken:
            return
        for index, channel in enumerate(row.state.channels):
            key = (message_id, channel.channel)
            if key in self._taken and not self._unread.holds(message_id, channel.channel):
                self._taken.discard(key)
                if _is_in_line(row, index):
                    self._lines.put_back(channel.channel, row.state.app_id, (channel.seq, message_id))

    def _issue(self, name: str, now_ms: int, out: list[Record]) -> None:
        room = self._rules.window(name) - self._in_flight[name] - self._unread.issues[name]
        while room > 0:
            entry = self._lines.take(name)
            if entry is None:
                return
            room -= self._issue_one(name, entry, now_ms, out)

    def _issue_one(self, name: str, entry: tuple[int, bytes], now_ms: int, out: list[Record]) -> bool:
        """Propose the attempt of whoever was taken from the line; False when that entry holds no longer."""
        seq, message_id = entry
        row = self._messages.get(message_id)
        if row is None:
            return False
        for index, channel in enumerate(row.state.channels):
            if channel.channel == name and channel.seq == seq and _is_in_line(row, index):
                self._taken.add((message_id, name))
                made = issue(row.state, channel, now_ms, self._rules.hold_ms)
                return made is not None and self._propose(message_id, row.state, made, now_ms, out)
        return False

    # ---- writing

    def cut(self, now_ms: int) -> Rows:
        """All changes since the last cut, to be written after it; call `written` when they are."""
        rows, self._rows = self._rows, Rows()
        self._messages.cut(rows)
        self._due.cut(rows)
        in_flight = {channel: count for channel, count in self._in_flight.items() if count}
        Checkpoint(self.position, now_ms, in_flight, self._lines.tallies()).put(rows, self._keys)
        self._cuts.append(self.position * MAX_CHANNELS)
        return rows

    def written(self) -> None:
        """The oldest rows that were cut are on disk."""
        self._messages.written()
        self._due.written()
        self._lines.written(self._cuts.popleft())

    def backlog(self) -> dict[tuple[str, str], int]:
        """How many messages wait for room, by (channel, application)."""
        return self._lines.backlog()


def _is_in_line(row: Row, index: int) -> bool:
    return row.state.channels[index].phase == Phase.WAITING or bool(row.released >> index & 1)
