"""The records of the configuration registry: applications, types, channels, recipients, versions; and what is held.

Written by `medpost registry apply`, read into every process's snapshot. Values only: what is allowed in them is
checked where files are read, and nothing downstream of intake asks them to decide. Secrets are sealed before they
get here; durations carry their unit.
"""

from typing import Final

from msgspec import Struct, field

from schemas.codec import Codec, codec

ENABLED: Final = "enabled"
DISABLED: Final = "disabled"
LIVE: Final = "live"
TEST: Final = "test"
"""A key whose messages never leave the simulated providers."""
TEAM: Final = "team"
"""A key whose messages reach the application's own people only."""


class AppKey(Struct, frozen=True, gc=False):
    """One key of an application. `kind` is live, test or team; `sealed` holds the secret or public key."""

    key_id: str = ""
    algorithm: str = "HS256"
    kind: str = LIVE
    status: str = ENABLED
    sealed: bytes = b""


class AppConfig(Struct, frozen=True):
    """A sending system. `types` and `channels` are what it may use ("*": all); `contact`: may give addresses itself.

    `team` are the ids (`Recipient.person_id`) of those whom its keys of kind team reach. What Kafka
    allows its user where the broker knows users (0: no quota; `kafka_user` "": the app_id): `infra.client_quotas`. The
    last two are what each HTTP gateway takes from it (0: the gateway's own setting).
    """

    app_id: str = ""
    name: str = ""
    status: str = ENABLED
    keys: list[AppKey] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    contact: bool = False
    team: list[str] = field(default_factory=list)
    kafka_user: str = ""
    messages_per_s: float = 0.0
    consumer_bytes_per_s: int = 0
    request_percent: float = 0.0
    http_requests_per_s: float = 0.0
    http_messages_per_day: int = 0


class Parameter(Struct, frozen=True, gc=False):
    """One value that a message of the type carries in `personalisation`; `max_chars` counts characters."""

    name: str = ""
    required: bool = True
    max_chars: int = 64


class Template(Struct, frozen=True, gc=False):
    """What a channel says: jinja2 texts over the type's parameters.

    Where the vendor renders, `template_code` and `signature` are the vendor's, `parameters` its variables (each a
    text of ours), and `text` the preview that trace and inbox keep. `max_chars` bounds the rendered text.
    """

    version: int = 1
    kind: str = "template"
    title: str = ""
    text: str = ""
    url: str = ""
    template_code: str = ""
    signature: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    max_chars: int = 1000


class TypeChannel(Struct, frozen=True, gc=False):
    """A channel in a type's policy; `timeout_ms` runs from `sending`; `template` None: cannot be used yet."""

    channel: str = ""
    weight: float = 0.0
    success: str = "accepted"
    timeout_ms: int = 0
    template: Template | None = None


class MessageType(Struct, frozen=True):
    """A kind of message with its whole policy; the order of `channels` breaks ties of weight.

    A message lives `expiry_ms` from its send_at when the sender names no end, and never longer than
    `max_expiry_ms`. `on_unknown`: again, query, fall_back or leave; `on_channel_down`: wait or fall_back.
    `tries`, `quiet_from`, `quiet_until` and `fallbacks_per_hour` as in `records.Plan`; `send_times` are the minutes of
    the day (UTC+8) at which messages of the type are let go (none: at once). A message is sent `repeat_times` times in
    all (0: once), every `repeat_days` days.
    """

    type: str = ""
    name: str = ""
    status: str = ENABLED
    lane: str = "normal"
    threshold: float = 0.0
    expiry_ms: int = 0
    max_expiry_ms: int = 0
    on_unknown: str = "leave"
    on_channel_down: str = "wait"
    free_text: bool = False
    parameters: list[Parameter] = field(default_factory=list)
    channels: list[TypeChannel] = field(default_factory=list)
    tries: int = 0
    quiet_from: int = 0
    quiet_until: int = 0
    send_times: list[int] = field(default_factory=list)
    fallbacks_per_hour: int = 0
    repeat_days: int = 0
    repeat_times: int = 0


class ProviderAccount(Struct, frozen=True):
    """A further provider of a channel; members as in `ChannelConfig`."""

    provider: str = ""
    status: str = ENABLED
    weight: float = 1.0
    base_url: str = ""
    rate_per_s: float = 0.0
    max_in_flight: int = 0
    per_day: int = 0
    timeout_ms: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    secrets: bytes = b""


class ChannelConfig(Struct, frozen=True):
    """A way out: which provider, where, how fast. `secrets` is a sealed JSON map; `base_url` may begin `simulators:`.

    `success_levels` are the levels that every provider of it can prove. `others` share the channel's messages with the
    first provider by `weight` while all are well; `per_day` bounds the calls within a day (UTC+8), 0: no limit.
    """

    channel: str = ""
    provider: str = ""
    status: str = ENABLED
    base_url: str = ""
    rate_per_s: float = 0.0
    max_in_flight: int = 0
    timeout_ms: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    secrets: bytes = b""
    success_levels: list[str] = field(default_factory=list)
    weight: float = 1.0
    per_day: int = 0
    others: list[ProviderAccount] = field(default_factory=list)


class Identity(Struct, frozen=True, gc=False):
    """One name that a person is known by, e.g. ("patient_id", "P0001")."""

    id_type: str = ""
    id_value: str = ""


class Address(Struct, frozen=True, gc=False):
    """Where a channel reaches the person; `status` is active, opted_out or invalid."""

    channel: str = ""
    value: str = ""
    status: str = "active"


class Recipient(Struct, frozen=True):
    """A person with every name and every address; travels sealed, and only intake opens it."""

    person_id: str = ""
    identities: list[Identity] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)


class ConfigVersion(Struct, frozen=True):
    """Closes a set of changes: it takes effect once every kind is read up to `offsets` (exclusive)."""

    version: int = 0
    at: int = 0
    author: str = ""
    offsets: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Hold(Struct, frozen=True, gc=False):
    """Whether something is held by hand. `scope` is type, channel, app or provider; `note` is never personal."""

    scope: str = ""
    name: str = ""
    is_held: bool = False
    by: str = ""
    at: int = 0
    note: str = ""


class MemberChange(Struct, frozen=True, gc=False):
    """One member of an object by its path, before and after as text; secrets and addresses are stars."""

    member: str = ""
    before: str = ""
    after: str = ""


class ConfigChange(Struct, frozen=True):
    """One object that one apply changed, for the history; in force once a `ConfigVersion` of its version and time is.

    `action` is added, changed or removed. Recipients are only counted: no id of a person stands here.
    """

    version: int = 0
    at: int = 0
    author: str = ""
    kind: str = ""
    object_id: str = ""
    action: str = ""
    count: int = 1
    members: list[MemberChange] = field(default_factory=list)


APP_CONFIG: Final[Codec[AppConfig]] = codec(AppConfig)
MESSAGE_TYPE: Final[Codec[MessageType]] = codec(MessageType)
CHANNEL_CONFIG: Final[Codec[ChannelConfig]] = codec(ChannelConfig)
RECIPIENT: Final[Codec[Recipient]] = codec(Recipient)
CONFIG_VERSION: Final[Codec[ConfigVersion]] = codec(ConfigVersion)
CONFIG_CHANGE: Final[Codec[ConfigChange]] = codec(ConfigChange)
HOLD: Final[Codec[Hold]] = codec(Hold)
