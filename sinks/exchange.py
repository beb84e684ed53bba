"""What the sink processes tell each other of the accounts that they share, once a second: use, demand, calls of today.

Called by the sink agents' timer. There is no central counter: each process writes one small record per account to the
compacted topic `stats.accounts` and reads everybody's. From that every account's limiter is told how much of the other
lanes' idle rate it may borrow, and its quota how much is left. `medpost status` reads the same topic. Decides nothing
about a delivery; until the topic has been read once, nothing is lent, and quotas let nothing out.

A process that has not been heard of for FRESH_S counts as idle: it is gone, or the broker is, and without the broker
nothing can be claimed. The counts of its day stay.
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Struct, structs

from infra.clock import Clock
from infra.kafka import LogRecord
from schemas.codec import Codec, codec
from schemas.errors import Permanent
from schemas.records import AccountUse
from schemas.statuses import LANES, Lane
from sinks.account import Account
from sinks.limits import loans
from sinks.quota import day_of

EVERY_S: Final = 1.0
FRESH_S: Final = 3.0
QUIET_S: Final = 10.0
"""A process with nothing to tell says so at least so often."""
KEPT_DAYS: Final = 2
"""Counts older than that are removed."""
USE: Final[Codec[AccountUse]] = codec(AccountUse)

Send: TypeAlias = Callable[[bytes, bytes | None], None]
"""Publishes a value (None: remove) under a key; must not block or raise."""


class Heard(Struct, frozen=True):
    """What one process told of one account, and when it was heard (never, if it was read while catching up)."""

    use: AccountUse
    at_s: float


class Exchange:
    """One process's side of it; `worker` names the process and must never have been used before."""

    def __init__(self, worker: str, clock: Clock, send: Send, is_ready: Callable[[], bool]) -> None:
        self._worker = worker
        self._clock = clock
        self._send = send
        self._is_ready = is_ready
        self._heard: dict[bytes, Heard] = {}
        self._accounts: dict[tuple[str, str], Account] = {}
        self._told: dict[bytes, Heard] = {}

    def join(self, account: Account) -> None:
        """This account takes part from now on, in the place of the one of the same name (its calls of today stay)."""
        place = (account.channel, account.provider)
        before = self._accounts.get(place)
        if before is not None and before is not account:
            now_ms = self._clock.now_ms()
            account.quota.count(now_ms, before.quota.calls(now_ms))
        self._accounts[place] = account

    def lay(self, record: LogRecord) -> None:
        """Lay one record over what was heard; called by the follower's thread."""
        key = record.key or b""
        if record.value is None:
            self._heard.pop(key, None)
            return
        try:
            use = USE.decode(record.value)
        except Permanent:
            return  # a later release's: it knows more than we do, and nothing of ours depends on it
        if use.worker != self._worker:
            self._heard[key] = Heard(use, self._clock.monotonic_s() if self._is_ready() else -math.inf)

    def tick(self) -> None:
        """Tell what is used and wanted, and take from what the others told."""
        now_ms = self._clock.now_ms()
        for account in self._accounts.values():
            if account.is_gone:
                continue  # kept, for should it come back today
            account.look(now_ms)
            mine = structs.replace(account.use(now_ms), worker=self._worker)
            self._tell(mine)
            if self._is_ready():
                self._learn(account, mine, now_ms)
        self._clear(day_of(now_ms) - KEPT_DAYS)

    def _tell(self, mine: AccountUse) -> None:
        key = f"{mine.channel}/{mine.provider}/{mine.lane}/{mine.worker}".encode()
        now_s = self._clock.monotonic_s()
        before = self._told.get(key)
        is_news = before is None or structs.replace(before.use, at=mine.at) != mine or before.at_s + QUIET_S <= now_s
        if is_news or mine.wanted_per_s or mine.wanted_slots:
            self._told[key] = Heard(mine, now_s)
            self._send(key, USE.encode(mine))

    def _learn(self, account: Account, mine: AccountUse, now_ms: int) -> None:
        limiter, lane = account.limiter, account.limiter.lane
        theirs = [each for each in list(self._heard.values()) if _is_of(each.use, account)]
        rates: dict[Lane, float] = {**dict.fromkeys(LANES, 0.0), lane: mine.wanted_per_s}
        slots: dict[Lane, float] = {**dict.fromkeys(LANES, 0.0), lane: mine.wanted_slots}
        calls: Counter[Lane] = Counter()
        oldest_s = self._clock.monotonic_s() - FRESH_S
        for heard in theirs:
            use, of_lane = heard.use, Lane(heard.use.lane)
            if heard.at_s > oldest_s:
                rates[of_lane] += use.wanted_per_s
                slots[of_lane] += use.wanted_slots
            if use.day == mine.day:
                calls[of_lane] += use.calls
        rate = loans(limiter.rate_per_s, rates)[lane] * limiter.fraction
        limiter.lend(rate, math.floor(loans(limiter.max_in_flight, slots)[lane] * limiter.fraction))
        account.quota.learn(now_ms, calls, limiter.fraction)

    def _clear(self, before_day: int) -> None:
        for key, heard in list(self._heard.items()):
            if heard.use.day <= before_day:
                self._heard.pop(key, None)
                self._send(key, None)


def _is_of(use: AccountUse, account: Account) -> bool:
    return (use.channel, use.provider) == (account.channel, account.provider)
