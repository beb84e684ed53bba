from schemas.statuses import Lane
from tests.ledger.blows import (
    BROKER,
    EARLY,
    LATE,
    LONG_EARLY,
    OUTAGE,
    OUTAGE_S,
    SICK_S,
    SICKEN,
    Blow,
    long_schedule,
    schedule,
)


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
    assert Blow(1.0, SICKEN, "aliyun").lanes == set(Lane)


def test_the_long_run_has_every_blow_once_and_a_long_outage_of_the_store() -> None:
    """In chance order, in time; what lasts longer says so."""
    blows = long_schedule(7, 600.0)
    assert sorted((blow.kind, blow.target) for blow in blows) == sorted([*LONG_EARLY, OUTAGE])
    times = [blow.at_s for blow in blows]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 600.0
    lasting = {(blow.kind, blow.target): blow.lasts_s for blow in blows}
    assert lasting[OUTAGE] == OUTAGE_S
    assert lasting[SICKEN, "aliyun"] == SICK_S
