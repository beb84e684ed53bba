import io

import fastavro
import pytest

from schemas import codec
from schemas.codec import EVENT
from sinks.container import Container, zigzag
from tests import factories

VALUES = [
    EVENT.encode(factories.accepted(factories.message_id(1), factories.plan())),
    EVENT.encode(factories.answer(factories.message_id(2), "outcome", "sms", status="accepted", worker="工")),
    EVENT.encode(factories.answer(factories.message_id(3), "completed", "sms", text_hash=bytes(range(16)))),
]


def records_of(container: bytes) -> list[dict[str, object]]:
    """What fastavro finds in a container."""
    return list(fastavro.reader(io.BytesIO(container)))  # type: ignore[arg-type]


def test_another_reader_finds_every_record_and_its_head() -> None:
    """What fastavro reads out of the container equals what it reads out of each value."""
    found = records_of(Container("event").join(EVENT.head, VALUES))
    heads = {record.pop("head") for record in found}
    versions, alone = codec.released()["event"], []
    for value in VALUES:
        body = io.BytesIO(value[codec.HEAD_BYTES :])
        alone.append(fastavro.schemaless_reader(body, versions[max(versions)], None))
    assert heads == {EVENT.head}
    assert found == alone


def test_an_empty_container_is_a_container() -> None:
    """No value at all is still a readable file."""
    assert records_of(Container("event").join(EVENT.head, [])) == []


def test_only_released_heads_are_known() -> None:
    """A head of another record, or of nothing, is not an event's."""
    container = Container("event")
    assert container.knows(EVENT.head)
    assert not container.knows(codec.MESSAGE.head)
    assert not container.knows(b"")


def test_a_value_of_another_schema_is_refused() -> None:
    """A head without a schema has no container."""
    with pytest.raises(KeyError):
        Container("event").join(codec.MESSAGE.head, VALUES)


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (1, "02"), (63, "7e"), (64, "8001"), (8191, "fe7f"), (8192, "808001"), (50_000, "a08d06")],
)
def test_counts_are_written_as_avro_writes_a_long(number: int, written: str) -> None:
    """Zigzag and base 128, as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    assert zigzag(number).hex() == written == out.getvalue().hex()
