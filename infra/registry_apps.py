"""The form of a sending system in registry files: its keys, what it may do, and how much of it.

Used by `infra.registry_forms`. Public keys and secrets are tried out as they are read; an environment variable that is
named has to be set.
"""

import os
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from infra.registry_values import Form, Name, Status, Text, wrong
from infra.token_keys import SHARED, usable_key
from schemas import configuration as records
from schemas.errors import Permanent


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

    types: list[Text] = Field(default_factory=list)
    channels: list[Text] = Field(default_factory=list)
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
    team: Annotated[list[Text], Field(max_length=200)] = Field(default_factory=list)
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
