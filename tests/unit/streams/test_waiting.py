"""The waiting lines: round-robin over applications, each line in order, the same after a restart."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.state import Rows, Store
from streams import waiting as waiting_module
from streams.due import NOTHING
from streams.keys import Keys
from streams.waiting import MAX_PAGES, PAGE_ENTRIES, Tally, WaitingLines

KEYS = Keys(2, 0)
A = ("a", "t")
B = ("b", "t")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty database."""
    return Store(tmp_path / "db")


def message(number: int) -> bytes:
    """An id."""
    return number.to_bytes(16, "big")


def queued(store: Store, *entries: tuple[str, int]) -> WaitingLines:
    """Lines of one channel with these (application, place), on disk."""
    lines, rows = WaitingLines(store, KEYS, []), Rows()
    for app_id, seq in entries:
        lines.add(rows, "sms", (app_id, "t"), (seq, message(seq)))
    lines.cut()
    store.write(rows)
    lines.written(max((seq for _, seq in entries), default=0))
    return lines


def drain(lines: WaitingLines, count: int = 1 << 30) -> list[int]:
    """The places taken, in order."""
    found: list[int] = []
    while len(found) < count and (entry := lines.take("sms")) is not None:
        found.append(entry[0])
    return found


def test_one_application_does_not_delay_another(store: Store) -> None:
    """The one message of B is the second to go, though A has hundreds before it."""
    lines = queued(store, *(("a", seq) for seq in range(1, 501)), ("b", 900))
    assert drain(lines, 3) == [1, 900, 2]


def test_a_line_longer_than_memory_keeps_its_order(store: Store) -> None:
    """Pages follow each other without a gap; new entries come last."""
    count = 3 * PAGE_ENTRIES
    lines = queued(store, *(("a", seq) for seq in range(1, count + 1)))
    assert drain(lines) == [*range(1, count + 1)]
    assert lines.take("sms") is None


def test_lines_are_the_same_after_a_restart(store: Store) -> None:
    """From the rows and the tallies of the checkpoint, without what left the line."""
    lines, rows = queued(store, *(("a", seq) for seq in range(1, 6)), ("b", 6)), Rows()
    assert drain(lines, 2) == [1, 6]
    lines.remove(rows, "sms", A, 1)
    store.write(rows)
    again = WaitingLines(store, KEYS, lines.tallies())
    assert again.backlog() == {("sms", "a"): 4, ("sms", "b"): 1}
    assert drain(again) == [2, 6, 3, 4, 5]


def test_what_comes_back_keeps_its_place(store: Store) -> None:
    """A message that lapsed stands before those that came after it."""
    lines, rows = queued(store, *(("a", seq) for seq in range(1, 6))), Rows()
    assert drain(lines, 3) == [1, 2, 3]
    lines.remove(rows, "sms", A, 2)
    lines.add(rows, "sms", A, (2, message(2)))
    lines.put_back("sms", A, (1, message(1)))
    assert drain(lines) == [1, 2, 4, 5]


def test_an_unwritten_entry_is_waited_for(store: Store) -> None:
    """What is not on disk yet is not taken for the end of the line."""
    lines = WaitingLines(store, KEYS, [Tally("sms", "a", 1, 7, "t")])
    rows = Rows()
    lines.add(rows, "sms", A, (9, message(9)))
    assert lines.take("sms") is None
    store.write(rows)
    assert lines.take("sms") == (9, message(9))


def test_a_flood_of_those_who_come_back_stays_on_disk(store: Store) -> None:
    """Thousands of old places, added in any order behind a newer one: some pages in memory, all of them taken."""
    lines, rows = queued(store, ("a", 100_000)), Rows()
    assert drain(lines) == [100_000]
    places = [number * 7_919 % 5_000 + 1 for number in range(5_000)]
    for seq in places:
        lines.add(rows, "sms", A, (seq, message(seq)))
    (line,) = lines._lines.values()
    assert len(line.head) <= MAX_PAGES * PAGE_ENTRIES
    lines.cut()
    store.write(rows)
    lines.written(100_000)
    assert line.strays == {}
    assert list(dict.fromkeys(drain(lines)))[:5_000] == sorted(places)


def test_a_paused_line_lets_others_pass(store: Store) -> None:
    """Of the same application; until its time, or until it is resumed."""
    lines, rows = queued(store, ("a", 1), ("a", 3)), Rows()
    lines.add(rows, "sms", ("a", "other"), (2, message(2)))
    lines.pause("sms", A, 500, "held")
    assert (lines.why_paused("sms", A, 499), lines.why_paused("sms", A, 500)) == ("held", "")
    assert (lines.next_resume("sms", 0), lines.next_resume("sms", 500)) == (500, NOTHING)
    assert lines.take("sms", 499) == (2, message(2))
    assert lines.take("sms", 499) is None
    assert lines.take("sms", 500) == (1, message(1))
    lines.pause("sms", A, 900, "down")
    lines.resume("sms", "held")
    assert lines.take("sms", 600) is None
    lines.resume("sms", "down")
    assert lines.take("sms", 600) == (3, message(3))


def test_types_of_an_application_share_its_turn(store: Store) -> None:
    """One with many types has no more turns than one with a single type."""
    lines, rows = WaitingLines(store, KEYS, []), Rows()
    for seq in range(1, 7):
        lines.add(rows, "sms", ("a", f"t{seq}"), (seq, message(seq)))
        lines.add(rows, "sms", B, (10 + seq, message(seq)))
    assert drain(lines, 6) == [1, 11, 2, 12, 3, 13]
    assert lines.backlog() == {("sms", "a"): 6, ("sms", "b"): 6}


def test_an_unknown_channel_has_nobody(store: Store) -> None:
    """A channel that never had a line."""
    assert queued(store).take("fax") is None


MOVES = st.lists(st.tuples(st.sampled_from(["add", "take", "back", "restart"]), st.sampled_from("ab")), max_size=50)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOVES)
def test_everybody_gets_a_turn(tmp_path: Path, moves: list[tuple[str, str]]) -> None:
    """However additions, returns and restarts are mixed, with pages of two: all that waits is taken, in order."""
    store = Store(tmp_path / f"{abs(hash(str(moves)))}")
    page, waiting_module.PAGE_ENTRIES = waiting_module.PAGE_ENTRIES, 2  # type: ignore[misc]  # page often
    try:
        lines, waiting, seq = WaitingLines(store, KEYS, []), dict[int, str](), 0
        for what, app_id in moves:
            rows = Rows()
            if what == "add":
                seq += 1
                lines.add(rows, "sms", (app_id, "t"), (seq, message(seq)))
                waiting[seq] = app_id
            elif what in ("take", "back") and (entry := lines.take("sms")) is not None and entry[0] in waiting:
                owner = waiting.pop(entry[0])
                lines.remove(rows, "sms", (owner, "t"), entry[0])
                if what == "back":
                    store.write(rows)
                    rows = Rows()
                    lines.add(rows, "sms", (owner, "t"), entry)
                    waiting[entry[0]] = owner
            lines.cut()
            store.write(rows)
            lines.written(seq)
            if what == "restart":
                lines = WaitingLines(store, KEYS, lines.tallies())
        assert sum(lines.backlog().values()) == len(waiting)
        rest = [place for place in drain(lines) if place in waiting]
        for app_id in "ab":
            of_app = list(dict.fromkeys(place for place in rest if waiting[place] == app_id))
            assert of_app == sorted(place for place, owner in waiting.items() if owner == app_id)
    finally:
        waiting_module.PAGE_ENTRIES = page  # type: ignore[misc]  # as it was
        store.close()
