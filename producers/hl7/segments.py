"""The text of one HL7 message taken apart: segments, fields, repetitions, components, sub-components, by number.

Made by the reader from decoded text, asked by the mapping's paths. Splits a segment only when it is asked for, so the
cost of a message grows with its length and never with what an attacker nests in it. Tolerant of every version and of
five encoding characters; the conformance of a message is not judged here.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from producers.hl7.escapes import Separators, Unescape
from producers.refusals import Refused
from schemas.errors import Reason

NULL: Final = '""'
"""Present and deleted: not the same as absent, and never text."""

REPETITIONS: Final = 10_000
HEADER_CHARS: Final = 16_384
"""Bounds of what one message can make us do; ordinary ones stay a hundred times below."""

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
        self._is_overfull: dict[int, bool] = {}
        self.readings: dict[object, list[str]] = {}
        """What each path has read here, so that many results do not read one long field many times."""

    def __len__(self) -> int:
        return len(self._text)

    def field(self, number: int) -> str:
        """A field as it was sent, escapes and all; empty when absent."""
        if self._fields is None:
            self._fields = self._text.split(self._separators.field)
            if self.name == "MSH":
                self._fields.insert(1, self._separators.field)
        return self._fields[number] if 0 <= number < len(self._fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The field's repetitions as they were sent; MSH-2 is never split. Raises Refused(too_large)."""
        whole = self.field(number)
        if self.name == "MSH" and number <= 2:
            return [whole]
        if number not in self._is_overfull:  # counted once: every result may look at it
            self._is_overfull[number] = whole.count(self._separators.repetition) >= REPETITIONS
        if self._is_overfull[number]:
            raise Refused(
                Reason.TOO_LARGE,
                f"{self.name}-{number} has more than {REPETITIONS} repetitions",
                "send fewer repetitions in one field",
            )
        return whole.split(self._separators.repetition)

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
        if NULL in text:
            text = self._without_nulls(text)
        text = text.replace(self._separators.component, " ").replace(self._separators.subcomponent, " ")
        return self._unescape(text).strip()

    def _without_nulls(self, text: str) -> str:
        """A composite without those of its parts that are nulls; quotation marks inside of a text stay."""
        marks = re.escape(self._separators.component + self._separators.subcomponent)
        return re.sub(rf'(?:^|(?<=[{marks}]))""(?=[{marks}]|$)', "", text)

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

    @cached_property
    def event(self) -> str:
        """MSH-9 as `ORU^R01`, the trigger left out when there is none (`ACK`).

        Version 2.1 has the type alone in MSH-9, and the trigger in EVN-1.
        """
        kind, trigger = self.header.value(9, 1), self.header.value(9, 2)
        first = next(self.named("EVN"), None)
        if kind and not trigger and first is not None:
            trigger = first[1].value(1)
        return "^".join(part for part in (kind, trigger) if part)

    @cached_property
    def sender(self) -> tuple[str, str]:
        """Sending application and facility, MSH-3 and MSH-4."""
        return self.header.value(3), self.header.value(4)

    @cached_property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.value(10)[:_CONTROL_ID_CHARS]

    def check(self) -> None:
        """Raise Refused: param_invalid when a field that we cannot do without is missing, too_large for the header."""
        if len(self.header) > HEADER_CHARS:
            raise Refused(Reason.TOO_LARGE, f"MSH has more than {HEADER_CHARS} characters", "is the message damaged?")
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
