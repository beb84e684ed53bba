"""Rows: what is changed stays in memory until it is on disk, what is cold is read again, what is forgotten is gone."""

from pathlib import Path

import pytest

from infra.state import Rows, Store
from streams import rows as rows_module
from streams.keys import Keys
from streams.message_state import first_state
from streams.rows import MessageRows, Row, decode_row, encode_row
from tests.factories import accepted, message_id, plan

KEYS = Keys(1, 0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty database."""
    return Store(tmp_path / "db")


def state(number: int) -> Row:
    """A row of the n-th message."""
    return Row(first_state(accepted(message_id(number), plan(0.5))), armed=number, released=2)


def add(messages: MessageRows, rows: Rows, number: int, sealed: bytes = b"s") -> Row:
    """Add the n-th message."""
    return messages.add(rows, message_id(number), state(number).state, [sealed])


def flush(store: Store, messages: MessageRows, rows: Rows) -> None:
    """Everything so far reaches the disk."""
    messages.cut(rows)
    store.write(rows)
    messages.written()


def test_a_row_survives_the_disk() -> None:
    """State and what belongs to it besides."""
    row = decode_row(encode_row(state(5)))
    assert (row.state, row.armed, row.released) == (state(5).state, 5, 2)


def test_a_row_that_is_kept_elsewhere_survives_too() -> None:
    """When, and which events are in it; rows without that stay as short as they were."""
    kept = state(5)
    kept.kept_at, kept.folded = 1_700_000_000_000, 77
    row = decode_row(encode_row(kept))
    assert (row.state, row.armed, row.released, row.kept_at, row.folded) == (kept.state, 5, 2, 1_700_000_000_000, 77)
    assert len(encode_row(kept)) == len(encode_row(state(5))) + 16


def test_changes_are_seen_before_they_are_written(store: Store) -> None:
    """And are on disk after."""
    messages, rows = MessageRows(store, KEYS), Rows()
    row = add(messages, rows, 1)
    assert messages.get(message_id(1)) is row
    assert MessageRows(store, KEYS).get(message_id(1)) is None
    flush(store, messages, rows)
    again = MessageRows(store, KEYS).get(message_id(1))
    assert again is not None
    assert again.state == row.state


def test_sealed_parts_are_kept_until_the_message_is_final(store: Store) -> None:
    """In memory, then from disk, then nowhere."""
    messages, rows = MessageRows(store, KEYS), Rows()
    row = add(messages, rows, 1, b"secret")
    flush(store, messages, rows)
    cold = MessageRows(store, KEYS)
    found = cold.get(message_id(1))
    assert found is not None
    assert messages.sealed_part(message_id(1), row, 0) == cold.sealed_part(message_id(1), found, 0) == b"secret"
    rows = Rows()
    cold.unseal(rows, message_id(1), found)
    store.write(rows)
    assert cold.sealed_part(message_id(1), found, 0) == b""


def test_forgotten_is_gone_at_once(store: Store) -> None:
    """Before the deletion is written, and after; a new message may take the id."""
    messages, rows = MessageRows(store, KEYS), Rows()
    add(messages, rows, 1)
    flush(store, messages, rows)
    rows = Rows()
    messages.forget(rows, message_id(1))
    assert messages.get(message_id(1)) is None
    flush(store, messages, rows)
    assert messages.get(message_id(1)) is None
    add(messages, Rows(), 1)
    assert messages.get(message_id(1)) is not None


def test_memory_is_bounded_and_never_drops_what_is_not_on_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cold rows leave memory and are read again with all that was changed; unwritten ones stay."""
    monkeypatch.setattr(rows_module, "HOT_ROWS", 8)
    messages, rows = MessageRows(store, KEYS), Rows()
    for number in range(20):
        add(messages, rows, number).state.app_id = f"app{number}"
    assert len(messages._hot) == 20
    flush(store, messages, rows)
    assert len(messages._hot) == 6
    late, rows = Rows(), Rows()
    changed = messages.get(message_id(19))
    assert changed is not None
    changed.state.app_id = "changed"
    messages.change(message_id(19), changed)
    messages.cut(rows)
    for number in range(20, 40):
        add(messages, late, number)
    messages.cut(late)
    store.write(rows)
    messages.written()
    assert all(messages.get(message_id(number)) is not None for number in range(40))
    found = messages.get(message_id(19))
    assert found is not None
    assert found.state.app_id == "changed"


def test_sealed_parts_are_bounded_by_their_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages with much to say do not fill the memory."""
    monkeypatch.setattr(rows_module, "HOT_SEALED_BYTES", 4_000)
    messages, rows = MessageRows(store, KEYS), Rows()
    for number in range(10):
        add(messages, rows, number, bytes(1_000))
    flush(store, messages, rows)
    assert messages._sealed_bytes <= 3_000
    row = messages.get(message_id(0))
    assert row is not None
    assert messages.sealed_part(message_id(0), row, 0) == bytes(1_000)
