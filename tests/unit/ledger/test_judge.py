import pytest

from schemas.records import Event
from schemas.statuses import Stage, Status
from tests.ledger.judge import COUNTED, RULES, Call, Evidence, Fact, Logged, Offer, Verdict, judge

ME = b"m" * 16
SENT = Fact("sent")


def event(stage: str, at: int, **fields: object) -> Logged:
    """An event of the message, appended at that moment."""
    return Logged(Event(ME, stage, **fields), at)  # type: ignore[arg-type]  # whatever the test names


def claim(attempt: int, at: int, *, flagged: bool = False) -> Logged:
    """A claim on the SMS channel."""
    return event(Stage.SENDING, at, channel="sms", attempt=attempt, status="sending", possible_duplicate=flagged)


def answer(attempt: int, at: int, status: str = "accepted") -> Logged:
    """What the provider said to it."""
    return event(Stage.OUTCOME, at, channel="sms", attempt=attempt, status=status)


def completed(at: int, status: str = "sent") -> Logged:
    """How the message ended."""
    return event(Stage.COMPLETED, at, status=status)


def verdict(
    log: list[Logged],
    calls: list[Call],
    fact: Fact | None = SENT,
    offer: Offer | None = None,
    *,
    told: bool = True,
) -> Verdict:
    """The verdict over the one message."""
    facts = {ME: fact} if fact is not None else {}
    return judge(Evidence([offer or Offer(ME)], facts, log, calls, frozenset({ME} if told else ())))


def broken(found: Verdict) -> set[str]:
    """The rules that it broke."""
    return {name for name, offenders in found.broken.items() if offenders}


GOOD_LOG = [claim(1, 10), answer(1, 30), completed(40)]
GOOD_CALLS = [Call(ME, "sms", 20, attempt=1)]


def test_a_message_that_went_well_is_clean() -> None:
    """Claimed, called once, answered, completed: no rule complains."""
    found = verdict(GOOD_LOG, GOOD_CALLS)
    assert found.is_clean
    assert found.submitted == 1
    assert found.ended == {("sent", ""): 1}
    assert not any(found.counted.values())


def test_a_message_without_a_final_status_is_lost() -> None:
    """Nothing in the store is a loss, whatever the log says."""
    assert broken(verdict(GOOD_LOG, GOOD_CALLS, None)) == {"without a final status"}


def test_a_refusal_must_be_the_one_that_was_deserved() -> None:
    """A right message that is refused, a wrong one that is sent, and a wrong reason are all told."""
    refused = [completed(40, Status.REJECTED)]
    fact = Fact(Status.REJECTED, "type_unknown")
    rule = {"ended otherwise than its request deserved"}
    assert broken(verdict(refused, [], fact)) == rule
    assert broken(verdict(refused, [], fact, Offer(ME, "missing_parameter"))) == rule
    assert broken(verdict(GOOD_LOG, GOOD_CALLS, SENT, Offer(ME, "type_unknown"))) == rule
    assert verdict(refused, [], fact, Offer(ME, "type_unknown")).is_clean


def test_a_failure_needs_a_reason() -> None:
    """Failed without a word is a fault, failed with one is not."""
    log = [claim(1, 10), answer(1, 30, "failed"), completed(40, "failed")]
    calls = [Call(ME, "sms", 20, "refused", 1)]
    assert broken(verdict(log, calls, Fact("failed"))) == {"not done, and no reason given"}
    assert verdict(log, calls, Fact("failed", "recipient_invalid")).is_clean


def test_done_needs_a_provider_that_took_it() -> None:
    """A status of success that no simulator knows of is a lie."""
    assert broken(verdict([completed(40)], [])) == {"done, but seen by no provider"}
    assert "done, but seen by no provider" in broken(verdict(GOOD_LOG, [Call(ME, "sms", 20, "refused", 1)]))


def test_the_store_and_the_log_must_agree() -> None:
    """The store's status is the highest completed one of the log."""
    raised = [*GOOD_LOG, completed(50, "delivered")]
    assert broken(verdict(raised, GOOD_CALLS)) == {"the store says otherwise than the log"}
    assert verdict(raised, GOOD_CALLS, Fact("delivered")).is_clean
    assert verdict(raised, GOOD_CALLS, Fact("delivered")).counted["raised by a late proof"] == [ME]


def test_a_final_status_is_never_taken_back() -> None:
    """A lower status after a higher one is a contradiction; the same one again is not."""
    assert broken(verdict([*GOOD_LOG, completed(50, "failed")], GOOD_CALLS)) == {"final status taken back"}
    assert verdict([*GOOD_LOG, completed(50)], GOOD_CALLS).is_clean


def test_the_application_must_be_told() -> None:
    """No outcome for the application is a fault of its own."""
    assert broken(verdict(GOOD_LOG, GOOD_CALLS, told=False)) == {"application never told"}


def test_a_claim_after_the_answer_is_sending_twice() -> None:
    """The next attempt must not be claimed once the channel has taken the message."""
    log = [claim(1, 10), answer(1, 30), claim(2, 35, flagged=True), completed(40)]
    assert broken(verdict(log, GOOD_CALLS)) == {"called again after its answer was recorded"}


