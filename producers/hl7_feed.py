"""Reads a stream of HL7 bytes into requests: every message comes out once, as requests, as unmapped, or refused.

Called by `medpost publish hl7` and the sample hospital with the chunks of a file. Nothing that the bytes hold makes it
raise: a message's own fault is that message's refusal, and the next one is read. Publishes nothing.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from producers.hl7 import charset
from producers.hl7.framing import Frame, Framer, Limits
from producers.hl7.segments import Segments
from producers.mapping import Mapped, Mapping
from producers.refusals import Refused
from schemas.errors import Reason


class Reading(Struct, frozen=True):
    """What became of one message: `mapped` requests (none: no rule matches), or `refused`.

    `number` counts from 1 within the stream; `charset` is the codec that read it, and `is_overruled` says that MSH-18
    declares another one.
    """

    number: int
    event: str = ""
    charset: str = ""
    is_overruled: bool = False
    mapped: tuple[Mapped, ...] = ()
    refused: Refused | None = None


class Reader:
    """Reads streams of one source: its mapping, the codec to trust where MSH-18 is silent, how it ends lines."""

    def __init__(
        self, mapping: Mapping, default_charset: str = "", limits: Limits | None = None, *, is_lf_text: bool = False
    ) -> None:
        self._mapping = mapping
        self._default_charset = default_charset
        self._limits = limits or Limits()
        self._is_lf_text = is_lf_text

    def read(self, chunks: Iterable[bytes]) -> Iterator[Reading]:
        """One reading for each message of the stream, in order. Raises only what `chunks` raises."""
        framer = Framer(self._limits, is_lf_text=self._is_lf_text)
        for chunk in chunks:
            yield from map(self._reading, framer.feed(chunk))
        yield from map(self._reading, framer.finish())

    def _reading(self, frame: Frame) -> Reading:
        if frame.refused is not None:
            return Reading(frame.number, refused=frame.refused)
        try:
            decoded = charset.decode(frame.raw, self._default_charset, frame.charset)
            return self._mapped(frame.number, decoded)
        except Refused as refused:
            return Reading(frame.number, refused=refused)
        except Exception as problem:  # noqa: BLE001 - the reader's edge: one odd message never stops a feed
            return Reading(frame.number, refused=_unexpected(problem))

    def _mapped(self, number: int, decoded: charset.Decoded) -> Reading:
        segments = Segments(decoded.text, decoded.charset)
        segments.check()
        return Reading(
            number,
            segments.event,
            decoded.charset,
            decoded.is_overruled,
            mapped=tuple(self._mapping.apply(segments)),
        )


def _unexpected(problem: Exception) -> Refused:
    """A refusal for what we did not think of; the class is safe to show, the text may quote the message."""
    kind = type(problem).__name__
    return Refused(Reason.DECODE_ERROR, f"reading it failed ({kind})", "keep the file and report it: this is our fault")
