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
TOKEN_S: Final = 3_600.0
"""How long a token lives that the gateway gives."""
TOKEN_MARGIN_S: Final = 60.0
"""A token is renewed so long before its end."""
JSON: Final = {"Content-Type": "application/json"}


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
    message_id = requests.id_of(request, app_id) or ids.show(ids.mint(now_ms, os.urandom(10)))
    members: dict[str, Any] = msgspec.to_builtins(request)
    del members["traceparent"]
    id_type, id_value = request.recipient
    members["recipient"] = {"id_type": id_type, "id_value": id_value} if id_type or id_value else None
    members["message_id"] = "" if request.reference else message_id
    body = {name: value for name, value in members.items() if value not in ("", None, [], {})}
    return Outbound(message_id, request.reference, json.dumps(body).encode(), request.traceparent)


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


class Pass:
    """The token that a client holds. Not safe for threads by itself; `now_s` is monotonic."""

    def __init__(self, app_id: str, secret: str) -> None:
        self.asks: Final = json.dumps({"app_key": app_id, "app_secret": secret}).encode()
        """The body that asks for a token."""
        self._token, self._until_s = "", 0.0

    def is_stale(self, now_s: float) -> bool:
        """Whether a new one is to be asked for first."""
        return now_s >= self._until_s - TOKEN_MARGIN_S

    def take(self, status: int, body: bytes, now_s: float) -> None:
        """Keep the token of an answer; raises Permanent, or NotAcknowledgedError when it may be tried again."""
        self._token, self._until_s = token_of(status, body), now_s + TOKEN_S

    def is_refused(self, failure: MedpostError) -> bool:
        """Whether the gateway says that the token is over before its time; then it is stale from now on."""
        is_over = isinstance(failure, Permanent) and failure.reason == Reason.TOKEN_EXPIRED
        if is_over:
            self._until_s = 0.0
        return is_over

    def headers(self, sent: Outbound) -> dict[str, str]:
        """Of a request that carries a message."""
        found = {**JSON, "Authorization": f"Bearer {self._token}"}
        return {**found, "traceparent": sent.traceparent} if sent.traceparent else found


def token_of(status: int, body: bytes) -> str:
    """The token in an answer to credentials; raises Permanent, or NotAcknowledgedError when it may be tried again."""
    if status in AGAIN:
        raise NotAcknowledgedError(f"no token: the gateway answered {status}", "")
    if status != 200:
        raise refusal_of(status, body)
    return str(json.loads(body)["token"])
