"""What an HTTP client of the gateway sends and understands: bodies, answers as our errors, when to try again. Pure.

Used by `http_client` and `async_http_client`. Needs neither Kafka nor a web framework.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from producers import requests
from producers.acknowledgement import NotAcknowledgedError
from producers.requests import MessageRequest
from schemas import ids
from schemas.errors import MedpostError, Permanent, Reason

AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may be sent again: the id keeps it one message."""
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 10.0
TOKEN_MARGIN_S: Final = 60.0
"""A token is renewed so long before its end."""


class HttpOptions(Struct, frozen=True):
    """What rarely needs to change.

    `timeout_s` bounds one request, `delivery_timeout_s` all tries of one message together; `connections` is how many
    requests are under way at once, `queued` how many more wait in memory.
    """

    timeout_s: float = 15.0
    delivery_timeout_s: float = 60.0
    connections: int = 8
    queued: int = 1_000


class Outbound(Struct, frozen=True):
    """One message on its way: the id under which every try is the same message, and the body."""

    message_id: str
    reference: str
    body: bytes
    traceparent: str = ""


def outbound(request: MessageRequest, app_id: str, now_ms: int) -> Outbound:
    """The body of a request made now, named so that every try is the same message; raises Permanent."""
    requests.check(request)
    message_id = id_of(request, app_id) or ids.show(ids.mint(now_ms, os.urandom(10)))
    members: dict[str, Any] = msgspec.to_builtins(request)
    del members["traceparent"]
    id_type, id_value = request.recipient
    members["recipient"] = {"id_type": id_type, "id_value": id_value} if id_type or id_value else None
    members["message_id"] = "" if request.reference else message_id
    body = {name: value for name, value in members.items() if value not in ("", None, [], {})}
    return Outbound(message_id, request.reference, json.dumps(body).encode(), request.traceparent)


def id_of(request: MessageRequest, app_id: str) -> str:
    """The id that a request's reference gives it, or that it names itself; empty when neither does."""
    if request.reference:
        return ids.show(ids.from_reference(app_id, request.reference))
    return ids.show(ids.parse(request.message_id)) if request.message_id else ""


def failure_of(status: int, headers: Mapping[str, str], body: bytes, sent: Outbound) -> MedpostError | None:
    """None for an acceptance; what may be tried again as NotAcknowledgedError, the request's own fault as Permanent."""
    if status == 202:
        return None
    if status in AGAIN:
        after = headers.get("Retry-After", headers.get("retry-after", ""))
        wait_s = float(after) if after.isdigit() else None
        return NotAcknowledgedError(f"the gateway answered {status}", sent.message_id, sent.reference, wait_s)
    return refusal_of(status, body)


def refusal_of(status: int, body: bytes) -> Permanent:
    """The first problem of an answer; its reason is `param_invalid` where the code is no word of ours."""
    try:
        first = json.loads(body)["errors"][0]
        code, detail, pointer = first["code"], first["detail"]["en"], first["source"].get("pointer", "")
    except (ValueError, KeyError, IndexError, TypeError):
        return Permanent(Reason.PARAM_INVALID, f"the gateway answered {status}")
    reason = Reason(code) if code in Reason.__members__.values() else Reason.PARAM_INVALID
    return Permanent(reason, f"{pointer.lstrip('/')}: {detail}" if pointer else detail)


def silence(sent: Outbound) -> NotAcknowledgedError:
    """No answer at all: the message may be there or not."""
    return NotAcknowledgedError("the gateway did not answer", sent.message_id, sent.reference)


def wait_s(attempt: int, failure: NotAcknowledgedError) -> float:
    """How long to wait before trying again: as told, else twice as long each time."""
    if failure.retry_after_s is not None:
        return float(min(failure.retry_after_s, LONGEST_WAIT_S))
    return float(min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S))


def token_of(status: int, body: bytes) -> str:
    """The token in an answer to credentials; raises Permanent, or NotAcknowledgedError when it may be tried again."""
    if status in AGAIN:
        raise NotAcknowledgedError(f"no token: the gateway answered {status}", "")
    if status != 200:
        raise refusal_of(status, body)
    return str(json.loads(body)["token"])
