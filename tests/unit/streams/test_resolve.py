"""Tests of resolving: who is meant, and where each channel reaches them."""

import pytest

from infra.crypto import recipient_key
from schemas.configuration import Address
from schemas.errors import Permanent, Reason
from schemas.records import Message, RecipientRef
from streams.resolve import Resolved, obstacle, resolve
from tests.hospital import KEYRING, MOBILE, OPTED_OUT, PATIENT, People, message

PSEUDONYMS = KEYRING.ring("pseudonym")


def found(one: Message) -> Resolved:
    """The message's recipient in a directory of two."""
    return resolve(one, People(PATIENT, OPTED_OUT), PSEUDONYMS)


def test_a_person_is_resolved_by_any_identifier() -> None:
    """The addresses are the person's, the pseudonym is of the identifier as sent."""
    by_id = found(message())
    by_mobile = found(message(recipient=RecipientRef("mobile", MOBILE)))
    assert by_id.addresses == by_mobile.addresses == {one.channel: one for one in PATIENT.addresses}
    assert by_id.recipient_key == recipient_key(PSEUDONYMS, "patient_id", "P1")
    assert by_mobile.recipient_key == recipient_key(PSEUDONYMS, "mobile", MOBILE)


@pytest.mark.parametrize(
    "asked", [None, RecipientRef(), RecipientRef("patient_id", ""), RecipientRef("patient_id", "P9")]
)
def test_nobody_is_unknown(asked: RecipientRef | None) -> None:
    """No recipient, an empty one, or one that the directory does not know."""
    with pytest.raises(Permanent) as refused:
        found(message(recipient=asked))
    assert refused.value.reason is Reason.RECIPIENT_UNKNOWN
    assert "P9" not in refused.value.detail


def test_a_given_address_goes_before_the_directorys() -> None:
    """Channel by channel."""
    both = found(message(contact={"sms": "13800001009"}))
    assert both.addresses["sms"] == Address("sms", "13800001009")
    assert both.addresses["webhook"].value == "app/P1"


def test_given_addresses_are_enough() -> None:
    """For somebody the directory does not know, or who is not named at all: always the same pseudonym."""
    unknown = found(message(recipient=RecipientRef("patient_id", "P9"), contact={"sms": "1"}))
    assert list(unknown.addresses) == ["sms"]
    unnamed = [found(message(recipient=None, contact={"webhook": "app/x", "sms": "1"})) for _ in range(2)]
    assert unnamed[0].recipient_key == unnamed[1].recipient_key != unknown.recipient_key


@pytest.mark.parametrize(
    ("address", "reason", "cause"),
    [
        (None, Reason.CONFIG_MISSING, "no address in this channel"),
        (Address("sms", ""), Reason.CONFIG_MISSING, "no address in this channel"),
        (Address("sms", "1", "opted_out"), Reason.RECIPIENT_OPTED_OUT, "as opted out"),
        (Address("sms", "1", "invalid"), Reason.RECIPIENT_INVALID, "as invalid"),
        (Address("sms", "1", "something new"), Reason.RECIPIENT_UNREACHABLE, "not to be used"),
        (Address("sms", "x" * 257), Reason.RECIPIENT_INVALID, "too long"),
        (Address("sms", "1380000\r\n1001"), Reason.RECIPIENT_INVALID, "control characters"),
        (Address("sms", "13800001001"), "", ""),
    ],
)
def test_an_address_that_cannot_be_used_says_why(address: Address | None, reason: str, cause: str) -> None:
    """Before anything is sent; never the address."""
    found = obstacle(address)
    assert (found.reason, cause in found.cause, bool(found.cause)) == (reason, True, bool(reason))
    assert "1380000" not in found.cause
