"""The form of registry files: what may stand in them, and how it becomes a record of the registry.

Called by `infra.registry_files`, which knows files and lines. Every model refuses unknown members; durations carry
their unit as text (`30s`), so that a wrong unit cannot pass for a number. What one object says about another
is checked in `infra.registry_rules`.
"""

import json
import os
import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from infra.token_keys import SHARED, usable_key
from schemas import configuration as records
from schemas.errors import Permanent
from schemas.limits import NAME
from schemas.topics import DAY_MS

UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
MAX_LIFE_MS: Final = 400 * DAY_MS
_DURATION: Final = re.compile(r"([1-9][0-9]*)(ms|s|m|h|d)")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def wrong(text: str) -> PydanticCustomError:
    """A refusal with our own words."""
    return PydanticCustomError("medpost", "{text}", {"text": text})


def duration_ms(value: object) -> int:
    """`500ms`, `30s`, `5m`, `24h` or `3d` as milliseconds; a number without unit is refused."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong("时长须带单位，例如 500ms、30s、10m、24h、3d")
    return int(match[1]) * UNITS_MS[match[2]]


def _quoted(value: object) -> object:
    """YAML reads 01 as a number and `on` as a truth: a text that became something else is named, not guessed."""
    if isinstance(value, str) or value is None:
        return value
    raise wrong("须为文本：请加引号")


def minute_of_day(value: object) -> int:
    """`07:30` as minutes since midnight."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong('时刻须为加引号的 "HH:MM"，例如 "07:30"')
    return int(match[1]) * 60 + int(match[2])


def quiet_hours(value: object) -> tuple[int, int]:
    """`21:00-07:00` as two minutes of the day; they may run over midnight."""
    parts = value.split("-") if isinstance(value, str) else []
    if len(parts) != 2 or not all(map(_CLOCK.fullmatch, parts)) or parts[0] == parts[1]:
        raise wrong('免打扰时段须为加引号的 "HH:MM-HH:MM"，首尾不同，例如 "21:00-07:00"')
    return minute_of_day(parts[0]), minute_of_day(parts[1])


Duration = Annotated[int, BeforeValidator(duration_ms), Field(le=MAX_LIFE_MS)]
Minute = Annotated[int, BeforeValidator(minute_of_day)]
QuietHours = Annotated[tuple[int, int], BeforeValidator(quiet_hours)]
Text = Annotated[str, BeforeValidator(_quoted)]
Name = Annotated[Text, StringConstraints(pattern=f"^{NAME.pattern}$")]
ChannelName = Annotated[Text, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
Variable = Annotated[Text, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
Status = Literal["enabled", "disabled"]
Level = Literal["accepted", "delivered", "read", "acknowledged"]


class Form(BaseModel):
    """Base of every form."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyForm(Form):
    """A key of an application: its secret, or the environment variable that holds it, or a public key."""

    id: Name
    algorithm: Literal["HS256", "RS256", "ES256", "EdDSA"] = "HS256"
    kind: Literal["live", "test", "team"] = "live"
    status: Status = "enabled"
    secret: Text | None = None
    secret_env: Text | None = None
    public_key: Text | None = None

    @model_validator(mode="after")
    def _has_usable_material(self) -> "KeyForm":
        try:
            usable_key(self.algorithm, self.material())
        except Permanent as problem:
            raise wrong(f"密钥 {self.id} 不可用：{problem.detail}") from None
        return self

    def material(self) -> bytes:
        """The secret or public key, in clear."""
        given = [name for name in ("secret", "secret_env", "public_key") if getattr(self, name)]
        allowed = ("secret", "secret_env") if self.algorithm == SHARED else ("public_key",)
        if len(given) != 1 or given[0] not in allowed:
            raise wrong(f"密钥 {self.id}：{self.algorithm} 须且只须给出 {' 或 '.join(allowed)}")
        value: str = getattr(self, given[0])
        if self.secret_env:
            value = os.environ.get(value, "")
            if not value:
                raise wrong(f"环境变量 {self.secret_env} 未设置")
        return value.encode()


class GrantsForm(Form):
    """What an application may do; `*` grants everything of a list."""

    types: list[Text] = []
    channels: list[Text] = []
    contact: bool = False


class KafkaForm(Form):
    """What Kafka allows the application's user, on each broker, where the broker knows its users."""

    user: Annotated[Text, StringConstraints(min_length=1, max_length=256)] | None = None
    messages_per_s: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False, strict=True)] | None = None
    consumer_bytes_per_s: Annotated[int, Field(ge=1, le=1 << 40, strict=True)] | None = None
    request_percent: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False, strict=True)] | None = None


