"""Mainland mobile numbers, however they are written: the 11 digits that every mainland provider starts from.

Called by the SMS channels, each of which puts them into its vendor's form. Never tells a number on: not even in the
error that refuses it.
"""

import re
from typing import Final

from schemas.errors import Permanent, Reason

_SEPARATORS: Final = re.compile(r"[\s()-]+")
_MOBILE: Final = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9]{9})")


def mobile_of(address: str) -> str:
    """A mainland mobile number as 11 digits; raises Permanent(recipient_invalid)."""
    match = _MOBILE.fullmatch(_SEPARATORS.sub("", address))
    if match is None:
        raise Permanent(Reason.RECIPIENT_INVALID, "not a mainland mobile number")
    return match[1]
