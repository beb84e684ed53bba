"""HL7 time stamps: any precision, 17 digits without a dot, fractions, offsets; no offset means the site's zone.

Called for the time of a message and by `:time` and `:date` in mappings. Never guesses: what is no time stamp is None.
"""

import re
from datetime import UTC, datetime
from typing import Final

import hl7

from infra.clock import SHANGHAI

_STAMP: Final = re.compile(r"(\d{4,14})(\d{1,4})?(\.\d{1,6})?([+-]\d{4})?")
_DATE_DIGITS: Final = 8
_FULL_DIGITS: Final = 14


def read(text: str) -> datetime | None:
    """The moment that an HL7 DTM names, with its zone; None when it is none. Missing parts are the earliest."""
    stamp = _STAMP.fullmatch(text.strip())
    if stamp is None or (stamp[2] and (len(stamp[1]) < _FULL_DIGITS or stamp[3])):
        return None
    fraction = f".{stamp[2]}" if stamp[2] else stamp[3] or ""
    try:
        moment = hl7.parse_datetime(stamp[1] + fraction + (stamp[4] or ""))
        return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
    except ValueError:
        return None


def epoch_ms(text: str) -> int | None:
    """UTC milliseconds of an HL7 time stamp; None when it is none, or out of the calendar's range."""
    moment = read(text)
    try:
        return None if moment is None else int(moment.astimezone(UTC).timestamp() * 1000)
    except (OverflowError, ValueError):
        return None


def as_time(text: str) -> str:
    """`2026-01-05 14:30` in the site's zone; the date alone when no hour is given; what is no time stamp, unchanged."""
    return as_date(text) if _precision(text) <= _DATE_DIGITS else _shown(text, "%Y-%m-%d %H:%M")


def as_date(text: str) -> str:
    """`2026-01-05`; what is no time stamp, unchanged."""
    if _precision(text) <= _DATE_DIGITS:  # a date has no zone to be moved by
        moment = read(text)
        return text if moment is None else moment.strftime("%Y-%m-%d")
    return _shown(text, "%Y-%m-%d")


def _precision(text: str) -> int:
    return len(text.strip().split("+")[0].split("-")[0].split(".")[0])


def _shown(text: str, pattern: str) -> str:
    moment = read(text)
    try:
        return text if moment is None else moment.astimezone(SHANGHAI).strftime(pattern)
    except (OverflowError, ValueError):
        return text
