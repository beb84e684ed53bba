"""Random crash histories over the real fold, decide and disk; and what a partition does besides."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from schemas.records import Event, Outcome
from schemas.statuses import Stage
from streams import decide as decide_module
from streams import facts, guard
from streams import fold as fold_module
from streams.checkpoint import clear
from streams.message_state import ChannelState, MessageState, Phase, Place
from streams.partition import LOOK_AGAIN_MS, TELL_FIRST_MS, Partition
from tests.crash_world import History
from tests.factories import T0, accepted, answer, message_id, plan, rejected
from tests.partition_desk import HOLD_MS, KEYS, Desk, deliveries, stages

if TYPE_CHECKING:
    from streams.consequences import Record

ID = message_id(1)


def found_bad(folder: Path, seeds: range) -> dict[str, int]:
    """What the histories of these seeds broke."""
    found: Counter[str] = Counter()
    for seed in seeds:
        found += History(seed, folder / str(seed)).run()
    return {what: count for what, count in found.items() if count and not what.startswith("info")}


@pytest.mark.parametrize("block", range(8))
def test_no_crash_loses_or_doubles(block: int, tmp_path: Path) -> None:
    """Whatever dies wherever, zombies and lost disks included: none lost, none sent twice, disk = fold of the log."""
    assert found_bad(tmp_path, range(block * 8, block * 8 + 8)) == {}


def _lapses_early(channel: ChannelState, at_ms: int) -> bool:
    return channel.phase == Phase.ISSUED and at_ms >= channel.until - 3_000


def _lapses_claimed(_state: MessageState, channel: ChannelState, _event: Event, place: Place) -> bool:
    if channel.phase not in (Phase.ISSUED, Phase.SENDING):
        return False
    facts.queue_again(channel, place)
    return True


def _lapses_any(channel: ChannelState, at_ms: int) -> bool:
    return channel.phase in (Phase.ISSUED, Phase.SENDING) and at_ms >= channel.until


def _never_armed(_self: Partition, _message_id: bytes, row: Any, due_ms: int) -> None:
    row.armed = due_ms


def _never_reminded(*_: object) -> None:
    return


def _always_open(_state: MessageState, at_ms: int) -> int:
    return at_ms


def _any_hour(*_: int) -> int:
    return 0


def _again(*_: object) -> bool:
    return True


BROKEN = ["lapse", "lapsed claim", "due", "remind", "tries", "hours"]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_guard_is_seen(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above turns red when a guard, the due index, the reminder, tries or hours are broken."""
    if broken == "lapse":
        monkeypatch.setattr(fold_module, "may_lapse", _lapses_early)
        monkeypatch.setattr(decide_module, "may_lapse", _lapses_early)
    elif broken == "lapsed claim":
        monkeypatch.setitem(fold_module._STEPS, Stage.LAPSED, _lapses_claimed)
        monkeypatch.setattr(decide_module, "may_lapse", _lapses_any)
    elif broken == "due":
        monkeypatch.setattr(Partition, "_arm", _never_armed)
    elif broken == "tries":
        monkeypatch.setattr(facts, "may_try_again", _again)
    elif broken == "hours":
        for module in (facts, fold_module):
            monkeypatch.setattr(module, "open_from", _always_open)
        monkeypatch.setattr(guard, "quiet_until", _any_hour)
    else:
        monkeypatch.setattr(Partition, "remind", _never_reminded)
    found: dict[str, int] = {}
    for block in range(8):
        found = found or found_bad(tmp_path / str(block), range(block * 5, block * 5 + 5))
    assert found


def test_nothing_is_delivered_before_the_issue_is_read_back(tmp_path: Path) -> None:
    """The first answer to an acceptance is `issued` alone; reading it makes the delivery with the sealed part."""
    desk = Desk(tmp_path)
    assert stages(desk.tell(accepted(ID, plan(0.6)))) == [Stage.ISSUED]
    (made,) = deliveries(desk.tell())
    assert (made.channel, made.attempt, made.sealed) == ("x", 1, b"sealed-x")


def cancel() -> Event:
    """Somebody takes it back."""
    return answer(ID, Stage.CANCEL_REQUESTED, "", 0, detail=bytes(16).hex())


