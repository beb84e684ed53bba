"""Cancel, reschedule, send-now on the command line: the truth in one line, and the exit code that belongs to it."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from console import asking
from console.asking import Answer, Said
from console.cli import asking as commands
from console.cli import messages
from infra import queries
from infra.series import Series
from schemas.records import Request
from tests.answers import fact
from tests.factories import T0

ID = "019b0000-0000-7000-8000-000000000001"
HOUR_MS = 3_600_000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What is asked; `said` answers it."""
    monkeypatch.setenv("MEDPOST_KAFKA", "nowhere:1")
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "http://nowhere/x")
    monkeypatch.setattr(commands, "series_in_store", lambda *_: None)
    if not any(command.name == "cancel" for command in messages.app.registered_commands):
        commands.register(typer.Typer())
    return []


def say(monkeypatch: pytest.MonkeyPatch, asked: list[Request], answer: Answer) -> None:
    """Settle answers so."""

    def ask(_settings: object, request: Request, _wait_s: float) -> Answer:
        asked.append(request)
        return answer

    monkeypatch.setattr(asking, "ask", ask)


def run(*words: str) -> Any:
    """What the command answers."""
    return CliRunner().invoke(messages.app, list(words))


def test_a_message_that_is_with_a_sink_is_not_called_sent(
    monkeypatch: pytest.MonkeyPatch, asked: list[Request]
) -> None:
    """It is not moved any more, though nobody may have called."""
    say(monkeypatch, asked, Answer(Said.TOO_LATE, channel="sms"))
    assert "太迟，已派发给渠道 sms" in run("send-now", ID).output


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (Answer(Said.DONE, "cancelled", "cancelled_by_sender"), 0, "已撤回"),
        (Answer(Said.TOO_LATE, channel="sms"), 1, "太迟，已提交给渠道 sms"),
        (Answer(Said.TOO_LATE, "delivered", "", "sms"), 1, "消息已结束：已送达 delivered，渠道 sms"),
        (Answer(Said.UNANSWERED), 3, "尚无答复"),
    ],
)
def test_the_truth_in_one_line(
    monkeypatch: pytest.MonkeyPatch, asked: list[Request], answer: Answer, code: int, words: str
) -> None:
    """With the exit code that belongs to it."""
    say(monkeypatch, asked, answer)
    told = run("cancel", ID)
    assert (told.exit_code, asked[0].kind) == (code, "cancel")
    assert words in told.output
    assert ID in told.output


@pytest.mark.parametrize(
    ("known", "code", "words"), [([], 1, "未找到"), ([fact(status="sent")], 1, "太迟，消息已结束：渠道商已接收 sent")]
)
def test_what_settle_does_not_know_the_store_may(
    monkeypatch: pytest.MonkeyPatch, asked: list[Request], known: list[Any], code: int, words: str
) -> None:
    """Ended long ago, or never heard of."""
    say(monkeypatch, asked, Answer(Said.NOT_FOUND))
    monkeypatch.setattr(queries, "days_of", lambda *_: [date(2026, 11, 1)])
    monkeypatch.setattr(queries, "facts_of", lambda *_: known)
    monkeypatch.setattr(queries, "timeline_of", lambda *_: [])
    told = run("cancel", ID)
    assert told.exit_code == code
    assert words in told.output


def test_taking_back_the_first_of_a_series_says_that_it_means_all(
    monkeypatch: pytest.MonkeyPatch, asked: list[Request]
) -> None:
    """Also when the first was sent long ago."""
    say(monkeypatch, asked, Answer(Said.TOO_LATE, channel="sms"))
    monkeypatch.setattr(commands, "series_in_store", lambda *_: Series(ID, 7))
    told = run("cancel", ID)
    assert told.exit_code == 1
    assert "其后 6 次未发送的一并撤回" in told.output


def test_without_a_store_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, asked: list[Request]) -> None:
    """The request stands; only its answer is not known."""
    say(monkeypatch, asked, Answer(Said.NOT_FOUND))
    assert run("cancel", ID).exit_code == 3


def test_json_for_programs(monkeypatch: pytest.MonkeyPatch, asked: list[Request]) -> None:
    """The contract's words, and the request's id."""
    say(monkeypatch, asked, Answer(Said.TOO_LATE, channel="sms"))
    told = json.loads(run("send-now", ID, "--format", "json").output)
    assert (told["answer"], told["channel"], told["message_id"]) == ("too_late", "sms", ID)
    assert told["request_id"] == asked[0].request_id.hex()
    assert (asked[0].kind, asked[0].send_at) == ("reschedule", 0)


def test_a_time_in_shanghai(monkeypatch: pytest.MonkeyPatch, asked: list[Request]) -> None:
    """As people here write it, for the application's own reference."""
    say(monkeypatch, asked, Answer(Said.DONE))
    told = run("reschedule", "--reference", "his/R1", "--at", "2027-11-01T08:00")
    assert (told.exit_code, asked[0].send_at) == (0, 1_825_027_200_000)
    assert "2027-11-01 08:00:00" in told.output


@pytest.mark.parametrize("text", ["soon", "2001-01-01T08:00", "2999-01-01T08:00"])
def test_a_wrong_time_is_wrong_use(asked: list[Request], text: str) -> None:
    """Unreadable, past, or absurdly far."""
    assert run("reschedule", ID, "--at", text).exit_code == 2
    assert asked == []


def test_no_further_ahead_than_intake_schedules() -> None:
    """400 days, as for a `send_at`; the count of what is open looks no further back."""
    day = datetime.fromtimestamp(T0 / 1000, UTC)
    assert commands.at_ms((day + timedelta(days=399)).isoformat(), T0)
    with pytest.raises(typer.BadParameter, match="400"):
        commands.at_ms((day + timedelta(days=401)).isoformat(), T0)


def test_any_offset_may_be_given() -> None:
    """UTC too."""
    assert commands.at_ms("2023-11-15T00:00+00:00", T0) == commands.at_ms("2023-11-15T08:00", T0)