class HttpForm(Form):
    """What each HTTP gateway takes from the application; left out, what the gateway is set to."""

    requests_per_s: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False, strict=True)] | None = None
    messages_per_day: Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)] | None = None


class AppForm(Form):
    """A sending system; `team` are the ids of the recipients that its keys of kind team reach."""

    id: Name
    name: Text
    status: Status = "enabled"
    keys: Annotated[list[KeyForm], Field(min_length=1)]
    grants: GrantsForm
    team: Annotated[list[Text], Field(max_length=200)] = []
    kafka: KafkaForm = KafkaForm()
    http: HttpForm = HttpForm()

    @model_validator(mode="after")
    def _has_a_team_for_its_team_keys(self) -> "AppForm":
        if not self.team and any(key.kind == records.TEAM for key in self.keys):
            raise wrong("有 kind: team 的密钥，须在 team 中列出它可以发给的收件人（recipients 的 id）")
        return self

    def record(self) -> records.AppConfig:
        """The record, its keys in clear: they are sealed when it is written."""
        keys = [records.AppKey(key.id, key.algorithm, key.kind, key.status, key.material()) for key in self.keys]
        grants = self.grants
        return records.AppConfig(
            app_id=self.id,
            name=self.name,
            status=self.status,
            keys=keys,
            types=list(grants.types),
            channels=list(grants.channels),
            contact=grants.contact,
            team=list(self.team),
            kafka_user=self.kafka.user or "",
            messages_per_s=self.kafka.messages_per_s or 0.0,
            consumer_bytes_per_s=self.kafka.consumer_bytes_per_s or 0,
            request_percent=self.kafka.request_percent or 0.0,
            http_requests_per_s=self.http.requests_per_s or 0.0,
            http_messages_per_day=self.http.messages_per_day or 0,
        )


class ParameterForm(Form):
    """A value that messages of the type carry."""

    name: Variable
    required: bool = True
    max_chars: Annotated[int, Field(ge=1, le=2_000, strict=True)] = 64


class TemplateForm(Form):
    """What a channel says; `text` is what a person reads, also where the vendor renders."""

    version: Annotated[int, Field(ge=1, strict=True)]
    kind: Literal["template", "text", "rich"] = "template"
    title: Text = ""
    text: Text
    url: Text = ""
    template_code: Text = ""
    signature: Text = ""
    parameters: dict[Variable, Text] = {}
    max_chars: Annotated[int, Field(ge=1, le=20_000, strict=True)] = 1_000

    def texts(self) -> dict[str, str]:
        """Every text with variables, by its place in the form."""
        return {
            "title": self.title,
            "text": self.text,
            "url": self.url,
            **{f"parameters.{name}": text for name, text in self.parameters.items()},
        }


class TypeChannelForm(Form):
    """A channel in a type's policy."""

    channel: ChannelName
    weight: Share
    success: Level = "accepted"
    timeout: Duration
    template: TemplateForm | None = None

    def record(self) -> records.TypeChannel:
        """The record."""
        template = None if self.template is None else records.Template(**self.template.model_dump())
        return records.TypeChannel(self.channel, self.weight, self.success, self.timeout, template)


class RepeatForm(Form):
    """How often a message of a type is sent in all, and after how many days again."""

    every_days: Annotated[int, Field(ge=1, le=180, strict=True)]
    times: Annotated[int, Field(ge=2, le=60, strict=True)]


class TypeForm(Form):
    """A kind of message. Times of day are Beijing's; without `quiet` and `send_times` it goes out at any hour."""

    id: Name
    name: Text
    status: Status = "enabled"
    lane: Literal["urgent", "normal", "bulk"]
    threshold: Share
    expires: Duration
    expires_at_most: Duration
    on_unknown: Literal["again", "query", "fall_back", "leave"] = "leave"
    on_channel_down: Literal["wait", "fall_back"] = "wait"
    free_text: bool = False
    tries: Annotated[int, Field(ge=1, le=20, strict=True)] | None = None
    quiet: QuietHours | None = None
    send_times: Annotated[list[Minute], Field(max_length=48)] = []
    repeat: RepeatForm | None = None
    fallbacks_per_hour: Annotated[int, Field(ge=1, strict=True)] | None = None
    parameters: list[ParameterForm] = []
    channels: Annotated[list[TypeChannelForm], Field(min_length=1)]

    @field_validator("expires_at_most")
    @classmethod
    def _covers_the_default(cls, value: int, info: Any) -> int:
        if value < info.data.get("expires", 0):
            raise wrong("expires_at_most 不得短于 expires")
        return value

    def record(self) -> records.MessageType:
        """The record."""
        quiet_from, quiet_until = self.quiet or (0, 0)
        return records.MessageType(
            type=self.id,
            name=self.name,
            status=self.status,
            lane=self.lane,
            threshold=self.threshold,
            expiry_ms=self.expires,
            max_expiry_ms=self.expires_at_most,
            on_unknown=self.on_unknown,
            on_channel_down=self.on_channel_down,
            free_text=self.free_text,
            parameters=[records.Parameter(entry.name, entry.required, entry.max_chars) for entry in self.parameters],
            channels=[entry.record() for entry in self.channels],
            tries=self.tries or 0,
            quiet_from=quiet_from,
            quiet_until=quiet_until,
            send_times=sorted(self.send_times),
            fallbacks_per_hour=self.fallbacks_per_hour or 0,
            repeat_days=self.repeat.every_days if self.repeat else 0,
            repeat_times=self.repeat.times if self.repeat else 0,
        )


