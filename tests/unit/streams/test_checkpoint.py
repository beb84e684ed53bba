"""The checkpoint: kept with the rows, believed only while it fits the log."""

from pathlib import Path

import msgspec
import pytest

from infra.state import Rows, Store
from streams.checkpoint import MAX_AGE_MS, Checkpoint, checkpoint_of, clear, fitting
from streams.keys import Keys
from streams.waiting import Tally
from tests.factories import T0, message_id

KEYS = Keys(1, 4)
OF = ("events.normal", 4)


class Log:
    """A log from 100 to 200; what is younger than 73 h begins at 150."""

    async def begin_offset(self, *_: object) -> int:
        """The first offset."""
        return 100

    async def end_offset(self, *_: object) -> int:
        """The end."""
        return 200

    async def offset_for_time(self, _topic: str, _partition: int, ts_ms: int) -> int:
        """The first offset of that time."""
        assert ts_ms == T0 - 73 * 3_600_000
        return 150


def store_with(folder: Path, position: int, written_at: int = T0) -> Store:
    """A disk with a checkpoint and a row."""
    store, rows = Store(folder / "db"), Rows()
    Checkpoint(position, written_at, {"sms": 3}, [Tally("sms", "his", 1, 7)], 12).put(rows, KEYS)
    rows.put(KEYS.state(message_id(1)), b"row")
    store.write(rows)
    return store


def test_it_comes_back_whole(tmp_path: Path) -> None:
    """Position, time, flights and lines."""
    found = checkpoint_of(store_with(tmp_path, 120), KEYS)
    assert found == Checkpoint(120, T0, {"sms": 3}, [Tally("sms", "his", 1, 7)], 12)
    assert not found.is_fresh


def test_an_older_one_is_readable(tmp_path: Path) -> None:
    """It does not know the position in `requests`."""
    store, rows = Store(tmp_path / "db"), Rows()
    rows.put(KEYS.checkpoint, msgspec.msgpack.encode([120, T0, {"sms": 3}, []]))
    store.write(rows)
    assert checkpoint_of(store, KEYS) == Checkpoint(120, T0, {"sms": 3}, [], -1)


async def test_rows_of_another_layout_are_thrown_away(tmp_path: Path) -> None:
    """What an older release wrote under another key is not found: all of it is made anew."""
    store, rows = Store(tmp_path / "db"), Rows()
    rows.put(KEYS.prefix + b"o", msgspec.msgpack.encode([120, T0, {"sms": 3}, []]))
    rows.put(KEYS.state(message_id(1)), b"row")
    store.write(rows)
    assert await fitting(store, KEYS, Log(), OF, T0) == Checkpoint(150)
    assert store.scan(KEYS.prefix, KEYS.end, 10) == []


async def test_nothing_that_nobody_has_read_is_passed_over(tmp_path: Path) -> None:
    """Down for a week, the rows are too old; the log is read from where they end, not only its last days."""
    store = store_with(tmp_path, 120, T0 - MAX_AGE_MS - 1)
    found = await fitting(store, KEYS, Log(), OF, T0)
    assert (found.position, found.is_fresh) == (120, True)


@pytest.mark.parametrize("position", [100, 170, 200])
async def test_within_the_log_it_is_believed(tmp_path: Path, position: int) -> None:
    """Also at its very beginning and end."""
    store = store_with(tmp_path, position, T0 - MAX_AGE_MS)
    assert (await fitting(store, KEYS, Log(), OF, T0)).position == position
    assert store.get(KEYS.state(message_id(1))) == b"row"


@pytest.mark.parametrize(("position", "written_at"), [(99, T0), (201, T0), (170, T0 - MAX_AGE_MS - 1)])
async def test_outside_the_log_or_too_old_everything_begins_anew(
    tmp_path: Path, position: int, written_at: int
) -> None:
    """As far back as messages are remembered, without the old rows."""
    store = store_with(tmp_path, position, written_at)
    assert await fitting(store, KEYS, Log(), OF, T0) == Checkpoint(150)
    assert list(store.iterate(KEYS.prefix, KEYS.end)) == []


async def test_an_empty_disk_begins_within_the_memory(tmp_path: Path) -> None:
    """As after a lost one."""
    assert await fitting(Store(tmp_path / "db"), KEYS, Log(), OF, T0) == Checkpoint(150)


def test_clear_leaves_other_partitions_alone(tmp_path: Path) -> None:
    """Only the rows of this one are thrown away."""
    store, rows = store_with(tmp_path, 1), Rows()
    rows.put(Keys(1, 5).checkpoint, b"other")
    store.write(rows)
    clear(store, KEYS)
    assert checkpoint_of(store, KEYS) is None
    assert store.get(Keys(1, 5).checkpoint) == b"other"
