"""Expressions that say where in an HL7 message a value stands: `OBR-4.2`, `PV1-3.1 | PV1-10`, `OBR-22:time`.

Compiled once from a mapping's text, evaluated for every message. An expression is alternatives joined by `|`, the
first that yields text wins; an alternative is pieces joined by `+`; a piece is a 'literal' or a path
`SEG[n]-field[r].component.subcomponent:format`, all but SEG and field optional. `[r]` picks a repetition by number,
or by the text of a component: `PID-3[5=MR].1`. Formats: `time`, `date`. `@name` looks the value up in a table of the
mapping: `PV1-2@patient_class`, `PID-3[5@id_types=MR].1`. A `?` at the end says: may be empty.

Where a rule looks at each OBX (or OBR …), a path means the segment that belongs to that one, not the message's first.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct

from producers.hl7 import timestamps
from producers.hl7.segments import Segment, Segments

FORMATS: Final[dict[str, Callable[[str], str]]] = {"time": timestamps.as_time, "date": timestamps.as_date}

_PIECE: Final = re.compile(
    r"""\s*(?:'(?P<literal>[^']*)'
    |(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<nth>[1-9]\d*)\])?-(?P<field>[1-9]\d*)
     (?:\[(?:(?P<repetition>[1-9]\d*)|(?P<key>[1-9]\d*)(?:@(?P<key_table>[a-z][a-z0-9_]*))?=(?P<wanted>[^\]]*))\])?
     (?:\.(?P<component>[1-9]\d*))?(?:\.(?P<subcomponent>[1-9]\d*))?(?::(?P<format>[a-z]+)|@(?P<table>[a-z][a-z0-9_]*))?
    )\s*""",
    re.VERBOSE,
)

_DEPTH: Final = {
    **dict.fromkeys(("MSH", "SFT", "EVN"), 0),
    **dict.fromkeys(("PID", "PD1", "MRG"), 1),
    **dict.fromkeys(("PV1", "PV2", "SCH"), 2),
    **dict.fromkeys(("RGS", "AIG", "AIL", "AIP", "AIS", "ORC"), 3),
    **dict.fromkeys(("OBR", "SPM", "TXA", "RXE", "FT1"), 4),
    "OBX": 5,
    "NTE": 6,
}
"""How deep a segment stands in the groups of chapters 3 to 10; a deeper one belongs to the shallower before it."""
_DEEPEST: Final = 7


class Place(Struct, frozen=True):
    """A message, and the position of the segment that a rule is looking at (None: the message as a whole)."""

    segments: Segments
    position: int | None = None


class Literal(Struct, frozen=True):
    """Fixed text."""

    text: str

    def read(self, _place: Place) -> str:
        """The text."""
        return self.text

    def readings(self, _place: Place) -> list[str]:
        """The text."""
        return [self.text]


class Codes:
    """A table of a mapping: a site's own code to ours; `*` stands for every code that is not listed."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries = dict(entries)
        self._other = self._entries.pop("*", "")

    def read(self, code: str) -> str:
        """Our code; empty when the table has none, or when there is nothing to look up."""
        return self._entries.get(code, self._other) if code else ""


class Path(Struct, frozen=True):
    """One place in a message; numbers count from 1, 0 means "not said"."""

    segment: str
    field: int
    nth: int = 0
    repetition: int = 0
    key: int = 0
    wanted: str = ""
    component: int = 0
    subcomponent: int = 0
    format: str = ""
    codes: Codes | None = None
    key_codes: Codes | None = None

    def read(self, place: Place) -> str:
        """The first reading that is not empty; raises Refused as `Segment.part` does."""
        return next((text for text in self.readings(place) if text), "")

    def readings(self, place: Place) -> list[str]:
        """The value of every repetition that the path allows."""
        segment = find(place, self.segment, self.nth)
        if segment is None:
            return []
        if self not in segment.readings:
            segment.readings[self] = self._read(segment)
        return segment.readings[self]

    def _read(self, segment: Segment) -> list[str]:
        shown = FORMATS.get(self.format, str)
        component = self.component or bool(self.format)  # a time stamp's second component is its precision
        return [
            self._translated(shown(segment.part(repetition, component, self.subcomponent)))
            for number, repetition in enumerate(segment.repetitions(self.field), start=1)
            if self._allows(segment, number, repetition)
        ]

    def _translated(self, text: str) -> str:
        return text if self.codes is None else self.codes.read(text)

    def _allows(self, segment: Segment, number: int, repetition: str) -> bool:
        if self.key:
            found = segment.part(repetition, self.key)
            return (found if self.key_codes is None else self.key_codes.read(found)) == self.wanted
        return self.repetition in (0, number)


