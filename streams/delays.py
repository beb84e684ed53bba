"""Open messages that outlive the log: when one is written whole to `delays`, and how it comes back from there.

Used by `partition`. The log keeps two weeks and a rebuild reads three days of it, so whatever is scheduled ahead, or
stays open for long, is kept as a record of its own: its state, its sealed parts as they are, and how far it was folded.
A rebuild lays these down first and folds the last three days on top. Pure; holds no key and opens nothing.
"""

from typing import Final

from schemas.records import Delayed, Event
from schemas.statuses import Stage
from streams.guard import next_due
from streams.message_state import ACTIVE, MessageState, pack, unpack
from streams.rows import Row

AHEAD_MS: Final = 60_000
"""Scheduled further ahead than this, a message is kept at once."""
OPEN_MS: Final = 48 * 3_600_000
"""Open so long after its time, or after it was kept last, it is kept (again): well within what a rebuild reads."""

KEEPING: Final = frozenset({str(Stage.ACCEPTED), str(Stage.RESCHEDULE_REQUESTED)})
"""Stages after which a message may have to be kept at once."""


def is_to_keep(event: Event, row: Row, at_ms: int) -> bool:
    """Whether the message is written now, after this event appended at that time was folded."""
    if event.stage == Stage.ACCEPTED:
        return row.state.send_at - row.state.accepted_at > AHEAD_MS
    if event.stage == Stage.RESCHEDULE_REQUESTED:
        return bool(row.kept_at) or row.state.send_at - at_ms > AHEAD_MS
    return False


def keep_due(row: Row) -> int:
    """The moment (UTC ms) at which an open message is to be written, 0 for a final one."""
    state = row.state
    return 0 if state.final else max(state.accepted_at, state.send_at, row.kept_at) + OPEN_MS


def may_be_kept(row: Row, at_ms: int) -> bool:
    """Whether the topic may hold the message when it ends at that time.

    Also when this row knows nothing of it: a predecessor may have died between the record and its rows.
    """
    return bool(row.kept_at) or at_ms - max(row.state.accepted_at, row.state.send_at) >= OPEN_MS // 2


def earlier(due_ms: int, row: Row) -> int:
    """The earlier of that moment and the one at which the message is to be written."""
    keep_ms = keep_due(row)
    return min(due_ms, keep_ms) if keep_ms else due_ms


def kept(lane: str, message_id: bytes, state: MessageState, sealed: list[bytes], folded_offset: int) -> Delayed:
    """The message whole, as it is after the event at `folded_offset`."""
    return Delayed(message_id, lane, first_due(state, 0), folded_offset, pack(state), sealed)


def gone(message_id: bytes) -> Delayed:
    """The message is final: its tombstone."""
    return Delayed(message_id)


def restored(record: Delayed) -> MessageState:
    """The state in a record. Raises msgspec.MsgspecError when it is none."""
    return unpack(record.state)


def first_due(state: MessageState, after_ms: int) -> int:
    """The first moment of a message that comes back: at once when nothing is under way, and only its end is missing."""
    is_active = any(channel.phase in ACTIVE for channel in state.channels)
    return next_due(state, after_ms) if is_active else after_ms
