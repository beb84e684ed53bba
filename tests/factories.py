"""Records for tests, with sensible defaults: a plan with channels, an accepted message, what sinks answer.

Used by tests of every room. Times are UTC milliseconds around `T0`; nothing here looks at a clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas import ids
from schemas.records import Event, Plan, PlanChannel
from schemas.statuses import Stage

T0: Final = 1_700_000_000_000
"""When the tests' messages are accepted."""


def message_id(number: int) -> bytes:
    """The id of the n-th message of a test."""
    return ids.mint(T0 + number, number.to_bytes(10, "big"))


def plan_channel(name: str, weight: float, **changes: Any) -> PlanChannel:
    """A usable channel of a plan: success when the provider took it, a minute until it times out."""
    return PlanChannel(
        name,
        weight,
        **{
            "timeout_ms": 60_000,
            "template_version": 3,
            "text_hash": b"text-" + name.encode(),
            "address_hash": b"addr-" + name.encode(),
            "sealed": b"sealed-" + name.encode(),
            **changes,
        },
    )


WEIGHTS: Final = {"x": 0.9, "y": 0.5, "z": 0.2}


def plan(
    threshold: float = 0.6, channels: Mapping[str, float] | Sequence[PlanChannel] = WEIGHTS, **changes: Any
) -> Plan:
    """A plan; `channels` in the registry's order, whole or as names with their weights."""
    if isinstance(channels, Mapping):
        channels = [plan_channel(name, weight) for name, weight in channels.items()]
    return Plan(
        **{
            "reference": "visit-1",
            "digest": bytes(15) + b"\1",
            "expires_at": T0 + 600_000,
            "threshold": threshold,
            "channels": [*channels],
            **changes,
        }
    )


def accepted(of: bytes, plan: Plan, **changes: Any) -> Event:
    """Intake's event of an accepted message."""
    return Event(
        of,
        **{
            "stage": Stage.ACCEPTED,
            "status": "accepted",
            "at": T0,
            "accepted_at": T0,
            "app_id": "his",
            "type": "lab_report",
            "lane": "normal",
            "recipient_key": b"recipient-key-16",
            "config_version": 7,
            "plan": plan,
            **changes,
        },
    )


def rejected(of: bytes, reason: str, **changes: Any) -> Event:
    """Intake's event of a rejected message."""
    refused = Plan(reference="visit-1", digest=bytes(15) + b"\2")
    return accepted(of, refused, **{"stage": Stage.REJECTED, "status": "rejected", "reason": reason, **changes})


def answer(of: bytes, stage: str, channel: str, attempt: int = 1, **changes: Any) -> Event:
    """What a sink or a receipt says about one attempt; the status is the stage's word unless given."""
    return Event(of, stage, channel, attempt, **{"status": str(stage), "at": T0, "app_id": "his", **changes})
