"""What processes tell each other: idle rate is lent and given back, quotas are common, restarts forget nothing."""

import pytest

from infra.clock import HandClock
from infra.kafka import LogRecord
from schemas.records import AccountUse, Event
from schemas.statuses import Lane, Stage, Status
from sinks.account import Account
from sinks.exchange import FRESH_S, KEPT_DAYS, USE, Exchange
from sinks.limits import Limiter
from sinks.quota import day_of

RATE = 100
LANE_OF = {"u": Lane.URGENT, "n": Lane.NORMAL, "b": Lane.BULK}
DONE = Event(bytes(16), Stage.OUTCOME, status=Status.ACCEPTED)


def never() -> bool:
    """Not stopped."""
    return False


class Plant:
    """Processes of several lanes, one clock, and a topic whose records everybody hears with the next tick."""

    def __init__(self, lanes: str, per_day: int = 0, fraction: float = 1.0) -> None:
        self.clock = HandClock()
        self.topic: dict[bytes, bytes | None] = {}
        self.exchanges: dict[str, Exchange] = {}
        self.accounts: dict[str, Account] = {}
        self.calls: list[tuple[int, str]] = []
        self.per_day = per_day
        self.fraction = fraction
        for name in lanes:
            self.begin(name)

    def begin(self, name: str, lane: str = "") -> None:
        """One process more, which reads the topic before it does anything."""
        is_ready: list[bool] = []
        exchange = Exchange(f"{name}@{len(self.exchanges)}", self.clock, self._send, lambda: bool(is_ready))
        limiter = Limiter(RATE, 40, LANE_OF[lane or name], self.clock)
        limiter.resize(self.fraction)
        account = Account("sms", "acme", limiter, self.clock, self.per_day)
        for key, value in self.topic.items():
            exchange.lay(record(key, value))
        is_ready.append(True)
        exchange.join(account)
        self.exchanges[name], self.accounts[name] = exchange, account

    def kill(self, name: str) -> None:
        """It is gone, with what it has not told."""
        del self.exchanges[name], self.accounts[name]

    def _send(self, key: bytes, value: bytes | None) -> None:
        self.topic[key] = value
        for exchange in self.exchanges.values():
            exchange.lay(record(key, value))

    def tick(self) -> None:
        """The second is over, everywhere."""
        for exchange in list(self.exchanges.values()):
            exchange.tick()

    def take(self, name: str, wanted: int) -> int:
        """Call as much as is let through, at most `wanted`; every call ends at once."""
        account = self.accounts[name]
        count = min(wanted, account.limiter.free())
        for gate in account.limiter._gates:
            gate.take(count)
        account.limiter._taken += count
        for _ in range(count):
            self.calls.append((self.clock.now_ms(), name))
            account.limiter.give_back()
            account.quota.count(self.clock.now_ms())
        return count

    def run(self, seconds: int, **wanted: int) -> dict[str, int]:
        """Everybody asks for so many every 10 ms, and waits for more; calls by process."""
        before = len(self.calls)
        for name, count in wanted.items():
            self.accounts[name].limiter._waiting = count
        for step in range(seconds * 100):
            for name, count in wanted.items():
                self.take(name, count)
            self.clock.advance(10)
            if step % 100 == 99:
                self.tick()
        for name in wanted:
            self.accounts[name].limiter._waiting = 0
        return {name: sum(each == name for _, each in self.calls[before:]) for name in self.accounts}

    def busiest(self, window_ms: int) -> int:
        """Most calls within any window."""
        times = [at_ms for at_ms, _ in self.calls]
        return max(sum(at_ms <= each < at_ms + window_ms for each in times) for at_ms in sorted({*times}))


def record(key: bytes, value: bytes | None) -> LogRecord:
    """As it comes from the topic."""
    return LogRecord("stats.accounts", 0, 0, 0, key, value, ())


def test_who_is_alone_may_use_all() -> None:
    """After a second; before, its own share."""
    plant = Plant("unb")
    assert plant.run(1, b=1_000)["b"] == pytest.approx(15, abs=2)
    assert plant.run(10, b=1_000)["b"] == pytest.approx(1_000, rel=0.02)


