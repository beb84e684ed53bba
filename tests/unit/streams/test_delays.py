"""What outlives the log: when it is written and taken back, and that what comes back is what was lost."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.state import Store
from schemas.codec import DELAYED
from schemas.records import Delayed, Event
from schemas.statuses import Stage
from streams import delays, fold, partition
from streams.checkpoint import Checkpoint
from streams.consequences import Author, Record
from streams.keys import Keys
from streams.message_state import Place, pack
from streams.partition import Partition
from streams.rows import decode_row
from streams.rules import Rules
from tests import crash_asking
from tests.crash_asking import AskingHistory
from tests.factories import T0, accepted, answer, message_id, plan

ID = message_id(1)
KEYS = Keys(1, 0)
HOUR_MS = 3_600_000
LATER = T0 + HOUR_MS


class Desk:
    """A partition with a log in memory; what it sends to the log is read back at once."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.log: list[tuple[Place, Event]] = []
        self.kept: list[Delayed] = []
        self.now = T0
        rules = Rules(Author("normal", "test"), 30_000, lambda _: 100)
        self.part = Partition(self.store, KEYS, rules, Checkpoint())

    def tell(self, *events: Event) -> list[Delayed]:
        """Append events, and go on until nothing follows; what was kept or taken back."""
        begun = len(self.kept)
        self.append(events)
        while True:
            out: list[Record] = []
            while self.part.position < len(self.log):
                place, event = self.log[self.part.position]
                self.part.read(event, place, out)
            self.part.read_up_to_ms = self.now
            self.part.fire(self.now, 100)
            self.part.conclude(self.now, out)
            self.store.write(self.part.cut(self.now))
            self.part.written()
            self.kept += [record for record in out if isinstance(record, Delayed)]
            if not self.append(out):
                return self.kept[begun:]

    def append(self, records: Sequence[Record]) -> bool:
        """The events among these reach the log; whether there were any."""
        events = [record for record in records if isinstance(record, Event)]
        for event in events:
            self.log.append((Place(len(self.log), self.now), event))
        return bool(events)

    def rows(self) -> dict[bytes, bytes]:
        """The states on disk."""
        return {key[-16:]: pack(decode_row(value).state) for key, value in self.store.iterate(*KEYS.states)}

    def lay(self, kept: list[Delayed]) -> None:
        """As a rebuild does."""
        for record in kept:
            again = DELAYED.decode(DELAYED.encode(record))
            self.part.restore(again.message_id, again if again.state else None, T0)


def scheduled(number: int = 1, **changes: object) -> Event:
    """A message that is due in an hour."""
    return accepted(message_id(number), plan(0.6, **{"send_at": LATER, "expires_at": LATER + HOUR_MS, **changes}))  # type: ignore[arg-type]


def asked(stage: str, until: int = 0, number: int = 1) -> Event:
    """The copy of a request."""
    return Event(ID, stage, status=stage, at=T0, detail=f"{number:032x}", until=until)


@pytest.mark.parametrize(("ahead_ms", "count"), [(delays.AHEAD_MS, 0), (delays.AHEAD_MS + 1, 1)])
def test_what_is_scheduled_ahead_is_kept(tmp_path: Path, ahead_ms: int, count: int) -> None:
    """More than a minute; whole, with its sealed parts."""
    kept = Desk(tmp_path).tell(scheduled(send_at=T0 + ahead_ms))
    assert len(kept) == count
    for record in kept:
        assert (record.message_id, record.lane, record.folded_offset) == (ID, "normal", 0)
        assert record.due_at == T0 + ahead_ms
        assert record.sealed == [b"sealed-x", b"sealed-y", b"sealed-z"]


def test_it_is_kept_again_when_moved_and_taken_back_when_final(tmp_path: Path) -> None:
    """Further away, nearer, and then cancelled."""
    desk = Desk(tmp_path)
    desk.tell(scheduled())
    assert [record.due_at for record in desk.tell(asked(Stage.RESCHEDULE_REQUESTED, LATER + 9))] == [LATER + 9]
    assert [bool(record.state) for record in desk.tell(asked(Stage.RESCHEDULE_REQUESTED, T0 + 9, 2))] == [True]
    assert desk.tell(asked(Stage.CANCEL_REQUESTED, 0, 3)) == [delays.gone(ID)]


def test_what_stays_open_for_two_days_is_kept(tmp_path: Path) -> None:
    """And again two days later, and taken back at its end, also by somebody who knows nothing of it."""
    desk = Desk(tmp_path)
    deferred = answer(ID, Stage.DEFERRED, "x", until=T0 + 4 * delays.OPEN_MS)
    assert desk.tell(accepted(ID, plan(0.6, expires_at=T0 + 9 * delays.OPEN_MS))) + desk.tell(deferred) == []
    for _ in range(2):
        desk.now += delays.OPEN_MS - 1
        assert desk.tell() == []
        desk.now += 1
        assert len(desk.tell()) == 1
    row = desk.part._messages.get(ID)
    assert row is not None
    row.kept_at = 0
    assert desk.tell(asked(Stage.CANCEL_REQUESTED)) == [delays.gone(ID)]


def test_a_usual_message_is_never_kept(tmp_path: Path) -> None:
    """Neither it nor its tombstone costs anything."""
    desk = Desk(tmp_path)
    answers = (answer(ID, Stage.SENDING, "x"), answer(ID, Stage.OUTCOME, "x", status="accepted"))
    assert desk.tell(accepted(ID, plan(0.6))) + desk.tell(*answers) == []


