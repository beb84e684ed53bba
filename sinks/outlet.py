"""The ways out of one channel in this process: its providers as configured now, their connections, their limits.

Called by the dispatcher before each claim. A change in the registry takes effect with the next delivery; calls under
way end on the connections they began with. Knows nothing of Kafka.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct

from infra import crypto
from infra.clock import Clock
from infra.crypto import Ring
from infra.registry import Snapshot
from infra.snapshot import accounts_of
from schemas.codec import CONTENT
from schemas.configuration import ENABLED, ChannelConfig
from schemas.errors import Permanent, UnavailableError
from schemas.records import Delivery, Event
from schemas.statuses import Lane
from sinks.account import Account, Standing, sign_of
from sinks.breaker import Sign, State
from sinks.catalogue import Catalogue
from sinks.channel import Accepted, Caller, Channel
from sinks.claim import last_call_ms
from sinks.limits import Limiter
from sinks.providers import Ended, Providers

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


class Share(Struct, frozen=True):
    """Who carries what; where nobody may be called, `closed` says until when, and by whom first."""

    groups: tuple[tuple[Outlet, list[Delivery]], ...] = ()
    closed: Standing | None = None


class Outlets:
    """The ways out of one channel and lane: one per provider, made anew when its configuration changes."""

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
        self._open: tuple[Outlet, ...] = ()
        self._providers = Providers(channel)
        self._closing: set[asyncio.Task[None]] = set()
        self.on_account: Callable[[Account], None] = lambda _: None
        """Told of every account that is made, before it is used."""

    def current(self) -> tuple[Outlet, ...]:
        """The outlets; none while the channel is disabled or its configuration is wrong (told once in the log).

        Raises UnavailableError before the registry has been read.
        """
        if not self._source.is_ready:
            raise UnavailableError("the configuration registry has not been read yet", "run `medpost registry apply`")
        config = self._source.snapshot.channels.get(self._name)
        if config is not self._config and config != self._config:
            self._replace(config)
        self._config = config
        return self._open

    @property
    def provider(self) -> str:
        """The configured provider; "" when there is none, or several."""
        return self._config.provider if self._config is not None and not self._config.others else ""

    def share(self, waiting: Sequence[Delivery]) -> Share:
        """Who carries each of these (not empty). Who is closed carries nothing, who is probed carries one.

        A provider that wants a pause, shorter than these may wait, counts as closed while another one is open.
        """
        now_ms = self._clock.now_ms()
        patience_ms = max(0, min(map(last_call_ms, waiting)) - now_ms)
        able = self._able(now_ms, 0) or self._able(now_ms, patience_ms)
        closed = {outlet.config.provider for outlet in self._open} - able.keys()
        self._providers.look(round(self._clock.monotonic_s() * 1000), closed)
        if not able:
            standings = [outlet.account.may_call(now_ms) for outlet in self._open]
            return Share(closed=min(standings, key=lambda standing: standing.until_ms))
        groups: dict[str, list[Delivery]] = {name: [] for name in able}
        for one in waiting:
            name = self._providers.choose(one.message_id, able, one.avoid)
            groups[name].append(one)
            if len(able) > 1 and groups[name] and able[name].account.state is not State.OPEN:
                able = {other: outlet for other, outlet in able.items() if other != name}
        by_name = {outlet.config.provider: outlet for outlet in self._open}
        return Share(tuple((by_name[name], group) for name, group in groups.items() if group))

    def _able(self, now_ms: int, patience_ms: int) -> dict[str, Outlet]:
        return {
            outlet.config.provider: outlet
            for outlet in self._open
            if not outlet.account.may_call(now_ms, patience_ms).is_closed
        }

    def told(self, outlet: Outlet, answer: Event, took_ms: int) -> None:
        """A call ended with that answer, after so long: the shares follow."""
        sign = sign_of(answer)
        if sign is not None:
            ended = Ended(round(self._clock.monotonic_s() * 1000), took_ms, sign is not Sign.WELL)
            self._providers.told(outlet.config.provider, ended)

    def resize(self, fraction: float) -> None:
        """This process owns that fraction of the lane's partitions."""
        self._fraction = fraction
        for outlet in self._open if fraction > 0 else ():
            outlet.account.limiter.resize(fraction)

    def _replace(self, config: ChannelConfig | None) -> None:
        """Open what is new, keep what is the same, close what is not there any more."""
        before = self._open
        wanted = accounts_of(config) if config is not None and config.status == ENABLED else ()
        self._open = tuple(filter(None, (self._opened(account, before) for account in wanted)))
        for outlet in before:
            if outlet not in self._open:
                outlet.account.is_gone = True
                task = asyncio.get_running_loop().create_task(_close_when_idle(outlet))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        if not wanted:
            log.warning("channel is off", channel=self._name)
        self._providers.offer({outlet.config.provider: outlet.config.weight for outlet in self._open})
        self.resize(self._fraction)

    def _opened(self, account: ChannelConfig, before: tuple[Outlet, ...]) -> Outlet | None:
        """The outlet of one provider; None while it is off or wrong."""
        if account.status != ENABLED:
            return None
        kept = next((outlet for outlet in before if outlet.config == account), None)
        if kept is not None:
            return kept
        try:
            made = self._made(account)
        except Permanent as problem:
            log.error(  # noqa: TRY400 - one clear line, no traceback
                "provider cannot be used",
                channel=self._name, provider=account.provider, reason=problem.reason, detail=problem.detail,
            )  # fmt: skip
            return None
        log.info("channel is open", channel=self._name, provider=account.provider)
        return made

    def _made(self, config: ChannelConfig) -> Outlet:
        ceiling = self._catalogue.find(config.channel, config.provider).capability
        rate_per_s = min(config.rate_per_s or ceiling.rate_per_s, ceiling.rate_per_s)
        max_in_flight = min(config.max_in_flight or ceiling.max_in_flight, ceiling.max_in_flight)
        limiter = Limiter(rate_per_s, max_in_flight, self._lane, self._clock)
        caller = Caller(config.timeout_ms or TIMEOUT_MS, max_in_flight, self._clock)
        channel = self._catalogue.build(config, self._source.channel_secrets(config), caller)
        account = Account(config.channel, config.provider, limiter, self._clock, config.per_day)
        self.on_account(account)
        return Outlet(config, channel, caller, account, self._ring)


async def _close_when_idle(outlet: Outlet) -> None:
    while outlet.account.in_flight:  # noqa: ASYNC110 - nobody waits for this, and it may take its time
        await asyncio.sleep(LINGER_S)
    await outlet.caller.close()
