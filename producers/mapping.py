"""A site's mapping as values: which HL7 event becomes which message type, for whom, with which parameters.

Written as data in `mappings/<site>.yaml`, read by `mapping_files`, applied by the HL7 reader. Every rule that matches
makes a message (or one for each segment that it names); no rule is a fallback of another. Decides nothing about
routing, and knows neither Kafka nor the registry.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Final

from msgspec import Struct, structs

from producers import requests
from producers.hl7 import timestamps
from producers.hl7.segments import Segments
from producers.paths import Expression, Place
from producers.refusals import Refused
from producers.requests import MessageRequest
from schemas.errors import Reason
from schemas.records import Source

REQUESTS: Final = 2_000
TEXT_CHARS: Final = 10_000
"""Bounds of what one message can ask for: ten times what the longest ordinary ones do."""


class Condition(Struct, frozen=True):
    """True when any value at the path is like any of the patterns (`*` and `?` as in file names; "" is absent)."""

    path: Expression
    patterns: tuple[str, ...]

    def is_met(self, place: Place) -> bool:
        """Whether it holds at this place."""
        return any(fnmatchcase(value, pattern) for value in self.path.readings(place) for pattern in self.patterns)


class Rule(Struct, frozen=True):
    """One line of the table. `events` are patterns of MSH-9 (`ORU^R01`); `each` names a segment, or is empty."""

    name: str
    events: tuple[str, ...]
    app: str
    type: str
    id_type: str
    recipient: Expression
    parameters: tuple[tuple[str, Expression], ...]
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    each: str = ""

    def places(self, segments: Segments, event: str) -> Iterator[Place]:
        """Where in the message the rule applies: nowhere, once, or at each of the segments it names."""
        if not any(fnmatchcase(event, pattern) for pattern in self.events):
            return
        everywhere = (position for position, _ in segments.named(self.each)) if self.each else (None,)
        for place in (Place(segments, position) for position in everywhere):
            if all(c.is_met(place) for c in self.when) and not any(c.is_met(place) for c in self.unless):
                yield place


class Mapped(Struct, frozen=True):
    """What a rule made of a message: a request for the application to send, or why it could not."""

    app: str
    type: str
    request: MessageRequest | None = None
    refused: Refused | None = None


class Mapping(Struct, frozen=True):
    """All rules of a site; `run_id` is put before every reference, so that a sample can be published again.

    `events` are the site's own names of events, `ADT^ZP1`, to the one that the rules know; the trace keeps the site's.
    """

    site: str
    rules: tuple[Rule, ...]
    run_id: str = ""
    events: dict[str, str] = {}

    def apply(self, segments: Segments) -> list[Mapped]:
        """What the message asks for, in the order of the rules; empty when no rule matches. Raises Refused."""
        event = self.events.get(segments.event, segments.event)
        places = ((rule, place) for rule in self.rules for place in rule.places(segments, event))
        found = [self._mapped(rule, place) for rule, place in islice(places, REQUESTS + 1)]
        if len(found) > REQUESTS:
            raise Refused(
                Reason.TOO_LARGE,
                f"more than {REQUESTS} requests from one message",
                "send fewer results in one message, or make the rule's `when` narrower",
            )
        return found

    def _mapped(self, rule: Rule, place: Place) -> Mapped:
        try:
            return Mapped(rule.app, rule.type, request=self._request(rule, place))
        except Refused as refused:
            return Mapped(rule.app, rule.type, refused=refused)

    def _request(self, rule: Rule, place: Place) -> MessageRequest:
        header = place.segments.header
        request = MessageRequest(
            type=rule.type,
            recipient=(rule.id_type, _needed(rule.id_type, rule.recipient, place, Reason.RECIPIENT_UNKNOWN)),
            personalisation={
                name: text
                for name, expression in rule.parameters
                if (text := _needed(name, expression, place, Reason.MISSING_PARAMETER))
            },
            source=Source(place.segments.sender[0], place.segments.event, timestamps.epoch_ms(header.value(7))),
        )
        return _referenced(request, self.run_id, place.segments)


def _needed(name: str, expression: Expression, place: Place, reason: Reason) -> str:
    """The text of an expression; raises Refused when it has to be there and is not."""
    text = expression.read(place)
    if not text and not expression.is_optional:
        raise Refused(
            reason,
            f"{name}: nothing at {expression.text}",
            f"fill {expression.text} in the sending system, or correct the path or the table in the mapping",
        )
    if len(text) > TEXT_CHARS:
        raise Refused(
            Reason.TOO_LARGE,
            f"{name}: more than {TEXT_CHARS} characters at {expression.text}",
            "send a shorter text, or map another field",
        )
    return text


def _referenced(request: MessageRequest, run_id: str, segments: Segments) -> MessageRequest:
    """The request with its reference: sender, control id, and a digest of who and what.

    So a repeat is the same message; while a control id that a sender uses twice for different results, as happens
    after its counter was reset, does not swallow the second result.
    """
    (sender, facility), control_id = segments.sender, segments.control_id
    told_apart = requests.digest(request, sender, facility, control_id)
    parts = (run_id, "hl7", sender[:40], control_id[:100], told_apart)
    named = "/".join(part for part in parts if part)
    reference = "".join(char if char.isprintable() else "_" for char in named)
    return structs.replace(request, reference=reference)
