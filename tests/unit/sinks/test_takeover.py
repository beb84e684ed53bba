"""Taking over: what the tail of the log teaches, and from where it is read."""

from schemas.statuses import Stage
from sinks.claim import Memory, Verdict, attempt_of, hold_ms
from sinks.takeover import Takeover
from tests.channel_samples import ACCEPTED_AT
from tests.sink_desk import EVENTS, ME, Log, claim_of, parcel


def takeover(log: Log, lane: str = "normal") -> Takeover:
    """Of the fake channel."""
    return Takeover(log, EVENTS, "fake", lane)


async def test_learns_claims_and_answers_of_its_channel() -> None:
    """A record that is no event is passed over."""
    log, memory = Log(), Memory(ME)
    log.events += [claim_of(parcel(1)), claim_of(parcel(2)), claim_of(parcel(2), stage=Stage.DROPPED)]
    assert await takeover(log).read(memory, 3, ACCEPTED_AT, lambda: False)
    found = [memory.verdict(attempt_of(parcel(number))) for number in (1, 2, 3)]
    assert found == [Verdict.UNKNOWN, Verdict.SKIP, Verdict.CLAIM]


async def test_reads_from_twice_the_hold_of_its_lane() -> None:
    """The urgent lane holds shorter, so it reads less."""
    log = Log()
    for lane in ("urgent", "bulk"):
        assert await takeover(log, lane).read(Memory(ME), 0, ACCEPTED_AT, lambda: False)
    assert log.tail_reads == [ACCEPTED_AT - 2 * hold_ms("urgent"), ACCEPTED_AT - 2 * hold_ms("bulk")]


async def test_a_partition_given_up_is_not_taken_over() -> None:
    """Neither before the reading nor after it."""
    log = Log()
    assert not await takeover(log).read(Memory(ME), 0, ACCEPTED_AT, lambda: True)
    assert log.tail_reads == []
    said = iter([False, True])
    assert not await takeover(log).read(Memory(ME), 0, ACCEPTED_AT, lambda: next(said))
