"""A small world for settle's crash property: one partition's log, a sink, a provider, and settles that die anywhere.

Everything that decides is real: `Partition` with fold and decide, on a real RocksDB. What is played is around it: the
log (a list, in Kafka's order), one sink with claims and takeover, the provider, clocks that disagree. A settle may die
after any publish, any write and any commit, lose its disk, or go on as a zombie beside its successor.
"""

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct, structs

from infra.clock import SHANGHAI_MS
from infra.state import Rows, Store
from schemas.records import Delivery, Event, Outcome, Plan
from schemas.statuses import Stage
from schemas.topics import DAY_MS
from streams.checkpoint import Checkpoint, checkpoint_of, clear
from streams.consequences import Author, Record
from streams.hours import MINUTE_MS
from streams.message_state import Place
from streams.partition import Partition
from streams.rules import Rules
from tests.crash_judge import KEYS, check_disk, judge
from tests.factories import T0, accepted, answer, message_id, plan_channel, rejected

HOLD_MS: Final = 5_000
TIMEOUT_MS: Final = 20_000
PARTS_ON_DISK: Final = 2
DAY_MINUTES: Final = 1_440


class CrashError(Exception):
    """The process died here."""


class Call(Struct, frozen=True):
    """One call of the provider: when, how long the log was, what for, and what the provider did."""

    log_length: int
    delivery: Delivery
    is_taken: bool


class World:
    """Time, the log of one partition, the deliveries, the provider's calls, and who may still die."""

    def __init__(self, seed: int, folder: Path, crash_rate: float = 0.03) -> None:
        self.random = Random(seed)
        self.now = T0
        self.skew = 0
        self.log: list[tuple[Place, Event]] = []
        self.deliveries: list[Delivery] = []
        self.outcomes: list[Outcome] = []
        self.calls: list[Call] = []
        self.stores = [Store(folder / f"disk{number}") for number in range(PARTS_ON_DISK)]
        self.crash_rate = crash_rate
        self.committed = 0
        self.found: Counter[str] = Counter()
        self.is_forgetful = False

    def append(self, event: Event) -> None:
        """The log takes an event."""
        self.log.append((Place(len(self.log), self.now), event))

    def crash(self) -> None:
        """Here the process may die."""
        if self.random.random() < self.crash_rate:
            raise CrashError

    def chance(self, probability: float) -> bool:
        """Whether it happens."""
        return self.random.random() < probability

    def close(self) -> None:
        """Let the disks go."""
        for store in self.stores:
            store.close()


class Cell(Struct):
    """What one step of settle left to do: records to publish, then rows to write, then the offset to commit."""

    records: deque[Record]
    rows: Rows
    position: int


