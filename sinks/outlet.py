"""The way out of one channel in this process: the channel as configured now, its connections, its limits.

Called by the dispatcher before each claim. A change in the registry takes effect with the next delivery; calls under
way end on the connections they began with. Knows nothing of Kafka.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct

from infra import crypto
from infra.clock import Clock
from infra.crypto import Ring
from infra.registry import Snapshot
from schemas.codec import CONTENT
from schemas.configuration import ENABLED, ChannelConfig
from schemas.errors import Permanent, UnavailableError
from schemas.records import Delivery
from schemas.statuses import Lane
from sinks.account import Account
from sinks.catalogue import Catalogue
from sinks.channel import Accepted, Caller, Channel
from sinks.limits import Limiter

TIMEOUT_MS: Final = 10_000
"""Of a call, where the registry names none."""
LINGER_S: Final = 1.0
"""How often a replaced outlet is asked whether its last call has ended."""

log = structlog.get_logger("sinks")


class Source(Protocol):
    """The registry, as far as an outlet needs it."""

    @property
    def is_ready(self) -> bool: ...  # noqa: D102 - see Registry
    @property
    def snapshot(self) -> Snapshot: ...  # noqa: D102
    def channel_secrets(self, config: ChannelConfig) -> Mapping[str, str]: ...  # noqa: D102


class Outlet(Struct, frozen=True, eq=False):
    """One configuration of one channel, ready to send."""

    config: ChannelConfig
    channel: Channel[Any]
    caller: Caller
    account: Account
    ring: Ring

    async def send(self, delivery: Delivery) -> Accepted:
        """Open what is sealed and call the provider once. Raises as `Channel.send`, and Permanent(decode_error)."""
        place = crypto.part_place(delivery.message_id, delivery.channel)
        content = CONTENT.decode(self.ring.open(delivery.sealed, place))
        return await self.channel.send(delivery, content)


class Outlets:
    """The current outlet of one channel and lane; made anew when the configuration changes."""

    def __init__(
        self, channel: str, lane: Lane, catalogue: Catalogue, source: Source, ring: Ring, clock: Clock
    ) -> None:
        self._name = channel
        self._lane = lane
        self._catalogue = catalogue
        self._source = source
        self._ring = ring
        self._clock = clock
        self._fraction = 1.0
        self._config: ChannelConfig | None = None
        self._outlet: Outlet | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def current(self) -> Outlet | None:
        """The outlet, or None while the channel is disabled or its configuration is wrong (told once in the log).

        Raises UnavailableError before the registry has been read.
        """
        if not self._source.is_ready:
            raise UnavailableError("the configuration registry has not been read yet", "run `medpost registry apply`")
        config = self._source.snapshot.channels.get(self._name)
        if config is not self._config and config != self._config:
            self._replace(config)
        self._config = config
        return self._outlet

    @property
    def provider(self) -> str:
        """The configured provider; "" when there is none."""
        return self._config.provider if self._config is not None else ""

    def resize(self, fraction: float) -> None:
        """This process owns that fraction of the lane's partitions."""
        self._fraction = fraction
        if self._outlet is not None and fraction > 0:
            self._outlet.account.limiter.resize(fraction)

    def _replace(self, config: ChannelConfig | None) -> None:
        if self._outlet is not None:
            task = asyncio.get_running_loop().create_task(_close_when_idle(self._outlet))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._outlet = None
        if config is None or config.status != ENABLED:
            log.warning("channel is off", channel=self._name)
            return
        try:
            self._outlet = self._made(config)
        except Permanent as problem:
            log.error("channel cannot be used", channel=self._name, reason=problem.reason, detail=problem.detail)  # noqa: TRY400 - one clear line, no traceback
            return
        self.resize(self._fraction)
        log.info("channel is open", channel=self._name, provider=config.provider)

    def _made(self, config: ChannelConfig) -> Outlet:
        ceiling = self._catalogue.find(config.channel, config.provider).capability
        rate_per_s = min(config.rate_per_s or ceiling.rate_per_s, ceiling.rate_per_s)
        max_in_flight = min(config.max_in_flight or ceiling.max_in_flight, ceiling.max_in_flight)
        limiter = Limiter(rate_per_s, max_in_flight, self._lane, self._clock)
        caller = Caller(config.timeout_ms or TIMEOUT_MS, max_in_flight, self._clock)
        channel = self._catalogue.build(config, self._source.channel_secrets(config), caller)
        account = Account(config.channel, config.provider, limiter, self._clock)
        return Outlet(config, channel, caller, account, self._ring)


async def _close_when_idle(outlet: Outlet) -> None:
    while outlet.account.in_flight:  # noqa: ASYNC110 - nobody waits for this, and it may take its time
        await asyncio.sleep(LINGER_S)
    await outlet.caller.close()