class ProviderForm(Form):
    """One provider's account: where it is, how fast it may be called, how much of the channel's messages it gets."""

    provider: Annotated[Text, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
    status: Status = "enabled"
    weight: Annotated[float, Field(ge=0, le=1_000, strict=True, allow_inf_nan=False)] = 1.0
    base_url: Annotated[
        Text, StringConstraints(pattern=r"^(https?://\S+|smtps?://\S+|simulators:/\S*|simulators:smtp)$")
    ]
    rate_per_s: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False, strict=True)]
    max_in_flight: Annotated[int, Field(ge=1, le=10_000, strict=True)]
    per_day: Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)] = 0
    timeout: Annotated[Duration, Field(le=60_000)]
    settings: dict[Text, Text] = {}
    secrets: dict[Text, Text] = {}

    def sealable(self) -> bytes:
        """The secrets as a JSON map in clear, sealed when they are written; empty without any."""
        return json.dumps(self.secrets, sort_keys=True).encode() if self.secrets else b""

    def account(self) -> records.ProviderAccount:
        """The record of a further provider."""
        return records.ProviderAccount(
            provider=self.provider,
            status=self.status,
            weight=self.weight,
            base_url=self.base_url,
            rate_per_s=self.rate_per_s,
            max_in_flight=self.max_in_flight,
            per_day=self.per_day,
            timeout_ms=self.timeout,
            settings=dict(self.settings),
            secrets=self.sealable(),
        )


class ChannelForm(ProviderForm):
    """A way out: its first provider, and others that share its messages or stand by."""

    id: ChannelName
    success_levels: Annotated[list[Level], Field(min_length=1)]
    others: list[ProviderForm] = []

    def record(self) -> records.ChannelConfig:
        """The record, its secrets in clear: they are sealed when it is written."""
        return records.ChannelConfig(
            channel=self.id,
            provider=self.provider,
            status=self.status,
            base_url=self.base_url,
            rate_per_s=self.rate_per_s,
            max_in_flight=self.max_in_flight,
            timeout_ms=self.timeout,
            settings=dict(self.settings),
            secrets=self.sealable(),
            success_levels=list(self.success_levels),
            weight=self.weight,
            per_day=self.per_day,
            others=[other.account() for other in self.others],
        )

    def alone(self) -> "list[ChannelForm]":
        """The channel as if each of its providers were the only one, the first one first."""
        mine = set(ProviderForm.model_fields)
        return [
            self.model_copy(update={**{name: getattr(one, name) for name in mine}, "others": []})
            for one in (self, *self.others)
        ]


class AddressForm(Form):
    """An address that must not be used at present, and why."""

    value: Text
    status: Literal["active", "opted_out", "invalid"]


class RecipientForm(Form):
    """A person: identifiers by type, addresses by channel."""

    id: Annotated[Text, StringConstraints(min_length=1, max_length=64)]
    identities: Annotated[
        dict[Name, Annotated[Text, StringConstraints(min_length=1, max_length=128)]], Field(min_length=1)
    ]
    addresses: dict[ChannelName, Text | AddressForm] = {}

    def record(self) -> records.Recipient:
        """The record, in clear."""
        return records.Recipient(
            self.id,
            [records.Identity(id_type, id_value) for id_type, id_value in self.identities.items()],
            [
                records.Address(channel, given.value, given.status)
                if isinstance(given, AddressForm)
                else records.Address(channel, given)
                for channel, given in self.addresses.items()
            ],
        )


FORMS: Final[dict[str, type[Form]]] = {
    "apps": AppForm,
    "types": TypeForm,
    "channels": ChannelForm,
    "recipients": RecipientForm,
}
"""What may stand at the top of a file, each a list."""
