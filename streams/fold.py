"""fold: one event of the log into the state of its message. The state is this function of the log, and nothing else.

Called by settle for every record it reads, live or while catching up, and by tests. Facts (what sinks, intake and
receipts say) always count; conclusions (settle's own) count only if the guard allows them at the place where they stand
in the log, whoever appended them. It never decides, never looks at a clock, and ignores announcements. It changes the
state it is given and returns it.
"""

from collections.abc import Callable
from typing import Final

from schemas.errors import Reason
from schemas.records import Event
from schemas.statuses import Stage
from streams import facts
from streams.asked import STEPS as ASKED
from streams.asked import withdraw
from streams.guard import may_complete, may_hold, may_issue, may_lapse, may_time_out, open_from
from streams.message_state import (
    ACTIVE,
    QUEUED,
    ChannelState,
    MessageState,
    Phase,
    Place,
    find,
    first_state,
)

MEMORY_MS: Final = 72 * 3_600_000
"""So long after its end a message is remembered at least, to recognise repeats of its id and late receipts."""
MAX_CHANNELS: Final = 64
"""Places in the line are offsets times this: so many channels of one message may begin to wait at one event."""


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
    RETRIED: Final = 5
    """A refusal after which the channel is to be tried again: its announcement is due."""
    HELD: Final = 6
    """A fallback begins, but has to wait for the end of quiet hours: its announcement is due."""


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
    is_held = _route(state, place)
    if step is _issued:
        return state, Effect.ISSUED
    if channel.phase == Phase.DEFERRED and step is facts.outcome:
        return state, Effect.RETRIED
    return state, Effect.HELD if is_held else Effect.CHANGED


def _whole(state: MessageState | None, event: Event, place: Place) -> Folded:
    """An event about the message as a whole."""
    stage = event.stage
    if stage == Stage.ACCEPTED:
        return _accepted(state, event, place)
    if stage == Stage.REJECTED:
        return _rejected(state, event)
    if state is not None and stage in ASKED:
        return state, _asked(state, event, place)
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
            _begin(fresh, channel, place)
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
    state.forget_at = max(state.forget_at, place.appended_at + MEMORY_MS, state.expires_at, state.series_end)
    for channel in state.channels:
        if channel.phase in QUEUED or channel.phase == Phase.UNSTARTED:
            channel.phase = Phase.SKIPPED
    return Effect.COMPLETED


def _asked(state: MessageState, event: Event, place: Place) -> int:
    if not ASKED[event.stage](state, event, place):
        return Effect.NONE
    _route(state, place)
    return Effect.CHANGED


# ---- conclusions about one channel


def _issued(state: MessageState, channel: ChannelState, event: Event, _place: Place) -> bool:
    if event.attempt != channel.attempt + 1 or not may_issue(state, channel, event.at):
        return False
    channel.phase, channel.attempt, channel.until = Phase.ISSUED, event.attempt, event.claim_by
    return True


def _lapsed(_state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    if event.attempt != channel.attempt or not may_lapse(channel, event.at):
        return False
    facts.queue_again(channel, place)
    return True


def _timed_out(_state: MessageState, channel: ChannelState, event: Event, _place: Place) -> bool:
    if event.attempt != channel.attempt or not may_time_out(channel, event.at):
        return False
    return facts.timed_out(channel)


def _held(state: MessageState, channel: ChannelState, event: Event, _place: Place) -> bool:
    """Quiet hours have begun while it stood in the line. Of others `held` is an announcement, and changes nothing."""
    if event.attempt != channel.attempt or not may_hold(state, channel, event.at):
        return False
    channel.phase, channel.until = Phase.DEFERRED, open_from(state, event.at)
    return True


def _route(state: MessageState, place: Place) -> bool:
    """What follows for the other channels (contract, routing truth table), and places in the line for new waiters.

    Whether a fallback was begun that has to wait for the end of quiet hours.
    """
    if state.withdrawn:
        withdraw(state)
    is_held = False
    is_active = is_done = False
    for channel in state.channels:
        is_active = is_active or channel.phase in ACTIVE
        is_done = is_done or channel.phase == Phase.SUCCEEDED
    if is_done:
        _skip_needless(state)
    elif not is_active:
        is_held = _start_fallback(state, place)
    for index, channel in enumerate(state.channels):
        if not channel.seq and channel.phase in QUEUED:
            channel.seq = place.offset * MAX_CHANNELS + index + 1
    return is_held


def _skip_needless(state: MessageState) -> None:
    for channel in state.channels:
        is_fallback = channel.weight < state.threshold
        if channel.phase == Phase.UNSTARTED or (is_fallback and channel.phase in QUEUED):
            channel.phase = Phase.SKIPPED


def _start_fallback(state: MessageState, place: Place) -> bool:
    for channel in state.channels:
        if channel.phase == Phase.UNSTARTED:
            _begin(state, channel, place)
            return channel.phase == Phase.DEFERRED
    return False


def _begin(state: MessageState, channel: ChannelState, place: Place) -> None:
    """Into the line, or first to the moment at which it may be sent: its send_at, and the end of quiet hours."""
    begins_ms = open_from(state, max(place.appended_at, state.send_at))
    if begins_ms > place.appended_at:
        channel.phase, channel.until = Phase.DEFERRED, begins_ms
    else:
        channel.phase = Phase.WAITING


_STEPS: Final[dict[str, _Channelled]] = {
    Stage.ISSUED: _issued,
    Stage.LAPSED: _lapsed,
    Stage.TIMED_OUT: _timed_out,
    Stage.HELD: _held,
    Stage.SENDING: facts.sending,
    Stage.OUTCOME: facts.outcome,
    Stage.RECEIPT: facts.receipt,
    Stage.UNKNOWN: facts.unknown,
    Stage.DEFERRED: facts.deferred,
    Stage.DROPPED: facts.dropped,
}
FOLDED: Final = frozenset({Stage.ACCEPTED, Stage.REJECTED, Stage.COMPLETED, *ASKED, *_STEPS})
"""Stages that fold reads; the others are announcements, or belong to work that is not there yet."""
