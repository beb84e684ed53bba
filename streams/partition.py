"""One partition of settle: the fold of its log on disk, the conclusions it waits to read back, and what follows.

Driven by `owner` (live) and by tests (record by record): `read` events in order, `fire` what is due, `conclude`,
then `cut` the changes and write them when everything that was sent is acknowledged. It knows neither Kafka nor a clock
nor asyncio; records to send are appended to a list it is given.

Two rules carry it. What is on disk is the fold of a prefix of the log: a conclusion changes nothing until it is read
back. And of each message and channel at most one conclusion is unread at a time, a final one only when nothing is.
"""

from collections import deque
from functools import partial
from typing import Final

from infra.state import Rows, Store
from schemas.records import Delayed, Event
from schemas.statuses import Stage
from streams import consequences, delays
from streams.asked import STEPS as ASKED
from streams.backlog import Overview
from streams.budget import Budget
from streams.census import Census, recounted
from streams.checkpoint import Checkpoint
from streams.consequences import Record
from streams.decide import Conclusion, decide
from streams.due import NOTHING, DueIndex
from streams.fold import FOLDED, MAX_CHANNELS, MEMORY_MS, Effect, fold
from streams.guard import LAPSE_MS, next_due
from streams.issuing import Issuing, Limits
from streams.keys import Keys
from streams.message_state import IN_FLIGHT, MessageState, Phase, Place, by_weight
from streams.rows import MessageRows, Row
from streams.rules import Rules
from streams.standing import Standing, stands
from streams.unread import Unread
from streams.waiting import WaitingLines

LOOK_AGAIN_MS: Final = 1_000
"""A message whose moment came, and that is still not done, is looked at again so much later."""

TELL_FIRST_MS: Final = 3_600_000
"""An ended message that nobody may have been told about is kept, and looked at again so much later."""

TOLD: Final = frozenset({str(Stage.ACCEPTED), *ASKED})
"""Changes by these stages have consequences of their own."""
_COMPLETED: Final[str] = Stage.COMPLETED
_DEFERRED: Final = Phase.DEFERRED


