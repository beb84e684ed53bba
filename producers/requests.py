"""What a producer asks for, before it is a record: the fields of a message that a sender fills in.

Made by callers of the SDK, by JSON lines and by HL7 mappings; turned into a Message by the publisher. Only shapes are
checked here; who may send what to whom is intake's to judge.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypedDict

import msgspec
from msgspec import Struct, field

from schemas import ids
from schemas.errors import Permanent, Reason
from schemas.limits import REFERENCE_CHARS
from schemas.records import ContentPart, Message, RecipientRef, Source
from schemas.statuses import LANES

YEAR_10000_MS: Final = 253_402_300_800_000


class Fields(TypedDict, total=False):
    """Keyword arguments of a request, `type` among them; times are aware datetimes or UTC milliseconds."""

    type: str
    recipient: tuple[str, str]
    personalisation: Mapping[str, str]
    reference: str
    contact: Mapping[str, str]
    content: list[ContentPart]
    channels: list[str]
    priority: str
    send_at: datetime | int | None
    expires_at: datetime | int | None
    supersedes: str
    source: Source
    message_id: str
    traceparent: str


class MessageRequest(Struct, frozen=True, kw_only=True):
    """One message to be sent: who it is for as (id_type, id_value), and what fills the type's template.

    The same `reference` is the same message, however often it is published. Without one, the message can only be
    repeated under the `message_id` that an error names.
    """

    type: str
    recipient: tuple[str, str] = ("", "")
    personalisation: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    contact: Mapping[str, str] = field(default_factory=dict)
    content: list[ContentPart] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    priority: str = ""
    send_at: datetime | int | None = None
    expires_at: datetime | int | None = None
    supersedes: str = ""
    source: Source = Source()
    message_id: str = ""
    traceparent: str = ""


def from_fields(fields: Any) -> MessageRequest:
    """A request from keyword arguments; raises Permanent(param_invalid) naming the wrong one, never its value."""
    try:
        request = msgspec.convert(fields, _Strict)
    except msgspec.ValidationError as problem:
        raise Permanent(Reason.PARAM_INVALID, _without_root(str(problem))) from None
    check(request)
    return request


class _Strict(MessageRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same, refusing arguments that no field has."""


def _without_root(text: str) -> str:
    return text.replace("`$.", "`").replace(" - at `$`", "")


def check(request: MessageRequest) -> None:
    """Raise Permanent(param_invalid) when no intake could accept this request."""
    if not request.type:
        raise Permanent(Reason.PARAM_INVALID, "type: which message type shall it be?")
    if not all(request.recipient) and not request.contact:
        raise Permanent(Reason.PARAM_INVALID, "recipient: id_type and id_value are both needed")
    if request.priority and request.priority not in LANES:
        raise Permanent(Reason.PARAM_INVALID, f"priority: one of {', '.join(LANES)}")
    if len(request.reference) > REFERENCE_CHARS or not request.reference.isprintable():
        raise Permanent(Reason.PARAM_INVALID, f"reference: at most {REFERENCE_CHARS} printable characters")
    epoch_ms("send_at", request.send_at)
    epoch_ms("expires_at", request.expires_at)
    if not _is_text(request):
        raise Permanent(Reason.PARAM_INVALID, "a text holds half of a surrogate pair, which no receiver can show")


def _is_text(request: MessageRequest) -> bool:
    """Whether every text of the request can be written as UTF-8."""
    try:
        msgspec.json.encode(request)
    except UnicodeEncodeError:
        return False
    return True


def as_message(request: MessageRequest, app_id: str, message_id: str, now_ms: int) -> Message:
    """The record for this request. Raises Permanent(param_invalid) for a time without a zone."""
    has_recipient = any(request.recipient)
    return Message(
        message_id=message_id,
        app_id=app_id,
        type=request.type,
        recipient=RecipientRef(*request.recipient) if has_recipient else None,
        contact=dict(request.contact),
        personalisation=dict(request.personalisation),
        content=request.content,
        channels=request.channels,
        priority=request.priority,
        send_at=epoch_ms("send_at", request.send_at),
        expires_at=epoch_ms("expires_at", request.expires_at),
        reference=request.reference,
        supersedes=request.supersedes,
        source=request.source,
        created_at=now_ms,
    )


def epoch_ms(name: str, moment: datetime | int | None) -> int | None:
    """UTC milliseconds of a time that a sender gave; `name` is the field that an error shall name.

    Raises Permanent(param_invalid) for a time without a zone, or before 1970 or after 9999.
    """
    if moment is None:
        return None
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise Permanent(Reason.PARAM_INVALID, f"{name}: a time needs its zone, e.g. 2026-01-05T14:30:00+08:00")
        moment = int(moment.timestamp() * 1000)
    if not 0 <= moment < YEAR_10000_MS:
        raise Permanent(Reason.PARAM_INVALID, f"{name}: no time between 1970 and 9999 in milliseconds")
    return moment


def id_of(request: MessageRequest, app_id: str) -> str:
    """The id that a request's reference gives it, or that it names itself; empty when neither does."""
    if request.reference:
        return ids.show(ids.from_reference(app_id, request.reference))
    return ids.show(ids.parse(request.message_id)) if request.message_id else ""


def digest(request: MessageRequest, *parts: str) -> str:
    """12 hexadecimal digits that tell requests apart: of the parts, and of who and what the request is about."""
    hashed = hashlib.sha256()
    said = [text for pair in sorted(request.personalisation.items()) for text in pair]
    for part in (*parts, request.type, *request.recipient, *said):
        raw = part.encode()
        hashed.update(len(raw).to_bytes(4, "big") + raw)
    return hashed.hexdigest()[:12]