class SettleModel:
    """The shell as `streams.owner` is, without Kafka: catch up, read, gate, publish, write in order, commit."""

    def __init__(self, world: World, disk: int, is_disk_lost: bool) -> None:
        self.world = world
        self.store = world.stores[disk]
        self.cells: deque[Cell] = deque()
        self.gate: tuple[int, int] | None = None
        self.group = world.committed
        self.is_owner = True
        if is_disk_lost:
            clear(self.store, KEYS)
        check_disk(world, self.store)
        rules = Rules(Author("urgent", f"settle{disk}"), HOLD_MS, lambda _: 2)
        self.state = Partition(self.store, KEYS, rules, checkpoint_of(self.store, KEYS) or Checkpoint())
        self.catch_up()

    def clock(self) -> int:
        """This process's clock, which may be wrong."""
        return self.world.now + self.world.skew

    def catch_up(self) -> None:
        """Read silently to the end, writing on the way; then decide."""
        log = self.world.log
        end = len(log)
        while self.state.position < end:
            for place, event in log[self.state.position : self.state.position + 7]:
                if place.offset < end:
                    self.state.read(event, place, None)
            self.write(self.state.cut(self.clock()))
        out: list[Record] = []
        self.state.deliver_again(self.clock(), out)
        self.conclude(out)

    def write(self, rows: Rows) -> None:
        """A batch reaches the disk."""
        self.store.write(rows)
        self.state.written()

    def step(self, is_mortal: bool = True) -> None:
        """Read some records, conclude, look at the time, and let some effects happen."""
        world = self.world
        out: list[Record] = []
        for place, event in world.log[self.group : self.group + world.random.choice((1, 2, 5, 50))]:
            if place.offset >= self.state.position:
                self.state.read(event, place, out)
            else:
                self.state.remind(event, place, out)
            self.group = place.offset + 1
        self.conclude(out)
        if self.gate is None and self.is_due() and world.chance(0.8):
            self.gate = (self.clock(), len(world.log))
        self.effects(world.random.choice((0, 1, 3, 50)), is_mortal)

    def is_due(self) -> bool:
        """Whether the log is to be read up to now."""
        return self.state.is_due(self.clock())

    def conclude(self, out: list[Record]) -> None:
        """As `Owner._conclude`: what is to be sent, and the rows that follow it."""
        if self.gate is not None and self.state.position >= self.gate[1]:
            self.state.read_up_to_ms = max(self.state.read_up_to_ms, self.gate[0])
            self.gate = None
        if self.state.is_due(min(self.clock(), self.state.read_up_to_ms)):
            self.state.fire(self.clock(), 20)
        self.state.conclude(self.clock(), out)
        self.cells.append(Cell(deque(out), self.state.cut(self.clock()), self.group))

    def effects(self, count: int, is_mortal: bool) -> None:
        """So many effects happen, in order; after each the process may die."""
        while self.cells and count:
            cell = self.cells[0]
            if cell.records:
                self.publish(cell.records.popleft())
                count -= 1
            else:
                self.write(cell.rows)
                self.cells.popleft()
                if self.is_owner:
                    if is_mortal:
                        self.world.crash()
                    self.world.committed = max(self.world.committed, cell.position)
            if is_mortal:
                self.world.crash()

    def publish(self, record: Record) -> None:
        """One record reaches its topic."""
        if isinstance(record, Event):
            self.world.append(record)
        elif isinstance(record, Delivery):
            self.world.deliveries.append(record)
        elif isinstance(record, Outcome):
            self.world.outcomes.append(record)


class SinkModel:
    """A sink as the design wants it: claims before it calls, checks again, answers every delivery exactly once."""

    def __init__(self, world: World, position: int) -> None:
        self.world = world
        self.position = position
        self.done: set[tuple[bytes, str, int]] = set()
        self.claimed: set[tuple[bytes, str, int]] = set()
        for _, event in world.log:
            key = (event.message_id, event.channel, event.attempt)
            if event.stage == Stage.SENDING:
                self.claimed.add(key)
            elif event.stage in (Stage.OUTCOME, Stage.UNKNOWN, Stage.DEFERRED, Stage.DROPPED):
                self.done.add(key)

    def serve(self) -> Iterator[None]:
        """Serve one delivery; may die at every `yield`."""
        world = self.world
        if self.position >= len(world.deliveries):
            return
        delivery = world.deliveries[self.position]
        key = (delivery.message_id, delivery.channel, delivery.attempt)
        if key in self.claimed and key not in self.done:
            self.say(delivery, Stage.UNKNOWN)
        elif key not in self.done:
            yield from self.send(delivery)
        self.position += 1

    def send(self, delivery: Delivery) -> Iterator[None]:
        """Claim, check again, call, answer."""
        world, rnd = self.world, self.world.random
        if world.now >= delivery.claim_by or world.now >= delivery.expires_at - 2_000:
            self.say(delivery, Stage.DROPPED, reason="too_late")
            return
        if world.chance(0.1):
            world.now += rnd.choice((1_000, 1_900))  # a slow acknowledgement
        world.crash()
        self.say(delivery, Stage.SENDING)
        yield
        if world.chance(0.05):
            scope = rnd.choice(("", "", "recipient", "channel", "account"))
            until = world.now + rnd.choice((0, 500, 3_000, 20_000))
            self.say(delivery, Stage.DEFERRED, until=until, scope=scope, reason="transient")
            return
        if world.chance(0.1):
            world.now += rnd.choice((1_000, 4_000, 9_000))
        if world.now >= delivery.claim_by + 1_000 or world.now >= delivery.expires_at - 1_000:
            self.say(delivery, Stage.DROPPED, reason="too_late")
            return
        world.crash()
        how = rnd.choices(("ok", "bad", "later", "once", "lost"), (6, 1, 4, 1, 1))[0]
        is_taken = how == "ok" or (how == "lost" and world.chance(0.5))
        world.calls.append(Call(len(world.log), delivery, is_taken))
        yield
        world.crash()
        if how == "lost":
            self.say(delivery, Stage.UNKNOWN)
        elif is_taken:
            self.say(delivery, Stage.OUTCOME, "accepted")
        else:
            self.refuse(delivery, how)

    def refuse(self, delivery: Delivery, how: str) -> None:
        """The provider refuses: for good, once, or until it can; sometimes it says when that may be."""
        rnd = self.world.random
        reason = {"bad": "billing", "once": "unmapped", "later": rnd.choice(("transient", "rate_limited"))}[how]
        retry = rnd.choice(("", "later")) if how == "later" else {"bad": "never", "once": "once"}[how]
        until = rnd.choice((0, 0, self.world.now + 2_000, self.world.now + 9_000, self.world.now + 100_000))
        scope = rnd.choice(("recipient", "message", "channel", "account"))
        self.say(delivery, Stage.OUTCOME, "failed", reason=reason, retry=retry, until=until, scope=scope)

    def say(self, delivery: Delivery, stage: Stage, status: str = "", **changes: object) -> None:
        """The sink appends an event."""
        key = (delivery.message_id, delivery.channel, delivery.attempt)
        (self.claimed if stage == Stage.SENDING else self.done).add(key)
        self.world.append(
            answer(
                delivery.message_id,
                stage,
                delivery.channel,
                delivery.attempt,
                at=self.world.now,
                status=status or stage,
                **changes,
            )
        )


