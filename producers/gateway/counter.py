"""The gateway's parts in one place: what every operation needs, and what is made anew when the registry changes.

Made once by `role` (or a test). Holds no state of a request.
"""

from msgspec import Struct

from infra.backlog import Backlogs
from infra.clock import Clock
from infra.registry import Registry
from infra.settings import Settings
from infra.snapshot import Snapshot
from producers.gateway.accepting import Desk
from producers.gateway.keys import Gatekeeper, OpenKey
from producers.gateway.library import Library
from producers.gateway.memory import Memory
from producers.gateway.outbox import Outbox
from producers.gateway.quota import Quota
from schemas.configuration import ChannelConfig
from schemas.errors import UnavailableError


class Parts(Struct, frozen=True):
    """What is handed in."""

    settings: Settings
    registry: Registry
    open_key: OpenKey
    outbox: Outbox
    library: Library
    clock: Clock
    backlogs: Backlogs


class Counter:
    """Where requests are answered."""

    def __init__(self, parts: Parts) -> None:
        self.settings = parts.settings
        self.outbox = parts.outbox
        self.library = parts.library
        self.clock = parts.clock
        self.backlogs = parts.backlogs
        self.memory = Memory()
        self.quota = Quota(parts.settings.gateway_rate_per_s, parts.settings.gateway_messages_per_day)
        self._registry = parts.registry
        self._open_key = parts.open_key
        self._snapshot = Snapshot()
        self._gatekeeper = Gatekeeper(self._snapshot, self._open_key)
        self._desk = Desk(self._snapshot, self.settings.namespace)

    def is_ready(self) -> bool:
        """The registry has been read to its end."""
        return self._registry.is_ready

    @property
    def gatekeeper(self) -> Gatekeeper:
        """Who verifies callers, by the newest registry version; raises UnavailableError before there is one."""
        self._renew()
        return self._gatekeeper

    @property
    def desk(self) -> Desk:
        """Who prepares messages, by the newest registry version."""
        self._renew()
        return self._desk

    @property
    def snapshot(self) -> Snapshot:
        """The newest registry version."""
        self._renew()
        return self._snapshot

    def secrets_of(self, account: ChannelConfig) -> dict[str, str]:
        """A channel account's secrets in clear; never log them."""
        return self._registry.channel_secrets(account)

    def _renew(self) -> None:
        snapshot = self._registry.snapshot
        if snapshot is self._snapshot:
            return
        if not self._registry.is_ready:
            raise UnavailableError("the configuration registry has not been read yet", "try again in a moment")
        self._snapshot = snapshot
        self._gatekeeper = Gatekeeper(snapshot, self._open_key)
        self._desk = Desk(snapshot, self.settings.namespace)
