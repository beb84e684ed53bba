"""Publishing what was read from files, and accounting for all of it: every input ends as exactly one outcome a request.

Called by `medpost publish` and the sample hospital. Reads no file and prints nothing: offers come in, endings go out.
Totals reconcile by construction: read + split = published + unmapped + duplicates + refused + unacknowledged.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct, field, structs

from producers.acknowledgement import NotAcknowledgedError
from producers.publisher import MedpostClient
from producers.requests import MessageRequest
from schemas import ids
from schemas.errors import MedpostError, Reason, UnavailableError
from schemas.records import Source

IN_FLIGHT: Final = 1_000
REMEMBERED: Final = 200_000
"""Ids of this run by which repeats are told; what is older is told downstream, by its id."""
_NO_SOURCE: Final = Source()
SILENT_LIMIT: Final = 100
"""After so many unacknowledged in a row the broker is gone: going on would wait for each in vain."""


class Outcome(StrEnum):
    """How one request, or an input that makes none, ended."""

    PUBLISHED = "published"
    UNMAPPED = "unmapped"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    UNACKNOWLEDGED = "unacknowledged"


class Offer(Struct, frozen=True):
    """One request found in an input, or why there is none: `problem`, or neither (no rule maps it).

    `number` is the message's or line's in its `source`; `is_first`: the first of that input, others were split off it.
    """

    source: str
    number: int
    event: str = ""
    app: str = ""
    type: str = ""
    request: MessageRequest | None = None
    problem: MedpostError | None = None
    is_first: bool = True


class Ended(Struct, frozen=True):
    """How an offer ended; `reason`, `detail` and `remedy` say why it was not published. Never personal data."""

    offer: Offer
    outcome: Outcome
    message_id: str = ""
    reason: str = ""
    detail: str = ""
    remedy: str = ""


class Totals(Struct):
    """What a run read and what became of it; `types` counts the published by type, `refused` by reason."""

    read: int = 0
    split: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)

    def count(self, ended: Ended) -> None:
        """Count one ending."""
        self.read += ended.offer.is_first
        self.split += not ended.offer.is_first
        self.outcomes[ended.outcome] += 1
        if ended.outcome is Outcome.PUBLISHED:
            self.types[ended.offer.type] += 1
        elif ended.outcome is Outcome.REFUSED:
            self.refused[ended.reason] += 1

    @property
    def is_reconciled(self) -> bool:
        """Whether everything that was read is accounted for."""
        return self.read + self.split == self.outcomes.total()

    @property
    def is_clean(self) -> bool:
        """Nothing was refused, and nothing is unacknowledged."""
        return not self.outcomes[Outcome.REFUSED] and not self.outcomes[Outcome.UNACKNOWLEDGED]


def refused(offer: Offer, problem: MedpostError) -> Ended:
    """The ending of an offer that was not published because of `problem`."""
    remedy = getattr(problem, "remedy", "")
    return Ended(offer, Outcome.REFUSED, "", str(problem.reason), problem.detail, remedy)


Judge = Callable[[str, MessageRequest], MedpostError | None]
"""Why an application's request would be refused; None when it would not."""


def nobody(_app: str, _request: MessageRequest) -> None:
    """Refuses nothing: intake will judge."""


