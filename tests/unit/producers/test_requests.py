from datetime import UTC, datetime

import pytest

from producers import requests
from producers.requests import MessageRequest
from schemas.errors import Permanent, Reason
from schemas.records import RecipientRef

GOOD = {"type": "lab_report", "recipient": ("patient_id", "P0001"), "personalisation": {"item": "血常规"}}


def test_a_request_becomes_a_record() -> None:
    """Every field finds its place, and times become UTC milliseconds."""
    fields = {**GOOD, "reference": "r", "expires_at": datetime(2026, 1, 1, tzinfo=UTC), "send_at": 5}
    message = requests.as_message(requests.from_fields(fields), "lis", "id", 7)
    assert (message.app_id, message.type, message.message_id, message.created_at) == ("lis", "lab_report", "id", 7)
    assert message.recipient == RecipientRef("patient_id", "P0001")
    assert (message.expires_at, message.send_at) == (1_767_225_600_000, 5)


def test_an_explicit_contact_needs_no_recipient() -> None:
    """A sender that may give addresses itself names nobody of the directory."""
    request = requests.from_fields({"type": "t", "contact": {"sms": "13800009999"}})
    assert requests.as_message(request, "a", "", 0).recipient is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": ""}, "type"),
        ({"recipient": ("patient_id", "")}, "recipient"),
        ({"personalisation": {"item": 5}}, "personalisation"),
        ({"priority": "high"}, "urgent, normal, bulk"),
        ({"reference": "x" * 257}, "reference"),
        ({"channel": "sms"}, "channel"),
        ({"send_at": "tomorrow"}, "send_at"),
        ({"expires_at": -1}, "expires_at"),
        ({"reference": "a\tb"}, "reference"),
        ({"personalisation": {"item": "\ud800"}}, "surrogate"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(change: dict[str, object], named: str) -> None:
    """The error says which field; what was in it may be somebody's name."""
    with pytest.raises(Permanent) as refused:
        requests.from_fields({**GOOD, **change})
    assert refused.value.reason is Reason.PARAM_INVALID
    assert named in refused.value.detail
    assert "P0001" not in str(refused.value)


def test_a_time_without_zone_is_refused() -> None:
    """Half past two means nothing without where."""
    noon = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - the point of the test
    with pytest.raises(Permanent, match="send_at"):
        requests.from_fields({**GOOD, "send_at": noon})


def test_the_digest_tells_requests_apart() -> None:
    """Who, what and every value count; the order in which values were given does not."""
    one = MessageRequest(type="t", recipient=("a", "b"), personalisation={"x": "1", "y": "2"})
    same = MessageRequest(type="t", recipient=("a", "b"), personalisation={"y": "2", "x": "1"})
    others = [
        MessageRequest(type="u", recipient=("a", "b"), personalisation={"x": "1", "y": "2"}),
        MessageRequest(type="t", recipient=("a", "c"), personalisation={"x": "1", "y": "2"}),
        MessageRequest(type="t", recipient=("a", "b"), personalisation={"x": "1", "y": "3"}),
        MessageRequest(type="t", recipient=("a", "b"), personalisation={"x": "1y", "": "2"}),
    ]
    assert requests.digest(one, "p") == requests.digest(same, "p") != requests.digest(one, "q")
    assert len({requests.digest(request) for request in [one, *others]}) == 5
