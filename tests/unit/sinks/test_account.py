"""An account: closed while its breaker says so or its provider asked for a pause, and one gate of its limiter."""

import pytest
from msgspec import structs

from infra.clock import HandClock
from schemas.errors import Reason
from schemas.records import Event
from schemas.statuses import Lane, Stage, Status
from sinks.account import LONGEST_PAUSE_MS, Account, Pass, Standing, sign_of
from sinks.breaker import FIRST_MS, REFUSALS, Sign, State
from sinks.limits import Limiter

NO_ID = bytes(16)
TAKEN = Event(NO_ID, Stage.OUTCOME, status=Status.ACCEPTED)
REFUSED = Event(
    NO_ID, Stage.OUTCOME, status=Status.FAILED, reason=Reason.TRANSIENT, provider_code="503", scope="channel"
)
WRONG_NUMBER = structs.replace(REFUSED, reason=Reason.RECIPIENT_INVALID, scope="recipient")
NEVER_LEFT = structs.replace(WRONG_NUMBER, provider_code="")


def never() -> bool:
    """Not stopped."""
    return False


def account(clock: HandClock, rate_per_s: float = 1_000) -> Account:
    """Urgent, so half of a thousand a second and of forty at once."""
    return Account("sms", "acme", Limiter(rate_per_s, 40, Lane.URGENT, clock), clock)


async def called(one: Account, answer: Event, count: int = 1) -> None:
    """Calls that end so, one after the other."""
    for _ in range(count):
        given = await one.admit(1, 2**60, never)
        assert given.count == 1
        one.told(given, answer)
        one.give_back(given)


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        (TAKEN, Sign.WELL),
        (REFUSED, Sign.REFUSED),
        (structs.replace(REFUSED, scope="account"), Sign.REFUSED),
        (WRONG_NUMBER, Sign.WELL),
        (structs.replace(REFUSED, scope="template"), Sign.WELL),
        (NEVER_LEFT, None),
        (Event(NO_ID, Stage.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME), Sign.SILENT),
        (Event(NO_ID, Stage.DROPPED, reason=Reason.TOO_LATE), None),
    ],
)
def test_what_an_answer_says_about_the_account(answer: Event, sign: Sign | None) -> None:
    """A wrong number proves that the provider works; what never left proves nothing."""
    assert sign_of(answer) is sign


async def test_wrong_numbers_never_close_it() -> None:
    """Fifty in a row."""
    clock = HandClock()
    one = account(clock, 1_000_000)
    await called(one, WRONG_NUMBER, 50)
    assert (one.state, one.may_call(clock.now_ms()).is_closed) == (State.OPEN, False)


async def test_refusals_close_it_and_a_probe_opens_it() -> None:
    """One probe, while the others stay away."""
    clock = HandClock()
    one = account(clock)
    await called(one, REFUSED, REFUSALS)
    assert one.may_call(clock.now_ms()) == Standing(0, clock.now_ms() + FIRST_MS, Reason.TRANSIENT)
    assert await one.admit(1, 2**60, never) == Pass(0, 1)
    clock.advance(FIRST_MS)
    probe = await one.admit(10, 2**60, never)
    assert (probe.count, one.state, one.may_call(clock.now_ms()).is_closed) == (1, State.PROBING, True)
    one.told(probe, TAKEN)
    one.give_back(probe)
    assert (one.state, one.in_flight) == (State.OPEN, 0)
    assert (await one.admit(10, 2**60, never)).count == 10


def test_who_comes_too_late_is_not_told_of_a_pause_that_nobody_asked_for() -> None:
    """Patience that is over is none, and nothing else."""
    clock = HandClock(1_000)
    assert not account(clock).may_call(clock.now_ms(), -3_600_000).is_closed


async def test_a_probe_that_was_not_made_is_somebody_elses() -> None:
    """Given back without an answer, or with one that says nothing."""
    clock = HandClock()
    one = account(clock)
    await called(one, REFUSED, REFUSALS)
    clock.advance(FIRST_MS)
    one.give_back(await one.admit(1, 2**60, never))
    await called(one, NEVER_LEFT)
    assert one.state.value == State.PROBING
    await called(one, TAKEN)
    assert one.state is State.OPEN


@pytest.mark.parametrize(("asked_ms", "paused_ms"), [(3_000, 3_000), (LONGEST_PAUSE_MS * 9, LONGEST_PAUSE_MS)])
async def test_a_pause_that_was_asked_for_is_kept(asked_ms: int, paused_ms: int) -> None:
    """Waited for where that is soon enough, else told; and not for ever."""
    clock = HandClock()
    one = account(clock)
    now_ms = clock.now_ms()
    slow = structs.replace(REFUSED, reason=Reason.RATE_LIMITED, scope="account", at=now_ms, until=now_ms + asked_ms)
    await called(one, slow)
    assert one.state.value == State.PAUSED
    assert one.may_call(now_ms, patience_ms=0) == Standing(0, now_ms + paused_ms, Reason.RATE_LIMITED)
    assert one.may_call(now_ms, patience_ms=paused_ms) == Standing(0)
    assert (await one.admit(1, now_ms + 100, never)).count == 0
    clock.advance(paused_ms)
    await called(one, TAKEN)
    assert one.state is State.OPEN
