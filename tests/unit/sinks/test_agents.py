"""The sink processes: what they refuse to start with."""

from pathlib import Path

import pytest

from infra.registry import Registry
from infra.settings import Settings
from infra.worker import TP
from schemas.errors import Permanent, Reason
from schemas.statuses import Lane
from sinks.agents import build, resizing
from tests.sink_desk import Desk


def test_a_channel_that_no_file_offers_is_named(tmp_path: Path) -> None:
    """Before anything is connected."""
    settings = Settings(home=tmp_path, kafka="127.0.0.1:9")
    with pytest.raises(Permanent, match="carrierpigeon") as caught:
        build(settings, Lane.URGENT, Registry(settings), ("sms", "carrierpigeon"))
    assert caught.value.reason is Reason.CONFIG_MISSING


async def test_limits_follow_the_partitions() -> None:
    """Only those of the channel's own topic count."""
    desk = Desk()
    desk.registry.put(max_in_flight=100)
    topic = "deliveries.fake.normal"
    owned = frozenset({TP(topic, 0), TP("deliveries.other.normal", 1), TP("deliveries.other.normal", 2)})
    resizing(desk.outlets, topic, 4)(owned)
    (outlet,) = desk.outlets.current()
    assert await outlet.account.limiter.admit(100, 2**60, lambda: True) == 8
