"""All configuration at one version, as an immutable value; and how what is sealed in it is opened.

Made by `infra.registry` (read from the log) and by tests; handed to every step that decides. Pure: no thread, no
broker, no clock.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from msgspec import Struct, field, structs

from infra.crypto import Keyring
from schemas.configuration import AppConfig, ChannelConfig, MessageType

T = TypeVar("T")
SIMULATORS: Final = "simulators:"
"""A base URL that begins so stands for the simulated providers, wherever they listen."""


def _empty() -> Mapping[str, T]:
    return MappingProxyType({})


class Snapshot(Struct, frozen=True):
    """All configuration at one version; `at` is when it was applied, UTC milliseconds. Never changes.

    `recipients_end`: the recipients that were applied with it end before that offset of their topic.
    """

    version: int = 0
    at: int = 0
    author: str = ""
    recipients_end: int = 0
    apps: Mapping[str, AppConfig] = field(default_factory=_empty)
    types: Mapping[str, MessageType] = field(default_factory=_empty)
    channels: Mapping[str, ChannelConfig] = field(default_factory=_empty)


EMPTY: Final = Snapshot()


def key_place(app_id: str, key_id: str) -> bytes:
    """What an application's sealed key is bound to."""
    return f"app/{app_id}/{key_id}".encode()


def secrets_place(channel: str) -> bytes:
    """What a channel's sealed secrets are bound to."""
    return f"channel/{channel}".encode()


def open_channel_secrets(keyring: Keyring, config: ChannelConfig) -> dict[str, str]:
    """The channel's secrets in clear; raises Permanent(decode_error) when they were sealed with other keys."""
    if not config.secrets:
        return {}
    opened = keyring.ring("registry").open(config.secrets, secrets_place(config.channel))
    return {str(name): str(value) for name, value in json.loads(opened).items()}


def resolved(config: ChannelConfig, simulators_url: str) -> ChannelConfig:
    """The channel with `simulators:/path` replaced by their address; as it is where that is not known, or not meant."""
    if not config.base_url.startswith(SIMULATORS) or not simulators_url:
        return config
    path = config.base_url.removeprefix(SIMULATORS).lstrip("/")
    return structs.replace(config, base_url=f"{simulators_url.rstrip('/')}/{path}")


def resolve_simulators(snapshot: Snapshot, simulators_url: str) -> Snapshot:
    """The same snapshot, each channel resolved."""
    channels = {name: resolved(config, simulators_url) for name, config in snapshot.channels.items()}
    return structs.replace(snapshot, channels=MappingProxyType(channels))
