"""The door to RocksDB: batches are whole, scans are bounded, a second process waits and takes a folder of its own."""

from pathlib import Path

import pytest

from infra.state import Rows, Store, open_free, up_to
from schemas.errors import UnavailableError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty database."""
    return Store(tmp_path / "db")


def put(store: Store, *keys: bytes) -> None:
    """Write rows with these keys."""
    rows = Rows()
    for key in keys:
        rows.put(key, b"value of " + key)
    store.write(rows)


def test_rows_are_visible_when_written(store: Store) -> None:
    """A batch changes nothing until it is written, then all of it."""
    rows = Rows()
    rows.put(b"a", b"1")
    rows.put(b"b", b"2")
    rows.delete(b"a")
    assert len(rows) == 3
    assert store.get(b"b") is None
    store.write(rows)
    assert (store.get(b"a"), store.get(b"b")) == (None, b"2")


def test_scan_is_bounded(store: Store) -> None:
    """From the start on, before the end, at most so many."""
    put(store, b"a", b"b", b"c", b"d")
    assert [key for key, _ in store.scan(b"b", b"d")] == [b"b", b"c"]
    assert [key for key, _ in store.scan(b"a", b"d", 1)] == [b"a"]
    assert store.scan(b"x", b"z") == []


def test_delete_range_leaves_what_is_put_after_it(store: Store) -> None:
    """Order counts inside a batch."""
    put(store, b"a", b"b", b"c")
    rows = Rows()
    rows.delete_range(b"a", b"c")
    rows.put(b"b", b"new")
    store.write(rows)
    assert [key for key, _ in store.scan(b"a", b"z")] == [b"b", b"c"]


def test_rows_survive_reopening(tmp_path: Path) -> None:
    """What was written is there after the process is gone."""
    first = Store(tmp_path / "db")
    put(first, b"a")
    first.close()
    assert Store(tmp_path / "db").get(b"a") == b"value of a"


def test_a_held_folder_is_refused_with_a_remedy(store: Store) -> None:
    """Two processes never share a folder."""
    with pytest.raises(UnavailableError) as refused:
        Store(store.folder)
    assert refused.value.remedy


def test_a_second_process_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    """While the first holds its folder, the next free neighbour is taken; afterwards its own again."""
    first = open_free(tmp_path / "db", 0.0)
    second = open_free(tmp_path / "db", 0.0)
    assert (first.folder.name, second.folder.name) == ("db", "db.2")
    first.close()
    assert open_free(tmp_path / "db", 0.0).folder.name == "db"


def test_up_to_is_the_end_of_a_prefix() -> None:
    """Every key with the prefix is before it, the next prefix is not."""
    assert b"ab\xff\xff" < up_to(b"ab") == b"ac"
    assert up_to(b"a\xff") == b"b\x00"


def test_a_disk_that_cannot_be_written_is_unavailable(store: Store) -> None:
    """A closed database is told as what it is: nothing to dead-letter anybody for."""
    store.close()
    rows = Rows()
    rows.put(b"a", b"1")
    with pytest.raises(UnavailableError):
        store.write(rows)
