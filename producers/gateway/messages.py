"""`POST /v1/messages` and `POST /v1/token`: one message taken, or a token given.

202 means that all in-sync replicas have the message. Without the broker's word it is a 503 that names the id to try
again under; trying again is always safe.
"""

from typing import Final

import msgspec

from infra.kafka import Headers
from producers.gateway.accepting import Prepared, read
from producers.gateway.call import Answer, Call, body_of
from producers.gateway.counter import Counter
from producers.gateway.keys import Caller
from producers.gateway.memory import Taken
from producers.gateway.models import Accepted, Links, Place, Token, TokenBody
from producers.gateway.problems import TITLES, Refused, problem
from producers.gateway.times import rfc3339
from producers.gateway.translated import chinese_for
from schemas.errors import Permanent, Reason, UnavailableError

BODY_BYTES: Final = 262_144
RETRY_AFTER_S: Final = 2
_TOKEN: Final = msgspec.json.Decoder(TokenBody)


async def give_token(counter: Counter, call: Call) -> Answer:
    """A token for an application's credentials."""
    body = read(_TOKEN.decode, await body_of(call.request, 4_096, counter.settings.gateway_body_s))
    gatekeeper = counter.gatekeeper
    name = body.app_key if gatekeeper.knows(body.app_key) else ""
    limits = counter.quota.request(f"token/{name}", counter.clock.monotonic_s())
    token, expires_at_ms = gatekeeper.token(body.app_key, body.app_secret, call.now_ms)
    return Answer(200, Token(token, rfc3339(expires_at_ms)), {**limits, "Cache-Control": "no-store"})


async def take_message(counter: Counter, call: Call) -> Answer:
    """One message, published before it is answered."""
    raw = await body_of(call.request, BODY_BYTES, counter.settings.gateway_body_s)
    caller, app_id = call.sender, call.sender.app.app_id
    prepared = counter.desk.prepare(raw, caller, call.now_ms)
    await check_conflict(counter, prepared, app_id)
    per_day = caller.app.http_messages_per_day
    counter.quota.messages(app_id, 1, call.now_ms, counter.clock.monotonic_s(), per_day)
    message_id = prepared.record.message_id
    try:
        await counter.outbox.publish(prepared.record, headers_of(call, caller))
    except (UnavailableError, Permanent) as failed:
        counter.quota.give_back(app_id, 1)
        raise unacknowledged(failed, message_id, prepared.reference) from None
    counter.memory.note(message_id, Taken(app_id, prepared.digest, call.now_ms))
    link = link_of(message_id)
    return Answer(202, Accepted(message_id, "accepted", link), {"Location": link.self})


def link_of(message_id: str) -> Links:
    """Where the message's standing is asked for."""
    return Links(f"/v1/messages/{message_id}")


def headers_of(call: Call, caller: Caller) -> Headers:
    """The record's headers: the caller's own token, which intake judges again, and its trace."""
    trace = call.request.headers.get("traceparent", "")
    bearer = [("authorization", caller.bearer)]
    return [*bearer, ("traceparent", trace.encode())] if 0 < len(trace) <= 128 and trace.isascii() else bearer


async def check_conflict(counter: Counter, prepared: Prepared, app_id: str) -> None:
    """Raise Refused(409) when the id was taken lately for something else, unless that was refused by the platform."""
    message_id = prepared.record.message_id
    if not counter.memory.is_conflict(message_id, app_id, prepared.digest):
        return
    try:
        known = await counter.library.standing(message_id, app_id)
    except UnavailableError:
        known = None
    if known is None or known.status != "rejected":
        raise conflict(message_id)


def conflict(message_id: str) -> Refused:
    """The refusal of another body under a known name."""
    told = (
        "该引用号已用于另一条内容不同的消息；更改内容须换新的引用号",
        "this reference already stands for a message with another body; use a new one",
    )
    made = Refused([problem(Reason.REFERENCE_CONFLICT, told, Place(pointer="/reference"), link_of(message_id).self)])
    made.message_id = message_id
    return made


def unacknowledged(failed: UnavailableError | Permanent, message_id: str, reference: str) -> Refused:
    """A message that the broker did not take: its own fault (413), or try again under the same id (503)."""
    if isinstance(failed, Permanent):
        told = (chinese_for(failed.detail, TITLES[failed.reason][1]), failed.detail)
        return Refused([problem(failed.reason, told)])
    told = (
        f"消息可能已收到，也可能没有；请以同一编号 {message_id} 重试，不会重复发送",
        f"the message may be there or not; try again under the same id {message_id}, it cannot be sent twice",
    )
    made = Refused([problem(Reason.TRANSIENT, told, None, message_id)], {"Retry-After": str(RETRY_AFTER_S)})
    made.message_id, made.reference = message_id, reference or None
    return made
