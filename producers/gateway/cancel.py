"""`POST /v1/messages/{id}/cancel`: ask settle to stop a message, and tell the truth about it.

A claim in the log wins: what a sink has begun is `too_late`. Nothing is promised that the trace does not show yet: then
the answer is `pending`, and the message's own page says what came of it.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from infra.queries import TraceEvent
from infra.series import series_of
from infra.standing import Standing
from producers.gateway.accepting import read
from producers.gateway.asking import is_young, unknown, wanted_id
from producers.gateway.call import Answer, Call, body_of
from producers.gateway.counter import Counter
from producers.gateway.messages import link_of, unacknowledged
from producers.gateway.models import CancelBody, Cancelled
from producers.gateway.problems import Refused, refused
from producers.outgoing import Outgoing
from schemas import ids, topics
from schemas.codec import REQUEST
from schemas.errors import Permanent, Reason, UnavailableError
from schemas.records import Request
from schemas.statuses import LANE_RANK, Lane, Stage, Status

PATIENCE_S: Final = 4.0
LOOK_S: Final = 0.25
_BODY: Final = msgspec.json.Decoder(CancelBody)


async def cancel(counter: Counter, call: Call) -> Answer:
    """Ask for a cancellation and wait a moment for its outcome."""
    raw = await body_of(call.request, 4_096, counter.settings.gateway_body_s)
    if raw:
        read(_BODY.decode, raw)
    message_id, app_id = wanted_id(call), call.sender.app.app_id
    known, events = await counter.library.both(message_id, app_id)
    if known is None and not is_young(counter, call, message_id):
        raise unknown()
    try:
        settled = verdict(message_id, known, events)
    except Refused:
        if goes_on(message_id, events):
            await _ask(counter, call, message_id, known.lane if known else "")
        raise
    if settled is not None:
        return settled
    await _ask(counter, call, message_id, known.lane if known else "")
    return await _outcome(counter, message_id, app_id)


async def _ask(counter: Counter, call: Call, message_id: str, lane: str) -> None:
    request = request_of(message_id, call.sender.app.app_id, lane, call.now_ms)
    topic = topics.REQUESTS.named(counter.settings.namespace)
    by = Lane(lane) if lane in LANE_RANK else Lane.NORMAL
    try:
        record = Outgoing(message_id, by, topic, request.request_id, REQUEST.encode(request))
        await counter.outbox.publish(record, [])
    except (UnavailableError, Permanent) as failed:
        raise unacknowledged(failed, message_id, "") from None


def request_of(message_id: str, app_id: str, lane: str, now_ms: int) -> Request:
    """The request; asked twice it is the same one."""
    raw = ids.parse(message_id)
    return Request(
        request_id=hashlib.sha256(b"cancel" + raw).digest()[:16],
        kind="cancel",
        message_id=raw,
        app_id=app_id,
        requested_by=f"app:{app_id}",
        reason=Reason.CANCELLED_BY_SENDER,
        at=now_ms,
        lane=lane,
    )


async def _outcome(counter: Counter, message_id: str, app_id: str) -> Answer:
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while loop.time() < until:
        await asyncio.sleep(LOOK_S)
        try:
            settled = verdict(message_id, *await counter.library.both(message_id, app_id))
        except UnavailableError:
            break
        if settled is not None:
            return settled
    return Answer(202, Cancelled(message_id, "pending", link_of(message_id)))


def verdict(message_id: str, known: Standing | None, events: Sequence[TraceEvent]) -> Answer | None:
    """Cancelled (200), or None while nothing is certain; raises Refused(409) when it is too late."""
    if known is None:
        return None
    if known.status == Status.CANCELLED:
        return Answer(200, Cancelled(message_id, "cancelled", link_of(message_id)))
    if known.is_final or is_claimed(events):
        raise too_late(known.status if known.is_final else Status.SENDING)
    return None


def goes_on(message_id: str, events: Sequence[TraceEvent]) -> bool:
    """Whether further sendings follow this one, which are taken back with it even when it was sent itself."""
    found = series_of(message_id, events)
    return found is not None and found.first == message_id


def is_claimed(events: Sequence[TraceEvent]) -> bool:
    """Whether a sink has begun a call that has not failed: it cannot be called back."""
    begun = {(one.channel, one.attempt) for one in events if one.stage == Stage.SENDING}
    failed = {
        (one.channel, one.attempt)
        for one in events
        if one.stage in (Stage.OUTCOME, Stage.DEFERRED, Stage.DROPPED)
        and one.status not in (Status.ACCEPTED, Status.DELIVERED)
    }
    return bool(begun - failed)


def too_late(status: str) -> Refused:
    """The refusal that says how the message stands instead."""
    return refused(Reason.TOO_LATE, f"消息已处于 {status}，无法撤回", f"the message is {status} already")
