"""Who is asking, and may they: the token in the record's header, then the application's grants.

First of intake's pure steps. It judges the token at the record's append time, so that a backlog never turns a valid
message into an invalid one; it never looks at a clock.
"""

from collections.abc import Iterable
from typing import Final

from infra.snapshot import Snapshot
from infra.tokens import Claims, Verifier
from schemas.configuration import ENABLED, AppConfig, MessageType
from schemas.errors import Permanent, Reason
from schemas.records import Message

HEADER: Final = "authorization"
EVERYTHING: Final = "*"
_SCHEME: Final = b"bearer "


def bearer(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """The token in the record's headers, "" when there is none; Permanent(token_malformed) when there are two."""
    found = [value or b"" for name, value in headers if name == HEADER]
    if len(found) > 1:
        raise Permanent(Reason.TOKEN_MALFORMED, "header authorization is given twice")
    if not found or not found[0]:
        return ""
    if found[0][: len(_SCHEME)].lower() != _SCHEME:
        raise Permanent(Reason.TOKEN_MALFORMED, "header authorization is not `Bearer <token>`")
    return found[0][len(_SCHEME) :].strip().decode("utf-8", "surrogateescape")


def authenticate(
    message: Message, headers: Iterable[tuple[str, bytes | None]], verifier: Verifier, at_ms: int
) -> Claims:
    """What the token says that speaks for the message's app_id at `at_ms`; raises Permanent(token_* | app_*)."""
    return verifier.verify(bearer(headers), message.app_id, at_ms)


def authorise(message: Message, snapshot: Snapshot) -> tuple[AppConfig, MessageType]:
    """The application and the type, when the one may send the other; raises Permanent(type_* | channel_not_granted)."""
    app = snapshot.apps[message.app_id]
    kind = snapshot.types.get(message.type)
    if kind is None:
        raise Permanent(Reason.TYPE_UNKNOWN, "the message type is not registered")
    if kind.status != ENABLED:
        raise Permanent(Reason.TYPE_DISABLED, f"type {kind.type} is disabled")
    if not is_granted(app.types, kind.type):
        raise Permanent(Reason.TYPE_NOT_GRANTED, f"application {app.app_id} may not send {kind.type}")
    if message.contact and not app.contact:
        raise Permanent(Reason.CHANNEL_NOT_GRANTED, f"application {app.app_id} may not give addresses (contact)")
    return app, kind


def is_granted(granted: list[str], name: str) -> bool:
    """Whether a list of grants holds the name, or everything."""
    return name in granted or EVERYTHING in granted
