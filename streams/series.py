"""Messages that repeat: when each further sending is due, and the messages that come of the first one's acceptance.

Used by `accept` (the moments), `consequences` (what follows from an acceptance that counts) and `requests` (whoever
takes the first back, or replaces it, means them all). Each sending is a message of its own, with an id that follows
from the first one's, and its own life, trace and outcome. Pure; it reads no clock.
"""

import hashlib
from collections.abc import Iterator
from itertools import count, islice
from typing import Final

from msgspec import structs

from infra.clock import SHANGHAI_MS
from infra.remark import causes_in, remark
from schemas import ids
from schemas.configuration import MessageType
from schemas.records import Event, Message, Request
from schemas.topics import DAY_MS
from streams.hours import MINUTE_MS

SPREADING: Final = frozenset({"cancel", "supersede"})
"""Kinds of requests that mean every sending when they name the first one."""


def moments(message: Message, kind: MessageType, begins_at: int, until_ms: int) -> list[tuple[int, int]]:
    """(send_at, expires_at), UTC ms, of every sending after the first, which begins at `begins_at`; up to `until_ms`.

    Every `repeat_days` days: at the type's times of day, or where the sender named a moment (or the type no times) at
    the time of day of that; `repeat_times` in all, the first counted. The sender's `expires_at` ends the series; each
    sending lives as long as a message of the type, but not beyond it.
    """
    if kind.repeat_times <= 1:
        return []
    last_ms = until_ms if message.expires_at is None else min(until_ms, message.expires_at - 1)
    found = []
    for send_at in islice(_after(message, kind, begins_at), kind.repeat_times - 1):
        if send_at > last_ms:
            break
        ends = send_at + kind.expiry_ms
        found.append((send_at, ends if message.expires_at is None else min(ends, message.expires_at)))
    return found


def _after(message: Message, kind: MessageType, begins_at: int) -> Iterator[int]:
    """The times in their order, without an end."""
    step_ms = kind.repeat_days * DAY_MS
    if message.send_at is not None or not kind.send_times:
        base = begins_at if message.send_at is None else message.send_at
        yield from (moment for number in count(1) if (moment := base + number * step_ms) > begins_at)
    midnight = begins_at - (begins_at + SHANGHAI_MS) % DAY_MS
    times = sorted(kind.send_times)
    for number in count():
        for minute in times:
            moment = midnight + number * step_ms + minute * MINUTE_MS
            if moment > begins_at:
                yield moment


def place(number: int, total: int, first: bytes) -> str:
    """Which sending of how many, for the trace: `2/7 of <id of the first>`; the first one (number 0) says `1/7`."""
    said = f"{number + 1}/{total}"
    return f"{said} of {ids.show(first)}" if number else said


def later(event: Event) -> Iterator[Event]:
    """The acceptances of the further sendings that an acceptance asks for: the same plan at another time."""
    plan = event.plan
    if plan is None:
        return
    causes = causes_in(event.detail)
    for number, one in enumerate(plan.later, start=1):
        channels = [
            structs.replace(channel, sealed=sealed) for channel, sealed in zip(plan.channels, one.sealed, strict=True)
        ]
        own = structs.replace(
            plan,
            send_at=one.send_at,
            expires_at=one.expires_at,
            supersedes=b"",
            channels=channels,
            series=event.message_id,
            later=[],
        )
        yield structs.replace(
            event,
            message_id=ids.occurrence(event.message_id, number),
            detail=remark(place(number, len(plan.later) + 1, event.message_id), causes),
            until=one.send_at,
            plan=own,
        )


def spread(asked: Request, sendings: int) -> list[Request]:
    """What is asked of the later sendings when it is asked of the first; ids follow from the request's."""
    if asked.kind not in SPREADING:
        return []
    named = [ids.occurrence(asked.message_id, number) for number in range(1, sendings + 1)]
    return [
        structs.replace(asked, request_id=hashlib.sha256(asked.request_id + one).digest()[:16], message_id=one)
        for one in named
    ]
