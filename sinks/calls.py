"""What passes between a channel and its provider, as plain records: a call over HTTP or SMTP, and the answer.

Built and read by channels, carried by `sinks.caller`. Knows nothing of sockets.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct

from schemas.errors import MedpostError, Reason

SMTP_COMMAND: Final = "smtp-command"
"""Header of an answer over SMTP: which command it answers, one of connect, auth, mail, rcpt, data."""


class Stamp(Struct, frozen=True):
    """What differs between two calls for the same delivery: the moment (UTC ms) and a nonce of 32 hex digits.

    `token` is what the provider gave to be called with, where it gives tokens (`sinks.tokens`).
    """

    now_ms: int
    nonce: str
    token: str = ""


class Request(Struct, frozen=True):
    """One HTTP call, ready to be made: the URL is encoded already; `idempotency_key` is what the provider sees."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    idempotency_key: str


class Mail(Struct, frozen=True):
    """One mail transaction over SMTP, ready to be made: envelope, and the message's bytes with all headers.

    `url` is `smtp://host:port`, or `smtps://` for TLS from the first byte; `login` a name and a password;
    `envelope_id` what bounces shall name it by, `notify` when one is to be written (RFC 3461, where it can).
    """

    url: str
    sender: str
    recipient: str
    body: bytes
    idempotency_key: str
    login: tuple[str, str] | None = None
    is_starttls: bool = False
    envelope_id: str = ""
    notify: str = "FAILURE,DELAY"


class Answer(Struct, frozen=True):
    """What the provider said; header names in lower case; `at_ms` is when, in UTC ms.

    Over SMTP `status` is the reply's code, `body` its text, and the header SMTP_COMMAND which command it answers.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at_ms: int


class UnknownOutcome(MedpostError):  # noqa: N818 - the field's word; says what is known, not that it is an error
    """The request left us and no answer came that can be trusted; `provider_code` says how it ended."""

    def __init__(self, provider_code: str) -> None:
        super().__init__(Reason.UNKNOWN_OUTCOME, provider_code)
        self.provider_code = provider_code


class Calls(Protocol):
    """Whoever makes the call: `sinks.caller`, or a test."""

    async def call(self, request: Request | Mail) -> Answer:
        """The provider's answer; raises Transient when nothing was sent, UnknownOutcome when no answer came."""
        ...

    def stamp(self) -> Stamp:
        """A fresh stamp."""
        ...
