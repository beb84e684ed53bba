"""Answers of the store for the console's tests, with everything they do not care about filled in."""

from typing import Any

import msgspec

from infra.queries import Fact, TraceEvent

_DEFAULTS: dict[type[object], object] = {str: "", int: 0, bool: False}


def _filled(kind: Any, changes: dict[str, object]) -> Any:
    fields = msgspec.structs.fields(kind)
    return kind(**{**{field.name: _DEFAULTS[field.type] for field in fields}, **changes})


def event(stage: str, **changes: object) -> TraceEvent:
    """One event of a timeline."""
    found: TraceEvent = _filled(TraceEvent, {"message_id": "m", "stage": str(stage), "status": str(stage), **changes})
    return found


def fact(**changes: object) -> Fact:
    """What became of a message."""
    found: Fact = _filled(Fact, {"message_id": "m", "status": "sent", **changes})
    return found
