"""The shell of a partition: nothing before catch-up, writing in order of acknowledgement, silence after revocation."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from msgspec import structs

from infra.kafka import PublishFailure
from schemas.codec import EVENT
from schemas.errors import Permanent, UnavailableError
from schemas.statuses import Stage
from streams import partition as partition_module
from streams.census import Counts
from streams.checkpoint import MAX_AGE_MS
from streams.owner import Owner
from tests.factories import T0, accepted, answer, message_id, plan, rejected
from tests.owner_bench import KEYS, Bench, Found

if TYPE_CHECKING:
    from infra.worker import Record as LogRecord

ID = message_id(1)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """An owner that has not begun."""
    return Bench(tmp_path)


async def test_the_groups_records_wait_for_catch_up(bench: Bench) -> None:
    """What catch-up has read is not folded again; what follows is."""
    first, second = accepted(ID, plan(0.6)), accepted(message_id(2), plan(0.6))
    bench.log.append(first, second)
    done = bench.take(0, first, second)
    await bench.settled()
    assert bench.log.batches == []
    await bench.owner.begin()
    await bench.settled()
    assert bench.stages(0) == [Stage.ISSUED, Stage.ISSUED]
    assert bench.stages(1) == []
    assert not done.done()
    bench.acknowledge()
    await bench.settled()
    assert done.done()


async def test_state_is_written_in_order_when_acknowledged(bench: Bench) -> None:
    """A later acknowledgement does not overtake: rows, and the chunk's end, follow the order of the log."""
    await bench.owner.begin()
    one, two = bench.take(0, accepted(ID, plan(0.6))), bench.take(1, accepted(message_id(2), plan(0.6)))
    bench.acknowledge(0, 2)
    await bench.settled()
    assert (one.done(), two.done(), bench.position()) == (False, False, 0)
    bench.acknowledge(1)
    await bench.settled()
    assert (one.done(), two.done(), bench.position()) == (True, True, 2)


async def test_nothing_is_written_after_revocation(bench: Bench) -> None:
    """What is acknowledged later stays out of the disk; waiting chunks are let go, new ones too."""
    await bench.owner.begin()
    bench.acknowledge()
    await bench.settled()
    done = bench.take(0, accepted(ID, plan(0.6)))
    bench.owner.drop()
    bench.acknowledge()
    await bench.settled()
    assert bench.position() == 0
    assert done.done()
    assert bench.take(1, accepted(message_id(2), plan(0.6))).done()
    bench.owner.tick()
    assert len(bench.log.batches) == 2


async def test_revoked_while_catching_up_begins_nothing(bench: Bench) -> None:
    """An owner that lost its partition before it was live sends nothing."""
    bench.log.append(accepted(ID, plan(0.6)))
    bench.log.may_read.clear()
    beginning = asyncio.ensure_future(bench.owner.begin())
    await bench.settled()
    bench.owner.drop()
    bench.log.may_read.set()
    await beginning
    assert bench.log.batches == []
    assert bench.position() == -1


async def test_an_old_heartbeat_holds_everything_back(bench: Bench) -> None:
    """No decision while it is in doubt whose partition it is; afterwards as if nothing had been."""
    await bench.owner.begin()
    bench.log.is_owner = False
    bench.take(0, accepted(ID, plan(0.6)))
    bench.owner.tick()
    assert len(bench.log.batches) == 1
    bench.log.is_owner = True
    bench.owner.tick()
    assert bench.stages(1) == [Stage.ISSUED]


async def test_timers_fire_only_behind_the_logs_end(bench: Bench) -> None:
    """The end is asked after the moment; an unread record before it holds the timer back."""
    await bench.owner.begin()
    first = accepted(ID, plan(0.6, {"x": 0.9}))
    bench.log.append(first)
    bench.take(0, first)
    issued = EVENT.decode(bench.log.batches[1].sent[0][1])
    bench.log.append(issued)
    bench.take(1, issued)
    bench.acknowledge()
    await bench.settled()
    late = answer(ID, Stage.SENDING, "x")
    bench.log.append(late)
    bench.clock.advance(40_000)
    asked = bench.log.asked
    bench.owner.tick()
    await bench.settled()
    assert bench.log.asked == asked + 1
    assert Stage.LAPSED not in [stage for index in range(len(bench.log.batches)) for stage in bench.stages(index)]
    bench.take(2, late)
    assert Stage.LAPSED not in bench.stages(-1)