class Expression(Struct, frozen=True):
    """Alternatives of pieces; `text` is how the mapping wrote it."""

    text: str
    alternatives: tuple[tuple[Path | Literal, ...], ...]
    is_optional: bool = False

    def read(self, place: Place) -> str:
        """The first alternative that yields text, empty when none does; literals alone yield nothing beside a path."""
        return next((text for text in (self._joined(pieces, place) for pieces in self.alternatives) if text), "")

    def readings(self, place: Place) -> list[str]:
        """Every value that any alternative has, for conditions; `[""]` when there is none."""
        found = [text for pieces in self.alternatives for piece in pieces for text in piece.readings(place)]
        return found or [""]

    @staticmethod
    def _joined(pieces: tuple[Path | Literal, ...], place: Place) -> str:
        texts = [piece.read(place) for piece in pieces]
        paths = [text for piece, text in zip(pieces, texts, strict=True) if isinstance(piece, Path)]
        return "".join(texts) if all(paths) else ""


def compile_expression(text: str, tables: Mapping[str, Codes] | None = None) -> Expression:
    """An expression from a mapping's text and its tables by name; raises ValueError saying what is wrong with it."""
    body = text.strip()
    is_optional = body.endswith("?")
    alternatives = tuple(_alternative(part, tables or {}) for part in _split(body.removesuffix("?"), "|"))
    return Expression(text, alternatives, is_optional)


def _alternative(text: str, tables: Mapping[str, Codes]) -> tuple[Path | Literal, ...]:
    return tuple(_piece(part, tables) for part in _split(text, "+"))


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark outside of quotes and brackets."""
    return re.split(rf"\{mark}(?=(?:[^']*'[^']*')*[^']*\Z)(?![^\[]*\])", text)


def _piece(text: str, tables: Mapping[str, Codes]) -> Path | Literal:
    found = _PIECE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text.strip()!r} is no path: write SEG-field.component, e.g. OBR-4.2, or 'text'")
    if found["literal"] is not None:
        return Literal(found["literal"])
    if found["format"] and found["format"] not in FORMATS:
        raise ValueError(f"format {found['format']!r} is unknown: use {' or '.join(FORMATS)}")
    for table in (found["table"], found["key_table"]):
        if table and table not in tables:
            raise ValueError(f"table {table!r} is unknown: the file has {', '.join(tables) or 'none'} under `tables`")
    numbers = {name: int(found[name] or 0) for name in ("nth", "field", "repetition", "key", "component")}
    return Path(
        segment=found["segment"],
        wanted=found["wanted"] or "",
        subcomponent=int(found["subcomponent"] or 0),
        format=found["format"] or "",
        codes=tables.get(found["table"] or ""),
        key_codes=tables.get(found["key_table"] or ""),
        **numbers,
    )


def find(place: Place, name: str, nth: int = 0) -> Segment | None:
    """The segment that a path means at this place; None when there is none. Costs no walk over a long message."""
    segments, here = place.segments, place.position
    positions = segments.positions.get(name, [])
    if nth or here is None:
        return segments.all[positions[(nth or 1) - 1]] if len(positions) >= (nth or 1) else None
    own = segments.all[here].name
    if own == name:
        return segments.all[here]
    index = bisect_right(positions, here)
    depth = _DEPTH.get(own, _DEEPEST)
    if _DEPTH.get(name, _DEEPEST) < depth:
        return segments.all[positions[index - 1]] if index else None
    if index == len(positions):
        return None
    between = islice(segments.all, here + 1, positions[index])
    if any(_DEPTH.get(segment.name, _DEEPEST) <= depth for segment in between):
        return None
    return segments.all[positions[index]]
