"""When a producer has lost its way to a partition: only what lies ready, is not under way, and does not move."""

from typing import Any

import msgspec
import pytest

from infra.kafka.standstill import STILL_MS, Standstill

STEP_US = 2_000_000


def told(step: int, *, state: str = "Assigned", **partitions: dict[str, int]) -> str:
    """Statistics of topic `out`; partitions as `p0={...}`, the one without a number as `none={...}`."""
    named: dict[str, Any] = {{"none": "-1"}.get(name, name[1:]): values for name, values in partitions.items()}
    statistics = {
        "ts": step * STEP_US,
        "name": "x",
        "eos": {"idemp_state": state},
        "topics": {"out": {"partitions": named}},
    }
    return msgspec.json.encode(statistics).decode()


def learned(*statistics: str) -> frozenset[str]:
    """What stands still after these."""
    found = Standstill()
    for one in statistics:
        found.learn(one)
    return found.topics


READY = {"msgq_cnt": 13, "txmsgs": 40}
STEPS = STILL_MS * 1_000 // STEP_US + 1


def test_records_that_lie_ready_and_do_not_leave_are_seen() -> None:
    """After six seconds, not before; beside partitions that are well."""
    moving = [{"msgq_cnt": 5, "txmsgs": 10 * step} for step in range(STEPS)]
    statistics = [told(step, p0=READY, p1=moving[step]) for step in range(STEPS)]
    assert learned(*statistics[:-1]) == frozenset()
    assert learned(*statistics) == {"out"}


def test_records_that_never_got_a_partition_are_seen() -> None:
    """As long as none of the topic's partitions sends anything."""
    assert learned(*(told(step, none={"msgq_cnt": 1}, p0={"txmsgs": 7}) for step in range(STEPS))) == {"out"}
    moving = (told(step, none={"msgq_cnt": 1}, p0={"txmsgs": step}) for step in range(STEPS))
    assert learned(*moving) == frozenset()


@pytest.mark.parametrize(
    "partition",
    [
        {"txmsgs": 40},  # nothing to send
        READY | {"msgs_inflight": 13},  # the broker takes its time
    ],
)
def test_who_waits_for_the_broker_does_not_stand_still(partition: dict[str, int]) -> None:
    """And who has nothing to send."""
    assert learned(*(told(step, p0=partition) for step in range(2 * STEPS))) == frozenset()


def test_a_record_that_is_sent_again_and_again_does_not_stand_still() -> None:
    """As while too few replicas are in step."""
    assert learned(*(told(step, p0={"msgq_cnt": 1, "txmsgs": step}) for step in range(2 * STEPS))) == frozenset()


def test_a_producer_without_an_identity_is_left_to_get_one() -> None:
    """Its time begins when it has one."""
    waiting = [told(step, state="WaitPID", p0=READY) for step in range(STEPS)]
    assert learned(*waiting) == frozenset()
    assert learned(*waiting, *(told(STEPS + step, p0=READY) for step in range(STEPS - 1))) == frozenset()
    assert learned(*waiting, *(told(STEPS + step, p0=READY) for step in range(STEPS))) == {"out"}


def test_what_moves_again_is_forgotten() -> None:
    """It has to stand still anew."""
    found = [told(step, p0=READY) for step in range(STEPS)]
    again = [told(STEPS + step, p0=READY | {"txmsgs": 53}) for step in range(STEPS)]
    assert learned(*found, again[0]) == frozenset()
    assert learned(*found, *again) == {"out"}
