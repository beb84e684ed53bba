"""What the fence learns from the coordinator's answers, and when the coordinator counts as lost."""

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest

from infra.hub.fence import Fence
from infra.hub.thread import _is_blind, _is_often, _is_stuck, fenced

HEARTBEAT = HeartbeatRequest("group", 1, "member")
SYNC = SyncGroupRequest("group", 1, "member", None, [])
LEAVE = LeaveGroupRequest("group", "member")


class Answer:
    """A response with an error code."""

    def __init__(self, error_code: int) -> None:
        self.error_code = error_code


async def ask(fence: Fence, request: Any, code: int) -> None:
    """Send a request that is answered with a code."""

    async def send(_: Any) -> Answer:
        return Answer(code)

    await fenced(send, fence)(request)


@pytest.mark.parametrize("request_", [HEARTBEAT, SYNC])
@pytest.mark.parametrize("code", [0, 27])
async def test_a_living_members_answer_makes_it_fresh(request_: Any, code: int) -> None:
    """No error, and a rebalance going on."""
    fence = Fence(6.0)
    await ask(fence, request_, code)
    assert fence.is_fresh()


@pytest.mark.parametrize("code", [22, 25])
async def test_being_unknown_closes_the_fence(code: int) -> None:
    """Illegal generation, unknown member."""
    fence = Fence(6.0)
    await ask(fence, HEARTBEAT, 0)
    await ask(fence, HEARTBEAT, code)
    assert not fence.is_fresh()


async def test_other_requests_and_errors_say_nothing() -> None:
    """A coordinator that moves says nothing about our membership; nor does leaving."""
    fence = Fence(6.0)
    await ask(fence, HEARTBEAT, 16)
    await ask(fence, LEAVE, 0)
    assert not fence.is_fresh()


async def test_the_time_of_sending_counts_not_of_the_answer() -> None:
    """The answer comes late: the fence is as old as the request."""
    now_s = 100.0

    def clock() -> float:
        return now_s

    fence = Fence(6.0, clock)

    async def send(_: Any) -> Answer:
        nonlocal now_s
        now_s += 10.0
        return Answer(0)

    await fenced(send, fence, clock)(HEARTBEAT)
    assert fence.age_s() == 10.0


class Coordinator:
    """aiokafka's, as far as the watchdog looks."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._closing: asyncio.Future[None] = loop.create_future()
        self._coordination_task: asyncio.Future[None] = loop.create_future()
        self._pending_exception: Exception | None = None


async def test_a_parked_error_or_an_ended_task_is_stuck() -> None:
    """Unless it is closing anyway."""
    coordinator = Coordinator()
    assert not _is_stuck(coordinator)
    coordinator._pending_exception = RuntimeError()
    assert _is_stuck(coordinator)
    coordinator._pending_exception = None
    coordinator._coordination_task.set_result(None)
    assert _is_stuck(coordinator)
    coordinator._closing.set_result(None)
    assert not _is_stuck(coordinator)


def test_a_topic_without_metadata_makes_blind() -> None:
    """Everything that is subscribed must be known; nothing is subscribed before the start."""
    known: dict[str, set[int]] = {"a": {0, 1}}
    subscription = SimpleNamespace(subscription=SimpleNamespace(topics={"a"}))
    coordinator = SimpleNamespace(_subscription=subscription, _cluster=SimpleNamespace(partitions_for_topic=known.get))
    assert not _is_blind(coordinator)
    subscription.subscription.topics.add("b")
    assert _is_blind(coordinator)
    known["b"] = set()
    assert _is_blind(coordinator)
    subscription.subscription = None
    assert not _is_blind(coordinator)


def test_ten_errors_in_a_minute_are_too_many() -> None:
    """Nine are not, and neither are ten in ten minutes."""
    assert not _is_often(deque(range(9), maxlen=10))
    assert _is_often(deque(range(10), maxlen=10))
    assert not _is_often(deque(range(0, 600, 60), maxlen=10))
