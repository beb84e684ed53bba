"""Counts what went in and what came out: pure functions over the log, the store's facts and the simulators' calls.

A message is lost when it has no final status; sent twice when a provider was called again after its acceptance had
been written into the log; an unflagged double when a provider took the same message twice on one channel and the
second call was not marked as a possible duplicate.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from schemas.records import Event
from schemas.statuses import Stage, Status


class Call(Struct, frozen=True):
    """One call that a simulated provider answered with success: which message, which channel, when (UTC ms)."""

    message_id: bytes
    channel: str
    at: int


class Verdict(Struct):
    """The one-page table; every list holds message ids as hex, at most a few, to look at."""

    submitted: int = 0
    final: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    sent_after_answer: list[str] = field(default_factory=list)
    doubles_flagged: list[str] = field(default_factory=list)
    doubles_unflagged: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    done_but_unseen: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing sent twice without a flag, nothing unexplained."""
        return not (
            self.missing
            or self.sent_after_answer
            or self.doubles_unflagged
            or self.unexplained
            or self.done_but_unseen
        )

    def table(self) -> str:
        """The page."""
        rows = [("submitted", self.submitted), *sorted(self.final.items())]
        rows += [
            ("missing (must be 0)", len(self.missing)),
            ("called again after its answer was recorded (must be 0)", len(self.sent_after_answer)),
            ("provider took it twice, flagged", len(self.doubles_flagged)),
            ("provider took it twice, NOT flagged (must be 0)", len(self.doubles_unflagged)),
            ("failed without a reason (must be 0)", len(self.unexplained)),
            ("done, but seen by no provider (must be 0)", len(self.done_but_unseen)),
        ]
        return "\n".join(f"{name:<58}{value:>8}" for name, value in rows)


DONE = frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED})


def judge(
    submitted: Iterable[bytes],
    facts: Mapping[bytes, tuple[str, str]],
    log: Sequence[Event],
    calls: Iterable[Call],
) -> Verdict:
    """The verdict. `facts`: id to (final status, reason) from the store; `log`: every event, in order per partition."""
    verdict = Verdict()
    taken: dict[bytes, Counter[str]] = defaultdict(Counter)
    for call in calls:
        taken[call.message_id][call.channel] += 1
    marked = {(event.message_id, event.channel) for event in log if event.possible_duplicate}
    again = _sent_after_answer(log)
    for message_id in submitted:
        verdict.submitted += 1
        name = message_id.hex()
        found = facts.get(message_id)
        if found is None:
            verdict.missing.append(name)
            continue
        status, reason = found
        verdict.final[status] += 1
        if status in DONE and not taken[message_id]:
            verdict.done_but_unseen.append(name)
        if status not in DONE and not reason:
            verdict.unexplained.append(name)
        if message_id in again:
            verdict.sent_after_answer.append(name)
        for channel, count in taken[message_id].items():
            if count > 1:
                flagged = (message_id, channel) in marked
                (verdict.doubles_flagged if flagged else verdict.doubles_unflagged).append(name)
    return verdict


def _sent_after_answer(log: Sequence[Event]) -> set[bytes]:
    """Ids of messages whose channel has a claim of a later attempt after an accepted outcome in the log."""
    answered: dict[tuple[bytes, str], int] = {}
    again: set[bytes] = set()
    for event in log:
        key = (event.message_id, event.channel)
        if event.stage == Stage.OUTCOME and event.status in (Status.ACCEPTED, Status.DELIVERED):
            answered.setdefault(key, event.attempt)
        elif event.stage == Stage.SENDING and key in answered and event.attempt > answered[key]:
            again.add(event.message_id)
    return again
