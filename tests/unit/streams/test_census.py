"""How many are open and in flight: exact through a life, a restart, and an older checkpoint."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from infra.state import Rows
from schemas.statuses import Stage
from streams.census import Counts, recounted
from streams.checkpoint import checkpoint_of
from streams.keys import Keys
from tests.factories import T0, accepted, answer, message_id, plan, rejected
from tests.partition_desk import KEYS, Desk

LATER = T0 + 3_600_000


def counted(desk: Desk) -> Counts:
    """What the checkpoint on disk says, which is what the rows say."""
    found = checkpoint_of(desk.store, KEYS)
    assert found is not None
    assert found.counts == recounted(desk.store, KEYS)
    assert found.counts is not None
    return found.counts


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two issued, one waiting, one for later, one refused, of two applications."""
    made = Desk(tmp_path, window=2)
    one = plan(0.6, {"x": 0.9})
    made.settle(
        accepted(message_id(1), one),
        accepted(message_id(2), one, app_id="lis"),
        accepted(message_id(3), one),
        accepted(message_id(4), plan(0.6, {"x": 0.9}, send_at=LATER, expires_at=LATER + 60_000)),
        rejected(message_id(5), "token_expired"),
    )
    return made


def test_what_is_accepted_and_not_final_is_open(desk: Desk) -> None:
    """Those for later too; a refused one never was."""
    assert counted(desk) == Counts({"his": 3, "lis": 1}, [("x", "his", 1), ("x", "lis", 1)])


def test_what_ends_is_open_no_more_and_only_once(desk: Desk) -> None:
    """A proof that raises the final status later changes no count."""
    call: dict[str, Any] = {"channel": "x", "at": T0}
    desk.settle(answer(message_id(2), Stage.SENDING, **call))
    desk.settle(answer(message_id(2), Stage.OUTCOME, status="accepted", **call))
    assert counted(desk) == Counts({"his": 3}, [("x", "his", 2)])
    desk.settle(answer(message_id(2), Stage.RECEIPT, attempt=0, status="delivered", **call))
    assert counted(desk) == Counts({"his": 3}, [("x", "his", 2)])


def test_a_repeat_or_a_conflict_counts_nothing(desk: Desk) -> None:
    """The message is there once; one accepted after its refusal is there from then on."""
    desk.settle(accepted(message_id(1), plan(0.6, {"x": 0.9})), accepted(message_id(5), plan(0.6, {"x": 0.9})))
    assert counted(desk).open == {"his": 4, "lis": 1}


@pytest.mark.parametrize("is_old", [False, True])
def test_counts_survive_a_restart(desk: Desk, is_old: bool) -> None:
    """Also when the checkpoint is an earlier release's: they are made from the rows then."""
    before = counted(desk)
    if is_old:
        rows = Rows()
        old: list[object] = msgspec.msgpack.decode(msgspec.msgpack.encode(checkpoint_of(desk.store, KEYS)))
        rows.put(KEYS.checkpoint, msgspec.msgpack.encode(old[:5]))
        desk.store.write(rows)
    desk.part = desk.opened()
    desk.settle()
    assert counted(desk) == before


def test_another_partition_is_not_counted(desk: Desk) -> None:
    """Its rows lie beside ours."""
    assert recounted(desk.store, Keys(1, 1)) == Counts()
