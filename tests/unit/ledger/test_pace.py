from infra.local.processes import Record
from schemas.records import Event
from schemas.statuses import Lane, Stage
from tests.ledger.blows import Blow, Fallen
from tests.ledger.judge import Call, Evidence, Logged
from tests.ledger.pace import paces, told
from tests.ledger.plant import Mark


def message(number: int, accepted_at: int, called_at: int, lane: str = "urgent") -> tuple[Logged, Call]:
    """An accepted message and the first call for it, in milliseconds."""
    message_id = number.to_bytes(16, "big")
    accepted = Event(message_id, Stage.ACCEPTED, accepted_at=accepted_at, lane=lane)
    return Logged(accepted, accepted_at), Call(message_id, "sms", called_at)


def evidence(*found: tuple[Logged, Call]) -> Evidence:
    """These messages, and nothing else."""
    return Evidence([], {}, [one for one, _ in found], [call for _, call in found], frozenset())


def blow(at_ms: int, target: str, back_after_s: float) -> Fallen:
    """A blow at that moment whose victim was back so much later."""
    return Fallen(Blow(0.0, "kill -9", target), at_ms, Mark(target, Record(1, "x")), 0.0, back_after_s)


def test_latency_counts_from_acceptance_to_the_first_call_outside_the_blows() -> None:
    """A message that a blow of its lane delayed counts for the worst, not for the calm."""
    found = evidence(message(1, 1_000, 1_020), message(2, 100_000, 104_000), message(3, 200_000, 200_010))
    urgent = paces(found, [blow(99_000, "sinks-urgent", 5.0)], 300_000)[0]
    assert (urgent.lane, urgent.counted, urgent.worst_ms) == (Lane.URGENT, 2, 4_000)
    assert (urgent.p50_ms, urgent.p99_ms) == (20, 20)


def test_blows_of_other_lanes_do_not_count() -> None:
    """What hits the bulk lane leaves the urgent one calm."""
    found = evidence(message(1, 1_000, 1_020))
    assert paces(found, [blow(1_000, "settle-bulk", 5.0)], 2_000)[0].counted == 1


def test_the_gap_is_between_calls_while_messages_were_offered() -> None:
    """Silence after the last message was offered is no gap."""
    found = evidence(message(1, 1_000, 1_010), message(2, 4_000, 4_010), message(3, 9_000, 20_000))
    assert paces(found, [], 8_000)[0].gap_ms == 3_000


def test_a_lane_without_messages_has_zeros() -> None:
    """Nothing offered, nothing to tell."""
    bulk = paces(evidence(), [], 0)[2]
    assert (bulk.lane, bulk.counted, bulk.p50_ms, bulk.gap_ms) == (Lane.BULK, 0, 0, 0)
    assert told([bulk]).splitlines()[1].split() == ["bulk", "0", "0", "0", "0", "0"]
