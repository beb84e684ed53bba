"""Finds the messages in a stream of bytes: batches, MLLP frames, fields with line feeds, and bounds on size.

Fed with chunks of any length by the reader, so a file is never held whole. Looks at bytes only for line ends and the
first characters of a line, which is safe before decoding: neither UTF-8 nor GB18030 nor Big5 uses 0D or 0A inside a
character. It never decides that a message is good; what cannot be one comes out as a frame with a refusal.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from producers.hl7.batches import Batches
from producers.hl7.lines import HEAD_BYTES, Line, Lines
from producers.refusals import Refused
from schemas.errors import Reason

_HEADER: Final = re.compile(rb"(MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9])")
_SEGMENT: Final = re.compile(rb"[A-Z][A-Z0-9]{2}")
_FRAMING: Final = b" \t\x00\x0b\x1c"
"""Blanks, and the bytes that MLLP puts around a message."""
_GLUED: Final = re.compile(rb"[\x0b\x1c](?=(?:MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9]))")
"""Where an MLLP frame begins in the middle of a line. One byte, so that its search costs no more than the line."""


class Limits(Struct, frozen=True):
    """Bounds of one message. Source: measured feeds average 16 kB and reach 77 kB; base64 reports are larger."""

    message_bytes: int = 4_194_304
    segments: int = 5_000


class Frame(Struct, frozen=True):
    """One message as bytes: CR between segments, LF only inside a field. `refused` says why it can be no message.

    `number` counts from 1 within the stream; `charset` is known from a byte order mark, else empty.
    """

    number: int
    raw: bytes
    charset: str = ""
    refused: Refused | None = None


class Framer:
    """Cuts one stream into frames: `feed` chunks, then `finish`.

    `is_lf_text`: a bare LF never ends a segment at this source. Otherwise it does, unless the line after it does not
    begin like a segment: then it was inside a field.
    """

    def __init__(self, limits: Limits | None = None, *, is_lf_text: bool = False) -> None:
        self._limits = limits or Limits()
        self._lines = Lines(self._limits.message_bytes, is_lf_text=is_lf_text)
        self._batches = Batches()
        self._number = 0
        self._parts: list[bytes] = []
        self._segment_count = 0
        self._size = 0
        self._refused: Refused | None = None
        self._is_broken = False

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Frames that are complete with this chunk."""
        if self._is_broken:
            return
        try:
            for line in self._lines.feed(chunk):
                yield from self._take(line)
        except Refused as refused:
            yield from self._break_off(refused)

    def finish(self) -> Iterator[Frame]:
        """The frames that only the end of the stream completes."""
        if self._is_broken:
            return
        try:
            for line in self._lines.finish():
                yield from self._take(line)
        except Refused as refused:
            yield from self._break_off(refused)
        yield from self._complete()

    def _break_off(self, refused: Refused) -> Iterator[Frame]:
        """Nothing after this point of the stream can be read."""
        self._is_broken = True
        self._parts = self._parts or [b""]
        self._refused = refused
        yield from self._complete()

    def _take(self, line: Line) -> Iterator[Frame]:
        if b"\x0b" not in line.raw and b"\x1c" not in line.raw:
            yield from self._take_one(line)
            return
        for index, raw in enumerate(_GLUED.split(line.raw)):
            yield from self._take_one(Line(raw, line.follows_lf and not index, line.is_overlong))

    def _take_one(self, line: Line) -> Iterator[Frame]:
        begun = line.raw.lstrip(_FRAMING).removeprefix(codecs.BOM_UTF8).lstrip(_FRAMING)
        if not begun.rstrip(_FRAMING):
            return
        header = _HEADER.match(begun)
        if header is not None:
            yield from self._complete()
            if header[1] != b"MSH":  # the envelope of a batch: nothing in it is a message
                yield from self._count(self._batches.envelope(begun))
                return
        if line.follows_lf and self._parts and not self._is_segment(begun):
            self._parts += (b"\n", line.raw.rstrip(_FRAMING))
        else:
            self._parts += (b"\r", begun.rstrip(b"\x1c\x00")) if self._parts else (begun.rstrip(b"\x1c\x00"),)
            self._segment_count += 1
        self._weigh(len(line.raw) + 1, is_overlong=line.is_overlong)

    def _count(self, miscounted: Refused | None) -> Iterator[Frame]:
        """A frame of its own for a trailer that does not add up."""
        if miscounted is not None:
            self._number += 1
            yield Frame(self._number, b"", self._lines.charset, miscounted)

    def _is_segment(self, begun: bytes) -> bool:
        """Whether a line begins with three characters and the message's own field separator."""
        separator = self._parts[0][3:4]
        return _SEGMENT.match(begun) is not None and begun[3:4] in (separator, b"")

    def _weigh(self, size: int, *, is_overlong: bool) -> None:
        self._size += size
        is_large = self._size > self._limits.message_bytes or self._segment_count > self._limits.segments
        if not (is_large or is_overlong):
            return
        self._refused = self._refused or Refused(
            Reason.TOO_LARGE,
            f"more than {self._limits.message_bytes} bytes or {self._limits.segments} segments in one message",
            "send fewer results in one message, or leave embedded documents out",
        )
        self._parts = [self._parts[0][:HEAD_BYTES]]

    def _complete(self) -> Iterator[Frame]:
        """The message gathered so far, if there is one."""
        parts, refused = self._parts, self._refused
        self._parts, self._segment_count, self._size, self._refused = [], 0, 0, None
        if not parts:
            return
        self._number += 1
        if parts[0].startswith(b"MSH"):
            self._batches.message()
        refused = refused or _at_sight(parts[0])
        yield Frame(self._number, b"".join(parts), self._lines.charset, refused)


def _at_sight(first: bytes) -> Refused | None:
    """Why a message that begins with this line can be none."""
    if not first.startswith(b"MSH"):
        return Refused(
            Reason.DECODE_ERROR,
            "no MSH segment at its beginning: this is no HL7 version 2 message",
            "send whole messages; is the file cut, or of another format, or HL7 inside SOAP? Then send the inner text",
        )
    if b"\n" in first:  # only where LF was said to be text: the other segments would pass for text of the header
        return Refused(
            Reason.PARAM_INVALID,
            "a line feed inside MSH: this source ends segments with LF",
            "leave --lf-is-text out for this source",
        )
    return None
