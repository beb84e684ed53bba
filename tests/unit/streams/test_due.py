"""The due index: whatever is put is taken once it is due, in order, however writes, looks and trims are mixed."""

from collections import deque
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.state import Rows, Store
from streams import due as due_module
from streams.due import DueIndex
from streams.keys import Keys

KEYS = Keys(1, 2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty database."""
    return Store(tmp_path / "db")


class Bench:
    """An index with rows that are cut and written at different times, as settle does."""

    def __init__(self, store: Store) -> None:
        self.store, self.index, self.rows = store, DueIndex(store, KEYS), Rows()
        self.cuts: deque[Rows] = deque()

    def cut(self) -> None:
        """The rows so far are complete."""
        self.index.cut(self.rows)
        self.cuts.append(self.rows)
        self.rows = Rows()

    def write(self) -> None:
        """The oldest complete rows reach the disk."""
        if self.cuts:
            self.store.write(self.cuts.popleft())
            self.index.written()


def message(number: int) -> bytes:
    """An id."""
    return number.to_bytes(16, "big")


def test_earliest_first_and_each_once(store: Store) -> None:
    """Due entries come in order of their moment; what is not due stays."""
    bench = Bench(store)
    for due_ms, number in ((300, 1), (100, 2), (200, 3), (900, 4)):
        bench.index.arm(bench.rows, due_ms, message(number))
    bench.cut()
    bench.write()
    assert bench.index.is_due(100)
    assert bench.index.take(500, 2) == [(100, message(2)), (200, message(3))]
    assert bench.index.take(500, 2) == [(300, message(1))]
    assert bench.index.take(500, 2) == []
    assert not bench.index.is_due(899)
    assert bench.index.is_due(900)


def test_an_entry_before_the_cursor_is_found(store: Store) -> None:
    """A new moment that is earlier than what was taken already is not lost, also when it is written late."""
    bench = Bench(store)
    bench.index.arm(bench.rows, 500, message(1))
    bench.cut()
    bench.write()
    bench.index.arm(bench.rows, 100, message(2))
    bench.cut()
    assert bench.index.take(600, 9) == [(500, message(1))]
    bench.write()
    assert bench.index.is_due(600)
    assert (100, message(2)) in bench.index.take(600, 9)


def test_entries_of_another_partition_are_not_seen(store: Store) -> None:
    """A partition's index ends where its prefix ends."""
    other = DueIndex(store, Keys(1, 3))
    rows = Rows()
    other.arm(rows, 5, message(1))
    other.cut(rows)
    store.write(rows)
    assert DueIndex(store, KEYS).take(100, 9) == []


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, 60)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("write"), st.just(0)),
        st.tuples(st.just("take"), st.integers(0, 60)),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_nothing_armed_is_ever_missed(tmp_path: Path, steps: list[tuple[str, int]]) -> None:
    """Every entry is taken at least once after its moment, whatever was cut, written, taken and trimmed before."""
    folder = tmp_path / f"{abs(hash(str(steps)))}"
    bench = Bench(Store(folder))
    armed: set[tuple[int, bytes]] = set()
    taken: set[tuple[int, bytes]] = set()
    due_module_trim, due_module.TRIM_ENTRIES = due_module.TRIM_ENTRIES, 2  # type: ignore[misc]  # trim often
    try:
        for number, (what, moment) in enumerate(steps):
            if what == "arm":
                bench.index.arm(bench.rows, moment, message(number))
                armed.add((moment, message(number)))
            elif what == "cut":
                bench.cut()
            elif what == "write":
                bench.write()
            elif bench.index.is_due(moment):
                taken |= set(bench.index.take(moment, 3))
        bench.cut()
        while bench.cuts:
            bench.write()
        while bench.index.is_due(100):
            taken |= set(bench.index.take(100, 3))
        assert taken == armed
    finally:
        due_module.TRIM_ENTRIES = due_module_trim  # type: ignore[misc]  # as it was
        bench.store.close()
