"""The signed webhook: the standard's vector, the request, what an endpoint's answers mean."""

import base64
import json

import pytest
from msgspec import structs

from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Content
from schemas.statuses import Status
from sinks.channel import Accepted, Answer, Request, Stamp, UnknownOutcome
from sinks.channels.webhook_standard import WebhookStandard, body_of, secret_bytes, signature
from tests.channel_samples import ACCEPTED_AT, ChannelSample, channel_of, delivery

SECRET = "whsec_bWVkcG9zdC1kZW1vLXdlYmhvb2stc2VjcmV0LTAx"
OTHER = "whsec_" + base64.b64encode(b"another secret of enough bytes").decode()
SAMPLE = ChannelSample(
    channel="webhook",
    provider="standard",
    path="/webhook",
    settings={},
    secrets={"secret": SECRET},
    wrong_secrets={"secret": OTHER},
    address="app/x-{tail}",
    bad_address="https://elsewhere.example/steal",
    content=Content(kind="text", title="危急值", text="3A 病区 12 床 血钾 7.1 mmol/L", parameters={"bed": "12"}),
    unknown_code="451",
)
STAMP = Stamp(1_767_323_045_678, "0" * 32)


def channel(secret: str = SECRET) -> WebhookStandard:
    """The channel with the sample's settings."""
    made = channel_of(SAMPLE, "http://hospital.example/hooks/", secrets={"secret": secret})
    assert isinstance(made, WebhookStandard)
    return made


def built(content: Content | None = None, secret: str = SECRET, attempt: int = 1) -> Request:
    """The request for the sample."""
    found = content or structs.replace(SAMPLE.content, address="ward/3a")
    return channel(secret).build_request(delivery(channel="webhook", attempt=attempt), found, STAMP)


def judged(status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> Accepted:
    """What an answer means."""
    return channel().classify_response(Answer(status, headers or {}, body, ACCEPTED_AT))


def test_signs_as_the_standard_does() -> None:
    """The standard's own example comes out to the letter."""
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_addresses_an_endpoint_below_the_base_url() -> None:
    """The endpoint's name is joined to the base URL with one slash."""
    assert built().url == "http://hospital.example/hooks/ward/3a"


@pytest.mark.parametrize(
    "address",
    ["", "/ward", "ward/", "ward//3a", "../admin", "ward/..", "http://evil.example", "a b", "ward/3a?x=1", "a@b"],
)
def test_refuses_addresses_that_could_leave_the_base_url(address: str) -> None:
    """A message can never be sent to a host that the configuration does not name."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content, address=address))
    assert caught.value.reason is Reason.RECIPIENT_INVALID


def test_tells_every_attempt_alike() -> None:
    """Body and webhook-id of a second attempt are equal to the byte, so that the endpoint recognises it."""
    first, second = built(), built(attempt=2)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert first.idempotency_key == delivery().provider_key.hex()


def test_a_call_that_may_be_a_second_says_so() -> None:
    """In a header beside the id, which is the first one's; the body stays as it was."""
    first, again = (
        channel().build_request(
            delivery(channel="webhook", possible_duplicate=flag),
            structs.replace(SAMPLE.content, address="ward/3a"),
            STAMP,
        )
        for flag in (False, True)
    )
    assert "webhook-possible-duplicate" not in first.headers
    assert again.headers == {**first.headers, "webhook-possible-duplicate": "true"}
    assert again.body == first.body


def test_tells_what_a_workstation_shows() -> None:
    """The body is the standard's: type, timestamp, data."""
    told = json.loads(built().body)
    assert told["type"] == "message.created"
    assert told["timestamp"] == "2025-10-09T08:53:20.000Z"
    assert told["data"]["text"] == SAMPLE.content.text
    assert told["data"]["message_id"] == "00000000-0000-0000-0000-000000000001"


def test_signs_with_every_live_secret() -> None:
    """While a secret is being changed, both verify."""
    entries = built(secret=f"{SECRET} {OTHER}").headers["webhook-signature"].split()
    one = delivery(channel="webhook")
    body = body_of(one, structs.replace(SAMPLE.content, address="ward/3a"))
    at_s = STAMP.now_ms // 1000
    wanted = [signature(secret_bytes(secret), one.provider_key.hex(), at_s, body) for secret in (SECRET, OTHER)]
    assert entries == wanted


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_***", "whsec_" + base64.b64encode(b"x" * 65).decode()]
)
def test_refuses_a_secret_that_the_standard_forbids(secret: str) -> None:
    """Said at start, naming the setting, and never showing the secret."""
    with pytest.raises(Permanent) as caught:
        channel(secret)
    assert caught.value.reason is Reason.CONFIG_MISSING
    assert "setting secret" in caught.value.detail
    assert not secret or secret not in caught.value.detail.replace("whsec_", "", 1) or secret == "whsec_"


def test_refuses_a_body_larger_than_the_standard_advises() -> None:
    """The limit is data in the codes file."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content, address="ward/3a", text="字" * 7_000))
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("status", [200, 201, 202, 204, 409])
def test_a_2xx_proves_delivery_and_so_does_a_recognised_repeat(status: int) -> None:
    """What the body says does not matter."""
    accepted = judged(status, b"", {"webhook-receipt": "r1"})
    assert accepted == Accepted("r1", Status.DELIVERED, str(status))


@pytest.mark.parametrize(
    ("status", "body", "reason", "kind"),
    [
        (301, b"", Reason.CONFIG_MISSING, Permanent),
        (400, b"", Reason.PARAM_INVALID, Permanent),
        (401, b"", Reason.AUTH_CONFIG, Permanent),
        (410, b"", Reason.RECIPIENT_INVALID, Permanent),
        (422, b"", Reason.CONTENT_REJECTED, Permanent),
        (429, b"", Reason.RATE_LIMITED, Transient),
        (451, b"", Reason.UNMAPPED, Permanent),
        (503, b"busy", Reason.TRANSIENT, Transient),
        (503, b"", Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (507, b"?", Reason.UNKNOWN_OUTCOME, UnknownOutcome),
    ],
)
def test_classifies_by_status(status: int, body: bytes, reason: Reason, kind: type[MedpostError]) -> None:
    """A 5xx that says nothing leaves open whether the endpoint took it."""
    with pytest.raises(kind) as caught:
        judged(status, body)
    assert caught.value.reason is reason
