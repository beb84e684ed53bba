"""The text of one HL7 message taken apart: segments, fields, repetitions, components, sub-components, by number.

Made by the reader from decoded text, asked by the mapping's paths. Splits a segment only when it is asked for, so the
cost of a message grows with its length and never with what an attacker nests in it. Tolerant of every version and of
five encoding characters; the conformance of a message is not judged here.
"""

from collections.abc import Iterator
from typing import Final

from producers.hl7.escapes import Separators, Unescape
from producers.refusals import Refused
from schemas.errors import Reason

NULL: Final = '""'
"""Present and deleted: not the same as absent, and never text."""

_CONTROL_ID_CHARS: Final = 199  # of MSH-10 since version 2.7; older ones allow 20


def separators_of(text: str) -> Separators:
    """What the first segment declares, the usual ones for what it leaves out.

    Raises Refused(decode_error) when it cannot be a header at all.
    """
    if not text.startswith("MSH") or len(text) < 5 or text[3].isalnum() or text[3].isspace():
        raise Refused(Reason.DECODE_ERROR, "MSH declares no field separator", "is the message cut?")
    stated = text[4:].split("\r", 1)[0].split(text[3], 1)[0].replace("\\\\", "\\")[:5]  # some write ^~\\&
    if len(set(text[3] + stated)) != len(stated) + 1 or any(char.isalnum() for char in stated):
        raise Refused(Reason.DECODE_ERROR, "the encoding characters of MSH-2 contradict each other", "send ^~\\&")
    usual = "^~\\&"
    chars = stated + usual[len(stated) :]
    return Separators(text[3], chars[0], chars[1], chars[2], chars[3], chars[4:5])


class Segment:
    """One segment, e.g. OBX; fields are numbered as in the standard (MSH-1 is the separator itself)."""

    def __init__(self, text: str, separators: Separators, unescape: Unescape) -> None:
        self.name = text[:3]
        self._text = text
        self._separators = separators
        self._unescape = unescape
        self._fields: list[str] | None = None

    def field(self, number: int) -> str:
        """A field as it was sent, escapes and all; empty when absent."""
        if self._fields is None:
            self._fields = self._text.split(self._separators.field)
            if self.name == "MSH":
                self._fields.insert(1, self._separators.field)
        return self._fields[number] if 0 <= number < len(self._fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The field's repetitions as they were sent; MSH-2 is never split."""
        whole = self.field(number)
        return [whole] if self.name == "MSH" and number <= 2 else whole.split(self._separators.repetition)

    def part(self, repetition: str, component: int, subcomponent: int = 0) -> str:
        """A component of a repetition as a person should see it; `subcomponent` 0 is the whole component.

        Component 0 is the whole repetition, `&` and `^` shown as blanks. An HL7 null is empty. Raises
        Refused(decode_error) as `Unescape` does.
        """
        text = repetition
        if component:
            text = _nth(text, self._separators.component, component)
        if subcomponent:
            text = _nth(text, self._separators.subcomponent, subcomponent)
        if text == NULL:
            return ""
        text = text.replace(self._separators.component, " ").replace(self._separators.subcomponent, " ")
        return self._unescape(text).strip()

    def value(self, number: int, component: int = 1) -> str:
        """A component of the field's first repetition that has one."""
        parts = (self.part(repetition, component) for repetition in self.repetitions(number))
        return next((part for part in parts if part), "")


class Segments:
    """All segments of one message, in order; `charset` is the codec that its bytes were read with.

    Raises Refused(decode_error) when the header cannot be read.
    """

    def __init__(self, text: str, charset: str) -> None:
        self.separators = separators_of(text)
        unescape = Unescape(self.separators, charset)
        self.all = [Segment(line, self.separators, unescape) for line in text.split("\r")]
        self.header = self.all[0]
        self.positions: dict[str, list[int]] = {}
        """Where the segments of each name stand, ascending."""
        for position, segment in enumerate(self.all):
            self.positions.setdefault(segment.name, []).append(position)

    def named(self, name: str) -> Iterator[tuple[int, Segment]]:
        """The segments of that name with their positions."""
        return ((position, self.all[position]) for position in self.positions.get(name, ()))

    @property
    def event(self) -> str:
        """MSH-9 as `ORU^R01`, the trigger left out when there is none (`ACK`)."""
        return "^".join(part for part in (self.header.value(9, 1), self.header.value(9, 2)) if part)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.value(10)[:_CONTROL_ID_CHARS]

    def check(self) -> None:
        """Raise Refused(param_invalid) when a field that we cannot do without is missing."""
        for number, what, present in ((9, "message type", self.event), (10, "control id", self.control_id)):
            if not present:
                raise Refused(
                    Reason.PARAM_INVALID,
                    f"MSH-{number} ({what}) is missing",
                    f"fill MSH-{number} in the sending system",
                )


def _nth(text: str, separator: str, number: int) -> str:
    parts = text.split(separator, number)
    return parts[number - 1] if len(parts) >= number else ""
