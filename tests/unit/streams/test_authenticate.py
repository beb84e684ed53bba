"""Tests of the first step: the token in the header, and the application's grants."""

import msgspec
import pytest

from schemas.configuration import DISABLED
from schemas.errors import Permanent, Reason
from schemas.records import Message
from streams.authenticate import authorise, bearer, is_granted
from tests.hospital import APP, kind, message, snapshot


def reason_of(one: Message, **app: object) -> Reason:
    """The reason why the application may not send it."""
    with pytest.raises(Permanent) as refused:
        authorise(one, snapshot(kind(), kind("off", status=DISABLED), app=msgspec.structs.replace(APP, **app)))
    return refused.value.reason


def test_the_token_is_taken_from_its_header() -> None:
    """The scheme in any case, spaces around the token."""
    assert bearer([("traceparent", b"x"), ("authorization", b"Bearer abc ")]) == "abc"
    assert bearer([("authorization", b"bearer abc")]) == "abc"


@pytest.mark.parametrize(
    "headers", [[], [("authorization", b"")], [("authorization", None)], [("Authorization", b"x")]]
)
def test_no_header_is_no_token(headers: list[tuple[str, bytes | None]]) -> None:
    """Header names of Kafka are compared to the letter."""
    assert bearer(headers) == ""


@pytest.mark.parametrize(
    "headers", [[("authorization", b"abc")], [("authorization", b"Basic abc")], [("authorization", b"Bearer a")] * 2]
)
def test_another_header_is_malformed(headers: list[tuple[str, bytes | None]]) -> None:
    """Another scheme, or two tokens of which one might be the good one."""
    with pytest.raises(Permanent) as refused:
        bearer(headers)
    assert refused.value.reason is Reason.TOKEN_MALFORMED


def test_bytes_that_are_no_text_do_not_crash() -> None:
    """They fail later, as a malformed token."""
    assert bearer([("authorization", b"Bearer \xff\xfe")])


def test_a_granted_message_is_let_through() -> None:
    """The application and the type are handed on."""
    app, one = authorise(message(), snapshot())
    assert (app.app_id, one.type) == ("lis", "lab_report")


def test_every_refusal_of_the_grants() -> None:
    """Each with its own word."""
    assert reason_of(message(type="nope")) is Reason.TYPE_UNKNOWN
    assert reason_of(message(type="off")) is Reason.TYPE_DISABLED
    assert reason_of(message(), types=["other"]) is Reason.TYPE_NOT_GRANTED
    assert reason_of(message(), types=[]) is Reason.TYPE_NOT_GRANTED
    assert reason_of(message(contact={"sms": "13800001009"})) is Reason.CHANNEL_NOT_GRANTED


def test_contact_needs_its_grant() -> None:
    """Only then may the sender give addresses."""
    granted = snapshot(app=msgspec.structs.replace(APP, contact=True))
    assert authorise(message(contact={"sms": "13800001009"}), granted)


def test_a_star_grants_everything() -> None:
    """And an empty list nothing."""
    assert is_granted(["*"], "sms")
    assert is_granted(["sms"], "sms")
    assert not is_granted([], "sms")
    assert not is_granted(["SMS"], "sms")
