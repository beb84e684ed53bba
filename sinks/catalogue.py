"""The channels that exist: found by their file names, built from the registry's configuration.

Called by the sink agent at start and when a channel's configuration changes, and by whoever wants to check a
configuration before it is applied. Never imports a channel by name: a new file is enough.
"""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from msgspec import Struct
from pydantic import ValidationError

from schemas.configuration import ChannelConfig
from schemas.errors import Permanent, Reason
from sinks import codebook
from sinks.channel import Calls, Capability, Channel, ProviderSettings, channel_files
from sinks.codebook import Codebook

PACKAGE: Final = "sinks.channels"


class Entry(Struct, frozen=True):
    """One provider of one channel: its class and its codes."""

    channel: str
    provider: str
    kind: type[Channel[Any]]
    codebook: Codebook

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self.kind.capability


class Catalogue:
    """Every provider, by channel and provider name."""

    def __init__(self, entries: Mapping[tuple[str, str], Entry]) -> None:
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def find(self, channel: str, provider: str) -> Entry:
        """The entry; raises Permanent(config_missing) naming what there is instead."""
        found = self._entries.get((channel, provider))
        if found is None:
            known = ", ".join(sorted(entry.provider for entry in self._entries.values() if entry.channel == channel))
            raise Permanent(
                Reason.CONFIG_MISSING, f"channel {channel}: no provider {provider!r} (known: {known or 'none'})"
            )
        return found

    def build(self, config: ChannelConfig, secrets: Mapping[str, str], calls: Calls) -> Channel[Any]:
        """The channel of a configuration; raises Permanent(config_missing) naming the setting that is wrong."""
        entry = self.find(config.channel, config.provider)
        return entry.kind(self._settings_of(entry, config, secrets), entry.codebook, calls)

    def check(self, config: ChannelConfig, secrets: Mapping[str, str]) -> Capability:
        """What the configured provider can do; raises what `build` would raise, and for levels that it cannot prove."""
        entry = self.find(config.channel, config.provider)
        settings = self._settings_of(entry, config, secrets)
        proved = getattr(settings, "levels", entry.capability.levels)
        missing = [level for level in config.success_levels if level not in proved]
        if missing:
            where = f"channel {config.channel} ({config.provider})"
            raise Permanent(
                Reason.CONFIG_MISSING, f"{where}: {', '.join(missing)} needs receipts: give receipt_token, or pull: on"
            )
        return entry.capability

    def _settings_of(self, entry: Entry, config: ChannelConfig, secrets: Mapping[str, str]) -> ProviderSettings:
        given = {**config.settings, **secrets, "base_url": config.base_url}
        try:
            return entry.kind.settings_type.model_validate(given)
        except ValidationError as problem:
            raise BadSettingError(config, problem) from None


class BadSettingError(Permanent):
    """A setting that is wrong, by its name; never shows its value."""

    def __init__(self, config: ChannelConfig, problem: ValidationError) -> None:
        first = problem.errors(include_input=False, include_url=False)[0]
        self.setting = ".".join(str(part) for part in first["loc"])
        where = f"channel {config.channel} ({config.provider})"
        super().__init__(Reason.CONFIG_MISSING, f"{where}: setting {self.setting}: {first['msg']}")


def channel_class(module: ModuleType) -> type[Channel[Any]]:
    """The one channel that a provider's file defines; raises ValueError when there is none, or more."""
    own = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Channel) and kind.__module__ == module.__name__ and not inspect.isabstract(kind)
    ]
    if len(own) != 1:
        raise ValueError(f"{module.__name__}: defines {len(own)} channels, needs exactly one")
    return own[0]


def discover() -> Catalogue:
    """Every provider file, imported, with its codes; raises ValueError for a file that does not fit."""
    entries: dict[tuple[str, str], Entry] = {}
    for name in channel_files():
        channel, provider = name.split("_")
        kind = channel_class(importlib.import_module(f"{PACKAGE}.{name}"))
        entries[channel, provider] = Entry(channel, provider, kind, codebook.load_for(channel, provider))
    return Catalogue(entries)
