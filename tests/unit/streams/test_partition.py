"""Random crash histories over the real fold, decide and disk; and what a partition does besides."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from schemas.records import Event
from schemas.statuses import Stage
from streams import decide as decide_module
from streams import fold as fold_module
from streams.fold import Place
from streams.keys import Keys
from streams.message_state import ChannelState, MessageState, Phase
from streams.partition import Partition
from tests.crash_world import History
from tests.factories import message_id

ID = message_id(1)
KEYS = Keys(1, 0)
HOLD_MS = 30_000


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
    fold_module._queue_again(channel, place)
    return True


def _never_armed(_self: Partition, _message_id: bytes, row: Any, due_ms: int) -> None:
    row.armed = due_ms


def _never_reminded(*_: object) -> None:
    return


@pytest.mark.parametrize("broken", ["lapse", "lapsed claim", "due", "remind"])
def test_a_broken_guard_is_seen(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above turns red when a guard, the due index or the reminder is broken."""
    if broken == "lapse":
        monkeypatch.setattr(fold_module, "may_lapse", _lapses_early)
        monkeypatch.setattr(decide_module, "may_lapse", _lapses_early)
    elif broken == "lapsed claim":
        monkeypatch.setitem(fold_module._STEPS, Stage.LAPSED, _lapses_claimed)
    elif broken == "due":
        monkeypatch.setattr(Partition, "_arm", _never_armed)
    else:
        monkeypatch.setattr(Partition, "remind", _never_reminded)
    found: dict[str, int] = {}
    for block in range(8):
        found = found or found_bad(tmp_path / str(block), range(block * 5, block * 5 + 5))
    assert found
