"""Facts about one channel of a message: what sinks and receipts say. They always count, whoever is surprised.

Called by `fold`, one function per stage; each changes the channel and says whether the event meant anything. None of
them looks at another channel: what follows for those is `fold`'s routing.
"""

from typing import Final

from schemas.errors import Reason
from schemas.limits import CLAIM_MARGIN_MS
from schemas.records import Event
from schemas.statuses import Status
from streams.asked import may_return
from streams.guard import ANSWER_GRACE_MS, may_fall_back, open_from
from streams.message_state import (
    AWAITING,
    IN_FLIGHT,
    QUEUED,
    RANK_OF_LEVEL,
    ChannelState,
    MessageState,
    Phase,
    Place,
)
from streams.retries import ONCE, backoff_ms, has_try_left, may_try_again, next_try, retry_class

QUICK_REISSUES: Final = 3
"""So often an unclaimed delivery goes back to the line at once; then it pauses, or a clock that is wrong would spin."""
PAUSE_MS: Final = 1_000

DOWN_SCOPES: Final = frozenset(("channel", "account"))
"""Of a deferral: nobody can be reached on this channel at present."""

_FAILED: Final[str] = Status.FAILED


def sending(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """A claim in the log wins over `lapsed`: the provider is being called; not over the answer to that very call."""
    may_claim = channel.phase in (Phase.ISSUED, Phase.WAITING, Phase.DEFERRED) or may_return(state, channel)
    if event.attempt != channel.attempt or not may_claim:
        return False
    if event.attempt == channel.refused:
        return False
    channel.phase, channel.tries = Phase.SENDING, channel.tries + 1
    _start_clock(state, channel, place)
    return True


def _start_clock(state: MessageState, channel: ChannelState, place: Place) -> None:
    """The timeout runs from the first claim, and ends soon enough for a final status by expiry + 60 s."""
    if not channel.deadline:
        channel.deadline = min(place.appended_at + channel.timeout_ms, state.expires_at + ANSWER_GRACE_MS)


def outcome(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """The provider's answer: a refusal, or a level of proof."""
    if event.status == _FAILED:
        return _definite_failure(state, channel, event, place)
    return _proof(state, channel, event, place)


def receipt(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """Like an outcome; one without attempt number speaks of whatever attempt there was."""
    if event.status != _FAILED:
        return _proof(state, channel, event, place)
    is_current = event.attempt in (0, channel.attempt)
    return is_current and channel.phase in AWAITING and fail(channel, event.reason or Reason.UNMAPPED)


def _definite_failure(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """The provider refused this attempt: the group of tries is closed, and another one begins or the channel ends."""
    may_be_its_end = channel.phase in IN_FLIGHT or channel.phase in QUEUED or channel.phase == Phase.SILENT
    if event.attempt != channel.attempt or event.attempt in (0, channel.refused) or not may_be_its_end:
        return False
    channel.try_group += 1
    channel.avoid = event.provider
    channel.refused = event.attempt
    if channel.level:  # an earlier attempt was taken, this one was too much
        channel.phase = Phase.TAKEN
        return True
    return _try_again(state, channel, event, place) or fail(channel, event.reason or Reason.UNMAPPED)


def _try_again(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """Wait for the next call, if the plan allows one and it would not come too late."""
    if state.final or not may_try_again(state, channel, event):
        return False
    _start_clock(state, channel, place)
    until = open_from(state, next_try(channel, event, place))
    if until >= min(channel.deadline, state.expires_at - CLAIM_MARGIN_MS):
        return False
    channel.phase, channel.until, channel.refusal = Phase.DEFERRED, until, event.reason
    channel.is_last_try = channel.is_last_try or retry_class(event) == ONCE
    return True


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
        channel.is_racing = channel.is_racing or (channel.phase == Phase.ISSUED and event.attempt != channel.attempt)
        channel.phase, channel.reason = Phase.SUCCEEDED, ""
    elif channel.phase in QUEUED or channel.phase == Phase.SILENT or _is_answer(channel, event):
        _start_clock(state, channel, place)
        channel.phase = Phase.TAKEN
    return True


def _is_answer(channel: ChannelState, event: Event) -> bool:
    return channel.phase in IN_FLIGHT and event.attempt == channel.attempt


def unknown(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """The request left, no answer came. By policy: the same again with the same key, fall back, or wait for a proof.

    `query` waits too: the receipts role asks the provider, and what it finds is a receipt. So does `again`, once the
    plan's calls are used up: a provider that cuts every connection is not called without an end.
    """
    if event.attempt != channel.attempt or channel.phase not in IN_FLIGHT:
        return False
    _start_clock(state, channel, place)
    channel.possible_duplicate = True
    if channel.level:
        channel.phase = Phase.TAKEN
    elif state.on_unknown == "again" and has_try_left(state, channel):
        _repeat(state, channel, event, place)
    elif state.on_unknown == "fall_back":
        fail(channel, Reason.UNKNOWN_OUTCOME)
    else:
        channel.phase = Phase.SILENT
    return True


def _repeat(state: MessageState, channel: ChannelState, event: Event, place: Place) -> None:
    """The same call once more: the first time at once, then after the back-off."""
    if channel.tries <= 1:
        channel.phase = Phase.WAITING
        return
    pause_ms = backoff_ms(event.message_id, channel.channel, channel.tries - 1)
    channel.phase, channel.until = Phase.DEFERRED, open_from(state, place.appended_at + pause_ms)


def deferred(state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """No call was made: it was no try, and its clock has not started.

    When the whole channel is down and the plan says so, the channel ends here, also for what only waits in its line.
    What somebody holds by hand is not down: it waits.
    """
    is_down = event.scope in DOWN_SCOPES and event.reason != Reason.HELD and may_fall_back(state, channel)
    if event.attempt != channel.attempt or not (channel.phase in IN_FLIGHT or (is_down and channel.phase in QUEUED)):
        return False
    _untry(channel)
    if channel.level:
        channel.phase = Phase.TAKEN
    elif is_down:
        fail(channel, Reason.UNKNOWN_OUTCOME if channel.possible_duplicate else event.reason or Reason.TRANSIENT)
    else:
        channel.phase, channel.until = Phase.DEFERRED, event.until or place.appended_at + PAUSE_MS
    return True


def dropped(_state: MessageState, channel: ChannelState, event: Event, place: Place) -> bool:
    """The sink did not claim it, or let go of its claim before the call."""
    if event.attempt != channel.attempt or channel.phase not in IN_FLIGHT:
        return False
    _untry(channel)
    queue_again(channel, place)
    return True


def timed_out(channel: ChannelState) -> bool:
    """Its time is up: what is known of its last call is its reason."""
    is_known = channel.phase in QUEUED and channel.refusal and not channel.possible_duplicate
    return fail(channel, channel.refusal if is_known else Reason.UNKNOWN_OUTCOME)


# ---- what they have in common


def fail(channel: ChannelState, reason: str) -> bool:
    """The channel has ended without success."""
    channel.phase, channel.reason = Phase.FAILED, reason
    return True


def _untry(channel: ChannelState) -> None:
    """Take back the claim that led to no call."""
    if channel.phase == Phase.SENDING:
        channel.tries -= 1
        if not channel.tries and not channel.level:
            channel.deadline = 0


def queue_again(channel: ChannelState, place: Place) -> None:
    """Back to its place in the line; not if the provider took an earlier attempt, which may still be proved."""
    if channel.level:
        channel.phase = Phase.TAKEN
    elif channel.attempt - channel.tries <= QUICK_REISSUES:
        channel.phase = Phase.WAITING
    else:
        channel.phase, channel.until = Phase.DEFERRED, place.appended_at + PAUSE_MS
