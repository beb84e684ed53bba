"""Cuts a stream of bytes into lines, whatever the chunks it comes in: CR, LF, CRLF, byte order marks, bounded length.

Used by the framer. Holds at most one line, and of a line that is too long only its beginning.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from producers.refusals import Refused
from schemas.errors import Reason

HEAD_BYTES: Final = 512
"""What is kept of a line that is too long: enough for an MSH segment's control id."""

_LINE_END: Final = re.compile(rb"\r\n?|\n")
_CR_ONLY: Final = re.compile(rb"\r\n?")
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARK_BYTES: Final = 3


class Line(Struct, frozen=True, gc=False):
    """One line without its end; `follows_lf`: the line before it ended with a bare LF."""

    raw: bytes
    follows_lf: bool = False
    is_overlong: bool = False


class Lines:
    """The lines of one stream: `feed` chunks, then `finish`; both raise Refused when a UTF-16 stream is broken.

    `limit_bytes` bounds a line; `is_lf_text`: a bare LF does not end a line. `charset` is "utf-8" once a byte order
    mark was seen (UTF-16 comes out as UTF-8), else empty.
    """

    def __init__(self, limit_bytes: int, *, is_lf_text: bool = False) -> None:
        self.charset = ""
        self._limit_bytes = limit_bytes
        self._line_end = _CR_ONLY if is_lf_text else _LINE_END
        self._mark: bytes | None = b""
        self._wide: codecs.IncrementalDecoder | None = None
        self._pending = bytearray()
        self._is_cr_open = False
        self._is_overlong = False
        self._follows_lf = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Lines that are complete with this chunk."""
        return self._lines(chunk, is_last=False)

    def finish(self) -> Iterator[Line]:
        """The line that only the end of the stream completes, if any."""
        return self._lines(b"", is_last=True)

    def _lines(self, chunk: bytes, *, is_last: bool) -> Iterator[Line]:
        try:
            narrowed = self._narrowed(chunk, is_last=is_last)
        except UnicodeError:
            yield from self._cut(b"", is_last=True)
            raise Refused(
                Reason.DECODE_ERROR,
                "undecodable bytes: the stream is not the UTF-16 that its byte order mark promises",
                "send UTF-8 or GB18030",
            ) from None
        yield from self._cut(narrowed, is_last=is_last)

    def _narrowed(self, chunk: bytes, *, is_last: bool) -> bytes:
        """The chunk without a byte order mark, and as UTF-8 when the mark says UTF-16."""
        if self._mark is not None:
            chunk = self._mark + chunk
            if len(chunk) < _MARK_BYTES and not is_last:
                self._mark = chunk
                return b""
            self._mark = None
            chunk = self._without_mark(chunk)
        return chunk if self._wide is None else self._wide.decode(chunk, final=is_last).encode()

    def _without_mark(self, chunk: bytes) -> bytes:
        if chunk.startswith(codecs.BOM_UTF8):
            self.charset = "utf-8"
            return chunk[_MARK_BYTES:]
        if chunk.startswith(_UTF_16):
            self.charset = "utf-8"
            self._wide = codecs.getincrementaldecoder("utf-16")("strict")
        return chunk

    def _cut(self, chunk: bytes, *, is_last: bool) -> Iterator[Line]:
        if self._is_cr_open:
            chunk = b"\r" + chunk
        self._is_cr_open = chunk.endswith(b"\r") and not is_last  # its LF may still come
        if self._is_cr_open:
            chunk = chunk[:-1]
        start = 0
        for end in self._ends(chunk):
            self._hold(chunk[start : end.start()])
            yield self._line()
            self._follows_lf = end.group() == b"\n"
            start = end.end()
        self._hold(chunk[start:])
        if is_last and self._pending:
            yield self._line()

    def _ends(self, chunk: bytes) -> Iterable[re.Match[bytes]]:
        """The line ends in a chunk; a long line without any costs one look at each of its bytes."""
        return self._line_end.finditer(chunk) if b"\r" in chunk or b"\n" in chunk else ()

    def _hold(self, part: bytes) -> None:
        """Append to the line that is not complete; of an overlong one nothing more is kept."""
        if self._is_overlong:
            return
        self._pending += part
        if len(self._pending) > self._limit_bytes:
            self._is_overlong = True
            self._pending = self._pending[:HEAD_BYTES]

    def _line(self) -> Line:
        line = Line(bytes(self._pending), self._follows_lf, self._is_overlong)
        self._pending, self._is_overlong = bytearray(), False
        return line
