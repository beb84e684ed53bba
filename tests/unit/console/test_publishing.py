from collections.abc import Iterator
from concurrent.futures import Future
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import publishing
from console.publishing import Desk, Ended, Offer, Outcome, Totals, publish
from producers.acknowledgement import NotAcknowledgedError
from producers.publisher import MedpostClient
from producers.refusals import Refused
from producers.requests import MessageRequest
from schemas.errors import MedpostError, Permanent, Reason, UnavailableError


class Answers:
    """A client that answers as each request's type says; `open` counts what is unanswered."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.most_open = 0
        self.open: list[Future[str]] = []

    def submit(self, request: MessageRequest) -> "Future[str]":
        """An answer to come, or the refusal at once."""
        self.submitted.append(request.reference)
        answer: Future[str] = Future()
        if request.type == "permanent":
            raise Permanent(Reason.TOO_LARGE, "too large")
        if request.type == "gone":
            raise UnavailableError("gone")
        if request.type == "slow":
            self.open.append(answer)
            self.most_open = max(self.most_open, len(self.open))
            if len(self.open) > 1:
                self.open.pop(0).set_result("id")
        elif request.type == "silent":
            answer.set_exception(NotAcknowledgedError("silence", "id"))
        else:
            answer.set_result("id")
        return answer


def offer(kind: str = "good", reference: str = "", number: int = 1, *, is_first: bool = True) -> Offer:
    """An offer whose fate is its type."""
    request = MessageRequest(type=kind, recipient=("patient_id", "P1"), reference=reference)
    return Offer("f.hl7", number, app="lis", type=kind, request=request, is_first=is_first)


def run(offers: list[Offer], answers: Answers | None = None, in_flight: int = 10) -> tuple[Totals, list[Ended]]:
    """Publish them; the totals and every ending."""
    client = cast("MedpostClient", answers or Answers())
    endings = list(publish(offers, Desk(lambda _app: client), in_flight))
    totals = Totals()
    for ended in endings:
        totals.count(ended)
    return totals, endings


def test_every_offer_ends_in_one_way() -> None:
    """Published, unmapped, refused before and after, repeated, unacknowledged: each counted once, in order."""
    problem = Refused(Reason.DECODE_ERROR, "bytes", "mend them")
    totals, endings = run(
        [
            offer(reference="a"), Offer("f", 2), Offer("f", 3, problem=problem), offer("permanent"),
            offer(reference="a"), offer("silent"), offer(is_first=False),
        ]
    )  # fmt: skip
    assert [ended.outcome for ended in endings] == [
        Outcome.PUBLISHED, Outcome.UNMAPPED, Outcome.REFUSED, Outcome.REFUSED,
        Outcome.DUPLICATE, Outcome.UNACKNOWLEDGED, Outcome.PUBLISHED,
    ]  # fmt: skip
    assert (totals.read, totals.split, totals.is_reconciled, totals.is_clean) == (6, 1, True, False)
    assert totals.refused == {"decode_error": 1, "too_large": 1}
    assert (endings[2].remedy, endings[5].message_id) == ("mend them", "id")


def test_a_reference_used_for_something_else_is_refused() -> None:
    """A conflict inside one input is no repeat: nobody would ever hear of the second message."""
    other = MessageRequest(type="good", recipient=("patient_id", "P2"), reference="a")
    totals, endings = run([offer(reference="a"), Offer("f", 2, app="lis", type="good", request=other)])
    assert endings[1].reason == Reason.REFERENCE_CONFLICT
    assert totals.is_reconciled


def test_the_same_reference_of_another_application_is_another_message() -> None:
    """References are an application's own."""
    answers = Answers()
    mine = offer(reference="a")
    theirs = Offer("f", 2, app="his", type="good", request=mine.request)
    assert [ended.outcome for ended in run([mine, theirs], answers)[1]] == [Outcome.PUBLISHED] * 2


def test_a_dry_run_sends_nothing_and_counts_the_same() -> None:
    """Without clients a good request would be published, a repeat is a repeat."""
    endings = list(publish([offer(reference="a"), offer(reference="a"), Offer("f", 3)], Desk(None)))
    assert [ended.outcome for ended in endings] == [Outcome.PUBLISHED, Outcome.DUPLICATE, Outcome.UNMAPPED]


def test_no_more_than_the_window_is_unanswered() -> None:
    """With two in flight, reading waits for answers."""
    answers = Answers()

    def offers() -> Iterator[Offer]:
        yield from (offer("slow", str(number)) for number in range(6))

    endings = publish(offers(), Desk(lambda _app: cast("MedpostClient", answers)), in_flight=2)
    for _ in range(5):
        next(endings)
    answers.open.pop().set_result("id")
    assert len(list(endings)) == 1
    assert answers.most_open == 2


def test_a_silent_broker_ends_the_run() -> None:
    """After so many in a row it is gone: what was read is accounted for, the rest is not read."""
    answers = Answers()
    endings: list[Ended] = []
    with pytest.raises(UnavailableError, match="stopped"):
        endings.extend(publish([offer("silent", str(n)) for n in range(500)], _desk(answers), 10))
    assert len(answers.submitted) < publishing.SILENT_LIMIT + 20


def _desk(answers: Answers) -> Desk:
    return Desk(lambda _app: cast("MedpostClient", answers))


def test_a_missing_broker_is_no_refusal() -> None:
    """An installation's fault is nobody's message's."""
    with pytest.raises(UnavailableError):
        run([offer("gone")])


def test_an_application_without_key_is_refused_by_name() -> None:
    """The others go on."""

    def client_of(app: str) -> MedpostClient:
        raise Refused(Reason.APP_UNKNOWN, f"no key of {app}", "give one")

    (ended,) = publish([offer()], Desk(client_of))
    assert (ended.outcome, ended.reason) == (Outcome.REFUSED, "app_unknown")


def test_only_so_many_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; an older repeat is told downstream, by its id."""
    monkeypatch.setattr(publishing, "REMEMBERED", 2)
    offers = [offer(reference=name) for name in "abca"]
    assert [ended.outcome for ended in run(offers)[1]] == [Outcome.PUBLISHED] * 4


KINDS = st.sampled_from(["good", "permanent", "silent", "none", "problem"])


@given(offers=st.lists(st.tuples(KINDS, st.sampled_from("abc"), st.booleans()), max_size=40), window=st.integers(1, 5))
def test_totals_always_reconcile(offers: list[tuple[str, str, bool]], window: int) -> None:
    """Whatever is offered: as many endings as offers, in their order."""
    problem: MedpostError = Refused(Reason.DECODE_ERROR, "x")
    made = [
        offer(kind, reference, index, is_first=is_first)
        if kind not in ("none", "problem")
        else Offer("f", index, problem=problem if kind == "problem" else None, is_first=is_first)
        for index, (kind, reference, is_first) in enumerate(offers)
    ]
    totals, endings = run(made, in_flight=window)
    assert [ended.offer for ended in endings] == made
    assert totals.is_reconciled
