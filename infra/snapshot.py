"""All configuration at one version, as an immutable value; and how what is sealed in it is opened.

Made by `infra.registry` (read from the log) and by tests; handed to every step that decides. Pure: no thread, no
broker, no clock.
"""

import base64
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct, field, structs

from infra.crypto import Keyring, Ring
from schemas.configuration import ENABLED, AppConfig, ChannelConfig, MessageType

T = TypeVar("T")
SIMULATORS: Final = "simulators:"
"""A base URL that begins so stands for the simulated providers, wherever they listen."""
SIMULATED_SMTP: Final = "simulators:smtp"
"""Stands for the simulated mail server, which listens on the port after theirs."""


def _empty() -> Mapping[str, T]:
    return MappingProxyType({})


class Snapshot(Struct, frozen=True):
    """All configuration at one version; `at` is when it was applied, UTC milliseconds. Never changes.

    `recipients_end`: the recipients that were applied with it end before that offset of their topic. `simulated` are
    the channels none of whose providers is a real one, remembered when their addresses are filled in.
    """

    version: int = 0
    at: int = 0
    author: str = ""
    recipients_end: int = 0
    apps: Mapping[str, AppConfig] = field(default_factory=_empty)
    types: Mapping[str, MessageType] = field(default_factory=_empty)
    channels: Mapping[str, ChannelConfig] = field(default_factory=_empty)
    simulated: frozenset[str] = frozenset()


EMPTY: Final = Snapshot()


def key_place(app_id: str, key_id: str) -> bytes:
    """What an application's sealed key is bound to."""
    return f"app/{app_id}/{key_id}".encode()


def sealed_team(app: AppConfig, ring: Ring) -> list[str]:
    """The ids of the team, each sealed, as they stand on the topic: who it is is nobody's business there."""
    place = _team_place(app.app_id)
    return [base64.b64encode(ring.seal(person_id.encode(), place)).decode() for person_id in app.team]


def opened_team(app: AppConfig, ring: Ring) -> list[str]:
    """The reverse of `sealed_team`; raises Permanent(decode_error) when it was sealed with other keys."""
    place = _team_place(app.app_id)
    return [ring.open(base64.b64decode(sealed), place).decode() for sealed in app.team]


def _team_place(app_id: str) -> bytes:
    return f"team/{app_id}".encode()


def secrets_place(channel: str) -> bytes:
    """What a channel's sealed secrets are bound to."""
    return f"channel/{channel}".encode()


def open_channel_secrets(keyring: Keyring, config: ChannelConfig) -> dict[str, str]:
    """The channel's secrets in clear; raises Permanent(decode_error) when they were sealed with other keys."""
    if not config.secrets:
        return {}
    opened = keyring.ring("registry").open(config.secrets, secrets_place(config.channel))
    return {str(name): str(value) for name, value in json.loads(opened).items()}


def accounts_of(config: ChannelConfig) -> tuple[ChannelConfig, ...]:
    """Every provider of a channel as if it were the only one, the first one first; `secrets` stay sealed."""
    alone = structs.replace(config, others=[])
    return (
        alone,
        *(
            structs.replace(
                alone,
                provider=other.provider,
                status=other.status if config.status == ENABLED else config.status,
                base_url=other.base_url,
                rate_per_s=other.rate_per_s,
                max_in_flight=other.max_in_flight,
                timeout_ms=other.timeout_ms,
                settings=other.settings,
                secrets=other.secrets,
                weight=other.weight,
                per_day=other.per_day,
            )
            for other in config.others
        ),
    )


def resolved(config: ChannelConfig, simulators_url: str) -> ChannelConfig:
    """The channel with `simulators:/path` replaced by their address; as it is where that is not known, or not meant."""
    if not simulators_url:
        return config
    others = [structs.replace(other, base_url=resolved_url(other.base_url, simulators_url)) for other in config.others]
    return structs.replace(config, base_url=resolved_url(config.base_url, simulators_url), others=others)


def resolved_url(base_url: str, simulators_url: str) -> str:
    """A base URL as it can be called, the simulated providers being at that address."""
    if base_url == SIMULATED_SMTP:
        url = urlsplit(simulators_url)
        return f"smtp://{url.hostname}:{(url.port or 80) + 1}"
    if not base_url.startswith(SIMULATORS):
        return base_url
    return f"{simulators_url.rstrip('/')}/{base_url.removeprefix(SIMULATORS).lstrip('/')}"


def resolve_simulators(snapshot: Snapshot, simulators_url: str) -> Snapshot:
    """The same snapshot, each channel resolved."""
    channels = {name: resolved(config, simulators_url) for name, config in snapshot.channels.items()}
    simulated = frozenset(name for name, config in snapshot.channels.items() if is_simulated(config))
    return structs.replace(snapshot, channels=MappingProxyType(channels), simulated=simulated)


def is_simulated(config: ChannelConfig) -> bool:
    """Whether none of the channel's providers is a real one, as the registry's files say (before `resolved`)."""
    return all(account.base_url.startswith(SIMULATORS) for account in accounts_of(config))