def random_plan(rnd: Random, now: int) -> Plan:
    """Any policy: one to three channels, any threshold, levels, ways with lost answers, some channels unusable.

    And any timing: some are to be sent later, some have quiet hours that begin or end within minutes.
    """
    names = ("sms", "webhook", "voice")[: rnd.choice((1, 2, 2, 3))]
    channels = [
        plan_channel(
            name,
            rnd.choice((0.2, 0.5, 0.9)),
            success=rnd.choice(("accepted", "accepted", "delivered")),
            timeout_ms=TIMEOUT_MS,
            skip=rnd.choice(("", "", "", "", "recipient_unknown")),
        )
        for name in names
    ]
    send_at = rnd.choice((0, 0, 0, now + 5_000, now + 60_000))
    minute = (max(send_at, now) + SHANGHAI_MS) % DAY_MS // MINUTE_MS
    quiet = rnd.choice(((0, 0), (0, 0), (minute - 1, minute + 1), (minute + 1, minute + 2), (minute - 3, minute)))
    return Plan(
        reference="r",
        digest=rnd.randbytes(16),
        send_at=send_at,
        expires_at=max(send_at, now) + rnd.choice((9_000, 60_000, 300_000)),
        threshold=rnd.choice((0.1, 0.5, 0.6, 1.0)),
        on_unknown=rnd.choice(("again", "fall_back", "leave", "query")),
        on_channel_down=rnd.choice(("wait", "fall_back")),
        channels=channels,
        tries=rnd.choice((0, 1, 2, 3)),
        quiet_from=quiet[0] % DAY_MINUTES,
        quiet_until=quiet[1] % DAY_MINUTES,
        fallbacks_per_hour=rnd.choice((0, 0, 0, 5)),
    )


