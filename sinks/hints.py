"""What a refused call advises: whether to try again, and what it speaks of; by reason, unless a code says more.

Called by codebooks (per-code overrides, as data) and by the scribe. Pure. It advises; settle decides.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

from schemas.errors import Reason

Retry: TypeAlias = Literal["later", "once", "never"]
"""Again with back-off, one more time, or not at all."""
Scope: TypeAlias = Literal["recipient", "message", "template", "channel", "account"]
"""What failed: only the last two say that other messages would fail too."""
RETRIES: Final = get_args(Retry)
SCOPES: Final = get_args(Scope)

LATER: Final = frozenset(
    {Reason.TRANSIENT, Reason.RATE_LIMITED, Reason.AUTH_EXPIRED, Reason.QUOTA_EXHAUSTED, Reason.TIME_WINDOW}
)
"""Reasons that may pass by themselves; all others end the channel."""

SCOPE_OF: Final[Mapping[Reason, Scope]] = {
    Reason.TRANSIENT: "channel",
    Reason.CONFIG_MISSING: "channel",
    Reason.RATE_LIMITED: "account",
    Reason.QUOTA_EXHAUSTED: "account",
    Reason.AUTH_EXPIRED: "account",
    Reason.AUTH_CONFIG: "account",
    Reason.BILLING: "account",
    Reason.RECIPIENT_RATE_LIMITED: "recipient",
    Reason.RECIPIENT_UNREACHABLE: "recipient",
    Reason.RECIPIENT_OPTED_OUT: "recipient",
    Reason.RECIPIENT_INVALID: "recipient",
    Reason.RECIPIENT_BLACKLISTED: "recipient",
    Reason.TEMPLATE_INVALID: "template",
    Reason.TIME_WINDOW: "template",
    Reason.CONTENT_REJECTED: "message",
    Reason.PARAM_INVALID: "message",
    Reason.TOO_LARGE: "message",
    Reason.DUPLICATE: "message",
    Reason.EXPIRED: "message",
}
"""Of reasons that a provider gives; any other speaks of the message."""


class Hint(Struct, frozen=True):
    """The advice."""

    retry: Retry = "never"
    scope: Scope = "message"


def by_reason(reason: Reason) -> Hint:
    """What the reason alone says. An unknown code speaks of its message: one of them must not stop a channel."""
    return Hint("later" if reason in LATER else "never", SCOPE_OF.get(reason, "message"))


def unmapped(*, costs_money: bool) -> Hint:
    """An unknown code: one more try where it costs nothing; where it costs, it may have been sent and charged."""
    return Hint("never" if costs_money else "once")
