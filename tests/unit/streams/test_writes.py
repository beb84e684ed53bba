"""Writes: in the order of the log whatever is acknowledged first, and nothing after giving up."""

from pathlib import Path

import pytest

from infra.state import Rows, Store
from streams.writes import Cell, Writes


class Bench:
    """Three cells and what becomes of them."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "db")
        self.told: list[str] = []
        self.writes = Writes(self.store, lambda: self.told.append("written"))
        self.cells = [self.add(name) for name in "abc"]

    def add(self, name: str) -> Cell:
        """A cell with one row."""
        rows = Rows()
        rows.put(name.encode(), b"1")
        return self.writes.add(rows, lambda: self.told.append(name))

    def on_disk(self) -> str:
        """The rows that are there."""
        return b"".join(key for key, _ in self.store.iterate(b"a", b"z")).decode()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Nothing acknowledged yet."""
    return Bench(tmp_path)


def test_a_later_one_waits_for_the_earlier(bench: Bench) -> None:
    """Acknowledged out of order, written in order; each is told after it is on disk."""
    bench.writes.acknowledge(bench.cells[1])
    assert bench.on_disk() == ""
    bench.writes.acknowledge(bench.cells[0])
    assert bench.on_disk() == "ab"
    assert bench.told == ["written", "a", "written", "b"]
    bench.writes.acknowledge(bench.cells[2])
    assert bench.on_disk() == "abc"


def test_nothing_is_written_after_giving_up(bench: Bench) -> None:
    """Whoever waits is let go; what is acknowledged later stays out of the disk."""
    bench.writes.give_up()
    for cell in bench.cells:
        bench.writes.acknowledge(cell)
    assert bench.on_disk() == ""
    assert bench.told == ["a", "b", "c"]