class History:
    """One random history, then quiet, then the verdict in `found`."""

    model: type[SettleModel] = SettleModel
    make_world: type[World] = World

    def __init__(self, seed: int, folder: Path, *, steps: int = 250, zombies: bool = True) -> None:
        self.world = self.make_world(seed, folder)
        self.first: dict[bytes, Event] = {}
        self.disk = 0
        self.zombies = zombies
        self.zombie: SettleModel | None = None
        self.settle = self.model(self.world, 0, is_disk_lost=False)
        self.sink = SinkModel(self.world, 0)
        self.serving: Iterator[None] | None = None
        self.sink_committed = 0
        self.steps = steps

    def run(self) -> Counter[str]:
        """What was found; names beginning with `info` are no faults."""
        for _ in range(self.steps):
            self.turn()
        self.world.crash_rate = 0.0
        self.world.skew = 0
        self.zombie = None
        for _ in range(700):
            self.settle_step()
            self.sink_step(6)
            self.world.now += 700
            if self.is_quiet():
                break
        self.settle.effects(1_000, is_mortal=False)
        judge(self.world, self.first)
        check_disk(self.world, self.settle.store)
        self.world.close()
        return self.world.found

    def is_quiet(self) -> bool:
        """Whether every message is final and all is read and written."""
        ended = {event.message_id for _, event in self.world.log if event.stage == Stage.COMPLETED}
        return self.first.keys() <= ended and self.settle.group == len(self.world.log) and not self.settle.cells

    def turn(self) -> None:
        """Something happens."""
        world, rnd = self.world, self.world.random
        dice = rnd.random()
        if dice < 0.12:
            self.new_message()
        elif dice < 0.20 and self.first:
            self.odd_event(rnd.choice(list(self.first)))
        elif dice < 0.55:
            self.settle_step()
        elif dice < 0.83:
            self.sink_step(rnd.choice((1, 2, 4)))
        elif dice < 0.86 and self.zombies:
            self.fail_over()
        elif dice < 0.88:
            world.skew = rnd.choice((0, 0, -3_000, 2_000))
        else:
            world.now += rnd.choice((10, 100, 1_000, 3_000, 8_000))
        if self.zombie is not None and world.chance(0.3):
            if world.chance(0.4):
                self.zombie.step(is_mortal=False)
            self.zombie.effects(world.random.choice((1, 2, 5)), is_mortal=False)
            if world.chance(0.2):
                self.zombie = None

    def new_message(self) -> None:
        """Intake accepts or rejects."""
        of = message_id(len(self.first) + 1)
        now = self.world.now
        if self.world.chance(0.1):
            event = rejected(of, "token_expired", at=now, accepted_at=now)
        else:
            event = accepted(of, random_plan(self.world.random, now), at=now, accepted_at=now)
        self.first[of] = event
        self.world.append(event)

    def odd_event(self, of: bytes) -> None:
        """A repeat, a conflict, a late refusal, or a receipt of something that was called."""
        world, first = self.world, self.first[of]
        kind = world.random.choice(("repeat", "conflict", "refusal", "receipt", "receipt"))
        calls = [call.delivery for call in world.calls if call.delivery.message_id == of and call.is_taken]
        if kind == "repeat":
            world.append(first)
        elif kind == "conflict" and first.plan is not None and first.stage == Stage.ACCEPTED:
            world.append(structs.replace(first, plan=structs.replace(first.plan, digest=bytes(16))))
        elif kind == "refusal" and first.stage == Stage.ACCEPTED:
            world.append(rejected(of, "app_disabled", at=world.now))
        elif kind == "receipt" and calls:
            status = world.random.choice(("delivered", "read", "failed"))
            channel = world.random.choice(calls).channel
            world.append(answer(of, Stage.RECEIPT, channel, 0, status=status, reason="recipient_unreachable"))

    def settle_step(self) -> None:
        """Settle goes on, or dies and is started again."""
        try:
            self.settle.step()
        except CrashError:
            self.settle = self.model(self.world, self.disk, is_disk_lost=self.world.chance(0.2))

    def fail_over(self) -> None:
        """Another process takes over, on its own disk; the old one does not know."""
        self.settle.is_owner = False
        self.zombie = self.settle
        self.disk = (self.disk + 1) % PARTS_ON_DISK
        self.settle = self.model(self.world, self.disk, is_disk_lost=self.world.chance(0.2))

    def sink_step(self, count: int) -> None:
        """The sink goes on, or dies and another one takes over."""
        for _ in range(count):
            try:
                if self.serving is None:
                    self.serving = self.sink.serve()
                next(self.serving)
            except StopIteration:
                self.serving = None
                if self.world.chance(0.5):
                    self.sink_committed = self.sink.position
            except CrashError:
                self.serving = None
                self.sink = SinkModel(self.world, self.sink_committed)
