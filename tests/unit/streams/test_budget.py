"""The budget of fallbacks: divided over partitions, whole again with the hour, told once when it is spent."""

from streams.budget import HOUR_MS, Budget

HOUR = 1_000 * HOUR_MS


def test_a_partition_has_its_part_and_at_least_one() -> None:
    """8 an hour over 4 partitions are 2 each; 1 an hour is 1 each."""
    for per_hour, part in ((8, 2), (1, 1)):
        budget = Budget(4, lambda *_: None)
        for _ in range(part):
            assert budget.closed_until("t", per_hour, HOUR + 5) == 0
            budget.spend("t", HOUR + 5)
        assert budget.closed_until("t", per_hour, HOUR + 6) == HOUR + HOUR_MS


def test_the_next_hour_begins_anew_and_types_are_apart() -> None:
    """What one type spends is not another's."""
    budget = Budget(1, lambda *_: None)
    budget.spend("t", HOUR)
    assert budget.closed_until("t", 1, HOUR + HOUR_MS - 1) == HOUR + HOUR_MS
    assert budget.closed_until("other", 1, HOUR) == 0
    assert budget.closed_until("t", 1, HOUR + HOUR_MS) == 0


def test_it_is_told_once_an_hour() -> None:
    """However many wait."""
    told: list[tuple[str, int]] = []
    budget = Budget(1, lambda kind, hour_ms: told.append((kind, hour_ms)))
    for begin in (HOUR, HOUR + HOUR_MS):
        budget.spend("t", begin)
        assert budget.closed_until("t", 1, begin + 1)
        assert budget.closed_until("t", 1, begin + 2)
    assert told == [("t", HOUR), ("t", HOUR + HOUR_MS)]
