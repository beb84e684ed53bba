"""One provider account as one lane of this process may use it: its limits, its breaker, its pause, its quota.

Called by the dispatcher's shift through the outlet, and by whoever chooses among several accounts of a channel. A
breaker that is open, a quota that is used up and a pause that the provider asked for close the account: then nothing
is claimed and nothing called until a moment that is told. Each process has its own; only quotas and idle rate are
known across processes (`sinks.exchange`). Knows nothing of Kafka, and never waits for longer than it is asked to.
"""

import math
from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import Gauge

from infra.clock import Clock
from schemas.errors import Reason
from schemas.records import AccountUse, Event
from schemas.statuses import Stage, Status
from sinks.breaker import Breaker, Sign, State
from sinks.limits import Limiter
from sinks.quota import Quota, day_of

LONGEST_PAUSE_MS: Final = 3_600_000
"""A provider that asks for more is asked again after so long."""
HELD_MS: Final = 10_000
"""What is held is looked at again so often."""
OF_ACCOUNT: Final = frozenset({"channel", "account"})
"""Scopes of a failure that say something about the account."""
STATE: Final = Gauge("medpost_account_state", "1 for the state it is in", ["channel", "provider", "state"])
CALLS: Final = Gauge("medpost_account_calls_today", "Calls of this process today (UTC+8)", ["channel", "provider"])

log = structlog.get_logger("sinks")


class Standing(Struct, frozen=True):
    """Whether calls may begin: how many at once (0: wait), or, where `reason` is set, none before `until_ms`."""

    free: int = 0
    until_ms: int = 0
    reason: Reason | None = None

    @property
    def is_closed(self) -> bool:
        """Nobody should wait."""
        return self.reason is not None


class Pass(Struct, frozen=True):
    """Calls that were let through: each is told of, and given back. `round` is the breaker's."""

    count: int = 0
    round: int = 0


class Account:
    """One provider of one channel."""

    def __init__(self, channel: str, provider: str, limiter: Limiter, clock: Clock, per_day: int = 0) -> None:
        self.channel: Final = channel
        self.provider: Final = provider
        self.limiter: Final = limiter
        self.quota: Final = Quota(per_day, limiter.lane)
        self.is_held: Callable[[], bool] = lambda: False
        """Whether the provider is held by hand."""
        self.is_gone = False
        """The configuration does not name it any more: its last calls end, and it has nothing to tell."""
        self._clock = clock
        self._breaker = Breaker()
        self._paused_until_ms = 0
        self._shown = ""
        limiter.add(self)
        self.look(clock.now_ms())

    # -- asked before a call

    def may_call(self, now_ms: int, patience_ms: int = 0) -> Standing:
        """How it stands; a pause that ends within `patience_ms` does not close it, but lets nothing through."""
        at_ms = self._at_ms()
        if self.is_held():
            return Standing(0, now_ms + HELD_MS, Reason.HELD)
        if wait_ms := self._breaker.wait_ms(at_ms):
            return Standing(0, now_ms + wait_ms, Reason.TRANSIENT)
        pause_ms = self._paused_until_ms - at_ms
        if pause_ms > max(0, patience_ms):
            return Standing(0, now_ms + pause_ms, Reason.RATE_LIMITED)
        if until_ms := self.quota.closed_until_ms(now_ms):
            return Standing(0, until_ms, Reason.QUOTA_EXHAUSTED)
        return Standing(self.limiter.free())

    async def admit(self, wanted: int, until_ms: int, is_stopped: Callable[[], bool]) -> Pass:
        """Wait for 1 to `wanted` calls; a count of 0 when it is `until_ms`, `is_stopped`, or the account is closed."""

        def is_over() -> bool:
            now_ms = self._clock.now_ms()
            return is_stopped() or self.may_call(now_ms, until_ms - now_ms).is_closed

        count = await self.limiter.admit(wanted, until_ms, is_over)
        return Pass(count, self._breaker.round)

    # -- told after it

    def told(self, given: Pass, answer: Event) -> None:
        """A call that was let through ended with that answer; it must still be given back."""
        at_ms, now_ms = self._at_ms(), self._clock.now_ms()
        sign = sign_of(answer)
        if sign is not None:
            self.quota.count(now_ms)
        if answer.reason == Reason.RATE_LIMITED and answer.scope in OF_ACCOUNT and answer.until > answer.at:
            self._paused_until_ms = max(self._paused_until_ms, at_ms + min(answer.until - answer.at, LONGEST_PAUSE_MS))
            self._breaker.let_go(given.round)
        elif sign is not None:
            self._breaker.told(given.round, sign, at_ms)
        self.look(now_ms)

    def give_back(self, given: Pass) -> None:
        """One call of a pass ended, or was not made."""
        self._breaker.let_go(given.round)
        self.limiter.give_back()

    @property
    def state(self) -> State:
        """How it stands, as a word for people."""
        if self._breaker.state is not State.OPEN:
            return self._breaker.state
        if self._paused_until_ms > self._at_ms():
            return State.PAUSED
        return State.USED_UP if self.quota.closed_until_ms(self._clock.now_ms()) else State.OPEN

    def use(self, now_ms: int) -> AccountUse:
        """What this process uses and wants of it since this was asked last; without the process's name."""
        demand = self.limiter.demand()
        return AccountUse(
            channel=self.channel,
            provider=self.provider,
            lane=self.limiter.lane,
            at=now_ms,
            day=day_of(now_ms),
            calls=self.quota.calls(now_ms),
            per_day=self.quota.per_day,
            used_per_s=demand.used_per_s,
            wanted_per_s=demand.wanted_per_s,
            used_slots=demand.used_slots,
            wanted_slots=demand.wanted_slots,
            state=self.state,
            until=self.may_call(now_ms).until_ms,
        )

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self.limiter.in_flight

    # -- one gate of its limiter

    def free(self) -> int:
        """As a gate: what breaker, pause and quota let through."""
        at_ms = self._at_ms()
        if self._paused_until_ms > at_ms:
            return 0
        return min(self._breaker.free(at_ms), self.quota.free(self._clock.now_ms(), self.in_flight))

    def take(self, count: int) -> None:
        """As a gate: so many calls begin."""
        if count:
            self._breaker.begin(self._at_ms())
            self.look(self._clock.now_ms())

    def wait_s(self) -> float:
        """As a gate: a pause ends with time, a probe with its answer."""
        pause_ms = self._paused_until_ms - self._at_ms()
        return pause_ms / 1000 if pause_ms > 0 else 0.0 if self.free() else math.inf

    def _at_ms(self) -> int:
        return round(self._clock.monotonic_s() * 1000)

    def look(self, now_ms: int) -> None:
        """Tell the metrics, and the log when the state is another."""
        CALLS.labels(self.channel, self.provider).set(self.quota.calls(now_ms))
        state = self.state
        if state == self._shown:
            return
        for each in State:
            STATE.labels(self.channel, self.provider, each).set(each is state)
        if self._shown:
            until_ms = self.may_call(now_ms).until_ms
            log.warning("account state", channel=self.channel, provider=self.provider, state=state, until=until_ms)
        self._shown = state


def sign_of(answer: Event) -> Sign | None:
    """What an answer says about the account; None: nothing (the call was not made, or not judged by the provider)."""
    if answer.stage == Stage.UNKNOWN:
        return Sign.SILENT
    if answer.stage != Stage.OUTCOME:
        return None
    if answer.status != Status.FAILED:
        return Sign.WELL
    if answer.scope in OF_ACCOUNT:
        return Sign.REFUSED
    return Sign.WELL if answer.provider_code else None
