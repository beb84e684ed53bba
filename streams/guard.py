"""The one guard of settle's conclusions: what `decide` may propose is exactly what `fold` accepts.

Pure questions about a state and a moment. A conclusion is judged twice, with the same words: when it is proposed, and
when it is read back from the log, where facts may stand before it that its author had not read.
"""

from typing import Final

from msgspec import Struct

from schemas.errors import Reason
from schemas.limits import CLAIM_MARGIN_MS
from schemas.statuses import DONE_BY_LEVEL, FINAL_RANK, LEVELS, Status
from streams.hours import quiet_until
from streams.message_state import ACTIVE, AWAITING, QUEUED, ChannelState, MessageState, Phase

LAPSE_MS: Final = 2_000
"""After `claim_by`, so long may a claim that was made in time still be on its way into the log."""
ANSWER_GRACE_MS: Final = 30_000
"""After expiry, so long may a claim made before still get its answer; then the channel times out."""

_UPGRADABLE: Final = {Status.EXPIRED, Status.SENT, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED}


class Verdict(Struct, frozen=True, gc=False):
    """How a message ends: final status, reason (empty on success), and the channel that decided it, if any."""

    status: str
    reason: str = ""
    channel: str = ""


def may_issue(state: MessageState, channel: ChannelState, at_ms: int) -> bool:
    """Whether this channel may be given to the sinks at that moment."""
    if state.final or at_ms >= state.expires_at - CLAIM_MARGIN_MS:
        return False
    if channel.phase != Phase.WAITING and not is_ready(channel, at_ms):
        return False
    return state.quiet_from == state.quiet_until or not quiet_until(state.quiet_from, state.quiet_until, at_ms)


def is_ready(channel: ChannelState, at_ms: int) -> bool:
    """Whether it waits for nothing but room, and hours in which it may be sent."""
    phase = channel.phase
    return phase == Phase.WAITING or (phase == Phase.DEFERRED and at_ms >= channel.until)


def may_hold(state: MessageState, channel: ChannelState, at_ms: int) -> bool:
    """Whether what waits in the line has to wait for the end of its quiet hours."""
    return not state.final and is_ready(channel, at_ms) and open_from(state, at_ms) > at_ms


def open_from(state: MessageState, at_ms: int) -> int:
    """From when on the plan's hours allow sending: this moment, or the end of the quiet hours it lies in."""
    if state.quiet_from == state.quiet_until:
        return at_ms
    return quiet_until(state.quiet_from, state.quiet_until, at_ms) or at_ms


def may_fall_back(state: MessageState, channel: ChannelState) -> bool:
    """Whether the plan wants the next channel when this one is down, and there is a next one."""
    return state.falls_back and any(other.phase == Phase.UNSTARTED for other in state.channels if other is not channel)


def may_lapse(channel: ChannelState, at_ms: int) -> bool:
    """Whether what was issued counts as never claimed."""
    return channel.phase == Phase.ISSUED and at_ms >= channel.until + LAPSE_MS


def may_time_out(channel: ChannelState, at_ms: int) -> bool:
    """Whether the channel's time is up; it runs from the first claim, and goes on while it waits to try again."""
    if channel.phase not in AWAITING and not (channel.phase in QUEUED and channel.deadline):
        return False
    return at_ms >= channel.deadline


def may_complete(state: MessageState, status: str, at_ms: int) -> bool:
    """Whether that status is what the message ends with (again, when a late proof raised it)."""
    verdict = judge(state, at_ms)
    return verdict is not None and verdict.status == status


def judge(state: MessageState, at_ms: int) -> Verdict | None:
    """The final status to publish at that moment; None while the message is open, or when it is published already."""
    if state.final:
        return _raised(state)
    if state.refused:
        return Verdict(Status.REJECTED, state.refused)
    is_open = False
    for channel in state.channels:
        if channel.phase in QUEUED:
            is_open = True
        elif channel.phase in ACTIVE:
            return None
    if is_open and at_ms < state.expires_at:
        return None
    return _success(state) or (_expired(state) if is_open else _withdrawn(state) or _failure(state))


def _success(state: MessageState) -> Verdict | None:
    """The highest proof among the channels that succeeded, as a final status."""
    best: ChannelState | None = None
    for channel in state.channels:
        if channel.phase == Phase.SUCCEEDED and (best is None or channel.level > best.level):
            best = channel
    if best is None:
        return None
    return Verdict(DONE_BY_LEVEL[LEVELS[best.level - 1]], "", best.channel)


def _expired(state: MessageState) -> Verdict:
    tried = [channel for channel in state.channels if channel.attempt]
    return Verdict(Status.EXPIRED, Reason.EXPIRED, tried[-1].channel if tried else "")


def _withdrawn(state: MessageState) -> Verdict | None:
    """Cancelled, when surely nobody got it: a lost answer stays what it is, whatever came after it."""
    is_unsure = any(one.possible_duplicate or one.reason == Reason.UNKNOWN_OUTCOME for one in state.channels)
    return Verdict(Status.CANCELLED, state.withdrawn) if state.withdrawn and not is_unsure else None


def _failure(state: MessageState) -> Verdict:
    """Failed; `unknown_outcome` wins over definite reasons, because a late receipt may still prove the opposite."""
    failed = [channel for channel in state.channels if channel.phase == Phase.FAILED]
    if not failed:
        return Verdict(Status.FAILED, Reason.NO_CHANNEL)
    unknown = [channel for channel in failed if channel.reason == Reason.UNKNOWN_OUTCOME]
    last = (unknown or failed)[-1]
    return Verdict(Status.FAILED, last.reason, last.channel)


def _raised(state: MessageState) -> Verdict | None:
    """A higher final status than the published one, when late evidence proves it; other statuses absorb."""
    unknown = state.final == Status.FAILED and state.final_reason == Reason.UNKNOWN_OUTCOME
    if not unknown and state.final not in _UPGRADABLE:
        return None
    verdict = _success(state)
    if verdict is None or FINAL_RANK[Status(verdict.status)] <= FINAL_RANK[Status(state.final)]:
        return None
    return verdict


def next_due(state: MessageState, after_ms: int) -> int:
    """The next moment at which time alone may change something; at `after_ms` or later for what is long due."""
    if state.final:
        return state.forget_at
    due, is_busy = 0, False
    for channel in state.channels:
        if channel.phase in ACTIVE:
            is_busy = is_busy or channel.phase not in QUEUED
            moment = _channel_due(channel, after_ms)
            due = min(due or moment, moment or due)
    if is_busy:
        return due
    return min(due or state.expires_at, state.expires_at)


def _channel_due(channel: ChannelState, after_ms: int) -> int:
    """The channel's own next moment, 0 when it waits for room only."""
    if channel.phase == Phase.ISSUED:
        return channel.until + LAPSE_MS
    if channel.phase == Phase.DEFERRED and channel.until > after_ms:
        return min(channel.until, channel.deadline or channel.until)
    return channel.deadline
