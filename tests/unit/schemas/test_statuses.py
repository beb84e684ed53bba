"""The vocabulary of stages and statuses is closed, and its order is the contract's."""

from itertools import pairwise

import pytest

from schemas.statuses import DONE_BY_LEVEL, FINAL_RANK, LANE_RANK, LANES, LEVEL_RANK, LEVELS, Lane, Stage, Status


def test_lanes_from_urgent_to_bulk() -> None:
    """The most urgent lane has rank 0."""
    assert [str(lane) for lane in LANES] == ["urgent", "normal", "bulk"]
    assert sorted(LANES, key=LANE_RANK.__getitem__) == [Lane.URGENT, Lane.NORMAL, Lane.BULK]


def test_a_late_receipt_only_ever_raises_the_final_status() -> None:
    """Failed and expired are below sent, sent below delivered, delivered below read, read below acknowledged."""
    order = [Status.FAILED, Status.EXPIRED, Status.SENT, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED]
    assert all(FINAL_RANK[lower] < FINAL_RANK[higher] for lower, higher in pairwise(order))


def test_the_final_statuses_are_the_contract_s_nine() -> None:
    """Nothing else ends a message, and no two share a rank (ranks are also a column of the store)."""
    names = ["sent", "delivered", "read", "acknowledged", "failed", "expired", "cancelled", "suppressed", "rejected"]
    assert sorted(FINAL_RANK) == sorted(names)
    assert sorted(FINAL_RANK.values()) == list(range(1, 10))


def test_accepted_is_not_delivered() -> None:
    """What a provider merely took is `sent`; every higher level is the status of its own name."""
    assert DONE_BY_LEVEL[Status.ACCEPTED] is Status.SENT
    assert all(DONE_BY_LEVEL[level] is level for level in LEVELS[1:])
    assert [LEVEL_RANK[level] for level in LEVELS] == [1, 2, 3, 4]


@pytest.mark.parametrize("words", [Lane, Stage, Status])
def test_a_word_is_its_own_name_in_lower_case(words: type[Lane | Stage | Status]) -> None:
    """One word from the code to the column."""
    assert [word.value for word in words] == [word.name.lower() for word in words]
