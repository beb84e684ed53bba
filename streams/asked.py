"""What was asked about a message after its acceptance: withdrawn by its sender, superseded, moved to another time.

Steps of `fold`, and the answer that can be given at once to whoever asked. Pure, no clock: a request counts where its
copy stands in the log, so a claim that stands before it wins. None of them ends a message: that is a conclusion, drawn
when nothing is under way any more.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from schemas.errors import Reason
from schemas.records import Event, Request
from schemas.statuses import Stage, Status
from streams.guard import open_from
from streams.message_state import QUEUED, ChannelState, MessageState, Phase, Place

REMEMBERED: Final = 8
"""So many requests of one message are recognised when they come again."""

_UNDER_WAY: Final = frozenset((Phase.SENDING, Phase.TAKEN, Phase.SILENT, Phase.SUCCEEDED))
"""A provider has it, or may have it: too late to withdraw."""
_STOPPABLE: Final = QUEUED | {Phase.UNSTARTED, Phase.ISSUED, Phase.SENDING}
"""There is something that can still be kept from happening: a first call, a retry, a fallback."""


def cancelled(state: MessageState, event: Event, _place: Place) -> bool:
    """The sender takes the message back."""
    return _is_new(state, event) and _withdrawn(state, Reason.CANCELLED_BY_SENDER)


def superseded(state: MessageState, event: Event, _place: Place) -> bool:
    """A later message takes its place."""
    return _is_new(state, event) and _withdrawn(state, Reason.SUPERSEDED)


def rescheduled(state: MessageState, event: Event, place: Place) -> bool:
    """Another time for what nobody was given yet: at `until`, 0 means now.

    The end of its life moves along when it is put off, as the life of a message counts from its time.
    """
    if not _is_new(state, event):
        return False
    if state.withdrawn or any(channel.attempt for channel in state.channels):
        return True
    if event.until:
        state.expires_at += max(0, event.until - max(state.accepted_at, state.send_at))
    state.send_at = max(event.until, place.appended_at)
    begins_ms = open_from(state, state.send_at)
    for channel in state.channels:
        if channel.phase in QUEUED:
            is_later = begins_ms > place.appended_at
            channel.phase, channel.until = (Phase.DEFERRED, begins_ms) if is_later else (Phase.WAITING, 0)
    return True


STEPS: Final[dict[str, Callable[[MessageState, Event, Place], bool]]] = {
    Stage.CANCEL_REQUESTED: cancelled,
    Stage.SUPERSEDED: superseded,
    Stage.RESCHEDULE_REQUESTED: rescheduled,
}
"""What was asked, as steps of fold; each says whether the state is another one now."""


def _is_new(state: MessageState, event: Event) -> bool:
    """Whether the message is open and this request has not been read before; it is remembered by its id."""
    if state.final or state.refused or event.detail in state.requests:
        return False
    state.requests = [*state.requests, event.detail][-REMEMBERED:]
    return True


def _withdrawn(state: MessageState, reason: str) -> bool:
    if any(channel.phase in _STOPPABLE for channel in state.channels):
        state.withdrawn = state.withdrawn or reason
    return True


def withdraw(state: MessageState) -> None:
    """Of a message that is withdrawn: nothing begins, and nothing begins again. Called by fold after every step.

    What may have been sent, its answer lost, is not called cancelled: it waits for a proof until its deadline.
    """
    if not state.withdrawn:
        return
    for channel in state.channels:
        if channel.phase in QUEUED and channel.possible_duplicate:
            channel.phase = Phase.SILENT
        elif channel.phase in QUEUED or channel.phase == Phase.UNSTARTED:
            channel.phase, channel.reason = Phase.SKIPPED, state.withdrawn


def may_return(state: MessageState, channel: ChannelState) -> bool:
    """Whether a claim still counts for a channel that was skipped as withdrawn: the call is being made."""
    return channel.phase == Phase.SKIPPED and bool(state.withdrawn) and channel.reason == state.withdrawn


def answer_to(stage: str, state: MessageState) -> tuple[str, str]:
    """What can be said already when the request is copied: a reason and the channel it speaks of, else two blanks.

    too_late: it is final, or a channel has it; cancelled_by_sender, superseded: it is withdrawn already.
    """
    if state.final:
        if state.final == Status.CANCELLED:
            return state.final_reason, ""
        return Reason.TOO_LATE, next((one.channel for one in state.channels if one.phase in _UNDER_WAY), "")
    if stage == Stage.RESCHEDULE_REQUESTED:
        given = [channel.channel for channel in state.channels if channel.attempt]
        return (state.withdrawn, "") if state.withdrawn else (Reason.TOO_LATE, given[0]) if given else ("", "")
    had = [channel.channel for channel in state.channels if channel.phase in _UNDER_WAY]
    return (Reason.TOO_LATE, had[0]) if had else ("", "")


def replacing(event: Event) -> Request | None:
    """What an `accepted` asks of the message that it replaces, None when it replaces none.

    The request's id is a function of both messages, so that asking twice is asking once.
    """
    older = event.plan.supersedes if event.plan is not None else b""
    if not older or older == event.message_id:
        return None
    request_id = hashlib.sha256(b"supersede" + event.message_id + older).digest()[:16]
    return Request(
        request_id,
        "supersede",
        older,
        reason=Reason.SUPERSEDED,
        app_id=event.app_id,
        requested_by=event.app_id,
        at=event.at,
    )
