"""What passes between a channel and a simulated provider, as plain records: so that providers are pure and testable.

Used by every provider here and by the server. Knows nothing of sockets.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from msgspec import Struct, field


class Call(Struct, frozen=True):
    """One HTTP request as it came in; header names in lower case, the query not decoded; `at_ms` when, UTC."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at_ms: int


class Reply(Struct, frozen=True):
    """One HTTP response."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Letter(Struct, frozen=True):
    """A message that a provider is willing to take: what would reach the recipient, and the sender's names for it.

    `key` is the idempotency key as the provider sees it, `message_id` the sender's id inside it (hex, "" without),
    `segments` what an SMS is charged for. `return_path` is where a mail's bounces go, `notify` when one is wanted.
    """

    recipient: str
    key: str
    message_id: str = ""
    title: str = ""
    text: str = ""
    url: str = ""
    segments: int = 1
    template_code: str = ""
    return_path: str = ""
    notify: str = ""


class Refusal(Struct, frozen=True):
    """The provider's own code for what is wrong with a call, and where known whom it was for."""

    code: str
    recipient: str = ""
    key: str = ""


class Inquiry(Struct, frozen=True):
    """An authentic call that sends nothing: which of the provider's actions, and what was asked."""

    action: str
    asked: Mapping[str, Any]
    at_ms: int


class Action(Struct, frozen=True):
    """What to do with a letter: ok, code (refuse with it), throttle, ceiling, hang, cut, garbage, slow (by `ms`)."""

    kind: str = "ok"
    code: str = ""
    ms: int = 0


class Provider(Protocol):
    """A simulated provider. Everything here is quick and does not wait."""

    name: str
    channel: str
    is_idempotent: bool
    magic: ClassVar[Mapping[str, Action]]

    def examine(self, call: Call) -> Letter | Refusal | Inquiry:
        """Check a call as the vendor would."""
        ...

    def magic_tail(self, recipient: str) -> str:
        """The four digits by which a recipient scripts its own outcome; "" for everybody else."""
        ...

    def accept(self, letter: Letter, receipt: int) -> Reply:
        """The answer to a letter that was taken; `receipt` numbers it."""
        ...

    def refuse(self, code: str) -> Reply:
        """The answer that carries a code."""
        ...

    def throttle(self) -> Reply:
        """The answer to one call too many."""
        ...

    def configure(self, kind: str, told: Mapping[str, str]) -> None:
        """An account or a template; raises ValueError when it is not complete."""
        ...


def as_json(status: int, told: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """A reply with a JSON body."""
    return Reply(
        status,
        json.dumps(told, ensure_ascii=False).encode(),
        {"content-type": "application/json; charset=utf-8", **(headers or {})},
    )