async def test_a_clock_that_is_set_back_is_noticed_where_nothing_is_due(bench: Bench) -> None:
    """What was held while it was ahead is looked at again, also in a partition in which nothing happens."""
    held = [True]
    bench.ground.rules = structs.replace(bench.ground.rules, is_held=lambda *_: held[0])
    bench.owner = Owner(bench.ground, KEYS, 0)
    bench.clock.advance(3_600_000)
    await bench.owner.begin()
    first = accepted(ID, plan(0.6, {"x": 0.9}, expires_at=T0 + 36_000_000))
    bench.log.append(first)
    bench.take(0, first)
    held.clear()
    held.append(False)
    bench.clock.advance(-3_600_000)
    for _ in range(3):
        bench.owner.tick()
        await bench.settled()
    assert [stage for index in range(len(bench.log.batches)) for stage in bench.stages(index)] == [Stage.ISSUED]


async def test_own_events_are_known_by_their_bytes(bench: Bench) -> None:
    """The record that comes back gives the very event that was sent; garbage and strangers are decoded."""
    await bench.owner.begin()
    bench.take(0, accepted(ID, plan(0.6)))
    raw = bench.log.batches[1].sent[0][1]
    own = bench.owner.decode(cast("LogRecord", Found(1, raw)))
    assert own == EVENT.decode(raw)
    assert bench.owner.decode(cast("LogRecord", Found(1, raw))) is not own
    with pytest.raises(Permanent):
        bench.owner.decode(cast("LogRecord", Found(2, b"garbage")))


async def test_a_record_too_large_is_left_out(bench: Bench) -> None:
    """The broker would never take it: the others go, the state is written, the message's timers end it."""
    await bench.owner.begin()
    bench.log.limit_bytes = 10
    done = bench.take(0, accepted(ID, plan(0.6)))
    bench.acknowledge()
    await bench.settled()
    assert bench.log.batches[1].sent == []
    assert done.done()


async def test_a_broker_that_refuses_ends_the_process(bench: Bench) -> None:
    """A failure that is not the record's own is never stepped over."""
    await bench.owner.begin()
    bench.take(0, accepted(ID, plan(0.6)))
    bench.log.batches[1].failures = [PublishFailure("t", 1, "NO_RIGHT", is_permanent=False, text="")]
    bench.acknowledge()
    await bench.settled()
    assert any(isinstance(task.exception(), UnavailableError) for task in bench.log.tasks if task.done())
    assert bench.position() == 0


async def test_a_disk_that_fails_ends_the_process(bench: Bench) -> None:
    """Half a chunk in memory is no state to go on from."""
    await bench.owner.begin()
    bench.store.close()
    done = bench.take(0, answer(ID, Stage.SENDING, "x"))
    await bench.settled()
    assert any(task.done() and task.exception() is not None for task in bench.log.tasks)
    assert not done.done()


@pytest.mark.parametrize("why", ["old", "behind the log", "ahead of the log"])
async def test_rows_that_do_not_fit_the_log_are_thrown_away(bench: Bench, why: str) -> None:
    """Too old, or outside what the broker keeps: rebuilt from the last three days of the log."""
    bench.log.append(rejected(ID, "token_expired"), rejected(message_id(2), "token_expired"))
    await bench.owner.begin()
    bench.owner.drop()
    if why == "old":
        bench.clock.advance(MAX_AGE_MS + 7_200_000)
        bench.log.records[1].timestamp = bench.clock.now_ms()
    elif why == "behind the log":
        bench.log.append(rejected(message_id(3), "token_expired"))
        bench.log.first = 3
    else:
        bench.log.records.pop()
    again = Owner(bench.ground, KEYS, 0)
    await again.begin()
    kept = {key[-16:] for key, _ in bench.store.iterate(*KEYS.states)}
    wanted = {"old": {message_id(2)}, "behind the log": set(), "ahead of the log": {ID}}
    assert kept == wanted[why]


async def test_rows_that_fit_are_kept(bench: Bench) -> None:
    """Only what is new is read."""
    bench.log.append(rejected(ID, "token_expired"))
    await bench.owner.begin()
    bench.owner.drop()
    bench.log.append(b"garbage", rejected(message_id(2), "token_expired"))
    bench.log.records[0].value = None
    await Owner(bench.ground, KEYS, 0).begin()
    assert {key[-16:] for key, _ in bench.store.iterate(*KEYS.states)} == {ID, message_id(2)}
    assert bench.position() == 3


async def test_rows_that_fit_are_not_counted_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million of them take five seconds: what is open stands in the checkpoint."""
    bench.log.append(rejected(ID, "token_expired"))
    await bench.owner.begin()
    bench.owner.drop()

    def counted(*_: object) -> Counts:
        raise AssertionError("counted")

    monkeypatch.setattr(partition_module, "recounted", counted)
    owner = Owner(bench.ground, KEYS, 0)
    await owner.begin()
    assert owner.is_live