class Partition:
    """The state of one partition from `checkpoint` on; `out` collects records to send, in order."""

    def __init__(self, store: Store, keys: Keys, rules: Rules, checkpoint: Checkpoint) -> None:
        self._rules = rules
        self._keys = keys
        self._rows = Rows()
        self._messages = MessageRows(store, keys)
        self._due = DueIndex(store, keys)
        self._lines = WaitingLines(store, keys, checkpoint.tallies)
        self._cuts: deque[int] = deque()
        self._touched: dict[bytes, None] = {}
        self._kept: list[Record] = []
        self._unread = Unread()
        limits = Limits(rules.window, rules.is_held, rules.hold_ms)
        budget = Budget(rules.partitions, rules.on_spent)
        self._issuing = Issuing(limits, self._lines, self._messages, self._unread, budget)
        self._census = Census(checkpoint.counts or recounted(store, keys))
        self._standing = Standing(self._lines, self._census, self._issuing.taken, checkpoint.in_flight)
        self.overview = Overview(self._census, self._lines, self._messages, self._issuing, rules.is_held)
        self.position = checkpoint.position
        """Offset of the next event to read."""
        self.requests_position = checkpoint.requests
        """Offset of the next request to read; below 0 when that is not known."""
        self.read_up_to_ms = 0
        """Everything that was in the log at this moment has been read."""
        self._told_up_to = 0

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
        if row is not None and place.offset < row.folded:
            return
        known = row.state if row is not None else None
        before = stands(known) if known is not None else []
        was_final = known is not None and known.final
        state, effect = fold(known, event, place)
        if not effect or state is None:
            return
        if effect != Effect.CONFLICT:
            if row is None or state is not known:
                self._census.add(state)
                row, before = self._new_row(event, state), [Phase.UNSTARTED] * len(state.channels)
            elif effect == Effect.COMPLETED and not was_final:
                self._census.end(state)
            self._messages.change(message_id, row)
            self._standing.moved(self._rows, message_id, row, before)
            self._rearm(message_id, row, place, effect, is_silent=out is None)
            self._keep(event, row, effect, place, out)
            self._touched[message_id] = None
        if out is not None and row is not None:
            if event.scope or self._issuing.gates.closed:
                self._mind_gate(event, row, before, place)
            self._follow(event, row, effect, out)

    def _mind_gate(self, event: Event, row: Row, before: list[int], place: Place) -> None:
        """What a sink says about a delivery of ours may close its channel, or open it; not what settle says itself."""
        channels = zip(row.state.channels, before, strict=True)
        is_answer = any(was in IN_FLIGHT and channel.channel == event.channel for channel, was in channels)
        if is_answer and self._issuing.gates.mind(event, place.appended_at):
            self._issuing.reopen(event.channel)

    def state_of(self, message_id: bytes) -> MessageState | None:
        """What is known of a message."""
        row = self._messages.get(message_id)
        return row.state if row is not None else None

    def pass_over(self, offset: int) -> None:
        """Step over a record that is no event."""
        self.position = offset + 1

    def _new_row(self, event: Event, state: MessageState) -> Row:
        sealed = [part.sealed for part in by_weight(event.plan)] if event.plan is not None else []
        return self._messages.add(self._rows, event.message_id, state, sealed)

    def _rearm(self, message_id: bytes, row: Row, place: Place, effect: int, *, is_silent: bool) -> None:
        """An entry in the due index that is early enough; a final message keeps the one it has.

        What is read silently is written before anything is concluded from it: whoever is to conclude may be gone by
        then, and his successor begins behind it. So a message that only lacks its end is due at once.
        """
        if effect == Effect.COMPLETED:
            self._messages.unseal(self._rows, message_id, row)
            return
        due_ms = (delays.first_due if is_silent else next_due)(row.state, place.appended_at)
        if row.armed and due_ms >= row.armed:
            return
        due_ms = delays.earlier(due_ms, row)
        if not row.armed and (not row.state.channels or row.state.channels[0].phase != _DEFERRED):
            # One entry serves the usual life: by then it is final, or its first attempt has lapsed.
            due_ms = min(due_ms or NOTHING, place.appended_at + self._rules.hold_ms + LAPSE_MS)
        self._arm(message_id, row, due_ms)

    def _arm(self, message_id: bytes, row: Row, due_ms: int) -> None:
        row.armed = due_ms
        self._due.arm(self._rows, due_ms, message_id)
        self._messages.change(message_id, row)

    def _keep(self, event: Event, row: Row, effect: int, place: Place, out: list[Record] | None) -> None:
        """Write the message whole where it has to outlive the log, and take that back when it is final."""
        if effect == Effect.COMPLETED:
            if out is not None and delays.may_be_kept(row, place.appended_at):
                out.append(delays.gone(event.message_id))
        elif event.stage in delays.KEEPING and delays.is_to_keep(event, row, place.appended_at):
            row.kept_at = place.appended_at
            if out is not None:
                out.append(self._whole(event.message_id, row))

    def _whole(self, message_id: bytes, row: Row) -> Delayed:
        """The message as it is after what was read last."""
        sealed = self._messages.sealed_parts(message_id, row)
        return delays.kept(self._rules.author.lane, message_id, row.state, sealed, self.position - 1)

    def _follow(self, event: Event, row: Row, effect: int, out: list[Record]) -> None:
        self._told_up_to = self.position
        if effect != Effect.CHANGED or event.stage in TOLD:
            out += consequences.told(self._rules.author, row.state, event, effect)
        if effect == Effect.ISSUED:
            self._census.issued[event.channel, row.state.app_id] += 1
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
        self._told_up_to = place.offset + 1
        row = self._messages.get(event.message_id)
        if row is not None:
            out += consequences.told_again(self._rules.author, row.state, event, place)
            if event.stage == _COMPLETED and row.state.final and delays.may_be_kept(row, place.appended_at):
                out.append(delays.gone(event.message_id))
            elif row.kept_at and event.stage in delays.KEEPING and not row.state.final:
                out.append(self._whole(event.message_id, row))

    def deliver_again(self, now_ms: int, out: list[Record]) -> None:
        """After catching up: the deliveries of what was issued and is not claimed, with the logged `claim_by`."""
        for message_id in self._touched:
            row = self._messages.get(message_id)
            if row is None:
                continue
            for channel in row.state.channels:
                if channel.phase == Phase.ISSUED and now_ms < channel.until:
                    self._deliver(message_id, row, channel.channel, out)

    # ---- from nothing

    def restore(self, message_id: bytes, record: Delayed | None, kept_at: int) -> None:
        """While rows are made anew: a message from `delays`, or its tombstone; what was laid down before gives way.

        Raises msgspec.MsgspecError for a state that cannot be read.
        """
        known = self._messages.get(message_id)
        if record is not None:
            state = delays.restored(record)
            before = [Phase.UNSTARTED] * len(state.channels)
            if known is not None:
                before = stands(known.state)
                self._census.add(known.state, -1)
            self._census.add(state)
            row = self._messages.add(self._rows, message_id, state, record.sealed)
            row.kept_at, row.folded = kept_at, record.folded_offset + 1
            self._standing.moved(self._rows, message_id, row, before)
            self._arm(message_id, row, delays.first_due(state, kept_at))
        elif known is not None:
            before = stands(known.state)
            self._census.add(known.state, -1)
            for channel in known.state.channels:
                channel.phase = Phase.SKIPPED
            self._standing.moved(self._rows, message_id, known, before)
            self._messages.unseal(self._rows, message_id, known)
            self._messages.forget(self._rows, message_id)

    # ---- concluding

    def mind_clock(self, now_ms: int) -> None:
        """What time it is, also when nothing is due: a clock that was set back must keep nobody waiting."""
        self._issuing.mind_clock(now_ms)

    def is_due(self, at_ms: int) -> bool:
        """Whether some message's moment may have come, or that of somebody in the line who had to wait."""
        return at_ms >= self._issuing.look_at_ms or self._due.is_due(at_ms)

    def fire(self, now_ms: int, limit: int) -> bool:
        """Touch the messages whose moment has come by `read_up_to_ms`, at most `limit`; whether there may be more."""
        upto_ms = min(now_ms, self.read_up_to_ms)
        entries = self._due.take(upto_ms, limit)
        for due_ms, message_id in entries:
            row = self._messages.get(message_id)
            if row is None or row.armed != due_ms:
                continue  # an entry that an earlier one has replaced
            if row.state.final and row.state.forget_at <= upto_ms:
                self._forget(message_id, row, upto_ms)
                continue
            self._standing.release(self._rows, message_id, row, upto_ms, now_ms)
            if 0 < delays.keep_due(row) <= upto_ms:
                row.kept_at = now_ms
                self._kept.append(self._whole(message_id, row))
            again_ms = delays.earlier(next_due(row.state, upto_ms), row)
            self._arm(message_id, row, again_ms if again_ms > upto_ms else now_ms + LOOK_AGAIN_MS)
            self._touched[message_id] = None
        return len(entries) == limit

    def _forget(self, message_id: bytes, row: Row, upto_ms: int) -> None:
        """Let an ended message go, but not before its end was told: a group may be as far behind as the memory reaches.

        What the group has been given since this process began is told before these rows are written.
        """
        if max(row.state.completed_at, default=-1) >= self._told_up_to:
            self._arm(message_id, row, upto_ms + TELL_FIRST_MS)
            return
        if delays.may_be_kept(row, upto_ms - MEMORY_MS):
            self._kept.append(delays.gone(message_id))  # again: who was frozen may have written it since
        self._messages.forget(self._rows, message_id)

    def take_late_ms(self) -> list[int]:
        """How late those were that `fire` let into a line since this was asked last."""
        late_ms = [*self._standing.late_ms]
        self._standing.late_ms.clear()
        return late_ms

    def conclude(self, now_ms: int, out: list[Record]) -> None:
        """Propose what holds now for every message touched, then issue as far as there is room."""
        out += self._kept
        self._kept.clear()
        touched, self._touched = self._touched, {}
        for message_id in touched:
            row = self._messages.get(message_id)
            if row is None:
                continue
            for made in decide(row.state, now_ms, self.read_up_to_ms):
                is_proposed = self._propose(out, now_ms, message_id, row.state, made)
                if not is_proposed and made.stage == _COMPLETED and row.armed > now_ms + LOOK_AGAIN_MS:
                    self._arm(message_id, row, now_ms + LOOK_AGAIN_MS)  # whoever reads what is unread may not be us
            if self._issuing.taken:
                self._issuing.put_back(message_id, row)
        self._issuing.issue(self._standing.in_flight, now_ms, partial(self._propose, out, now_ms))

    def _propose(
        self, out: list[Record], now_ms: int, message_id: bytes, state: MessageState, made: Conclusion
    ) -> bool:
        """Append a conclusion unless another one has to be read first; whether it was."""
        if self._unread.blocks(message_id, made):
            return False
        if self._issuing.parked and made.stage == _COMPLETED:
            made = self._issuing.explained(message_id, state, made)
        self._unread.add(message_id, made)
        out.append(consequences.conclusion(self._rules.author, message_id, state, made, now_ms))
        return True

    # ---- writing

    def cut(self, now_ms: int) -> Rows:
        """All changes since the last cut, to be written after it; call `written` when they are."""
        rows, self._rows = self._rows, Rows()
        self._messages.cut(rows)
        self._due.cut(rows)
        self._lines.cut()
        in_flight = {channel: count for channel, count in self._standing.in_flight.items() if count}
        counts = self._census.counts()
        Checkpoint(self.position, now_ms, in_flight, self._lines.tallies(), self.requests_position, counts).put(
            rows, self._keys
        )
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
