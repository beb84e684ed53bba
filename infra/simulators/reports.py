"""What becomes of messages that a simulated provider has taken: receipts, scripted by the recipient's last digits.

Kept by the house; pushed by the server to whoever was named, handed out when pulled, told when asked. Derived from the
entries alone, so that a new house over the same journal knows the same (and pushes it again: vendors do so too).
Pure: the moment is handed in.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from infra.simulators.exchange import Inquiry, Reply
from infra.simulators.inbox import Entry

AFTER_MS: Final = 500
"""From taking a message to its receipt, unless told otherwise."""
LATER_MS: Final = 1_000
"""From the first of two receipts to the second."""
FAILED_CODES: Final = {"0002": "REJECTD", "0003": "BLACK", "0004": "UNDELIV"}
NO_RECEIPT: Final = "0005"
BEFORE_THE_ANSWER: Final = "0010"
TWICE: Final = "0011"
CONTRADICTORY: Final = "0012"
FORGED: Final = "0013"


class Report(Struct, frozen=True, order=True, gc=False):
    """One receipt: due when (UTC ms), about which entry; `is_forged`: pushed by somebody who does not know the path."""

    due_ms: int
    seq: int
    nth: int = 0
    is_delivered: bool = True
    code: str = "DELIVRD"
    is_forged: bool = False


class Known(Struct, frozen=True, gc=False):
    """A message that was taken, and its receipts."""

    entry: Entry
    reports: tuple[Report, ...]

    def last(self, at_ms: int) -> Report | None:
        """What a provider says about it when asked at that moment; None: still on its way."""
        due = [report for report in self.reports if report.due_ms <= at_ms and not report.is_forged]
        return due[-1] if due else None


def reports_of(entry: Entry, tail: str, after_ms: int) -> tuple[Report, ...]:
    """The receipts of a message to a recipient with these last digits."""
    due_ms = entry.at if tail == BEFORE_THE_ANSWER else entry.at + after_ms
    failure = FAILED_CODES.get(tail)
    first = Report(due_ms, entry.seq, 0, failure is None, failure or "DELIVRD", tail == FORGED)
    if tail == NO_RECEIPT:
        return ()
    if tail == TWICE:
        return (first, Report(due_ms + LATER_MS, entry.seq, 1))
    if tail == CONTRADICTORY:
        return (first, Report(due_ms + LATER_MS, entry.seq, 1, is_delivered=False, code="UNDELIV"))
    return (first,)


@runtime_checkable
class Answering(Protocol):
    """A simulated provider that answers calls that send nothing."""

    def answer(self, inquiry: Inquiry, reports: "Reports") -> Reply:
        """The answer."""
        ...


@runtime_checkable
class Reporting(Answering, Protocol):
    """A simulated provider that tells what became of its messages."""

    def push_of(self, found: Sequence[tuple[Entry, Report]]) -> bytes:
        """Receipts as the vendor pushes them."""
        ...


@runtime_checkable
class Posting(Reporting, Protocol):
    """A simulated provider that signs where it pushes to, and pushes one receipt at a time."""

    def posts(self, url: str, found: Sequence[tuple[Entry, Report]], at_ms: int) -> list[tuple[str, bytes]]:
        """Where to, with its query, and what."""
        ...


class Reports:
    """Everything that providers know of what they took."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}
        self._by_recipient: defaultdict[tuple[str, str], list[Known]] = defaultdict(list)
        self._to_push: defaultdict[str, list[Report]] = defaultdict(list)
        self._to_pull: defaultdict[str, list[Report]] = defaultdict(list)

    def add(self, entry: Entry, tail: str, after_ms: int) -> None:
        """A message was taken."""
        known = self._known[entry.seq] = Known(entry, reports_of(entry, tail, after_ms))
        self._by_recipient[entry.provider, entry.recipient].append(known)
        for report in known.reports:
            heapq.heappush(self._to_push[entry.provider], report)
            if not report.is_forged:
                heapq.heappush(self._to_pull[entry.provider], report)

    def last(self, seq: int, at_ms: int) -> Report | None:
        """What is known at that moment of the message that was taken as number `seq`; None: nothing yet."""
        known = self._known.get(seq)
        return known.last(at_ms) if known is not None else None

    def of(self, provider: str, recipient: str) -> list[Known]:
        """What a provider sent to a recipient, oldest first."""
        return self._by_recipient.get((provider, recipient), [])

    def pull(self, provider: str, at_ms: int, limit: int) -> list[tuple[Entry, Report]]:
        """Receipts that are due and have not been handed out, each once."""
        return self._due(self._to_pull[provider], at_ms, limit)

    def push(self, provider: str, at_ms: int, limit: int) -> list[tuple[Entry, Report]]:
        """Receipts that are due and have not been pushed."""
        return self._due(self._to_push[provider], at_ms, limit)

    def _due(self, heap: list[Report], at_ms: int, limit: int) -> list[tuple[Entry, Report]]:
        found: list[tuple[Entry, Report]] = []
        while heap and heap[0].due_ms <= at_ms and len(found) < limit:
            report = heapq.heappop(heap)
            found.append((self._known[report.seq].entry, report))
        return found
