"""decide: what settle concludes from the state of a message at a moment. Proposals only: `fold` has the last word.

Called on every message that was touched, and on every one whose moment has come (level-triggered: asked again, it
proposes the same again). It never changes a state and never issues: that needs room, which `waiting` shares out.
"""

from msgspec import Struct

from schemas.errors import Reason
from schemas.limits import CLAIM_MARGIN_MS
from schemas.statuses import Stage
from streams.guard import (
    judge,
    may_fall_back,
    may_hold,
    may_issue,
    may_lapse,
    may_time_out,
    open_from,
)
from streams.hours import next_quiet
from streams.message_state import ACTIVE, QUEUED, ChannelState, MessageState


class Conclusion(Struct, frozen=True, gc=False):
    """An event that settle wants to append.

    `status` belongs to `completed`, `claim_by` to `issued`, `until` (UTC ms) and `scope` to `held` and `deferred`.
    """

    stage: str
    channel: str = ""
    attempt: int = 0
    status: str = ""
    reason: str = ""
    claim_by: int = 0
    until: int = 0
    scope: str = ""


def decide(state: MessageState, now_ms: int, read_up_to_ms: int) -> list[Conclusion]:
    """The conclusions that hold now: `lapsed` and `timed_out` per channel, or the message's `completed`.

    Time counts only as far as the log is known to be read: up to `read_up_to_ms` (a moment before the request that was
    answered with the log's end, which has been reached since). So a timer never overtakes an unread fact.
    """
    at_ms = min(now_ms, read_up_to_ms)
    verdict = judge(state, at_ms)
    if verdict is not None:
        return [Conclusion(Stage.COMPLETED, verdict.channel, 0, verdict.status, verdict.reason)]
    if state.final:
        return []
    return [
        proposal
        for channel in state.channels
        if channel.phase in ACTIVE and (proposal := _overdue(channel, at_ms)) is not None
    ]


def _overdue(channel: ChannelState, at_ms: int) -> Conclusion | None:
    if may_lapse(channel, at_ms):
        return Conclusion(Stage.LAPSED, channel.channel, channel.attempt)
    if may_time_out(channel, at_ms):
        return Conclusion(Stage.TIMED_OUT, channel.channel, channel.attempt)
    return None


def issue(state: MessageState, channel: ChannelState, now_ms: int, hold_ms: int) -> Conclusion | None:
    """The next attempt on this channel, to be claimed within `hold_ms`, before quiet hours and well before expiry."""
    if not may_issue(state, channel, now_ms):
        return None
    claim_by = min(now_ms + hold_ms, state.expires_at - CLAIM_MARGIN_MS)
    if state.quiet_from != state.quiet_until:
        claim_by = min(claim_by, next_quiet(state.quiet_from, state.quiet_until, now_ms))
    return Conclusion(Stage.ISSUED, channel.channel, channel.attempt + 1, claim_by=claim_by)


def hold(state: MessageState, channel: ChannelState, now_ms: int) -> Conclusion | None:
    """What stands in the line when its quiet hours have begun waits for their end."""
    if not may_hold(state, channel, now_ms):
        return None
    until = open_from(state, now_ms)
    return Conclusion(Stage.HELD, channel.channel, channel.attempt, reason=Reason.TIME_WINDOW, until=until)


def fail_over(state: MessageState, channel: ChannelState, reason: str, until: int) -> Conclusion | None:
    """What stands in the line of a channel that is down until then, and goes on with the next channel instead."""
    if channel.phase not in QUEUED or not may_fall_back(state, channel):
        return None
    return Conclusion(Stage.DEFERRED, channel.channel, channel.attempt, reason=reason, until=until, scope="channel")
