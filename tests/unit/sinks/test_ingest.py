import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

import fastavro
import pytest

from infra.clickhouse import RefusedRowsError
from schemas import codec
from schemas.codec import EVENT
from schemas.errors import Reason, UnavailableError
from sinks.ingest import COLUMNS, Ingest, bisect
from tests import factories


def encoded(number: int) -> bytes:
    """The bytes of the event of the n-th message."""
    return EVENT.encode(factories.answer(factories.message_id(number), "outcome", "sms", accepted_at=factories.T0))


class Table:
    """A store's table in memory: refuses a container that fastavro cannot read, or that holds a banned message."""

    def __init__(self, banned: frozenset[bytes] = frozenset()) -> None:
        self.ids: list[bytes] = []
        self.banned = banned
        self.inserts = 0
        self.log: list[str] = []

    def insert_avro(self, table: str, columns: Sequence[str], container: bytes) -> None:
        """See `infra.clickhouse.Store`."""
        self.inserts += 1
        try:
            records = cast("list[dict[str, bytes]]", list(fastavro.reader(io.BytesIO(container))))
            found = [record["message_id"] for record in records]
        except Exception:  # noqa: BLE001 - fastavro raises whatever the bytes make it stumble over
            raise RefusedRowsError(Reason.DECODE_ERROR, "cannot read") from None
        if self.banned & set(found):
            raise RefusedRowsError(Reason.DECODE_ERROR, "cannot store")
        self.ids += found
        self.log.append("rows")

    def mark(self, days: Iterable[date]) -> None:
        """See `infra.rollup.mark`."""
        self.log.append(",".join(day.isoformat() for day in days))


def ids_of(values: Iterable[bytes]) -> list[bytes]:
    """The message ids in these values."""
    return [value[codec.HEAD_BYTES :][:16] for value in values]


def test_rows_come_before_the_mark() -> None:
    """A rebuild that sees the mark must see the rows."""
    table = Table()
    values = [encoded(number) for number in range(5)]
    assert Ingest(table, table.mark).write(values) == []
    assert table.ids == ids_of(values)
    assert table.log == ["rows", "2023-11-15"]


def test_nothing_is_marked_when_the_store_is_away() -> None:
    """The caller writes the whole batch again, and the mark comes then."""
    marked: list[object] = []

    class Away:
        def insert_avro(self, table: str, columns: Sequence[str], container: bytes) -> None:
            raise UnavailableError("gone")

    with pytest.raises(UnavailableError):
        Ingest(Away(), marked.append).write([encoded(1)])
    assert marked == []


@pytest.mark.parametrize("at", [0, 250, 499])
@pytest.mark.parametrize("cut", [1, 7, 40])
def test_one_poison_value_costs_only_itself(at: int, cut: int) -> None:
    """A value that ends too early is named; the 499 others are stored."""
    table = Table()
    values = [encoded(number) for number in range(500)]
    values[at] = values[at][:-cut]
    assert Ingest(table, table.mark).write(values) == [at]
    assert sorted(table.ids) == sorted(ids_of(values[:at] + values[at + 1 :]))
    assert table.inserts <= 2


def test_a_row_that_only_the_store_refuses_is_found_by_halving() -> None:
    """Readable for us, refused by the store: found, and the others are stored."""
    values = [encoded(number) for number in range(64)]
    table = Table(banned=frozenset(ids_of([values[17], values[40]])))
    assert Ingest(table, table.mark).write(values) == [17, 40]
    assert sorted(table.ids) == sorted(ids_of(values[at] for at in range(64) if at not in (17, 40)))


def test_a_batch_of_only_poison_marks_nothing() -> None:
    """No rows, no dirty day."""
    table = Table()
    assert Ingest(table, table.mark).write([encoded(1)[:-3], encoded(2)[:-3]]) == [0, 1]
    assert table.log == []


def test_known_is_what_begins_like_an_event() -> None:
    """Absent values, other records and garbage are not events."""
    ingest = Ingest(Table(), lambda _: None)
    assert ingest.knows(encoded(1))
    assert not any(ingest.knows(value) for value in (None, b"", b"\xc3\x01", b"{}", codec.MESSAGE.head + b"x"))


def test_every_column_is_a_field_of_the_event() -> None:
    """A column that no schema fills would stay empty for ever."""
    fields = {field["name"] for field in codec.released()["event"][1]["fields"]}
    assert set(COLUMNS) - {"head"} <= fields
    assert fields - set(COLUMNS) == {"claim_by", "plan"}


def test_halving_asks_little() -> None:
    """One refused in 1,024 costs at most two questions a halving."""
    asked: list[int] = []

    def is_taken(part: list[int]) -> bool:
        asked.append(len(part))
        return 700 not in part

    assert bisect(list(range(1024)), is_taken) == [700]
    assert len(asked) <= 21
