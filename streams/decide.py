"""decide: what settle concludes from the state of a message at a moment. Proposals only: `fold` has the last word.

Called on every message that was touched, and on every one whose moment has come (level-triggered: asked again, it
proposes the same again). It never changes a state and never issues: that needs room, which `waiting` shares out.
"""

from msgspec import Struct

from schemas.statuses import Stage
from streams.guard import CLAIM_MARGIN_MS, judge, may_issue, may_lapse, may_time_out
from streams.message_state import ACTIVE, ChannelState, MessageState


class Conclusion(Struct, frozen=True, gc=False):
    """An event that settle wants to append; `status` and `reason` with `completed`, `claim_by` with `issued` only."""

    stage: str
    channel: str = ""
    attempt: int = 0
    status: str = ""
    reason: str = ""
    claim_by: int = 0


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
    """The next attempt on this channel, to be claimed within `hold_ms` and well before the message expires."""
    if not may_issue(state, channel, now_ms):
        return None
    claim_by = min(now_ms + hold_ms, state.expires_at - CLAIM_MARGIN_MS)
    return Conclusion(Stage.ISSUED, channel.channel, channel.attempt + 1, claim_by=claim_by)
