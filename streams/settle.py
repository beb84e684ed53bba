"""settle: the only decider. One process per lane, owning some partitions of `events.<lane>` and their state on disk.

Started by `medpost run settle LANE`. The shell only: it decodes, hands records to the owner of their partition, and
keeps assignments, timers and the registry's rates together. What happens next to a message is decided in `fold` and
`decide`, never here.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import Counter as Counts
from prometheus_client import Gauge

from infra.clock import SystemClock
from infra.holds import Holds
from infra.registry import Registry
from infra.settings import Settings
from infra.state import open_free
from infra.worker import TP, Chunk, Worker
from schemas.configuration import ENABLED, ChannelConfig
from schemas.errors import MedpostError, Permanent
from schemas.records import Backlog
from schemas.statuses import LANE_RANK, LANE_SHARES, Lane
from streams.backlog import Teller
from streams.consequences import Author
from streams.keys import Keys
from streams.message_state import Place
from streams.outbox import Outbox
from streams.owner import Ground, Owner, Reading
from streams.request_feed import Feed
from streams.rules import Rules, Window

HOLD_MS: Final = {Lane.URGENT: 5_000, Lane.NORMAL: 30_000, Lane.BULK: 30_000}
"""How long a delivery may wait for its claim. The urgent one is shorter than a fail-over on purpose: what a dead sink
held lapses and is issued again."""
CHUNK_RECORDS: Final = {Lane.URGENT: 50, Lane.NORMAL: 500, Lane.BULK: 500}
CHUNKS_IN_FLIGHT: Final = 6
LENT_S: Final = {Lane.URGENT: 0.0, Lane.NORMAL: 0.0, Lane.BULK: 0.5}
"""So much of the whole rate may be in flight for a lane with a small share, in seconds: where nobody is in a hurry."""
DEFAULT_RATE_PER_S: Final = 500.0
"""Of a channel that the registry does not know (yet)."""
TICK_S: Final = 0.02
LOCK_WAIT_S: Final = 10.0
"""A closing predecessor has let go of its disk by then; otherwise it is another process beside this one."""

WAITING: Final = Gauge("settle_waiting", "messages that wait for room on a channel", ["lane", "channel", "app"])
OLDEST: Final = Gauge("settle_oldest_age_seconds", "how long the first of them is due", ["lane", "channel", "app"])
OPEN: Final = Gauge("settle_open", "messages that are accepted and not final", ["lane", "app"])

SPENT: Final = Counts(
    "settle_fallback_budget_spent",
    "hours in which a partition's part of a type's fallbacks was spent",
    ["lane", "type"],
)

log = structlog.get_logger("settle")


def window_of(rate_per_s: float, lane: Lane, partitions: int, hold_ms: int) -> int:
    """Attempts in flight per partition of a lane, at that rate of the channel.

    A second of the lane's share; for bulk half a second of the whole rate where that is more, or what other lanes lend
    could not be used at a provider's usual answer times. Never more than the share can claim in a quarter of the hold.
    """
    own_per_s = rate_per_s * LANE_SHARES[lane]
    in_flight = min(max(own_per_s, rate_per_s * LENT_S[lane]), own_per_s * hold_ms / 1000 / 4)
    return max(1, int(in_flight / partitions))


def registry_window(registry: Registry, partitions: int, lane: Lane) -> Window:
    """Windows by the lane's share of the registry's rates as they are now: what its sinks are allowed to send."""
    hold_ms = HOLD_MS[lane]

    def window(channel: str) -> int:
        config = registry.snapshot.channels.get(channel)
        return window_of(rate_of(config), lane, partitions, hold_ms)

    return window


class SpentBudgets:
    """Says once per type and hour that no further fallback begins; each partition has its part of the budget."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._told: dict[str, int] = {}

    def tell(self, kind: str, hour_ms: int) -> None:
        """A partition's part is spent for the hour that began then."""
        SPENT.labels(self._lane, kind).inc()
        if self._told.get(kind) != hour_ms:
            self._told[kind] = hour_ms
            log.warning("budget of fallbacks is spent: they wait for the next hour", type=kind, lane=self._lane)


def rate_of(config: ChannelConfig | None) -> float:
    """Calls a second that all providers of a channel together may be given."""
    if config is None:
        return DEFAULT_RATE_PER_S
    return config.rate_per_s + sum(other.rate_per_s for other in config.others if other.status == ENABLED)


