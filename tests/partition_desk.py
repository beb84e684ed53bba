"""One partition of settle at a desk: its log in memory, its disk real, its clock turned by hand.

Used by the tests of `streams.partition` and of what keeps messages waiting. What it sends as events stands in the log
and is read back; deliveries and outcomes are only kept to be looked at.
"""

from pathlib import Path
from typing import Final

from infra.state import Store
from schemas.records import Delivery, Event
from streams.checkpoint import Checkpoint, checkpoint_of
from streams.consequences import Author, Record
from streams.keys import Keys
from streams.message_state import Place
from streams.partition import Partition
from streams.rules import Rules
from tests.factories import T0

KEYS: Final = Keys(1, 0)
HOLD_MS: Final = 30_000


class Desk:
    """A partition with its log in memory: what it sends comes back when `read` is called.

    `window` bounds every channel; `held` are (app, type, channel), an empty name meaning any; `spent` the types whose
    budget of fallbacks was told to be spent.
    """

    def __init__(self, folder: Path, window: int = 100) -> None:
        self.store = Store(folder / "db")
        self.window = window
        self.now = T0
        self.log: list[Event] = []
        self.sent: list[Record] = []
        self.held: set[tuple[str, str, str]] = set()
        self.spent: list[str] = []
        self.part = self.opened()

    def opened(self) -> Partition:
        """The partition as it is on disk."""
        rules = Rules(
            Author("normal", "test"),
            HOLD_MS,
            lambda _: self.window,
            self.is_held,
            on_spent=lambda kind, _: self.spent.append(kind),
        )
        return Partition(self.store, KEYS, rules, checkpoint_of(self.store, KEYS) or Checkpoint())

    def is_held(self, app_id: str, kind: str, channel: str) -> bool:
        """Whether one of `held` speaks of it."""
        return any(
            all(want in ("", has) for want, has in zip(one, (app_id, kind, channel), strict=True)) for one in self.held
        )

    def tell(self, *events: Event) -> list[Record]:
        """Append events, read everything unread, conclude, write; what was sent."""
        self.log += events
        out: list[Record] = []
        while self.part.position < len(self.log):
            offset = self.part.position
            self.part.read(self.log[offset], Place(offset, self.now), out)
        return self.conclude(out)

    def conclude(self, out: list[Record]) -> list[Record]:
        """Let time and room have their say; conclusions go to the log's end, unread."""
        self.part.read_up_to_ms = self.now
        self.part.fire(self.now, 100)
        self.part.conclude(self.now, out)
        self.store.write(self.part.cut(self.now))
        self.part.written()
        self.log += [record for record in out if isinstance(record, Event)]
        self.sent += out
        return out

    def later(self, after_ms: int, *events: Event) -> list[Record]:
        """Let time pass, then `settle`."""
        self.now += after_ms
        return self.settle(*events)

    def settle(self, *events: Event) -> list[Record]:
        """`tell` until nothing new follows."""
        begun = len(self.sent)
        self.tell(*events)
        while self.part.position < len(self.log):
            self.tell()
        return self.sent[begun:]


def deliveries(records: list[Record]) -> list[Delivery]:
    """The deliveries among them."""
    return [record for record in records if isinstance(record, Delivery)]


def stages(records: list[Record]) -> list[str]:
    """The stages of the events among them."""
    return [record.stage for record in records if isinstance(record, Event)]