def test_an_end_that_nobody_concluded_is_due_at_once(tmp_path: Path) -> None:
    """Read silently and written by an owner that goes before it has concluded: the next one begins behind it."""
    desk = Desk(tmp_path, window=0)
    desk.settle(accepted(ID, plan(0.6)))
    desk.later(HOLD_MS * 2)  # the entry of its first minute has fired: the next one is its expiry
    desk.log.append(cancel())
    silent = desk.opened()
    silent.read(desk.log[-1], Place(len(desk.log) - 1, desk.now), None)
    desk.store.write(silent.cut(desk.now))
    desk.part = desk.opened()
    assert desk.part.position == len(desk.log)
    assert desk.part.is_due(desk.now)
    assert Stage.COMPLETED in stages(desk.settle())


def test_an_end_that_has_to_wait_is_due_soon(tmp_path: Path) -> None:
    """An unread issue keeps it back; should its author die, that issue means nothing to whoever reads it."""
    desk = Desk(tmp_path, window=0)
    desk.settle(accepted(ID, plan(0.6)))
    desk.later(HOLD_MS * 2)
    desk.window = 1
    assert stages(desk.conclude([])) == [Stage.ISSUED]
    issued = desk.log.pop()
    assert Stage.COMPLETED not in stages(desk.tell(cancel()))
    desk.log.append(issued)
    silent = desk.opened()
    silent.read(desk.log[-1], Place(len(desk.log) - 1, desk.now), None)
    desk.store.write(silent.cut(desk.now))
    desk.part = desk.opened()
    assert Stage.COMPLETED in stages(desk.later(LOOK_AGAIN_MS))


def test_an_unread_conclusion_is_not_proposed_again(tmp_path: Path) -> None:
    """Touched once more before its `issued` came back, the message waits."""
    desk = Desk(tmp_path)
    desk.tell(accepted(ID, plan(0.6)))
    unread = desk.log.pop()
    assert desk.tell(answer(ID, Stage.OUTCOME, "x", 0, status="failed")) == []
    desk.log.append(unread)
    assert len(deliveries(desk.tell())) == 1


def test_a_final_status_waits_until_nothing_is_unread(tmp_path: Path) -> None:
    """Two always-channels: one conclusion unread on the second keeps the end away, and the end comes once."""
    desk = Desk(tmp_path)
    desk.settle(accepted(ID, plan(0.5, {"x": 0.9, "y": 0.5})))
    desk.settle(answer(ID, Stage.SENDING, "x"), answer(ID, Stage.SENDING, "y"))
    done = desk.settle(*(answer(ID, Stage.OUTCOME, channel, status="accepted") for channel in "xy"))
    assert stages(done).count(Stage.COMPLETED) == 1
    assert [one.status for one in done if isinstance(one, Outcome)] == ["sent"]


def test_no_more_in_flight_than_the_window(tmp_path: Path) -> None:
    """The rest waits on disk, and follows as answers come; unread issues count too."""
    desk = Desk(tmp_path, window=2)
    one = plan(0.6, {"x": 0.9})
    desk.settle(*(accepted(message_id(number), one) for number in range(5)))
    assert len(deliveries(desk.sent)) == 2
    assert desk.part.backlog() == {("x", "his"): 3}
    of = message_id(0)
    desk.settle(answer(of, Stage.SENDING, "x"), answer(of, Stage.OUTCOME, "x", status="accepted"))
    assert len(deliveries(desk.sent)) == 3


def test_applications_take_turns(tmp_path: Path) -> None:
    """One message of another application is the next to be issued, whatever the first has queued."""
    desk = Desk(tmp_path, window=1)
    one = plan(0.6, {"x": 0.9})
    desk.settle(*(accepted(message_id(number), one) for number in range(20)))
    desk.settle(accepted(message_id(99), one, app_id="lis"))
    for number in (0, 1):
        desk.settle(answer(message_id(number), Stage.SENDING, "x"))
        desk.settle(answer(message_id(number), Stage.OUTCOME, "x", status="accepted"))
    assert message_id(99) in {made.message_id for made in deliveries(desk.sent)}


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """Lines, windows, due entries and states come from disk; what is unclaimed lapses and is issued again."""
    desk = Desk(tmp_path, window=2)
    one = plan(0.6, {"x": 0.9})
    desk.settle(*(accepted(message_id(number), one) for number in range(4)))
    desk.part = desk.opened()
    assert desk.part.backlog() == {("x", "his"): 2}
    assert deliveries(desk.settle()) == []
    desk.now += HOLD_MS + 2_000
    again = deliveries(desk.settle())
    assert sorted((made.message_id, made.attempt) for made in again) == [(message_id(0), 2), (message_id(1), 2)]


