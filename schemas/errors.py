"""The error tree and the closed vocabulary of reasons.

Every failure that reaches a person, a dead letter, a trace row or a metric label is one of these words.
Called by everybody; never imports anybody.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused or failed; the same word everywhere (contract, section 2)."""

    # what a provider's answer means
    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    RECIPIENT_RATE_LIMITED = "recipient_rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    AUTH_EXPIRED = "auth_expired"
    AUTH_CONFIG = "auth_config"
    RECIPIENT_UNREACHABLE = "recipient_unreachable"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    RECIPIENT_INVALID = "recipient_invalid"
    RECIPIENT_BLACKLISTED = "recipient_blacklisted"
    CONTENT_REJECTED = "content_rejected"
    TEMPLATE_INVALID = "template_invalid"
    PARAM_INVALID = "param_invalid"
    TOO_LARGE = "too_large"
    BILLING = "billing"
    TIME_WINDOW = "time_window"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    CONFIG_MISSING = "config_missing"
    # the platform's own
    TOKEN_MISSING = "token_missing"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_SIGNATURE = "token_signature"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_AUDIENCE = "token_audience"
    APP_UNKNOWN = "app_unknown"
    APP_DISABLED = "app_disabled"
    TYPE_UNKNOWN = "type_unknown"
    TYPE_DISABLED = "type_disabled"
    TYPE_NOT_GRANTED = "type_not_granted"
    CHANNEL_NOT_GRANTED = "channel_not_granted"
    RECIPIENT_UNKNOWN = "recipient_unknown"
    NO_CHANNEL = "no_channel"
    MISSING_PARAMETER = "missing_parameter"
    DECODE_ERROR = "decode_error"
    DUPLICATE_REFERENCE = "duplicate_reference"
    REFERENCE_CONFLICT = "reference_conflict"
    SUPERSEDED = "superseded"
    CANCELLED_BY_SENDER = "cancelled_by_sender"
    TOO_LATE = "too_late"
    UNKNOWN_OUTCOME = "unknown_outcome"
    UNMAPPED = "unmapped"
    FALLBACK_BUDGET = "fallback_budget"
    HELD = "held"
    INTERNAL = "internal"


class MedpostError(Exception):
    """Root of every error that medpost raises on purpose; carries a reason and a text safe to show.

    The text never holds personal data: it may be logged, traced and shown to a sender.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


class Transient(MedpostError):  # noqa: N818 - the field's word; says what to do, not that it is an error
    """Trying again may help; `retry_after_s` is the other side's wish, None when it gave none."""

    def __init__(self, reason: Reason, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(reason, detail)
        self.retry_after_s = retry_after_s


class Permanent(MedpostError):  # noqa: N818 - as above
    """Trying the same again cannot help."""


class UnavailableError(MedpostError):
    """Something medpost stands on (broker, store, disk, registry) is not there; wait or exit, never dead-letter.

    `remedy` is one line that says how to mend it.
    """

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(Reason.TRANSIENT, detail)
        self.remedy = remedy