class Desk:
    """Hands requests to their applications' clients; `client_of` gives one or raises MedpostError.

    None: dry run, and `judge` says what would be refused.
    """

    def __init__(self, client_of: Callable[[str], MedpostClient] | None, judge: Judge = nobody) -> None:
        self._client_of = client_of
        self._judge = judge
        self._seen: OrderedDict[str, int] = OrderedDict()

    def take(self, offer: Offer) -> Ended | Future[str]:
        """The ending, where it is known at once; else the broker's answer to come. Raises UnavailableError."""
        if offer.problem is not None:
            return refused(offer, offer.problem)
        if offer.request is None:
            return Ended(offer, Outcome.UNMAPPED)
        message_id = _id_of(offer.app, offer.request)
        if message_id and message_id in self._seen:
            return self._repeated(offer, offer.request, message_id)
        if message_id:
            self._remember(message_id, offer.request)
        if self._client_of is None:
            problem = self._judge(offer.app, offer.request)
            return Ended(offer, Outcome.PUBLISHED, message_id) if problem is None else refused(offer, problem)
        return self._submitted(self._client_of, offer, offer.request)

    @staticmethod
    def _submitted(
        client_of: Callable[[str], MedpostClient], offer: Offer, request: MessageRequest
    ) -> Ended | Future[str]:
        try:
            return client_of(offer.app).submit(request)
        except UnavailableError:
            raise
        except NotAcknowledgedError as problem:
            return unacknowledged(offer, problem)
        except MedpostError as problem:
            return refused(offer, problem)

    def _repeated(self, offer: Offer, request: MessageRequest, message_id: str) -> Ended:
        """A second request under an id of this run: the same again, or a conflict that nobody should hide."""
        if self._seen[message_id] == _fingerprint(request):
            return Ended(offer, Outcome.DUPLICATE, message_id)
        remedy = "give every message a reference of its own"
        detail = "the same reference earlier in this input, with other content"
        return Ended(offer, Outcome.REFUSED, message_id, Reason.REFERENCE_CONFLICT, detail, remedy)

    def _remember(self, message_id: str, request: MessageRequest) -> None:
        self._seen[message_id] = _fingerprint(request)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def _fingerprint(request: MessageRequest) -> int:
    """Of what is asked for; like intake, it leaves out when and from where: a repeat may carry a new time stamp."""
    return hash(msgspec.json.encode(structs.replace(request, source=_NO_SOURCE)))


def _id_of(app: str, request: MessageRequest) -> str:
    return ids.show(ids.from_reference(app, request.reference)) if request.reference else request.message_id


def unacknowledged(offer: Offer, problem: NotAcknowledgedError) -> Ended:
    """The ending of an offer that the broker did not confirm."""
    remedy = "publish the same input again: what arrived is recognised"
    return Ended(offer, Outcome.UNACKNOWLEDGED, problem.message_id, str(problem.reason), problem.detail, remedy)


def publish(offers: Iterable[Offer], desk: Desk, in_flight: int = IN_FLIGHT) -> Iterator[Ended]:
    """Publish offers, with at most `in_flight` unanswered; yields every ending, in order.

    Raises UnavailableError when the broker went silent; what was yielded before is accounted for, and publishing the
    same input again is safe.
    """
    waiting: deque[tuple[Offer, Ended | Future[str]]] = deque()
    silent = 0
    for ended in _ended(offers, desk, waiting, in_flight):
        yield ended
        silent = silent + 1 if ended.outcome is Outcome.UNACKNOWLEDGED else 0
        if silent >= SILENT_LIMIT:
            raise UnavailableError(
                "the broker stopped acknowledging", "mend it, then publish the same input again: repeats are recognised"
            )


def _ended(
    offers: Iterable[Offer], desk: Desk, waiting: deque[tuple[Offer, Ended | Future[str]]], in_flight: int
) -> Iterator[Ended]:
    for offer in offers:
        waiting.append((offer, desk.take(offer)))
        while waiting and (len(waiting) >= in_flight or _is_known(waiting[0][1])):
            yield _answer(*waiting.popleft())
    while waiting:
        yield _answer(*waiting.popleft())


def _is_known(answer: Ended | Future[str]) -> bool:
    return isinstance(answer, Ended) or answer.done()


def _answer(offer: Offer, answer: Ended | Future[str]) -> Ended:
    if isinstance(answer, Ended):
        return answer
    try:
        return Ended(offer, Outcome.PUBLISHED, answer.result())
    except NotAcknowledgedError as problem:
        return unacknowledged(offer, problem)
    except MedpostError as problem:
        return refused(offer, problem)
