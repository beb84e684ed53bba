"""The form of registry files: what may stand in them, and how it becomes a record of the registry.

Called by `infra.registry_files`, which knows files and lines. Every model refuses unknown members. Applications are in
`registry_apps`; what one object says about another is checked in `infra.registry_rules`.
"""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator

from infra.registry_apps import AppForm
from infra.registry_values import (
    ChannelName,
    Duration,
    Form,
    Level,
    Minute,
    Name,
    QuietHours,
    Share,
    Status,
    Text,
    Variable,
    wrong,
)
from schemas import configuration as records


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
    parameters: dict[Variable, Text] = Field(default_factory=dict)
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
    send_times: Annotated[list[Minute], Field(max_length=48)] = Field(default_factory=list)
    repeat: RepeatForm | None = None
    fallbacks_per_hour: Annotated[int, Field(ge=1, strict=True)] | None = None
    parameters: list[ParameterForm] = Field(default_factory=list)
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
    settings: dict[Text, Text] = Field(default_factory=dict)
    secrets: dict[Text, Text] = Field(default_factory=dict)

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
    others: list[ProviderForm] = Field(default_factory=list)

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
    addresses: dict[ChannelName, Text | AddressForm] = Field(default_factory=dict)

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
