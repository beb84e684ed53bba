import re
from datetime import date
from typing import Any

import pytest

from infra import rollup
from infra.clickhouse import Store
from schemas.errors import UnavailableError
from schemas.statuses import Stage
from sinks.days import COUNTED

DAY = date(2026, 11, 1)
DIRTY = {"accepted_day": DAY, "newest": "2026-11-02 01:00:00.000001", "seen_at": "2026-11-02 01:00:05.000000"}


class Script(Store):
    """A store that notes commands and answers by the first words of a question."""

    def __init__(self, answers: dict[str, list[dict[str, Any]]], fails_at: str = "") -> None:
        super().__init__("http://nowhere/x")
        self.answers = {"SELECT toUnix": [{"now_s": 10_000}], **answers}
        self.fails_at = fails_at
        self.commands: list[str] = []

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """The prepared rows."""
        return next((rows for start, rows in self.answers.items() if sql.strip().startswith(start)), [])

    def command(self, sql: str, **parameters: object) -> None:
        """Notes the statement in one line."""
        line = " ".join(sql.split())
        self.commands.append(line)
        if self.fails_at and line.startswith(self.fails_at):
            raise UnavailableError("gone")

    def said(self, start: str) -> list[str]:
        """Commands that begin so."""
        return [line for line in self.commands if line.startswith(start)]


DIRTY_ONLY: dict[str, list[dict[str, Any]]] = {"SELECT accepted_day, toString": [DIRTY], "SELECT count()": [{"n": 0}]}


def test_what_is_counted_is_what_marks_a_day() -> None:
    """A stage that is counted, but does not make its day dirty, would never appear in a figure."""
    assert set(re.findall(r"'(\w+)'", rollup.DELIVERIES.split("stage IN")[1])) == set(COUNTED) - {Stage.COMPLETED}


def test_nothing_dirty_costs_one_question() -> None:
    """No table is made for nothing."""
    store = Script({})
    assert rollup.rebuild(store, "me") == []
    assert store.commands == []


def test_a_day_is_swapped_whole_and_then_recorded() -> None:
    """Both kinds are built, then swapped, then recorded, then the table goes."""
    store = Script({**DIRTY_ONLY, "SELECT 1 FROM": [{"1": 1}]})
    assert rollup.rebuild(store, "me") == [DAY]
    order = [" ".join(line.split()[:3]) for line in store.commands]
    assert order == [
        "CREATE TABLE {stage:Identifier}",
        "INSERT INTO {stage:Identifier}",
        "INSERT INTO {stage:Identifier}",
        "ALTER TABLE rollup_day",
        "INSERT INTO built_days",
        "DROP TABLE IF",
    ]
    assert "REPLACE PARTITION '2026-11-01' FROM rollup_stage_10000_" in store.said("ALTER")[0]


def test_a_day_without_rows_is_emptied() -> None:
    """An empty partition cannot replace another; the old figures must still go."""
    store = Script(DIRTY_ONLY)
    rollup.rebuild(store, "me")
    assert store.said("ALTER") == ["ALTER TABLE rollup_day DROP PARTITION '2026-11-01'"]


def test_another_builder_at_the_same_day_makes_it_dirty_again() -> None:
    """Whose figures won is not known, so they are built once more."""
    store = Script({**DIRTY_ONLY, "SELECT count()": [{"n": 1}]})
    rollup.rebuild(store, "me")
    assert store.said("INSERT INTO dirty_days")


def test_a_builder_off_duty_stops_before_the_next_day() -> None:
    """It lost the partition that gives it the duty."""
    store = Script(DIRTY_ONLY)
    assert rollup.rebuild(store, "me", lambda: False) == []
    assert not store.said("ALTER")
    assert store.said("DROP TABLE")


@pytest.mark.parametrize("step", ["INSERT INTO {stage", "ALTER TABLE", "INSERT INTO built_days"])
def test_a_failure_leaves_the_day_unrecorded(step: str) -> None:
    """Then it is still dirty, and the table of this pass is dropped."""
    store = Script(DIRTY_ONLY, fails_at=step)
    with pytest.raises(UnavailableError):
        rollup.rebuild(store, "me")
    assert not store.said("INSERT INTO built_days") or step == "INSERT INTO built_days"
    assert store.said("DROP TABLE")


def test_only_old_leftovers_are_swept() -> None:
    """A table made a moment ago belongs to a builder that is at work."""
    names = ["rollup_stage_10000_ab", "rollup_stage_6399_cd", "rollup_day", "rollup_stage_x"]
    dropped: list[object] = []

    class Sweeping(Script):
        def command(self, sql: str, **parameters: object) -> None:
            dropped.append(parameters["stage"])

    rollup.sweep(Sweeping({"SELECT name": [{"name": name} for name in names]}))
    assert dropped == ["rollup_stage_6399_cd"]
