import json
from datetime import UTC, datetime

import msgspec
import pytest

from producers import http_wire
from producers.acknowledgement import NotAcknowledgedError
from producers.gateway.models import MessageBody
from producers.http_wire import Outbound
from producers.requests import MessageRequest
from schemas import ids
from schemas.errors import Permanent, Reason
from schemas.records import ContentPart, Source

NOW_MS = 1_700_000_000_000
SENT = Outbound("7", "r1", b"")


def test_a_request_s_body_is_what_the_gateway_reads() -> None:
    """Every member arrives; times keep their zone."""
    request = MessageRequest(
        type="lab_report", recipient=("patient_id", "P1"), personalisation={"item": "血常规"}, contact={"sms": "1"},
        content=[ContentPart("text", "a")], channels=["sms"], priority="bulk", send_at=datetime(2026, 1, 5, tzinfo=UTC),
        expires_at=NOW_MS, supersedes="r0", source=Source("LIS", "x", 5), reference="r1", traceparent="00-ab-cd-01",
    )  # fmt: skip
    sent = http_wire.outbound(request, "lis", NOW_MS)
    body = msgspec.json.decode(sent.body, type=MessageBody)
    assert (body.type, body.personalisation, body.contact) == ("lab_report", {"item": "血常规"}, {"sms": "1"})
    assert body.recipient is not None
    assert (body.recipient.id_value, body.content[0].text, body.priority) == ("P1", "a", "bulk")
    assert (body.send_at, body.expires_at) == (datetime(2026, 1, 5, tzinfo=UTC), NOW_MS)
    assert (body.source.time, body.supersedes, body.reference, body.message_id) == (5, "r0", "r1", "")
    assert (sent.message_id, sent.traceparent) == (ids.show(ids.from_reference("lis", "r1")), "00-ab-cd-01")


def test_without_a_reference_every_try_has_the_same_id() -> None:
    """The client mints it, so a second try cannot become a second message."""
    sent = http_wire.outbound(MessageRequest(type="x", recipient=("a", "b")), "lis", NOW_MS)
    assert json.loads(sent.body)["message_id"] == sent.message_id
    assert ids.minted_at(ids.parse(sent.message_id)) == NOW_MS


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_be_tried_again_says_under_which_id(status: int) -> None:
    """And when the gateway wants it back."""
    failure = http_wire.failure_of(status, {"Retry-After": "3"}, b"", SENT)
    assert isinstance(failure, NotAcknowledgedError)
    assert (failure.message_id, failure.reference, failure.retry_after_s) == ("7", "r1", 3.0)
    assert http_wire.wait_s(5, failure) == 3.0


def test_waits_grow_and_are_bounded() -> None:
    """Without the gateway's word; a gateway that asks for hours is asked again in seconds."""
    silent = http_wire.silence(SENT)
    assert [http_wire.wait_s(attempt, silent) for attempt in (0, 1, 2, 20)] == [0.2, 0.4, 0.8, 10.0]
    assert http_wire.wait_s(0, NotAcknowledgedError("", "7", "", 3600)) == 10.0


def test_a_refusal_is_permanent_with_the_gateway_s_word() -> None:
    """Reason, member and detail; an answer of somebody else in between is told by its status."""
    assert http_wire.failure_of(202, {}, b"", SENT) is None
    told = {"code": "missing_parameter", "detail": {"en": "x needs y"}, "source": {"pointer": "/personalisation/y"}}
    failure = http_wire.failure_of(400, {}, json.dumps({"errors": [told]}).encode(), SENT)
    assert isinstance(failure, Permanent)
    assert (failure.reason, failure.detail) == (Reason.MISSING_PARAMETER, "personalisation/y: x needs y")
    assert http_wire.refusal_of(404, b"<html>").detail == "the gateway answered 404"
    unheard_of = json.dumps({"errors": [{**told, "code": "unheard_of", "source": {}}]}).encode()
    assert http_wire.refusal_of(400, unheard_of).reason == Reason.PARAM_INVALID


def test_no_token_is_told_apart() -> None:
    """Wrong credentials are permanent, a gateway that is not ready is not."""
    assert http_wire.token_of(200, b'{"token":"t"}') == "t"
    with pytest.raises(NotAcknowledgedError):
        http_wire.token_of(503, b"")
    with pytest.raises(Permanent):
        http_wire.token_of(401, b"{}")


def test_a_pass_is_renewed_before_its_end_and_when_it_is_refused() -> None:
    """A minute before the hour is over; any other refusal leaves it alone."""
    held = http_wire.Pass("lis", "s")
    assert json.loads(held.asks) == {"app_key": "lis", "app_secret": "s"}
    assert held.is_stale(1_000.0)
    held.take(200, b'{"token":"t"}', 1_000.0)
    assert (held.is_stale(4_539.0), held.is_stale(4_540.0)) == (False, True)
    assert held.headers(SENT)["Authorization"] == "Bearer t"
    assert not held.is_refused(Permanent(Reason.TOKEN_SIGNATURE, "x"))
    assert not held.is_stale(1_001.0)
    assert held.is_refused(Permanent(Reason.TOKEN_EXPIRED, "x"))
    assert held.is_stale(1_001.0)
