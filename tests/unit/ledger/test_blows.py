from schemas.statuses import Lane
from tests.ledger.blows import BROKER, EARLY, LATE, Blow, schedule


def test_every_blow_falls_once_in_time_and_in_order() -> None:
    """All blows of the list, one after the other, within the offering; the broker after the others."""
    blows = schedule(7, 100.0)
    fallen = [(blow.kind, blow.target) for blow in blows]
    assert sorted(fallen[:-2]) == sorted(EARLY)
    assert fallen[-2:] == [BROKER, LATE]
    times = [blow.at_s for blow in blows]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 100.0


def test_the_seed_decides_the_order() -> None:
    """The same seed is the same run; another one is another."""
    assert schedule(1, 100.0) == schedule(1, 100.0)
    assert len({tuple(blow.target for blow in schedule(seed, 100.0)) for seed in range(5)}) > 1


def test_a_blow_knows_whom_it_delays() -> None:
    """A lane's process delays its lane, the broker all, the trace writer nobody."""
    assert Blow(1.0, "kill -9", "settle-urgent").lanes == {Lane.URGENT}
    assert Blow(1.0, "freeze", "sinks-normal-2").lanes == {Lane.NORMAL}
    assert Blow(1.0, "kill -9", "broker").lanes == set(Lane)
    assert Blow(1.0, "kill -9", "trace").lanes == set()
