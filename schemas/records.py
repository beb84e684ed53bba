"""The records of the contract as slotted, frozen values; field for field the newest `avsc`.

Made by producers and steps, read by everybody. Ids and keys are 16 raw bytes, times are UTC milliseconds
since the epoch, durations carry their unit. Never encodes itself: that is `schemas.codec`.
"""

from typing import Final

from msgspec import Struct, field

NO_KEY: Final = bytes(16)
"""An absent id or key of 16 bytes."""


class RecipientRef(Struct, frozen=True, gc=False):
    """Who, by any identifier that the recipient directory knows, e.g. ("patient_id", "P0001")."""

    id_type: str = ""
    id_value: str = ""


class ContentPart(Struct, frozen=True, gc=False):
    """One part of a free text: `kind` is text, rich or link."""

    kind: str = ""
    text: str = ""
    url: str = ""


class Source(Struct, frozen=True, gc=False):
    """Where a message's event came from, e.g. system "LIS", event "ORU^R01"."""

    system: str = ""
    event: str = ""
    time: int | None = None


class Message(Struct, frozen=True):
    """What a hospital system asks for. Ids are text here, and only here: foreign producers write it."""

    message_id: str = ""
    app_id: str = ""
    type: str = ""
    recipient: RecipientRef | None = None
    contact: dict[str, str] = field(default_factory=dict)
    personalisation: dict[str, str] = field(default_factory=dict)
    content: list[ContentPart] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    priority: str = ""
    send_at: int | None = None
    expires_at: int | None = None
    reference: str = ""
    supersedes: str = ""
    source: Source = Source()
    created_at: int = 0


class PlanChannel(Struct, frozen=True, gc=False):
    """One channel of a plan: policy in clear, address and content sealed.

    `skip` is the reason why it cannot be used, empty when it can; `success` the level that counts as success;
    `timeout_ms` runs from `sending`.
    """

    channel: str = ""
    weight: float = 0.0
    success: str = "accepted"
    timeout_ms: int = 0
    skip: str = ""
    template_version: int = 0
    text_hash: bytes = b""
    address_hash: bytes = b""
    sealed: bytes = b""


class Occurrence(Struct, frozen=True, gc=False):
    """A later sending of a message that repeats: when, until when, its sealed parts in the order of the channels."""

    send_at: int = 0
    expires_at: int = 0
    sealed: list[bytes] = field(default_factory=list)


class Plan(Struct, frozen=True):
    """The whole decision of intake; nothing downstream asks the registry again.

    `send_at` 0 means at once; `digest` tells a repeat of the same request from a conflict; `supersedes` is a
    message id or empty. `tries` bounds the calls of one channel (0: the platform's bound); nothing is sent from minute
    `quiet_from` of the day (UTC+8) to `quiet_until` (equal: never quiet); `fallbacks_per_hour` 0 means no limit.
    `later` are the further sendings of a message that repeats, each a message of its own (`ids.occurrence`) whose
    `series` is the first one's id.
    """

    reference: str = ""
    digest: bytes = NO_KEY
    send_at: int = 0
    expires_at: int = 0
    threshold: float = 0.0
    supersedes: bytes = b""
    on_unknown: str = "leave"
    on_channel_down: str = "wait"
    channels: list[PlanChannel] = field(default_factory=list)
    tries: int = 0
    quiet_from: int = 0
    quiet_until: int = 0
    fallbacks_per_hour: int = 0
    series: bytes = b""
    later: list[Occurrence] = field(default_factory=list)


class Event(Struct, frozen=True, gc=False):
    """One thing that happened to a message: a row of the log that the system runs on.

    Its identity is (message_id, stage, channel, attempt, replay_id, status). `latency_ms` counts from acceptance,
    `lateness_ms` from the later of acceptance and send_at. `detail` never holds personal data. On a failed outcome
    `retry` is later, once or never (empty: as the reason says), and `scope` what it speaks of: recipient, message,
    template, channel or account.
    """

    message_id: bytes
    stage: str
    channel: str = ""
    attempt: int = 0
    replay_id: int = 0
    status: str = ""
    at: int = 0
    accepted_at: int = 0
    app_id: str = ""
    type: str = ""
    lane: str = ""
    reason: str = ""
    provider: str = ""
    provider_code: str = ""
    provider_message_id: str = ""
    possible_duplicate: bool = False
    latency_ms: int = 0
    lateness_ms: int = 0
    recipient_key: bytes = NO_KEY
    template_version: int = 0
    config_version: int = 0
    worker: str = ""
    detail: str = ""
    claim_by: int = 0
    until: int = 0
    attempts: int = 0
    text_hash: bytes = b""
    address_hash: bytes = b""
    plan: Plan | None = None
    retry: str = ""
    scope: str = ""


