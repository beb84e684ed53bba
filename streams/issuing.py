"""Who is issued next on each channel of a partition, and who has to wait though there is room.

What keeps them waiting: a channel that is down, a hold, quiet hours, the next hour's budget of fallbacks. Used by
`partition`, after everything touched was decided. It takes entries from the lines, looks at each message, and
proposes; a line whose first message must wait is paused as a whole, so that waiting costs nothing. It changes no state.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from schemas.errors import Reason
from schemas.statuses import Status
from streams.budget import Budget
from streams.decide import Conclusion, fail_over, hold, issue
from streams.due import NOTHING
from streams.gates import Gate, Gates
from streams.message_state import QUEUED, ChannelState, MessageState, Phase
from streams.rows import MessageRows, Row
from streams.unread import Unread
from streams.waiting import Entry, WaitingLines

LOOKS: Final = 256
"""So many messages of a channel are looked at in vain before the next chunk or tick has its turn."""
HELD_LOOK_MS: Final = 1_000
"""So often a line that is held by hand is looked at again."""
SET_BACK_MS: Final = 1_000
"""A clock that goes back by more was set: smaller steps only let somebody wait that much longer."""
DOWN: Final = "down"

Propose = Callable[[bytes, MessageState, Conclusion], bool]
"""Append a conclusion unless another has to be read first; whether it was."""


class Limits(Struct, frozen=True):
    """What bounds issuing: the window of a channel (0: nothing), holds by (app, type, channel), ms for a claim."""

    window: Callable[[str], int]
    is_held: Callable[[str, str, str], bool]
    hold_ms: int


class Issuing:
    """The lines of one partition and everything that keeps them waiting."""

    def __init__(
        self, limits: Limits, lines: WaitingLines, messages: MessageRows, unread: Unread, budget: Budget
    ) -> None:
        self._limits = limits
        self._lines = lines
        self._messages = messages
        self._unread = unread
        self._budget = budget
        self.gates = Gates()
        self.taken: set[tuple[bytes, str]] = set()
        """(message id, channel) of entries that were taken and have not left the line yet."""
        self.parked: dict[tuple[bytes, str], int] = {}
        """Fallbacks that wait for the next hour's budget, by (message id, channel), with their place in the line."""
        self.unpark_at_ms = NOTHING
        self.look_at_ms = NOTHING
        """From then on somebody who was refused may be let through."""
        self._now_ms = 0

    def mind_clock(self, now_ms: int) -> None:
        """Notice a clock that was set back: whoever waits until a moment of before would wait for hours.

        All that keeps somebody waiting is then asked anew: holds, closed channels (by a probe), the hour's budget.
        """
        if now_ms < self._now_ms - SET_BACK_MS:
            self.gates.probe_all(now_ms)
            self._lines.resume_all()
            self.unpark_at_ms = self.look_at_ms = now_ms
        self._now_ms = now_ms

    def issue(self, in_flight: Counter[str], now_ms: int, propose: Propose) -> None:
        """Propose attempts as far as there is room, channel by channel."""
        self.mind_clock(now_ms)
        self.look_at_ms = NOTHING
        self._unpark(now_ms)
        if self.parked:
            self._look_again(self.unpark_at_ms)
        for channel in self._lines.channels():
            gate = self.gates.closed.get(channel)
            if gate is not None and now_ms < gate.until:
                self._look_again(gate.until)
                if gate.reason != Reason.HELD:
                    self._fail_over(channel, gate, now_ms, propose)
                continue
            window = self._limits.window(channel) if gate is None else 1  # one probe
            room = window - in_flight[channel] - self._unread.issues[channel]
            if room > 0:
                self._fill(channel, room, now_ms, propose)

    def _look_again(self, at_ms: int) -> None:
        self.look_at_ms = min(self.look_at_ms, at_ms)

    def _fill(self, channel: str, room: int, now_ms: int, propose: Propose) -> None:
        looks = LOOKS
        while room > 0 and looks:
            entry = self._lines.take(channel, now_ms)
            if entry is None:
                break
            if self._issue_one(channel, entry, now_ms, propose):
                room -= 1
            else:
                looks -= 1
        if not looks or self._lines.is_behind:
            self._lines.is_behind = False
            self._look_again(now_ms)
        self._look_again(self._lines.next_resume(channel, now_ms))

    def _issue_one(self, name: str, entry: Entry, now_ms: int, propose: Propose) -> bool:
        """Propose the attempt of whoever was taken from the line; False when it may not be made now, or no more."""
        message_id = entry[1]
        found = self._entry(name, entry)
        if found is None:
            return False
        state, channel = found
        if self._is_kept(name, entry, state, channel, now_ms):
            return False
        self.taken.add((message_id, name))
        made = issue(state, channel, now_ms, self._limits.hold_ms)
        if made is None:
            held = hold(state, channel, now_ms)
            if held is not None:
                propose(message_id, state, held)
            return False
        is_proposed = propose(message_id, state, made)
        if is_proposed and state.fallbacks_per_hour and is_first_of_fallback(state, channel):
            self._budget.spend(state.type, now_ms)
        return is_proposed

    def _entry(self, name: str, entry: Entry) -> tuple[MessageState, ChannelState] | None:
        """The message and its channel that an entry stands for; None when it holds no longer."""
        row = self._messages.get(entry[1])
        if row is not None:
            for index, channel in enumerate(row.state.channels):
                if channel.channel == name and channel.seq == entry[0] and is_in_line(row, index):
                    return row.state, channel
        return None

    def _is_kept(self, name: str, entry: Entry, state: MessageState, channel: ChannelState, now_ms: int) -> bool:
        """Whether this message has to wait: with its whole line for a hold, alone for the budget of fallbacks."""
        if self._limits.is_held(state.app_id, state.type, name):
            self._keep_line(name, state, entry, now_ms + HELD_LOOK_MS, Reason.HELD)
            return True
        if not state.fallbacks_per_hour or not is_first_of_fallback(state, channel):
            return False
        until = self._budget.closed_until(state.type, state.fallbacks_per_hour, now_ms)
        if until:
            self.parked[entry[1], name] = entry[0]
            self.unpark_at_ms = until
        return until > 0

    def _unpark(self, now_ms: int) -> None:
        """A new hour, a new budget: who was passed over takes its place in the line again."""
        if not self.parked or now_ms < self.unpark_at_ms:
            return
        for (message_id, name), seq in self.parked.items():
            row = self._messages.get(message_id)
            if row is not None:
                self._lines.put_back(name, (row.state.app_id, row.state.type), (seq, message_id))
        self.parked.clear()

    def _keep_line(self, name: str, state: MessageState, entry: Entry, until: int, why: str) -> None:
        queue = (state.app_id, state.type)
        self._lines.put_back(name, queue, entry)
        self._lines.pause(name, queue, until, why)

    def put_back(self, message_id: bytes, row: Row) -> None:
        """Put back into the line what was taken from it, is not unread any more, and still waits."""
        for index, channel in enumerate(row.state.channels):
            key = (message_id, channel.channel)
            if key in self.taken and not self._unread.holds(message_id, channel.channel):
                self.taken.discard(key)
                if is_in_line(row, index):
                    queue = (row.state.app_id, row.state.type)
                    self._lines.put_back(channel.channel, queue, (channel.seq, message_id))

    # ---- channels that are down

    def _fail_over(self, name: str, gate: Gate, now_ms: int, propose: Propose) -> None:
        """Whoever wants its next channel instead begins it, so many at a time; the other lines wait for the probe."""
        for _ in range(LOOKS):
            entry = self._lines.take(name, now_ms)
            if entry is None:
                break
            found = self._entry(name, entry)
            if found is None:
                continue
            made = fail_over(*found, gate.reason or Reason.TRANSIENT, gate.until)
            if made is None:
                self._keep_line(name, found[0], entry, gate.until, DOWN)
            else:
                self.taken.add((entry[1], name))
                propose(entry[1], found[0], made)
        else:
            self._look_again(now_ms)

    def reopen(self, channel: str) -> None:
        """The channel is not down any more."""
        self._lines.resume(channel, DOWN)

    def explained(self, message_id: bytes, state: MessageState, made: Conclusion) -> Conclusion:
        """A message that expires because the budget of fallbacks was spent says so."""
        waiting = [channel.channel for channel in state.channels if channel.phase in QUEUED]
        if made.status != Status.EXPIRED or all((message_id, name) not in self.parked for name in waiting):
            return made
        return Conclusion(made.stage, made.channel, 0, made.status, Reason.FALLBACK_BUDGET)


def is_in_line(row: Row, index: int) -> bool:
    """Whether that channel of the message stands in the line."""
    return row.state.channels[index].phase == Phase.WAITING or bool(row.released >> index & 1)


def is_first_of_fallback(state: MessageState, channel: ChannelState) -> bool:
    """Whether issuing it would begin a fallback: another channel has failed, and this one was never tried."""
    if channel.attempt or channel.weight >= state.threshold:
        return False
    return any(other.phase == Phase.FAILED for other in state.channels)
