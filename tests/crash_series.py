"""The crash world with messages that repeat: every later sending has to become a message, whoever dies, and end.

Used by the tests of `streams.series`. All sendings stand in the one partition that the world has.
"""

from msgspec import structs

from schemas.records import Event, Occurrence, Plan
from schemas.statuses import Stage
from streams import series
from streams.consequences import Onward, Record
from tests.crash_world import History, SettleModel, random_plan
from tests.factories import accepted, message_id

APART_MS = 20_000


class SeriesSettle(SettleModel):
    """Lets what goes onward reach the log."""

    def publish(self, record: Record) -> None:
        """One record reaches its topic."""
        super().publish(record.event if isinstance(record, Onward) else record)


class SeriesHistory(History):
    """Every third message is sent again, once or twice; `first` holds what has to come of it, too."""

    model = SeriesSettle

    def new_message(self) -> None:
        """Intake accepts."""
        now, rnd = self.world.now, self.world.random
        plan = repeating(random_plan(rnd, now), now, rnd.choice((0, 0, 1, 2)))
        event = accepted(message_id(len(self.first) + 1), plan, at=now, accepted_at=now)
        self.first |= {one.message_id: one for one in (event, *series.later(event))}
        self.world.append(event)

    def odd_event(self, of: bytes) -> None:
        """Nothing is heard of a sending that is not there yet."""
        if self.is_accepted(of):
            super().odd_event(of)

    def is_accepted(self, of: bytes) -> bool:
        """Whether its acceptance stands in the log."""
        return any(event.message_id == of and event.stage == Stage.ACCEPTED for _, event in self.world.log)

    def times_accepted(self) -> dict[bytes, list[Event]]:
        """The acceptances of each message that count as one: with its own digest."""
        found: dict[bytes, list[Event]] = {of: [] for of in self.first}
        for _, event in self.world.log:
            if event.stage == Stage.ACCEPTED and event.plan is not None and event.plan.digest != bytes(16):
                found[event.message_id].append(event)
        return found


def repeating(plan: Plan, now: int, sendings: int) -> Plan:
    """The same plan, sent again so often, each time as long alive."""
    begins = max(plan.send_at, now)
    later = [
        Occurrence(
            begins + number * APART_MS,
            plan.expires_at + number * APART_MS,
            [b"%d" % number for _ in plan.channels],
        )
        for number in range(1, sendings + 1)
    ]
    return structs.replace(plan, later=later)
