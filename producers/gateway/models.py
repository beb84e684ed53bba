"""Every body that the gateway reads or answers: the one source of validation and of the OpenAPI document.

Used by all of this package and by nobody else. Limits stand beside the members they bound, so that what is documented
is what is checked. Shapes only: who may send what is `grants`' and intake's.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Raw, Struct, field

MAX_BATCH: Final = 40_000
MAX_BATCH_ERRORS: Final = 100
YEAR_10000_MS: Final = 253_402_300_800_000

Word = Annotated[str, Meta(min_length=1, max_length=64)]
Time = (
    Annotated[datetime, Meta(tz=True, description="RFC 3339, with its zone")]
    | Annotated[int, Meta(ge=0, lt=YEAR_10000_MS, description="UTC milliseconds")]
    | None
)
Text = Annotated[str, Meta(max_length=4_000)]


class TokenBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An application's credentials: `app_key` is its id, `app_secret` one of its live HS256 secrets."""

    app_key: Annotated[str, Meta(min_length=1, max_length=64, examples=["his"])]
    app_secret: Annotated[str, Meta(min_length=1, max_length=512)]


class Token(Struct, frozen=True):
    """A bearer token and when it ends."""

    token: str
    expires_at: Annotated[str, Meta(examples=["2026-11-22T18:00:00.000+08:00"])]


class RecipientBody(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Who the message is for, by a name that the hospital knows them by."""

    id_type: Annotated[str, Meta(min_length=1, max_length=64, examples=["patient_id"])]
    id_value: Annotated[str, Meta(min_length=1, max_length=256, examples=["P0001"])]


class PartBody(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One part of a free text, for types that allow it."""

    kind: Literal["text", "rich", "link"]
    text: Annotated[str, Meta(max_length=20_000)] = ""
    url: Annotated[str, Meta(max_length=2_000)] = ""


class SourceBody(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Where the event came from."""

    system: Annotated[str, Meta(max_length=64, examples=["HIS"])] = ""
    event: Annotated[str, Meta(max_length=64)] = ""
    time: Annotated[int, Meta(ge=0, lt=YEAR_10000_MS, description="UTC milliseconds")] | None = None


class MessageBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message to be sent. The same `reference` (or `message_id`) is the same message, however often it is sent."""

    type: Annotated[str, Meta(min_length=1, max_length=64, examples=["lab_report"])]
    recipient: RecipientBody | None = None
    personalisation: Annotated[dict[Word, Text], Meta(max_length=64)] = field(default_factory=dict)
    reference: Annotated[str, Meta(max_length=256, description="your own id of the message")] = ""
    contact: Annotated[dict[Word, Annotated[str, Meta(max_length=256)]], Meta(max_length=16)] = field(
        default_factory=dict
    )
    content: Annotated[list[PartBody], Meta(max_length=20)] = field(default_factory=list)
    channels: Annotated[list[Word], Meta(max_length=16, description="narrows the type's policy")] = field(
        default_factory=list
    )
    priority: Literal["", "urgent", "normal", "bulk"] = ""
    send_at: Time = None
    expires_at: Time = None
    supersedes: Annotated[str, Meta(max_length=256, description="id or reference of the message replaced")] = ""
    source: SourceBody = SourceBody()
    message_id: Annotated[str, Meta(max_length=36, description="a UUID; only to try again under it")] = ""


class BatchBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many messages at once. A message without reference and id is known by `batch_reference` and its place in it."""

    batch_reference: Annotated[str, Meta(min_length=1, max_length=200)]
    messages: Annotated[list[Raw], Meta(min_length=1, max_length=MAX_BATCH)]


class CancelBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing needs to be said about a cancellation; the body may be left out."""


class Links(Struct, frozen=True):
    """Where to ask on."""

    self: str


class Accepted(Struct, frozen=True):
    """The broker has the message safely; ask `links.self` what became of it."""

    message_id: str
    status: Literal["accepted"]
    links: Links


class Bilingual(Struct, frozen=True):
    """What happened, to be read by a person."""

    zh: str
    en: str


class Place(Struct, frozen=True, omit_defaults=True):
    """Where in the request: JSON pointer into the body (RFC 6901), or the name of a parameter or header."""

    pointer: str = ""
    parameter: str = ""
    header: str = ""


class About(Struct, frozen=True, omit_defaults=True):
    """Where to read on, and (after a 503) the id to try again under."""

    about: str
    retry: str = ""


class Problem(Struct, frozen=True):
    """One thing that was wrong; `code` is a word of the platform's vocabulary and never changes."""

    code: str
    status: int
    title: Bilingual
    detail: Bilingual
    source: Place
    links: About


class Problems(Struct, frozen=True, omit_defaults=True):
    """Everything that was found wrong. `message_id` and `reference`: under which to try again, after a 503."""

    errors: list[Problem]
    message_id: str | None = None
    reference: str | None = None


class BatchAccepted(Struct, frozen=True):
    """What became of a batch: an id for each message in its place, null where it was refused.

    `errors` holds the first 100; their pointers begin with the place in the batch. Correct the refused ones and send
    them, or the whole batch, again: what was accepted stays one message.
    """

    batch_reference: str
    accepted: int
    refused: int
    message_ids: list[str | None]
    errors: list[Problem]


class MessageView(Struct, frozen=True):
    """How a message stands. Times are RFC 3339 in UTC+8; `finished_at` and the latency are null while it is open."""

    message_id: str
    status: str
    is_final: bool
    reason: str
    type: str
    lane: str
    channel: str
    attempts: int
    possible_duplicate: bool
    accepted_at: str
    finished_at: str | None
    latency_ms: int | None
    links: Links


class EventView(Struct, frozen=True):
    """One event of a message's trace."""

    at: str
    stage: str
    status: str
    channel: str
    attempt: int
    replay_id: int
    reason: str
    provider: str
    provider_code: str
    provider_message_id: str
    possible_duplicate: bool
    latency_ms: int


class EventList(Struct, frozen=True):
    """A message's trace, in order."""

    message_id: str
    events: list[EventView]


class ChannelBacklog(Struct, frozen=True):
    """What waits, or is being sent, of one lane and channel: `messages` is both together.

    `oldest_at`: since when the first in line is due; `eta_s`: seconds until the line is empty at this rate, null when
    nobody can say; `reason`: why nothing is sent at present, empty while it is.
    """

    lane: str
    channel: str
    messages: int
    waiting: int
    in_flight: int
    oldest_at: str | None
    per_second: float
    eta_s: float | None
    reason: str


class Backlog(Struct, frozen=True):
    """An application's open messages, at most 2 s ago: those for later and those that await a receipt among them.

    `is_complete` false: a part of the platform has not told its count for 10 s, and what it told last is used.
    """

    app_id: str
    messages: int
    is_complete: bool
    channels: list[ChannelBacklog]


class Cancelled(Struct, frozen=True):
    """The truth about a cancellation: it took effect, or nobody has answered yet (ask `links.self`)."""

    message_id: str
    status: Literal["cancelled", "pending"]
    links: Links


class Health(Struct, frozen=True):
    """Whether the gateway lives, or is ready to take messages."""

    is_well: bool
    waits_for: list[str]
