"""fold: one event of the log into the state of its message. The state is this function of the log, and nothing else.

Called by settle for every record it reads, live or while catching up, and by tests. Facts (what sinks, intake and
receipts say) always count; conclusions (settle's own) count only if the guard allows them at the place where they stand
in the log, whoever appended them. It never decides, never looks at a clock, and ignores announcements. It changes the
state it is given and returns it.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from schemas.errors import Reason
from schemas.records import Event
from schemas.statuses import Stage, Status
from streams.guard import ANSWER_GRACE_MS, may_complete, may_issue, may_lapse, may_time_out
from streams.message_state import (
    ACTIVE,
    AWAITING,
    IN_FLIGHT,
    QUEUED,
    RANK_OF_LEVEL,
    ChannelState,
    MessageState,
    Phase,
    find,
    first_state,
)

MEMORY_MS: Final = 72 * 3_600_000
"""So long after its end a message is remembered at least, to recognise repeats of its id and late receipts."""
QUICK_REISSUES: Final = 3
"""So often an unclaimed delivery goes back to the line at once; then it pauses, or a clock that is wrong would spin."""
PAUSE_MS: Final = 1_000
MAX_CHANNELS: Final = 64
"""Places in the line are offsets times this: so many channels of one message may begin to wait at one event."""

_FAILED: Final[str] = Status.FAILED


class Place(Struct, frozen=True, gc=False):
    """Where an event stands in the log: its offset, and the broker's time of appending it."""

    offset: int
    appended_at: int


class Effect:
    """What reading an event means to whoever reads it live."""

    NONE: Final = 0
    """Nothing changed: a repeat, an announcement, or a conclusion that the guard refused."""
    CHANGED: Final = 1
    ISSUED: Final = 2
    """A valid `issued`: its delivery is due."""
    COMPLETED: Final = 3
    """A valid `completed`: its outcome is due."""
    CONFLICT: Final = 4
    """A second `accepted` that asks for something else under the same id."""


Folded = tuple[MessageState | None, int]
_Channelled = Callable[[MessageState, ChannelState, Event, Place], bool]


def fold(state: MessageState | None, event: Event, place: Place) -> Folded:
    """The state after the event (None: nothing is known of the message), and what that means."""
    step = _STEPS.get(event.stage)
    if step is None:
        return _whole(state, event, place)
    channel = find(state, event.channel) if state is not None else None
    if state is None or channel is None or not step(state, channel, event, place):
        return state, Effect.NONE
    _route(state, place)
    return state, Effect.ISSUED if step is _issued else Effect.CHANGED


def _whole(state: MessageState | None, event: Event, place: Place) -> Folded:
    """An event about the message as a whole."""
    stage = event.stage
    if stage == Stage.ACCEPTED:
        return _accepted(state, event, place)
    if stage == Stage.REJECTED:
        return _rejected(state, event)
    if state is None or stage != Stage.COMPLETED:
        return state, Effect.NONE
    return state, _completed(state, event, place)


def _accepted(state: MessageState | None, event: Event, place: Place) -> Folded:
    """The first one wins; one that follows refusals of the same id starts it anew."""
    if state is not None and not state.refused:
        asked = event.plan.digest if event.plan is not None else state.digest
        return state, Effect.NONE if asked == state.digest else Effect.CONFLICT
    fresh = first_state(event)
    fresh.completed_at = state.completed_at if state is not None else []
    for channel in fresh.channels:
        if channel.phase == Phase.UNSTARTED and channel.weight >= fresh.threshold:
            channel.phase = Phase.WAITING
    _route(fresh, place)
    return fresh, Effect.CHANGED


def _rejected(state: MessageState | None, event: Event) -> Folded:
    """Counts for an id that nothing else is known of."""
    if state is not None:
        return state, Effect.NONE
    fresh = first_state(event)
    fresh.refused = event.reason or Reason.PARAM_INVALID
    return fresh, Effect.CHANGED


def _completed(state: MessageState, event: Event, place: Place) -> int:
    if not may_complete(state, event.status, event.at):
        return Effect.NONE
    state.final, state.final_reason = event.status, event.reason
    state.completed_at.append(place.offset)
    state.forget_at = max(state.forget_at, place.appended_at + MEMORY_MS, state.expires_at)
    for channel in state.channels:
        if channel.phase in QUEUED or channel.phase == Phase.UNSTARTED:
            channel.phase = Phase.SKIPPED
    return Effect.COMPLETED


# ---- conclusions about one channel


def _issued(state: MessageState, channel: ChannelState, event: Event, _place: Place) -> bool:
    if event.attempt != channel.attempt + 1 or not may_issue(state, channel, event.at):
        return False
    channel.phase, channel.attempt, channel.until = Phase.ISSUED, event.attempt, event.claim_by
    return True


