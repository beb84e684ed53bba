"""The sendings of a message that repeats, on the command line."""

import json
from datetime import date
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from console.cli import messages
from console.cli import series as command
from infra import queries
from infra.series import Series
from schemas import ids
from schemas.statuses import Stage
from tests.answers import event, fact

FIRST = "019b0000-0000-7000-8000-000000000001"
SECOND = ids.show(ids.occurrence(ids.parse(FIRST), 1))
DUE_MS = 1_793_462_400_000


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command answers; the store knows two of three sendings."""
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "http://nowhere/x")
    timelines = {
        FIRST: [event(Stage.ACCEPTED, detail="1/3", message_id=FIRST)],
        SECOND: [event(Stage.ACCEPTED, detail=f"2/3 of {FIRST}", message_id=SECOND, until_ms=DUE_MS)],
    }
    monkeypatch.setattr(queries, "days_of", lambda *_: [date(2026, 11, 1)])
    monkeypatch.setattr(queries, "facts_of", lambda _, of, __: [fact(status="sent")] if of == FIRST else [])
    monkeypatch.setattr(queries, "timeline_of", lambda _, of, __: timelines.get(of, []))
    if not any(one.name == "series" for one in messages.app.registered_commands):
        command.register(typer.Typer())
    return lambda *words: CliRunner().invoke(messages.app, ["series", *words])


@pytest.mark.parametrize("asked", [FIRST, SECOND])
def test_every_sending_is_shown_whichever_is_asked_for(run: Any, asked: str) -> None:
    """Sent, scheduled, and one that the store does not know yet."""
    rows = json.loads(run(asked, "--format", "json").output)
    assert [row["message_id"] for row in rows] == [*Series(FIRST, 3).ids()]
    assert [row["status"] for row in rows] == ["sent", "scheduled", ""]
    assert rows[1]["due"] == "2026-11-01T00:00:00.000+08:00"
    assert "尚未入库" in run(asked).output


def test_a_message_that_does_not_repeat_is_said_to(run: Any) -> None:
    """Exit code 1."""
    told = run("019b0000-0000-7000-8000-000000000009")
    assert told.exit_code == 1
    assert "不重复发送" in told.output