def test_what_comes_back_is_what_was_lost(tmp_path: Path) -> None:
    """Of many versions the last; ended ones stay away; due entries, lines and windows work as before."""
    desk = Desk(tmp_path / "lost")
    desk.tell(*(scheduled(number) for number in (1, 2, 3)))
    desk.tell(asked(Stage.RESCHEDULE_REQUESTED, T0 + 2 * HOUR_MS))
    desk.tell(Event(message_id(3), Stage.CANCEL_REQUESTED, status="cancel_requested", at=T0, detail="17"))
    again = Desk(tmp_path / "made anew")
    again.lay(desk.kept)
    again.log, again.part.position = desk.log, len(desk.log)
    again.tell()
    lost = {of: state for of, state in desk.rows().items() if of != message_id(3)}
    assert again.rows() == lost
    for one in (desk, again):
        one.now = LATER
        one.tell()
        assert [event.message_id for _, event in one.log if event.stage == Stage.ISSUED] == [message_id(2)]
    assert again.rows() == {of: state for of, state in desk.rows().items() if of != message_id(3)}


def test_events_that_are_in_the_state_are_not_folded_again(tmp_path: Path) -> None:
    """The log's last days lie on top: what is older than the record is passed over, what is younger counts."""
    desk = Desk(tmp_path / "lost")
    desk.tell(accepted(ID, plan(0.6, expires_at=T0 + 9 * delays.OPEN_MS)))
    desk.tell(answer(ID, Stage.SENDING, "x"), answer(ID, Stage.DEFERRED, "x", until=T0 + 3 * delays.OPEN_MS))
    desk.now += delays.OPEN_MS
    (kept,) = desk.tell()
    desk.tell(asked(Stage.CANCEL_REQUESTED))
    again = Desk(tmp_path / "made anew")
    again.lay([kept])
    for place, event in desk.log:
        again.part.read(event, place, None)
    again.tell()
    assert again.rows() == desk.rows()


def test_a_tombstone_takes_everything_away(tmp_path: Path) -> None:
    """Line, window and sealed parts of a message that waited; a tombstone of nobody is no fault."""
    desk = Desk(tmp_path)
    state = desk.part.state_of(ID)
    assert state is None
    source = Desk(tmp_path / "source")
    source.tell(accepted(ID, plan(0.5)))
    found = source.part.state_of(ID)
    assert found is not None
    desk.lay([delays.kept("normal", ID, found, [b"a", b"b", b"c"], 7), delays.gone(ID), delays.gone(message_id(2))])
    desk.tell()
    assert (desk.rows(), desk.part.backlog()) == ({}, {})
    assert desk.store.get(KEYS.sealed(ID)) is None


def test_a_message_of_which_only_the_end_is_missing_is_due_at_once(tmp_path: Path) -> None:
    """It would wait for its expiry otherwise."""
    desk = Desk(tmp_path)
    desk.part.read(scheduled(), Place(0, T0), None)
    desk.part.read(asked(Stage.CANCEL_REQUESTED), Place(1, T0), None)
    state = desk.part.state_of(ID)
    assert state is not None
    assert delays.first_due(state, T0 + 5) == T0 + 5


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes for days."""
    monkeypatch.setattr(delays, "AHEAD_MS", crash_asking.AHEAD_MS)
    monkeypatch.setattr(delays, "OPEN_MS", crash_asking.OPEN_MS)
    monkeypatch.setattr(fold, "MEMORY_MS", crash_asking.MEMORY_MS)
    monkeypatch.setattr(partition, "MEMORY_MS", crash_asking.MEMORY_MS)


def found_bad(found: Counter[str]) -> dict[str, int]:
    """The faults among what was found."""
    return {what: count for what, count in found.items() if count and not what.startswith("info")}


@pytest.mark.usefixtures("small_world")
@pytest.mark.parametrize("block", range(4))
def test_nobody_who_asks_is_told_what_is_not_true(block: int, tmp_path: Path) -> None:
    """Random crash histories with requests: none lost, nothing sent and called cancelled, disk = fold of the log."""
    found: Counter[str] = Counter()
    for seed in range(block * 2, block * 2 + 2):
        found += AskingHistory(seed, tmp_path / str(seed), steps=250).run()
    assert found_bad(found) == {}
    assert found["info: cancelled"]


@pytest.mark.usefixtures("small_world")
@pytest.mark.parametrize("seed", [3, 15])
def test_a_lost_disk_comes_back_though_the_log_is_cut_off(seed: int, tmp_path: Path) -> None:
    """Long histories: open messages come from delays alone, and are what the whole log says they are."""
    found = AskingHistory(seed, tmp_path, steps=800).run()
    assert found_bad(found) == {}
    assert found["info: log was cut off"]
    assert found["info: restored"]


@pytest.mark.usefixtures("small_world")
@pytest.mark.parametrize("seed", [13, 58])
def test_a_group_far_behind_tells_and_copies_everything(seed: int, tmp_path: Path) -> None:
    """So far that messages are to be forgotten before their end is told, and requests wait longer than is patient."""
    assert found_bad(AskingHistory(seed, tmp_path, steps=800).run()) == {}


def _restores_nothing(*_: object) -> None:
    return


@pytest.mark.usefixtures("small_world")
def test_a_rebuild_without_delays_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above turns red when nothing is laid down."""
    monkeypatch.setattr(Partition, "restore", _restores_nothing)
    assert found_bad(AskingHistory(12, tmp_path, steps=800).run())