def test_who_wakes_up_has_its_share_at_once_and_the_account_is_back_within_its_rate_soon() -> None:
    """The loan is out for about a second more, and that is all that the account sees beyond its rate."""
    plant = Plant("ub")
    plant.run(5, b=1_000)
    woken = plant.run(1, u=1_000, b=1_000)
    assert woken["u"] >= RATE * 0.5
    assert woken["u"] + woken["b"] <= RATE * 1.5 + 20
    after = plant.run(10, u=1_000, b=1_000)
    assert after["u"] == pytest.approx(850, rel=0.03)
    assert after["b"] == pytest.approx(150, rel=0.05)
    assert plant.busiest(1_000) <= 2 * RATE
    assert plant.busiest(10_000) <= 11 * RATE


@pytest.mark.parametrize(("wanted", "share"), [({"n": 1_000, "b": 1_000}, 850), ({"u": 1_000, "n": 1_000}, 650)])
def test_what_is_idle_goes_to_the_more_urgent(wanted: dict[str, int], share: int) -> None:
    """And everybody keeps the own share."""
    plant = Plant("unb")
    plant.run(2, **wanted)
    found = plant.run(10, **wanted)
    first = next(iter(wanted))
    assert found[first] == pytest.approx(share, rel=0.03)
    assert sum(found.values()) == pytest.approx(1_000, rel=0.03)


def test_a_process_that_is_gone_leaves_its_share_to_the_others_until_another_takes_its_place() -> None:
    """And the loan ends when somebody asks again."""
    plant = Plant("ub")
    plant.run(3, u=1_000, b=1_000)
    plant.kill("u")
    plant.run(int(FRESH_S) + 1, b=1_000)
    assert plant.run(5, b=1_000)["b"] == pytest.approx(500, rel=0.03)
    plant.begin("u")
    plant.run(2, u=1_000, b=1_000)
    assert plant.run(5, u=1_000, b=1_000)["b"] == pytest.approx(75, rel=0.1)


def test_slots_are_lent_like_rate() -> None:
    """Calls under way stay; a loan that ended is not given out again."""
    plant = Plant("ub")
    plant.accounts["b"].limiter._waiting = 100
    plant.tick()
    assert plant.accounts["b"].limiter._slots.free() == 40
    plant.accounts["u"].limiter._waiting = 100
    plant.tick()
    plant.tick()
    assert plant.accounts["b"].limiter._slots.free() == 6
    assert plant.accounts["u"].limiter._slots.free() == 20 + 14


def test_a_quota_is_common_and_survives_everybody() -> None:
    """Lanes and processes together make no more calls than it, by more than they made while they told each other."""
    plant = Plant("ub", per_day=300)
    plant.tick()
    plant.tick()
    plant.run(3, u=1_000, b=1_000)
    plant.kill("u")
    plant.begin("u")
    plant.kill("b")
    plant.begin("b")
    plant.run(20, u=1_000, b=1_000)
    assert 300 <= len(plant.calls) <= 300 + 2 * RATE
    assert plant.accounts["u"].may_call(plant.clock.now_ms()).is_closed
    plant.begin("u")
    plant.tick()
    plant.tick()
    assert plant.take("u", 1) == 0


def test_a_changed_account_goes_on_counting() -> None:
    """Another setting is not another day; what is configured no more has nothing to tell."""
    plant = Plant("u", per_day=100)
    plant.tick()
    plant.run(3, u=1_000)
    again = Account("sms", "acme", Limiter(RATE, 40, Lane.URGENT, plant.clock), plant.clock, 100)
    plant.accounts["u"].is_gone = True
    plant.topic.clear()
    plant.tick()
    assert not plant.topic
    plant.exchanges["u"].join(again)
    plant.tick()
    assert again.quota.calls(plant.clock.now_ms()) == 100
    assert again.limiter.free() == 0


def test_the_quiet_say_little_and_the_old_is_removed() -> None:
    """Nothing new is told once in ten seconds; counts of days gone by leave the topic."""
    plant = Plant("u")
    told: list[bytes] = []
    plant.exchanges["u"]._send = lambda key, value: told.append(key) if value is not None else None
    for _ in range(21):
        plant.tick()
        plant.clock.advance(1_000)
    assert len(told) == 3
    plant = Plant("u")
    old = AccountUse("sms", "acme", "bulk", "gone", day=day_of(plant.clock.now_ms()) - KEPT_DAYS)
    plant._send(b"old", USE.encode(old))
    plant.tick()
    assert plant.topic[b"old"] is None


def test_what_cannot_be_read_is_passed_over() -> None:
    """A later release may tell more."""
    plant = Plant("u")
    plant.exchanges["u"].lay(record(b"x", b"nonsense"))
    plant.exchanges["u"].lay(record(b"x", None))
    plant.tick()
    assert plant.run(1, u=1_000)["u"] > 0
