"""Counts what the envelopes of a batch (FHS, BHS, BTS, FTS) promise against what came.

Used by the framer. A trailer that counts otherwise than we do means that messages were lost or put in on the way: that
is told as a refusal of the trailer, and the messages that came are read all the same. A missing trailer, or one
without a number, promises nothing.

Source: HL7 v2.8, chapter 2, sections 2.14.2 (BTS-1: messages) and 2.14.6 (FTS-1: batches).
"""

import re
from typing import Final

from producers.refusals import Refused
from schemas.errors import Reason

_TRAILER: Final = re.compile(rb"(?:BTS|FTS)[^A-Za-z0-9](\d{1,6})(?!\d)")


class Batches:
    """The envelopes of one stream: tell it every message and every envelope line, in order."""

    def __init__(self) -> None:
        self._messages = 0
        self._batches = 0
        self._is_open = False

    def message(self) -> None:
        """A message came."""
        self._messages += 1

    def envelope(self, line: bytes) -> Refused | None:
        """An envelope came, `FHS…`, `BHS…`, `BTS…` or `FTS…`; the refusal of a trailer that does not add up."""
        match line[:3]:
            case b"FHS":
                self._messages = self._batches = 0
            case b"BHS":
                self._messages, self._is_open = 0, True
                self._batches += 1
            case b"BTS":
                self._batches += not self._is_open
                return self._closed(line, (self._messages,), "BTS-1", "messages")
            case _:  # some count messages where no batch is inside the file
                found = (self._batches,) if self._batches else (self._messages, 0, 1)
                self._batches = 0
                return self._closed(line, found, "FTS-1", "batches")
        return None

    def _closed(self, line: bytes, found: tuple[int, ...], where: str, what: str) -> Refused | None:
        self._messages, self._is_open = 0, False
        stated = _TRAILER.match(line)
        if stated is None or int(stated[1]) in found:
            return None
        return Refused(
            Reason.PARAM_INVALID,
            f"{where} counts {int(stated[1])} {what}, and {found[0]} came: not whole, or not counted right",
            "compare with the sender and send what is missing; what came is read, and a repeat is recognised",
        )
