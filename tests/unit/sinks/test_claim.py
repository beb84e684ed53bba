"""Claims: who may call, until when, and what is remembered for how long."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.limits import CLAIM_MARGIN_MS
from schemas.records import Event
from schemas.statuses import Stage
from sinks.claim import ANSWERS, Memory, Verdict, attempt_of, hold_ms, is_too_late, last_call_ms
from tests.channel_samples import ACCEPTED_AT, HOLD_MS, delivery

ME = "sinks.urgent@here:1"
OTHER = "sinks.urgent@there:2"
ONE = attempt_of(delivery())


def event(stage: str, worker: str = OTHER, at_ms: int = ACCEPTED_AT) -> Event:
    """An event about the attempt `ONE`."""
    return Event(ONE[0], stage, "sms", attempt=ONE[1], replay_id=ONE[2], at=at_ms, worker=worker)


def learned(*events: Event) -> Memory:
    """A memory that read these."""
    memory = Memory(ME)
    for one in events:
        memory.learn(one)
    return memory


def test_the_urgent_lane_holds_shorter_than_a_fail_over() -> None:
    """What a dead sink held lapses and is issued again."""
    assert (hold_ms("urgent"), hold_ms("normal"), hold_ms("bulk")) == (5_000, 30_000, 30_000)


def test_claims_end_before_claim_by_and_before_expiry() -> None:
    """Whichever comes first, to the millisecond."""
    one = delivery()
    assert last_call_ms(one) == ACCEPTED_AT + HOLD_MS
    assert not is_too_late(one, last_call_ms(one) - 1)
    assert is_too_late(one, last_call_ms(one))
    soon = delivery(expires_at=ACCEPTED_AT + 5_000)
    assert last_call_ms(soon) == ACCEPTED_AT + 5_000 - CLAIM_MARGIN_MS


def test_attempts_are_told_apart() -> None:
    """By message, attempt and replay."""
    told = [delivery(), delivery(2), delivery(attempt=2), delivery(replay_id=1)]
    assert len({attempt_of(one) for one in told}) == 4


def test_what_nobody_claimed_may_be_claimed() -> None:
    """Once."""
    memory = Memory(ME)
    assert memory.verdict(ONE) is Verdict.CLAIM
    memory.hold(ONE, ACCEPTED_AT)
    assert memory.verdict(ONE) is Verdict.WAIT
    memory.answered(ONE, ACCEPTED_AT)
    assert memory.verdict(ONE) is Verdict.SKIP


def test_what_was_let_go_without_a_call_may_be_claimed_again() -> None:
    """The old handler of this process said nothing, so somebody has to."""
    memory = Memory(ME)
    memory.hold(ONE, ACCEPTED_AT)
    memory.let_go(ONE)
    assert memory.verdict(ONE) is Verdict.CLAIM


def test_a_foreign_claim_without_an_answer_is_unknown() -> None:
    """Nobody here knows whether the call was made."""
    assert learned(event(Stage.SENDING)).verdict(ONE) is Verdict.UNKNOWN


def test_any_answer_closes_the_attempt() -> None:
    """In whatever order the log tells it, whoever gave it."""
    for stage in ANSWERS:
        assert learned(event(Stage.SENDING), event(stage)).verdict(ONE) is Verdict.SKIP
        assert learned(event(stage), event(Stage.SENDING)).verdict(ONE) is Verdict.SKIP
        assert learned(event(stage, ME)).verdict(ONE) is Verdict.SKIP


def test_other_stages_say_nothing_about_claims() -> None:
    """An issued or lapsed attempt may still be claimed."""
    assert learned(event(Stage.ISSUED), event(Stage.LAPSED), event(Stage.ACCEPTED)).verdict(ONE) is Verdict.CLAIM


def test_a_claim_under_our_name_that_we_do_not_remember_is_foreign() -> None:
    """A predecessor with the same name made it, and may have called."""
    assert learned(event(Stage.SENDING, ME)).verdict(ONE) is Verdict.UNKNOWN


def test_our_own_claim_in_the_log_proves_nothing_new() -> None:
    """We let it go without a call, and know that."""
    memory = Memory(ME)
    memory.hold(ONE, ACCEPTED_AT)
    memory.let_go(ONE)
    memory.learn(event(Stage.SENDING, ME))
    assert memory.verdict(ONE) is Verdict.CLAIM


def test_somebody_elses_claim_beside_ours_is_unknown_once_ours_is_let_go() -> None:
    """Two owners claimed: while we hold it, it is waited for; then nobody may call."""
    memory = Memory(ME)
    memory.hold(ONE, ACCEPTED_AT)
    memory.learn(event(Stage.SENDING, OTHER))
    assert memory.verdict(ONE) is Verdict.WAIT
    memory.let_go(ONE)
    assert memory.verdict(ONE) is Verdict.UNKNOWN


def test_forgets_by_age_but_never_what_is_held() -> None:
    """A call under way may take longer than the memory."""
    memory = Memory(ME)
    held, old, new = (attempt_of(delivery(number)) for number in (1, 2, 3))
    memory.hold(held, ACCEPTED_AT)
    memory.answered(old, ACCEPTED_AT)
    memory.answered(new, ACCEPTED_AT + 1_000)
    memory.forget(ACCEPTED_AT + 1)
    assert [memory.verdict(one) for one in (held, old, new)] == [Verdict.WAIT, Verdict.CLAIM, Verdict.SKIP]
    memory.answered(held, ACCEPTED_AT + 2_000)
    memory.forget(ACCEPTED_AT + 10_000)
    assert len(memory) == 0


@given(st.lists(st.sampled_from(["hold", "let_go", "answered", "foreign", "mine", "outcome"]), max_size=12))
def test_an_attempt_that_was_answered_is_never_claimed(steps: list[str]) -> None:
    """Whatever happens before or after, and in whatever order."""
    memory = Memory(ME)
    is_answered = is_foreign = is_known = False
    for step in steps:
        match step:
            case "hold":
                memory.hold(ONE, ACCEPTED_AT)
            case "let_go":
                if is_known:
                    memory.let_go(ONE)
            case "answered" | "outcome":
                is_answered = True
                memory.answered(ONE, ACCEPTED_AT) if step == "answered" else memory.learn(event(Stage.OUTCOME))
            case _:
                is_foreign = is_foreign or step == "foreign" or not is_known
                memory.learn(event(Stage.SENDING, OTHER if step == "foreign" else ME))
        is_known = is_known or step != "let_go"
    verdict = memory.verdict(ONE)
    assert (verdict is Verdict.SKIP) == is_answered
    if is_foreign:
        assert verdict is not Verdict.CLAIM