def test_catching_up_is_silent_and_then_repeats_the_open_deliveries(tmp_path: Path) -> None:
    """Deliveries of what was issued and not claimed, with the logged claim_by, and nothing else."""
    desk = Desk(tmp_path)
    desk.settle(accepted(ID, plan(0.6)), accepted(message_id(2), plan(0.6)))
    desk.settle(answer(message_id(2), Stage.SENDING, "x"))
    first = deliveries(desk.sent)
    clear(desk.store, KEYS)
    out: list[Record] = []
    desk.part = desk.opened()
    for offset, event in enumerate(desk.log):
        desk.part.read(event, Place(offset, T0), None)
    desk.part.deliver_again(T0, out)
    assert deliveries(out) == [made for made in first if made.message_id == ID]


def test_what_catch_up_read_silently_is_told_when_the_group_brings_it(tmp_path: Path) -> None:
    """Outcomes, conflicts and announcements of records that were folded but never acknowledged."""
    desk = Desk(tmp_path)
    conflict = accepted(ID, plan(0.6, digest=bytes(16)))
    desk.settle(accepted(ID, plan(0.6)), conflict)
    desk.settle(answer(ID, Stage.SENDING, "x"), answer(ID, Stage.OUTCOME, "x", status="accepted"))
    told = [record for record in desk.sent if isinstance(record, Outcome)]
    again: list[Record] = []
    for offset, event in enumerate(desk.log):
        desk.part.remind(event, Place(offset, T0), again)
    assert [record for record in again if isinstance(record, Outcome)] == told
    assert deliveries(again) == []


def test_a_message_is_forgotten_after_its_memory(tmp_path: Path) -> None:
    """72 h after its end a repeat is recognised no longer; until then it is silence."""
    desk = Desk(tmp_path)
    desk.settle(rejected(ID, "token_expired"))
    desk.now += fold_module.MEMORY_MS - 1
    desk.settle()
    assert desk.settle(rejected(ID, "token_expired")) == []
    desk.now += 1
    desk.settle()
    assert list(desk.store.iterate(*KEYS.states)) == []
    assert Stage.COMPLETED in stages(desk.settle(rejected(ID, "token_expired")))


def test_a_message_is_not_forgotten_before_its_end_is_told(tmp_path: Path) -> None:
    """Whoever was to tell it may have died, and be started again when the memory is over."""
    desk = Desk(tmp_path)
    desk.settle(rejected(ID, "token_expired"))
    desk.part = desk.opened()
    desk.later(fold_module.MEMORY_MS)
    assert len(list(desk.store.iterate(*KEYS.states))) == 1
    told: list[Record] = []
    for offset, event in enumerate(desk.log):
        desk.part.remind(event, Place(offset, desk.now), told)
    assert [record.status for record in told if isinstance(record, Outcome)] == ["rejected"]
    desk.later(TELL_FIRST_MS)
    assert list(desk.store.iterate(*KEYS.states)) == []


def test_deferred_messages_stand_in_the_line_again_when_it_is_time(tmp_path: Path) -> None:
    """Also after a restart between the release and the issue."""
    desk = Desk(tmp_path)
    desk.settle(accepted(ID, plan(0.6, {"x": 0.9})))
    desk.settle(answer(ID, Stage.DEFERRED, "x", until=T0 + 10_000))
    assert desk.part.backlog() == {}
    desk.window = 0
    desk.now += 10_000
    desk.settle()
    assert desk.part.backlog() == {("x", "his"): 1}
    desk.part, desk.window = desk.opened(), 1
    assert [made.attempt for made in deliveries(desk.settle())] == [2]
    assert desk.part.backlog() == {}


def test_garbage_is_stepped_over(tmp_path: Path) -> None:
    """The position moves, nothing else does."""
    desk = Desk(tmp_path)
    desk.part.pass_over(0)
    assert desk.part.position == 1