class Delivery(Struct, frozen=True, gc=False):
    """One attempt on one channel. Its identity is (message_id, channel, attempt, replay_id).

    `provider_key` is the idempotency key towards the provider: equal for every attempt of one try group.
    A sink claims it before `claim_by` or not at all; `avoid` names the provider that failed last, if another can try.
    """

    message_id: bytes
    channel: str
    attempt: int = 0
    replay_id: int = 0
    try_group: int = 0
    app_id: str = ""
    type: str = ""
    lane: str = ""
    accepted_at: int = 0
    send_at: int = 0
    recipient_key: bytes = NO_KEY
    template_version: int = 0
    config_version: int = 0
    provider_key: bytes = NO_KEY
    claim_by: int = 0
    expires_at: int = 0
    possible_duplicate: bool = False
    sealed: bytes = b""
    avoid: str = ""


class Content(Struct, frozen=True):
    """The plain text of a sealed part: where to, and what, rendered to the byte."""

    address: str = ""
    kind: str = "template"
    title: str = ""
    text: str = ""
    url: str = ""
    template_code: str = ""
    signature: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


class Delayed(Struct, frozen=True):
    """An open message, whole, so that it outlives the log; `folded_offset` is where its state stands."""

    message_id: bytes
    lane: str = ""
    due_at: int = 0
    folded_offset: int = 0
    state: bytes = b""
    sealed: list[bytes] = field(default_factory=list)


class Request(Struct, frozen=True, gc=False):
    """Something asked about a message after acceptance: cancel, reschedule, supersede, resend, acknowledge or receipt.

    `send_at` belongs to a reschedule; `lane` is the message's, empty where the asker does not know it.
    """

    request_id: bytes
    kind: str = ""
    message_id: bytes = NO_KEY
    channel: str = ""
    provider: str = ""
    provider_message_id: str = ""
    status: str = ""
    reason: str = ""
    replay_id: int = 0
    app_id: str = ""
    requested_by: str = ""
    at: int = 0
    detail: str = ""
    send_at: int = 0
    lane: str = ""


class Outcome(Struct, frozen=True, gc=False):
    """How a message ended, for the application that sent it; ids are text. Never personal data."""

    message_id: str = ""
    app_id: str = ""
    reference: str = ""
    type: str = ""
    status: str = ""
    reason: str = ""
    channel: str = ""
    possible_duplicate: bool = False
    replay_id: int = 0
    accepted_at: int = 0
    completed_at: int = 0
    latency_ms: int = 0


class DeadLetter(Struct, frozen=True, gc=False):
    """A record that could not be handled, and why; `sealed` holds its key, value and headers."""

    reason: str = ""
    detail: str = ""
    origin_topic: str = ""
    origin_partition: int = 0
    origin_offset: int = 0
    origin_timestamp: int = 0
    worker: str = ""
    at: int = 0
    sealed: bytes = b""


class AccountUse(Struct, frozen=True, gc=False):
    """What one sink process uses and wants of one provider account, told once a second.

    `calls` are its calls within `day` (UTC+8, days since 1970-01-01); `wanted_*` what it would have used without a
    limit; `state` is open, probing, broken, paused or used_up, and `until` when it is tried again.
    """

    channel: str = ""
    provider: str = ""
    lane: str = ""
    worker: str = ""
    at: int = 0
    day: int = 0
    calls: int = 0
    per_day: int = 0
    used_per_s: float = 0.0
    wanted_per_s: float = 0.0
    used_slots: int = 0
    wanted_slots: int = 0
    state: str = ""
    until: int = 0


class BacklogApp(Struct, frozen=True, gc=False):
    """An application's open messages in one partition: accepted and not final, those for later among them."""

    app_id: str = ""
    messages: int = 0


class BacklogLine(Struct, frozen=True, gc=False):
    """What waits of one application for one channel, in one partition.

    `oldest_at` is since when the first in line is due (0: nobody waits), `issued_per_s` over the last 10 s. `reason`
    says why it is closed (empty: it is open), `closed_until` when it is tried again (0: nobody can say); `held`: all
    that waits is held by hand.
    """

    channel: str = ""
    app_id: str = ""
    waiting: int = 0
    in_flight: int = 0
    oldest_at: int = 0
    issued_per_s: float = 0.0
    closed_until: int = 0
    reason: str = ""
    held: bool = False


class Backlog(Struct, frozen=True):
    """What is open and what waits in one partition of settle, told about once a second."""

    lane: str = ""
    partition: int = 0
    worker: str = ""
    at: int = 0
    open: list[BacklogApp] = field(default_factory=list)
    lines: list[BacklogLine] = field(default_factory=list)


class DeadMark(Struct, frozen=True, gc=False):
    """What somebody decided about the dead letter of `origin` (its key): `action` is redriven or dropped."""

    origin: str = ""
    action: str = ""
    by: str = ""
    at: int = 0
    note: str = ""