def test_a_call_after_the_answer_is_sending_twice() -> None:
    """One that was frozen and woke up, and calls under an old claim, is caught by the call's time."""
    log = [claim(1, 10), claim(2, 15, flagged=True), answer(2, 30), completed(40)]
    calls = [Call(ME, "sms", 20, attempt=2), Call(ME, "sms", 60, attempt=1)]
    found = broken(verdict(log, calls, Fact("sent", possible_duplicate=True)))
    assert "called again after its answer was recorded" in found


def test_the_same_claim_read_again_is_no_second_one() -> None:
    """A claim that stands in the log twice, the second time after the answer, is one claim."""
    assert verdict([*GOOD_LOG, claim(1, 60)], GOOD_CALLS).is_clean


@pytest.mark.parametrize(
    ("log", "calls"),
    [
        ([answer(1, 30), completed(40)], GOOD_CALLS),
        ([claim(1, 25), answer(1, 30), completed(40)], GOOD_CALLS),
        (GOOD_LOG, [Call(ME, "sms", 20, attempt=1), Call(ME, "sms", 21, "refused", 1)]),
        (GOOD_LOG, [Call(ME, "sms", 20), Call(ME, "sms", 21, "repeated")]),
        (GOOD_LOG, [Call(ME, "sms", 20, attempt=2)]),
    ],
)
def test_every_call_needs_a_claim_of_its_own_before_it(log: list[Logged], calls: list[Call]) -> None:
    """No claim, a claim too late, two calls for one claim, or a call for another attempt: all are told."""
    assert "called without a claim, or twice for one" in broken(verdict(log, calls))


def test_calls_of_several_claims_are_fine() -> None:
    """A second call under a second claim, flagged, is a double that everybody knows of."""
    log = [claim(1, 10), claim(2, 25, flagged=True), answer(2, 35), completed(40)]
    calls = [Call(ME, "sms", 20, attempt=1), Call(ME, "sms", 30, attempt=2)]
    found = verdict(log, calls, Fact("sent", possible_duplicate=True))
    assert found.is_clean
    assert found.counted["taken twice by a provider, all flagged"] == [ME]
    assert found.counted["flagged as possible doubles"] == [ME]


def test_a_double_must_be_flagged_in_the_log_and_in_the_store() -> None:
    """Taken twice and only one of the two says so: told."""
    calls = [Call(ME, "sms", 20, attempt=1), Call(ME, "sms", 30, attempt=2)]
    rule = "taken twice by a provider, not flagged"
    silent = [claim(1, 10), claim(2, 25), answer(2, 35), completed(40)]
    flagged = [claim(1, 10), claim(2, 25, flagged=True), answer(2, 35), completed(40)]
    assert rule in broken(verdict(silent, calls, Fact("sent", possible_duplicate=True)))
    assert broken(verdict(flagged, calls)) == {rule}


def test_a_claim_after_an_uncertain_one_must_be_flagged() -> None:
    """Nobody knows what became of the first call; after a definite failure everybody does."""
    uncertain = [claim(1, 10), event(Stage.UNKNOWN, 20, channel="sms", attempt=1), claim(2, 25), answer(2, 35)]
    certain = [claim(1, 10), event(Stage.DROPPED, 20, channel="sms", attempt=1), claim(2, 25), answer(2, 35)]
    calls = [Call(ME, "sms", 30, attempt=2)]
    rule = "claimed again after an uncertain call, not flagged"
    assert broken(verdict([*uncertain, completed(40)], calls)) == {rule}
    assert verdict([*certain, completed(40)], calls).is_clean


def test_a_call_that_the_provider_cannot_read_is_ours_to_mend() -> None:
    """A missing variable on one channel is told, also when the message got through on another."""
    calls = [*GOOD_CALLS, Call(ME, "webhook", 20, "faulty")]
    log = [event(Stage.SENDING, 10, channel="webhook", attempt=1), *GOOD_LOG]
    assert broken(verdict(log, calls)) == {"called in a way that the provider does not understand"}


def test_a_call_about_nothing_that_was_offered_is_told() -> None:
    """A provider must not hear of messages that nobody offered."""
    found = verdict(GOOD_LOG, [*GOOD_CALLS, Call(b"", "sms", 20)])
    assert (found.strange, found.is_clean) == (1, False)


def test_the_table_names_every_rule_once() -> None:
    """The page has a line for every rule and every count, and what must be 0 says so."""
    table = verdict(GOOD_LOG, GOOD_CALLS).table()
    assert all(table.count(f"{name} (must be 0)") == 1 for name in RULES)
    assert all(name in table for name in COUNTED)
    assert "  sent" in table


def test_offenders_are_named_once() -> None:
    """A message that breaks two rules is looked at once."""
    assert verdict([], [], None, told=False).offenders == [ME]


def test_a_call_before_its_time_is_found() -> None:
    """A reminder that comes early is as wrong as one that comes late."""
    assert broken(verdict(GOOD_LOG, GOOD_CALLS, offer=Offer(ME, send_at=21))) == {"called before its time"}
    assert verdict(GOOD_LOG, GOOD_CALLS, offer=Offer(ME, send_at=20)).is_clean


def test_a_cancelled_message_that_was_taken_is_found() -> None:
    """Its sender was told that nobody got it."""
    log = [claim(1, 10), answer(1, 30), completed(40, "cancelled")]
    found = verdict(log, GOOD_CALLS, Fact("cancelled", "cancelled_by_sender"))
    assert "cancelled, but taken by a provider" in broken(found)
    never = verdict([completed(40, "cancelled")], [], Fact("cancelled", "cancelled_by_sender"))
    assert never.is_clean