def _lapsed(_state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    if event.attempt != channel.attempt or not may_lapse(channel, event.at):
        return False
    _queue_again(channel, place)
    return True


def _timed_out(_state: MessageState, channel: ChannelState, event: Event, _place: Place) -> bool:
    if event.attempt != channel.attempt or not may_time_out(channel, event.at):
        return False
    return _fail(channel, Reason.UNKNOWN_OUTCOME)


# ---- facts about one channel


def _sending(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """A claim in the log wins over `lapsed`: the provider is being called."""
    if event.attempt != channel.attempt or channel.phase not in (Phase.ISSUED, Phase.WAITING, Phase.DEFERRED):
        return False
    channel.phase, channel.tries = Phase.SENDING, channel.tries + 1
    _start_clock(state, channel, place)
    return True


def _start_clock(state: MessageState, channel: ChannelState, place: Place) -> None:
    """The timeout runs from the first claim, and ends soon enough for a final status by expiry + 60 s."""
    if not channel.deadline:
        channel.deadline = min(place.appended_at + channel.timeout_ms, state.expires_at + ANSWER_GRACE_MS)


def _outcome(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    if event.status == _FAILED:
        return _definite_failure(channel, event)
    return _proof(state, channel, event, place)


def _receipt(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """Like an outcome; one without attempt number speaks of whatever attempt there was."""
    if event.status != _FAILED:
        return _proof(state, channel, event, place)
    is_current = event.attempt in (0, channel.attempt)
    return is_current and channel.phase in AWAITING and _fail(channel, event.reason or Reason.UNMAPPED)


def _definite_failure(channel: ChannelState, event: Event) -> bool:
    """The provider refused this attempt. A retry will find its place here: the group of tries is closed."""
    may_be_its_end = channel.phase in IN_FLIGHT or channel.phase in QUEUED or channel.phase == Phase.SILENT
    if event.attempt != channel.attempt or not event.attempt or not may_be_its_end:
        return False
    channel.try_group += 1
    if channel.level:  # an earlier attempt was taken, this one was too much
        channel.phase = Phase.TAKEN
        return True
    return _fail(channel, event.reason or Reason.UNMAPPED)


def _proof(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """A level was reached, by any attempt, at any time; it never sinks. What was never sent cannot be proved."""
    level = RANK_OF_LEVEL.get(event.status, 0)
    if level <= channel.level or not channel.attempt or channel.phase == Phase.SKIPPED:
        return False
    is_refuted = channel.phase == Phase.FAILED and channel.reason != Reason.UNKNOWN_OUTCOME
    if is_refuted and level == 1:
        return False
    channel.level = level
    if level >= channel.success:
        channel.phase, channel.reason = Phase.SUCCEEDED, ""
    elif channel.phase in QUEUED or channel.phase == Phase.SILENT or _is_answer(channel, event):
        _start_clock(state, channel, place)
        channel.phase = Phase.TAKEN
    return True


def _is_answer(channel: ChannelState, event: Event) -> bool:
    return channel.phase in IN_FLIGHT and event.attempt == channel.attempt


def _unknown(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """The request left, no answer came. By policy: the same again with the same key, fall back, or wait for a proof.

    `query` waits too, until a channel can ask its provider.
    """
    if event.attempt != channel.attempt or channel.phase not in IN_FLIGHT:
        return False
    _start_clock(state, channel, place)
    channel.possible_duplicate = True
    if channel.level:
        channel.phase = Phase.TAKEN
    elif state.on_unknown == "again":
        channel.phase = Phase.WAITING
    elif state.on_unknown == "fall_back":
        _fail(channel, Reason.UNKNOWN_OUTCOME)
    else:
        channel.phase = Phase.SILENT
    return True


def _deferred(_state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """No call was made: it was no try, and its clock has not started."""
    if event.attempt != channel.attempt or channel.phase not in IN_FLIGHT:
        return False
    _untry(channel)
    channel.phase, channel.until = Phase.DEFERRED, event.until or place.appended_at + PAUSE_MS
    return True


def _dropped(_state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    if event.attempt != channel.attempt or channel.phase not in IN_FLIGHT:
        return False
    _untry(channel)
    _queue_again(channel, place)
    return True


# ---- the channel's state


def _fail(channel: ChannelState, reason: str) -> bool:
    channel.phase, channel.reason = Phase.FAILED, reason
    return True


def _untry(channel: ChannelState) -> None:
    """Take back the claim that led to no call."""
    if channel.phase == Phase.SENDING:
        channel.tries -= 1
        if not channel.possible_duplicate:
            channel.deadline = 0


def _queue_again(channel: ChannelState, place: Place) -> None:
    """Back to its place in the line; not if the provider took an earlier attempt, which may still be proved."""
    if channel.level:
        channel.phase = Phase.TAKEN
    elif channel.attempt - channel.tries <= QUICK_REISSUES:
        channel.phase = Phase.WAITING
    else:
        channel.phase, channel.until = Phase.DEFERRED, place.appended_at + PAUSE_MS


def _route(state: MessageState, place: Place) -> None:
    """What follows for the other channels (contract, routing truth table), and places in the line for new waiters."""
    is_active = is_done = False
    for channel in state.channels:
        is_active = is_active or channel.phase in ACTIVE
        is_done = is_done or channel.phase == Phase.SUCCEEDED
    if is_done:
        _skip_needless(state)
    elif not is_active:
        _start_fallback(state)
    for index, channel in enumerate(state.channels):
        if channel.phase == Phase.WAITING and not channel.seq:
            channel.seq = place.offset * MAX_CHANNELS + index + 1


def _skip_needless(state: MessageState) -> None:
    for channel in state.channels:
        is_fallback = channel.weight < state.threshold
        if channel.phase == Phase.UNSTARTED or (is_fallback and channel.phase in QUEUED):
            channel.phase = Phase.SKIPPED


def _start_fallback(state: MessageState) -> None:
    for channel in state.channels:
        if channel.phase == Phase.UNSTARTED:
            channel.phase = Phase.WAITING
            return


_STEPS: Final[dict[str, _Channelled]] = {
    Stage.ISSUED: _issued,
    Stage.LAPSED: _lapsed,
    Stage.TIMED_OUT: _timed_out,
    Stage.SENDING: _sending,
    Stage.OUTCOME: _outcome,
    Stage.RECEIPT: _receipt,
    Stage.UNKNOWN: _unknown,
    Stage.DEFERRED: _deferred,
    Stage.DROPPED: _dropped,
}
FOLDED: Final = frozenset({Stage.ACCEPTED, Stage.REJECTED, Stage.COMPLETED, *_STEPS})
"""Stages that fold reads; the others are announcements, or belong to work that is not there yet."""
