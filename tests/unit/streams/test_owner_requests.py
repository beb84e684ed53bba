"""Requests at the shell of a partition: copied into its log, kept until their message is known, lost by no death."""

from pathlib import Path

import pytest

from schemas.records import Request
from schemas.statuses import Stage
from streams.checkpoint import checkpoint_of
from streams.owner import Owner
from streams.requests import PATIENCE_MS, Asked
from tests.factories import T0, accepted, message_id, plan
from tests.owner_bench import KEYS, Bench

ID = message_id(1)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """An owner that has not begun."""
    return Bench(tmp_path)


def ask(bench: Bench, offset: int, of: bytes = ID) -> None:
    """Somebody asks for a message to be taken back."""
    asked = Request(offset.to_bytes(16, "big"), "cancel", of, at=T0)
    bench.owner._desk.take([Asked(offset, T0, asked)])


def asked_up_to(bench: Bench) -> int:
    """The position in `requests` on disk."""
    found = checkpoint_of(bench.store, KEYS)
    return found.requests if found is not None else -1


async def begun(bench: Bench) -> None:
    """The message is accepted, issued, and all of it on disk."""
    bench.log.append(accepted(ID, plan(0.6)))
    await bench.owner.begin()
    bench.acknowledge()
    await bench.settled()


async def test_a_request_is_copied_into_the_log(bench: Bench) -> None:
    """Its position is written when the copy is acknowledged, and not before."""
    await begun(bench)
    ask(bench, 0)
    assert bench.stages(-1) == [Stage.CANCEL_REQUESTED]
    await bench.settled()
    assert asked_up_to(bench) <= 0
    bench.acknowledge()
    await bench.settled()
    assert asked_up_to(bench) == 1


async def test_a_request_survives_death_before_its_copy(bench: Bench) -> None:
    """The next owner begins at the stored position, so it reads the request again."""
    await begun(bench)
    ask(bench, 0)
    bench.owner.drop()
    bench.acknowledge()
    await bench.settled()
    bench.owner = Owner(bench.ground, KEYS, 0)
    await bench.owner.begin()
    assert asked_up_to(bench) <= 0
    ask(bench, 0)
    assert bench.stages(-1) == [Stage.CANCEL_REQUESTED]


async def test_a_request_waits_for_its_message(bench: Bench) -> None:
    """Its copy goes out with what follows from the acceptance; after a minute it is given up."""
    await begun(bench)
    ask(bench, 0, message_id(2))
    ask(bench, 1, message_id(3))
    batches = len(bench.log.batches)
    bench.take(1, accepted(message_id(2), plan(0.6)))
    assert Stage.CANCEL_REQUESTED in bench.stages(batches)
    bench.log.append(accepted(message_id(2), plan(0.6)))
    bench.clock.advance(PATIENCE_MS)
    bench.owner.tick()
    await bench.settled()
    bench.take(2, accepted(message_id(4), plan(0.6)))
    bench.acknowledge()
    await bench.settled()
    assert asked_up_to(bench) == 2


async def test_a_request_waits_until_the_log_is_read(bench: Bench) -> None:
    """Its message may stand in what a minute was not enough to read."""
    await begun(bench)
    ask(bench, 0, message_id(2))
    other, late = accepted(message_id(3), plan(0.6)), accepted(message_id(2), plan(0.6))
    bench.log.append(other, late)
    bench.clock.advance(PATIENCE_MS)
    bench.owner.tick()
    await bench.settled()
    bench.take(1, other)
    assert Stage.CANCEL_REQUESTED not in bench.stages(-1)
    bench.take(2, late)
    assert Stage.CANCEL_REQUESTED in bench.stages(-1)


async def test_requests_wait_while_the_heartbeat_is_old(bench: Bench) -> None:
    """A tick answers them afterwards; nothing is asked of an owner that has given up."""
    await begun(bench)
    bench.log.is_owner = False
    ask(bench, 0)
    batches = len(bench.log.batches)
    bench.owner.tick()
    assert len(bench.log.batches) == batches
    bench.log.is_owner = True
    bench.owner.tick()
    assert bench.stages(batches) == [Stage.CANCEL_REQUESTED]
    bench.owner.drop()
    ask(bench, 1)
    assert len(bench.log.batches) == batches + 1
