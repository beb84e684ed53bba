"""From a body to the record that leaves: shape, grants, id, lane, topic.

Pure but for the random bits of a fresh id. Called for single messages and for every message of a batch; made anew when
the registry changes. It publishes nothing and remembers nothing.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, structs

from infra.snapshot import Snapshot
from producers.gateway import grants
from producers.gateway.keys import Caller
from producers.gateway.memory import digest_of
from producers.gateway.models import MessageBody, Place, Problem
from producers.gateway.problems import TITLES, Refused, of_validation, problem, within
from producers.gateway.translated import chinese_for
from producers.outgoing import Dispatcher, Outgoing
from producers.requests import MessageRequest
from schemas import ids
from schemas.errors import Permanent, Reason
from schemas.records import ContentPart, Source

B = TypeVar("B", bound=Struct)
_BODY: Final = msgspec.json.Decoder(MessageBody)
_MEMBERS: Final = structs.fields(MessageBody)
MOST_TOLD: Final = 20
"""Complaints about one body."""
_NAMED: Final = ("reference", "send_at", "expires_at", "recipient", "priority", "message_id", "type")
"""Members that a later check may name at the beginning of its text."""


class Prepared(Struct, frozen=True, gc=False):
    """A record that may leave, and what it asks for (to know a repeat from a conflict)."""

    record: Outgoing
    digest: bytes
    reference: str


class Desk:
    """Prepares messages under one registry version."""

    def __init__(self, snapshot: Snapshot, namespace: str) -> None:
        self._snapshot = snapshot
        lanes = {name: kind.lane for name, kind in snapshot.types.items()}
        self._dispatchers = {name: Dispatcher(name, namespace, lanes) for name in snapshot.apps}

    def prepare(self, raw: bytes | msgspec.Raw, caller: Caller, now_ms: int, spare_id: str = "") -> Prepared:
        """The record for one message's JSON; raises Refused with everything that is wrong.

        `spare_id` is the id of a message that has neither reference nor id of its own.
        """
        body = _message(raw)
        found = grants.obstacles(body, caller.app, self._snapshot)
        if found:
            raise Refused(found)
        try:
            record = self._dispatchers[caller.app.app_id].outgoing(request_of(body, spare_id), now_ms)
        except Permanent as wrong:
            told = (chinese_for(wrong.detail, TITLES[Reason.PARAM_INVALID][1]), wrong.detail)
            raise Refused([problem(wrong.reason, told, Place(pointer=_pointer(wrong.detail)))]) from None
        return Prepared(record, digest_of(body), body.reference)


def read(decode: Callable[[bytes | msgspec.Raw], B], raw: bytes | msgspec.Raw) -> B:
    """The body; raises Refused naming the member at fault."""
    try:
        return decode(raw)
    except msgspec.ValidationError as wrong:
        raise Refused([of_validation(str(wrong))]) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refused([problem(Reason.DECODE_ERROR, ("不是合法的 JSON", "not valid JSON"))]) from None


def _message(raw: bytes | msgspec.Raw) -> MessageBody:
    """The message; raises Refused naming every member at fault, or the first of them for a message of a batch."""
    try:
        return read(_BODY.decode, raw)
    except Refused as first:
        found = _complaints(raw) if isinstance(raw, bytes) and first.problems[0].code != Reason.DECODE_ERROR else []
        raise Refused(found or first.problems) from None


def _complaints(raw: bytes) -> list[Problem]:
    """What is wrong with each member of a message's JSON, each looked at alone; none when it is no whole object."""
    try:
        given = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):  # broken behind the first complaint
        return []
    if not isinstance(given, dict):
        return []
    known = {member.encode_name for member in _MEMBERS}
    strange = islice((name for name in given if name not in known), MOST_TOLD)
    found = [of_validation(f"Object contains unknown field `{name}`") for name in strange]
    for member in _MEMBERS:
        name = member.encode_name
        if name not in given:
            found += [of_validation(f"Object missing required field `{name}`")] if member.required else []
            continue
        try:
            msgspec.convert(given[name], member.type)
        except msgspec.ValidationError as wrong:
            found.append(within(of_validation(str(wrong)), f"/{name}"))
    return found[:MOST_TOLD]


def request_of(body: MessageBody, spare_id: str = "") -> MessageRequest:
    """The same message as every producer's request."""
    recipient = body.recipient
    return MessageRequest(
        type=body.type,
        recipient=(recipient.id_type, recipient.id_value) if recipient is not None else ("", ""),
        personalisation=body.personalisation,
        reference=body.reference,
        contact=body.contact,
        content=[ContentPart(part.kind, part.text, part.url) for part in body.content],
        channels=body.channels,
        priority=body.priority,
        send_at=body.send_at,
        expires_at=body.expires_at,
        supersedes=body.supersedes,
        source=Source(body.source.system, body.source.event, body.source.time),
        message_id=body.message_id or ("" if body.reference else spare_id),
    )


def id_in_batch(app_id: str, batch_reference: str, place: int) -> str:
    """The id of a message without a name of its own: the same batch again is the same messages.

    No reference can give the same id, because a reference is printable.
    """
    return ids.show(ids.from_reference(app_id, f"batch\0{batch_reference}\0{place}"))


def _pointer(detail: str) -> str:
    """The member that a check's text begins with."""
    name = detail.partition(":")[0].partition(" ")[0]
    return f"/{name}" if name in _NAMED else ""
