import pytest

from producers.outgoing import Dispatcher
from producers.requests import MessageRequest
from schemas import ids
from schemas.codec import MESSAGE
from schemas.errors import Permanent

NOW_MS = 1_700_000_000_000


def report(**more: str) -> MessageRequest:
    """A laboratory report for somebody."""
    return MessageRequest(type="lab_report", recipient=("patient_id", "P0001"), **more)  # type: ignore[arg-type]  # texts only


def test_a_request_becomes_a_record_of_its_lane() -> None:
    """The topic carries namespace and lane, the record the application and the id."""
    record = Dispatcher("lis", "h1", {"lab_report": "urgent"}).outgoing(report(reference="r1"), NOW_MS)
    message = MESSAGE.decode(record.value)
    assert (record.topic, record.lane, len(record.key)) == ("h1.messages.urgent", "urgent", 16)
    assert (message.app_id, message.message_id, message.created_at) == ("lis", record.message_id, NOW_MS)
    assert record.message_id == ids.show(ids.from_reference("lis", "r1"))


def test_without_reference_and_id_one_is_minted_from_the_time() -> None:
    """Version 7, so that whoever sees it knows how young it is."""
    record = Dispatcher("lis", "", {}).outgoing(report(), NOW_MS)
    assert ids.minted_at(ids.parse(record.message_id)) == NOW_MS


def test_what_no_intake_could_accept_is_refused() -> None:
    """Before anything is encoded."""
    with pytest.raises(Permanent, match="type"):
        Dispatcher("lis", "", {}).outgoing(MessageRequest(type=""), NOW_MS)
