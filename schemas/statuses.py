"""Stages of the log, statuses of messages and deliveries, and their order.

Called by every room; decides nothing.
"""

from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """How urgent: a lane is a topic, a group and a process of its own."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


LANES: Final = tuple(Lane)
"""From the most to the least urgent."""

LANE_RANK: Final = {lane: rank for rank, lane in enumerate(LANES)}
"""0 is the most urgent."""

LANE_SHARES: Final = {Lane.URGENT: 0.5, Lane.NORMAL: 0.35, Lane.BULK: 0.15}
"""Part of a provider account's rate and calls under way that is kept for each lane; settle and sinks divide alike."""


class Stage(StrEnum):
    """What an event says happened (contract, section 1, table of stages)."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ISSUED = "issued"
    SENDING = "sending"
    OUTCOME = "outcome"
    UNKNOWN = "unknown"
    DEFERRED = "deferred"
    DROPPED = "dropped"
    RECEIPT = "receipt"
    CANCEL_REQUESTED = "cancel_requested"
    RESCHEDULE_REQUESTED = "reschedule_requested"
    RESEND_REQUESTED = "resend_requested"
    SUPERSEDED = "superseded"
    LAPSED = "lapsed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    RETRY_SCHEDULED = "retry_scheduled"
    FALLBACK = "fallback"
    HELD = "held"
    COMPLETED = "completed"


class Status(StrEnum):
    """Statuses of a message, and of one delivery on one channel."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    HELD = "held"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"
    REJECTED = "rejected"
    WAITING = "waiting"
    ISSUED = "issued"
    UNKNOWN = "unknown"
    DEFERRED = "deferred"
    DROPPED = "dropped"
    RETRYING = "retrying"
    SKIPPED = "skipped"


LEVELS: Final = (Status.ACCEPTED, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED)
"""Levels of success, from the weakest proof to the strongest; "accepted" means that the provider took it."""

LEVEL_RANK: Final = {level: rank for rank, level in enumerate(LEVELS, start=1)}
"""1 is the weakest proof."""

DONE_BY_LEVEL: Final = {
    Status.ACCEPTED: Status.SENT,
    Status.DELIVERED: Status.DELIVERED,
    Status.READ: Status.READ,
    Status.ACKNOWLEDGED: Status.ACKNOWLEDGED,
}
"""The final status of a message whose highest proof is that level."""

FINAL_RANK: Final = {
    status: rank
    for rank, status in enumerate(
        (
            Status.REJECTED,
            Status.SUPPRESSED,
            Status.CANCELLED,
            Status.FAILED,
            Status.EXPIRED,
            Status.SENT,
            Status.DELIVERED,
            Status.READ,
            Status.ACKNOWLEDGED,
        ),
        start=1,
    )
}
"""Order of the final statuses; a report takes the highest (also the store's rank column)."""
