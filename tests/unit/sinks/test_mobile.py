"""Mainland mobile numbers, however they are written."""

import pytest

from schemas.errors import Permanent, Reason
from sinks.mobile import mobile_of


@pytest.mark.parametrize("address", ["13800130000", "+8613800130000", "86 138-0013-0000", "008613800130000"])
def test_takes_every_way_to_write_a_mobile(address: str) -> None:
    """What comes out are the 11 digits."""
    assert mobile_of(address) == "13800130000"


@pytest.mark.parametrize(
    "address", ["", "12345", "+14155550100", "1380013000", "138001300000", "13800130000,13800130001"]
)
def test_refuses_what_is_no_mainland_mobile(address: str) -> None:
    """A wrong number ends the attempt as the recipient's fault, and is not told on."""
    with pytest.raises(Permanent) as caught:
        mobile_of(address)
    assert caught.value.reason is Reason.RECIPIENT_INVALID
    assert not address or address not in str(caught.value)
