from typing import Any

import pytest

from infra.queries import TraceEvent
from infra.standing import standing
from producers.gateway.cancel import goes_on, request_of, verdict
from producers.gateway.problems import Refused
from schemas import ids
from tests.answers import event, fact

ID = ids.show(ids.mint(1_700_000_000_000, bytes(10)))


def test_asking_twice_is_one_request() -> None:
    """The request's id follows from the message's; who asks and in which lane is in it."""
    first, second = (request_of(ID, "his", "urgent", now_ms) for now_ms in (1, 2))
    assert first.request_id == second.request_id != request_of(ids.show(bytes(16)), "his", "urgent", 1).request_id
    assert (first.kind, first.message_id, first.app_id, first.lane) == ("cancel", ids.parse(ID), "his", "urgent")


@pytest.mark.parametrize(
    "events",
    [
        [event("accepted")],
        [event("accepted"), event("issued", channel="sms")],
        [event("accepted"), event("sending", channel="sms"), event("outcome", channel="sms", status="failed")],
        [event("accepted"), event("sending", channel="sms"), event("deferred", channel="sms")],
    ],
)
def test_nothing_is_promised_before_the_trace_shows_it(events: list[TraceEvent]) -> None:
    """Open, and nobody has begun a call that may still succeed."""
    assert verdict(ID, standing([], events), events) is None
    assert verdict(ID, None, []) is None


def test_a_cancelled_message_is_said_to_be_so() -> None:
    """200, whoever cancelled it."""
    found = verdict(ID, standing([fact(status="cancelled")], []), [])
    assert found is not None
    assert (found.status, found.body.status) == (200, "cancelled")


@pytest.mark.parametrize(
    ("facts", "events"),
    [
        ([fact(status="delivered")], []),
        ([fact(status="failed")], []),
        ([], [event("accepted"), event("sending", channel="sms")]),
        ([], [event("accepted"), event("sending", channel="sms"), event("outcome", channel="sms", status="accepted")]),
        ([], [event("accepted"), event("sending", channel="sms"), event("unknown", channel="sms")]),
    ],
)
def test_a_claim_wins(facts: list[Any], events: list[TraceEvent]) -> None:
    """What has ended or was begun cannot be called back: 409."""
    with pytest.raises(Refused) as raised:
        verdict(ID, standing(facts, events), events)
    assert (raised.value.status, raised.value.problems[0].code) == (409, "too_late")


def test_the_first_of_a_series_takes_the_others_with_it() -> None:
    """A later one, and a message that does not repeat, take nobody along."""
    assert goes_on(ID, [event("accepted", detail="1/7")])
    assert not goes_on(ID, [event("accepted", detail=f"2/7 of {ids.show(bytes(16))}")])
    assert not goes_on(ID, [event("accepted")])