class Settle:
    """The owners of this process, by partition."""

    def __init__(self, ground: Ground, lane: Lane) -> None:
        self._ground = ground
        self._lane = lane
        self._owners: dict[int, Owner] = {}
        self._shown: set[tuple[str, str]] = set()
        self._shown_apps: set[str] = set()
        self._teller = Teller(lane, ground.rules.author.worker, self._send)

    async def look(self) -> None:
        """See the log once before anything is assigned: a missing topic or broker is told at once."""
        await self._ground.worker.tail.begin_offset(self._ground.outbox.events, 0)

    def assigned(self, places: frozenset[TP]) -> None:
        """Take over partitions, each beside the group: its records wait for it."""
        self.revoked(places)
        for place in places:
            keys = Keys(LANE_RANK[self._lane], place.partition)
            owner = self._owners[place.partition] = Owner(self._ground, keys, place.partition)
            self._ground.worker.task(owner.begin())

    def revoked(self, _places: frozenset[TP]) -> None:
        """Everything is given back at once, always: the group's protocol is the eager one."""
        for owner in self._owners.values():
            owner.drop()
        self._owners.clear()

    async def settle(self, chunk: Chunk, _out: object) -> asyncio.Future[None] | None:
        """The agent: decode first, because until then nothing has happened, then hand over.

        Raises Permanent(decode_error) for bytes that are no event. Alone in its chunk such a record is stepped over.
        """
        owner = self._owners.get(chunk.tp.partition)
        if owner is None or chunk.is_stale:
            return None
        readings: list[Reading] = []
        for record in chunk:
            try:
                readings.append((Place(record.offset, record.timestamp), owner.decode(record)))
            except Permanent:
                if len(chunk) == 1:
                    owner.take([(Place(record.offset, record.timestamp), None)])
                raise
        return owner.take(readings)

    def is_caught_up(self) -> bool:
        """Whether every partition here has been read to its end, and rebuilt where its rows were lost."""
        return all(owner.is_live for owner in self._owners.values())

    def tick(self) -> None:
        """Look at the clock for every partition."""
        for owner in list(self._owners.values()):
            owner.tick()

    def show(self) -> None:
        """Tell everybody the backlog of the partitions here, and publish it as metrics."""
        seen = {number: (owner.seen(), owner.may_tell()) for number, owner in self._owners.items()}
        for number, (backlog, may_tell) in seen.items():
            if may_tell:
                self._teller.tell(number, backlog)
        self._show([backlog for backlog, _ in seen.values()], self._ground.clock.now_ms())

    def _send(self, key: bytes, value: bytes) -> None:
        with contextlib.suppress(MedpostError):  # the broker is away: the next second tells more
            self._ground.worker.publisher.publish(self._ground.outbox.backlog, value, key)

    def _show(self, seen: list[Backlog], now_ms: int) -> None:
        waiting: Counter[tuple[str, str]] = Counter()
        since: dict[tuple[str, str], int] = {}
        open_: Counter[str] = Counter()
        for backlog in seen:
            open_.update({each.app_id: each.messages for each in backlog.open})
            for line in backlog.lines:
                pair = (line.channel, line.app_id)
                waiting[pair] += line.waiting
                since[pair] = min(since.get(pair, now_ms), line.oldest_at or now_ms)
        for pair in self._shown | waiting.keys():
            WAITING.labels(self._lane, *pair).set(waiting[pair])
            OLDEST.labels(self._lane, *pair).set((now_ms - since.get(pair, now_ms)) / 1000)
        for app_id in self._shown_apps | open_.keys():
            OPEN.labels(self._lane, app_id).set(open_[app_id])
        self._shown |= waiting.keys()
        self._shown_apps |= open_.keys()


def run(settings: Settings, lane: str, window: Callable[[str], int] | None = None) -> int:
    """Settle one lane until told to stop; returns the exit code.

    `window` replaces the registry's rates (benchmarks without a registry).
    """
    chosen = Lane(lane)
    hold_ms = HOLD_MS[chosen]
    registry, holds = Registry(settings), Holds(settings)
    if window is None:
        registry.start()
        holds.start()
        window = registry_window(registry, settings.partitions, chosen)
    store = open_free(settings.state_folder / f"settle.{lane}", LOCK_WAIT_S)
    worker = Worker(settings, "settle", lane)
    told = SpentBudgets(lane)
    rules = Rules(Author(lane, worker.name), hold_ms, window, holds.is_held, settings.partitions, told.tell)
    outbox = Outbox(settings, lane)
    feed = Feed(worker, outbox.requests)
    ground = Ground(worker, SystemClock(), store, outbox, rules, feed, settings.partitions)
    settle = Settle(ground, chosen)
    worker.on_assigned(settle.assigned)
    worker.on_revoked(settle.revoked)
    worker.agent(outbox.events, settle.settle, max_records=CHUNK_RECORDS[chosen], window=CHUNKS_IN_FLIGHT)
    worker.on_started(settle.look)
    worker.on_started(feed.begin)
    worker.ready_when(settle.is_caught_up, "catching up with the log, or rebuilding from delays: see the log")
    worker.every(TICK_S, settle.tick)
    worker.every(1.0, settle.show)
    try:
        return worker.run()
    finally:
        holds.close()
        registry.close()
        store.close()
