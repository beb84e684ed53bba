"""The crash world with people who ask: cancels, changes of time, replacements; and with a log that is cut off.

As in `crash_world` everything that decides is real, the inbox of requests and the rebuild from `delays` included. What
is played besides is the topic of requests, the compacted topic of delays, and a lost disk that finds only the last part
of the log. Messages that were asked about are judged here.
"""

from collections import Counter
from pathlib import Path
from typing import Final

from msgspec import structs

from schemas.records import Delayed, Event, Request
from schemas.statuses import Stage
from streams.checkpoint import checkpoint_of
from streams.consequences import Author, Record
from streams.rebuild import UNFIT
from streams.requests import PATIENCE_MS, Asked, Inbox
from tests.crash_judge import KEYS, Ledger
from tests.crash_world import History, SettleModel, World, random_plan
from tests.factories import accepted, message_id

HORIZON_MS: Final = 200_000
"""So much of the log a lost disk still finds: well above what is kept, or a settle that dies often is not in time."""
MEMORY_MS: Final = 150_000
"""So long a finished message is remembered: `streams.fold.MEMORY_MS`."""
AHEAD_MS: Final = 3_000
OPEN_MS: Final = 20_000
"""What `delays` keeps in this world: see the constants of `streams.delays`."""


class AskingWorld(World):
    """With the topics of requests and delays."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder)
        self.is_forgetful = True
        self.requests: list[Asked] = []
        self.delays: dict[bytes, tuple[Delayed, int]] = {}

    def ask(self, request: Request) -> None:
        """The topic takes a request."""
        self.requests.append(Asked(len(self.requests), self.now, request))

    def start(self) -> int:
        """Where the log begins for whoever has lost everything; a group is never three days behind."""
        recent = (place.offset for place, _ in self.log if place.appended_at >= self.now - HORIZON_MS)
        return min(next(recent, len(self.log)), self.committed)


class AskingSettle(SettleModel):
    """A settle that follows the requests and rebuilds from `delays`."""

    world: AskingWorld

    def catch_up(self) -> None:
        """From delays first, when there are no rows."""
        found = checkpoint_of(self.store, KEYS)
        if found is None:
            self.rebuild()
        author = Author("urgent", "settle")
        position = found.requests if found is not None else 0
        self.inbox = Inbox(author, (0, 1), max(0, position), self.count)
        self.asked = max(0, position)
        super().catch_up()

    def count(self, how: str) -> None:
        """How a request ended."""
        self.world.found[f"info: {how}"] += 1

    def rebuild(self) -> None:
        """What `delays` holds, into empty rows."""
        start, self.state.position = self.world.start(), UNFIT
        for key, (kept, kept_at) in self.world.delays.items():
            self.state.restore(key, kept, kept_at)
            self.world.found["info: restored"] += 1
        self.write(self.state.cut(self.clock()))
        self.world.found["info: log was cut off"] += start > 0
        self.state.position = start

    def step(self, is_mortal: bool = True) -> None:
        """Some requests, then as ever."""
        for asked in self.world.requests[self.asked : self.asked + self.world.random.choice((0, 5, 50))]:
            self.inbox.take(asked, self.clock())
            self.asked = asked.offset + 1
        super().step(is_mortal)

    def is_due(self) -> bool:
        """A request may have waited long enough."""
        return super().is_due() or self.inbox.is_due(self.clock())

    def conclude(self, out: list[Record]) -> None:
        """With the copies of what was asked."""
        for of in {asked.request.message_id for asked in self.world.requests if asked.request is not None}:
            self.inbox.look(of)
        for of in sorted(self.inbox.looked()):
            out += self.inbox.copies(of, self.state.state_of(of), self.clock())
        self.inbox.expire(self.state.read_up_to_ms)
        self.state.requests_position = self.inbox.position
        super().conclude(out)

    def publish(self, record: Record) -> None:
        """Requests and delays have topics of their own."""
        if isinstance(record, Request):
            self.world.ask(record)
        elif not isinstance(record, Delayed):
            super().publish(record)
        elif record.state:
            self.world.delays[record.message_id] = record, self.world.now
        else:
            self.world.delays.pop(record.message_id, None)


class AskingHistory(History):
    """A random history in which people ask."""

    model = AskingSettle
    make_world = AskingWorld
    world: AskingWorld
    settle: AskingSettle

    def turn(self) -> None:
        """Somebody asks, or something else happens."""
        if self.first and self.world.chance(0.08):
            self.ask()
        else:
            super().turn()

    def ask(self) -> None:
        """About any message, known or not; some ask twice."""
        world, rnd = self.world, self.world.random
        of = rnd.choice([*self.first, message_id(1_000_000)])
        kind = rnd.choice(("cancel", "cancel", "reschedule", "reschedule", "supersede"))
        send_at = rnd.choice((0, world.now + 10_000, world.now + 40_000)) if kind == "reschedule" else 0
        request = Request(rnd.randbytes(16), kind, of, at=world.now, send_at=send_at)
        for _ in range(rnd.choice((1, 1, 2))):
            world.ask(request)

    def new_message(self) -> None:
        """Some replace another; some are for a time when the log does not reach back to them any more."""
        rnd, now = self.world.random, self.world.now
        of, plan = message_id(len(self.first) + 1), random_plan(rnd, now)
        if self.first and rnd.random() < 0.15:
            plan = structs.replace(plan, supersedes=rnd.choice(list(self.first)))
        if rnd.random() < 0.2:
            send_at = now + rnd.choice((HORIZON_MS + 20_000, HORIZON_MS + 150_000))
            plan = structs.replace(plan, send_at=send_at, expires_at=send_at + 30_000, quiet_from=0, quiet_until=0)
        self.first[of] = accepted(of, plan, at=now, accepted_at=now)
        self.world.append(self.first[of])

    def odd_event(self, of: bytes) -> None:
        """No repeats: one that a rebuild reads without the first would be a new message, as the manual says."""
        self.ask()

    def is_quiet(self) -> bool:
        """And everything asked is read."""
        return super().is_quiet() and self.settle.asked == len(self.world.requests)

    def run(self) -> Counter[str]:
        """The verdict, with what was asked."""
        super().run()
        judge_asked(self.world, self.first)
        return self.world.found


def judge_asked(world: AskingWorld, first: dict[bytes, Event]) -> None:
    """Nothing is sent after it was called cancelled; no request is lost; what was cancelled in time was not sent."""
    ledger = Ledger(world)
    cancelled = {
        of: offset for of, finals in ledger.finals.items() for offset, status in finals if status == "cancelled"
    }
    world.found["info: cancelled"] += len(cancelled)
    for call in world.calls:
        of = call.delivery.message_id
        if of in cancelled and (call.log_length > cancelled[of] or call.is_taken):
            world.found["cancelled, and sent"] += 1
    copied = {event.detail for _, event in world.log if event.stage in (Stage.CANCEL_REQUESTED, Stage.SUPERSEDED)}
    for asked in world.requests:
        request = asked.request
        if request is None or request.kind == "reschedule" or request.message_id not in first:
            continue
        finals = ledger.finals[request.message_id]
        ended_at = world.log[finals[-1][0]][0].appended_at if finals else world.now
        was_open = first[request.message_id].stage == Stage.ACCEPTED and ended_at > asked.appended_at + PATIENCE_MS
        if was_open and request.request_id.hex() not in copied:
            world.found["request lost"] += 1
