"""One line of a receipt, whoever sent it, and the request that it becomes: settle copies that into its log.

Made by the readers of receipts, pushed or pulled. The request's id follows from what the receipt says, so the same
receipt twice is the same request. Pure.
"""

import hashlib
import json
import re
from typing import Any, Final

from msgspec import Struct, structs

from infra.receipts.echo import read_echo
from schemas.errors import Permanent, Reason
from schemas.records import NO_KEY, Request

KIND: Final = "receipt"
_ATTEMPT: Final = re.compile(r"attempt=([0-9]{1,10}) ")
_CODE: Final = re.compile(r"[^A-Za-z0-9_.:-]")


class Source(Struct, frozen=True):
    """Over which account a receipt came, and when (UTC ms)."""

    channel: str
    provider: str
    at_ms: int


class Notice(Struct, frozen=True):
    """What a provider says about one message: `echo` is our name for it, "" where the vendor does not echo."""

    status: str
    reason: str = ""
    code: str = ""
    echo: str = ""
    provider_message_id: str = ""


def request_of(notice: Notice, source: Source) -> Request | None:
    """The receipt as a request; None when it names no message of ours: others may send over the same account.

    Without an echo `message_id` is NO_KEY: whoever knows the provider's id fills it in. `detail` holds the attempt (0:
    not known) and the vendor's code.
    """
    named = read_echo(notice.echo)
    if named is None and (notice.echo or not notice.provider_message_id):
        return None
    attempt, code = named.attempt if named is not None else 0, _CODE.sub("?", notice.code)[:64]
    return Request(
        request_id=receipt_id(notice, source),
        kind=KIND,
        message_id=named.message_id if named is not None else NO_KEY,
        channel=source.channel,
        provider=source.provider,
        provider_message_id=notice.provider_message_id[:128],
        status=notice.status,
        reason=notice.reason,
        replay_id=named.replay_id if named is not None else 0,
        requested_by=source.provider,
        at=source.at_ms,
        detail=f"attempt={attempt} code={code}",
    )


def completed(request: Request, message_id: bytes, attempt: int, replay_id: int) -> Request:
    """A receipt that named only the provider's id, as a request about our message; another id, always the same."""
    return structs.replace(
        request,
        request_id=hashlib.sha256(request.request_id + message_id).digest()[:16],
        message_id=message_id,
        replay_id=replay_id,
        detail=f"attempt={attempt} code={request.detail.partition('code=')[2]}",
    )


def receipt_id(notice: Notice, source: Source) -> bytes:
    """16 bytes, equal for equal receipts over the same account, whenever they come."""
    parts = (KIND, source.channel, source.provider, notice.echo, notice.provider_message_id, notice.status, notice.code)
    return hashlib.sha256("\n".join(parts).encode()).digest()[:16]


def attempt_of(request: Request) -> int:
    """The attempt that a receipt speaks of; 0 when it does not say."""
    found = _ATTEMPT.match(request.detail)
    return int(found[1]) if found is not None else 0


def code_of(request: Request) -> str:
    """The vendor's code in a receipt; "" when it gives none."""
    return request.detail.partition(" code=")[2] if _ATTEMPT.match(request.detail) else ""


def rows_in(body: bytes) -> list[Any]:
    """A JSON array; raises Permanent(param_invalid) for anything else."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise Permanent(Reason.PARAM_INVALID, "receipts are a JSON array")
    return found


def text_of(row: Any, name: str) -> str:
    """A member of a vendor's row as text; "" for none; raises Permanent(param_invalid) when the row is none."""
    if not isinstance(row, dict):
        raise Permanent(Reason.PARAM_INVALID, "a receipt is not an object")
    found = row.get(name)
    return found if isinstance(found, str) else "" if found is None else str(found)
