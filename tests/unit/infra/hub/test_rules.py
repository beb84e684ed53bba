"""Limits per topic."""

from infra.hub.fence import Fence
from infra.hub.rules import Limits, Rules


def test_a_topic_without_limits_gets_the_usual_ones() -> None:
    """500 records, 4 chunks."""
    rules = Rules(fence=Fence(6.0), limits={"events.urgent": Limits(50, 2)})
    assert rules.limits_of("events.urgent") == Limits(50, 2)
    assert rules.limits_of("other") == Limits(500, 4, 0)
